"""requests: wrap a session, or mount a PaymentAdapter where you want to pay and nowhere else.

Run it: python examples/pay_with_requests.py
"""

import requests

from x402_client import Policy, receipt
from x402_client.adapters.requests_adapter import PaymentAdapter
from x402_client.requests import wrap
from x402_client.sandbox import Sandbox

with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))

    with wrap(requests.Session(), buyer) as session:
        response = session.post(f"{seller.url}/report", json={"city": "Lisbon"})
        paid = receipt(response)
        print("Got", response.json()["content"], "for transaction", paid.transaction[:10] if paid else None)

    with requests.Session() as picky:
        picky.mount(seller.url, PaymentAdapter(buyer, max_retries=2))
        print("Mounted:", picky.get(f"{seller.url}/v1/weather").json()["paid"])
    print("Spent", buyer.spent())
