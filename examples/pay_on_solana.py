"""Solana: the wallet holds a key for each family of chains, and the policy's networks say which is preferred.

Run it: python examples/pay_on_solana.py
"""

import httpx

from x402_client import Policy, receipt
from x402_client.httpx import quote, wrap
from x402_client.sandbox import Sandbox

with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10", networks=["solana-devnet"]))
    with wrap(httpx.Client(), buyer) as client:
        terms = quote(client, "GET", f"{seller.url}/weather")
        print(len(terms.offers), "offers; the choice is", terms.choice)
        paid = receipt(client.get(f"{seller.url}/weather"))
        print("Paid by", paid.payer[:6] if paid and paid.payer else None, "in", paid.transaction[:6] if paid else None)
        print("The seller has", seller.balance(seller.settlements[0].pay_to))
