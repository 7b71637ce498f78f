"""Frozen graphs of TensorFlow (`.pb`, `.pbtxt`): a GraphDef whose variables were turned into constants.

Every constant of the graph and of its functions is in the inventory. Which of them are weights is concluded (`_is_weight`)::

    it was a variable       TF1: scope/weights, read by the Identity scope/weights/read
                            TF2: scope/MatMul/ReadVariableOp/resource, read by scope/MatMul/ReadVariableOp
    an operation takes it   real numbers, more than one, at a place where layers have weights: MatMul's second input …
                            directly, or through what only casts, reshapes or passes it on

The rest are shapes, axes, bounds and the like, and stay extras. A weight's path is its name; one of TF2, which is named for
the operation that reads it, is called by its part there: scope/kernel.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.format import Container, Format, Part, Probe
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.storage.graph_def import CONST, Node, constant_tensor, count_operations, is_graph_def, iter_nodes
from kmodel_tools.storage.messages import MessageFile
from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.saved_model import HEAD
from kmodel_tools.storage.text_proto import to_wire
from kmodel_tools.tensor import ByteRange, Tensor
from kmodel_tools.tree import Graph, Layer, Model, Note, Operations, Weight, make_from_below

MAX_NODES = 5_000_000
TEXT_LIMIT = 64 << 20

_TEXT_HEAD = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:node|library|versions)\s*:?\s*[{<]")
_TEXT_NODE = re.compile(rb'node\s*:?\s*[{<]\s*name\s*:\s*["\'][^"\']*["\']\s*[,;]?\s*op\s*:\s*["\'][A-Za-z_][\w>]*["\']')
_READ = re.compile(r"/ReadVariableOp(_\d+)?$")
_RESOURCE = "/resource"

_PASSES_ON = frozenset(
    {"Identity", "ReadVariableOp", "Enter", "Cast", "Dequantize", "Reshape", "Transpose", "ExpandDims", "Squeeze", "StopGradient"}
    | {"Snapshot", "Split", "SplitV", "Unpack", "QuantizeAndDequantizeV2"}
    | {"FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel"}
)
_NORMALISATION = {1: "gamma", 2: "beta", 3: "moving_mean", 4: "moving_variance"}
_TAKES: Mapping[str, Mapping[int, str]] = {
    "MatMul": {0: "", 1: "kernel"},
    "BatchMatMul": {0: "", 1: "kernel"},
    "BatchMatMulV2": {0: "", 1: "kernel"},
    "BatchMatMulV3": {0: "", 1: "kernel"},
    "SparseMatMul": {0: "", 1: "kernel"},
    "Einsum": {0: "", 1: "kernel"},
    "Conv1D": {1: "kernel"},
    "Conv2D": {1: "kernel"},
    "Conv3D": {1: "kernel"},
    "Conv": {1: "kernel"},
    "DepthwiseConv2dNative": {1: "kernel"},
    "Conv2DBackpropInput": {1: "kernel"},
    "Conv3DBackpropInputV2": {1: "kernel"},
    "Dilation2D": {1: "kernel"},
    "BiasAdd": {1: "bias"},
    "BiasAddV1": {1: "bias"},
    "FusedBatchNorm": _NORMALISATION,
    "FusedBatchNormV2": _NORMALISATION,
    "FusedBatchNormV3": _NORMALISATION,
    "_FusedConv2D": {1: "kernel", 2: "", 3: "", 4: "", 5: ""},
    "_FusedMatMul": {1: "kernel", 2: "", 3: ""},
    "_FusedBatchNormEx": _NORMALISATION,
    "QuantizedConv2D": {1: ""},
    "QuantizedMatMul": {1: ""},
    "Gather": {0: "embeddings"},
    "GatherV2": {0: "embeddings"},
    "BlockLSTM": {4: "", 5: "", 6: "", 7: "", 8: ""},
    "BlockLSTMV2": {4: "", 5: "", 6: "", 7: "", 8: ""},
    "LSTMBlockCell": {3: "", 4: "", 5: "", 6: "", 7: ""},
    "GRUBlockCell": {2: "", 3: "", 4: "", 5: ""},
    "CudnnRNN": {3: ""},
    "CudnnRNNV2": {3: ""},
    "CudnnRNNV3": {3: ""},
    "Mul": {0: "", 1: ""},
    "Add": {0: "", 1: ""},
    "AddV2": {0: "", 1: ""},
    "Sub": {0: "", 1: ""},
    "RealDiv": {0: "", 1: ""},
}
"""Inputs of operations that layers feed weights to, and the role there, where it is certain."""

Use = tuple[Node, int]
"""An operation that takes a value, and as which of its inputs."""


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """The graph, in its file."""

    stored: ByteRange
    is_text: bool

    def operations(self) -> Operations:
        """Count the operations; reads the whole graph.

        Raises:
            CorruptFileError: It is damaged.
        """
        try:
            file = _open(self.stored, self.is_text)
            counts, functions = count_operations(file, file.whole)
        except WireError as error:
            raise _damaged(error, self.stored.path) from error
        return Operations(dict(counts), functions)


def detect(probe: Probe) -> str | None:
    """Say in which form a frozen graph is there, or None."""
    if probe.head.startswith(HEAD):
        return None
    if _TEXT_HEAD.match(probe.head):
        return "text" if _TEXT_NODE.search(probe.head) else None
    return "binary" if is_graph_def(MessageFile(probe.range)) else None


def read(probe: Probe) -> Model:
    """Describe the constants of a frozen graph.

    Raises:
        CorruptFileError: It is damaged.
        UnsupportedFeatureError: A constant's elements are of an unknown type, or the graph is larger than any.
    """
    is_text = detect(probe) == "text"
    try:
        file = _open(probe.range, is_text)
        nodes = list(_bounded(iter_nodes(file, file.whole), probe.path))
    except WireError as error:
        raise _damaged(error, probe.path) from error
    constants = _constants(file, nodes, probe.path)
    uses = _uses(nodes, constants)
    separable = _separable(nodes)
    names = {key: _path(node, uses[key], separable) for key, (node, tensor) in constants.items() if _is_weight(node, tensor, uses[key])}
    model = _tree(names, constants)
    shown = {weight.key for _, weight in model.weights()}
    extras = tuple(Weight(key, tensor, key) for key, (_, tensor) in constants.items() if key not in shown)
    return replace(
        model,
        format=FORMAT.name,
        extras=extras,
        metadata={"dialect": "as text"} if is_text else {},
        graph=Graph((), (), StoredGraph(probe.range, is_text)),
        notes=tuple(_notes(nodes, len(shown), len(extras))),
        inventory=tuple((key, tensor) for key, (_, tensor) in constants.items()),
    )


def _open(stored: ByteRange, is_text: bool) -> MessageFile:
    if not is_text:
        return MessageFile(stored)
    if stored.length > TEXT_LIMIT:
        raise UnsupportedFeatureError(f"a graph as text of {stored.length} bytes", path=stored.path, cure="convert it to its binary form")
    return MessageFile(to_wire(stored.read(), "GraphDef"))


def _damaged(error: WireError, path: str) -> CorruptFileError:
    return CorruptFileError(f"the graph is damaged: {error}", path=path, cure="fetch the file again")


def _bounded(nodes: Iterable[Node], path: str) -> Iterator[Node]:
    for count, node in enumerate(nodes):
        if count >= MAX_NODES:
            raise UnsupportedFeatureError(f"more than {MAX_NODES} operations", path=path)
        yield node


def _constants(file: MessageFile, nodes: Sequence[Node], path: str) -> dict[str, tuple[Node, Tensor]]:
    found: dict[str, tuple[Node, Tensor]] = {}
    for node in nodes:
        if node.op != CONST:
            continue
        if node.value is None:
            raise CorruptFileError("a constant has no value", path=path, where=node.key)
        if node.key in found:
            raise CorruptFileError("two constants have the same name", path=path, where=node.key)
        found[node.key] = node, constant_tensor(file, node.value, path, node.key)
    return found


def _notes(nodes: Sequence[Node], weights: int, others: int) -> Iterator[Note]:
    total = weights + others
    if weights:
        yield Note("inferred", f"{weights} of {total} constants were variables or feed operations as weights do, and are shown as weights")
    if others:
        yield Note("inferred", f"{others} of {total} constants are shapes, axes, scalars or the like, and are shown as extras")
    variables = sum(node.op in ("VarHandleOp", "VariableV2", "Variable") for node in nodes)
    if variables:
        yield Note("unread", f"the graph has {variables} variables whose values are not in it: look for the checkpoint that belongs to it")
    yield Note("unread", "a graph holds no Keras architecture: layers are the scopes of its constants' names")


# Which constants are weights.


def _uses(nodes: Sequence[Node], constants: Mapping[str, tuple[Node, Tensor]]) -> dict[str, list[Use]]:
    """Who takes each constant, directly or passed on, nearest first; the one that passes it on is listed, too."""
    takers: dict[tuple[str, str], list[Use]] = {}
    for node in nodes:
        for index, name in enumerate(node.inputs):
            if not name.startswith("^"):
                takers.setdefault((node.function, name.partition(":")[0]), []).append((node, index))
    found: dict[str, list[Use]] = {}
    for key, (constant, _) in constants.items():
        listed = found[key] = list(takers.get((constant.function, constant.name), ()))
        seen = {constant.name}
        for user, _ in listed:  # grows while it is walked
            if user.op in _PASSES_ON and user.name not in seen:
                seen.add(user.name)
                listed.extend(takers.get((user.function, user.name), ()))
    return found


def _was_variable(node: Node, uses: Sequence[Use]) -> bool:
    readers = {f"{node.name}/read", node.name.removesuffix(_RESOURCE)} - {node.name}
    return any(user.name in readers and user.op in ("Identity", "ReadVariableOp") for user, _ in uses)


def _is_weight(node: Node, tensor: Tensor, uses: Sequence[Use]) -> bool:
    """Whether a constant is a weight, by the rules above."""
    if _was_variable(node, uses):
        return True
    if not tensor.dtype.is_float or not tensor.shape or tensor.size < 2:
        return False
    return any(index in _TAKES.get(user.op, {}) for user, index in uses)


# What they are called.


def _separable(nodes: Sequence[Node]) -> dict[tuple[str, str], tuple[str, str]]:
    """The scope and role of the kernels of separable convolutions, by the function and name of the operation that takes them.

    `SeparableConv2D` calls `tf.nn.separable_conv2d` under a name of its own (`layer/separable_conv2d`), and that makes both
    operations (TensorFlow `python/ops/nn_impl.py`, `separable_conv2d`)::

        layer/separable_conv2d/depthwise   DepthwiseConv2dNative
        layer/separable_conv2d             Conv2D of it
    """
    depthwise = {(node.function, node.name) for node in nodes if node.op == "DepthwiseConv2dNative"}
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for node in nodes:
        below = (node.function, f"{node.name}/depthwise")
        if node.op == "Conv2D" and below in depthwise and any(name.partition(":")[0] == below[1] for name in node.inputs[:1]):
            scope = node.name.rpartition("/")[0]
            found[node.function, node.name] = scope, "pointwise_kernel"
            found[below] = scope, "depthwise_kernel"
    return found


def _path(node: Node, uses: Sequence[Use], separable: Mapping[tuple[str, str], tuple[str, str]]) -> str:
    """A weight's path as text: its name, or that of its part in the operation that reads it."""
    own = f"{node.function}/{node.name}" if node.function else node.name
    base = own.removesuffix(_RESOURCE)
    if not _READ.search(base):
        return base
    taken = {
        separable.get((user.function, user.name), (user.name.rpartition("/")[0], role))
        for user, index in uses
        if (role := _TAKES.get(user.op, {}).get(index))
    }
    if len(taken) != 1:
        return base
    scope, role = taken.pop()
    return "/".join(part for part in (node.function, scope, role) if part)


