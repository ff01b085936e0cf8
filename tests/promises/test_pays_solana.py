"""Every shell pays sellers on Solana: once, exactly, without SOL, in every layout, with hints and memos and without."""

from __future__ import annotations

import time
from typing import Any

import anyio
import httpx
import pytest
from solders.keypair import Keypair

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of, through_async_httpx, through_httpx
from tests.real.solana import PYUSD_DEVNET, USDC_DEVNET, SolanaTransfer
from tests.real.world import SELLERS_MEMO, Seller, World
from x402_client import Buyer, Policy, Wallet, errors, receipt

POLICY = Policy(per_request="0.05", per_day="1")
MEMO_PROGRAM = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"


def buyer_for(
    world: World, keypair: Keypair, policy: Policy = POLICY, *, repeat: tuple[str, ...] = ("GET",), **more: Any
) -> Buyer:
    return Buyer(Wallet(solana=keypair, **more), policy, rpc={"solana-devnet": world.solana.url}, repeat=repeat)


def transfer(world: World, keypair: Keypair, since: int) -> SolanaTransfer:
    [found] = [one for one in world.solana.transfers(since) if one.sender == str(keypair.pubkey())]
    return found


def check(world: World, keypair: Keypair, seller: Seller, response: Any, since: int, price: int, mint: str) -> None:
    """The chain says: the price, once, to the seller; and the buyer had no SOL to lose."""
    assert response.status_code == 200
    one = transfer(world, keypair, since)
    assert (one.to, one.mint, one.amount) == (seller.pay_to, mint, price)
    assert world.solana.balance(keypair, mint) == 1_000_000 - price
    assert world.solana.lamports(keypair) == 0
    found = receipt(response)
    assert found is not None
    assert found.success
    assert found.transaction == one.signature


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", ["svm-v2", "svm-v1", "svm-v1-caip2", "svm-v2-own-fees", "svm-v1-own-fees"])
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
def test_pays_once_and_exactly(world: World, ask: Ask, name: str, method: str) -> None:
    seller, keypair = world.seller(name), world.solana_buyer()
    buyer, since = buyer_for(world, keypair), world.solana.slot()
    response = ask(buyer, method, seller.url("/paid"), **({"json": {"n": 1}} if method == "POST" else {}))
    check(world, keypair, seller, response, since, seller.price(method), USDC_DEVNET)
    assert buyer.spent(currency="USD (test)").units == seller.price(method)
    assert buyer.holds() == ()
    [done] = buyer.history()
    assert done.money == "spent"


@pytest.mark.parametrize("name", ["svm-v2", "svm-v1"])
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
def test_pays_token_2022(world: World, ask: Ask, name: str) -> None:
    seller, keypair = world.seller(name), world.solana_buyer(mint=PYUSD_DEVNET)
    since = world.solana.slot()
    response = ask(buyer_for(world, keypair), "GET", seller.url("/token2022"))
    check(world, keypair, seller, response, since, seller.price("GET"), PYUSD_DEVNET)


@pytest.mark.parametrize("ask", [through_httpx, through_async_httpx], ids=name_of)
def test_pays_with_the_sellers_memo(world: World, ask: Ask) -> None:
    seller, keypair = world.seller("svm-v2"), world.solana_buyer()
    since = world.solana.slot()
    response = ask(buyer_for(world, keypair), "GET", seller.url("/memo"))
    check(world, keypair, seller, response, since, seller.price("GET"), USDC_DEVNET)
    landed = world.solana.transaction(transfer(world, keypair, since).signature)
    assert landed is not None
    [memo] = [one for one in landed["transaction"]["message"]["instructions"] if one["programId"] == MEMO_PROGRAM]
    assert memo["parsed"] == SELLERS_MEMO


@pytest.mark.parametrize("ask", [through_httpx, through_async_httpx], ids=name_of)
def test_the_same_memo_twice_is_paid_twice(world: World, ask: Ask) -> None:
    seller, keypair = world.seller("svm-v2"), world.solana_buyer()
    buyer, since = buyer_for(world, keypair), world.solana.slot()
    for _ in range(3):
        assert ask(buyer, "GET", seller.url("/memo")).status_code == 200
    mine = [one for one in world.solana.transfers(since) if one.sender == str(keypair.pubkey())]
    assert len({one.signature for one in mine}) == 3


