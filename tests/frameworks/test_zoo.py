"""Every built-in layer class and shape of model, in every container that each framework writes, against the live model."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from tests import exceptions
from tests.frameworks import judge, making, reloading, restoring
from tests.frameworks.zoo import Case
from tests.test_converter import REFUSALS
from tests.trees import keys_in_tree, keys_of_the_file

pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = [
    pytest.mark.frameworks,
    # The frameworks warn about themselves: of formats that they call legacy, of protobuf and of NumPy.
    pytest.mark.filterwarnings("ignore"),
]

STATES_TRAINABILITY = {"archive", "directory", "h5", "SavedModel", "export"}


Files = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Saved:
    """A model of the zoo, and its files."""

    framework: str
    case: Case
    model: Any
    files: Files


@pytest.fixture(scope="module", params=making.CASES, ids=lambda entry: f"{entry[0]}-{entry[1].name}")
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    name, case = request.param
    model = making.trained(case, making.framework(name))
    folder = str(tmp_path_factory.mktemp("zoo"))
    return Saved(name, case, model, making.saved(model, name, folder, whole_h5=case.name != "model-subclassed"))


def test_every_container_shows_what_the_live_model_has(saved: Saved) -> None:
    for label, (path, container) in saved.files.items():
        nameless = saved.framework == "tf_keras" and container == exceptions.WEIGHTS
        expected = judge.expected_weights(saved.model, by_class=nameless)
        tree = kmt.read(path)
        found = judge.tree_weights(tree)
        rows = exceptions.rows_for(saved.case.name, container)
        agree = [item.path for item in expected] == [item.path for item in found]
        assert agree == (not rows), f"{label}: {_difference(expected, found)} against the table's {rows}"
        if not any(row.values_too for row in rows):
            assert judge.fingerprint(expected) == judge.fingerprint(found), f"{label}: values differ"
        if agree:
            _same_values(label, expected, found)
            _same_slots(label, saved.model, tree, nameless)
        _no_slot_of_another_weight(label, saved.model, tree)
        if label in STATES_TRAINABILITY and not rows:
            assert [item.trainable for item in expected] == [weight.trainable for _, weight in tree.weights()], f"{label}: trainability"


def _difference(expected: list[judge.Expected], found: list[judge.Expected]) -> str:
    wanted, got = ["/".join(item.path) for item in expected], ["/".join(item.path) for item in found]
    return f"missing {[path for path in wanted if path not in got]}, unexpected {[path for path in got if path not in wanted]}, order {got}"


def _same_values(label: str, expected: list[judge.Expected], found: list[judge.Expected]) -> None:
    for want, got in zip(expected, found, strict=True):
        assert judge.same_value(want.value, got.value), f"{label}: {want.path}"


def _same_slots(label: str, model: Any, tree: kmt.Model, nameless: bool) -> None:
    """The optimizer's state, wherever it is tied; a file that names classes must tie all of it."""
    if tree.optimizer is None:
        assert label in ("h5 weights", "export"), f"{label}: no optimizer"
        return
    expected = judge.expected_slots(model)
    paths = {id(weight): path for path, weight in tree.weights()}
    found = {(slot.name, paths[id(slot.weight)]): slot.tensor.read() for slot in tree.optimizer.slots}
    if nameless:
        assert not found, "without its class, nobody can say what an optimizer's arrays are"
        return
    if label not in ("weights", "sharded weights") or found:
        assert found.keys() == expected.keys(), f"{label}: {expected.keys() ^ found.keys()}"
    for key, value in found.items():
        assert judge.same_value(value, expected[key]), f"{label}: {key}"
    if found:
        assert "iterations" in {counter.role for counter in tree.optimizer.counters}, label


def _no_slot_of_another_weight(label: str, model: Any, tree: kmt.Model) -> None:
    """Whatever the paths: a slot that is tied at all belongs to the weight that it is tied to, told by that weight's value."""
    values = {path: np.asarray(variable).tobytes() for path, variable in judge.named_variables(model)}
    live = {(name, values[path], np.asarray(state).tobytes()) for (name, path), state in judge.expected_slots(model).items()}
    for slot in tree.optimizer.slots if tree.optimizer else ():
        assert (slot.name, slot.weight.tensor.read().tobytes(), slot.tensor.read().tobytes()) in live, f"{label}: {slot.key}"


