"""`kmt formats`."""

from __future__ import annotations

from typing import Any

import click


@click.command("formats", short_help="List the formats.")
@click.option("--matrix", is_flag=True, help="Show what goes from each format to each other one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(matrix: bool, as_json: bool) -> None:
    """List the formats: the name that --from and --to take, what it is, its usual suffixes, whether it is written as well
    as read, what it holds of a model, and the options of its writer.
    """
    from kmodel_tools import api
    from kmodel_tools.format import Part

    if matrix:
        _show_matrix(as_json)
        return
    records: list[dict[str, Any]] = [
        {
            "name": item.name,
            "title": item.title,
            "suffixes": list(item.suffixes),
            "written": item.write is not None,
            "holds": [part.name.lower().replace("_", " ") for part in Part if part in item.holds and part.name],
            "options": [{"name": option.name, "default": option.default, "help": option.help} for option in item.options],
        }
        for item in api.formats()
    ]
    if as_json:
        from kmodel_tools.render.json import json_text

        click.echo(json_text(records), nl=False)
        return
    for record in records:
        click.echo(f"{record['name']:<15} {record['title']}")
        click.echo(f"{'':<15} {' '.join(record['suffixes'])}; {'read and written' if record['written'] else 'read'}")
        lines = _wrapped(f"holds {', '.join(record['holds'])}")
        for option in record["options"]:
            default = f" ({option['default']})" if option["default"] else ""
            lines += _wrapped(f"--option {option['name']}=…  {option['help']}{default}")
        for line in lines:
            click.echo(f"{'':<15} {line}")


def _show_matrix(as_json: bool) -> None:
    from kmodel_tools import api
    from kmodel_tools.render.matrix import matrix_rows, matrix_text

    if as_json:
        from kmodel_tools.render.json import json_text

        click.echo(json_text(matrix_rows(api.formats())), nl=False)
        return
    click.echo(matrix_text(api.formats()))


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 64, subsequent_indent="  ")
