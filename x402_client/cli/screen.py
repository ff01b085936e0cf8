"""Two consoles: results go to stdout, all else to stderr. No text is read as markup."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from io import TextIOWrapper
from typing import Any

from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..model.offers import words
from .exits import Code
from .wrapping import wrapped

#: The width of a line that goes to no terminal: lines are as long as they are.
_WIDE = 10_000
#: The most columns of a line of text. Longer ones are hard to read.
WIDEST = 100
#: The least columns of a cell that folds.
_FOLDED = 15
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
    """Print a text to stderr."""
    _print(text, style, err())


def show(text: str | Text = "", style: str = "") -> None:
    """Print a text to stdout."""
    if isinstance(text, Text):
        out().print(text, soft_wrap=True)
    else:
        _print(text, style, out())


def show_program(text: str, indent: str) -> None:
    """Print the lines of a program, to be copied. A terminal that is too narrow breaks them by itself."""
    for line in text.splitlines():
        out().print(Text(f"{indent}{line}".rstrip(), style="cyan"), soft_wrap=True)


def _print(text: str, style: str, console: Console) -> None:
    for line in wrapped(text, _text_width(console)) if console.is_terminal else [text]:
        console.print(Text(line, style=style), soft_wrap=True)


def _text_width(console: Console) -> int:
    return min(console.width, WIDEST)


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


def put(rows: Table, console: Console | None = None, spare: Sequence[str] = (), compact: bool = False) -> list[str]:
    """Print a table, and return the names of columns that were left out for want of room.

    On a terminal that is too narrow, columns in ``spare`` are left out, the last first. If that does not do, each row
    is printed as lines of its own: a line for each cell, or as many cells in a line as fit if it is ``compact``. If it
    goes to a file, the blanks at the ends of lines are left out.
    """
    console = console or out()
    if console.is_terminal:
        return _put_on_screen(rows, console, spare, compact)
    with console.capture() as drawn:
        console.print(rows)
    for line in drawn.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)
    return []


def _put_on_screen(rows: Table, console: Console, spare: Sequence[str], compact: bool) -> list[str]:
    left_out: list[str] = []
    for name in reversed(spare):
        if not _fits(rows, console):
            rows = _without(rows, name)
            left_out.append(name)
    if not rows.show_header or _fits(rows, console):
        console.print(rows)
    else:
        (_put_compactly if compact else _put_rows)(rows, console)
    return left_out[::-1]


def _fits(rows: Table, console: Console) -> bool:
    """Return True if a table fits. A column that folds is as wide as it must be, and the others as they are."""
    natural = Measurement.get(console, console.options.update(max_width=_WIDE), rows).maximum
    spared = 0
    for column in rows.columns if any(one.no_wrap for one in rows.columns) else ():
        if not column.no_wrap:
            spared = max(0, max((_as_text(cell).cell_len for cell in column.cells), default=0) - _FOLDED)
    return natural - spared <= console.width


def _without(rows: Table, name: str) -> Table:
    kept = [column for column in rows.columns if column.header != name]
    made = table(*(str(column.header) for column in kept))
    for column, new in zip(kept, made.columns, strict=True):
        new.justify, new.no_wrap = column.justify, column.no_wrap
    for cells in zip(*(column.cells for column in kept), strict=True):
        made.add_row(*cells)
    return made


def _put_rows(rows: Table, console: Console) -> None:
    """Print the first column's name, and each row as its first cell with names and values of the others below it."""
    console.print(Text(str(rows.columns[0].header).strip(), style="bold"))
    for head, cells in _in_lines(rows):
        if head.plain.strip():
            console.print(head)
        facts(((f"  {name}", cell) for name, cell in cells), console)


def _put_compactly(rows: Table, console: Console) -> None:
    """Print each row as its first cell, and beside it names and values, as many in a line as fit."""
    for head, cells in _in_lines(rows):
        line = head
        for name, cell in cells:
            more = Text.assemble("  ", (name, "dim"), " ", _as_text(cell))
            if line.cell_len + more.cell_len > console.width:
                console.print(line, soft_wrap=True)
                line = Text()
            line = Text.assemble(line, more)
        console.print(line, soft_wrap=True)


def _in_lines(rows: Table) -> Iterator[tuple[Text, list[tuple[str, Any]]]]:
    """Yield each row's first cell, and names and values of the further ones.

    A cell without a name, like an arrow or a bar, stays beside the first.
    """
    names = [str(column.header) for column in rows.columns]
    first = next(place for place, name in enumerate(names) if name)
    for row in zip(*(column.cells for column in rows.columns), strict=True):
        cells = [(name, cell) for name, cell in zip(names, row, strict=True) if str(cell)]
        head = [_as_text(cell) for name, cell in cells if name in ("", names[first])]
        yield Text(" ").join(head), [(name, cell) for name, cell in cells if name not in ("", names[first])]


def _as_text(cell: object) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))


def facts(rows: Iterable[tuple[str, object]], console: Console | None = None) -> None:
    """Print names and values, one a line."""
    console = console or out()
    listed = [(name, _as_text(value)) for name, value in rows]
    column = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        for line in _fact(Text.assemble((f"{name:{column}}", "dim"), "  "), value, console):
            console.print(line, soft_wrap=True)


def _fact(name: Text, value: Text, console: Console) -> Iterator[Text]:
    whole = Text.assemble(name, value)
    whole.rstrip()
    if not console.is_terminal or (whole.cell_len <= _text_width(console) and "\n" not in whole.plain):
        yield whole
        return
    first, *more = wrapped(whole.plain, _text_width(console), name.cell_len)
    head = Text.assemble(name, (first[len(name) :], value.style))
    head.rstrip()
    yield head
    yield from (Text(line, style=value.style) for line in more)


def table(*columns: str, right: Iterable[str] = (), folds: str = "") -> Table:
    """Return an empty table with these columns. Cells fold rather than being cut: those of ``folds``, else of all."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        side: JustifyMethod = "right" if column in set(right) else "left"
        made.add_column(column, justify=side, overflow="fold", no_wrap=bool(folds) and column != folds)
    return made


def bar(share: float, width: int = 24) -> Text:
    """Return a bar of this share of the whole."""
    full = max(1, round(share * width)) if share > 0 else 0
    return Text("█" * full, style="green") + Text("·" * (width - full), style="dim")


def waiting(text: str, silent: float | None = None) -> AbstractContextManager[Any]:
    """Show on a terminal that something takes long. Elsewhere say it in a line, after ``silent`` seconds if given."""
    if err().is_terminal:
        return err().status(Text(text))
    return nullcontext() if silent is None else _said_after(silent, text)


@contextmanager
def _said_after(seconds: float, text: str) -> Iterator[None]:
    """Print a line to stderr after some seconds, unless the work is done by then."""

    def tell() -> None:
        with suppress(OSError, ValueError):  # a reader that is gone is met by the next line of the command itself
            print(text, file=sys.stderr, flush=True)

    timer = threading.Timer(seconds, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def progress(total: int, text: str) -> Progress:
    """Show on a terminal how much of some work is done."""
    shown = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        console=err(), transient=True, disable=not err().is_terminal or not total,
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
