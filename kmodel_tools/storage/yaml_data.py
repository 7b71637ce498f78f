"""YAML as plain data: what JSON could hold, and nothing that a tag asks to be made.

The parser's events are followed with a stack of our own, so that depth costs no recursion; an alias is the same object
again, and counts with all that it holds, so that aliases of aliases end before whoever walks them does not
("billion laughs"). Of tags, those that Python's own plain values are written with are read (`!!python/tuple` as a list),
and NumPy's numbers, which Keras 1 left in some configurations::

    input_dim: !!python/object/apply:numpy.core.multiarray.scalar
    - !!python/object/apply:numpy.dtype {args: [i8, 0, 1], state: !!python/tuple [3, <, null, null, null, -1, -1, 0]}
    - !!binary AwAAAAAAAAA=

Any other is refused: it names something to be imported or called.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kmodel_tools.errors import CorruptFileError, MissingDependencyError, UnsupportedFeatureError

if TYPE_CHECKING:
    from types import ModuleType

LIMIT = 16 << 20
MAX_DEPTH = 500
MAX_NODES = 5_000_000
"""Values that a document may hold, those behind aliases counted as often as they are reached."""

_YAML = "tag:yaml.org,2002:"
_PLAIN = frozenset({"null", "bool", "int", "float", "str"})
_TEXT = frozenset({"timestamp", "value", "merge"})
_PYTHON = {
    "python/none": "null",
    "python/bool": "bool",
    "python/int": "int",
    "python/long": "int",
    "python/float": "float",
    "python/str": "str",
    "python/unicode": "str",
    "python/list": "seq",
    "python/tuple": "seq",
    "python/dict": "map",
}
_SCALARS = frozenset({f"python/object/apply:numpy.{core}.multiarray.scalar" for core in ("core", "_core")})
_DTYPE = "python/object/apply:numpy.dtype"
_NUMBERS = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d"}
_ORDERS = {"<": "<", ">": ">", "|": "<", "=": "<"}


@dataclass(slots=True)
class _Node:
    """A list or a mapping that is being filled."""

    value: Any
    tag: str
    anchor: str | None
    key: str | None = None
    size: int = 1


@dataclass(slots=True)
class _Builder:
    yaml: ModuleType
    path: str
    stack: list[_Node] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    top: Any = None
    documents: int = 0


def parse_yaml(text: str, path: str) -> Any:
    """Parse a YAML text into dictionaries, lists, text and numbers.

    Raises:
        CorruptFileError: It is not YAML, holds several documents, refers to itself, or is deeper or larger than any configuration is.
        UnsupportedFeatureError: A tag asks for a Python object.
        MissingDependencyError: pyyaml is not installed.
    """
    if len(text) > LIMIT:
        raise CorruptFileError(f"a YAML document of more than {LIMIT >> 20} MiB is larger than any model's", path=path)
    builder = _Builder(_module(), path)
    loader = getattr(builder.yaml, "CSafeLoader", builder.yaml.SafeLoader)(text)
    try:
        while loader.check_event():
            _follow(builder, loader, loader.get_event())
    except (builder.yaml.YAMLError, ValueError, RecursionError) as error:
        raise CorruptFileError(f"is not a YAML document: {' '.join(str(error).split())}", path=path) from error
    finally:
        loader.dispose()
    return builder.top


def yaml_text(document: Any) -> str:
    """Write dictionaries, lists, text and numbers as YAML: a line for each, keys by the alphabet, as `model.to_yaml()` did.

    Raises:
        ValueError: It holds something else, or is nested deeper than can be written.
        MissingDependencyError: pyyaml is not installed.
    """
    yaml = _module()
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    try:
        text: str = yaml.dump(document, Dumper=dumper, default_flow_style=False)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    return text


def _follow(builder: _Builder, loader: Any, event: Any) -> None:
    events = builder.yaml.events
    if isinstance(event, events.DocumentStartEvent):
        builder.documents += 1
        if builder.documents > 1:
            raise CorruptFileError("holds several YAML documents", path=builder.path)
    elif isinstance(event, events.AliasEvent):
        if event.anchor not in builder.anchors:
            raise CorruptFileError(f"the alias *{event.anchor} stands inside of what it repeats, or before it", path=builder.path)
        _add(builder, *builder.anchors[event.anchor])
    elif isinstance(event, events.ScalarEvent):
        value = _scalar(builder, loader, event)
        if event.anchor is not None:
            builder.anchors[event.anchor] = (value, 1)
        _add(builder, value, 1)
    elif isinstance(event, events.CollectionStartEvent):
        if len(builder.stack) >= MAX_DEPTH:
            raise CorruptFileError(f"YAML nested more than {MAX_DEPTH} deep", path=builder.path)
        is_map = isinstance(event, events.MappingStartEvent)
        tag = _tag(builder, event.tag or _YAML + ("map" if is_map else "seq"), event)
        if tag not in (("map", _DTYPE) if is_map else ("seq", *_SCALARS)):
            raise _refused(builder, tag, event)
        builder.anchors.pop(event.anchor, None)
        builder.stack.append(_Node({} if is_map else [], tag, event.anchor))
    elif isinstance(event, events.CollectionEndEvent):
        node = builder.stack.pop()
        value = _number(builder, node.value, event) if node.tag in _SCALARS else node.value
        if node.anchor is not None:
            builder.anchors[node.anchor] = (value, node.size)
        _add(builder, value, node.size)


def _add(builder: _Builder, value: Any, size: int) -> None:
    """Put a finished value where it belongs."""
    if not builder.stack:
        builder.top = value
        return
    node = builder.stack[-1]
    node.size += size
    if node.size > MAX_NODES:
        raise CorruptFileError(f"YAML of more than {MAX_NODES:,} values, those behind aliases counted", path=builder.path)
    if isinstance(node.value, list):
        node.value.append(value)
    elif node.key is None:
        if isinstance(value, (dict, list)):
            raise CorruptFileError("a key of a YAML mapping is no name", path=builder.path)
        node.key = _key(value)
    else:
        node.value[node.key] = value
        node.key = None


def _key(value: Any) -> str:
    """A key as JSON has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else repr(value)


