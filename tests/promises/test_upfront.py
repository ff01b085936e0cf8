"""A seller that takes the money before it does its work is paid, once, also where nothing comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of, through_httpx
from tests.real.world import SOLANA_SELLERS, World
from x402_client import Buyer, Policy, Wallet, errors, outcome
from x402_client.model.signing import Approval
from x402_client.sandbox import Sandbox

POLICY = Policy(per_request="0.05", per_day="1")
WAYS = ["/upfront/evm", "/upfront/solana", "/v1/upfront/evm", "/v1/upfront/solana"]
NAMED = "paid before delivery"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
def test_it_is_paid_once_and_the_outcome_says_so(sandbox: Sandbox, ask: Ask, way: str) -> None:
    response = ask(sandbox.buyer(POLICY), "GET", f"{sandbox.url}{way}/weather")
    assert response.status_code == 200
    found = outcome(response)
    assert found is not None
    assert found.offer.upfront
    assert found.money == "spent"
    assert NAMED in repr(found)
    assert len(sandbox.settlements) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("fault", "status"), [("work-fails", 500), ("work-says-no", 409), ("error-after-settling", 502)]
)
def test_work_that_fails_after_the_money_moved_is_never_paid_twice(
    sandbox: Sandbox, fault: str, status: int, way: str
) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    url = f"{sandbox.url}{way}/fault/{fault}/weather"
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        response = client.get(url)
        found = outcome(response)
        assert (response.status_code, found and found.money) == (status, "spent")
        with pytest.raises(errors.PaymentRejected, match="The chain shows that it was paid") as caught:
            client.get(url)
    assert caught.value.money == "spent"
    assert caught.value.hold is not None
    assert caught.value.hold.offer.upfront
    [done] = sandbox.settlements
    assert done.nonce == caught.value.hold.nonce
    presented = {visit.payment for visit in sandbox.visits if visit.payment}
    assert presented == {done.nonce}
    assert buyer.spent() == done.price


@pytest.mark.parametrize(("fault", "status"), [("work-says-no", 409), ("error-after-settling", 502)])
def test_its_page_comes_back_also_where_the_call_presents_once_more(sandbox: Sandbox, fault: str, status: int) -> None:
    response = through_httpx(sandbox.buyer(POLICY), "GET", f"{sandbox.url}/upfront/solana/fault/{fault}/weather")
    found = outcome(response)
    assert (response.status_code, found and found.money) == (status, "spent")
    assert [visit.status for visit in sandbox.visits] == [402, status, 402]
    assert len(sandbox.settlements) == 1


@pytest.mark.parametrize("way", WAYS[:2])
def test_a_seller_that_recognises_the_payment_delivers_for_it(sandbox: Sandbox, way: str) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    url = f"{sandbox.url}{way}/redeliver/fault/work-fails/weather"
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        assert client.get(url).status_code == 500
        assert client.get(url).status_code == 200
    assert len(sandbox.settlements) == 1
    assert [hold.state for hold in buyer.history()] == ["delivered"]


@pytest.mark.parametrize("fault", ["402-again", "drop-before-settling"])
def test_what_the_chain_does_not_show_may_well_be_spent(sandbox: Sandbox, fault: str) -> None:
    buyer = sandbox.buyer(POLICY, repeat=())
    with (
        x402_client.httpx.wrap(httpx.Client(), buyer) as client,
        pytest.raises(errors.X402Error, match="takes the money before it delivers, so it may well be spent"),
    ):
        client.get(f"{sandbox.url}/upfront/evm/fault/{fault}/weather")
    assert buyer.spent() > sandbox.earned


def test_a_quote_and_an_approver_are_told(sandbox: Sandbox) -> None:
    asked: list[Approval] = []
    buyer = sandbox.buyer(POLICY.but(approve_above="0"), approve=lambda approval: not asked.append(approval))
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        told = x402_client.httpx.quote(client, "GET", f"{sandbox.url}/upfront/weather")
        assert told.choice is not None
        assert told.choice.upfront
        assert str(told.choice).endswith(f", {NAMED}")
        client.get(f"{sandbox.url}/upfront/weather")
        client.get(f"{sandbox.url}/weather")
    assert [one.offer.upfront for one in asked] == [True, False]
    assert [NAMED in repr(one) for one in asked] == [True, False]


def test_the_flow_outlives_the_process_in_the_ledger(sandbox: Sandbox, tmp_path: Any) -> None:
    wallet, ledger = sandbox.wallet(), tmp_path / "ledger.db"
    through_httpx(sandbox.buyer(POLICY, wallet=wallet, ledger=ledger), "GET", f"{sandbox.url}/upfront/weather")
    [hold] = sandbox.buyer(POLICY, wallet=wallet, ledger=ledger).history()
    assert hold.offer.upfront


def real(world: World, name: str) -> tuple[Buyer, str, Any]:
    """Return a buyer, its seller's URL, and what tells the transfers that the seller got since."""
    seller = world.seller(name)
    if name in SOLANA_SELLERS:
        key, since = world.solana_buyer(), world.solana.slot()
        wallet, rpc = Wallet(solana=key), {"solana-devnet": world.solana.url}
        mine = str(key.pubkey())
        got = lambda: [t.amount for t in world.solana.transfers(since) if t.sender == mine]  # noqa: E731
    else:
        account, block = world.buyer(), world.chain.block()
        wallet, rpc = Wallet(evm=account), {"eip155:84532": world.chain.url}
        mine = account.address.lower()
        got = lambda: [t.value for t in world.chain.transfers(block) if t.sender == mine]  # noqa: E731
    return Buyer(wallet, POLICY, rpc=rpc, repeat=()), seller.base_url, got


@pytest.mark.parametrize("name", ["fastapi-v2", "flask-v2", "svm-v2"])
class TestOfficialSellers:
    def test_pays_once(self, world: World, name: str) -> None:
        buyer, url, got = real(world, name)
        response = through_httpx(buyer, "GET", f"{url}/upfront")
        found = outcome(response)
        assert found is not None
        assert (response.status_code, found.money, found.offer.upfront) == (200, "spent", True)
        assert got() == [10_000]
        assert buyer.holds() == ()

    @pytest.mark.parametrize("status", [500, 404])
    def test_its_failing_work_is_paid_once(self, world: World, name: str, status: int) -> None:
        buyer, url, got = real(world, name)
        wish = f"{url}/upfront/fails?status={status}"
        with x402_client.httpx.wrap(httpx.Client(timeout=30), buyer) as client:
            response = client.get(wish)
            found = outcome(response)
            assert (response.status_code, found and found.money) == (status, "spent")
            with pytest.raises(errors.PaymentRejected) as caught:
                client.get(wish)
        assert caught.value.money == "spent"
        assert got() == [10_000]
        [hold] = buyer.holds()
        assert hold.nonce == caught.value.hold.nonce  # type: ignore[union-attr]  # one was presented
