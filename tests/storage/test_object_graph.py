from __future__ import annotations

import pytest

from kmodel_tools.errors import CorruptFileError
from kmodel_tools.storage.object_graph import parse_graph
from tests.storage.tables import message


def test_nodes_edges_variables_and_slots() -> None:
    variable = message((2, message((1, b"VARIABLE_VALUE"), (2, b"dense/kernel"), (3, b"kernel/.ATTRIBUTES/VARIABLE_VALUE"))))
    root = message((1, message((1, 1), (2, b"kernel"))), (3, message((1, 1), (2, b"m"), (3, 1))), (4, message((1, b"saver"), (2, b"x"))))
    table = message((2, message((1, b"table"), (3, b"t/.ATTRIBUTES/table"))))
    nodes = parse_graph(message((1, root), (1, variable), (1, table)), "ck")
    assert nodes[0].children == (("kernel", 1),)
    assert [(slot.original, slot.name, slot.node) for slot in nodes[0].slots] == [(1, "m", 1)]
    assert nodes[0].registered == "saver"
    assert (nodes[1].key, nodes[1].full_name) == ("kernel/.ATTRIBUTES/VARIABLE_VALUE", "dense/kernel")
    assert nodes[2].key is None  # what a table keeps is no variable's value


@pytest.mark.parametrize("data", [b"", b"\x0a\xff", message((1, message((1, message((1, 7), (2, b"x"))))))])
def test_a_damaged_graph(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        parse_graph(data, "ck")