def _scalar(builder: _Builder, loader: Any, event: Any) -> Any:
    node = builder.yaml.ScalarNode
    tag = event.tag
    if tag is None or tag == "!":
        tag = loader.resolve(node, event.value, event.implicit)
    tag = _tag(builder, tag, event)
    if tag in _TEXT:
        return event.value
    if tag == "binary":
        return _binary(builder, event.value, event)
    if tag not in _PLAIN:
        raise _refused(builder, tag, event)
    return loader.construct_object(node(_YAML + tag, event.value, event.start_mark, event.end_mark))


def _tag(builder: _Builder, tag: str, event: Any) -> str:
    if not tag.startswith(_YAML):
        raise _refused(builder, tag, event)
    own = tag.removeprefix(_YAML)
    return _PYTHON.get(own, own)


def _binary(builder: _Builder, text: str, event: Any) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise CorruptFileError("a !!binary value is not base64", path=builder.path, where=_line(event)) from error


def _number(builder: _Builder, value: Any, event: Any) -> Any:
    """One of NumPy's numbers: its kind, and its bytes."""
    kind, data = value if len(value) == 2 else (None, None)
    args = kind.get("args") if isinstance(kind, dict) else None
    state = kind.get("state") if isinstance(kind, dict) else None
    code = _NUMBERS.get(args[0]) if isinstance(args, list) and args and isinstance(args[0], str) else None
    order = _ORDERS.get(state[1]) if isinstance(state, list) and len(state) > 1 and isinstance(state[1], str) else None
    if code is None or order is None or not isinstance(data, bytes) or len(data) != struct.calcsize(order + code):
        raise UnsupportedFeatureError("a number of NumPy's that is not understood", path=builder.path, where=_line(event))
    return struct.unpack(order + code, data)[0]


def _refused(builder: _Builder, tag: str, event: Any) -> UnsupportedFeatureError:
    problem = f"asks for a Python object ({tag.removeprefix(_YAML)}), and nothing that a file names is imported or called"
    cure = "write the architecture as JSON with the Keras that it is of: model.to_json()"
    return UnsupportedFeatureError(problem, path=builder.path, where=_line(event), cure=cure)


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"


def _module() -> ModuleType:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError("pyyaml", "yaml", "an architecture in YAML") from error
    return yaml
