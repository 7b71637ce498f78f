"""Loading what fits of one model into another. Nothing is read; the model that comes out knows where its values lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmodel_tools.architecture.layer_classes import canonical_class
from kmodel_tools.architecture.layer_table import MODEL_CLASSES, OPEN
from kmodel_tools.derived import cast
from kmodel_tools.editor import replace_weights
from kmodel_tools.errors import KmtError, MatchError
from kmodel_tools.fitted import first_part, overlaid
from kmodel_tools.matcher import Match, Pair, check_patterns, match
from kmodel_tools.matcher.maps import Mapped
from kmodel_tools.matcher.names import nameless
from kmodel_tools.matcher.result import some
from kmodel_tools.tensor import Shape, Tensor
from kmodel_tools.tree import Model, join_path
from kmodel_tools.upgrader.generation import brought_over

ERROR, SKIP, SLICE, PAD = "error", "skip", "slice", "pad"
ON_MISMATCH = (ERROR, SKIP, SLICE, PAD)
"""What to do with a pair of other shapes or kinds of elements."""


def transfer(
    source: Model,
    into: Model,
    mapping: Mapped | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    by: str = "name",
    rename: Sequence[str] = (),
    on_mismatch: str = SKIP,
) -> tuple[Model, Match]:
    """Give the weights of one model the values of their partners in another.

    Args:
        source: Where the values come from.
        into: Where everything else comes from, its optimizer's state too: that of a weight that gets new values stays.
        mapping: Paths in `into` by paths or keys of layers and weights of `source`, None for what is left out.
        include: Patterns; with any, only pairs are loaded of which one path, or a layer above it, matches one.
        exclude: Patterns; a pair of which one path, or a layer above it, matches one is not loaded.
        by: How to pair, as `matcher.match` has it.
        rename: `OLD=NEW` rules for the paths of `source`.
        on_mismatch: Where shapes differ: `skip` leaves the pair alone, `slice` takes the first part of a larger source, `pad` puts
            a smaller one in the place of the first part, the rest being as it was; `error` stops.

    Returns:
        The model, and the match of `source` (a) and `into` (b): `pairs` are loaded, `mismatched` and `only_a` skipped, and what
        is `only_b` is as it was. Floats take on the precision that `into` has.

    Raises:
        MatchError: With `error`, a pair does not fit; it holds the match.
        KmtError: Names are asked for, one of the two holds none of layers, and there is no map; the map does not fit the source; or a
            pattern is none or matches nothing.
    """
    if on_mismatch not in ON_MISMATCH:
        raise KmtError(f"there is no way called {on_mismatch!r} to load what does not fit", cure=f"use one of {', '.join(ON_MISMATCH)}")
    brought = brought_over(source, into)
    source = brought.model
    if mapping is None and by == "name" and nameless(source) != nameless(into):
        raise KmtError(
            f"the {'source' if nameless(source) else 'target'} holds no names of layers: `dense_1` is only the second Dense in it, "
            "whatever that was called",
            cure="say which is which with --map FILE, or pair by --by auto",
        )
    check_patterns((*include, *exclude), [path for model in (source, into) for path, _ in model.weights()])
    found = match(source, into, by, rename, include, exclude, mapping)
    loaded, skipped, new = _fitted(found.pairs, _Classes(source, into), on_mismatch)
    model = replace_weights(into, lambda _, weight: replace(weight, tensor=new[id(weight)]) if id(weight) in new else weight)
    remarks = (*brought.said, *brought.remarks, *found.remarks, *_in_part(loaded, skipped))
    found = replace(found, pairs=tuple(loaded), mismatched=tuple(skipped), remarks=remarks)
    if on_mismatch == ERROR and skipped:
        first = "; ".join(f"{join_path(pair.path_b)}: {pair.remark}" for pair in skipped[:3])
        more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        raise MatchError(f"weights do not fit: {first}{more}", found)
    # The inventory of `into` stays for the order that it has; its values are not taken from there.
    return replace(model, inventory=into.inventory), found


def _fitted(pairs: Sequence[Pair], classes: _Classes, on_mismatch: str) -> tuple[list[Pair], list[Pair], dict[int, Tensor]]:
    """Pairs that are loaded, those that are not, and the values of the former by the identity of the weight that gets them."""
    loaded: list[Pair] = []
    skipped: list[Pair] = []
    new: dict[int, Tensor] = {}
    for pair in pairs:
        other = classes.differ(pair)
        if other:
            skipped.append(replace(pair, remark=other))
        elif fits(pair):
            loaded.append(pair)
            new[id(pair.b)] = cast(pair.a.tensor, pair.b.tensor.dtype)
        elif _same_kind(pair) and on_mismatch == SLICE and _holds(pair.a.tensor.shape, pair.b.tensor.shape):
            loaded.append(replace(pair, remark=f"the first {pair.b.tensor.shape} of {pair.a.tensor.shape}"))
            new[id(pair.b)] = cast(first_part(pair.a.tensor, pair.b.tensor.shape), pair.b.tensor.dtype)
        elif _same_kind(pair) and on_mismatch == PAD and _holds(pair.b.tensor.shape, pair.a.tensor.shape):
            loaded.append(replace(pair, remark=f"{pair.a.tensor.shape} for the first part of {pair.b.tensor.shape}, the rest as it was"))
            new[id(pair.b)] = overlaid(pair.b.tensor, cast(pair.a.tensor, pair.b.tensor.dtype))
        else:
            skipped.append(replace(pair, remark=_misfit(pair)))
    return loaded, skipped, new


def _in_part(loaded: Sequence[Pair], skipped: Sequence[Pair]) -> tuple[str, ...]:
    """A remark on layers that have some of their weights from the source and others as they were, which is hardly meant."""
    places = {pair.path_b[:-1] for pair in loaded}
    layers = list(dict.fromkeys(join_path(pair.path_b[:-1]) for pair in skipped if pair.path_b[:-1] in places))
    return (f"of some layers a part alone is loaded, since the rest does not fit: {some(layers)}",) if layers else ()


class _Classes:
    """Classes of the layers that weights lie in, on both sides."""

    def __init__(self, *models: Model) -> None:
        self.owners = [{id(weight): layer.class_name for _, layer in model.walk() for weight in layer.weights} for model in models]

    def differ(self, pair: Pair) -> str:
        """Which classes two layers are of, if they are others, so that equal shapes mean other things; else "".

        Both have to be known and Keras's own.
        """
        names = (self.owners[0].get(id(pair.a)), self.owners[1].get(id(pair.b)))
        kinds = [canonical_class(name) for name in names]
        if None in kinds or kinds[0] == kinds[1] or {*kinds} & (OPEN | MODEL_CLASSES):
            return ""
        return f"{names[0]} in the source, {names[1]} in the target"


def fits(pair: Pair) -> bool:
    """Whether a weight can have the values of another: the same shape, and the same elements or floats of any precision."""
    return pair.a.tensor.shape == pair.b.tensor.shape and _same_kind(pair)


def _same_kind(pair: Pair) -> bool:
    a, b = pair.a.tensor.dtype, pair.b.tensor.dtype
    return a is b or (a.is_float and b.is_float)


def _holds(large: Shape, small: Shape) -> bool:
    return len(large) == len(small) and all(one >= other for one, other in zip(large, small, strict=True))


def _misfit(pair: Pair) -> str:
    a, b = pair.a.tensor, pair.b.tensor
    if a.shape != b.shape:
        return f"{a.shape} in the source, {b.shape} in the target"
    return f"{a.dtype.value} in the source, {b.dtype.value} in the target"
