"""httpx: wrap a client, and what answers 402 is paid. Runs on its own, against a seller on this machine.

Against real sellers, leave the sandbox out: Buyer(Wallet.from_env(), policy) pays with the keys in X402_EVM_KEY and
X402_SOLANA_KEY.

Run it: python examples/pay_with_httpx.py
"""

import httpx

from x402_client import Limit, Policy, errors, receipt
from x402_client.httpx import quote, wrap
from x402_client.sandbox import Sandbox

with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5", hosts={"127.0.0.1": Limit(per_hour="1")}))

    with wrap(httpx.Client(), buyer) as client:
        terms = quote(client, "GET", f"{seller.url}/weather")
        print("It would cost", terms.choice.price if terms.choice else "nothing")

        response = client.get(f"{seller.url}/weather")
        paid = receipt(response)
        print("Got", response.json()["content"], "for transaction", paid.transaction[:10] if paid else None)
        print("Spent", buyer.spent(), "and", buyer.remaining("127.0.0.1", "hour"), "is left this hour")

        try:
            client.get(f"{seller.url}/yacht")
        except errors.PaymentRefused as refusal:
            print("Refused:", refusal)
            print("The money is", refusal.money)
