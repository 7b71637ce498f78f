"""Protocol-buffer text format (`saved_model.pbtxt`, `graph.pbtxt`), turned into the bytes that the binary format has.

::

    node {                        a message: braces, or < >; the colon before them may be there
      name: "conv1\\303\\244"       strings side by side are one string; escapes as in C, octal ones are bytes
      attr { key: "value" … }     an entry of a map
      dim: [1, 2]  # text         a list is the field several times
    }

Only the fields of the messages that are read here are known (numbers from the .proto files named in `saved_model` and
`graph_def`); what is not known is parsed and left out, as is every enum but the element type.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from kmodel_tools.storage.protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError

MAX_DEPTH = 1000
"""Messages nested deeper are no graph."""

# TensorFlow's `core/framework/types.proto`.
DTYPES = {
    "DT_FLOAT": 1,
    "DT_DOUBLE": 2,
    "DT_INT32": 3,
    "DT_UINT8": 4,
    "DT_INT16": 5,
    "DT_INT8": 6,
    "DT_STRING": 7,
    "DT_COMPLEX64": 8,
    "DT_INT64": 9,
    "DT_BOOL": 10,
    "DT_QINT8": 11,
    "DT_QUINT8": 12,
    "DT_QINT32": 13,
    "DT_BFLOAT16": 14,
    "DT_QINT16": 15,
    "DT_QUINT16": 16,
    "DT_UINT16": 17,
    "DT_COMPLEX128": 18,
    "DT_HALF": 19,
    "DT_RESOURCE": 20,
    "DT_VARIANT": 21,
    "DT_UINT32": 22,
    "DT_UINT64": 23,
    "DT_FLOAT8_E5M2": 24,
    "DT_FLOAT8_E4M3FN": 25,
    "DT_INT4": 29,
    "DT_UINT4": 30,
}

Schema = Mapping[str, tuple[int, str]]
"""Number and kind of a message's fields by name; a kind is a scalar's (`int`, `float`, `bytes` …) or a message's name."""

MESSAGES: Mapping[str, Schema] = {
    "SavedModel": {"saved_model_schema_version": (1, "int"), "meta_graphs": (2, "MetaGraphDef")},
    "MetaGraphDef": {
        "meta_info_def": (1, "MetaInfoDef"),
        "graph_def": (2, "GraphDef"),
        "collection_def": (4, "CollectionEntry"),
        "signature_def": (5, "SignatureEntry"),
        "asset_file_def": (6, "AssetFileDef"),
        "object_graph_def": (7, "SavedObjectGraph"),
    },
    "MetaInfoDef": {"tags": (4, "bytes"), "tensorflow_version": (5, "bytes")},
    "CollectionEntry": {"key": (1, "bytes"), "value": (2, "CollectionDef")},
    "CollectionDef": {"node_list": (1, "ValueList"), "bytes_list": (2, "ValueList")},
    "ValueList": {"value": (1, "bytes")},
    "AssetFileDef": {"filename": (2, "bytes")},
    "SignatureEntry": {"key": (1, "bytes"), "value": (2, "SignatureDef")},
    "SignatureDef": {"inputs": (1, "TensorInfoEntry"), "outputs": (2, "TensorInfoEntry"), "method_name": (3, "bytes")},
    "TensorInfoEntry": {"key": (1, "bytes"), "value": (2, "TensorInfo")},
    "TensorInfo": {"name": (1, "bytes"), "dtype": (2, "dtype"), "tensor_shape": (3, "TensorShapeProto")},
    "TensorShapeProto": {"dim": (2, "Dim"), "unknown_rank": (3, "bool")},
    "Dim": {"size": (1, "int"), "name": (2, "bytes")},
    "GraphDef": {"node": (1, "NodeDef"), "library": (2, "FunctionDefLibrary"), "versions": (4, "VersionDef"), "version": (3, "int")},
    "VersionDef": {"producer": (1, "int"), "min_consumer": (2, "int")},
    "NodeDef": {"name": (1, "bytes"), "op": (2, "bytes"), "input": (3, "bytes"), "device": (4, "bytes"), "attr": (5, "AttrEntry")},
    "AttrEntry": {"key": (1, "bytes"), "value": (2, "AttrValue")},
    "AttrValue": {"tensor": (8, "TensorProto")},
    "TensorProto": {
        "dtype": (1, "dtype"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "float"),
        "double_val": (6, "double"),
        "int_val": (7, "int"),
        "string_val": (8, "bytes"),
        "scomplex_val": (9, "float"),
        "int64_val": (10, "int"),
        "bool_val": (11, "bool"),
        "dcomplex_val": (12, "double"),
        "half_val": (13, "int"),
        "uint32_val": (16, "int"),
        "uint64_val": (17, "int"),
    },
    "FunctionDefLibrary": {"function": (1, "FunctionDef")},
    "FunctionDef": {"signature": (1, "OpDef"), "node_def": (3, "NodeDef")},
    "OpDef": {"name": (1, "bytes")},
    "SavedObjectGraph": {"nodes": (1, "SavedObject")},
    "SavedObject": {"children": (1, "ObjectReference"), "user_object": (4, "SavedUserObject"), "variable": (7, "SavedVariable")},
    "ObjectReference": {"node_id": (1, "int"), "local_name": (2, "bytes")},
    "SavedUserObject": {"identifier": (1, "bytes"), "metadata": (3, "bytes")},
    "SavedVariable": {"dtype": (1, "dtype"), "shape": (2, "TensorShapeProto"), "trainable": (3, "bool"), "name": (6, "bytes")},
}

