"""Proposed maps: what is told by names and shapes, what is doubtful, what is left; and the files that hold them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import kmodel_tools as kmt
from kmodel_tools.assignment import assign
from kmodel_tools.cli import kmt as command
from kmodel_tools.cli import main
from kmodel_tools.formats._shared.tensorflow.variables import read_variables
from kmodel_tools.likeness import is_sorted, likeness, natural, told_apart
from kmodel_tools.map_file import REMARKS, read_map
from kmodel_tools.proposer import LARGEST_CLASS, Entry, Proposal, propose
from kmodel_tools.render.map_text import map_json, map_yaml
from kmodel_tools.tree import join_path, split_path
from tests.strategies import PATHS
from tests.test_transferrer import model

Shape = tuple[int, ...]


def variables(shapes: Mapping[str, Shape]) -> kmt.Model:
    """A checkpoint of TensorFlow 1, whose names stand in the order of their characters."""
    return read_variables({name: kmt.Tensor.of(np.zeros(shapes[name], "float32")) for name in sorted(shapes)})


def entries(proposal: Proposal) -> dict[str, str]:
    return {join_path(entry.target): join_path(entry.source) for entry in proposal.entries}


def doubtful(proposal: Proposal) -> dict[str, str]:
    return {join_path(entry.target): entry.doubt for entry in proposal.entries if entry.doubt}


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_an_assignment_is_the_best_of_all(rows: int, columns: int, data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.lists(st.integers(-9, 9), min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    found = assign(scores)
    taken = [column for column in found if column >= 0]
    assert len(taken) == len(set(taken)) == min(rows, columns)
    total = sum(scores[row][column] for row, column in enumerate(found) if column >= 0)
    if rows <= columns:
        ways = (sum(scores[row][column] for row, column in enumerate(way)) for way in itertools.permutations(range(columns), rows))
    else:
        ways = (sum(scores[row][column] for column, row in enumerate(way)) for way in itertools.permutations(range(rows), columns))
    assert total == max(ways)


def test_nothing_is_assigned_to_nothing() -> None:
    assert assign([]) == []


def test_numbers_in_names_are_told_from_those_that_never_change() -> None:
    units = [("net_v1_50", "block1", f"unit_{unit}", "bottleneck_v1", f"conv{conv}") for unit in (1, 2) for conv in (1, 2)]
    names = told_apart(units)
    assert [names[path].numbers for path in units] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {word for path in units for word in names[path].words} == set()
    other = told_apart([("conv2_block1_1_conv2d",), ("conv2_block2_1_conv2d",), ("conv3_block1_2_bn",)])
    assert other["conv2_block2_1_conv2d",].numbers == (2, 2, 1)
    assert likeness(names[units[2]], other["conv2_block2_1_conv2d",]) > likeness(names[units[2]], other["conv2_block1_1_conv2d",])


def test_numbers_are_sorted_by_their_value() -> None:
    assert sorted([("u_10", "a"), ("u_2", "b"), ("u", "c")], key=natural) == [("u", "c"), ("u_2", "b"), ("u_10", "a")]
    assert is_sorted([("a",), ("b",)])
    assert not is_sorted([("b",), ("a",)])


def bottleneck(name: str, width: int, inner: int, first: bool) -> dict[str, Shape]:
    """A unit of slim's resnet_v1 (contrib/slim/python/slim/nets/resnet_v1.py), by name and shape."""
    inputs = width // 2 if first else width
    kernels = {"conv1": (1, 1, inputs, inner), "conv2": (3, 3, inner, inner), "conv3": (1, 1, inner, width)}
    if first:
        kernels["shortcut"] = (1, 1, inputs, width)
    found: dict[str, Shape] = {}
    for scope, shape in kernels.items():
        found[f"{name}/bottleneck_v1/{scope}/weights"] = shape
        for role in ("beta", "gamma", "moving_mean", "moving_variance"):
            found[f"{name}/bottleneck_v1/{scope}/BatchNorm/{role}"] = shape[-1:]
    return found


def keras_name(variable: str) -> str:
    """What keras.applications calls it."""
    _, block, unit, _, scope, *rest = variable.split("/")
    number = "0" if scope == "shortcut" else scope[-1]
    kind = "conv" if rest == ["weights"] else "bn"
    return f"conv{int(block[-1]) + 1}_block{unit.partition('_')[2]}_{number}_{kind}/{'kernel' if kind == 'conv' else rest[1]}"


