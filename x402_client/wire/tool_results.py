"""Payment in MCP's own words: finds terms and receipts in the results of tools, and writes a payment for ``_meta``.

Servers put terms in three places and read payments in two encodings under three names. The specification says an
object under ``x402/payment``; Cloudflare's agents read base64 there, and x402-mcp reads base64 under ``x402.payment``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from ..errors import MalformedQuote
from .bounds import Bounds
from .json_text import dump, load

#: The names under which servers read a payment in a request's ``_meta``.
PAYMENT_KEYS = ("x402/payment", "x402.payment", "x402.org/payment")
#: The name under which a call says that it asks for the price alone, for an HTTP client of ours below.
QUOTE_KEY = "x402-client/quote"
_RECEIPT_KEYS = ("x402/payment-response", "x402.payment-response", "x402.org/payment-response")
_SLASH, _DOT, _ORG = PAYMENT_KEYS
#: What was an error's code before the specification wrote results, with a name of its own for the payment.
_ORG_CODE = -402
#: In a result's ``_meta``, by Cloudflare's agents.
_META_TERMS = ("x402/error",)
#: Where servers put terms into something else, at most this deep.
_WRAPPED = (*_META_TERMS, "data", "paymentRequired", "payment_required", "x402")
_WRAPPED_DEPTH = 3
#: FastMCP puts this before what a tool raised.
_BEFORE_TEXT = r"\s*Error (?:executing|calling) tool [^{}\n]{1,256}: ?(?=\{)"
#: A server says so of a payment that it could not read.
_UNREAD = r"(?i)invalid.?payment|payload|malformed|decod|pars(e|ing)|base64|json|is required"

#: Where terms stood: in ``structuredContent``, in a result's ``_meta``, in a text, or in a JSON-RPC error.
Place = Literal["content", "meta", "text", "error", "old error"]


class ToolTerms(NamedTuple):
    """Terms that a tool asks to be paid by, and the place where they stood."""

    document: Mapping[str, Any]
    place: Place

    @property
    def version(self) -> Any:
        """Return the version of x402 that they say they speak."""
        return self.document.get("x402Version")

    @property
    def reason(self) -> str:
        """Return what they give as their reason."""
        said = self.document.get("error")
        return said if isinstance(said, str) else ""

    def body(self, bounds: Bounds) -> bytes | None:
        """Return the terms as the body of a 402 would have them. None if they are too large or no JSON."""
        text = _text(self.document, bounds.terms_body, bounds.depth)
        return None if text is None else text.encode()


def terms_in_result(
    meta: Mapping[str, Any] | None, structured: Any, text: str | None, bounds: Bounds
) -> ToolTerms | None:
    """Return the terms in a result that is an error. A broken place does not hide a sound one.

    ``text`` is the first text of its content. It is read if all of it is terms.
    """
    places: tuple[tuple[Place, Any], ...] = (
        ("content", structured),
        ("meta", next((meta[name] for name in _META_TERMS if name in meta), None) if meta else None),
        ("text", text),
    )
    for place, value in places:
        document = _terms(value, bounds)
        if document is not None:
            return ToolTerms(document, place)
    return None


def terms_in_error(code: int, data: Any, bounds: Bounds) -> ToolTerms | None:
    """Return the terms in the data of a JSON-RPC error."""
    document = _terms(data, bounds)
    return None if document is None else ToolTerms(document, "old error" if code == _ORG_CODE else "error")


def receipt_in(places: Iterable[Any], bounds: Bounds) -> str | None:
    """Return the receipt as a header would have it, from the first place that has one."""
    for place in places:
        found = place if isinstance(place, dict) else {}
        value = next((found[name] for name in _RECEIPT_KEYS if name in found), None)
        if isinstance(value, (str, dict)):
            return value if isinstance(value, str) else _text(value, bounds.receipt, bounds.depth)
    return None


def payment_metas(header: str, place: Place, version: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return one payment as ``_meta`` carries it, in two ways: as the place of the terms says, and in all others.

    The same authorization may be encoded anew: a server that cannot read one of them asks again.
    """
    document = json.loads(base64.b64decode(header))
    as_object, as_base64 = {_SLASH: document}, {_SLASH: header}
    if place == "meta":
        return as_base64, {**as_object, _DOT: header, _ORG: document}
    if version == 1:  # x402-mcp has a name of its own, so both fit into one request
        return {**as_object, _DOT: header}, {**as_base64, _ORG: document}
    if place == "old error":
        return {**as_object, _ORG: document}, {**as_base64, _DOT: header}
    return as_object, {**as_base64, _DOT: header, _ORG: document}


def was_unread(asked: ToolTerms | None, again: ToolTerms) -> bool:
    """Return True if a server that asks again seems not to have read the payment: it says what it said without one."""
    return (asked is not None and again.reason == asked.reason) or re.search(_UNREAD, again.reason[:400]) is not None


def carries_payment(meta: Any) -> bool:
    """Return True if the caller put a payment into ``_meta`` by hand."""
    return isinstance(meta, Mapping) and any(name in meta for name in PAYMENT_KEYS)


def _terms(value: Any, bounds: Bounds, depth: int = _WRAPPED_DEPTH) -> Mapping[str, Any] | None:
    if isinstance(value, str):
        value = _opened(value, bounds)
    if not isinstance(value, dict) or not depth:
        return None
    if "x402Version" in value and isinstance(value.get("accepts"), list):
        return value
    inner = (_terms(value[name], bounds, depth - 1) for name in _WRAPPED if name in value)
    return next((found for found in inner if found is not None), None)


def _opened(text: str, bounds: Bounds) -> Any:
    """Return the JSON that a text is, as a whole."""
    if len(text) > bounds.terms_body or '"x402Version"' not in text:
        return None
    before = re.match(_BEFORE_TEXT, text)
    try:
        return load(text[before.end() :] if before else text, bounds.depth)
    except MalformedQuote:
        return None


def _text(value: Mapping[str, Any], most: int, depth: int) -> str | None:
    """Return JSON of at most this many characters and levels. What is larger is not written to find that out."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    left = most
    while waiting:
        one, level = waiting.pop()
        parts = [*one, *one.values()] if isinstance(one, dict) else one if isinstance(one, list) else ()
        left -= 2 + len(parts) + (len(one) if isinstance(one, str) else 0)
        if left < 0 or level > depth:
            return None
        waiting += ((part, level + 1) for part in parts)
    try:
        text = dump(value)
    except (TypeError, ValueError):
        return None
    return text if len(text) <= most else None
