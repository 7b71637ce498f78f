"""The command line: one module per command; each is imported when it is called for."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import signal
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

import click

from kmodel_tools import __version__
from kmodel_tools.errors import KmtError

COMMANDS = {
    "inspect": "Show what is in a model: layers, weights, optimizer, who wrote it.",
    "diff": "Show what differs between two models, layer by layer.",
    "convert": "Write a model in another format.",
    "transfer": "Load what fits of one model into another.",
    "merge": "Put the layers of several files into one file of weights.",
    "average": "Write the mean of the weights of several files of one model.",
    "doctor": "Say why a model does not open, gives other results, or is unsafe.",
    "hash": "Print digests of models that do not depend on the container.",
    "formats": "List the formats that are read and written.",
}

RARELY = 200_000
"""Objects that come about before the garbage collector looks for cycles among them."""


class _Commands(click.Group):
    """A group that imports a command when it is used, and lists all of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"{__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if os.path.exists(args[0]):
                ctx.fail(f"{args[0]} is a file, not a command. Did you mean: kmt inspect {args[0]}")
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 fine; 1 a difference or a finding; 2 an error.",
)
@click.version_option(__version__, "-V", "--version", message="kmt %(version)s")
def kmt() -> None:
    """Open, inspect, compare and convert every model that Keras or TensorFlow ever saved.

    \b
    kmt inspect model.h5                  what is in it
    kmt inspect model.keras conv1/kernel  one weight with its values
    kmt diff before.h5 after.keras        what changed?
    kmt convert model.h5 model.keras      the same model in another format
    kmt transfer old.h5 new.h5 -o out.h5  load what fits, by name
    kmt doctor model.h5                   why does it not work?
    kmt hash model.h5 model.keras         are the weights the same?
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 2 for an error, 130 when interrupted, 141 when nobody reads the output any more."""
    stdout = sys.stdout
    try:
        result: Any = kmt.main(args=arguments, prog_name="kmt", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return _failed(error.show)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except KmtError as error:
        text = str(error)
        return _failed(lambda: click.echo(f"kmt: {_one_line(text)}", err=True))
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        text = f"{error.filename or 'the output'}: cannot be written: {error.strerror or error}"
        return _failed(lambda: click.echo(f"kmt: {_one_line(text)}", err=True))
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return _unread()  # click, core.py: it wraps a stream that is closed, and ends with 1, which says of two models that they differ
    return result if isinstance(result, int) else 0


def _failed(say: Callable[[], None]) -> int:
    """The status of an error, whether or not it can be said."""
    with contextlib.suppress(OSError):
        say()
    return 2


def _unread() -> int:
    """The status after whoever read the output has closed it, as `head` does; Python must not complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 141


def _one_line(text: str) -> str:
    from kmodel_tools.render.words import printable

    return printable(text)


def run() -> None:
    """The entry point `kmt`; a signal that asks it to end lets it clean up first.

    Of a quick command, a fifth of the time would go into looking for cycles that a tree does not have, and into taking the interpreter
    apart at the end: the first is done seldom, and the second left to the system once everything that was registered for the end is done.
    """
    gc.set_threshold(RARELY)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's threads for products of matrices, of which there are none
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)
    sys.excepthook = _crashed
    sys.stdout, sys.stderr = sys.stdout or _closed(), sys.stderr or _closed()
    _leave(main())


def _leave(status: int) -> NoReturn:
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status)


def _crashed(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Show an error that nobody foresaw; with status 2, since Python's own 1 would say that two models differ."""
    sys.__excepthook__(kind, error, trace)
    _leave(2)


def _closed() -> TextIO:
    """A stream in the place of one that is closed: what is written to it is an error, as on a full disk."""
    return open(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")


def _end(number: int, frame: types.FrameType | None) -> None:
    sys.exit(128 + number)