def test_every_array_is_somewhere_in_the_tree(saved: Saved) -> None:
    for path, _ in saved.files.values():
        tree = kmt.read(path)
        assert sorted(keys_in_tree(tree)) == keys_of_the_file(tree), path


def test_containers_of_one_model_have_one_digest(saved: Saved) -> None:
    digests = {}
    for label, (path, container) in saved.files.items():
        rows = exceptions.rows_for(saved.case.name, container)
        nameless = saved.framework == "tf_keras" and container == exceptions.WEIGHTS
        if not any(row.values_too for row in rows):
            digest = kmt.digest(path)
            digests[label] = (digest.values, None if rows or nameless else digest.weights)
    assert len({values for values, _ in digests.values()}) == 1, digests
    assert len({weights for _, weights in digests.values() if weights}) <= 1, digests


def test_containers_of_one_model_do_not_differ(saved: Saved) -> None:
    """Whatever two containers both hold is the same; where one is not whole, or names alone would tell, the table says so."""
    trees = {label: kmt.read(path) for label, (path, _) in saved.files.items()}
    for (label_a, a), (label_b, b) in itertools.combinations(trees.items(), 2):
        containers = saved.files[label_a][1], saved.files[label_b][1]
        rows = exceptions.differences_for(saved.case.name, containers)
        result = kmt.diff(a, b)
        assert result.same == (not rows), f"{label_a}, {label_b}: {_told(result)}"


def test_the_live_model_is_what_its_files_hold(saved: Saved) -> None:
    """Paths, values, trainability and slots are those that the framework itself tells; and no file differs from the live model."""
    tree = kmt.from_keras(saved.model)
    expected, found = judge.expected_weights(saved.model), judge.tree_weights(tree)
    assert [item.path for item in expected] == [item.path for item in found], _difference(expected, found)
    assert [item.trainable for item in expected] == [item.trainable for item in found]
    _same_values("live", expected, found)
    _same_slots("live", saved.model, tree, nameless=False)
    for label, (path, container) in saved.files.items():
        if exceptions.rows_for(saved.case.name, container):
            continue  # the container does not have the paths, or not their order
        result = kmt.diff(saved.model, path)
        assert result.same, f"{label}: {_told(result)}"
        if (saved.framework, container) != ("tf_keras", exceptions.WEIGHTS):
            assert kmt.digest(tree) == kmt.digest(path), label


def test_every_container_loads_into_the_live_model(saved: Saved) -> None:
    values = [np.array(variable) for variable in saved.model.weights]
    state = [np.array(variable) for variable in reloading.state_of(saved.model)]
    predicted = reloading.predicted(saved.case, saved.model)
    for label, (path, container) in saved.files.items():
        reloading.zero(saved.model.weights)
        reloading.zero(reloading.state_of(saved.model))
        nameless = saved.framework == "tf_keras" and container == exceptions.WEIGHTS
        rows = exceptions.rows_for(saved.case.name, container)
        twice = any(row.values_too for row in rows)
        tied = not twice and (optimizer := kmt.read(path).optimizer) is not None and bool(optimizer.slots)
        asked: dict[str, Any] = {"by": "auto" if rows or nameless else "name", "strict": not twice, "optimizer": tied}
        if (saved.framework, saved.case.name, container) in exceptions.LIVE_REFUSALS:
            with pytest.raises(kmt.MatchError):
                kmt.load_into(saved.model, path, **asked)
            assert not any(np.any(np.array(variable)) for variable in saved.model.weights), f"{label}: something was assigned"
            continue
        kmt.load_into(saved.model, path, **asked)
        for variable, value in zip(saved.model.weights, values, strict=True):
            assert judge.same_value(np.array(variable), value), f"{label}: {variable.name}"
        reloading.same_outputs(predicted, reloading.predicted(saved.case, saved.model))
        if tied:
            for variable, value in zip(reloading.state_of(saved.model), state, strict=True):
                assert judge.same_value(np.array(variable), value), f"{label}: {variable.name}"
    for variable, value in zip([*saved.model.weights, *reloading.state_of(saved.model)], [*values, *state], strict=True):
        variable.assign(value)


