"""Whether weights are those that an architecture announces: each there, each of a shape that its layer's settings allow.

Names and numbers of layers are alike in models that are not, so that weights may find a place in an architecture of another
model. Frameworks refuse such a file only when they load it, or fill what is missing with new values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmodel_tools.architecture.envelope import Era
from kmodel_tools.architecture.layer_classes import misshapen
from kmodel_tools.architecture.names import is_index
from kmodel_tools.architecture.spec import LayerSpec, followed
from kmodel_tools.errors import ConversionError
from kmodel_tools.tree import Layer, Model, Path, join_path, split_path
from kmodel_tools.upgrader.generation import FIRST

CURE = "give the architecture that they were saved with: --like"


def misfits(root: LayerSpec, model: Model, era: Era) -> list[str]:
    """What layers of built-in classes hold that is not theirs, a clause each.

    Shapes are looked at from Keras 2 on: before, they also depend on the backend.
    """
    found = []
    for path, spec, layer in _built_in(root, model):
        held = {weight.role: weight.tensor.shape for weight in layer.weights} if layer is not None else {}
        if any(is_index(role) for role in held):
            continue  # nothing says which is which
        roles = {variable.role for variable in spec.variables or ()}
        found += [f"{join_path((*path, role))}, which no {spec.class_name} of these settings has" for role in held if role not in roles]
        if era in FIRST:
            continue
        for role, settings in misshapen(spec.variables or (), spec.class_name, spec.config, held).items():
            found.append(f"{join_path((*path, role))} of shape {held[role]}, where the architecture has {settings}")
    return found


def missing(root: LayerSpec, model: Model) -> list[str]:
    """The weights that layers of built-in classes have, and a model has not."""
    found = []
    for path, spec, layer in _built_in(root, model):
        held = {weight.role for weight in layer.weights} if layer is not None else set()
        if not any(is_index(role) for role in held):
            found += [join_path((*path, variable.role)) for variable in spec.variables or () if variable.role not in held]
    return found


def refuse_gaps(model: Model) -> None:
    """Make sure that a model has all weights that its architecture announces.

    Raises:
        ConversionError: Some are not there; the losses list them.
    """
    spec = followed(model)
    gaps = missing(spec.root, model) if spec is not None and spec.era is not Era.KERAS_0 else []
    if gaps:
        raise ConversionError(f"the architecture asks for weights that are not there: {listed(gaps)}", tuple(gaps), cure=CURE)


def listed(items: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    return "; ".join(items[:3]) + (f"; and {len(items) - 3} more" if len(items) > 3 else "")


def _built_in(root: LayerSpec, model: Model) -> Iterator[tuple[Path, LayerSpec, Layer | None]]:
    """Every layer of a class whose variables are known, with its place in the model."""
    tree = dict(model.walk())
    for first, others in model.aliases().items():
        tree |= dict.fromkeys(others, tree[first])
    stack: list[tuple[Path, LayerSpec]] = [((), root)]
    while stack:
        path, spec = stack.pop()
        if path and not spec.is_model and spec.variables is not None:
            yield path, spec, tree.get(path)
        below = [((*path, *((child.name,) if child.attr is None else split_path(child.attr))), child) for child in spec.children]
        stack.extend(reversed(below))