def test_a_residual_network_of_slim_is_that_of_keras_applications() -> None:
    shapes: dict[str, Shape] = {}
    for block, units in ((1, 3), (2, 12)):
        for unit in range(1, units + 1):
            shapes |= bottleneck(f"resnet_v1_50/block{block}/unit_{unit}", 8 * 2**block, 4 * block, unit == 1)
    expected = {keras_name(name): name.replace("weights", "kernel") for name in shapes}
    target = model({keras_name(name): shape for name, shape in shapes.items()})
    proposal = propose(variables(shapes), target)
    assert entries(proposal) == expected
    assert not doubtful(proposal)
    assert [*proposal.without, *proposal.left_over] == []
    assert list(entries(proposal)) == [join_path(path) for path, _ in target.weights()]


def test_equal_names_come_first_and_say_nothing_more() -> None:
    proposal = propose(variables({"conv1/weights": (3, 3, 2, 4), "conv2/weights": (3, 3, 2, 4)}), model({"conv1/kernel": (3, 3, 2, 4)}))
    assert proposal.entries == (Entry(("conv1", "kernel"), ("conv1", "kernel")),)
    assert [path for path, _, _ in proposal.left_over] == [("conv2", "kernel")]
    nested = propose(variables({"net/conv1/weights": (3, 3, 2, 4)}), model({"conv1/kernel": (3, 3, 2, 4)}))
    assert [entry.how for entry in nested.entries] == ["by the end of its path"]


def test_what_only_order_tells_is_marked_with_what_else_it_may_be() -> None:
    proposal = propose(model({"a/kernel": (3, 3), "b/kernel": (3, 3)}), model({"x/kernel": (3, 3), "y/kernel": (3, 3)}))
    assert entries(proposal) == {"x/kernel": "a/kernel", "y/kernel": "b/kernel"}
    assert doubtful(proposal) == dict.fromkeys(("x/kernel", "y/kernel"), "only order tells")
    assert [entry.others for entry in proposal.entries] == [(("b", "kernel"),), (("a", "kernel"),)]


def test_order_decides_where_names_are_as_good_either_way() -> None:
    proposal = propose(model({"x1/kernel": (3, 3), "y2/kernel": (3, 3)}), model({"w2/kernel": (3, 3), "z2/kernel": (3, 3)}))
    assert entries(proposal) == {"w2/kernel": "x1/kernel", "z2/kernel": "y2/kernel"}
    assert len(doubtful(proposal)) == 2


def test_the_order_of_characters_is_none_of_layers() -> None:
    names = [f"unit_{number}" for number in (1, 2, 9, 10, 11)]
    target = model({f"{letter}/kernel": (3, 3) for letter in "abcde"})
    proposal = propose(variables({f"{name}/weights": (3, 3) for name in names} | {"unit_1/biases": (3,)}), target)
    assert list(entries(proposal).values())[1:] == [f"{name}/weights" for name in names][1:]
    assert len(doubtful(proposal)) == 5
    given = propose(model({f"{name}/kernel": (3, 3) for name in reversed(names)}), target)
    assert list(entries(given).values()) == [f"{name}/kernel" for name in reversed(names)], "an order of its own is kept"


def family(*names: str) -> dict[str, Shape]:
    return {f"{name}/{role}": shape for name in names for role, shape in (("kernel", (8, 8)), ("bias", (8,)))}


@pytest.mark.parametrize(
    ("of_source", "of_target"),
    [
        ([f"fc{number}" for number in range(1, 13)], ["dense", *(f"dense_{number}" for number in range(1, 12))]),
        (["conv2", "conv3", "conv4"], ["conv2d_1", "conv2d_2", "conv2d_3"]),
        (["blk_0", "blk_1", "blk_2"], ["b1", "b2", "b3"]),
        (
            [f"encoder/layer_{number}/self/{name}" for number in range(3) for name in ("key", "query")],
            [f"encoder_{number}_{name}" for number in (1, 2, 3) for name in ("key", "query")],
        ),
    ],
)
def test_numbers_may_begin_at_another_one(of_source: list[str], of_target: list[str]) -> None:
    proposal = propose(model(family(*of_source)), model(family(*of_target)))
    assert [entries(proposal)[f"{name}/kernel"] for name in of_target] == [f"{name}/kernel" for name in of_source]
    assert not doubtful(proposal)


