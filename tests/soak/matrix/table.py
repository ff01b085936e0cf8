"""The matrix as a Markdown table, and its place on the manual's page of evidence."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from tests.real.environments import EnvironmentUnavailable

from . import npm
from .cells import Cell
from .services import Row

START, END = "<!-- matrix: python -m tests.soak.matrix --write -->", "<!-- end of the matrix -->"
OTHERS = "The other ways to pay, on EVM chains in version 2:"
BUYERS = ("httpx", "httpx2", "requests", "aiohttp")


@dataclass(frozen=True)
class Result:
    """A row with its cells, or with the reason why it was left out."""

    row: Row
    cells: tuple[Cell, ...] = ()
    left_out: str = ""

    @property
    def as_expected(self) -> bool:
        return bool(self.left_out) or all(as_expected(self.row, cell) for cell in self.cells)


def as_expected(row: Row, cell: Cell) -> bool:
    return cell.verdict == row.ends and row.says in cell.words


def text(results: Sequence[Result], shells: Sequence[str]) -> str:
    run = [result for result in results if not result.left_out]
    plain, others = ([one for one in run if bool(one.row.way) == other] for other in (False, True))
    titles = [name.replace("_", " ") for name in shells]
    parts = [_caption(run)]
    if plain:
        parts.append(_table(["seller", "x402", "chain", "facilitator", *titles, "remarks"], plain, shells))
    if others:
        parts += [OTHERS, _table(["way", "seller", "facilitator", *titles, "remarks"], others, shells)]
    return "\n\n".join([*parts, *_left_out(results)]) + "\n"


def _table(head: list[str], results: Sequence[Result], shells: Sequence[str]) -> str:
    return "\n".join([_line(head), _line(["---"] * len(head)), *(_line(_row(result, shells)) for result in results)])


def _caption(run: Sequence[Result]) -> str:
    paid = sum(cell.verdict == "paid" for result in run for cell in result.cells)
    with_ = [f"{name} {version(name)}" for name in BUYERS]
    return (
        f"{datetime.now(UTC).date()}: {paid} cells paid, with Python {platform.python_version()}, {', '.join(with_)}"
        f"{_node()}."
    )


def _node() -> str:
    try:
        return f"; node {npm.node_version()}"
    except EnvironmentUnavailable:
        return ""


def _row(result: Result, shells: Sequence[str]) -> list[str]:
    row = result.row
    cells = [_cell([cell for cell in result.cells if cell.shell == shell]) for shell in shells]
    if row.way:
        return [row.way.title, row.seller.title, row.settles, *cells, _remarks(result)]
    return [row.seller.title, str(row.version), row.chain, row.settles, *cells, _remarks(result)]


def _cell(cells: Sequence[Cell]) -> str:
    if len(verdicts := {cell.verdict for cell in cells}) == 1 and verdicts != {"paid"}:
        return cells[0].verdict
    return " ".join(cell.method if cell.verdict == "paid" else f"({cell.method} {cell.verdict})" for cell in cells)


def _remarks(result: Result) -> str:
    """What is known of the seller, and what the cells said beyond that, each thing once."""
    row = result.row
    said = (row.says if row.says and as_expected(row, cell) else cell.words for cell in result.cells)
    return "; ".join(words for words in dict.fromkeys([row.remark, *said]) if words)


def _left_out(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.left_out:
            yield f"Left out: {result.row.name}: {result.left_out}"


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(one.replace('|', '/').replace(chr(10), ' ') for one in texts)} |"
