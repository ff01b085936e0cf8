"""The frame around every command: errors and interrupts become a message and an exit code."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, ParamSpec, TypeVar

import typer

from .. import errors
from .exits import Code, code_of
from .in_use import using, with_options
from .own_words import in_own_words
from .screen import own_line, say, swallow_pipe

P = ParamSpec("P")
T = TypeVar("T")
#: The end of a command that asks a seller and cannot pay it, if Ctrl-C ended it.
NOTHING_PAID = "Interrupted. Nothing was paid."
_LEVELS = {0: logging.CRITICAL, 1: logging.INFO}


class Stop(Exception):
    """The end of a command, with a message and an exit code."""

    def __init__(self, code: Code, message: str = "") -> None:
        super().__init__(message)
        self.code = code


def log_to_stderr(verbosity: int) -> None:
    """Show our own log on stderr, and no other: the logs of other libraries show whole URLs and headers."""
    log = logging.getLogger("x402_client")
    log.propagate = False
    log.setLevel(_LEVELS.get(verbosity, logging.DEBUG))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    log.handlers[:] = [handler] if verbosity else [logging.NullHandler()]


def command(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function a command: its errors become a message and an exit code."""
    return _framed(function, "Interrupted.")


def asking(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function a command that asks a seller and never pays, and says so if it is interrupted."""
    return _framed(function, NOTHING_PAID)


@contextmanager
def before(not_done: str) -> Iterator[None]:
    """Say what was not done if Ctrl-C comes before it: ``not_done`` is a sentence."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stop(Code.INTERRUPTED, f"Interrupted. {not_done}") from None


def _framed(function: Callable[P, T], interrupted: str) -> Callable[P, T]:
    taken = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with using(taken.bind(*args, **kwargs).arguments):
            return _ended(lambda: function(*args, **kwargs), interrupted)

    return run


def _ended(work: Callable[[], T], interrupted: str) -> T:
    """Run a command. Its errors become a message and an exit code."""
    try:
        result = work()
        sys.stdout.flush()
        return result
    except Stop as end:
        leave(end.code, str(end))
    except errors.X402Error as error:
        leave(code_of(error), in_commands(error))
    except KeyboardInterrupt:
        leave(Code.INTERRUPTED, interrupted)
    except BrokenPipeError:
        swallow_pipe()
        leave(Code.PIPE)
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as failure:
        leave(Code.WRONG, fault(failure))


def fault(failure: Exception) -> str:
    """Return what is said of a fault of our own. With -v its traceback is shown."""
    if logging.getLogger("x402_client").isEnabledFor(logging.INFO):
        traceback.print_exception(failure)
    return f"This is a fault of x402 itself: {type(failure).__name__}: {failure} (-v shows where)"


def in_commands(error: errors.X402Error, said: str = "", more: str = "") -> str:
    """Return an error's message in the words of the command.

    ``said`` stands in place of what the error says, and ``more`` before the page of the manual.
    """
    message = str(error.args[0]) if error.args else ""
    page = str(error)[len(message) :]
    whole = f"{said or message}{more and ' '}{more}{page}"
    return in_own_words(whole, error.hold.id if error.hold is not None else "ID")


def leave(code: Code, message: str = "") -> NoReturn:
    """End with a message on stderr, which begins on a line of its own."""
    if code is Code.INTERRUPTED:
        own_line()
    if message:
        say(f"x402: {with_options(message)}", style="" if code in (Code.OK, Code.INTERRUPTED) else "red")
    raise typer.Exit(int(code))
