"""What a TensorFlow graph offers and consists of, in a few labelled lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmodel_tools.architecture.operations import GraphRow
from kmodel_tools.render.words import counted
from kmodel_tools.tensor import Shape

FEW_SIGNATURES = 4
FEW_ARGUMENTS = 6
FEW_OPERATIONS = 6

Argument = tuple[str, str, Shape | None]


def graph_facts(graph: GraphRow, everything: bool) -> Iterator[tuple[str, str]]:
    """Yield `(label, text)`: signatures, operations, and those of them that are worth a look.

    Args:
        graph: What to show.
        everything: Show all signatures, arguments and operations, however many there are.
    """
    shown = graph.signatures if everything else graph.signatures[:FEW_SIGNATURES]
    for signature in shown:
        inputs, outputs = (_arguments(items, everything) for items in (signature.inputs, signature.outputs))
        yield "signature", f"{signature.name}: {inputs} → {outputs}"
    if len(graph.signatures) > len(shown):
        yield "", f"… and {counted(len(graph.signatures) - len(shown), 'more signature')}: {_names(graph, len(shown))}"
    yield "graph", _operations(graph, everything)
    for kind in dict.fromkeys(graph.noteworthy.values()):
        names = [f"{name} ×{graph.operations[name]:,}" for name, found in graph.noteworthy.items() if found == kind]
        yield "", f"{kind}: {', '.join(names)}"


def _names(graph: GraphRow, start: int) -> str:
    names = [item.name for item in graph.signatures[start:]]
    return ", ".join(names[:FEW_ARGUMENTS]) + (" …" if len(names) > FEW_ARGUMENTS else "")


def _arguments(items: Sequence[Argument], everything: bool) -> str:
    shown = items if everything or len(items) <= FEW_ARGUMENTS else items[:FEW_ARGUMENTS]
    text = ", ".join(f"{name} {dtype} {_shape(shape)}" for name, dtype, shape in shown)
    return text + (f", … and {len(items) - len(shown):,} more" if len(items) > len(shown) else "") or "nothing"


def _shape(shape: Shape | None) -> str:
    """A shape as Keras prints one whose sizes are not all known: `(None, 28, 28)`."""
    if shape is None:
        return "of any rank"
    sizes = ["None" if size < 0 else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _operations(graph: GraphRow, everything: bool) -> str:
    tags = f", tagged {', '.join(graph.tags)}" if graph.tags else ""
    if graph.problem is not None:
        return f"its operations cannot be counted: {graph.problem}{tags}"
    count = len(graph.operations) if everything else FEW_OPERATIONS
    listed = [f"{name} ×{number:,}" for name, number in list(graph.operations.items())[:count]]
    more = f", … and {len(graph.operations) - count:,} more" if len(graph.operations) > count else ""
    functions = f" in it and in {counted(graph.functions, 'function')}" if graph.functions else ""
    total = counted(sum(graph.operations.values()), "operation")
    return f"{total}{functions}{tags}; not run{': ' if listed else ''}{', '.join(listed)}{more}"
