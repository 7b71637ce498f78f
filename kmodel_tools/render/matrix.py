"""What goes from each format to each other one: `kmt formats --matrix`, and the table of the README."""

from __future__ import annotations

from collections.abc import Sequence

from kmodel_tools.format import Format, Part, carries

LETTERS = {Part.WEIGHTS: "W", Part.ARCHITECTURE: "A", Part.TRAINING_CONFIG: "T", Part.OPTIMIZER: "O", Part.ASSETS: "F"}
LEGEND = (
    "W weights  A architecture  T training configuration  O optimizer's state",
    "F files of layers (vocabularies)  L not without the architecture or the",
    "weights of another file: --like",
)
HELP = "L"


def matrix_rows(formats: Sequence[Format]) -> list[dict[str, object]]:
    """For each format that is read, what goes to each one that is written, by the name of the part."""
    written = [item for item in formats if item.write is not None]
    return [
        {
            "from": source.name,
            "to": {target.name: [_name(part) for part in LETTERS if part in carries(source, target)] for target in written},
        }
        for source in formats
    ]


def matrix_text(formats: Sequence[Format]) -> str:
    """The table for a terminal: columns have the number of a row."""
    numbers = {item.name: str(number) for number, item in enumerate(formats, 1)}
    written = [item for item in formats if item.write is not None]
    lines = ["from \\ to".ljust(19) + "".join(numbers[item.name].ljust(6) for item in written).rstrip()]
    for source in formats:
        start = f"{numbers[source.name]:>2}  {source.name}".ljust(19)
        lines.append((start + "".join(_letters(source, target).ljust(6) for target in written)).rstrip())
    return "\n".join([*lines, "", *LEGEND])


def matrix_markdown(formats: Sequence[Format]) -> str:
    """The table for a page."""
    written = [item for item in formats if item.write is not None]
    lines = [f"| from \\ to | {' | '.join(f'`{item.name}`' for item in written)} |", f"|---|{'---|' * len(written)}"]
    lines += [f"| `{source.name}` | {' | '.join(_letters(source, target) for target in written)} |" for source in formats]
    return "\n".join(lines)


def _letters(source: Format, target: Format) -> str:
    return "".join(letter for part, letter in LETTERS.items() if part in carries(source, target)) or HELP


def _name(part: Part) -> str:
    return (part.name or "").lower()
