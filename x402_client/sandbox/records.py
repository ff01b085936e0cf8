"""Records of the sandbox: every transfer, and every request for something with a price."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ..model.money import Money


@dataclass(frozen=True, slots=True)
class Settlement:
    """Transfer that happened.

    Attributes:
        network: The sandbox's network.
        transaction: The transaction.
        payer: The account that paid.
        pay_to: The account that was paid.
        amount: The amount, in millionths of a dollar.
        nonce: The value of ``hold.nonce`` for the same payment.
        path: The path that was sold for it.
    """

    network: str
    transaction: str
    payer: str
    pay_to: str
    amount: int
    nonce: str
    path: str = ""

    @property
    def price(self) -> Money:
        """Return the amount as money: both tokens of the sandbox have six decimals, and are dollars."""
        return Money.of_units(self.amount)


@dataclass(frozen=True, slots=True)
class Visit:
    """Request that came.

    Attributes:
        method: Its method.
        path: Its path.
        payment: A value that tells its payment from others. None: it had no payment.
        status: The answer's status. 0: it got no answer.
        fault: The fault that it met. None: it met none.
    """

    method: str
    path: str
    payment: str | None
    status: int
    fault: str | None = None


class Clock:
    """Clock of the chains: this machine's, plus the seconds by which a test moved it. It never goes back."""

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
