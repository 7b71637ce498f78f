"""What only Keras's weights layout does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES


def paths(model: kmt.Model) -> list[str]:
    return [join_path(path) for path, _ in model.weights()]


def write(path: Path, *groups: tuple[str, str | None, Sequence[tuple[int, ...]]], separator: str = "/") -> Path:
    """Write `vars` groups: the object's path, its name, and the shapes of its variables."""
    with h5py.File(path, "w") as file:
        for owner, name, shapes in groups:
            group = file.create_group(f"{owner.replace('/', separator)}/vars" if owner else "vars")
            if name is not None:
                group.attrs["name"] = name
            for number, shape in enumerate(shapes):
                group[str(number)] = np.full(shape, number, "float32")
    return path


def test_layers_have_the_names_that_the_file_gives_them(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ("", "net", []), ("layers/dense", "first", [(2, 3), (3,)]), ("layers/dense_1", "second", [(3, 1)]))
    model = kmt.read(path)
    assert model.name == "net"
    assert paths(model) == ["first/kernel", "first/bias", "second/kernel"]


def test_variables_are_sorted_as_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ("layers/odd_layer", "x", [(1,)] * 12))
    assert [weight.tensor.read().item() for _, weight in kmt.read(path).weights()] == list(range(12))


def test_layers_stand_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    names = ["dense_2", "dense_10", "dense", "conv2d", "dense_1"]
    path = write(tmp_path / "m", *((f"layers/{name}", name, [(3, 3)]) for name in names))
    assert [layer.name for layer in kmt.read(path).layers] == names


def test_paths_that_windows_joined_with_backslashes(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ("", None, []), ("layers/dense", None, [(2, 3), (3,)]), separator="\\")
    model = kmt.read(path)
    assert paths(model) == ["dense/kernel", "dense/bias"]
    assert model.layers[0].weights[0].key == "layers\\dense/vars/0"


def test_a_subclassed_model_is_read_by_its_attributes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m",
        ("", "net", [(2,)]),
        ("encoder", "e", [(2, 3), (3,)]),
        ("blocks/dense", "b0", [(3, 3)]),
        ("blocks/dense_1", "b1", [(3, 3)]),
        ("_head", "h", []),
        ("_head/inner", "i", [(3, 1), (1,)]),
    )
    assert paths(kmt.read(path)) == [
        "0",
        "encoder/kernel",
        "encoder/bias",
        "blocks/dense/kernel",
        "blocks/dense_1/kernel",
        "head/inner/kernel",
        "head/inner/bias",
    ]


def test_a_list_of_cells_is_numbered_when_they_are_of_one_class(tmp_path: Path) -> None:
    cell: list[tuple[int, ...]] = [(3, 8), (2, 8), (8,)]
    groups = [(f"layers/rnn/cell/cells/lstm_cell{suffix}", None, cell) for suffix in ("", "_1", "_2")]
    path = write(tmp_path / "m", ("", None, []), ("layers/rnn", None, []), ("layers/rnn/cell", None, []), *reversed(groups))
    assert paths(kmt.read(path))[::3] == ["rnn/cell/cells/0/kernel", "rnn/cell/cells/1/kernel", "rnn/cell/cells/2/kernel"]


def test_what_is_no_layer_is_an_extra(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ("layers/dense", "d", [(2, 3), (3,)]), ("metrics/mean", None, [(), ()]))
    with h5py.File(path, "a") as file:
        file["stray"] = np.zeros(2)
    assert sorted(extra.key for extra in kmt.read(path).extras) == ["metrics/mean/vars/0", "metrics/mean/vars/1", "stray"]


def test_shards_are_one_model(tmp_path: Path) -> None:
    index = SAMPLES / "keras_weights" / "sharded.weights.json"
    whole = kmt.read(index)
    assert paths(whole) == [
        "hidden/kernel",
        "hidden/bias",
        *(f"norm/{role}" for role in ("gamma", "beta", "moving_mean", "moving_variance")),
        "out/kernel",
        "out/bias",
    ]
    assert {key.partition("::")[0] for key, _ in whole.tensors()} == {"sharded_00000.weights.h5", "sharded_00001.weights.h5"}
    part = kmt.read(SAMPLES / "keras_weights" / "sharded_00000.weights.h5")
    assert any("one shard of sharded.weights.json" in note.text for note in part.notes)


def test_shards_that_are_not_there_or_not_what_they_should_be(tmp_path: Path) -> None:
    for name in ("sharded.weights.json", "sharded_00000.weights.h5", "sharded_00001.weights.h5"):
        shutil.copy(SAMPLES / "keras_weights" / name, tmp_path)
    shutil.copy(tmp_path / "sharded_00000.weights.h5", tmp_path / "sharded_00001.weights.h5")
    with pytest.raises(kmt.CorruptFileError, match="lacks a group that the index places in it"):
        kmt.read(tmp_path / "sharded.weights.json")
    (tmp_path / "sharded_00001.weights.h5").unlink()
    with pytest.raises(kmt.CorruptFileError, match="a shard is missing"):
        kmt.read(tmp_path / "sharded.weights.json")
    (tmp_path / "sharded.weights.json").write_text(json.dumps({"weight_map": {"/layers/dense/vars": ["../secret.h5"]}}))
    with pytest.raises(kmt.CorruptFileError, match="outside of its own folder"):
        kmt.read(tmp_path / "sharded.weights.json")