def test_equal_names_that_count_from_different_numbers_are_marked() -> None:
    proposal = propose(model(family("dense_1", "dense_2", "dense_3")), model(family("dense", "dense_1", "dense_2")))
    assert entries(proposal)["dense/kernel"] == "dense_1/kernel"
    assert set(doubtful(proposal)) == set(family("dense", "dense_1", "dense_2"))
    more = propose(model(family("dense_1", "dense_2", "dense_3")), model(family("dense", "dense_1")))
    assert not set(entries(more)) - set(doubtful(more))


def test_numbers_against_the_order_are_marked() -> None:
    proposal = propose(model(family("fc_3", "fc_2", "fc_1")), model(family("out_1", "out_2", "out_3")))
    assert entries(proposal)["out_1/kernel"] == "fc_1/kernel"
    assert set(doubtful(proposal)) >= {"out_1/kernel", "out_3/kernel"}
    assert "order of the layers does not" in doubtful(proposal)["out_1/kernel"]


def test_a_normalisation_goes_where_its_layer_goes() -> None:
    source = variables(
        {"a/conv/weights": (1, 1, 4, 8), "a/conv/BatchNorm/beta": (8,), "b/proj/weights": (1, 1, 8, 8), "b/proj/BatchNorm/beta": (8,)}
    )
    target = model({"x2_conv/kernel": (1, 1, 8, 8), "x2_bn/beta": (8,), "x1_conv/kernel": (1, 1, 4, 8), "x1_bn/beta": (8,)})
    proposal = propose(source, target)
    assert entries(proposal)["x2_bn/beta"] == "b/proj/BatchNorm/beta"
    assert entries(proposal)["x1_bn/beta"] == "a/conv/BatchNorm/beta"
    assert not doubtful(proposal)


@pytest.mark.parametrize(("count", "others"), [(3, 2), (2, 3)])
def test_what_nothing_tells_is_not_proposed(count: int, others: int) -> None:
    of_source, of_target = (
        {f"{letter * number}/kernel": (3, 3) for number in range(1, size + 1)} for letter, size in (("a", count), ("x", others))
    )
    proposal = propose(model(of_source), model(of_target))
    assert not proposal.entries
    assert len(proposal.without) == others
    assert any(len(maybe) == count for _, _, maybe in proposal.without)
    assert len(proposal.left_over) == count


def test_large_classes_are_told_by_their_order_alone() -> None:
    size = LARGEST_CLASS + 1
    of_source, of_target = ({f"{letter}{number}/kernel": (2, 2) for number in range(size)} for letter in "ab")
    proposal = propose(model(of_source), model(of_target))
    assert entries(proposal) == dict(zip(of_target, of_source, strict=True))
    assert len(doubtful(proposal)) == size
    assert not propose(model(of_source), model(of_target | {"more/kernel": (2, 2)})).entries


def test_arrays_by_other_names_are_told_by_what_people_mean() -> None:
    proposal = propose(
        variables({"fc/w": (5, 3), "fc/b": (3,), "emb/table": (9, 4)}), model({"d/kernel": (5, 3), "d/bias": (3,), "e/embeddings": (9, 4)})
    )
    assert entries(proposal) == {"d/kernel": "fc/w", "d/bias": "fc/b", "e/embeddings": "emb/table"}
    assert not doubtful(proposal)
    alone = propose(variables({"Variable": (5, 3), "Variable_1": (3,)}), model({"d/kernel": (5, 3), "d/bias": (3,)}))
    assert entries(alone) == {"d/kernel": "Variable", "d/bias": "Variable_1"}
    assert set(doubtful(alone).values()) == {"only its shape tells"}


def test_roles_that_contradict_are_not_paired() -> None:
    assert not propose(model({"a/gamma": (3,)}), model({"x/bias": (3,)})).entries
    assert not propose(model({"a/kernel": (3, 3)}), model({"x/recurrent_kernel": (3, 3)})).entries


def test_arrays_of_recurrent_cells_are_not_proposed_whatever_their_shape() -> None:
    source = variables({"rnn/basic_lstm_cell/kernel": (7, 16), "rnn/basic_lstm_cell/bias": (16,)})
    proposal = propose(source, model({"d/kernel": (7, 16), "d/bias": (16,)}))
    assert not proposal.entries
    assert all("joins what Keras keeps apart" in why for _, _, why in proposal.left_over)
    assert len(propose(source, source).entries) == 2


