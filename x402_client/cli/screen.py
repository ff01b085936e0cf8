"""Two consoles: results go to stdout, all else to stderr. No text is read as markup."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..model.offers import words
from .exits import Code

#: The width of a line that goes to no terminal: lines are as long as they are.
_WIDE = 10_000
_WORDS = 200


@cache
def out() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """Return the console for all else."""
    return _console(stderr=True)


class _Console(Console):
    """A console that ends as other commands of a pipe do, if the reader is gone."""

    def on_broken_pipe(self) -> None:
        swallow_pipe()
        raise SystemExit(int(Code.PIPE))


def swallow_pipe() -> None:
    """Send the rest of stdout to nowhere.

    Its reader is gone, and what Python still holds for it must not fail once more at the end.
    """
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
    """Make a terminal print a question mark for a letter that it cannot show, not a traceback.

    The consoles are made anew.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    out.cache_clear()
    err.cache_clear()


def say(text: str, style: str = "") -> None:
    """Print one line to stderr."""
    err().print(Text(text, style=style), soft_wrap=not err().is_terminal)


def show(text: str | Text = "", style: str = "") -> None:
    """Print one line to stdout."""
    out().print(Text(text, style=style) if isinstance(text, str) else text, soft_wrap=not out().is_terminal)


def own_line() -> None:
    """Begin a new line on a terminal: Ctrl-C leaves ``^C`` on the one where the cursor stands."""
    if err().is_terminal:
        err().print()


def one_place() -> bool:
    """Return True if stdout and stderr are one terminal, one file or one pipe."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):  # a stream without a file
        return False


def show_json(value: Any, stderr: bool = False) -> None:
    """Print one JSON document on one line."""
    import json

    print(json.dumps(value, ensure_ascii=True), file=sys.stderr if stderr else sys.stdout)


def seller_text(text: object, limit: int = _WORDS) -> str:
    """Return a seller's text safe to show: one line, printable, bounded, and in quotes as a foreign text."""
    return f'"{words(text, limit)}"'


def put(table: Table, console: Console | None = None) -> None:
    """Print a table. On a terminal too narrow for it, print each row as lines of its own.

    If it goes to a file, leave out the blanks at the ends of lines.
    """
    console = console or out()
    if console.is_terminal:
        if table.show_header and _natural_width(table, console) > console.width:
            _put_rows(table, console)
        else:
            console.print(table)
        return
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)


def _natural_width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=_WIDE), table).maximum


def _put_rows(table: Table, console: Console) -> None:
    """Print each row as its first cell, and below it the name and the value of every further one.

    A cell without a name, like an arrow or a bar, stays beside the first.
    """
    names = [str(column.header) for column in table.columns]
    first = next(place for place, name in enumerate(names) if name)
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [(name, cell) for name, cell in zip(names, row, strict=True) if str(cell)]
        head = [_as_text(cell) for name, cell in cells if name in ("", names[first])]
        console.print(Text(" ").join(head))
        facts(((f"  {name}", cell) for name, cell in cells if name not in ("", names[first])), console)


def _as_text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))


def facts(rows: Iterable[tuple[str, object]], console: Console | None = None) -> None:
    """Print names and values, one a line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), value if isinstance(value, Text) else Text(str(value)))
    put(table, console)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """Return an empty table with these columns. Cells fold rather than being cut."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    return made


def bar(share: float, width: int = 24) -> Text:
    """Return a bar of this share of the whole."""
    full = max(1, round(share * width)) if share > 0 else 0
    return Text("█" * full, style="green") + Text("·" * (width - full), style="dim")


def waiting(text: str) -> AbstractContextManager[Any]:
    """Show a sign of life while something takes long. It shows only on a terminal."""
    return err().status(Text(text)) if err().is_terminal else nullcontext()


def progress(total: int, text: str) -> Progress:
    """Show a bar for work on many things. It shows only on a terminal."""
    shown = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        console=err(), transient=True, disable=not err().is_terminal,
    )  # fmt: skip
    shown.add_task(text, total=total)
    return shown


def interactive() -> bool:
    """Return True if a person can be asked: both ends of the question are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Ask for a yes. Only "y" and "yes" count."""
    err().print(Text(f"{question} [y/N] "), end="")
    return _line().strip().lower() in ("y", "yes")


def _line() -> str:
    """Read one line past Python's buffer.

    A thread that waits in the buffer would hold its lock as the program ends.
    """
    read = bytearray()
    while not read.endswith(b"\n"):
        got = os.read(0, 1)
        if not got:
            break
        read += got
    return read.decode("utf-8", "replace")