def test_groups_nested_deeper_than_python_recurses(tmp_path: Path) -> None:
    depth = 1200
    with h5py.File(tmp_path / "m", "w") as file:
        file.create_group("vars")
        group: h5py.Group = file
        for _ in range(depth):
            group = group.create_group("inner")
            group.create_group("vars")
        group["vars"]["0"] = np.zeros((2, 2), "float32")
    ((path, _),) = kmt.read(tmp_path / "m").weights()
    assert len(path) == depth + 1


def test_shards_are_written_and_found_again(tmp_path: Path) -> None:
    groups = [(f"layers/dense_{number}" if number else "layers/dense", f"d{number}", [(10, 10), (10,)]) for number in range(9)]
    path = write(tmp_path / "m.weights.h5", ("", "net", []), *groups)
    kmt.convert(path, tmp_path / "s.weights.json", options={"shard-size": "1KB"})
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["m.weights.h5", "s.weights.json", *(f"s_{number:05d}.weights.h5" for number in range(5))][: len(names)]
    assert len(names) > 4
    assert kmt.digest(tmp_path / "s.weights.json") == kmt.digest(path)
    index = json.loads((tmp_path / "s.weights.json").read_text())
    assert index["metadata"]["total_size"] == 9 * 440
    assert index["weight_map"]["/layers/dense/vars"] == ["s_00000.weights.h5"]
    kmt.convert(path, tmp_path / "one.weights.json")
    assert (tmp_path / "one_00000.weights.h5").exists()
    assert not (tmp_path / "one_00001.weights.h5").exists()


def test_sizes_of_shards_that_mean_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "m.weights.h5", ("layers/dense", "d", [(2, 2)]))
    with pytest.raises(kmt.KmtError, match="'big' is not a size"):
        kmt.convert(path, tmp_path / "s.weights.json", options={"shard-size": "big"})
    with pytest.raises(kmt.KmtError, match="shards need an index"):
        kmt.convert(path, tmp_path / "s.weights.h5", options={"shard-size": "1KB"})


def _with_optimizer(path: Path, *groups: tuple[str, str | None, Sequence[tuple[int, ...]]], shapes: Sequence[tuple[int, ...]]) -> Path:
    counters: list[tuple[int, ...]] = [(), ()]
    return write(path, *groups, ("optimizer", "adam", [*counters, *(shape for shape in shapes for _ in range(2))]))


def test_state_is_not_tied_where_the_order_of_sub_layers_is_not_in_the_file(tmp_path: Path) -> None:
    """A subclassed model's groups stand by the alphabet, its weights in the order in which the attributes were set."""
    layers = [("first", "zeta", [(3, 3), (3,)]), ("second", "alpha", [(3, 3), (3,)])]
    model = kmt.read(_with_optimizer(tmp_path / "m", *layers, shapes=[(3, 3), (3,)] * 2))
    assert model.optimizer is not None
    assert not model.optimizer.slots
    assert len(model.optimizer.extras) == 10
    assert "the order of the sub-layers of the model is not in the file" in " ".join(note.text for note in model.notes)


def test_state_is_tied_where_one_list_holds_all_layers(tmp_path: Path) -> None:
    layers = [("blocks/dense", "zeta", [(3, 3), (3,)]), ("blocks/dense_1", "alpha", [(3, 3), (3,)])]
    model = kmt.read(_with_optimizer(tmp_path / "m", *layers, shapes=[(3, 3), (3,)] * 2))
    assert model.optimizer is not None
    assert len(model.optimizer.slots) == 8


def test_a_class_is_concluded_from_parts_that_only_it_has(tmp_path: Path) -> None:
    cells = [(f"layers/time_distributed/layer/{half}_layer/cell", half, [(3, 12), (3, 12), (12,)]) for half in ("backward", "forward")]
    above: list[tuple[str, str | None, list[tuple[int, ...]]]] = [
        ("layers/time_distributed", "wrapped", []),
        ("layers/time_distributed/layer", "both", []),
    ]
    model = kmt.read(_with_optimizer(tmp_path / "m", *above, *cells, shapes=[(3, 12), (3, 12), (12,)] * 2))
    assert paths(model)[0] == "wrapped/layer/forward_layer/cell/kernel"
    assert model.optimizer is not None
    assert len(model.optimizer.slots) == 12


def test_a_group_named_for_a_foreign_class_gets_no_roles(tmp_path: Path) -> None:
    assert paths(kmt.read(write(tmp_path / "m", ("layers/film", "film", [(4,)] * 4)))) == [f"film/{number}" for number in range(4)]


@pytest.mark.parametrize("name", ["9" * 5000, "²", "１", "-1", "00"])  # digits that are no index
def test_a_forged_number_is_no_index(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "m", "w") as file:
        file.require_group("layers/dense/vars")[name] = np.ones(2, "float32")
        file.require_group("optimizer/vars")[name] = np.ones(2, "float32")
    assert len(list(kmt.read(tmp_path / "m").tensors())) == 2


@pytest.mark.parametrize("name", [5, np.array([b"a", b"b"]), h5py.Empty("S4")])
def test_a_name_that_is_no_text_is_no_name(tmp_path: Path, name: object) -> None:
    path = write(tmp_path / "m", ("layers/dense", None, [(2, 3), (3,)]))
    with h5py.File(path, "a") as file:
        file["layers/dense/vars"].attrs["name"] = name
    assert paths(kmt.read(path)) == ["dense/kernel", "dense/bias"]
