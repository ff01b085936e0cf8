"""Telling whether a seller's words repeat the payment that it was handed: they are shown and kept, a payment is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import MalformedQuote
from .json_text import load_base64

#: So many letters in common are no accident. Addresses, networks and transactions are no part of what is compared.
_COMMON = 24
#: Signatures and transactions are longer than anything else in a payload.
_LONG = 80
_DEPTH = 64


def repeats(words: str, header: str) -> bool:
    """Whether some of these words are a part of the payment header, or of a signature in it."""
    if len(words) < _COMMON or not header:
        return False
    kept = "\n".join((header, *_signatures(header))).lower()
    text = words.lower()
    return any(text[at : at + _COMMON] in kept for at in range(len(text) - _COMMON + 1))


def _signatures(header: str) -> Iterator[str]:
    try:
        payment = load_base64(header, _DEPTH)
    except MalformedQuote:
        return
    if isinstance(payment, dict):
        yield from _long_texts(payment.get("payload"))


def _long_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= _LONG:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _long_texts(inner)
