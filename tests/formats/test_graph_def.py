"""Frozen graphs: which constants are weights, what they are called, and what is said of the rest."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import kmodel_tools as kmt
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES
from tests.storage import wire

FOLDER = SAMPLES / "graph_def"
FOUR = struct.pack("<4f", 1, 2, 3, 4)


def constant(name: str, *sizes: int) -> bytes:
    return wire.const(name, wire.floats(FOUR, *(sizes or (4,))))


def integers(name: str) -> bytes:
    return wire.const(name, wire.number(1, 3) + wire.data(2, wire.shape(4)) + wire.data(4, FOUR))


def model_of(folder: Path, *parts: bytes) -> kmt.Model:
    path = folder / "graph.pb"
    path.write_bytes(wire.node("x", "Placeholder") + b"".join(parts))
    return kmt.read(path)


def shown(model: kmt.Model) -> dict[str, str]:
    return {join_path(path): weight.key for path, weight in model.weights()}


def test_what_was_a_variable_is_a_weight_whatever_its_type(tmp_path: Path) -> None:
    model = model_of(tmp_path, integers("fc/table"), wire.node("fc/table/read", "Identity", "fc/table"), integers("shape"))
    assert shown(model) == {"fc/table": "fc/table"}
    assert [extra.key for extra in model.extras] == ["shape"]


def test_resources_are_called_by_their_part_in_the_operation(tmp_path: Path) -> None:
    model = model_of(
        tmp_path,
        constant("net/d/MatMul/ReadVariableOp/resource", 2, 2),
        wire.node("net/d/MatMul/ReadVariableOp", "Identity", "net/d/MatMul/ReadVariableOp/resource"),
        wire.node("net/d/MatMul", "MatMul", "x", "net/d/MatMul/ReadVariableOp"),
        constant("net/d/mul/ReadVariableOp/resource"),
        wire.node("net/d/mul/ReadVariableOp", "Identity", "net/d/mul/ReadVariableOp/resource"),
        wire.node("net/d/mul", "Mul", "x", "net/d/mul/ReadVariableOp"),
    )
    assert shown(model) == {
        "net/d/kernel": "net/d/MatMul/ReadVariableOp/resource",
        "net/d/mul/ReadVariableOp": "net/d/mul/ReadVariableOp/resource",
    }


def test_both_kernels_of_a_separable_convolution_are_one_layers(tmp_path: Path) -> None:
    inner = "net/sep/separable_conv2d"
    model = model_of(
        tmp_path,
        constant(f"{inner}/ReadVariableOp/resource", 2, 2),
        wire.node(f"{inner}/ReadVariableOp", "Identity", f"{inner}/ReadVariableOp/resource"),
        constant(f"{inner}/ReadVariableOp_1/resource", 2, 2),
        wire.node(f"{inner}/ReadVariableOp_1", "Identity", f"{inner}/ReadVariableOp_1/resource"),
        wire.node(f"{inner}/depthwise", "DepthwiseConv2dNative", "x", f"{inner}/ReadVariableOp"),
        wire.node(inner, "Conv2D", f"{inner}/depthwise", f"{inner}/ReadVariableOp_1"),
    )
    assert shown(model) == {
        "net/sep/depthwise_kernel": f"{inner}/ReadVariableOp/resource",
        "net/sep/pointwise_kernel": f"{inner}/ReadVariableOp_1/resource",
    }


def test_two_weights_for_one_path_keep_their_names(tmp_path: Path) -> None:
    parts = []
    for name in ("c/MatMul", "c/MatMul_1"):
        parts += [
            constant(f"{name}/ReadVariableOp/resource", 2, 2),
            wire.node(f"{name}/ReadVariableOp", "Identity", f"{name}/ReadVariableOp/resource"),
            wire.node(name, "MatMul", "x", f"{name}/ReadVariableOp"),
        ]
    assert list(shown(model_of(tmp_path, *parts))) == ["c/MatMul/ReadVariableOp/resource", "c/MatMul_1/ReadVariableOp/resource"]


@pytest.mark.parametrize(
    ("operation", "inputs", "weight"),
    [
        ("MatMul", ("x", "c"), True),
        ("Conv2D", ("x", "c:0"), True),
        ("BiasAdd", ("x", "c"), True),
        ("FusedBatchNormV3", ("x", "c", "x", "x", "x"), True),
        ("GatherV2", ("c", "x", "x"), True),
        ("Conv2D", ("c", "x"), False),
        ("Reshape", ("x", "c"), False),
        ("Pad", ("x", "c"), False),
        ("NoOp", ("^c",), False),
        ("Neverheard", ("c",), False),
    ],
)
def test_it_depends_on_who_takes_it(tmp_path: Path, operation: str, inputs: tuple[str, ...], weight: bool) -> None:
    model = model_of(tmp_path, constant("c"), wire.node("user", operation, *inputs))
    assert bool(shown(model)) == weight
    assert [extra.key for extra in model.extras] == ([] if weight else ["c"])


def test_shapes_axes_and_scalars_are_none(tmp_path: Path) -> None:
    scalar = wire.const("one", wire.floats(FOUR[:4]))
    single = wire.const("few", wire.floats(FOUR[:4], 1))
    users = [wire.node(f"m{name}", "Mul", "x", name) for name in ("one", "few", "axis")]
    model = model_of(tmp_path, scalar, single, integers("axis"), *users)
    assert not shown(model)
    assert {note.text for note in model.notes if "shapes" in note.text} == {
        "3 of 3 constants are shapes, axes, scalars or the like, and are shown as extras"
    }


def test_what_passes_it_on_is_looked_through_and_cycles_end(tmp_path: Path) -> None:
    passing = [wire.node("a", "Cast", "c"), wire.node("b", "Reshape", "a", "x"), wire.node("d", "Enter", "b")]
    passing.append(wire.node("m", "MatMul", "x", "d"))
    assert shown(model_of(tmp_path, constant("c"), *passing))
    cycle = [wire.node("a", "Identity", "c", "b"), wire.node("b", "Identity", "a")]
    assert not shown(model_of(tmp_path, constant("c"), *cycle))


def test_constants_of_functions_have_addresses_of_their_own(tmp_path: Path) -> None:
    body = (constant("w", 2, 2), wire.node("y", "MatMul", "x", "w:output:0"))
    function = wire.data(1, wire.data(1, wire.data(1, "f")), *(wire.data(3, part[2:]) for part in body))
    model = model_of(tmp_path, constant("w", 2, 2), wire.data(2, function))
    assert shown(model) == {"f/w": "f::w"}
    assert [key for key, _ in model.tensors()] == ["w", "f::w"]
    assert [extra.key for extra in model.extras] == ["w"]


def test_what_looks_like_a_slot_is_not_lost(tmp_path: Path) -> None:
    parts = [part for name in ("v", "v/Adam") for part in (constant(name), wire.node(f"{name}/read", "Identity", name))]
    model = model_of(tmp_path, *parts)
    assert shown(model) == {"v": "v"}
    assert [extra.key for extra in model.extras] == ["v/Adam"]


def test_variables_whose_values_are_elsewhere_are_said(tmp_path: Path) -> None:
    model = model_of(tmp_path, wire.node("v", "VarHandleOp"))
    assert any("has 1 variables whose values are not in it" in note.text for note in model.notes)


def test_binary_and_text_hold_the_same() -> None:
    assert kmt.digest(FOLDER / "tensorflow-1.pb") == kmt.digest(FOLDER / "tensorflow-1.pbtxt")
    first, second = (kmt.inspect(FOLDER / f"tensorflow-1.{suffix}") for suffix in ("pb", "pbtxt"))
    assert first.layers == second.layers
    assert first.graph == second.graph


def test_content_stays_in_the_file() -> None:
    model = kmt.read(FOLDER / "tensorflow-2.21.pb")
    assert all(weight.tensor.byte_range is not None for _, weight in model.weights() if weight.tensor.size > 1)


def test_names_given_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(kmt.CorruptFileError, match=r"two constants have the same name \(a\)"):
        model_of(tmp_path, constant("a"), constant("a"))


def test_a_constant_without_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(kmt.CorruptFileError, match=r"a constant has no value \(a\)"):
        model_of(tmp_path, wire.node("a", "Const"))


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_a_graph_cut_short_is_an_error(tmp_path: Path, cut: int) -> None:
    data = (FOLDER / "tensorflow-2.21.pb").read_bytes()
    path = tmp_path / "g.pb"
    path.write_bytes(data[:-cut])
    with pytest.raises(kmt.CorruptFileError, match="the graph is damaged: a field runs past the end; fetch the file again"):
        kmt.read(path)


@pytest.mark.parametrize(
    "data",
    [
        (SAMPLES / "saved_model" / "tf_keras-2.21.0" / "keras_metadata.pb").read_bytes(),
        (SAMPLES / "saved_model" / "tf_keras-2.21.0" / "fingerprint.pb").read_bytes(),
        b"node { calculator: 'PassThrough' }",
        b'name: "net" layer { name: "a" }',
        bytes(range(10, 200)),
    ],
    ids=["keras_metadata", "fingerprint", "mediapipe", "caffe", "bytes"],
)
def test_other_messages_are_no_graphs(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.pb"
    path.write_bytes(data)
    with pytest.raises(kmt.UnknownFormatError):
        kmt.read(path)


def test_names_that_are_not_utf_8_are_kept_and_hashed(tmp_path: Path) -> None:
    path = tmp_path / "g.pb"
    path.write_bytes(wire.node("x", "Placeholder") + constant("ab") + wire.node("ab/read", "Identity", "ab"))
    path.write_bytes(path.read_bytes().replace(b"ab", b"\xff\xfe"))
    (key,) = shown(kmt.read(path)).values()
    assert key.encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert kmt.digest(path).weights
