"""Finds whether a seller's words repeat the payment: those words are shown and kept, a payment never is."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

#: This many letters in common are no accident. Addresses, networks and transactions are not compared.
_COMMON = 24
#: Signatures and transactions are longer than anything else in a payload.
_LONG = 80
#: A run of letters that may be a text in base64, of either alphabet.
_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{_COMMON},}}")


def repeats(words: str, header: str) -> bool:
    """Return True if a part of ``words`` is a part of the payment header, or of a signature in it.

    A seller that read the payment and wrote it anew in base64 repeats it, too.
    """
    return any(repeated([words, *map(_unfolded, _RUN.findall(words))], header))


def _unfolded(run: str) -> str:
    """Return what a text in base64 says, as far as it goes: it may have been cut."""
    whole = run[: len(run) // 4 * 4].replace("-", "+").replace("_", "/")
    return base64.b64decode(whole).decode("latin-1")


def repeated(texts: Iterable[str], header: str) -> list[bool]:
    """Return for each text whether it repeats a part of the payment header, or of a signature in it."""
    found = [text.lower() if len(text) >= _COMMON else "" for text in texts]
    if not header or not any(found):
        return [False] * len(found)
    payment = _decoded(header)
    # Signatures are hex or base64, which JSON writes as they are. So looking at the whole text first is cheaper than
    # looking at its parts.
    whole = f"{header}\n{payment}".lower()
    if not any(_block_in_common(text, whole) for text in found if text):
        return [False] * len(found)
    kept = "\n".join((header, *_signatures(payment))).lower()
    return [_in_common(text, kept) for text in found]


def _decoded(header: str) -> str:
    try:
        return base64.b64decode(header).decode("latin-1")
    except ValueError:
        return ""


def _block_in_common(text: str, kept: str) -> bool:
    """Return False if the texts cannot have ``_COMMON`` letters in common: a quick first look.

    A run of that many letters holds at least one whole block of half the length. The run may begin anywhere.
    """
    half = _COMMON // 2
    blocks = [text[at : at + half] for at in range(0, len(text) - half + 1, half)]
    return any(map(kept.__contains__, blocks))


def _in_common(text: str, kept: str) -> bool:
    return any(text[at : at + _COMMON] in kept for at in range(len(text) - _COMMON + 1))


def _signatures(payment: str) -> Iterator[str]:
    if payment[:1] == "{":  # a payload that we wrote as JSON
        yield from _long_texts(json.loads(payment).get("payload"))


def _long_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= _LONG:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _long_texts(inner)
