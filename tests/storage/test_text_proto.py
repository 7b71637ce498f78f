"""Text format: what the encoding guide of protocol buffers allows, and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.storage.protobuf import WireError
from kmodel_tools.storage.text_proto import DTYPES, MAX_DEPTH, to_wire
from tests.storage import wire

NODE = wire.data(1, wire.data(1, "a"), wire.data(2, "Const"))


@pytest.mark.parametrize(
    "text",
    [
        'node { name: "a" op: "Const" }',
        "node: < name: 'a', op: 'Const'; >",
        '# a comment\nnode {name:"a"op:"Con" \'st\'}  # another',
        'node { name: "\\x61" op: "\\103onst" device_unknown: 5 more { deep { x: -1.5e3 y: [1, 2] z: ENUM } } }',
        'node { name: "\\u0061" op: "\\U00000043onst" }',
    ],
)
def test_spellings_of_one_message(text: str) -> None:
    assert to_wire(text.encode(), "GraphDef") == NODE


def test_numbers_and_lists() -> None:
    text = (
        b"dtype: DT_FLOAT tensor_shape { dim { size: 2 } dim { size: -1 } } float_val: [1.5, -inf, nan, 2f]"
        b" bool_val: true int_val: 0x1F int_val: -017"
    )
    message = to_wire(b"node { attr { value { tensor { " + text + b" } } } }", "GraphDef")
    tensor = wire.number(1, 1) + wire.data(2, wire.data(2, wire.number(1, 2)), wire.data(2, wire.number(1, (1 << 64) - 1)))
    for bits in ("0000c03f", "000080ff", "0000c07f", "00000040"):
        tensor += wire.varint(5 << 3 | 5) + bytes.fromhex(bits)
    tensor += wire.number(11, 1) + wire.number(7, 31) + wire.number(7, (1 << 64) - 15)
    assert message == wire.data(1, wire.data(5, wire.data(2, wire.data(8, tensor))))


def test_a_reference_type_is_100_more() -> None:
    text = b"node { attr { value { tensor { dtype: DT_INT32_REF } } } }"
    assert to_wire(text, "GraphDef") == wire.data(1, wire.data(5, wire.data(2, wire.data(8, wire.number(1, DTYPES["DT_INT32"] + 100)))))


@given(st.binary(max_size=40))
def test_any_bytes_survive_as_octal_escapes(value: bytes) -> None:
    text = "".join(f"\\{byte:03o}" for byte in value)
    assert to_wire(f'node {{ name: "{text}" }}'.encode(), "GraphDef") == wire.data(1, wire.data(1, value))


@pytest.mark.parametrize(
    "text",
    [
        "node {",
        "node }",
        "node { name: }",
        'node { name: "a }',
        "node { name: \x01 }",
        "}",
        "node: 5",
        'node { name: "a" ] }',
        "5",
        "node",
        "meta_info_def { tags: 'x' }\x00",
        "node < name: 'a' }",
        "versions { producer: abc }",
        "versions { producer: 99999999999999999999999999 }",
    ],
)
def test_what_is_no_text_format(text: str) -> None:
    with pytest.raises(WireError):
        to_wire(text.encode(), "GraphDef")


def test_depth_is_bounded() -> None:
    with pytest.raises(WireError, match="nested"):
        to_wire(b"x {" * (MAX_DEPTH + 1) + b"}" * (MAX_DEPTH + 1), "GraphDef")


@given(st.text(alphabet='{}<>[]:"\\ab1-. \n#,;', max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(WireError):
        to_wire(text.encode(), "GraphDef")