def test_names_of_groups_are_not_taken_for_names() -> None:
    target = kmt.Model(layers=model({"dense/kernel": (3, 3), "dense_1/kernel": (3, 3)}).layers, metadata={"names": "groups"})
    proposal = propose(model({"dense_1/kernel": (3, 3), "first/kernel": (3, 3)}), target)
    assert all(entry.how for entry in proposal.entries)


@settings(max_examples=50)
@given(st.lists(PATHS, min_size=1, max_size=5, unique=True), st.sampled_from(["m.yaml", "m.json"]))
def test_a_proposal_reads_back_as_its_map(paths: list[tuple[str, ...]], name: str) -> None:
    assert name not in REMARKS
    marked = tuple(Entry(path, ("new", *path), "told", "doubt" if number % 2 else "", (path,)) for number, path in enumerate(paths))
    proposal = Proposal(marked, ((("a\n: b",), (1,), (("c\n",),)),), ((("d: e",), (2,), "f"),))
    text = map_json(proposal) if name.endswith(".json") else map_yaml(proposal, "so\nurce", "target")
    folder = Path(tempfile.mkdtemp())
    (folder / name).write_text(text, encoding="utf-8", newline="")
    assert read_map(folder / name) == proposal.mapping


KERAS = """# checkpoint → model
# Proposed by names and shapes: 3 of 4 weights of the target, 2 of them doubtful; 1 of the source left over.
# Look at the lines with ???, then: kmt convert SOURCE DESTINATION --like TARGET --map THIS
c/kernel: x/kernel  # the only layer of this shape
a/kernel: y/kernel  # ??? only order tells; or b/kernel
b/kernel: z/kernel  # ??? only order tells; or a/kernel

# Of the target, without a proposal:
# ?: w/kernel  # (7, 7)

# Of the source, left over; without the `#` in front, it is left out:
# d/kernel: null  # (8,)
"""


def test_a_proposal_in_yaml() -> None:
    source = model({"a/kernel": (3, 3), "b/kernel": (3, 3), "c/kernel": (4, 4), "d/kernel": (8,)})
    target = model({"x/kernel": (4, 4), "y/kernel": (3, 3), "z/kernel": (3, 3), "w/kernel": (7, 7)})
    assert map_yaml(propose(source, target), "checkpoint", "model") == KERAS


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, ["convert", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_proposed_map_converts(tmp_path: Path) -> None:
    source, like = (tmp_path / name for name in ("source.h5", "like.h5"))
    kmt.write(model({"old/kernel": (4, 3), "new/kernel": (3, 2)}, 1), source)
    kmt.write(model({"first/kernel": (4, 3), "second/kernel": (3, 2)}, 7), like)
    for name in ("names.yaml", "names.json"):
        status, text = run(source, "--like", like, "--propose-map", tmp_path / name)
        assert (status, text) == (0, f"{tmp_path / name}: 2 of 2 weights of the target, 0 of them doubtful; 0 of the source left over\n")
        assert run(source, tmp_path / "out.h5", "--like", like, "--map", tmp_path / name, "--force")[0] == 0
        found = {join_path(path): weight.tensor.read() for path, weight in kmt.read(tmp_path / "out.h5").weights()}
        assert {path: (array == 1).all() for path, array in found.items()} == {"first/kernel": True, "second/kernel": True}
    again = ["convert", str(source), "--like", str(like), "--propose-map", str(tmp_path / "names.yaml")]
    assert main(again) == 2, "it is there already"


@pytest.mark.parametrize(
    "arguments",
    [["a"], ["a", "b", "--propose-map", "c"], ["a", "--propose-map", "c"], ["a", "--propose-map", "c", "--like", "d", "--map", "e"]],
)
def test_how_a_map_is_asked_for(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_the_public_verb() -> None:
    one = model(dict.fromkeys(("a/kernel",), (2,)))
    assert isinstance(kmt.propose_map(one, one), kmt.Proposal)
    assert split_path("a/kernel") == kmt.propose_map(one, one).entries[0].target
    assert kmt.propose_map(one, one).to_dict()["entries"][0]["source"] == "a/kernel"
