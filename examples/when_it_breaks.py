"""What to do when a payment gets no usable answer: make the same request again. It never pays twice.

The sandbox orders the accidents: a connection that breaks before the seller took the money, and one that breaks after.

Run it: python examples/when_it_breaks.py
"""

import logging

import httpx

from x402_client import Policy, errors
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

logging.basicConfig(format="  log: %(message)s")
logging.getLogger("x402_client").setLevel(logging.INFO)


def fetch(client: httpx.Client, url: str) -> str:
    """The loop that everybody writes, with the one thing it has to know."""
    for _ in range(3):
        try:
            return str(client.get(url).json()["content"])
        except (errors.PaymentOutcomeUnknown, errors.PaymentRejected) as trouble:
            print(type(trouble).__name__, "and the money is", trouble.money)
            # Each answer is logged with what it alone tells: a 402 leaves the money "held". The error knows more, as
            # the chain was asked after it: "spent" means that the payment is seen to have settled.
    return "nothing"


with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10"))
    with wrap(httpx.Client(), buyer) as client:
        for accident in ("drop-before-settling", "drop-after-settling"):
            print(accident, "->", fetch(client, seller.fault_url(accident)))
    print("Settled", len(seller.settlements), "payments for 2 purchases")
    for hold in buyer.holds():
        print("Still open:", hold.price, "at", hold.url, "- given up:", buyer.write_off(hold).money)
