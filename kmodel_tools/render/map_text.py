"""A map as a file for people to look through, proposed or what a match came to, in YAML or JSON; `map_file` reads either."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from kmodel_tools.map_file import REMARKS
from kmodel_tools.matcher import HOW, Match
from kmodel_tools.matcher.result import MAP, NAME
from kmodel_tools.proposer import Proposal
from kmodel_tools.render.words import counted, printable, shape_text
from kmodel_tools.tree import Path, join_path

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./\-]*$")
_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def map_yaml(proposal: Proposal, source: str, target: str) -> str:
    """The map in YAML, with a comment at whatever should be looked at."""
    lines = [
        f"# {printable(source)} → {printable(target)}",
        f"# Proposed by names and shapes: {proposal_text(proposal)}.",
        "# Look at the lines with ???, then: kmt convert SOURCE DESTINATION --like TARGET --map THIS",
    ]
    for entry in proposal.entries:
        mark = f"  # ??? {entry.doubt}{_others(entry.others)}" if entry.doubt else f"  # {entry.how}" if entry.how else ""
        lines.append(f"{_scalar(entry.source)}: {_scalar(entry.target)}{mark}")
    if proposal.without:
        lines += ["", "# Of the target, without a proposal:"]
        lines += [f"# ?: {_scalar(path)}  # {shape_text(shape)}{_maybe(maybe)}" for path, shape, maybe in proposal.without]
    if proposal.left_over:
        lines += ["", "# Of the source, left over; without the `#` in front, it is left out:"]
        for path, shape, remark in proposal.left_over:
            lines.append(f"# {_scalar(path)}: null  # {shape_text(shape)}{f'; {remark}' if remark else ''}")
    return "\n".join(lines) + "\n"


def map_json(proposal: Proposal) -> str:
    """The map in JSON; what should be looked at stands under keys of its own, which are no names."""
    known = proposal.to_dict()
    remarks = ([entry for entry in known["entries"] if entry["doubt"]], known["without"], known["left_over"])
    return json.dumps({**proposal.mapping, **dict(zip(REMARKS, remarks, strict=True))}, indent=2) + "\n"


def proposal_text(proposal: Proposal) -> str:
    """A proposal in a line."""
    doubtful = sum(bool(entry.doubt) for entry in proposal.entries)
    every = len(proposal.entries) + len(proposal.without)
    return (
        f"{len(proposal.entries):,} of {counted(every, 'weight')} of the target, {doubtful:,} of them doubtful; "
        f"{len(proposal.left_over):,} of the source left over"
    )


def match_yaml(match: Match, source: str, target: str) -> str:
    """A whole match as a map in YAML: every weight of the source has its line, so that the same match is made of it again."""
    pairs = (*match.pairs, *match.mismatched)
    lines = [
        f"# {printable(source)} → {printable(target)}",
        f"# Paired by {match.by}: {printable(match.why)}.",
        "# Edit it, look at the lines with ???, and give it back: --map THIS",
    ]
    for pair in pairs:
        doubt, how = match.doubt_of(pair), "" if pair.how in (NAME, MAP) else HOW[pair.how]
        mark = f"  # ??? {'; '.join(filter(None, (how, printable(doubt))))}" if doubt else f"  # {how}" if how else ""
        lines.append(f"{_scalar(pair.path_a)}: {_scalar(pair.path_b)}{mark}")
    if match.only_a:
        lines += ["", "# Of the source, without a partner:"]
        for item in match.only_a:
            doubt = "??? " if item.candidates else ""
            lines.append(f"{_scalar(item.path)}: null  # {shape_text(item.weight.tensor.shape)}; {doubt}{printable(item.reason)}")
    if match.only_b:
        lines += ["", "# Of the target, without a partner:"]
        lines += [f"# ?: {_scalar(item.path)}  # {shape_text(item.weight.tensor.shape)}{_maybe(item.candidates)}" for item in match.only_b]
    return "\n".join(lines) + "\n"


def match_json(match: Match) -> str:
    """A whole match as a map in JSON; what should be looked at stands under keys of its own, in the form that a proposal has it in."""
    doubtful = [
        {"source": join_path(pair.path_a), "target": join_path(pair.path_b), "how": HOW[pair.how], "doubt": doubt, "others": []}
        for pair in (*match.pairs, *match.mismatched)
        if (doubt := match.doubt_of(pair))
    ]
    without = [
        {"target": join_path(item.path), "shape": list(item.weight.tensor.shape), "maybe": _joined(item.candidates), "why": item.reason}
        for item in match.only_b
    ]
    left_over = [
        {"source": join_path(item.path), "shape": list(item.weight.tensor.shape), "why": item.reason, "maybe": _joined(item.candidates)}
        for item in match.only_a
    ]
    return json.dumps({**match.mapping, **dict(zip(REMARKS, (doubtful, without, left_over), strict=True))}, indent=2) + "\n"


def _joined(paths: Sequence[Path]) -> list[str]:
    return [join_path(path) for path in paths]


def _others(paths: Sequence[Path]) -> str:
    return f"; or {', '.join(_scalar(path) for path in paths)}" if paths else ""


def _maybe(paths: Sequence[Path]) -> str:
    return f"; {' or '.join(_scalar(path) for path in paths)}" if paths else ""


def _scalar(path: Path) -> str:
    """A path as a scalar of YAML: plain where that means the same, else in double quotes (YAML 1.1, 5.7)."""
    text = join_path(path)
    if _PLAIN.match(text) and text.lower() not in _NOT_TEXT:
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and character != "\ufeff":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
