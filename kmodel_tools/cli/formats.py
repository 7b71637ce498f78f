"""`kmt formats`."""

from __future__ import annotations

import click


@click.command("formats", short_help="List the formats.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List the formats: the name that --from takes, what it is, its usual suffixes, and what it holds of a model."""
    from kmodel_tools import api
    from kmodel_tools.format import Part

    records = [
        {
            "name": item.name,
            "title": item.title,
            "suffixes": list(item.suffixes),
            "holds": [part.name.lower().replace("_", " ") for part in Part if part in item.holds and part.name],
        }
        for item in api.formats()
    ]
    if as_json:
        from kmodel_tools.render.json import json_text

        click.echo(json_text(records), nl=False)
        return
    for record in records:
        click.echo(f"{record['name']:<15} {record['title']}")
        click.echo(f"{'':<15} {' '.join(record['suffixes'])}")
        for line in _wrapped(", ".join(record["holds"])):
            click.echo(f"{'':<15} {line}")


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(f"holds {text}", 64, subsequent_indent="  ")
