"""The sandbox's records: every transfer that happened, and every request that came."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ..model.money import Money


@dataclass(frozen=True, slots=True)
class Settlement:
    """A transfer that happened. ``nonce`` is the value of ``hold.nonce`` for the same payment."""

    network: str
    transaction: str
    payer: str
    pay_to: str
    amount: int
    nonce: str
    #: The path that was sold for it.
    path: str = ""

    @property
    def price(self) -> Money:
        """Return the amount as money: both tokens of the sandbox have six decimals, and are dollars."""
        return Money.of_units(self.amount)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that came. ``payment`` tells payments apart, and is None if it carried none.

    A ``status`` of 0 means that it got no answer.
    """

    method: str
    path: str
    payment: str | None
    status: int
    fault: str | None = None


class Clock:
    """The chains' clock: that of this machine, plus the seconds that a test moved it by. It never goes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead = 0.0

    def now(self) -> float:
        """Return the seconds since 1970, as the chains see them."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on the chains, at once."""
        if not seconds >= 0:
            raise ValueError(f"Time passes forwards only, not by {seconds!r} seconds.")
        with self._lock:
            self._ahead += seconds
