"""The architecture alone, as a document holds it: what stays behind, and what is asked for that is of weights."""

from __future__ import annotations

from dataclasses import replace

from kmodel_tools.converter.request import Request
from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import ConversionError
from kmodel_tools.format import Format
from kmodel_tools.tree import Model

NONE_HELD = "a document of an architecture holds none"


def refuse_what_is_of_weights(request: Request, target: Format) -> None:
    """Make sure that nothing is asked of weights where none are written.

    Raises:
        ConversionError: It is; the message names the options.
    """
    asked = {
        "--weights-only": request.weights_only,
        "--select": bool(request.select),
        "--drop": bool(request.drop),
        "--dtype": request.dtype is not None,
        "--averages": request.averages,
    }
    if found := [name for name, is_asked in asked.items() if is_asked]:
        raise ConversionError(
            f"{target.title} holds no weights, which {' and '.join(found)} {'is' if len(found) == 1 else 'are'} for",
            cure="write weights to NAME.h5 or NAME.weights.h5",
        )


def without_state(model: Model, optimizer: bool) -> tuple[Model, list[str]]:
    """A model without optimizer state, files of layers and arrays beside it, and what is left out; its weights are still there.

    Args:
        model: The model; weights may tell shapes that an upgrade of its architecture asks for.
        optimizer: Whether its state was asked for.
    """
    left_out = []
    if count := sum(1 for _ in model.weights()):
        left_out.append(f"{count} weights: {NONE_HELD}")
    if model.optimizer is not None:
        left_out.append(f"optimizer state: {NONE_HELD if optimizer else 'as asked for'}")
    if model.assets:
        left_out.append(f"{len(model.assets)} files of layers: {NONE_HELD}")
    if model.extras:
        left_out.append(f"{len(model.extras)} arrays of no layer: {NONE_HELD}")
    return replace(model, optimizer=None, assets=(), extras=()), left_out


def without_weights(model: Model) -> Model:
    """The layers of a model, and none of their weights."""
    return replace(replace_weights(model, lambda _, weight: None), inventory=())
