"""What Keras 2 calls the variables of a model: TensorFlow's scopes, which legacy files and checkpoints both hold."""

from __future__ import annotations

from collections.abc import Iterator

from kmodel_tools.tree import Layer, Model, Weight


def variable_names(model: Model, whole: bool = False) -> dict[int, str]:
    """A name for each weight, by the weight's identity, each name once: `dense/kernel`, `bi/forward_lstm/lstm_cell/kernel`.

    Keras 2 leaves the name of a nested model out; it is there only where two variables would have one name without it.

    Args:
        model: The model.
        whole: Whether to leave nothing out, as where nothing says that a level is a nested model and not a scope.
    """
    found: dict[int, str] = {id(weight): weight.role for weight in model.own_weights}
    taken = set(found.values())
    for layer in model.layers:
        for short, full, weight, _ in names_below(layer):
            if id(weight) in found:
                continue
            name = short if short not in taken and not whole else full
            number = 1
            while name in taken:
                name = f"{full}_{number}"
                number += 1
            found[id(weight)] = name
            taken.add(name)
    return found


def names_below(layer: Layer) -> Iterator[tuple[str, str, Weight, set[str]]]:
    """Yield `(name, full name, weight, roles beside it)` for all weights of a layer, its own first, each once.

    A layer of a nested model has a name of its own; what a wrapper or a recurrent layer holds stands behind its name.
    """
    seen: set[int] = set()
    stack: list[tuple[str, str, Layer]] = [(layer.name, layer.name, layer)]
    while stack:
        short, full, item = stack.pop()
        roles = {weight.role for weight in item.weights}
        for weight in item.weights:
            if id(weight) not in seen:
                seen.add(id(weight))
                yield f"{short}/{weight.role}", f"{full}/{weight.role}", weight, roles
        for child in reversed(item.layers):
            inner = child.name if child.attr is None else f"{short}/{child.name}"
            stack.append((inner, f"{full}/{child.name}", child))
