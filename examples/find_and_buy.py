"""Discovery: look for sellers in a facilitator's list, and buy from the first that the policy would pay.

The list is a stranger's word. What is paid is what the seller's own 402 asks for, if the policy allows it.

Run it: python examples/find_and_buy.py
"""

import httpx

from x402_client import Policy, outcome
from x402_client.discovery import discover
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

with Sandbox() as seller:  # it lists what it sells, as facilitators do
    seller.sell("/forecast", "0.02", description="Weather of tomorrow", content="Rain.")
    seller.sell("/forecast/decade", "3", description="Weather of ten years", content="Warmer.")
    buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))

    with wrap(httpx.Client(), buyer) as client:
        for listing in discover("weather", facilitator=seller.url, buyer=buyer):
            if listing.choice is None:
                print("Not", listing.url, "-", listing.reasons[0])
                continue
            answer = client.request(listing.method or "GET", listing.url)
            paid = outcome(answer)
            print("Bought", listing.description or listing.url, "for", paid.hold.price if paid else "nothing")
    print("Spent", buyer.spent())
