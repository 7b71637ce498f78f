"""SavedModel's messages, made by hand."""

from __future__ import annotations

import pytest

from kmodel_tools.storage.messages import MessageFile
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.saved_model import TensorInfo, read_meta_graphs, read_metadata
from tests.storage import wire


def info(dtype: int, *parts: bytes) -> bytes:
    return wire.data(2, wire.data(1, "x:0"), wire.number(2, dtype), *parts)


def test_signatures_and_what_else_a_graph_has() -> None:
    signature = wire.data(
        5,
        wire.data(1, "serving_default"),
        wire.data(
            2,
            wire.data(1, wire.data(1, "x"), info(1, wire.data(3, wire.shape((1 << 64) - 1, 3)))),
            wire.data(1, wire.data(1, "r"), info(20, wire.data(3, wire.number(3, 1)))),
            wire.data(2, wire.data(1, "y"), info(77)),
            wire.data(3, "predict"),
        ),
    )
    variable = wire.data(4, wire.data(1, "variables"), wire.data(2, wire.data(2, wire.data(1, wire.data(1, "a/b:0")))))
    partition = wire.data(
        4, wire.data(1, "parts"), wire.data(2, wire.data(2, wire.data(1, wire.data(1, "v/part_0:0"), wire.data(4, wire.data(1, "v")))))
    )
    damaged = wire.data(4, wire.data(1, "odd"), wire.data(2, wire.data(2, wire.data(1, b"\x0f"))))
    asset = wire.data(6, wire.data(2, "words.txt"))
    (meta,) = read_meta_graphs(MessageFile(wire.saved_model(signature, variable, partition, damaged, asset, asset)))
    assert meta.tags == ("serve",)
    assert meta.tensorflow_version == "2.0.0"
    (found,) = meta.signatures
    assert (found.name, found.method) == ("serving_default", "predict")
    assert found.inputs == {"x": TensorInfo("float32", (-1, 3)), "r": TensorInfo("resource", None)}
    assert found.outputs == {"y": TensorInfo("type 77", None)}
    assert meta.variables("variables") == ("a/b",)
    assert meta.variables("parts") == ("v",)
    assert meta.variables("odd") == ()
    assert meta.variables("none") == ()
    assert meta.assets == ("words.txt",)
    assert meta.objects == ()


def test_objects() -> None:
    objects = (
        wire.saved_object(("a", 1), ("root", 0), user=("_tf_keras_layer", "{}"))
        + wire.saved_object(variable=True)
        + wire.saved_object(variable=False)
    )
    (meta,) = read_meta_graphs(MessageFile(wire.saved_model(objects=objects)))
    assert [item.children for item in meta.objects] == [(("a", 1), ("root", 0)), (), ()]
    assert [item.variable for item in meta.objects] == [None, True, False]
    assert (meta.objects[0].identifier, meta.objects[0].metadata) == ("_tf_keras_layer", "{}")


def test_an_edge_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(WireError, match="does not have"):
        read_meta_graphs(MessageFile(wire.saved_model(objects=wire.saved_object(("a", 7)))))
    with pytest.raises(WireError, match="does not have"):
        read_meta_graphs(MessageFile(wire.saved_model(objects=wire.saved_object(("a", (1 << 64) - 1)))))


def test_other_messages_are_refused() -> None:
    with pytest.raises(WireError, match="field 3"):
        read_meta_graphs(MessageFile(wire.data(3, "x")))
    with pytest.raises(WireError, match="field 2"):
        read_metadata(MessageFile(wire.data(2, "x")))


def test_keras_metadata() -> None:
    (found,) = read_metadata(
        MessageFile(wire.data(1, wire.number(2, 4), wire.data(3, "root.a"), wire.data(4, "_tf_keras_layer"), wire.data(5, "{}")))
    )
    assert (found.number, found.path, found.identifier, found.metadata) == (4, "root.a", "_tf_keras_layer", "{}")