SPELLED_ANEW = frozenset({"module", "registered_name", "build_config", "shared_object_id"})
"""What tf_keras 2.13 and later add to the objects in a legacy file, and not to those in a SavedModel."""


def _older(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _older(value) for key, value in config.items() if key not in SPELLED_ANEW}
    return [_older(value) for value in config] if isinstance(config, list) else config


def test_a_saved_model_has_the_configuration_of_a_legacy_file(saved: Saved) -> None:
    if "SavedModel" not in saved.files or "h5" not in saved.files:
        return
    first, second = kmt.read(saved.files["SavedModel"][0]), kmt.read(saved.files["h5"][0])
    assert _older(first.architecture) == _older(second.architecture)
    assert first.training_config == second.training_config
    if not any(row.values_too for row in exceptions.rows_for(saved.case.name, exceptions.H5_WHOLE)):
        assert [layer.class_name for _, layer in first.walk()] == [layer.class_name for _, layer in second.walk()]
    assert first.name == second.name


def _told(result: kmt.Diff) -> str:
    found = [item for items in (result.layers, result.config, result.training_config, result.optimizer_only) for item in items][:5]
    return f"{result.pairing.why}; {[aspect for aspect in result.aspects if aspect.status == 'different']}; {found}"


WRITTEN: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "keras": (
        ("archive", "a.keras", {}),
        ("archive", "a.weights.h5", {}),
        ("archive", "a.h5", {}),
        ("h5", "h.keras", {}),
        ("h5", "h.h5", {}),
        ("weights", "w.weights.h5", {}),
        ("sharded weights", "s.weights.h5", {}),
        ("checkpoint", "c.weights.h5", {"like": "archive", "lossy": True}),
    ),
    "tf_keras": (
        ("h5", "h.h5", {}),
        ("h5", "h-weights-only.h5", {"weights_only": True}),
        ("SavedModel", "s-without-optimizer.h5", {"optimizer": False, "lossy": True}),
        ("archive", "a-weights-only.h5", {"weights_only": True}),
        ("h5 weights", "w-weights-only.h5", {}),
        ("checkpoint", "c-weights-only.h5", {"like": "h5", "weights_only": True, "lossy": True}),
    ),
}
"""Source, destination and options of the conversions whose results the framework judges."""


def test_the_framework_loads_what_we_write(saved: Saved, tmp_path: Path) -> None:
    keras = making.framework(saved.framework)
    for label, file, options in WRITTEN[saved.framework]:
        if label not in saved.files or (saved.case.name == "model-subclassed" and not file.endswith("weights.h5")):
            continue  # nobody loads a subclassed model whole but by its own code
        given = {key: saved.files[value][0] if key == "like" else value for key, value in options.items()}
        destination = str(tmp_path / file)
        sources = (label, options["like"]) if "like" in options else (label,)
        may_refuse = "like" in options and any(exceptions.rows_for(saved.case.name, saved.files[source][1]) for source in sources)
        try:
            reloading.written_twice(saved.files[label][0], destination, **given)
        except kmt.ConversionError:
            if not may_refuse:
                raise
            continue  # the two files name their weights differently, and shapes do not agree in order
        if saved.case.name in (reloading.BROKEN_FOR_KERAS if saved.framework == "keras" else reloading.BROKEN_FOR_TF_KERAS):
            continue
        # Keras 3 cannot load a legacy file that was compiled with "mse".
        compiled = saved.framework == "tf_keras" or file.endswith((".keras", ".weights.h5"))
        other = reloading.reload(
            keras, saved.case, saved.model, destination, compiled, saved.files["h5"][0] if saved.framework == "tf_keras" else None
        )
        reloading.agrees(saved.case, saved.model, other)
        if compiled and "weights-only" not in file and options.get("optimizer", True):
            reloading.same_state(saved.model, other)