def _tree(names: Mapping[str, str], constants: Mapping[str, tuple[Node, Tensor]]) -> Model:
    """Layers by scopes; where two weights would get one path, both keep their names, and what looks like a slot is no weight."""
    counts = Counter(names.values())
    keys: dict[str, str] = {}
    for key, path in names.items():
        keys[path if counts[path] == 1 and path not in keys else key] = key
    model = read_variables({path: constants[key][1] for path, key in keys.items()})
    scopes = make_from_below(model.layers, lambda layer: layer.layers, lambda layer, below: _with_keys(layer, below, keys))
    return replace(model, layers=scopes, own_weights=_keyed(model.own_weights, keys), optimizer=None)


def _with_keys(layer: Layer, below: tuple[Layer, ...], keys: Mapping[str, str]) -> Layer:
    return replace(layer, weights=_keyed(layer.weights, keys), layers=below)


def _keyed(weights: Sequence[Weight], keys: Mapping[str, str]) -> tuple[Weight, ...]:
    """The weights under their addresses in the file."""
    return tuple(replace(weight, key=keys[weight.key]) for weight in weights)


FORMAT = Format(
    name="graph-def",
    title="frozen TensorFlow graph",
    suffixes=(".pb", ".pbtxt"),
    containers=frozenset({Container.OTHER}),
    holds=Part.WEIGHTS | Part.NAMES,
    detect=detect,
    read=read,
)
