"""YAML as plain data: what PyYAML would give, and nothing that a tag asks for."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kmodel_tools.errors import CorruptFileError, UnsupportedFeatureError
from kmodel_tools.storage.yaml_data import MAX_DEPTH, parse_yaml

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value), "x") == value


@given(VALUES)
def test_python_s_parser_reads_the_same_as_libyaml_s(value: Any) -> None:
    text = yaml.dump({"shape": (None, value)})
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader", raising=False)
        assert parse_yaml(text, "x") == {"shape": [None, value]}


def test_python_s_plain_values_are_plain() -> None:
    text = "a: !!python/tuple [1, !!python/long 2, !!python/unicode 'x', !!python/none '', !!python/bool true]\n1: 2\nnull: 2020-01-02\n"
    assert parse_yaml(text, "x") == {"a": [1, 2, "x", None, True], "1": 2, "null": "2020-01-02"}


def test_aliases_are_what_they_repeat() -> None:
    assert parse_yaml("a: &x [1, &y {b: 2}]\nc: *x\nd: *y\n", "x") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": {"b": 2}}


NUMBER = """n: !!python/object/apply:numpy.{core}.multiarray.scalar
- !!python/object/apply:numpy.dtype
  args: [{kind}, 0, 1]
  state: !!python/tuple [3, '{order}', null, null, null, -1, -1, 0]
- !!binary |
  {data}
"""


@pytest.mark.parametrize(
    ("kind", "order", "data", "expected"),
    [("i8", "<", "AwAAAAAAAAA=", 3), ("f8", "<", "AAAAAAAA4D8=", 0.5), ("i4", ">", "AAAABw==", 7), ("f4", "<", "AAAAPw==", 0.5)],
)
def test_a_number_of_numpy_s_is_a_number(kind: str, order: str, data: str, expected: float) -> None:
    for core in ("core", "_core"):
        assert parse_yaml(NUMBER.format(core=core, kind=kind, order=order, data=data), "x") == {"n": expected}


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [echo]",
        "a: !!python/name:os.system ''",
        "!!python/object/new:os.system {}",
        "a: !!python/module:os ''",
        "a: !local {b: 1}",
        "a: !!set {b}",
        NUMBER.format(core="core", kind="O8", order="<", data="AwAAAAAAAAA="),
        NUMBER.format(core="core", kind="i4", order="<", data="AwAAAAAAAAA="),
    ],
)
def test_objects_are_never_made(text: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"x: (asks for a Python object|a number of NumPy's)"):
        parse_yaml(text, "x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &x [*x]", "stands inside of what it repeats"),
        ("a: *x", "is not a YAML document|before it"),
        ("a: [", "is not a YAML document"),
        ("a: 1\n---\nb: 2\n", "several"),
        ("? [1]\n: 2", "a key of a YAML mapping is no name"),
        ("[" * (MAX_DEPTH + 1), "nested more than"),
        ("a: \0", "is not a YAML document"),
        ("a: !!int " + "9" * 10_000, "is not a YAML document"),
        ("a: !!binary ä", "not base64"),
    ],
)
def test_what_is_broken_is_an_error_of_ours(text: str, problem: str) -> None:
    with pytest.raises(CorruptFileError, match=problem):
        parse_yaml(text, "x")


def test_a_billion_laughs_are_cut_off() -> None:
    lines = ["a0: &a0 [ha, ha]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    started = time.monotonic()
    with pytest.raises(CorruptFileError, match="those behind aliases counted"):
        parse_yaml("\n".join(lines), "x")
    assert time.monotonic() - started < 5
