"""Reads what a model passes to a tool. A mistake is a ``NotFetched`` that says how it is written."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from ..errors import ConfigurationError
from ..model.money import Money
from ..model.offers import words
from .hosts import NotFetched

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_MOST_BODY = 1024 * 1024
_MILLIONTH = Decimal("0.000001")


def bound(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was passed, by the names of a function's arguments."""
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as problem:
        named = ", ".join(signature.parameters) or "none"
        raise NotFetched(f"These are not its arguments ({words(str(problem), 80)}); it takes {named}.") from None


def method(given: Any) -> str:
    """Return a method."""
    named = given.strip().upper() if isinstance(given, str) else ""
    if named not in METHODS:
        raise NotFetched(f"method is one of {', '.join(METHODS)}, not {words(str(given), 40)!r}.")
    return named


def body(given: Any) -> tuple[bytes | None, str]:
    """Return a request's body and its content type. Objects are written as JSON, and JSON is called JSON."""
    if given is None or given == "":
        return None, ""
    try:
        text = given if isinstance(given, str) else json.dumps(given, allow_nan=False)
        data = text.encode()
    except (TypeError, ValueError, RecursionError):
        raise NotFetched("body is text, or something that can be written as JSON.") from None
    if len(data) > _MOST_BODY:
        raise NotFetched(f"body has {len(data)} bytes; {_MOST_BODY} are the most that this tool sends.")
    return data, "application/json" if _is_json(data) else "text/plain; charset=utf-8"


def _is_json(data: bytes) -> bool:
    from ..wire.json_text import load

    try:
        load(data, depth=64)
    except Exception:  # ours has many reasons to refuse; each means that it is not called JSON
        return False
    return True


def most(given: Any) -> Money | None:
    """Return the cap of a call: dollars as text or as a number, rounded down to a millionth. None: it has none."""
    if given is None or given == "":
        return None
    try:
        written = given if isinstance(given, str) else str(_rounded(given))
        found = Money(written)
        if found.currency != "USD":
            raise NotFetched(f"max_usd is in US dollars, not in {found.currency}.")
        return found
    except (ConfigurationError, InvalidOperation):
        raise NotFetched(f'max_usd is an amount of US dollars like "0.05", not {words(str(given), 40)!r}.') from None


def _rounded(given: Any) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        raise InvalidOperation
    return Decimal(str(given)).quantize(_MILLIONTH, ROUND_DOWN)
