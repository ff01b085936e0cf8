"""Breaks lines between words for a terminal. What a user may want to copy stays in one piece where it can."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

#: Blanks and a word. A command in backquotes is one word.
_WORD = re.compile(r"( *)((?:`[^`]*`|[^ ])+)")


def wrapped(text: str, width: int, hang: int | None = None) -> list[str]:
    """Return the lines of a text, none wider than ``width``. Only a word that is wider itself is cut.

    Args:
        text: One line, or several.
        width: The most columns of a line.
        hang: The blanks before a line that goes on. Default: as many as before its first one.
    """
    return [line for one in text.split("\n") for line in _lines(one, width, hang)]


def _lines(text: str, width: int, hang: int | None) -> Iterator[str]:
    blanks = len(text) - len(text.lstrip(" ")) if hang is None else hang
    line = ""
    for gap, word in _words(text, width):
        if line.strip() and cell_len(line + gap + word) > width:
            yield line
            # A long word gets fewer blanks, so that it stays whole.
            line, gap = " " * max(0, min(blanks, width - cell_len(word))), ""
        *full, line = chop_cells(line + gap + word, width)
        yield from full
    yield line


def _words(text: str, width: int) -> Iterator[tuple[str, str]]:
    for gap, word in _WORD.findall(text):
        if cell_len(word) <= width:
            yield gap, word
        else:
            yield from ((gap if not place else " ", part) for place, part in enumerate(word.split(" ")))
