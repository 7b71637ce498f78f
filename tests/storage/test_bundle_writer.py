"""Bundles that we write, read back; what TensorFlow makes of them is in `tests/frameworks`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.errors import ConversionError, CorruptFileError, KmtError
from kmodel_tools.storage import sstable
from kmodel_tools.storage.bundle_writer import NUMBERS, write_bundle
from kmodel_tools.storage.object_graph import NewNode, lay_out, parse_graph
from kmodel_tools.storage.sstable import open_table, write_table
from kmodel_tools.storage.tensor_bundle import DTYPES, read_bundle
from kmodel_tools.tensor import ByteRange, DType, InMemory, Tensor, canonical_strings
from tests.strategies import SHAPES


def test_each_element_type_has_the_number_that_it_is_read_by() -> None:
    assert all(DTYPES[number] is dtype for dtype, number in NUMBERS.items())
    assert set(NUMBERS) == set(DTYPES.values()) - {DType.OPAQUE}


@given(st.dictionaries(st.binary(min_size=1, max_size=12), st.binary(max_size=300), max_size=60), st.integers(1, 2000))
def test_tables_give_back_what_they_were_given(items: dict[bytes, bytes], block_size: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(sstable, "BLOCK_SIZE", block_size)
        path = Path(folder) / "t.index"
        path.write_bytes(write_table(sorted(items.items())))
        table = open_table(ByteRange.of_file(path))
        assert {key: bytes(value) for key, value in table.items()} == items
        for key, value in items.items():
            assert bytes(table.get(key) or b"") == value


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name), SHAPES), max_size=8, unique_by=lambda item: item[0]
    ),
    st.integers(1, 400),
)
def test_tensors_come_back_whatever_the_shards(described: list[tuple[str, tuple[int, ...]]], shard_size: int) -> None:
    arrays = {name: np.random.default_rng(7).standard_normal(shape).astype("float32") for name, shape in described}
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(f"{folder}/ck", [(name, Tensor.of(value)) for name, value in arrays.items()], overwrite=False, shard_size=shard_size)
        found = read_bundle(f"{folder}/ck")
        assert found.keys() == arrays.keys()
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name].read(), value)
        shards = list(Path(folder).glob("ck.data-*"))
        assert all(path.stat().st_size <= max(shard_size, *(value.nbytes for value in arrays.values())) for path in shards if arrays)


@given(st.lists(st.binary(max_size=200), max_size=9))
def test_strings_come_back(texts: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tensor = Tensor(DType.STRING, (len(texts),), InMemory(canonical_strings(texts)))
        write_bundle(f"{folder}/ck", [("words", tensor)], overwrite=False, shard_size=1000)
        assert read_bundle(f"{folder}/ck")["words"].strings() == texts


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="v: TensorFlow has no element type opaque"):
        write_bundle(str(tmp_path / "ck"), [("v", Tensor(DType.OPAQUE, (1,), InMemory(b"x")))], overwrite=False, shard_size=10)
    twice = [("v", Tensor.of(np.zeros(2)))] * 2
    with pytest.raises(ConversionError, match="the same key"):
        write_bundle(str(tmp_path / "ck"), twice, overwrite=False, shard_size=10)
    short = Tensor(DType.FLOAT32, (3,), InMemory(bytes(8)))
    with pytest.raises(CorruptFileError, match=r"delivers 8 bytes"):
        write_bundle(str(tmp_path / "ck"), [("v", short)], overwrite=False, shard_size=10)
    assert not list(tmp_path.iterdir())
    with pytest.raises(KmtError, match="its folder does not exist"):
        write_bundle(str(tmp_path / "no" / "ck"), [], overwrite=False, shard_size=10)


def test_keys_go_the_shortest_way_and_an_object_has_one() -> None:
    value = Tensor.of(np.float32(1))
    shared = NewNode(value, "shared")
    inner = NewNode(children={"deep": shared, "a/b.c": NewNode(value, "odd")})
    root = NewNode(children={"inner": inner, "near": shared})
    root.children["self"] = root
    graph, tensors = lay_out(root)
    assert [key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key, _ in tensors] == ["near", "inner/a.Sb..c"]
    nodes = parse_graph(graph, "x")
    assert dict(nodes[0].children)["self"] == 0
    assert nodes[dict(nodes[dict(nodes[0].children)["inner"]].children)["deep"]].key == tensors[0][0]


def test_slots_of_a_legacy_optimizer_stand_below_their_variable() -> None:
    value = Tensor.of(np.float32(1))
    kernel, state = NewNode(value, "dense/kernel"), NewNode(value, "Adam/dense/kernel/m")
    optimizer = NewNode(slots=[(kernel, "m", state)])
    graph, tensors = lay_out(NewNode(children={"dense": NewNode(children={"kernel": kernel}), "optimizer": optimizer}))
    assert tensors[-1][0] == "dense/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"
    nodes = parse_graph(graph, "x")
    (slot,) = nodes[dict(nodes[0].children)["optimizer"]].slots
    assert (nodes[slot.original].full_name, slot.name, nodes[slot.node].full_name) == ("dense/kernel", "m", "Adam/dense/kernel/m")
