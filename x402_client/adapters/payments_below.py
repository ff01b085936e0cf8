"""Remembers which tool calls an HTTP client paid for: an MCP session above asks before it pays, and says what arrived.

The rule: "A JSON-RPC tools/call has one name on HTTP and in MCP alike". mcp 1.x sends from another task than that of
the caller, so the name is all that the two have in common.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..model.holds import Outcome

#: The most payments that are remembered.
_MOST = 1_000
_paid: deque[tuple[str, float, Outcome]] = deque(maxlen=_MOST)
#: The calls that sessions make now. Each gives its name, which takes time and is wanted after a payment alone.
_above: list[Callable[[], str | None]] = []


def note_payment(request: str, outcome: Outcome) -> None:
    """Note that an HTTP client paid for a tool call, by the name of that call."""
    _paid.append((request, time.monotonic(), outcome))


@contextmanager
def deciding(name: Callable[[], str | None]) -> Iterator[None]:
    """Let a session's call decide whether what an HTTP client pays for it was delivered."""
    _above.append(name)
    try:
        yield
    finally:
        _above.remove(name)


def is_decided_above(request: str) -> bool:
    """Return True if a session's call of this name is under way."""
    return any(name() == request for name in tuple(_above))


def any_below() -> bool:
    """Return True if some payment is remembered. Most programs have none, and need no name to look for."""
    return bool(_paid)


def paid_below(name: str | None, since: float) -> Outcome | None:
    """Return the outcome of the payment that was presented for this call since it began, and forget it.

    It is one call's own.
    """
    for entry in tuple(_paid):
        if entry[0] == name and entry[1] >= since:
            with suppress(ValueError):  # another thread took it just now
                _paid.remove(entry)
                return entry[2]
    return None
