"""Policy(check_funds=True): a broke wallet is told so before anything is signed, and is not locked out by it."""

from __future__ import annotations

import httpx
import pytest

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.chains.scripted_rpc import Answer, Scripted, result
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.sandbox import Sandbox

POLICY = Policy(per_request="0.05", check_funds=True)


@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
def test_a_broke_wallet_pays_once_it_is_funded(world: World, ask: Ask) -> None:
    seller, account = world.seller("fastapi-v2"), world.buyer(9_999)
    buyer = Buyer(Wallet(evm=account), POLICY, rpc={"base-sepolia": world.chain.url})
    with pytest.raises(errors.InsufficientFunds, match=r"holds 0\.009999 USDC on base-sepolia, and 0\.01 ") as raised:
        ask(buyer, "GET", seller.url("/paid"))
    assert raised.value.money == "untouched"
    assert buyer.spent().units == 0
    assert buyer.holds() == ()
    world.chain.mint(account.address, 1)
    assert ask(buyer, "GET", seller.url("/paid")).status_code == 200


@pytest.mark.parametrize("garbage", [result(None), result("0x"), result("0x" + "z" * 64), result(7)])
def test_a_balance_that_cannot_be_read_is_no_balance(garbage: Answer) -> None:
    with Sandbox() as seller, Scripted(garbage) as endpoint:
        buyer = seller.buyer(POLICY, rpc=dict.fromkeys(seller.rpc, endpoint.url))
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client, pytest.raises(errors.ChainUnavailable):
            client.get(seller.url + "/weather")
        assert seller.settlements == []
