"""Hides payments from hpack's log: at DEBUG it writes every HTTP/2 header, and the payment is one of them."""

from __future__ import annotations

import logging
from typing import Any

_NAMES = ("payment-signature", "x-payment", "sign-in-with-x")
_HIDDEN = "(hidden: a payment header)"


def hide_payments() -> None:
    """Hide payment headers from hpack's log, at any log level."""
    for name in ("hpack.hpack", "hpack.table"):
        logging.getLogger(name).addFilter(_hide)  # the same function is added once


def _hide(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        if "header block" in str(record.msg):
            record.args = tuple(_size(part) for part in record.args)
        elif _names_payment(record.args):
            record.args = tuple(part if _is_name(part) else _hidden(part) for part in record.args)
    return True


def _names_payment(parts: tuple[Any, ...]) -> bool:
    return any(_is_name(part) or (isinstance(part, tuple) and part[:1] and _is_name(part[0])) for part in parts)


def _is_name(part: Any) -> bool:
    text = part.decode("latin-1") if isinstance(part, bytes) else part
    return isinstance(text, str) and text.lower() in _NAMES


def _hidden(part: Any) -> Any:
    """Return the text that replaces a value. Numbers and flags may stay."""
    return part if isinstance(part, (bool, int)) else _HIDDEN


def _size(part: Any) -> Any:
    """Return the size instead of a packed block: the block is the headers again, in Huffman's code."""
    return f"({len(part)} bytes)" if isinstance(part, (bytes, bytearray, memoryview)) else part
