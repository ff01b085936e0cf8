"""A seller with a chain behind it: each payment settles once, when it arrives, before any answer."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.adapters.cash_register import PAYMENT, Then, Till
from tests.adapters.scripted_server import Exchange, Script, Seen

GOODS = (b"the ", b"good", b"s")


class Shop(Till):
    """Recognises a payment that it settled before, and delivers again; a forgetful one asks for another."""

    def __init__(self, forgetful: bool = False) -> None:
        super().__init__()
        self.forgetful = forgetful
        #: Whose terms it asks for: its own, until it changes its mind.
        self.asking: Till = self
        #: The nonces that settled, in order. What settles twice stands here twice, and on no real chain.
        self.settled: list[str] = []

    def sells(self, *thens: Then) -> Script:
        """Asks to be paid, settles, and answers each payment by the next one, the last one for ever."""
        turns = list(thens) or [in_pieces]

        def script(exchange: Exchange) -> None:
            exchange.read_body()
            if not self.took(exchange.seen) or (not self.settles(nonce_of(exchange.seen)) and self.forgetful):
                return self.asking.challenge(exchange)
            return (turns.pop(0) if len(turns) > 1 else turns[0])(exchange, self)

        return script

    def settles(self, nonce: str) -> bool:
        """Whether the chain takes it: not a second time."""
        with self._lock:
            fresh = nonce not in self.settled
            if fresh:
                self.settled.append(nonce)
        return fresh


def nonce_of(seen: Seen) -> str:
    """What identifies the payment in a request."""
    found: Any = json.loads(base64.b64decode(seen.header(PAYMENT[2]) or ""))
    return str(found["payload"]["authorization"]["nonce"])


def in_pieces(exchange: Exchange, till: Till) -> None:
    """The goods, a chunk at a time."""
    exchange.chunks(200, *GOODS, headers=[till.receipt()])


def busy(exchange: Exchange, till: Till) -> None:
    exchange.answer(503, b"busy")
