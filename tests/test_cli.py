from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from kmodel_tools import __version__, cli
from tests.conftest import SAMPLES

H5 = str(SAMPLES / "keras_h5" / "keras-3.15.1.h5")
ARCHIVE = str(SAMPLES / "keras_archive" / "keras-3.15.1_trained.keras")
WEIGHTS = str(SAMPLES / "keras_weights" / "keras-3.15.1.weights.h5")


@dataclass
class Result:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def kmt(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Result:
        status = cli.main(list(arguments))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


def process(*arguments: str) -> Result:
    """The command as a user runs it, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "kmodel_tools", *arguments], capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_process_of_its_own() -> None:
    result = process("inspect", H5)
    assert (result.status, result.err) == (0, "")
    assert "my_d1  Dense" in result.out


OTHER = str(SAMPLES / "keras_h5" / "keras-2.0.5.h5")
DIFFERENT = (sys.executable, "-m", "kmodel_tools", "diff", H5, OTHER)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no file that is always full")
@pytest.mark.parametrize("arguments", [("--version",), ("formats",), DIFFERENT[3:]])
def test_output_that_a_full_disk_takes_not_is_an_error_and_no_difference(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*DIFFERENT[:3], *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "kmt: the output: cannot be written: No space left on device\n")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_streams_that_are_closed() -> None:
    def status(*redirected: str) -> tuple[int, str]:
        command = ["sh", "-c", f'exec "$@" {" ".join(redirected)}', "sh", *DIFFERENT]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert status(">&-") == (2, "kmt: the output: cannot be written: Bad file descriptor\n")
    assert status("-q", ">&-") == (1, "")
    assert status("2>&-") == (1, "")
    assert status("--only", "nothing", "2>&-") == (2, "")


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_a_pipe_that_nobody_reads_says_of_no_models_that_they_differ() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(DIFFERENT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(os.name == "nt", reason="has no named pipes in folders")
def test_an_output_that_cannot_be_written(kmt: Run, tmp_path: Path) -> None:
    missing, pipe = str(tmp_path / "missing" / "out.txt"), str(tmp_path / "pipe")
    os.mkfifo(pipe)
    assert kmt("diff", H5, OTHER, "-o", missing) == Result(2, "", f"kmt: {missing}: its folder does not exist; make the folder first\n")
    refused = kmt("diff", H5, OTHER, "-o", pipe, "--force")  # a device would be replaced by a file
    assert (refused.status, "no regular file" in refused.err) == (2, True)


def test_an_error_that_nobody_foresaw_is_no_difference() -> None:
    crash = "from kmodel_tools import api, cli; import sys; api.read = None; sys.argv = ['kmt', 'diff', 'a', 'b']; cli.run()"
    done = subprocess.run([sys.executable, "-c", crash], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "TypeError" in done.stderr


def test_output_goes_through_a_pipe_that_closes() -> None:
    pipe = f"{sys.executable} -m kmodel_tools inspect {H5} --output-format json | head -1"
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_json_and_csv_are_data(kmt: Run) -> None:
    document = json.loads(kmt("inspect", H5, "--json").out)
    assert document["path"] == H5
    assert document["totals"]["parameters"] == 47
    assert [layer["path"] for layer in document["layers"]] == ["inp", "my_d1", "my_d2", "bn", "my_d3"]
    rows = list(csv.DictReader(io.StringIO(kmt("inspect", H5, "--output-format", "csv").out)))
    assert [row["path"] for row in rows][:2] == ["my_d1/kernel", "my_d1/bias"]


@pytest.mark.parametrize("style", ["tree", "table", "md", "html"])
def test_every_form_names_every_weight(kmt: Run, style: str) -> None:
    result = kmt("inspect", ARCHIVE, "--output-format", style)
    assert result.status == 0
    for role in ("kernel", "bias", "gamma", "moving_variance"):
        assert role in result.out


def test_one_weight_with_its_values(kmt: Run, tmp_path: Path) -> None:
    result = kmt("inspect", H5, "my_d3/bias")
    assert result.out.startswith("my_d3/bias\n  shape       (2,) float32, 2 parameters, 8 bytes\n  trained     yes\n")
    values = json.loads(kmt("inspect", H5, "my_d3/bias", "--json").out)["values"]
    target = tmp_path / "bias.npy"
    assert kmt("inspect", H5, "my_d3/bias", "--npy", str(target)).status == 0
    saved = np.load(target)
    assert (saved.shape, saved.dtype, saved.tolist()) == ((2,), np.float32, values)
    refused = kmt("inspect", H5, "my_d3/bias", "--npy", str(target))
    assert (refused.status, "--force" in refused.err) == (2, True)
    assert kmt("inspect", H5, "my_d3/bias", "--npy", str(target), "--force").status == 0


def test_one_layer_with_its_configuration_and_values(kmt: Run) -> None:
    result = kmt("inspect", H5, "my_d1")
    assert "  config      trainable true, dtype float32, units 3, activation linear,\n" in result.out
    assert "my_d2" not in result.out
    with h5py.File(H5) as file:
        kernel = file["model_weights/my_d1/my_d1/kernel"][()]
        for number in (str(kernel[0, 0]), f"{kernel.mean():.4g}"):
            assert number in result.out
        stated = json.loads(file.attrs["model_config"])["config"]["layers"][1]["config"]
    first, second = json.loads(kmt("inspect", H5, "my_d1", "bn/gamma", "--json").out)
    assert first["config"] == stated
    assert second["path"] == "bn/gamma"


def test_a_layer_of_a_file_without_architecture(kmt: Run) -> None:
    result = kmt("inspect", WEIGHTS, "my_d1")
    assert result.status == 0
    assert "config" not in result.out
    assert json.loads(kmt("inspect", WEIGHTS, "my_d1", "--json").out)["config"] is None


def test_npy_takes_one_weight(kmt: Run, tmp_path: Path) -> None:
    for arguments in ((), ("bn",), ("bn/gamma", "bn/beta")):
        result = kmt("inspect", H5, *arguments, "--npy", str(tmp_path / "x.npy"))
        assert result.status == 2
        assert not (tmp_path / "x.npy").exists()


def test_output_to_a_file(kmt: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.md"
    assert kmt("inspect", H5, "--output-format", "md", "-o", str(target)).out == ""
    assert target.read_text().startswith("## ")
    assert kmt("inspect", H5, "-o", str(target)).status == 2
    assert target.read_text().startswith("## ")
    assert kmt("inspect", H5, "-o", str(target), "--force").status == 0
    assert os.listdir(tmp_path) == ["out.md"]


def test_stats(kmt: Run) -> None:
    assert "mean" in kmt("inspect", H5, "--stats").out
    assert json.loads(kmt("inspect", H5, "--stats", "--json").out)["layers"][1]["weights"][0]["stats"]["nans"] == 0


def test_hashes_as_sha256sum_prints_them(kmt: Run) -> None:
    result = kmt("hash", H5, ARCHIVE, WEIGHTS)
    lines = result.out.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [H5, ARCHIVE, WEIGHTS]
    assert len({line.split("  ", 1)[0] for line in lines}) == 1
    assert lines[0].startswith("kmt1:")
    assert len(lines[0].split()[0]) == len("kmt1:") + 64
    assert kmt("hash", "--values", H5).out.startswith("kmt1-values:")
    assert kmt("hash", "--all", H5).out.startswith("kmt1-all:")
    layers = kmt("hash", "--layers", H5).out.splitlines()
    assert [line.rpartition("::")[2] for line in layers] == ["bn", "my_d1", "my_d2", "my_d3"]


def test_a_hash_that_fails_does_not_stop_the_others(kmt: Run) -> None:
    result = kmt("hash", "nothing.h5", H5)
    assert result.status == 2
    assert "nothing.h5: no such file" in result.err
    assert H5 in result.out


def test_errors_are_one_line_and_status_2(kmt: Run, tmp_path: Path) -> None:
    (tmp_path / "pointer.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    for arguments, words in {
        ("inspect", "nothing.h5"): "no such file",
        ("inspect", str(tmp_path / "pointer.h5")): "Git LFS pointer",
        ("inspect", H5, "my_d1/kernl"): "nearest: my_d1/kernel",
        ("inspect", H5, "--from", "keras-archive"): "keras-archive comes as",
        ("hash", H5, "--from", "h5"): "there is no format 'h5'",
    }.items():
        result = kmt(*arguments)
        assert (result.status, result.out) == (2, ""), arguments
        assert words in result.err
        assert result.err.startswith("kmt: ")
        assert len(result.err.splitlines()) == 1


def test_usage_errors(kmt: Run) -> None:
    assert "Did you mean 'inspect'?" in kmt("inspct", H5).err
    assert f"Did you mean: kmt inspect {H5}" in kmt(H5).err
    assert kmt("inspect").status == 2
    assert kmt("inspect", H5, "--output-format", "xml").status == 2
    assert "Traceback" not in kmt("inspect", H5, "--nope").err


def test_an_error_cannot_command_the_terminal(kmt: Run) -> None:
    result = kmt("inspect", "no\x1b[31msuch\nfile")
    assert "\x1b" not in result.err
    assert len(result.err.splitlines()) == 1


def test_interruption(kmt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kmodel_tools.api.read", interrupt)
    assert kmt("inspect", H5).status == 130


def test_version_and_help(kmt: Run) -> None:
    assert kmt("--version").out == f"kmt {__version__}\n"
    top = kmt("--help").out
    for name in cli.COMMANDS:
        assert name in top
        assert kmt(name, "--help").status == 0


def test_formats(kmt: Run) -> None:
    names = [line.split()[0] for line in kmt("formats").out.splitlines() if line and not line.startswith(" ")]
    assert names == [
        "keras-h5",
        "keras-weights",
        "keras-archive",
        "tf-checkpoint",
        "saved-model",
        "graph-def",
        "npz",
        "safetensors",
        "tfjs-layers",
        "keras-json",
    ]
    assert names == [item["name"] for item in json.loads(kmt("formats", "--json").out)]


def test_convert_says_what_it_carried(kmt: Run, tmp_path: Path) -> None:
    result = kmt("convert", ARCHIVE, str(tmp_path / "m.h5"))
    assert (result.status, result.out) == (0, "")
    assert "carried   10 weights (188 bytes)" in result.err
    assert "optimizer Adam: 16 arrays for weights, 2 counters" in result.err
    assert all(len(line) <= 80 for line in result.err.splitlines()[1:])
    assert kmt("hash", "--values", str(tmp_path / "m.h5")).out.split()[0] == kmt("hash", "--values", ARCHIVE).out.split()[0]


def test_convert_is_quiet_or_speaks_json(kmt: Run, tmp_path: Path) -> None:
    assert kmt("convert", "-q", ARCHIVE, str(tmp_path / "a.h5")) == Result(0, "", "")
    result = kmt("convert", "--json", "--no-optimizer", ARCHIVE, str(tmp_path / "b.h5"))
    report = json.loads(result.out)
    assert report["weights"] == 10
    assert report["left_out"] == ["optimizer state: as asked for"]


def test_convert_refuses_before_it_writes(kmt: Run, tmp_path: Path) -> None:
    vocabulary = str(SAMPLES / "keras_archive" / "vocabulary")
    result = kmt("convert", vocabulary, str(tmp_path / "m.h5"))
    assert result.status == 2
    assert "vocabulary.txt; write it without them: --lossy" in result.err
    assert not (tmp_path / "m.h5").exists()
    assert kmt("convert", "--lossy", vocabulary, str(tmp_path / "m.h5")).status == 0
    result = kmt("convert", "--lossy", vocabulary, str(tmp_path / "m.h5"))
    assert result.status == 2
    assert "is there already; --force replaces it" in result.err
    assert kmt("convert", "--lossy", "--force", vocabulary, str(tmp_path / "m.h5")).status == 0
    assert kmt("convert", ARCHIVE, str(tmp_path / "x.h5"), "--option", "layout").status == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="signals are POSIX's")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_leaves_what_was_there_and_nothing_else(name: str, tmp_path: Path) -> None:
    """A destination is half written when the signal comes: the source is big enough that it cannot be done before."""
    source, destination = tmp_path / "m.weights.h5", tmp_path / "d.weights.h5"
    with h5py.File(source, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "d"
        group.create_dataset("0", (12_000, 12_000), "f4", fillvalue=0)[0] = 1
    destination.write_bytes(b"old")
    command = [sys.executable, "-m", "kmodel_tools", "convert", "-q", "--force", str(source), str(destination)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while running.poll() is None and len(list(tmp_path.iterdir())) < 3:
            time.sleep(0.005)
        running.send_signal(getattr(signal, name))
        assert running.wait(timeout=60) in (130, 128 + getattr(signal, name))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["d.weights.h5", "m.weights.h5"]
    assert destination.read_bytes() == b"old"
