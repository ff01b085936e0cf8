"""Two consoles: what was asked for goes to stdout, everything else to stderr. Nothing in a text is markup."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..model.offers import words
from .exits import Code

#: Where nobody looks at columns, lines are as long as they are.
_WIDE = 10_000
_WORDS = 200


@cache
def out() -> Console:
    """What was asked for."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """Everything else."""
    return _console(stderr=True)


class _Console(Console):
    """Ends as every other command of a pipe does when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        swallow_pipe()
        raise SystemExit(int(Code.PIPE))


def swallow_pipe() -> None:
    """Nobody reads stdout any more; what Python still holds for it must not fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _console(stderr: bool) -> Console:
    file = sys.stderr if stderr else sys.stdout
    plain = bool(os.environ.get("NO_COLOR"))  # nothing but the letters: no bold and no dim either
    return _Console(
        stderr=stderr,
        width=None if file.isatty() else _WIDE,
        color_system=None if plain else "auto",
        markup=False,
        highlight=False,
        emoji=False,
    )


def prepare() -> None:
    """A terminal that cannot show a letter gets a question mark, not a traceback. Consoles are made anew."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    out.cache_clear()
    err.cache_clear()


def say(text: str, style: str = "") -> None:
    """One line to stderr."""
    err().print(Text(text, style=style), soft_wrap=not err().is_terminal)


def show(text: str | Text = "", style: str = "") -> None:
    """One line to stdout."""
    out().print(Text(text, style=style) if isinstance(text, str) else text, soft_wrap=not out().is_terminal)


def show_json(value: Any, stderr: bool = False) -> None:
    """One JSON document on one line."""
    import json

    print(json.dumps(value, ensure_ascii=True), file=sys.stderr if stderr else sys.stdout)


def theirs(text: object, limit: int = _WORDS) -> str:
    """Text of a seller: one line, printable, bounded, and in quotes, because it is theirs."""
    return f'"{words(text, limit)}"'


def put(table: Table, console: Console | None = None) -> None:
    """A table; where it goes to a file, without the blanks at the ends of lines."""
    console = console or out()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


def facts(rows: Iterable[tuple[str, object]], console: Console | None = None) -> None:
    """Names and values, one a line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), value if isinstance(value, Text) else Text(str(value)))
    put(table, console)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table with these columns; cells fold rather than being cut."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    return made


def bar(share: float, width: int = 24) -> Text:
    """A bar of this share of the whole."""
    full = max(1, round(share * width)) if share > 0 else 0
    return Text("█" * full, style="green") + Text("·" * (width - full), style="dim")


def waiting(text: str) -> AbstractContextManager[Any]:
    """A sign of life while something takes long; nothing where nobody looks."""
    return err().status(Text(text)) if err().is_terminal else nullcontext()


def progress(total: int, text: str) -> Progress:
    """A bar for work on many things; nothing where nobody looks."""
    shown = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        console=err(), transient=True, disable=not err().is_terminal,
    )  # fmt: skip
    shown.add_task(text, total=total)
    return shown


def interactive() -> bool:
    """Whether somebody is there to be asked: both ends of the question are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Ask for a yes. Only "y" and "yes" are one."""
    err().print(Text(f"{question} [y/N] "), end="")
    return _line().strip().lower() in ("y", "yes")


def _line() -> str:
    """One line, read past Python's buffer: a thread that waits there would hold its lock as the program ends."""
    read = bytearray()
    while not read.endswith(b"\n"):
        got = os.read(0, 1)
        if not got:
            break
        read += got
    return read.decode("utf-8", "replace")
