"""Loading what fits of one model into another, by name. Nothing is read; the model that comes out knows where its values lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.layer_table import MODEL_CLASSES, OPEN
from kmodel_tools.derived import cast
from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import KmtError
from kmodel_tools.matcher import Match, Pair, check_patterns, match_names
from kmodel_tools.renaming import Mapped, rename
from kmodel_tools.tree import Model, Path
from kmodel_tools.upgrader.generation import brought_to

CARRIED = "the source is carried to Keras 3 first"


def transfer(
    source: Model, into: Model, mapping: Mapped | None = None, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[Model, Match]:
    """Give the weights of one model the values of those of the same name in another.

    Args:
        source: Where the values come from.
        into: Where everything else comes from, its optimizer's state too: that of a weight that gets new values stays.
        mapping: New paths for layers and weights of `source`, before anything else, as `renaming.rename` has it.
        include: Patterns; with any, only pairs are loaded of which one path, or a layer above it, matches one.
        exclude: Patterns; a pair of which one path, or a layer above it, matches one is not loaded.

    Returns:
        The model, and the match of `source` (a) and `into` (b): `pairs` are loaded, `mismatched` and `only_a` skipped, and what
        is `only_b` is as it was. Floats take on the precision that `into` has.

    Raises:
        KmtError: One of the two holds no names of layers, and there is no map; the map does not fit the source; or a pattern is
            none or matches nothing.
    """
    brought = brought_to(source, into)
    source = brought.model
    nameless = [model.metadata.get("names") == "groups" for model in (source, into)]
    if mapping is None and nameless[0] != nameless[1]:
        raise KmtError(
            f"the {'source' if nameless[0] else 'target'} holds no names of layers: `dense_1` is only the second Dense in it, "
            "whatever that was called",
            cure="say which is which with --map FILE",
        )
    renamed = source if mapping is None else rename(source, mapping)[0]
    check_patterns((*include, *exclude), [path for model in (renamed, into) for path, _ in model.weights()])
    found = match_names(renamed, into, include, exclude)
    others = _other_classes(found.pairs, renamed, into)
    pairs = tuple(pair for pair in found.pairs if fits(pair) and pair.path_a not in others)
    new = {id(pair.b): replace(pair.b, tensor=cast(pair.a.tensor, pair.b.tensor.dtype)) for pair in pairs}
    loaded = replace_weights(into, lambda _, weight: new.get(id(weight), weight))
    mismatched = tuple(pair for pair in found.pairs if not fits(pair) or pair.path_a in others)
    # The inventory of `into` stays for the order that it has; its values are not taken from there.
    return replace(loaded, inventory=into.inventory), replace(
        found,
        pairs=pairs,
        mismatched=mismatched,
        reasons={**found.reasons, **others},
        remarks=((CARRIED,) if brought.upgraded else ()) + brought.remarks,
    )


def _other_classes(pairs: Sequence[Pair], source: Model, into: Model) -> dict[Path, str]:
    """Weights of the source whose layer is of another class in the target, and which these are: equal shapes mean other things there.

    Both have to be known and Keras's own.
    """
    owners = [{id(weight): layer.class_name for _, layer in model.walk() for weight in layer.weights} for model in (source, into)]
    found: dict[Path, str] = {}
    for pair in pairs:
        names = (owners[0].get(id(pair.a)), owners[1].get(id(pair.b)))
        kinds = [canonical_class(name) for name in names]
        if None not in kinds and kinds[0] != kinds[1] and not {*kinds} & (OPEN | MODEL_CLASSES):
            found[pair.path_a] = f"{names[0]} in the source, {names[1]} in the target"
    return found


def fits(pair: Pair) -> bool:
    """Whether a weight can have the values of another: the same shape, and the same elements or floats of any precision."""
    a, b = pair.a.tensor, pair.b.tensor
    return a.shape == b.shape and (a.dtype is b.dtype or (a.dtype.is_float and b.dtype.is_float))