CHECKPOINTS = {
    "tf_keras": (
        ("h5", "model"),
        ("archive", "model"),
        ("archive", "checkpoint"),
        ("saved weights", "model"),
        ("checkpoint", "checkpoint"),
    ),
    "keras": (("archive", "checkpoint"), ("checkpoint", "checkpoint")),
}
"""Sources of the checkpoints that the framework restores, and what the root of each is."""


def test_the_framework_restores_checkpoints_that_we_write(saved: Saved, tmp_path: Path) -> None:
    prefix = str(tmp_path / "ck")
    for label, root in CHECKPOINTS[saved.framework]:
        refusal = exceptions.CHECKPOINT_REFUSALS.get((saved.framework, saved.case.name, label))
        if label not in saved.files:
            continue
        options, target = {"root": root}, "keras3" if saved.framework == "keras" else None
        like = saved.files["archive"][0] if (saved.framework, label) == ("keras", "checkpoint") else None
        said = _refusal(saved.files[label][0], prefix, to="tf-checkpoint", like=like, options=options, target=target)
        assert (said is None) == (refusal is None), f"{label}: {said}, and the table says {refusal}"
        if refusal is not None and said is not None:
            assert refusal in said
            continue
        restoring.restores(saved.model, prefix, root)
        if label == "saved weights":
            restoring.lists_the_same(prefix, saved.files[label][0])


def test_training_goes_on_from_what_we_write(saved: Saved, tmp_path: Path) -> None:
    """The next losses from our file are those from the framework's own."""
    keras = making.framework(saved.framework)
    label, file = ("archive", "m.keras") if saved.framework == "keras" else ("h5", "m.h5")
    if saved.case.name in reloading.NO_SECOND_TRAINING or saved.case.name in reloading.BROKEN_FOR_KERAS:
        return
    original, ours = saved.files[label][0], str(tmp_path / file)
    kmt.convert(original, ours)
    assert reloading.next_losses(keras, saved.case, ours) == reloading.next_losses(keras, saved.case, original)


def _refusal(source: kmt.Model | str, destination: Path | str, **asked: Any) -> str | None:
    """What a conversion is refused with, or None when it is done."""
    try:
        kmt.convert(source, destination, overwrite=True, **asked)
    except kmt.ConversionError as error:
        return str(error)
    return None


def test_every_pair_of_containers_is_bit_equal_or_refused_beforehand(saved: Saved, tmp_path: Path) -> None:
    for label, (path, container) in saved.files.items():
        tree = kmt.read(path)
        values = kmt.digest(tree).values
        for file in ("m.keras", "m.weights.h5", "m.h5"):
            if saved.framework == "tf_keras" and file == "m.keras":
                continue  # the archive is of Keras 3, and says the same in other words: what it predicts is judged in test_upgrade
            destination = tmp_path / file
            refused = _refusal(tree, destination)
            if refused is not None:
                assert any(reason in refused for reason in REFUSALS), f"{label} to {file}: {refused}"
                continue
            again = kmt.diff(tree, destination)
            twice = tree.aliases() and file == "m.h5"  # a legacy file has a layer that a nested model shares twice
            assert again.same or exceptions.rows_for(saved.case.name, container) or twice, f"{label} to {file}: {_told(again)}"
            assert kmt.digest(destination).values == values or twice, f"{label} to {file}"


def test_models_go_to_the_containers_of_others_bit_equal_or_are_refused(saved: Saved, tmp_path: Path) -> None:
    for label, (path, _) in list(saved.files.items())[:2]:
        tree = kmt.read(path)
        values = kmt.digest(tree).values
        for file in ("m.safetensors", "m.npz", "m.tfjs.json"):
            destination = tmp_path / file
            refused = _refusal(tree, destination, optimizer=file != "m.tfjs.json")
            if refused is not None:
                assert any(reason in refused for reason in REFUSALS), f"{label} to {file}: {refused}"
                continue
            scaled = "hard_sigmoid" in json.dumps(kmt.read(destination).architecture) and saved.framework == "keras"
            assert kmt.digest(destination).values == values or (scaled and file == "m.tfjs.json"), f"{label} to {file}"
            assert file == "m.tfjs.json" or kmt.diff(tree, destination).same, f"{label} to {file}"
