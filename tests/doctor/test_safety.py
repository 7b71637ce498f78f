"""Nothing that a file names is imported, unmarshalled, unpickled or run: the process ends if it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import kmodel_tools as kmt
from tests.conftest import CORPUS, ROOT
from tests.doctor.cases import SAFETY

WATCHED = """
import os, sys
import kmodel_tools as kmt
paths = sys.argv[1:]
def examine():
    for path in paths:
        try:
            print(path, *(item.identifier for item in kmt.diagnose(path)))
        except kmt.KmtError as error:
            print(path, error)
examine()  # imports what the doctor itself is made of, which unmarshals its modules
known = {name.partition(".")[0] for name in sys.modules}
FORBIDDEN = (
    "marshal.", "pickle.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.",
    "socket.", "ctypes.", "exec", "compile",
)
inside = tuple(os.path.realpath(path) for path in (os.environ["ALLOWED"], os.environ["KERAS_HOME"]))
def leads_out(event, arguments):
    path = arguments[0] if arguments and isinstance(arguments[0], (str, bytes, os.PathLike)) else None
    if event not in ("open", "os.listdir", "os.scandir") or path is None:
        return False
    return not (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(tuple(folder + os.sep for folder in inside))
def end(event, arguments):
    imports = event == "import" and arguments[0].partition(".")[0] not in known
    if event.startswith(FORBIDDEN) or imports or leads_out(event, arguments):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(77)
sys.addaudithook(end)
examine()
assert not {"keras", "tensorflow", "torch", "lab"} & set(sys.modules)
"""


def watched(paths: list[str], folder: Path, code: str = WATCHED) -> subprocess.CompletedProcess[str]:
    """Examine files; `folder` and what is in it are the only files that Python may open."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_HOME": str(folder), "ALLOWED": str(folder)}
    command = [sys.executable, "-c", code, *paths]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_nothing_of_hostile_files_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for index, case in enumerate(SAFETY):
        (tmp_path / str(index)).mkdir()
        monkeypatch.chdir(tmp_path / str(index))
        paths.append(str(tmp_path / str(index) / case.make()))
    result = watched(paths, tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert all(case.identifier in line.split() for case, line in zip(SAFETY, lines, strict=False))


DEEDS = (
    "import marshal; marshal.loads(marshal.dumps(1))",
    "import pickle; pickle.loads(b'cos\\nsystem\\n.')",
    "import lab",
    "import antigravity",
    "exec('1')",
    "os.system('true')",
    "open('/etc/passwd')",
    "os.listdir('/etc')",
)


@pytest.mark.parametrize("deed", DEEDS)
def test_the_watch_sees_what_it_is_for(deed: str, tmp_path: Path) -> None:
    """The same watch ends a process that does what loading a hostile file would do."""
    assert watched([], tmp_path, WATCHED.replace("examine()\nassert", f"{deed}\nassert")).returncode == 77


@pytest.mark.parametrize("kind", ["link", "storage", "virtual"])
def test_values_elsewhere_are_not_opened(kind: str, tmp_path: Path) -> None:
    """libhdf5 opens files that no hook of Python sees: here a pipe, at which it would wait for ever."""
    os.mkfifo(tmp_path / "elsewhere")
    with h5py.File(tmp_path / "model.h5", "w") as file:
        if kind == "link":
            file["x"] = h5py.ExternalLink(str(tmp_path / "elsewhere"), "/key")
        elif kind == "storage":
            file.create_dataset("x", (4,), "f4", external=[(str(tmp_path / "elsewhere"), 0, 16)])
        else:
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "elsewhere"), "key", (4,))
            file.create_virtual_dataset("x", layout)
    result = watched([str(tmp_path / "model.h5")], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "outside-hdf5" in result.stdout


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="needs ../shared/corpus")
def test_lambdas_of_the_corpus_are_flagged_and_not_run(tmp_path: Path) -> None:
    import json

    entries = json.loads((CORPUS / "manifest.json").read_text(encoding="utf-8"))
    entries = entries if isinstance(entries, list) else entries["models"]
    hold = [entry for entry in entries if "lambda_marshalled" in entry["features"] and "whole model" in entry["format"]]
    assert hold
    code = WATCHED.replace('os.environ["ALLOWED"]', repr(str(CORPUS.resolve())))
    result = watched([str(CORPUS / entry["paths"][0]["local"]) for entry in hold], tmp_path, code)
    assert result.returncode == 0, result.stderr
    assert all("lambda-bytecode" in line for line in result.stdout.splitlines())


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="needs ../shared/corpus")
def test_nothing_of_the_corpus_is_run(tmp_path: Path) -> None:
    from tests.test_corpus import manifest, path_of

    code = WATCHED.replace('os.environ["ALLOWED"]', repr(str(CORPUS.resolve())))
    result = watched([str(path_of(entry)) for entry in manifest()], tmp_path, code)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2 * len(manifest())


def test_a_nested_lambda_is_found_in_every_spelling() -> None:
    from kmodel_tools.doctor.safety import _bytecode, places

    code = ["4wEAAAA=", None, None]
    spellings = (
        {"class_name": "Lambda", "config": {"name": "f", "function": code, "function_type": "lambda"}},
        {"class_name": "Lambda", "config": {"name": "f", "function": "code", "function_type": "lambda"}},
        {"class_name": "Lambda", "config": {"name": "f", "function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}},
        {"class_name": "Own", "config": {"name": "f", "anything": [{"class_name": "__lambda__", "config": {"value": "4wEA"}}]}},
    )
    for spelling in spellings:
        nested = {
            "class_name": "TimeDistributed",
            "config": {"name": "outer", "layer": {"class_name": "Model", "config": {"layers": [spelling]}}},
        }
        found = [piece for layer, key, item in places(nested) for piece in _bytecode(layer, key, item)]
        assert len(found) == 1, spelling


def test_names_from_files_are_escaped(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from kmodel_tools.cli import kmt as command

    path = tmp_path / "model.json"
    path.write_text(
        '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Evil\\u001b[31m", "config": {"name": "a\\u001b"}}]}}'
    )
    for style in ("text", "github", "sarif", "json"):
        result = CliRunner().invoke(command, ["doctor", str(path), "--format", style], standalone_mode=False)
        assert result.return_value == 1
        assert "\x1b" not in result.output
    assert kmt.diagnose(path)


def test_a_cure_that_is_pasted_runs_no_name_of_the_file(tmp_path: Path) -> None:
    """Names are quoted for the shell, and for Python."""
    import json
    import shlex

    evil = "x'; touch owned; '\"); import os; (\""
    inner = {"class_name": "Lambda", "config": {"name": evil, "function": ["4wEA", None, None], "function_type": "lambda"}}
    read = {"class_name": "LSTM", "config": {"name": evil + "2", "units": 2, "stateful": True}}
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [inner, read]}}), encoding="utf-8")
    cures = {item.identifier: item.cure for item in kmt.diagnose(path)}
    assert shlex.split(cures["lambda-bytecode"])[-1] == f"{evil}=Rescaling(scale=1.0)".replace("/", "\\/")
    compile(cures["stateful-layer"], "cure", "eval")
