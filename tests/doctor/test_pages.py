"""The page of findings: made from the kinds and from what `kmt doctor` says of the files that show them, so that no example is made up.

`python -m tests.doctor.test_pages` writes it anew, for review.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kmodel_tools as kmt
from kmodel_tools.doctor import NOT_IN_A_FILE
from kmodel_tools.doctor.finding import PAGE, SEVERITIES, THEMES, Kind
from kmodel_tools.doctor.kinds import kinds
from kmodel_tools.doctor.readers import TRIED
from kmodel_tools.render.findings_text import finding_text
from tests.conftest import ROOT
from tests.doctor.cases import COMPARED, SHOWN, WITH_MESSAGE

TITLES = {
    "opening": "It does not open",
    "weights": "Its weights",
    "architecture": "Its architecture",
    "precision": "Its precision",
    "training": "Its training",
    "safety": "Is it safe",
    "comparison": "With a second file",
    "message": "With a message",
}
HEAD = """# Findings of the doctor

`kmt doctor FILE` says why a model does not open, gives other results than it did, or is unsafe to load. Nothing in the file is imported,
decoded or run. Here is every finding, with what the doctor says of a file that has it. Made from the code; `python -m
tests.doctor.test_pages` writes it anew.

* **error**: the file does not open, is wrong, or is unsafe; **warning**: results may differ; **note**: worth knowing.
* A finding is certain, read off the file, unless *(likely)* or *(possible)* stands behind it.
* Names in capitals in a cure stand for what only you know.
* Exit status: 0 nothing found, 1 findings, 2 an error. `--format json`, `sarif` and `github` are for programs.
* `read by` names the releases that read the file as it is; it is no finding. Only what was tried is said, with {tried}: others may
  read it too. Keras before 2.4 and TensorFlow before 2.3 need h5py before 3.
"""


@contextmanager
def folder() -> Iterator[None]:
    """A folder of its own, in which nothing is set for Keras."""
    here, home = Path.cwd(), os.environ.get("KERAS_HOME")
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        os.environ["KERAS_HOME"] = place
        try:
            yield
        finally:
            os.chdir(here)
            if home is None:
                del os.environ["KERAS_HOME"]
            else:
                os.environ["KERAS_HOME"] = home


def example(identifier: str) -> str:
    """What the doctor says of the file that shows a finding, with the command."""
    with folder():
        compared = next((case for case in COMPARED if case.identifier == identifier), None)
        case = next((case for case in (*SHOWN, *WITH_MESSAGE) if case.identifier == identifier), None)
        if compared is not None:
            paths = compared.make(), compared.other()
            line, found = " ".join(paths), kmt.diagnose(*paths)
        elif case is not None:
            path = case.make()
            line, found = path + (" --error message.txt" if case.error else ""), kmt.diagnose(path, error=case.error)
        else:
            return ""
    item = next(item for item in found if item.identifier == identifier)
    return f"```\n$ kmt doctor {line}\n{finding_text(item)}\n```\n"


def section(kind: Kind) -> str:
    """What the page says of one kind."""
    return "\n".join(
        part for part in (f"### {kind.identifier}\n\n**{kind.severity}**: {kind.title}\n\n{kind.meaning}\n", example(kind.identifier))
    )


def page() -> str:
    """The whole page."""
    parts = [HEAD.format(tried="; ".join(f"{line.removesuffix(' 3')} {', '.join(releases)}" for line, releases in TRIED.items()))]
    for theme, title in TITLES.items():
        own = [kind for kind in kinds().values() if kind.theme == theme]
        listed = ", ".join(f"[{kind.identifier}](#{kind.identifier})" for kind in own)
        parts += [f"## {title}\n\n{listed}\n", *(section(kind) for kind in own)]
    checks = "\n".join(f"* **{what}**: {check}" for what, check in NOT_IN_A_FILE)
    parts.append(f"## What no file shows\n\nTwo files can be equal and results not. Look at these:\n\n{checks}\n")
    return "\n".join(parts)


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_every_finding_has_its_place() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert all(f"\n### {identifier}\n" in text for identifier in kinds())
    assert set(TITLES) == set(THEMES)
    assert all(kind.severity in SEVERITIES for kind in kinds().values())


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), encoding="utf-8")
