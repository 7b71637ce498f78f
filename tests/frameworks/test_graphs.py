"""SavedModels and frozen graphs against TensorFlow's own reading of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.tensor import DType
from kmodel_tools.tree import join_path
from tests.conftest import SAMPLES
from tests.frameworks import making

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]

SAVED = sorted(path for path in (SAMPLES / "saved_model").iterdir() if (path / "saved_model.pb").is_file())
FROZEN = sorted((SAMPLES / "graph_def").glob("*.pb"))


def saved_model(path: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())


def graph_def(path: Path) -> Any:
    return tf.compat.v1.GraphDef.FromString(path.read_bytes())


def all_nodes(graph: Any) -> list[tuple[str, Any]]:
    nodes = [(node.name, node) for node in graph.node]
    return nodes + [(f"{item.signature.name}::{node.name}", node) for item in graph.library.function for node in item.node_def]


def same(tensor: kmt.Tensor, value: np.ndarray[Any, Any]) -> bool:
    found = tensor.read()
    if tensor.dtype is DType.STRING:
        return bool(found.tolist() == value.tolist())
    return found.shape == value.shape and found.tobytes() == value.tobytes()


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.name)
def test_every_constant_is_as_tensorflow_decodes_it(path: Path) -> None:
    expected = {key: tf.make_ndarray(node.attr["value"].tensor) for key, node in all_nodes(graph_def(path)) if node.op == "Const"}
    found = dict(kmt.read(path).tensors())
    assert found.keys() == expected.keys()
    for key, tensor in found.items():
        assert same(tensor, expected[key]), key


VALUES = [
    np.arange(6, dtype=dtype).reshape(2, 3)
    for dtype in ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
]
VALUES += [np.array([[True, False]]), np.array([1 + 2j, 3], "complex64"), np.array([1 + 2j], "complex128"), np.zeros((0, 3), "float32")]
VALUES += [np.array(-3, "int32"), np.array(2.5, "float16"), np.array([b"one", b"", b"\xff\x00"], dtype=object)]
VALUES += [np.full((40,), 7, "int32"), np.full((50, 2), -1.5, "float32")]


def test_constants_of_every_type(tmp_path: Path) -> None:
    """Written by TensorFlow in each of its ways: as content, in typed fields, and with a last value that repeats."""
    graph = tf.compat.v1.GraphDef()
    expected = {}
    values = [*VALUES, tf.cast([1.5, -2], tf.bfloat16).numpy(), tf.cast([0.5, 3], tf.dtypes.experimental.float8_e5m2).numpy()]
    for index, value in enumerate(values):
        node = graph.node.add(name=f"c{index}", op="Const")
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        expected[f"c{index}"] = value
        if value.dtype in (np.float32, np.int32) and value.size:
            typed = graph.node.add(name=f"t{index}", op="Const").attr["value"].tensor
            typed.dtype = tf.as_dtype(value.dtype).as_datatype_enum
            typed.tensor_shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
            flat = value.ravel()
            last = len(flat) if len(set(flat.tolist())) > 1 else 1
            (typed.float_val if value.dtype == np.float32 else typed.int_val).extend(flat[:last].tolist())
            expected[f"t{index}"] = tf.make_ndarray(typed)
    binary, text = tmp_path / "graph.pb", tmp_path / "graph.pbtxt"
    binary.write_bytes(graph.SerializeToString())
    text.write_text(str(graph))
    for path in (binary, text):
        found = dict(kmt.read(path).tensors())
        assert found.keys() == expected.keys()
        for key, tensor in found.items():
            assert same(tensor, np.asarray(expected[key])), f"{path.name}: {key}"


CASES = ("BatchNormalization", "Conv2D", "LSTM", "MultiHeadAttention", "Embedding", "model-nested", "SeparableConv2D")


@pytest.mark.parametrize("name", CASES)
def test_a_frozen_model_keeps_every_weight_of_the_live_one(name: str, tmp_path: Path) -> None:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    keras = making.framework("tf_keras")
    case = next(case for framework, case in making.CASES if framework == "tf_keras" and case.name == name)
    model = making.trained(case, keras)
    specs = [tf.TensorSpec((None, *item.shape[1:]), item.dtype) for item in model.inputs]
    concrete = tf.function(lambda *given: model(given if len(given) > 1 else given[0], training=False)).get_concrete_function(*specs)
    path = tmp_path / "frozen.pb"
    path.write_bytes(convert_variables_to_constants_v2(concrete).graph.as_graph_def().SerializeToString())
    found = Counter(weight.tensor.read().tobytes() for _, weight in kmt.read(path).weights())
    wanted = Counter(np.asarray(value).tobytes() for value in model.get_weights())
    assert not wanted - found, "a weight of the live model is missing"


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.name)
def test_signatures_operations_and_trainability_are_tensorflows(path: Path) -> None:
    (meta,) = saved_model(path).meta_graphs
    model = kmt.read(path)
    summary = kmt.inspect(model)
    assert summary.graph is not None
    assert summary.graph.operations == dict(Counter(node.op for _, node in all_nodes(meta.graph_def)))
    assert summary.graph.functions == len(meta.graph_def.library.function)
    assert list(summary.graph.tags) == list(meta.meta_info_def.tags)
    assert {item.name for item in summary.graph.signatures} == set(meta.signature_def) - {"__saved_model_init_op"}
    for signature in summary.graph.signatures:
        stated = meta.signature_def[signature.name]
        for arguments, infos in ((signature.inputs, stated.inputs), (signature.outputs, stated.outputs)):
            expected = {
                (name, tf.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim)) for name, info in infos.items()
            }
            assert set(arguments) == expected


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.name)
def test_a_saved_model_as_text_is_the_same_model(path: Path, tmp_path: Path) -> None:
    import shutil

    from google.protobuf import text_format  # type: ignore[import-untyped]  # it has no types

    copy = Path(shutil.copytree(path, tmp_path / "model"))
    (copy / "saved_model.pb").unlink()
    (copy / "saved_model.pbtxt").write_text(text_format.MessageToString(saved_model(path)))
    first, second = kmt.inspect(path), kmt.inspect(copy)
    assert first == second
    assert kmt.read(path).architecture == kmt.read(copy).architecture


def test_a_module_says_what_is_trained_and_keeps_attributes(tmp_path: Path) -> None:
    class Part(tf.Module):  # type: ignore[misc, name-defined]  # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable([[1.0, 2.0]], name="something")
            self.steps = tf.Variable(3, trainable=False)

    root = tf.Module()
    root.first, root.parts = Part(), [Part(), Part()]
    tf.saved_model.save(root, str(tmp_path / "m"))
    model = kmt.read(tmp_path / "m")
    assert {(join_path(path), weight.trainable) for path, weight in model.weights()} == {
        (f"{layer}/{role}", role == "kernel") for layer in ("first", "parts/0", "parts/1") for role in ("kernel", "steps")
    }


def test_names_that_need_escapes_survive(tmp_path: Path) -> None:
    root = tf.train.Checkpoint(**{"a/b.c": tf.Variable(1.0), "ü\n": tf.Variable(2.0)})
    tf.saved_model.save(root, str(tmp_path / "m"))
    assert sorted(path for path, _ in kmt.read(tmp_path / "m").weights()) == [("a/b.c",), ("ü\n",)]
