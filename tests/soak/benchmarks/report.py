"""A figure, what it should be, and whether it is: as lines of Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass

from ..page import put

BEGIN, END = "<!-- benchmarks: written by python -m tests.soak.benchmarks --write -->", "<!-- end of the benchmarks -->"


@dataclass(frozen=True)
class Row:
    """One figure. ``met`` of None: it is shown, and nothing is asked of it."""

    what: str
    figure: str
    target: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "yes", False: "**no**"}[self.met]
        return f"| {self.what} | {self.figure} | {self.target} | {verdict} |"


def at_most(what: str, value: float, most: float, unit: str = "×", of: str = "", digits: int = 2) -> Row:
    """A figure that should be small."""
    return Row(what, f"{value:,.{digits}f} {unit}{of}", f"≤ {most:g} {unit}", value <= most)


def at_least(what: str, value: float, least: float, unit: str = "×", of: str = "", digits: int = 2) -> Row:
    """A figure that should be large."""
    return Row(what, f"{value:,.{digits}f} {unit}{of}", f"≥ {least:g} {unit}", value >= least)


def table(rows: Iterable[Row]) -> str:
    """The whole of it."""
    head = f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"Measured with {head}:\n\n{judged(rows)}"


def judged(rows: Iterable[Row]) -> str:
    """Figures beside their targets."""
    return "\n".join(["| | figure | target | met |", "|---|---|---|---|", *map(str, rows)])


def curve(title: str, head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """How a figure grows."""
    first = list(head)
    rows = [first, ["---"] * len(first), *map(list, lines)]
    return "\n".join([title, "", *("| " + " | ".join(row) + " |" for row in rows)])


def write(text: str) -> None:
    """Write between the two marks on the page of evidence."""
    put(text, BEGIN, END)
