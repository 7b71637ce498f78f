"""Files that real releases of Keras wrote, from 0.3.3 to 3.15: those beside the tests, and all of them where they are."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests import exceptions
from tests.conftest import ERAS, ROOT
from tests.trees import keys_in_tree

OWN = ROOT / "tests" / "eras"
_KIND = re.compile(r"(_w|_l)?(\.weights)?\.(h5|keras)$")
CONTAINERS = {
    ".h5": exceptions.H5_WHOLE,
    "_w.h5": exceptions.H5_WEIGHTS,
    "_l.h5": exceptions.H5_WEIGHTS,
    ".weights.h5": exceptions.WEIGHTS,
    ".keras": exceptions.ARCHIVE,
}
# Keras 3.0 and 3.1 could not finish these (two weights of one name); their other containers are whole.
BROKEN_OFF = {"3.0.5/n.h5", "3.1.1/n.h5"}


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/*") if path.suffix in (".h5", ".keras") and path.is_file())


def _roots() -> Iterator[Any]:
    yield pytest.param(OWN, id="tests")
    yield pytest.param(
        ERAS, id="shared", marks=[pytest.mark.corpus, pytest.mark.skipif(not ERAS.is_dir(), reason="../shared/eras is not here")]
    )


EVERY_FILE = [pytest.param(path, id=f"{path.parent.name}/{path.name}") for root in (OWN, ERAS) for path in _files(root)]


@pytest.mark.parametrize("path", EVERY_FILE)
def test_every_file_reads_and_every_array_has_its_place(path: Path) -> None:
    model = kmt.read(path)
    assert sorted(keys_in_tree(model)) == sorted(key for key, _ in model.tensors())
    paths = [path for path, _ in model.weights()]
    assert len(set(paths)) == len(paths)
    assert any(note.kind == "unread" for note in model.notes) == (f"{path.parent.name}/{path.name}" in BROKEN_OFF)


def _models(root: Path) -> dict[str, dict[str, kmt.Model]]:
    """Release and stem, to container, to model; what broke off is left out."""
    found: dict[str, dict[str, kmt.Model]] = defaultdict(dict)
    for path in _files(root):
        match = _KIND.search(path.name)
        assert match is not None
        if f"{path.parent.name}/{path.name}" not in BROKEN_OFF:
            found[f"{path.parent.name}/{path.name[: match.start()]}"][CONTAINERS[match[0]]] = kmt.read(path)
    return found


@pytest.mark.parametrize("root", list(_roots()))
def test_containers_of_one_model_agree_but_for_the_table(root: Path) -> None:
    needed = set()
    for name, containers in _models(root).items():
        digests = {container: kmt.digest(model) for container, model in containers.items()}
        assert len({digest.values for digest in digests.values()}) == 1, name
        sure = {container: digest.weights for container, digest in digests.items() if not exceptions.rows_for(name, container)}
        assert len(set(sure.values())) <= 1, name
        for container, digest in digests.items():
            for row in exceptions.rows_for(name, container):
                if sure and digest.weights != next(iter(sure.values())):
                    needed.add((row, name))
                assert not sure or digest.weights not in sure.values(), f"{name} does not need: {row}"
    if root == ERAS:
        listed = {row for row in exceptions.TABLE if any("/" in pattern for pattern in row.where)}
        assert {row for row, _ in needed} >= {row for row in listed if row.subject != "subclassed model"}


@pytest.mark.parametrize("root", list(_roots()))
def test_containers_of_one_model_do_not_differ(root: Path) -> None:
    """In whatever two containers: what both hold is the same, and what one does not hold is no difference."""
    compared = 0
    for name, containers in _models(root).items():
        for (container_a, a), (container_b, b) in itertools.permutations(containers.items(), 2):
            compared += 1
            result = kmt.diff(a, b)
            rows = exceptions.differences_for(name, (container_a, container_b))
            assert result.same == (not rows), f"{name}: {container_a}, {container_b}: {result.pairing.why}, {result.aspects}"
            assert result.aspect("weights").status != "not compared"
    assert compared > 50


def _stored_weights(path: Path) -> list[Any]:
    """The release's own `model.get_weights()`."""
    with np.load(path) as stored:
        return [stored[f"w{number}"] for number in range(sum(bool(re.fullmatch(r"w\d+", name)) for name in stored.files))]


WITH_WEIGHTS = [
    pytest.param(path, id=f"{path.parent.name}/{path.name}")
    for root in (OWN, ERAS)
    for path in sorted(root.glob("*/*_io.npz"))
    if _stored_weights(path)
]


@pytest.mark.parametrize("path", WITH_WEIGHTS)
def test_values_are_those_of_the_release_in_its_order(path: Path) -> None:
    expected = _stored_weights(path)
    stem = path.name.removesuffix("_io.npz")
    models = [file for file in _files(path.parent.parent) if file.parent == path.parent and _KIND.sub("", file.name) == stem]
    assert models
    for file in models:
        found = [weight.tensor.read() for _, weight in kmt.read(file).weights()]
        assert len(found) == len(expected), file
        for want, got in zip(expected, found, strict=True):
            assert (want.shape, want.dtype, want.tobytes()) == (got.shape, got.dtype, got.tobytes()), file
