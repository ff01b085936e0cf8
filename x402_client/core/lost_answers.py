"""Says what became of the money where the ledger was told to keep a signed payment and did not confirm it."""

from __future__ import annotations

from ..errors import LedgerUnavailable
from ..model.holds import Hold, Order


def note_doubt(failure: LedgerUnavailable, about: Order | Hold) -> None:
    """Let a failure to keep what was signed say "held", unless the ledger certainly wrote nothing.

    The rule: "record the authorization, durably, before it leaves the machine", which fails with the money counted.
    Another program with the same wallet and purse may find what was written, and present it.
    """
    if failure.wrote_nothing or failure.money == "held":  # a ledger may raise the same error again
        return
    failure.money = "held"
    failure.offer = failure.offer or about.offer
    if isinstance(about, Hold):
        failure.hold = about.shown
    found = str(failure.args[0])
    ended = found if found.endswith(".") else f"{found}."
    failure.args = (
        f"{ended} It was told to count {about.price} to {about.purchase.origin.host}, with what was signed for it, and "
        "did not confirm that: so the amount may be counted. Nothing was sent to the seller. Make the same request "
        "again: what the ledger has is presented, and nothing is paid twice.",
    )
