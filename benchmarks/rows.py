"""The rows of the table: what is measured, against what, and which ratio it must reach."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import KMT, Inputs
from benchmarks.running import Command

HERE = Path(__file__).resolve().parent


class Unit(enum.Enum):
    """How a row's figure is to be read: a ratio of times, how many times faster, or an amount."""

    TIMES = "×"
    FASTER = "× faster"
    SECONDS = "s"
    MEGABYTES = "MB"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: What it is chosen by.
        work: What is done, and against what.
        ours: Our command; for a row that is measured inside of one process, the script that prints its pairs.
        peer: What it is held against, None for an amount or a script.
        unit: What the figure is.
        must: The worst figure that will do: at most, or of `FASTER` at least.
        aim: The figure that is aimed at.
        inputs: The files that both read.
    """

    name: str
    work: str
    ours: Command
    peer: Command | None
    unit: Unit
    must: float
    aim: float
    inputs: tuple[str, ...] = ()


def rows(inputs: Inputs, rounds: int) -> tuple[Row, ...]:
    """All rows, in the order in which they are measured; `rounds` is for those that are measured inside of one process."""
    return (*_start(inputs), *_conversions(inputs), *_comparisons(inputs), *_loading(inputs, rounds), *_many_layers(inputs))


def _kmt(*arguments: str, writes: str | None = None, exits: int = 0) -> Command:
    return Command((sys.executable, "-c", KMT, *arguments), writes=writes, exits=exits)


def _python(code: str, *arguments: str, modules: tuple[str, ...] = ()) -> Command:
    return Command((sys.executable, "-c", code, *arguments), modules=modules)


def _program(*arguments: str, exits: int = 0) -> Command:
    return Command(arguments, programs=(arguments[0],), exits=exits)


def _start(inputs: Inputs) -> list[Row]:
    libraries = _python("import h5py, click")
    load = "import sys, keras; keras.models.load_model(sys.argv[1]).summary()"
    variables = "import sys, tensorflow as tf; print(tf.train.list_variables(sys.argv[1]))"
    found = [
        Row("version", "`kmt --version` : `python -c pass`", _kmt("--version"), _python("pass"), Unit.TIMES, 6, 4),
    ]
    for suffix in ("keras", "h5"):
        name = f"MobileNetV2.{suffix}"
        path = inputs.path(name)
        ours = _kmt("inspect", path)
        keras = _python(load, path, modules=("keras", "tensorflow"))
        found.append(Row(f"inspect-{suffix}", f"inspect {name} : `import h5py, click`", ours, libraries, Unit.TIMES, 1.7, 1.3, (name,)))
        work = f"inspect {name} : Keras `load_model` + `summary`"
        found.append(Row(f"inspect-{suffix}-keras", work, ours, keras, Unit.FASTER, 20, 30, (name,)))
    path = inputs.path("MobileNetV2_checkpoint")
    peer = _python(variables, path, modules=("tensorflow",))
    work = "inspect a checkpoint : `tf.train.list_variables`"
    found.append(
        Row("inspect-checkpoint", work, _kmt("inspect", path), peer, Unit.FASTER, 20, 40, ("MobileNetV2_checkpoint",)),
    )
    return found


def _conversions(inputs: Inputs) -> list[Row]:
    """Each way, in time against `cp` and `sync` of the source, and in memory."""
    ways = {
        "h5-weights": ("large.h5", "out.weights.h5", ()),
        "h5-keras": ("large.h5", "out.keras", ()),
        "h5-checkpoint": ("large.h5", "out_checkpoint", ("--to", "tf-checkpoint", "--lossy")),
        "weights-h5": ("large.weights.h5", "out.h5", ("--lossy",)),
        "keras-h5": ("large.keras", "out.h5", ()),
        "checkpoint-h5": ("large_checkpoint", "out.h5", ("--like", inputs.path("large.h5"))),
    }
    found: list[Row] = []
    for name, (source, target, options) in ways.items():
        path, out = inputs.path(source), inputs.path(target)
        stored = f"{path}.data-00000-of-00001" if source.endswith("checkpoint") else path
        copied = inputs.path("copied")
        peer = Command(("sh", "-c", 'cp "$0" "$1" && sync "$1"', stored, copied), writes=copied, programs=("cp", "sync"))
        ours = _kmt("convert", "-q", path, out, *options, writes=out)
        work = f"convert {source} → {target.removeprefix('out')}"
        needs = (source, "large.h5")
        found.append(Row(f"convert-{name}", f"{work} : `cp`, `sync`", ours, peer, Unit.TIMES, 1.6, 1.1, needs))
        if name == "h5-keras":
            verified = _kmt("convert", "-q", "--verify", path, out, *options, writes=out)
            found.append(Row("convert-verify", f"{work} `--verify` : `cp`, `sync`", verified, peer, Unit.TIMES, 3.2, 2.2, needs))
        found.append(Row(f"memory-{name}", f"{work}, peak memory", ours, None, Unit.MEGABYTES, 160, 100, needs))
    return found


def _comparisons(inputs: Inputs) -> list[Row]:
    a, same, other = (inputs.path(name) for name in ("large.h5", "large_again.h5", "large_other.h5"))
    equal, different = _kmt("diff", a, same), _kmt("diff", a, other, exits=1)
    cmp, h5diff, sha = _program("cmp", a, same), _program("h5diff", a, same), _program("sha256sum", a)
    two, three = ("large.h5", "large_again.h5"), ("large.h5", "large_again.h5", "large_other.h5")
    return [
        Row("diff-equal", "diff of equal files : `cmp`", equal, cmp, Unit.TIMES, 1.5, 1.0, two),
        Row("diff-equal-h5diff", "diff of equal files : `h5diff`", equal, h5diff, Unit.FASTER, 1.5, 3, two),
        Row("diff-other", "diff where every value differs : `cmp` of equal files", different, cmp, Unit.TIMES, 6, 3, three),
        Row("memory-diff-equal", "diff of equal files, peak memory", equal, None, Unit.MEGABYTES, 160, 100, two),
        Row("memory-diff-other", "diff where every value differs, peak memory", different, None, Unit.MEGABYTES, 160, 100, three),
        Row("hash", "`kmt hash` : `sha256sum`", _kmt("hash", a), sha, Unit.FASTER, 3, 6, ("large.h5",)),
    ]


def _loading(inputs: Inputs, rounds: int) -> list[Row]:
    found: list[Row] = []
    for suffix in (".weights.h5", ".h5"):
        name = f"MobileNetV2{suffix}"
        script = Command((sys.executable, str(HERE / "loading.py"), inputs.path(name), str(rounds)), modules=("keras", "tensorflow"))
        work = f"`kmt.load_into` of {name} : Keras `load_weights`"
        found.append(Row(f"load{suffix.replace('.', '-')}", work, script, None, Unit.TIMES, 1.1, 0.8, (name,)))
    return found


def _many_layers(inputs: Inputs) -> list[Row]:
    deep, tenth = inputs.path("deep.h5"), inputs.path("deep_tenth.h5")
    a, b = inputs.path("deep_checkpoint"), inputs.path("deep_other_checkpoint")
    walk = Command((sys.executable, str(HERE / "walk.py"), deep))
    inspected, count = _kmt("inspect", deep), f"{inputs.layers:,}"
    compared = _kmt("diff", "--by", "name", a, b, exits=1)
    checkpoints = ("deep_checkpoint", "deep_other_checkpoint")
    return [
        Row("layers-walk", f"inspect {count} layers (.h5) : h5py walk", inspected, walk, Unit.TIMES, 1.2, 0.6, ("deep.h5",)),
        Row(
            "layers-growth",
            f"inspect {count} layers : a tenth of them",
            inspected,
            _kmt("inspect", tenth),
            Unit.TIMES,
            11,
            11,
            ("deep.h5", "deep_tenth.h5"),
        ),
        Row("layers-diff", f"diff by name, checkpoints of {count} layers", compared, None, Unit.SECONDS, 5, 2, checkpoints),
    ]
