"""Payment flows of ``exact``: when the seller takes the money. What is signed is the same in each."""

from __future__ import annotations

from ..model.offers import Offer, quoted

#: The flows that ``exact`` is paid in: settled after the seller's work, or before it.
PAID = ("authorization", "upfront")
_ESCROW = "it locks money away before delivery, and the seller says later how much of it comes back"


def flow_objection(offer: Offer) -> str | None:
    """Return why an offer's payment flow is not paid by ``exact``, or None."""
    flow = offer.extra.get("paymentFlow") or PAID[0]
    return None if flow in PAID else objection_to(flow)


def objection_to(flow: object) -> str:
    """Return why a payment flow that ``exact`` is not paid in is refused."""
    why = f": {_ESCROW}; `exact` has no such flow" if flow == "escrow" else f"; {' and '.join(PAID)} are"
    return f"payment flow {quoted(str(flow), 40)} is not supported{why}"
