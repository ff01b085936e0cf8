"""What a model is told of a sign-in: the content, the account that it was shown to, and that nothing was paid."""

from __future__ import annotations

import httpx

from x402_client import Policy
from x402_client.agents import tools
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


def test_a_second_visit_costs_nothing_and_says_so() -> None:
    with Sandbox() as seller:
        url = seller.sell("/poem", "0.02", content="Roses", sign_in=True)
        buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))
        with wrap(httpx.Client(), buyer) as client:
            made = {tool.__name__: tool for tool in tools(client, buyer, hosts=["127.0.0.1"])}
            paid = made["paid_fetch"](url)
            price = made["quote"](url)
            again = made["paid_fetch"](url)
        assert (paid["paid"], "signed_in" in paid) == ("0.02 USD", False)
        assert (price["would_sign_in_first"], price["would_pay"]) == (True, "0.02 USD")
        assert buyer.wallet.evm is not None
        assert (again["ok"], again["body"], again["paid"]) == (True, "Roses", None)
        assert again["signed_in"] == buyer.wallet.evm.address
        assert len(seller.settlements) == 1
