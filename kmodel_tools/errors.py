"""Every error that kmodel_tools raises on purpose.

::

    KmtError
    ├── FormatError
    │   ├── UnknownFormatError        nothing here reads this
    │   ├── AmbiguousFormatError      two formats claim it
    │   ├── CorruptFileError          the bytes contradict the format
    │   ├── UnsupportedFeatureError   valid, and not read (or refused for safety)
    │   └── FileChangedError          truncated or replaced while in use
    ├── ConversionError               the target cannot hold something; carries the losses
    ├── MatchError                    strict matching failed; carries the match
    └── MissingDependencyError        says which extra to install

A message reads ``path: what is wrong (where); what to do``.
"""

from __future__ import annotations

import os


class KmtError(Exception):
    """The root of all errors of this package.

    Attributes:
        problem: What is wrong, as a clause without a full stop.
        path: The file or directory it concerns, or None.
        where: The place inside the file (a key, a member, an offset), or None.
        cure: What the user can do, or None.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | os.PathLike[str] | None = None,
        where: str | None = None,
        cure: str | None = None,
    ) -> None:
        self.problem = problem
        self.path = None if path is None else os.fspath(path)
        self.where = where
        self.cure = cure
        super().__init__(problem)

    def __str__(self) -> str:
        """Return the one-line message: ``path: problem (where); cure``."""
        text = self.problem if self.path is None else f"{self.path}: {self.problem}"
        if self.where:
            text += f" ({self.where})"
        if self.cure:
            text += f"; {self.cure}"
        return text


class FormatError(KmtError):
    """A file cannot be read as any, or as the given, format."""


class UnknownFormatError(FormatError):
    """No format recognises the file."""


class AmbiguousFormatError(FormatError):
    """More than one format recognises the file."""


class CorruptFileError(FormatError):
    """The file's bytes contradict its format: truncated, damaged or forged."""


class UnsupportedFeatureError(FormatError):
    """The file is valid and uses something that is not read, or is refused for safety."""


class FileChangedError(FormatError):
    """The file was truncated or replaced between the description and the reading of its bytes."""


class ConversionError(KmtError):
    """The target cannot hold what the source has.

    Attributes:
        losses: One line for each thing that would be lost.
    """

    def __init__(self, problem: str, losses: tuple[str, ...] = (), *, path: str | None = None, cure: str | None = None) -> None:
        super().__init__(problem, path=path, cure=cure)
        self.losses = losses


class MatchError(KmtError):
    """Strict matching of two trees left something over.

    Attributes:
        match: The whole match, with its missing, unexpected and mismatched weights.
    """

    def __init__(self, problem: str, match: object, *, path: str | None = None, cure: str | None = None) -> None:
        super().__init__(problem, path=path, cure=cure)
        self.match = match


class MissingDependencyError(KmtError):
    """An optional package is needed.

    Attributes:
        extra: The extra of kmodel_tools that installs it.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}", cure=f"pip install 'kmodel_tools[{extra}]'")
        self.extra = extra
