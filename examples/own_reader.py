"""A settlement reader of your own: a seller's statement says what became of payments that brought no answer.

Two payments break off, one before it settled and one after. The reader is asked at once: what settled is spent.
Both stay counted until somebody knows more. Once they expired it is asked again: what did not settle is given back. So
that nobody has to wait, the clock is moved here.

Run it: python examples/own_reader.py
"""

import time

import httpx

from x402_client import Policy, errors
from x402_client.httpx import wrap
from x402_client.model.holds import Hold
from x402_client.sandbox import Sandbox


class Statement:
    """What the seller lists as received. It is complete: what expired and is not on it never arrived."""

    def __init__(self, seller: Sandbox) -> None:
        self.seller = seller

    def read(self, hold: Hold) -> str:
        """Say "settled", "not_settled" or "unknown"."""
        if hold.authorization is None or hold.host != "127.0.0.1":
            return "unknown"
        if hold.nonce in {done.nonce for done in self.seller.settlements}:
            return "settled"
        return "not_settled" if hold.authorization.expires < time.time() else "unknown"


with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10", validity=60), reader=Statement(seller), repeat=())
    with wrap(httpx.Client(), buyer) as client:
        for fault in ("drop-before-settling", "drop-after-settling"):
            try:
                client.get(seller.fault_url(fault))
            except errors.PaymentOutcomeUnknown as unclear:
                print(f"{fault}: the money is {unclear.money}")
    print("Counted", buyer.spent(), "for", len(buyer.holds()), "payments without an answer")

    now = time.time
    time.time = lambda: now() + 600
    found = buyer.reconcile()
    print("Given back", len(found.released), "and settled", len(found.settled))
    print("Counted", buyer.spent(), "for", len(seller.settlements), "payment that arrived")
    time.time = now
