"""A server that goes back to claims of calls that ended since then: the loss is accepted, and none of them stays."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.served.ledger import ServedLedger
from x402_client.model.holds import Attempt, Hold, Spending

#: What the copy has of a call: its reservation, its payment, or its claim on the payment of a call before it.
COPIED = ("reserved", "signed", "taken over")
#: What became of it after the copy.
ENDS = ("given back", "left open", "delivered", "presented by a further call", "goes on")
#: A payment that was signed is not given back.
STORIES = [story for story in itertools.product(COPIED, ENDS) if story[1] != ENDS[0] or story[0] == COPIED[0]]


def check_lost_end(
    ledger: ServedLedger, copied: str, end: str, keep: Callable[[], object], back: Callable[[], object],
    open_again: Callable[[], object],
) -> None:  # fmt: skip
    """Tell a story, go back to the copy, and accept that. What was paid is presented, and never paid anew.

    ``open_again`` ends the time in which the server waits for other programs.
    """
    call = Attempt()
    hold = _begun(ledger, call, copied)
    keep()
    living = _ended(ledger, call, hold, end)
    beside = ledger.reserve(order(purchase("beside")), Attempt())  # a step that is lost in each story
    assert isinstance(beside, Hold)
    ledger.release(beside)
    back()
    assert ledger.accept()
    open_again()
    open_now = {one.id: one.in_flight for one in ledger.holds()}
    # What was delivered in lost steps is not remembered: of a reservation no payment is known.
    is_gone = copied == "reserved" and end in ("given back", "delivered")
    assert open_now == ({} if is_gone else {hold.id: living is not None})
    assert ledger.spent(Spending("", "day", "USD")) == 10_000 * len(open_now)
    if living is not None:
        living.end()
    found = ledger.reserve(order(purchase("told")), Attempt())
    assert isinstance(found, Hold)
    assert (found.id == hold.id, found.nonce) == ((True, "told") if open_now else (False, None))


def _begun(ledger: ServedLedger, call: Attempt, copied: str) -> Hold:
    first = Attempt() if copied == "taken over" else call
    hold = ledger.reserve(order(purchase("told")), first)
    assert isinstance(hold, Hold)
    if copied == "reserved":
        return hold
    hold = ledger.record(hold, signed("told"))
    if first is not call:
        first.end()
        assert ledger.reserve(order(purchase("told")), call) == hold.but(tries=1)
    return hold


def _ended(ledger: ServedLedger, call: Attempt, hold: Hold, end: str) -> Attempt | None:
    """Tell what came after the copy. Return the attempt that goes on."""
    if end == "given back":
        ledger.release(hold)
        return call.end()
    if hold.state == "reserved":
        hold = ledger.record(hold, signed("told"))
    if end == "goes on":
        return call
    if end == "delivered":
        ledger.close(hold, "spent", RECEIPT)
    call.end()
    ledger._beat("default")
    if end != "presented by a further call":
        return None
    further = Attempt()
    found = ledger.reserve(order(purchase("told")), further)
    assert isinstance(found, Hold)
    assert found.id == hold.id
    return further
