"""Readers of base64 and JSON from strangers: strict about the meaning, tolerant of the wrapping."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from decimal import Decimal
from functools import cache
from typing import Any

from ..errors import MalformedQuote

#: Some servers write this byte order mark before UTF-8.
_MARK = b"\xef\xbb\xbf"
#: Levels of nesting that no parser minds.
_SHALLOW = 64
_LETTERS = re.compile(r"[A-Za-z0-9+/]+", re.ASCII)


def load_base64(text: str, depth: int) -> Any:
    """Read JSON from base64, in any of its alphabets, padded or not. Plain JSON is read too."""
    text = text.strip()
    if text[:1] in "{[":
        return load(text, depth)
    letters = _one_alphabet(text).rstrip("=")
    try:
        data = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedQuote("The header is not base64.") from None
    return load(data, depth)


def glimpse(text: str) -> bytes:
    """Return the start of ``text``, decoded as far as its letters are sound.

    It is for telling what was meant, not for reading it.
    """
    text = text.strip()
    if text[:1] in "{[":
        return text.encode("utf-8", "replace")
    letters = _LETTERS.match(_one_alphabet(text))
    seen = letters[0] if letters else ""
    return base64.b64decode(seen[: len(seen) // 4 * 4])


def _one_alphabet(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


def load(data: bytes | str, depth: int) -> Any:
    """Read one JSON document with one meaning.

    Refuse duplicate keys, NaN, lone surrogates, and nesting beyond ``depth``.
    """
    return _load(data, depth, _decode)


def load_exactly(data: bytes | str, depth: int) -> Any:
    """Read as ``load`` does, and refuse numbers that would lose digits: two different texts are never one value."""
    return _load(data, depth, _decode_exactly)


def _load(data: bytes | str, depth: int, decode: Any) -> Any:
    try:
        data = data.encode() if isinstance(data, str) else data.removeprefix(_MARK)
        text = data.decode()
        # The depth cannot exceed the number of brackets, and only an escape can write half a surrogate pair.
        if "\\u" not in text and text.count("{") + text.count("[") <= min(depth, _SHALLOW):
            return decode(text)
        # This parser bounds the nesting. The standard library's relies on the recursion limit. Other libraries raise
        # that (py_ecc does), and then a hostile document overflows the stack of the process.
        _from_json()(data, allow_inf_nan=False)
        value = decode(text)
        _check_depth(value, depth)
    except ValueError as fault:  # JSON and Unicode errors, and integers of thousands of digits
        if "recursion" in str(fault):
            raise MalformedQuote(f"It is nested deeper than {depth} levels.") from None
        raise MalformedQuote("It is not JSON.") from None
    return value


@cache
def _from_json() -> Any:
    from pydantic_core import from_json

    return from_json


def dump(value: Any) -> str:
    """Write JSON as it goes into headers: ASCII, compact."""
    return _encode(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MalformedQuote("A key appears twice in one JSON object.")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedQuote(f"{text[:40]} is out of the range of JSON's numbers.")
    return number


def _exact(text: str) -> float:
    number = _finite(text)
    if Decimal(text) != Decimal(repr(number)):
        raise MalformedQuote(f"{text[:40]} has more digits than are kept.")
    return number


def _constant(text: str) -> float:
    raise ValueError(f"JSON has no {text}.")


_decode = json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_constant).decode
_decode_exactly = json.JSONDecoder(object_pairs_hook=_once, parse_float=_exact, parse_constant=_constant).decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _check_depth(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise MalformedQuote(f"It is nested deeper than {depth} levels.")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [v for v in value.values() if isinstance(v, (dict, list))]
    return [v for v in value if isinstance(v, (dict, list))] if isinstance(value, list) else []
