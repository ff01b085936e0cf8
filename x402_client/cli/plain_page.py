"""Wraps a page of the manual for a pipe: what reads it may show no more than a hundred columns, and wraps nothing."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

WIDTH = 100
_ITEM = re.compile(r"(\s*)([-*] |\d+\. )?")
_CODE = re.compile(r"`[^`\n]+`")
_CELLS = re.compile(r"(?<!\\)\|")
#: A line of a program with a remark at its end.
_REMARK = re.compile(r"(\s*)(\S.*?)\s{2,}(# .*)")
#: Code that is longer is broken, too: the list of a function's parameters.
_UNBROKEN = 70
_INDENT = "    "
#: Stands for a blank inside of code, at which no line ends.
_KEPT = "\x1f"


def wrapped(page: str) -> str:
    """Return a page of Markdown in which no line is wider, but for code."""
    return "\n".join(_lines(page.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    at, in_code, indented = 0, False, False
    while at < len(lines):
        line = lines[at]
        if line.lstrip().startswith("```"):
            in_code = not in_code
        # A program without a fence: what is moved in after a blank line, or goes on with that.
        indented = line.startswith(_INDENT) and (indented or at == 0 or not lines[at - 1].strip())
        if in_code or indented or not line.strip() or line.lstrip().startswith(("#", "```", "<")):
            yield from _code(line) if in_code or indented else [line]
            at += 1
            continue
        table, quoted = line.lstrip().startswith("|"), line.startswith("> ")
        goes_on = _is_row if table else _is_quoted if quoted else _goes_on
        end = at + 1
        while end < len(lines) and goes_on(lines[end]):
            end += 1
        block, at = lines[at:end], end
        if max(map(len, block)) <= WIDTH:
            yield from block
        elif table:
            yield from _as_items(block)
        elif quoted:
            yield from _fill(" ".join(one[2:] for one in block), "> ", "> ")
        else:
            yield from _filled(block)


def _is_row(line: str) -> bool:
    return line.lstrip().startswith("|")


def _is_quoted(line: str) -> bool:
    return line.startswith("> ")


def _code(line: str) -> list[str]:
    """Return a line of a program, with its remark above it if both together are wide. Nothing else is moved."""
    found = _REMARK.fullmatch(line) if len(line) > WIDTH else None
    return [line] if found is None else [found[1] + found[3], found[1] + found[2]]


def _goes_on(line: str) -> bool:
    """Return True if a line goes on with the paragraph or the item above it."""
    begins = _ITEM.match(line)
    return bool(line.strip()) and not (begins and begins[2]) and not line.lstrip().startswith(("#", "```", "|", ">"))


def _filled(block: list[str]) -> list[str]:
    found = _ITEM.match(block[0])
    assert found is not None
    first = found[0]
    text = " ".join([block[0][len(first) :], *(line.strip() for line in block[1:])])
    return _fill(text, first, " " * len(first))


def _fill(text: str, first: str, rest: str) -> list[str]:
    kept = _CODE.sub(lambda code: code[0].replace(" ", _KEPT) if len(code[0]) <= _UNBROKEN else code[0], text)
    filled = textwrap.wrap(
        kept, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(_KEPT, " ") for line in filled]


def _as_items(rows: list[str]) -> Iterator[str]:
    """Yield a table as a list: each row is an item, with the names of the columns before what they hold."""
    cells = [[cell.strip().replace("\\|", "|") for cell in _CELLS.split(row.strip().strip("|"))] for row in rows]
    heads, lines = cells[0], cells[2:]
    for row in lines:
        for column, (head, cell) in enumerate(zip(heads, row, strict=False)):
            first, rest = ("  - ", "    ") if column else ("- ", "  ")
            if cell:
                yield from _fill(f"{head}: {cell}" if head else cell, first, rest)
