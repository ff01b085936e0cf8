"""Hides payments from the log of mcp: at DEBUG it writes every message, and a payment is in one of them."""

from __future__ import annotations

import logging

_LOGGERS = (
    "client", "mcp.client.streamable_http", "mcp.client.sse", "mcp.client.stdio", "mcp.client.session",
    "mcp.client.websocket", "mcp.shared.jsonrpc_dispatcher", "mcp.shared.session",
)  # fmt: skip
#: The names under which a payment stands in a message, in either kind of quotes, and the beginning of one in base64.
_MARKS = (
    *(f"{name}{quote}" for name in ("x402/payment", "x402.payment", "x402.org/payment") for quote in "'\""),
    "eyJ4NDAyVmVyc2lvbiI6",
)
#: The parts of a payment that a server repeats without its name.
_PARTS = ("signature", "validBefore")
_HIDDEN = "(hidden: a message with a payment)"
#: The most characters before the message itself: "Sending client message: ".
_BEFORE = 60


def hide_payments() -> None:
    """Hide messages that carry a payment from mcp's log, at any log level."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_hide)  # the same function is added once


def _hide(record: logging.LogRecord) -> bool:
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # logging itself says so of a wrong format
        return True
    if any(mark in text for mark in _MARKS) or all(part in text for part in _PARTS):
        before, colon, _ = text[:_BEFORE].partition(": ")
        record.msg, record.args = f"{before + colon if colon else ''}{_HIDDEN}", ()
    return True
