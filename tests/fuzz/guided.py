"""Coverage-guided fuzzing of the parsers that are written here, with atheris: `python -m tests.fuzz.guided RUNS [NAME …]`.

Each parser runs in a process of its own, from the samples on; libFuzzer keeps what reaches new code and goes on from there. An attempt
that takes more than 2 s or 512 MB ends the process, as any exception does that is none of ours. libhdf5 is not among them: it can crash,
and has `python -m tests.fuzz files`.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parent.parent.parent / "sample_models"
SECONDS, MEGABYTES = 2, 512
LONGEST = 20_000
"""Bytes of the longest input: all that the layouts can say fits in."""

Seeds = tuple[str, str, tuple[str, ...]]
TARGETS: Mapping[str, Seeds] = {
    "safetensors": ("safetensors/*.safetensors", "m.safetensors", ()),
    "safetensors-index": ("safetensors/*.json", "m.safetensors.index.json", ("safetensors/sharded-*",)),
    "npz": ("npz/*.npz", "m.npz", ()),
    "zip": ("npz/*.npz", "m.zip", ()),
    "checkpoint": ("tf_checkpoint/*.index", "m.index", ()),
    "checkpoint-v1": ("tf_checkpoint/*.ckpt", "m.ckpt", ()),
    "saved-model": ("saved_model/*/saved_model.pb", "saved_model.pb", ()),
    "saved-model-text": ("saved_model/*/saved_model.pbtxt", "saved_model.pbtxt", ()),
    "graph-def": ("graph_def/*.pb", "m.pb", ()),
    "graph-def-text": ("graph_def/*.pbtxt", "m.pbtxt", ()),
    "json": ("keras_json/*.json", "m.json", ()),
    "yaml": ("keras_json/*.yaml", "m.yaml", ()),
    "tensorflow-js": ("tfjs_layers/*.json", "m.json", ("tfjs_layers/*.bin", "tfjs_layers/manifest-*")),
    "weights-index": ("keras_weights/*.json", "sharded.weights.json", ("keras_weights/sharded_*",)),
}
"""For each parser: the samples to start from, the name under which it finds the input, and what lies beside it."""


def _attempt(name: str, folder: Path) -> Callable[[bytes], None]:
    """What is done with an input."""
    import kmodel_tools as kmt
    from kmodel_tools.storage.zip import member_range, members
    from kmodel_tools.tensor import ByteRange

    file = folder / TARGETS[name][1]

    def read(data: bytes) -> None:
        file.write_bytes(data)
        try:
            if name == "zip":
                archive = ByteRange.of_file(file)
                for member in members(archive).values():
                    member_range(archive, member).read()
                return
            model = kmt.read(folder if name.startswith("saved-model") else file)
            for _, tensor in model.tensors():
                for _ in tensor.blocks():
                    pass
        except kmt.KmtError:
            pass

    return read


def child(name: str, runs: str, folder: str, seed: str) -> None:
    """Fuzz one parser; does not return."""
    atheris: Any = importlib.import_module("atheris")  # which has no types, and is needed here alone
    with atheris.instrument_imports(include=["kmodel_tools"]):
        read = _attempt(name, Path(folder) / "place")
        read(b"")
    options = [f"-runs={runs}", f"-seed={seed}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={LONGEST}"]
    options += ["-print_final_stats=1", f"-artifact_prefix={folder}/", f"{folder}/inputs"]
    atheris.Setup(["guided", *options], read)
    atheris.Fuzz()


def run(name: str, runs: int, seed: int, keep: Path) -> tuple[int, str]:
    """Fuzz one parser in a child: the number of attempts, and what it failed of, or ""."""
    pattern, _, beside = TARGETS[name]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for inner in ("inputs", "place"):
            (Path(folder) / inner).mkdir()
        for number, path in enumerate(sorted(SAMPLES.glob(pattern))):
            shutil.copy(path, Path(folder) / "inputs" / f"{number}")
        for path in (path for item in beside for path in SAMPLES.glob(item)):
            shutil.copy(path, Path(folder) / "place")
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", "--child", name, str(runs), folder, str(seed)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        units = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        for path in Path(folder).glob("*-*"):
            shutil.copy(path, keep / f"{name}-{path.name}")
    return int(units[1]) if units else 0, "" if done.returncode == 0 else done.stderr[-3000:]


def main(arguments: list[str]) -> int:
    """Fuzz the parsers that are named, or all; 1 if one failed."""
    runs, *names = arguments
    keep = Path.cwd() / "fuzz-found"
    keep.mkdir(exist_ok=True)
    total = failed = 0
    for name in names or TARGETS:
        count, failure = run(name, int(runs), 1, keep)
        total += count
        failed += bool(failure)
        print(f"{name}: {count:,} attempts{': FAILED' if failure else ''}\n{failure}".rstrip(), flush=True)  # noqa: T201  # a command
    print(f"{total:,} attempts, {failed} parsers failed")  # noqa: T201  # as above
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(*sys.argv[2:])
    raise SystemExit(main(sys.argv[1:]))
