"""Edited files, judged by what real Keras and tf_keras load from them: names, predictions, losses, the optimizer's state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kmodel_tools as kmt
from kmodel_tools.cli import main
from tests.frameworks import judge, making

tf_keras = pytest.importorskip("tf_keras")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore")]
FRAMEWORKS = ("keras", "tf_keras")
SUFFIXES = (".keras", ".h5")
INPUT = np.random.default_rng(0).standard_normal((4, 6, 4)).astype("float32")
RULES = (
    "lstm=memory",
    "bi=both_ways",
    "block/inner=block/within",
    "block=unit",
    "graph/*=graph/g_*",
    "head_*=out_*",
    "re:^(gru|mha|td)$=x_\\1",
    "tokens=words",
)
RENAMED = {"lstm": "memory", "bi": "both_ways", "block": "unit", "gru": "x_gru", "mha": "x_mha", "td": "x_td", "tokens": "words"}


def network(framework: Any) -> Any:
    """The layers that Keras's own editor damages, nested models, a layer called twice, arguments by keyword, two outputs."""
    framework.utils.set_random_seed(1)
    layers = framework.layers
    tokens = framework.Input((6, 4), name="tokens")
    x = layers.LSTM(4, return_sequences=True, name="lstm")(tokens)
    x = layers.GRU(4, return_sequences=True, name="gru")(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="bi")(x)
    x = layers.MultiHeadAttention(2, 3, name="mha")(x, value=x)
    x = layers.TimeDistributed(layers.Dense(4), name="td")(x)
    x = framework.Sequential([layers.Dense(4, name="inner"), layers.BatchNormalization(name="norm")], name="block")(x)
    inside = framework.Input((6, 4), name="inside")
    x = framework.Model(inside, layers.Conv1D(4, 2, padding="same", name="conv")(inside), name="graph")(x)
    twice = layers.Dense(4, name="twice")
    x = layers.Add(name="sum")([twice(x), twice(tokens)])
    pooled = layers.GlobalAveragePooling1D(name="pool")(x)
    model = framework.Model(tokens, [layers.Dense(3, name="head_a")(pooled), layers.Dense(2, name="head_b")(pooled)], name="whole")
    model.compile(
        "adam",
        loss={"head_a": "mean_squared_error", "head_b": "mean_absolute_error"},
        loss_weights={"head_a": 0.3, "head_b": 0.7},
        metrics={"head_a": ["mean_absolute_error"], "head_b": ["mean_squared_error"]},
        run_eagerly=True,
    )
    targets = [np.ones((4, 3), "float32"), np.ones((4, 2), "float32")]
    model.fit(INPUT, dict(zip(("head_a", "head_b"), targets, strict=True)), epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """For each framework: the network, and the folder with its files."""
    found = {}
    for name in FRAMEWORKS:
        folder = tmp_path_factory.mktemp(name)
        model = network(making.framework(name))
        for suffix in SUFFIXES:
            model.save(folder / f"m{suffix}")
        model.save_weights(folder / "m.weights.h5")
        found[name] = (model, folder)
    return found


def loaded(name: str, path: Path) -> Any:
    framework = making.framework(name)
    return framework.models.load_model(path, safe_mode=True) if path.suffix == ".keras" else framework.models.load_model(path)


def state(model: Any) -> list[Any]:
    variables = model.optimizer.variables
    return [np.array(value) for value in (variables() if callable(variables) else variables)]


def same(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    return len(ours) == len(theirs) and all(judge.same_value(np.array(a), np.array(b)) for a, b in zip(ours, theirs, strict=True))


def close(ours: Any, theirs: Any) -> bool:
    ours, theirs = np.array(ours), np.array(theirs)
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max() + 1e-6)


@pytest.mark.parametrize(("source", "target"), [(".keras", ".keras"), (".keras", ".h5"), (".h5", ".h5"), (".h5", ".weights.h5")])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_layers_are_renamed_wherever_a_file_has_their_names(
    saved: dict[str, tuple[Any, Path]], name: str, source: str, target: str, tmp_path: Path
) -> None:
    model, folder = saved[name]
    out = tmp_path / f"out{target}"
    rules = [argument for rule in RULES for argument in ("--rename", rule)]
    assert main(["convert", str(folder / f"m{source}"), str(out), *rules]) == 0
    if target == ".weights.h5":
        assert dict(kmt.read(out).weights()).keys() == {_renamed(path) for path, _ in kmt.read(folder / f"m{source}").weights()}
        return
    reader = "keras" if target == ".keras" else name
    found = loaded(reader, out)
    assert [layer.name for layer in found.layers] == [_renamed((layer.name,))[0] for layer in model.layers]
    assert [layer.name for layer in found.get_layer("unit").layers] == ["within", "norm"]
    assert found.get_layer("graph").layers[-1].name == "g_conv"
    assert dict(kmt.read(out).weights()).keys() == {_renamed(path) for path, _ in kmt.read(folder / f"m{source}").weights()}
    for ours, theirs in zip(found(INPUT), model(INPUT), strict=True):
        assert close(ours, theirs)
    if reader != name:
        return
    assert same(found.get_weights(), model.get_weights())
    if (name, target) != ("keras", ".h5"):  # of which Keras 3 restores no state (3.15.1 `legacy_h5_format.py`, `load_model_from_hdf5`)
        assert same(state(found), state(model))
    targets = [np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32")]
    found.run_eagerly = True
    new = found.evaluate(INPUT, dict(zip(("out_a", "out_b"), targets, strict=True)), verbose=0)
    old = model.evaluate(INPUT, dict(zip(("head_a", "head_b"), targets, strict=True)), verbose=0)
    assert np.allclose(new, old, rtol=1e-5)
    read, before = kmt.read(out), kmt.read(folder / f"m{source}")
    slots = [
        {(slot.name, slot.weight.tensor.read().tobytes(), slot.tensor.read().tobytes()) for slot in item.optimizer.slots}
        for item in (read, before)
        if item.optimizer is not None
    ]
    assert slots[0] == slots[1]


def _renamed(path: tuple[str, ...]) -> tuple[str, ...]:
    first = RENAMED.get(path[0], path[0].replace("head_", "out_"))
    rest = [
        ("within" if part == "inner" else f"g_{part}" if path[0] == "graph" and index == 0 else part) for index, part in enumerate(path[1:])
    ]
    return (first, *rest)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_without_one_of_its_heads_a_model_is_whole_and_compiled_for_the_other(
    saved: dict[str, tuple[Any, Path]], name: str, suffix: str, tmp_path: Path
) -> None:
    model, folder = saved[name]
    out = tmp_path / f"out{suffix}"
    source = folder / f"m{suffix}"
    report = kmt.convert(source, out, drop=["head_b"])
    assert "loss and metrics of head_b" in report.left_out
    found = loaded("keras" if suffix == ".keras" else name, out)
    assert [layer.name for layer in found.layers] == [layer.name for layer in model.layers if layer.name != "head_b"]
    assert close(_only(found(INPUT)), model(INPUT)[0])
    found.run_eagerly = True
    target = np.zeros((4, 3), "float32")
    measured = found.evaluate(INPUT, target, verbose=0)
    loss = float(np.mean(np.square(np.array(model(INPUT)[0]))))
    error = float(np.mean(np.abs(np.array(model(INPUT)[0]))))
    assert np.allclose(measured, [0.3 * loss, error], rtol=1e-4)
    before, after = kmt.read(source).optimizer, kmt.read(out).optimizer
    assert before is not None
    assert after is not None
    assert len(after.slots) == len(before.slots) - 4
    kept = {slot.tensor.read().tobytes() for slot in before.slots if slot.weight.tensor.shape not in ((4, 2), (2,))}
    assert {slot.tensor.read().tobytes() for slot in after.slots} == kept


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_without_its_end_a_model_gives_what_that_was_called_on(
    saved: dict[str, tuple[Any, Path]], name: str, suffix: str, tmp_path: Path
) -> None:
    model, folder = saved[name]
    out = tmp_path / f"out{suffix}"
    report = kmt.convert(folder / f"m{suffix}", out, drop=["head_*", "pool", "sum"])
    assert "the model ends in twice now" in report.changes
    framework = making.framework("keras" if suffix == ".keras" else name)
    found = loaded("keras" if suffix == ".keras" else name, out)
    assert [layer.name for layer in found.layers] == [
        layer.name for layer in model.layers if layer.name not in ("head_a", "head_b", "pool", "sum")
    ]
    twice = model.get_layer("twice")
    expected = making.framework(name).Model(model.inputs, [_call(twice, 0), _call(twice, 1)])(INPUT)
    assert all(close(ours, theirs) for ours, theirs in zip(found(INPUT), expected, strict=True))
    assert found.optimizer is not None, "its state can go on being used"
    if (name, suffix) != ("keras", ".h5"):
        found.compile(found.optimizer, loss=framework.losses.MeanSquaredError(), run_eagerly=True)
        before = state(found)
        assert len(before) > 10
        found.fit(INPUT, [np.ones((4, 6, 4), "float32")] * 2, verbose=0)


def _call(layer: Any, number: int) -> Any:
    nodes = getattr(layer, "_inbound_nodes", None) or layer.inbound_nodes
    return _only(nodes[number].output_tensors if hasattr(nodes[number], "output_tensors") else nodes[number].outputs)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_last_layer_of_a_sequential_is_removed(name: str, suffix: str, tmp_path: Path) -> None:
    framework = making.framework(name)
    layers = framework.layers
    model = framework.Sequential(
        [framework.Input((6, 4)), layers.LSTM(3, name="lstm"), layers.Dense(5, name="d"), layers.Softmax(name="last")]
    )
    model.compile(framework.optimizers.SGD(0.1, momentum=0.9), "mean_squared_error", run_eagerly=True)
    model.fit(INPUT, np.ones((4, 5), "float32"), verbose=0)
    model.save(tmp_path / f"m{suffix}")
    kmt.convert(tmp_path / f"m{suffix}", tmp_path / f"n{suffix}", drop=["last", "d"], rename=["lstm=memory"])
    found = loaded("keras" if suffix == ".keras" else name, tmp_path / f"n{suffix}")
    assert [layer.name for layer in found.layers] == ["memory"]
    assert close(found(INPUT), model.get_layer("lstm")(INPUT))


@pytest.mark.parametrize(("name", "suffix"), [("keras", ".keras"), ("keras", ".h5"), ("tf_keras", ".h5")])
def test_the_last_layer_of_a_model_that_was_compiled_and_never_trained_is_removed(name: str, suffix: str, tmp_path: Path) -> None:
    """Its optimizer has counters and no slots: nothing is lost, and so nothing is refused."""
    framework = making.framework(name)
    layers = framework.layers
    model = framework.Sequential([framework.Input((6, 4)), layers.LSTM(3, name="lstm"), layers.Dense(5, name="d")])
    model.compile("adam", "mean_squared_error")
    model.save(tmp_path / f"m{suffix}")
    kmt.convert(tmp_path / f"m{suffix}", tmp_path / f"n{suffix}", drop=["d"])
    found = loaded(name, tmp_path / f"n{suffix}")
    assert close(found(INPUT), model.get_layer("lstm")(INPUT))
    found.compile("adam", "mean_squared_error")
    found.fit(INPUT, np.ones((4, 3), "float32"), verbose=0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_nested_model_becomes_one_of_its_own(saved: dict[str, tuple[Any, Path]], name: str, suffix: str, tmp_path: Path) -> None:
    model, folder = saved[name]
    for nested in ("graph", "block"):
        out = tmp_path / f"{nested}{suffix}"
        kmt.convert(folder / f"m{suffix}", out, extract=nested)
        found = loaded("keras" if suffix == ".keras" else name, out)
        inner = model.get_layer(nested)
        assert [layer.name for layer in found.layers] == [layer.name for layer in inner.layers]
        assert close(found(INPUT), inner(INPUT))
        slots = getattr(kmt.read(out).optimizer, "slots", ())
        assert {(slot.name, slot.weight.role) for slot in slots} >= {("momentum", "kernel"), ("velocity", "bias")}
    out = tmp_path / "mha.weights.h5"
    kmt.convert(folder / f"m{suffix}", out, extract="mha")
    assert {path[0] for path, _ in kmt.read(out).weights()} == {"mha"}
    assert kmt.digest(out).values == kmt.digest(kmt.read(out)).values


def dense(framework: Any, seed: int, name: str) -> Any:
    framework.utils.set_random_seed(seed)
    layers = framework.layers
    return framework.Sequential([framework.Input((4,)), layers.Dense(3, name=f"{name}1"), layers.BatchNormalization(name=f"{name}2")])


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_means_and_merged_layers_are_loaded(name: str, tmp_path: Path) -> None:
    framework = making.framework(name)
    models = [dense(framework, seed, "a") for seed in range(3)]
    for number, model in enumerate(models):
        model.save(tmp_path / f"{number}.h5")
    files = [str(tmp_path / f"{number}.h5") for number in range(3)]
    assert main(["average", *files, "-o", str(tmp_path / "mean.h5"), "-q"]) == 0
    found = framework.models.load_model(tmp_path / "mean.h5").get_weights()
    assert same(
        found,
        [
            np.mean([np.float64(one) for one in each], axis=0).astype("float32")
            for each in zip(*(m.get_weights() for m in models), strict=True)
        ],
    )
    other = dense(framework, 9, "b")
    other.save(tmp_path / "b.h5")
    assert main(["merge", files[0], str(tmp_path / "b.h5"), "-o", str(tmp_path / "both.h5"), "-q"]) == 0
    inputs = framework.Input((4,))
    ends = [dense(framework, 5, part).layers for part in ("a", "b")]
    both = framework.Model(inputs, [last(first(inputs)) for first, last in ends])
    both.load_weights(tmp_path / "both.h5", by_name=True)
    for model in (models[0], other):
        assert all(same(both.get_layer(layer.name).get_weights(), layer.get_weights()) for layer in model.layers)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_models_that_differ_in_names_that_keras_counted_are_configured_alike(name: str, tmp_path: Path) -> None:
    """A second model of a program is `model_1`, with an `input_2` and a `dropout_1`."""
    framework = making.framework(name)
    layers = framework.layers
    files = []
    for number, rate in enumerate((0.1, 0.1, 0.2)):
        inputs = framework.Input((4,))
        model = framework.Model(inputs, layers.Dense(2, name="b")(layers.Dropout(rate)(layers.Dense(3, name="a")(inputs))))
        files.append(tmp_path / f"{number}.keras")
        model.save(files[-1])
    names = [kmt.read(file).architecture for file in files]
    assert names[0] != names[1]
    assert len(kmt.average(files[:2]).said) == 1
    assert kmt.average(files[1:]).said[1].startswith(f"{files[2]} is configured otherwise than {files[1]}")
    row = [framework.Sequential([framework.Input((4,)), layers.Dense(2, name="c")]) for _ in range(2)]
    assert row[0].name != row[1].name
    assert len(kmt.average(row).said) == 1


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_the_report_says_of_the_state_of_an_optimizer_is_what_the_file_holds(name: str, tmp_path: Path) -> None:
    framework = making.framework(name)
    inner = framework.Sequential([framework.Input((4,)), framework.layers.Dense(3, name="q")], name="inner")
    inputs = framework.Input((4,))
    model = framework.Model(inputs, framework.layers.Dense(2, name="b")(inner(inputs)))
    for is_trained in (False, True):
        model.compile("adam", "mean_squared_error")
        if is_trained:
            model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
        model.save(tmp_path / "m.keras")
        for destination in ("m.h5", "m.weights.h5", "ckpt.index"):
            for part in (None, "inner"):
                report = kmt.convert(tmp_path / "m.keras", tmp_path / destination, overwrite=True, extract=part)
                state = kmt.read(tmp_path / destination).optimizer
                told = [line for line in report.carried if line.startswith("optimizer")]
                assert bool(told) is (state is not None)
                if state is not None:
                    wanted = f"{len(state.slots)} arrays for weights" if is_trained else "no arrays for weights, as it has taken no step"
                    assert wanted in told[0]
                else:
                    assert any("optimizer" in line for line in report.left_out)
                assert bool(state and state.slots) is is_trained


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_keys_that_a_model_is_fed_by_stay_when_its_inputs_are_renamed(name: str, suffix: str, tmp_path: Path) -> None:
    framework = making.framework(name)
    layers = framework.layers
    ends = {key: framework.Input((3,), name=key) for key in ("left", "right")}
    made = layers.Subtract(name="minus")([layers.Dense(2, name="d1")(ends["left"]), layers.Dense(2, name="d2")(ends["right"])])
    model = framework.Model(ends, {"minus": made})
    values = dict(zip(("left", "right"), np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32"), strict=True))
    wanted = np.asarray(model(values)["minus"])
    model.save(tmp_path / f"m{suffix}")
    (target, load) = ("m.h5", framework) if suffix == ".h5" else ("new.keras", making.framework("keras"))
    report = kmt.convert(tmp_path / f"m{suffix}", tmp_path / f"new_{target}", rename=["left=first", "minus=gap"])
    assert "the model is still fed by the keys left, right, which are no names of layers" in report.changes
    assert "its outputs still go by the keys minus, which are no names of layers" in report.changes
    found = load.models.load_model(tmp_path / f"new_{target}", compile=False)
    assert {layer.name for layer in found.layers} == {"first", "right", "d1", "d2", "gap"}
    assert np.allclose(np.asarray(found(values)["minus"]), wanted, atol=1e-6)
    with pytest.raises(ValueError, match="Missing data for input"):
        found({"first": values["left"], "right": values["right"]})
    assert not kmt.convert(tmp_path / f"m{suffix}", tmp_path / f"other_{target}", rename=["d1=first"]).changes
