"""Every shell pays every real seller: once, exactly, and the receipt names the transfer."""

from __future__ import annotations

import pytest

from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, receipt

# The first file of a run: the sellers' environments are made here, while the other workers do what needs none.
pytestmark = pytest.mark.timeout(900)
SELLERS = ["fastapi-v2", "flask-v2", "fastapi-v1", "flask-v1"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", SELLERS)
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
def test_pays_once_and_exactly(world: World, ask: Ask, name: str, method: str) -> None:
    seller, chain = world.seller(name), world.chain
    account = world.buyer()
    before, block = chain.balance(seller.pay_to), chain.block()
    buyer = Buyer(Wallet(evm=account), Policy(per_request="0.05", per_day="1"))

    response = ask(buyer, method, seller.url("/paid"), **({"json": {"n": 1}} if method == "POST" else {}))

    price = seller.price(method)
    assert response.status_code == 200
    assert chain.balance(seller.pay_to) == before + price
    assert chain.balance(account.address) == 1_000_000 - price
    transfers = chain.transfers(block)
    assert [(t.sender, t.to, t.value) for t in transfers] == [(account.address.lower(), seller.pay_to.lower(), price)]
    found = receipt(response)
    assert found is not None
    assert found.success
    assert found.transaction == transfers[0].tx_hash
    assert buyer.spent(currency="USD (test)").units == price
    assert buyer.holds() == ()
    assert [hold.money for hold in buyer.history()] == ["spent"]
