"""Documentation that cannot rot: commands that are shown, run; texts that are generated are up to date."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import kmodel_tools
from kmodel_tools import cli
from kmodel_tools.architecture.downgrade.walk import RULES as DOWNGRADE
from kmodel_tools.architecture.upgrade.keras_1 import arguments as old_arguments
from kmodel_tools.architecture.upgrade.keras_1 import layers as old_layers
from kmodel_tools.architecture.upgrade.walk import RULES as UPGRADE
from kmodel_tools.render.matrix import matrix_markdown
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def help_of(*command: str) -> str:
    return CliRunner().invoke(cli.kmt, [*command, "--help"], prog_name="kmt", terminal_width=80).output


def reference() -> str:
    """docs/cli.md, from the help texts."""
    parts = ["# Commands\n\nMade from `--help`; `python -m tests.test_docs` writes it anew.\n", f"```\n{help_of()}```\n"]
    parts += [f"## kmt {name}\n\n```\n{help_of(name)}```\n" for name in cli.COMMANDS]
    return "\n".join(parts)


STEPS: Mapping[str, Sequence[Callable[..., Any]]] = {
    "Keras 0.3 and 1 → Keras 2": (*old_layers.BEFORE_RENAMING, *old_arguments.RULES, *old_layers.AFTER_RENAMING, *old_layers.LAST),
    "Keras 2 → Keras 3": UPGRADE,
    "Keras 3 → Keras 2": DOWNGRADE,
}
"""The rules of each step between generations, in the order in which they are applied to a layer."""


def rules() -> str:
    """docs/rules.md, from the docstrings of the rules."""
    parts = [
        "# Rules between generations\n\nMade from the docstrings; `python -m tests.test_docs` writes it anew. "
        "What each generation's files need: [generations](guides/generations.md).\n"
    ]
    for step, functions in STEPS.items():
        parts.append(f"## {step}\n\n| rule | what it does to a layer | what it cures |\n|---|---|---|")
        parts += [f"| `{rule.__module__.rpartition('.')[2]}.{rule.__name__}` | {' | '.join(_told(rule))} |" for rule in functions]
        parts.append("")
    return "\n".join(parts)


def _told(rule: Callable[..., Any]) -> tuple[str, str]:
    """The first sentence of a rule's docstring, and the error that it cures."""
    text = " ".join((inspect.getdoc(rule) or "").split("\n\n")[0].split())
    whole = " ".join((inspect.getdoc(rule) or "").split())
    cured = re.search(r"Cures ((`+).+?(?<!`)\2)(?!`)", whole)
    return text.replace("|", "\\|"), (cured[1] if cured else "").replace("|", "\\|")


def test_the_table_of_rules_is_up_to_date() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == rules()


def test_the_command_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference()


def test_every_command_says_what_it_is_for_with_an_example() -> None:
    for name, summary in cli.COMMANDS.items():
        command = cli.kmt.get_command(click.Context(cli.kmt), name)
        assert command is not None
        assert command.help
        assert summary.endswith(".")
        assert name == "formats" or f"kmt {name} " in command.help, name
        assert all(option.help for option in command.params if isinstance(option, click.Option)), name


def test_the_readme_shows_what_inspect_prints() -> None:
    shown = re.search(r"\$ kmt inspect (\S+)\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    golden = ROOT / f"{shown[1]}.inspect.txt"
    assert shown[2] == golden.read_text(encoding="utf-8")


def test_the_readme_shows_what_diff_prints() -> None:
    shown = re.search(r"\$ kmt diff (\S+ \S+)\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    assert shown[2] == (ROOT / "sample_models" / "diff" / "training.txt").read_text(encoding="utf-8")


def test_the_readme_shows_what_convert_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.search(r"\$ kmt convert (\S+) (\S+)\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli.kmt, ["convert", shown[1], shown[2]], catch_exceptions=False).output == shown[3]


def test_commands_in_the_readme_parse() -> None:
    commands = re.findall(r"`(kmt [^`]+)`", README)
    assert len(commands) > 6
    for line in commands:
        name, *arguments = shlex.split(line)[1:]
        command = cli.kmt.get_command(click.Context(cli.kmt), name)
        assert command is not None, line
        command.make_context(name, arguments)


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a sample in the place of the user's files."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    sample = str(ROOT / "sample_models" / "keras_h5" / "keras-3.15.1.h5")
    text = code[1].replace('"model.h5"', repr(sample)).replace('"ckpt-7"', repr(sample)).replace("conv1/kernel", "my_d1/kernel")
    found: dict[str, object] = {}
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "README.md", "exec"), found)
    assert getattr(found["kernel"], "shape", None) == (4, 3)


def test_ci_runs_the_command_of_the_readme() -> None:
    commands = re.findall(r"```sh\n(python3 -m venv .*?)\n```", README)
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sample_models/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_format_is_in_the_readme() -> None:
    assert all(f"`{item.name}`" in README for item in kmodel_tools.formats())


def test_the_matrix_of_the_readme_is_up_to_date() -> None:
    assert matrix_markdown(kmodel_tools.formats()) in README


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    Path(ROOT / "docs" / "cli.md").write_text(reference(), encoding="utf-8")
    Path(ROOT / "docs" / "rules.md").write_text(rules(), encoding="utf-8")
