"""What to know of a whole match: where equal names, or the order of layers, may have paired others than were meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

from kmodel_tools.architecture.names import class_of_group
from kmodel_tools.likeness import recounted
from kmodel_tools.matcher.names import is_counted, nameless, without_numbers
from kmodel_tools.matcher.pairing import Pairing
from kmodel_tools.matcher.result import NAME, ORDER, POSITION, Match
from kmodel_tools.matcher.sides import Symbols
from kmodel_tools.tree import Path, join_path

COUNTED_ON = "names of the two models count from other numbers, and equal ones may be those of other layers"
ONE_MORE = "one model has more layers of a class and shapes, and equal numbers may be those of other layers"


ORDER_ALONE = "order alone tells it from others of its class and shapes"


def remarked(pairing: Pairing, found: Match) -> Match:
    """A match with a sentence each on layers that were told from others by their order or their number alone.

    Args:
        pairing: All that was paired.
        found: What of it is wanted.
    """
    by_number, by_order = _by_number_alone(pairing, found), _by_order_alone(pairing)
    remarks = [f"{why}: {', '.join(sorted(map(join_path, layers)))}" for why, layers in by_number.items()]
    if by_order:
        remarks.append(
            f"order alone tells {len(by_order):,} layers from others of their class and shapes; if some changed places, it is not seen"
        )
    doubts = dict.fromkeys(by_order, ORDER_ALONE)
    for why, layers in by_number.items():
        doubts |= dict.fromkeys(layers, why)
    return replace(found, remarks=tuple(remarks), doubts=doubts)


def _by_number_alone(pairing: Pairing, found: Match) -> dict[str, set[Path]]:
    """What to say of layers of `b` whose equal names may be those of other layers: Keras gives them by counting.

    It goes on counting from model to model, and a layer that is inserted takes the number of the one behind it.
    """
    if nameless(pairing.a.model) or nameless(pairing.b.model):
        return {}
    believed = {pair.path_b[:-1] for pair in found.pairs if pair.how == NAME and pair.path_a == pair.path_b}
    counted_on = recounted([item.name for item in pairing.a.items], [item.path for item in pairing.b.items]) & believed
    found_by = {COUNTED_ON: counted_on, ONE_MORE: _may_have_moved(pairing) & believed - counted_on}
    return {why: layers for why, layers in found_by.items() if layers}


def _may_have_moved(pairing: Pairing) -> set[Path]:
    """Layers of `b` by names that Keras counts, where one more of their class and shapes stands in one model alone."""
    symbols = Symbols.of(pairing.a, pairing.b)
    families: tuple[dict[tuple[Path, Hashable], set[Path]], ...] = ({}, {})
    counted: set[Path] = set()
    for side, known in zip((pairing.a, pairing.b), families, strict=True):
        for item in side.items:
            stem = (*item.name[:-1], *without_numbers(item.name[-1:]))
            known.setdefault((stem, symbols.exact(side, item)), set()).add(item.name)
            if item.name and (class_of_group(stem[-1]) if item.class_name is None else is_counted(item)):
                counted.add(stem)
    both = {key: (names, families[1][key]) for key, names in families[0].items() if key in families[1] and key[0] in counted}
    return {name for names, others in both.values() if len(names) != len(others) for name in names & others}


def _by_order_alone(pairing: Pairing) -> set[Path]:
    """Layers of `b` that others have the class and shapes of, and that were told from them by their order alone."""
    symbols = Symbols.of(pairing.a, pairing.b)
    kinds = {place: symbols.exact(pairing.b, item) for item in pairing.b.items for place in item.weights}
    alike = Counter(symbols.exact(pairing.b, item) for item in pairing.b.items)
    return {
        pairing.b.weights[other][0][:-1]
        for other, how, _ in pairing.partners.values()
        if how in (ORDER, POSITION) and alike[kinds[other]] > 1
    }
