"""What is fuzzed: samples of every format, mutated, read by their own reader or put through whole commands."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import kmodel_tools as kmt
from kmodel_tools.cli import main
from tests.conftest import CORPUS, sample_files
from tests.fuzz.children import Attempt, Outcome, attempt_all
from tests.fuzz.mutations import mutated

LARGEST = 60_000
"""Bytes of the largest file that is mutated."""
BATCH = 200
"""Attempts of one child, unless it dies."""
COMMANDS = (
    ("inspect", "{}"),
    ("inspect", "{}", "--stats"),
    ("inspect", "{}", "--salvage"),
    ("inspect", "{}", "--json"),
    ("hash", "{}", "--all"),
    ("diff", "{}", "{}"),
    ("doctor", "{}"),
    ("convert", "{}", "{}.out.safetensors", "--lossy", "--force"),
    ("convert", "{}", "{}.out.keras", "--lossy", "--force"),
    ("convert", "{}", "{}.out.h5", "--lossy", "--force"),
)


def sources(corpus: bool = False) -> list[tuple[Path, list[Path]]]:
    """Each model, as a user would name it, and its files that are small enough to be mutated.

    Args:
        corpus: Whether the small models of the corpus are among them, where it is there.
    """
    found = [(path, _files(path)) for path in sample_files()]
    if corpus and CORPUS.is_dir():
        small = sorted(path for path in CORPUS.glob("files/**/*") if path.is_file() and path.stat().st_size <= LARGEST)
        found += [(path, [path]) for path in small if path.suffix in (".h5", ".hdf5", ".keras", ".json", ".pb", ".index", ".safetensors")]
    return [(path, files) for path, files in found if files]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.is_file())
    else:
        files = [path] if path.is_file() else sorted(path.parent.glob(f"{path.name}.*"))
    return [item for item in files if item.suffix != ".txt" and 0 < item.stat().st_size <= LARGEST]


def _laid_out(path: Path, broken: Path, data: bytes, folder: Path) -> Path:
    """A copy of a model with one of its files broken; the path that a user would name."""
    shutil.rmtree(folder, ignore_errors=True)
    if path.is_dir():
        shutil.copytree(path, folder / path.name)
        (folder / path.name / broken.relative_to(path)).write_bytes(data)
        return folder / path.name
    folder.mkdir(parents=True)
    stem = path.name.split(".")[0].split("-of-")[0]
    for other in path.parent.iterdir():
        is_part = other.name.startswith(stem) or (path.suffix == ".json" and other.suffix == ".bin")
        if is_part and other.is_file() and other != broken and other.suffix != ".txt" and other.stat().st_size <= LARGEST:
            shutil.copy(other, folder)
    (folder / broken.name).write_bytes(data)
    return folder / path.name


def read_all(path: Path) -> str:
    """Read a model and all of its values."""
    try:
        model = kmt.read(path)
        for _, tensor in model.tensors():
            for _ in tensor.blocks():
                pass
    except kmt.KmtError:
        return "refused"
    return "model"


def command(arguments: Sequence[str], path: Path) -> str:
    """Run a command on a path; it ends by itself, with 0, 1 or 2."""
    sys.argv = ["kmt"]
    status = main([item.format(path) for item in arguments])
    if status not in (0, 1, 2):
        raise AssertionError(f"kmt {' '.join(arguments)} ended with {status}")
    return "refused" if status == 2 else "model"


def attempts(count: int, seed: int, folder: Path, whole_commands: bool, corpus: bool) -> Iterator[tuple[str, Attempt]]:
    """So many attempts, each with a name that makes it anew: its number and the seed say what it is."""
    models = sources(corpus)
    pool = [item.read_bytes() for _, files in models for item in files]
    for number in range(count):
        chance = random.Random(f"{seed}:{number}")
        path, files = models[number % len(models)]
        broken = chance.choice(files)
        arguments = chance.choice(COMMANDS) if whole_commands else ()

        def attempt(path: Path = path, broken: Path = broken, chance: random.Random = chance, arguments: Sequence[str] = arguments) -> str:
            place = _laid_out(path, broken, mutated(broken.read_bytes(), chance, pool), folder)
            return command(arguments, place) if arguments else read_all(place)

        yield f"{number} {path.parent.name}/{path.name} {broken.name} {' '.join(arguments[:1])}", attempt


def fuzz(count: int, seed: int, folder: Path, whole_commands: bool = True, corpus: bool = False) -> tuple[Outcome, list[str]]:
    """Make so many attempts, in children of `BATCH` each; the outcome, and the names of those that failed."""
    found, named = Outcome(), []
    batch: list[tuple[str, Attempt]] = []
    made = attempts(count, seed, folder / "model", whole_commands, corpus)
    first = 0
    for item in made:
        batch.append(item)
        if len(batch) == BATCH or first + len(batch) == count:
            outcome = attempt_all([attempt for _, attempt in batch], folder / "log")
            named += [f"{batch[number][0]}: {text}" for number, text in outcome.failures]
            found.add(outcome, first)
            first += len(batch)
            batch = []
    return found, named
