"""Reads a page of a facilitator's list: JSON in which one bad entry does not spoil the others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..model.offers import words

#: Schemas of arguments nest deeper than terms do.
DEPTH = 64
#: Digits of a number. Python takes long for longer ones, and refuses the whole document for the longest.
_DIGITS = 80
_CURSOR = 2_048
# Possessive: no text makes it look twice.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
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

    Bytes that are no UTF-8 are replaced, and numbers out of range are None. An object with a key twice is
    ``Ambiguous``. Nesting is bounded before the standard library's parser sees it: elsewhere the recursion limit may
    have been raised, and then a hostile document would overflow the stack.
    """
    text = data.decode("utf-8-sig", "replace")
    _check_depth(text)
    try:
        return _decode(text)
    except ValueError as fault:
        raise ValueError(f"its answer is not JSON ({words(str(fault), 80)})") from None


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEPTH:
            raise ValueError(f"its answer is nested deeper than {DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> Any:
    made = dict(pairs)
    return made if len(made) == len(pairs) else Ambiguous()


def _whole(text: str) -> int | None:
    return int(text) if len(text) <= _DIGITS else None


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_constant=lambda _: None).decode
