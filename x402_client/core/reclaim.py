"""Tells the ledger what the chain says about an expired payment: unused budget is given back."""

from __future__ import annotations

from ..events import Concluded
from ..model.holds import Hold, Settled
from .asks import Conclude, Tell
from .drive import Flow


def reclaim(hold: Hold, answer: Settled) -> Flow[Settled]:
    """Conclude one payment. Return "unknown" where the reader could not tell, or the ledger did not take it."""
    if answer == "unknown" or (yield from Conclude(hold, answer == "settled")) is False:
        return "unknown"
    yield from Tell(Concluded(hold.purchase.method, hold.url, hold.shown, settled=answer == "settled"))
    return answer
