"""Reads a page of a facilitator's list: JSON in which one bad entry does not spoil the others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..model.offers import words

#: Schemas of arguments nest deeper than terms do.
DEPTH = 64
#: Brackets that are passed over in a page. Each takes its time, and no seller's entry has more.
_PASSED_OVER = 100_000
#: Digits of a number. Python takes long for longer ones, and refuses the whole document for the longest.
_DIGITS = 80
_CURSOR = 2_048
# Possessive, and one without an end goes to that of the document: no text makes it look twice.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_STRING_OR_BRACKET = re.compile(rf"{_STRING.pattern}|{_BRACKET.pattern}", re.DOTALL)
#: Where the entries stand: in a list, in a search, and in lists by other people.
_ENTRIES = ("items", "resources", "data")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        records: Its entries, as they came.
        total: The number of entries of the whole list. None: it does not say.
        cursor: What names the next page. None: nothing does.
        partial: True if the facilitator has more than it gives.
    """

    records: list[Any]
    total: int | None = None
    cursor: str | None = None
    partial: bool = False


class Ambiguous:
    """An object in which a key appears twice, so that it has two meanings."""


def read_page(data: bytes) -> Page:
    """Return the entries of a page. Raises ValueError, in words, if it is no list of a facilitator."""
    document = load(data)
    if isinstance(document, list):
        return Page(document)
    if not isinstance(document, dict):
        raise ValueError("its answer is no list")
    found = next((document[name] for name in _ENTRIES if isinstance(document.get(name), list)), None)
    if found is None:
        raise ValueError("its answer has no list of entries")
    place = document.get("pagination")
    pagination: dict[str, Any] = place if isinstance(place, dict) else {}
    total, cursor = pagination.get("total"), pagination.get("cursor") or document.get("cursor")
    return Page(
        records=found,
        total=total if type(total) is int and total >= 0 else None,
        cursor=cursor if isinstance(cursor, str) and 0 < len(cursor) <= _CURSOR and cursor.isprintable() else None,
        partial=document.get("partialResults") is True,
    )


def load(data: bytes) -> Any:
    """Read JSON from a stranger, forgiving what is wrong inside of it.

    Bytes that are no UTF-8 are replaced, and a text may have control characters, which are never shown. Numbers out of
    range are None, and so is what is nested too deep. An object with a key twice is ``Ambiguous``. Nesting is bounded
    before the standard library's parser sees it: elsewhere the recursion limit may have been raised, and then a hostile
    document would overflow the stack.
    """
    text = data.decode("utf-8-sig", "replace")
    if _is_deep(text):
        text = _without_depths(text)
    try:
        return _decode(text)
    except ValueError as fault:
        raise ValueError(f"its answer is not JSON ({words(str(fault), 80)})") from None


def _is_deep(text: str) -> bool:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEPTH:
            return True
    return False


def _without_depths(text: str) -> str:
    """Return the text with null in the place of what is nested too deep. Such a value has to end."""
    parts: list[str] = []
    depth = end = passed = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if found[0] in ("[", "{"):
            depth += 1
            if depth == DEPTH + 1:
                parts.append(text[end : found.start()])
            passed += depth > DEPTH
            if passed > _PASSED_OVER:
                break
        elif found[0] in ("]", "}"):
            if depth == DEPTH + 1:
                parts.append("null")
                end = found.end()
            depth -= 1
    if depth > DEPTH:
        raise ValueError(f"its answer is nested deeper than {DEPTH} levels")
    return "".join((*parts, text[end:]))


def _object(pairs: list[tuple[str, Any]]) -> Any:
    made = dict(pairs)
    return made if len(made) == len(pairs) else Ambiguous()


def _whole(text: str) -> int | None:
    return int(text) if len(text) <= _DIGITS else None


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_constant=lambda _: None, strict=False
).decode