def test_a_sellers_hint_is_used(world: World) -> None:
    seller, keypair = world.seller("svm-v2"), world.solana_buyer()
    since = world.solana.slot()
    # Without an endpoint of its own that answers, only the hint can have helped.
    buyer = Buyer(Wallet(solana=keypair), POLICY, rpc={"solana-devnet": "http://127.0.0.1:9"})
    check(world, keypair, seller, through_httpx(buyer, "GET", seller.url("/hint")), since, 10_000, USDC_DEVNET)


@pytest.mark.slow
def test_a_warm_buyer_asks_the_chain_nothing(own_world: World) -> None:
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    buyer = buyer_for(own_world, keypair)
    through_httpx(buyer, "GET", seller.url("/paid"))
    assert sum(own_world.solana.calls().values()) <= 2, "cold: two calls at the most"
    own_world.solana.reset_calls()
    for number in range(10):
        assert through_httpx(buyer, "GET", seller.url(f"/paid?n={number}")).status_code == 200
    assert own_world.solana.calls() == {}


@pytest.mark.slow
def test_many_at_once_share_one_call(own_world: World) -> None:
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    buyer, since = buyer_for(own_world, keypair), own_world.solana.slot()

    async def ask() -> list[int]:
        codes: list[int] = []

        async def one(client: httpx.AsyncClient, number: int) -> None:
            codes.append((await client.get(seller.url(f"/paid?n={number}"), timeout=60)).status_code)

        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client, anyio.create_task_group() as tasks:
            for number in range(16):
                tasks.start_soon(one, client, number)
        return codes

    assert anyio.run(ask) == [200] * 16
    assert own_world.solana.calls() == {"getGenesisHash": 1, "getLatestBlockhash": 1}
    assert len(own_world.solana.transfers(since)) == 16


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["slow", "busy", "garbled once"])
def test_a_troubled_endpoint(own_world: World, fault: str) -> None:
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    chain = own_world.solana
    {
        "slow": lambda: chain.delay(500, "getLatestBlockhash"),
        "busy": lambda: chain.refuse(2, "getLatestBlockhash"),
        "garbled once": lambda: chain.spoil(1, "getLatestBlockhash"),
    }[fault]()
    since = chain.slot()
    response = through_async_httpx(buyer_for(own_world, keypair), "GET", seller.url("/paid"))
    check(own_world, keypair, seller, response, since, 10_000, USDC_DEVNET)


@pytest.mark.slow
def test_a_slow_endpoint_does_not_block_the_loop(own_world: World) -> None:
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    own_world.solana.delay(500, "getLatestBlockhash")
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await anyio.sleep(0.01)
            gaps.append(time.perf_counter() - before)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer_for(own_world, keypair)) as client:
                assert (await client.get(seller.url("/paid"))).status_code == 200
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert max(gaps) < 0.4, "a loop that waited for the endpoint would have stood still for half a second"


@pytest.mark.slow
def test_a_blockhash_about_to_die(own_world: World) -> None:
    """A blockhash that was fetched earlier has seconds to live, and they suffice."""
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    buyer = buyer_for(own_world, keypair)
    assert through_httpx(buyer, "GET", seller.url("/paid")).status_code == 200
    own_world.solana.jump(140)
    assert through_httpx(buyer, "GET", seller.url("/paid")).status_code == 200
    assert own_world.solana.calls() == {"getGenesisHash": 1, "getLatestBlockhash": 1}


@pytest.mark.slow
def test_a_blockhash_that_died_costs_nothing_and_nobody_pays_twice(own_world: World) -> None:
    """The chain ran ahead of every clock: the payment cannot land, and once that is proven the money is free again."""
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    buyer = buyer_for(own_world, keypair)
    assert through_httpx(buyer, "GET", seller.url("/paid")).status_code == 200
    own_world.solana.jump(200)
    with pytest.raises(errors.PaymentRejected):
        through_httpx(buyer, "GET", seller.url("/paid"), timeout=60)
    assert own_world.solana.balance(keypair) == 1_000_000 - 10_000
    [hold] = buyer.holds()
    own_world.solana.jump(200)
    assert buyer.reader.read(hold) == "not_settled"


