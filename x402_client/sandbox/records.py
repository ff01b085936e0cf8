"""What the sandbox remembers: every transfer that happened, and every request that came."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ..model.money import Money


@dataclass(frozen=True, slots=True)
class Settlement:
    """One transfer that happened. ``nonce`` is what ``hold.nonce`` shows for the same payment."""

    network: str
    transaction: str
    payer: str
    pay_to: str
    amount: int
    nonce: str
    #: What was sold for it, as a path.
    path: str = ""

    @property
    def price(self) -> Money:
        """The amount as money: both of the sandbox's tokens have six decimals, and are dollars."""
        return Money.of_units(self.amount)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request that came. ``payment`` tells payments apart, None if it carried none; ``status`` 0: no answer."""

    method: str
    path: str
    payment: str | None
    status: int
    fault: str | None = None


class Clock:
    """The chains' clock: that of this machine, plus what a test moved it by. It never goes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970, as the chains see them."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let so much time pass on the chains, at once."""
        if not seconds >= 0:
            raise ValueError(f"Time passes forwards only, not by {seconds!r} seconds.")
        with self._lock:
            self._ahead += seconds
