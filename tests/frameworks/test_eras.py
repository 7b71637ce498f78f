"""Files that releases of Keras from 0.3.3 to 3.15.1 wrote, carried to Keras 3: they load in safe mode, and predict what they predicted."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kmodel_tools as kmt
from tests.conftest import ERAS
from tests.frameworks.making import framework

pytest.importorskip("keras")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.corpus,
    pytest.mark.skipif(not ERAS.is_dir(), reason="../shared/eras is not here"),
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

Array = npt.NDArray[Any]

LAMBDA = "whose `function` is a Python lambda"
EXCEPTIONS = {
    "*/misc.h5": LAMBDA,
    "*/misc_w.h5 in misc.*": LAMBDA,
    "*/v3lambda.keras": LAMBDA,
    "3.0.5/n.h5": "weights of the architecture are not in the source",
    "3.1.1/n.h5": "weights of the architecture are not in the source",
    "savedmodel/k3": "needs an architecture, and the source has none",
}
"""What does not convert or load, and what is said: Keras loads no Lambda in safe mode; Keras 3.0 and 3.1 broke off at a second
weight of one name; an export of Keras 3 holds no architecture."""


@dataclass(frozen=True)
class Source:
    """A file, and the architecture for its weights where it holds none."""

    path: Path
    like: Path | None = None

    @property
    def name(self) -> str:
        """Its name in the table of exceptions."""
        return f"{self.path.parent.name}/{self.path.name}" + (f" in {self.like.name}" if self.like else "")

    @property
    def stem(self) -> str:
        """The model's name, which its files share."""
        return (self.like or self.path).name.split(".")[0]


def sources(folder: Path) -> Iterator[Source]:
    """Every way in which the files of a folder make a whole model."""
    if folder.name == "savedmodel":
        yield from map(Source, sorted(folder.iterdir()))
        return
    for path in sorted(folder.iterdir()):
        stem = path.name.split(".")[0]
        if path.suffix == ".keras" or (path.suffix == ".h5" and not path.stem.endswith(("_w", "_l", ".weights"))):
            yield Source(path)
        if path.suffix in (".json", ".yaml") and path.stat().st_size:  # releases from 2.6 on write no YAML
            yield Source(path.with_name(f"{stem}_w.h5"), path)
        if path.suffix == ".keras" and (weights := path.with_name(f"{stem}.weights.h5")).exists():
            yield Source(weights, path)


def folders() -> list[Any]:
    found = sorted(path for path in ERAS.iterdir() if path.is_dir() and path.name != "tfjs") if ERAS.is_dir() else []
    return [pytest.param(path, id=path.name) for path in found]


def fed(model: Any, path: Path) -> tuple[list[Array], list[Array] | None]:
    """Inputs for a model, and what the release predicted for them, where that is known."""
    stored = path.with_name(f"{path.name.split('.')[0].removesuffix('_w')}_io.npz")
    if not stored.exists():
        random = np.random.default_rng(5)
        return [random.integers(0, 3, (2, *(size or 4 for size in item.shape[1:]))).astype(item.dtype) for item in model.inputs], None
    with np.load(stored) as arrays:
        x, y = arrays["x"], arrays["y"]
    return list(x) if len(model.inputs) > 1 else [x], list(y) if len(model.outputs) > 1 else [y]


def predicted(model: Any, inputs: list[Array]) -> list[Array]:
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(item) for item in (found if isinstance(found, (list, tuple)) else [found])]


def carried(source: Source, destination: Path) -> Any:
    """The model as Keras 3 loads it."""
    report = kmt.convert(source.path, destination, like=source.like, overwrite=True)
    assert report.lost == ()
    return framework("keras").models.load_model(destination)


@pytest.mark.parametrize("folder", folders())
def test_files_of_a_release_load_in_keras_3_and_predict_the_same(folder: Path, tmp_path: Path) -> None:
    """Where a release left no predictions, all files of one model must agree."""
    first: dict[str, tuple[list[Array], list[Array]]] = {}
    for source in sources(folder):
        why = next((text for pattern, text in EXCEPTIONS.items() if fnmatch.fnmatchcase(source.name, pattern)), None)
        if why is not None:
            with pytest.raises((kmt.ConversionError, ValueError)) as caught:
                carried(source, tmp_path / "m.keras")
            assert why in str(caught.value), source.name
            continue
        model = carried(source, tmp_path / "m.keras")
        if folder.name == "savedmodel" or any(str(item.dtype) == "string" for item in model.inputs):
            continue
        inputs, wanted = fed(model, source.path)
        inputs, known = first.setdefault(source.stem, (inputs, wanted or predicted(model, inputs)))
        for want, got in zip(known, predicted(model, inputs), strict=True):
            assert want.shape == got.shape, source.name
            assert np.abs(want - got).max() <= 1e-5 * np.abs(want).max() + 1e-6, source.name


def test_every_exception_is_of_a_file() -> None:
    names = [source.name for folder in folders() for source in sources(folder.values[0])]
    for pattern in EXCEPTIONS:
        assert fnmatch.filter(names, pattern), pattern