def test_no_endpoint_at_all_leaves_the_money_alone(world: World) -> None:
    seller, keypair = world.seller("svm-v2"), world.solana_buyer()
    buyer = Buyer(Wallet(solana=keypair), POLICY, rpc={"solana-devnet": "http://127.0.0.1:9"})
    with pytest.raises(errors.ChainUnavailable) as raised:
        through_httpx(buyer, "GET", seller.url("/paid"))
    assert raised.value.money == "untouched"
    assert buyer.spent(currency="USD (test)").units == 0
    assert world.solana.balance(keypair) == 1_000_000


@pytest.mark.slow
def test_a_send_that_was_dropped_is_presented_again(own_world: World) -> None:
    """The facilitator's transaction gets lost on its way. The seller says 402; asked again, it sends the same one."""
    seller, keypair = own_world.seller("svm-v1"), own_world.solana_buyer()
    buyer, since = buyer_for(own_world, keypair, repeat=()), own_world.solana.slot()
    own_world.solana.drop_sends(1)
    with pytest.raises(errors.PaymentRejected) as raised:
        through_httpx(buyer, "GET", seller.url("/paid"), timeout=60)
    assert raised.value.money == "held", "it says that the transaction failed, in no receipt"
    assert buyer.spent(currency="USD (test)").units == 10_000
    response = through_httpx(buyer, "GET", seller.url("/paid"), timeout=60)
    check(own_world, keypair, seller, response, since, 10_000, USDC_DEVNET)
    assert [one.nonce for one in buyer.history()] == [raised.value.hold.nonce]
    assert buyer.spent(currency="USD (test)").units == 10_000


@pytest.mark.slow
def test_a_send_that_lands_late_is_not_paid_twice(own_world: World) -> None:
    """The seller gives up waiting and says 402, and the money moves after that."""
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    buyer, since = buyer_for(own_world, keypair, repeat=()), own_world.solana.slot()
    own_world.solana.hold_sends(25)
    with pytest.raises(errors.PaymentRejected) as raised:
        through_httpx(buyer, "GET", seller.url("/paid"), timeout=60)
    assert raised.value.money == "unknown", "it says that the settlement is pending, and names the transaction"
    response = through_httpx(buyer, "GET", seller.url("/paid"), timeout=60)
    check(own_world, keypair, seller, response, since, 10_000, USDC_DEVNET)
    assert [one.nonce for one in buyer.history()] == [raised.value.hold.nonce]


def test_both_chains_in_one_wallet(world: World) -> None:
    """The seller names an offer on the EVM chain first; the user's order decides, and a quote shows both."""
    seller, keypair = world.seller("svm-v2"), world.solana_buyer()
    account = world.buyer()
    for networks, paid_on in (
        (["solana-devnet", "base-sepolia"], "solana"),
        (["base-sepolia", "solana-devnet"], "evm"),
    ):
        buyer = buyer_for(world, keypair, Policy(per_request="0.05", networks=networks), evm=account)
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            terms = x402_client.httpx.quote(client, "GET", seller.url("/both"))
            assert len(terms.offers) == 2
            assert len(terms.reasons) == 1
            before = (world.solana.balance(keypair), world.chain.balance(account.address))
            assert client.get(seller.url("/both")).status_code == 200
            after = (world.solana.balance(keypair), world.chain.balance(account.address))
        assert (before[0] - after[0], before[1] - after[1]) == ((10_000, 0) if paid_on == "solana" else (0, 10_000))
        assert terms.choice is not None
        assert terms.choice.network.startswith("solana" if paid_on == "solana" else "eip155")


def test_an_offer_without_a_key_for_its_chain_is_passed_over(world: World) -> None:
    seller = world.seller("svm-v2")
    buyer = Buyer(Wallet(evm="11" * 32), POLICY)
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        terms = x402_client.httpx.quote(client, "GET", seller.url("/paid"))
    assert terms.choice is None
    assert "no key for solana-devnet" in terms.reasons[0]


def test_check_funds(world: World) -> None:
    seller, broke = world.seller("svm-v2"), Keypair()
    policy = Policy(per_request="0.05", check_funds=True)
    buyer = buyer_for(world, broke, policy)
    with pytest.raises(errors.InsufficientFunds, match="no such account"):
        through_httpx(buyer, "GET", seller.url("/paid"))
    world.solana.mint_to(broke, 1_000_000)
    assert through_httpx(buyer, "GET", seller.url("/paid")).status_code == 200
