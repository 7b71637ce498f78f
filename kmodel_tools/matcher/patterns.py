"""Patterns and rename rules: which layers and weights are meant, and what others call them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from kmodel_tools.errors import KmtError
from kmodel_tools.tree import Path, join_path, split_path

REGEX = "re:"
Renamer = Callable[[Path], Path]
Selector = Callable[..., bool]


def selector(include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Selector:
    """A function of the paths of one thing that says whether it is wanted; a pattern for a layer holds for all below it.

    Raises:
        KmtError: A regular expression is none.
    """
    wanted, unwanted = [_pattern(text) for text in include], [_pattern(text) for text in exclude]

    def keeps(*paths: Path) -> bool:
        names = [name for path in paths for name in _with_parents(path)]
        if any(matches(name) for matches in unwanted for name in names):
            return False
        return not wanted or any(matches(name) for matches in wanted for name in names)

    return keeps


def check_patterns(patterns: Sequence[str], paths: Collection[Path]) -> None:
    """Make sure that every pattern of a selection matches something.

    Raises:
        KmtError: One matches no weight and no layer, which is a slip of the pen; the message names the nearest.
    """
    names = list(dict.fromkeys(name for path in paths for name in _with_parents(path)))
    for text in patterns:
        matches = _pattern(text)
        if not any(matches(name) for name in names):
            near = get_close_matches(text.removeprefix(REGEX), names, n=3, cutoff=0.5)
            cure = f"nearest: {', '.join(near)}" if near else "see the paths with: kmt inspect"
            raise KmtError(f"{text!r} matches no layer and no weight", cure=cure)


def _with_parents(path: Path) -> Iterator[str]:
    for length in range(1, len(path) + 1):
        yield join_path(path[:length])


def _pattern(text: str) -> Callable[[str], bool]:
    if text.startswith(REGEX):
        compiled = _compiled(text.removeprefix(REGEX))
        return lambda name: compiled.search(name) is not None
    return lambda name: fnmatchcase(name, text)


def renamer(rules: Sequence[str]) -> Renamer:
    """A function that applies rename rules `OLD=NEW` to a path, in turn; `*` in NEW stands for what the same `*` of OLD matched.

    Raises:
        KmtError: A rule has no `=`, or its regular expression is none.
    """
    compiled = [_rule(rule) for rule in rules]

    def rename(path: Path) -> Path:
        if not compiled:
            return path
        name = join_path(path)
        try:
            for expression, template in compiled:
                new = _renamed(name, expression, template)
                name = name if new is None else new
        except (re.error, IndexError) as error:
            raise KmtError(f"a rename rule cannot be applied to {name!r}: {error}") from error
        return split_path(name)

    return rename


def check_rules(rules: Sequence[str], paths: Collection[Path]) -> None:
    """Make sure that every rename rule meets one of the paths that it is for, as the rules before it left them.

    Raises:
        KmtError: One meets none, which is a slip of the pen; the message names the nearest.
    """
    names = list(dict.fromkeys(map(join_path, paths)))
    for rule in rules:
        expression, template = _rule(rule)
        renamed = [_renamed(name, expression, template) for name in names]
        if not any(name is not None for name in renamed):
            shown = list(dict.fromkeys(parent for name in names for parent in _with_parents(split_path(name))))
            near = get_close_matches(rule.removeprefix(REGEX).partition("=")[0], shown, n=3, cutoff=0.5)
            cure = f"nearest: {', '.join(near)}" if near else "see the paths with: kmt inspect"
            raise KmtError(f"the rename rule {rule!r} meets the path of no weight", cure=cure)
        names = [name if new is None else new for name, new in zip(names, renamed, strict=True)]


def _renamed(name: str, expression: re.Pattern[str], template: str) -> str | None:
    """A path after one rule, or None if it meets neither the path nor a layer above it: `re:^dense$=first` is for what is in `dense`."""
    path = split_path(name)
    for length in range(len(path), 0, -1):
        part = join_path(path[:length])
        if expression.search(part):
            return expression.sub(template, part, count=1) + name[len(part) :]
    return None


def _rule(rule: str) -> tuple[re.Pattern[str], str]:
    is_regex = rule.startswith(REGEX)
    old, equals, new = rule.removeprefix(REGEX).rpartition("=") if is_regex else rule.partition("=")
    if not equals or not old:
        raise KmtError(f"{rule!r} is not a rename rule", cure="write OLD=NEW, as in encoder=backbone")
    if is_regex:
        return _compiled(old), new
    pieces = [f"({'.*' if piece == '*' else '.'})" if piece in ("*", "?") else re.escape(piece) for piece in re.split(r"([*?])", old)]
    parts = new.replace("\\", "\\\\").split("*")
    template = parts[0] + "".join(f"\\g<{number}>{part}" for number, part in enumerate(parts[1:], 1))
    return _compiled(f"^{''.join(pieces)}(?=/|$)"), template


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise KmtError(f"{expression!r} is not a regular expression: {error}") from error
