"""Protocols of the connections of a ledger on a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...core.asks import Ask
from .trust import Steps


class SyncLine(Protocol):
    """Connection of sync callers. Safe between threads."""

    def send(self, ask: Ask[Any], /) -> Any:
        """Send one request and return the server's answer."""
        ...

    def close(self) -> None:
        """Close what is open. The next use connects again."""
        ...


class AsyncLine(Protocol):
    """Connection of async callers."""

    async def send(self, ask: Ask[Any], /) -> Any:
        """Send one request and return the server's answer."""
        ...

    async def close(self) -> None:
        """Close what the running event loop has open. The next use connects again."""
        ...


class EndsLine(Protocol):
    """Connection for ends of purchases: they are sent without waiting for the answer."""

    def open(self) -> None:
        """Connect, unless it is connected."""
        ...

    def start(self, steps: Steps[None], /) -> Callable[[], None] | None:
        """Send the first request. Return what waits for its answer; None, with nothing sent, if it had to wait."""
        ...

    def close(self) -> None:
        """Close the connection for good."""
        ...
