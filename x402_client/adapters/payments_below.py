"""Remembers, for a short while, which tool calls an HTTP client paid for: an MCP session above asks before it pays.

The rule: "A JSON-RPC tools/call has one name on HTTP and in MCP alike". mcp 1.x sends from another task than that of
the caller, so the name is all that the two have in common.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress

from ..core.purchase_name import request_name
from ..model.holds import Outcome

#: The most payments that are remembered.
_MOST = 1_000
_paid: deque[tuple[str, float, Outcome]] = deque(maxlen=_MOST)


def note_payment(request: str, outcome: Outcome) -> None:
    """Note that an HTTP client paid for a tool call, by the name of that call."""
    _paid.append((request, time.monotonic(), outcome))


def any_below() -> bool:
    """Return True if some payment is remembered. Most programs have none, and need no name to look for."""
    return bool(_paid)


def paid_below(identity: str, digest: bytes, since: float) -> Outcome | None:
    """Return the outcome of the payment that was presented for this call since it began, and forget it.

    It is one call's own.
    """
    name = request_name(identity, digest)
    for entry in tuple(_paid):
        if entry[0] == name and entry[1] >= since:
            with suppress(ValueError):  # another thread took it just now
                _paid.remove(entry)
                return entry[2]
    return None