_TOKEN = re.compile(
    rb"""[\s,;]*(?:\#[^\n]*(?:\n|\Z)[\s,;]*)*
    (?:(?P<name>[A-Za-z_][\w.]*)|(?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|\.?[0-9][\w.+-]*))|(?P<mark>[{}<>\[\]:/-])
    |"(?P<double>(?:[^"\\\n]|\\.)*)"|'(?P<single>(?:[^'\\\n]|\\.)*)')""",
    re.VERBOSE | re.DOTALL,
)
_REST = re.compile(rb"[\s,;]*(?:#[^\n]*(?:\n|\Z)[\s,;]*)*\Z")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(slots=True)
class _Open:
    """A message whose end has not been reached: its schema (None: unknown), its number in the message around it."""

    schema: Schema | None
    number: int
    close: bytes
    data: bytearray = field(default_factory=bytearray)


def to_wire(text: bytes, message: str) -> bytes:
    """Parse the text of a message and encode it.

    Args:
        text: The text.
        message: What it is: "SavedModel" or "GraphDef".

    Raises:
        WireError: It is not in text format.
    """
    return _Parser(text).run(message)


class _Parser:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0

    def run(self, message: str) -> bytes:
        stack = [_Open(MESSAGES[message], 0, b"")]
        while True:
            token = self._next()
            current = stack[-1]
            if token is None:
                if len(stack) > 1:
                    raise WireError("the text ends inside of a message")
                return bytes(current.data)
            if token["mark"] is not None:
                if token["mark"] != current.close:
                    raise self._unexpected(token)
                stack.pop()
                if current.schema is not None:
                    _add_bytes(stack[-1].data, current.number, bytes(current.data))
                continue
            if token["name"] is None:
                raise self._unexpected(token)
            opened = self._field(current, token["name"].decode())
            if opened is not None:
                stack.append(opened)
                if len(stack) > MAX_DEPTH:
                    raise WireError(f"messages nested more than {MAX_DEPTH} deep")

    def _field(self, current: _Open, name: str) -> _Open | None:
        """Read what stands behind a field's name: its values, which are added, or the start of a message, which is returned."""
        number, kind = (current.schema or {}).get(name, (0, ""))
        token = self._need()
        if token["mark"] == b":":
            token = self._need()
        if token["mark"] in (b"{", b"<"):
            schema = MESSAGES.get(kind)
            return _Open(schema, number, b"}" if token["mark"] == b"{" else b">")
        if token["mark"] == b"[":
            token = self._need()
            while token["mark"] != b"]":
                self._add(current, number, kind, token)
                token = self._need()
            return None
        self._add(current, number, kind, token)
        return None

    def _add(self, current: _Open, number: int, kind: str, token: re.Match[bytes]) -> None:
        if token["mark"] is not None and token["mark"] != b"-":
            raise self._unexpected(token)
        if token["mark"] == b"-":
            text = b"-" + (self._need()["name"] or b"")
        elif token["double"] is not None or token["single"] is not None:
            text = self._string(token)
        else:
            text = token["name"] or token["number"]
        if number:
            _add_value(current.data, number, kind, text)

    def _string(self, token: re.Match[bytes]) -> bytes:
        """A string and those that follow it."""
        parts = []
        while True:
            raw = token["double"] if token["double"] is not None else token["single"]
            parts.append(_ESCAPE.sub(_unescaped, raw) if b"\\" in raw else raw)
            before = self.at
            following = self._next()
            if following is None or (following["double"] is None and following["single"] is None):
                self.at = before
                return b"".join(parts)
            token = following

    def _next(self) -> re.Match[bytes] | None:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            if _REST.match(self.text, self.at):
                return None
            raise WireError(f"cannot be read as text (offset {self.at})")
        self.at = found.end()
        return found

    def _need(self) -> re.Match[bytes]:
        token = self._next()
        if token is None:
            raise WireError("the text ends where a value belongs")
        return token

    def _unexpected(self, token: re.Match[bytes]) -> WireError:
        return WireError(f"{token[0].strip()[:20].decode('utf-8', 'replace')!r} is unexpected (offset {token.start()})")


def _unescaped(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, letter = found.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if short or long:
        code = int(short or long, 16)
        return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b"?"
    return _LETTERS.get(letter, letter)


def _add_value(data: bytearray, number: int, kind: str, text: bytes) -> None:
    try:
        if kind == "bytes":
            _add_bytes(data, number, text)
        elif kind == "float":
            data += _varint(number << 3 | FIXED32) + struct.pack("<f", _float(text))
        elif kind == "double":
            data += _varint(number << 3 | FIXED64) + struct.pack("<d", _float(text))
        elif kind in ("int", "bool", "dtype"):
            data += _varint(number << 3 | VARINT) + _varint(_integer(text, kind) & (1 << 64) - 1)
        else:
            raise WireError(f"has the value {text[:20]!r} where a message belongs")
    except (ValueError, OverflowError) as error:
        raise WireError(f"has the value {text[:20]!r} where a {kind} belongs") from error


def _integer(text: bytes, kind: str) -> int:
    if kind == "dtype" and not text.lstrip(b"-").isdigit():
        name = text.decode()
        return DTYPES.get(name.removesuffix("_REF"), 0) + 100 * name.endswith("_REF")
    if text in (b"true", b"True", b"t"):
        return 1
    if text in (b"false", b"False", b"f"):
        return 0
    if len(text) > 24:
        raise ValueError("longer than any number")
    plain = text.replace(b" ", b"")
    octal = plain.lstrip(b"-").startswith(b"0") and plain.lstrip(b"-").isdigit()
    return int(plain, 8) if octal else int(plain, 0)


def _float(text: bytes) -> float:
    return float(text.replace(b" ", b"").rstrip(b"fF") if text.lstrip(b"-")[:1] not in (b"i", b"I", b"n", b"N") else text)


def _add_bytes(data: bytearray, number: int, value: bytes) -> None:
    data += _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
