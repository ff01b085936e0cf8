"""The record of a running call. The same request may join it once it is overdue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..model.holds import Attempt, Hold, Outcome


class RunningCall(Protocol):
    """The record of one call while it runs, or waits for another one."""

    #: The hold that the call presents, with its header: never shown, and dropped at the end unless a call has joined.
    hold: Hold | None

    def delivered(self, outcome: Outcome) -> None:
        """Note that the answer reached the call, before the ledger hears of it."""
        ...

    def flow_ended(self, attempt: Attempt) -> None:
        """Note that headers are here, or the call's end if its attempt is over."""
        ...

    def end(self) -> None:
        """End the call, or leave the call that it joined."""
        ...
