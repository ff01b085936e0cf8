"""Approval above a threshold: only True means yes, silence means no, and old terms are looked at again."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

import x402_client.httpx
from x402_client import Buyer, Policy, errors
from x402_client.model.signing import Approval
from x402_client.sandbox import Sandbox

POLICY = Policy(per_request="1", approve_above="0.02")
Ask = Callable[[Buyer, str], Any]


def sync_get(buyer: Buyer, url: str) -> Any:
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        return client.get(url)


def async_get(buyer: Buyer, url: str) -> Any:
    async def get() -> Any:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return await client.get(url)

    return anyio.run(get)


@pytest.fixture(params=[sync_get, async_get])
def ask(request: pytest.FixtureRequest) -> Ask:
    chosen: Ask = request.param
    return chosen


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        yield seller


def test_nobody_is_asked_below_the_threshold(seller: Sandbox, ask: Ask) -> None:
    asked: list[Approval] = []
    buyer = seller.buyer(POLICY, approve=lambda approval: asked.append(approval) or False)  # type: ignore[func-returns-value]
    assert ask(buyer, seller.url + "/weather").status_code == 200
    assert asked == []


def test_an_approver_that_ends_its_thread_has_failed(seller: Sandbox) -> None:
    """None waits for it in vain, and the refusal does not say that it was slow."""
    buyer = seller.buyer(POLICY, approve=lambda approval: sys.exit("no"), approve_timeout=None)
    with pytest.raises(errors.ApprovalDenied, match="The approver failed with SystemExit: no"):
        sync_get(buyer, seller.url + "/report")
    assert buyer.holds() == ()


def test_above_the_threshold_the_approver_sees_what_is_asked(seller: Sandbox, ask: Ask) -> None:
    asked: list[Approval] = []

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return True

    buyer = seller.buyer(POLICY, approve=approve)
    assert ask(buyer, seller.url + "/report?secret=1").status_code == 200
    [approval] = asked
    assert str(approval.price) == "0.05 USD"
    assert approval.offer.pay_to == seller.pay_to[approval.offer.network]
    assert (approval.method, approval.url, approval.host) == ("GET", seller.url + "/report", "127.0.0.1")


def test_without_a_threshold_every_payment_is_approved(seller: Sandbox, ask: Ask) -> None:
    buyer = seller.buyer(Policy(per_request="1"), approve=lambda approval: False)
    with pytest.raises(errors.ApprovalDenied):
        ask(buyer, seller.url + "/weather")


def fails(approval: Approval) -> bool:
    raise RuntimeError("the phone is off")


@pytest.mark.parametrize(
    ("approve", "words"),
    [
        (lambda approval: False, "said no"),
        (lambda approval: None, "only True means yes"),
        (lambda approval: "yes", "only True means yes"),
        (lambda approval: 1, "only True means yes"),
        (fails, "RuntimeError: the phone is off"),
    ],
)
def test_anything_but_true_means_no(seller: Sandbox, ask: Ask, approve: Any, words: str) -> None:
    buyer = seller.buyer(POLICY, approve=approve)
    with pytest.raises(errors.ApprovalDenied, match=words) as denied:
        ask(buyer, seller.url + "/report")
    assert denied.value.money == "untouched"
    assert (denied.value.hold.state, denied.value.hold.money) == ("released", "untouched")
    assert isinstance(denied.value.__cause__, RuntimeError) is (approve is fails)
    assert denied.value.response.status_code == 402
    assert seller.settlements == []
    assert buyer.spent().units == 0
    assert buyer.holds() == ()


def test_silence_means_no(seller: Sandbox, ask: Ask) -> None:
    gone_home = threading.Event()
    buyer = seller.buyer(POLICY, approve=lambda approval: gone_home.wait(), approve_timeout=0.1)
    try:
        with pytest.raises(errors.ApprovalDenied, match="did not answer within"):
            ask(buyer, seller.url + "/report")
    finally:
        gone_home.set()
    assert seller.settlements == []
    assert buyer.spent().units == 0


def test_a_coroutine_approves(seller: Sandbox) -> None:
    async def approve(approval: Approval) -> bool:
        await anyio.lowlevel.checkpoint()
        return True

    buyer = seller.buyer(POLICY, approve=approve)
    assert async_get(buyer, seller.url + "/report").status_code == 200


class Waiting:
    """An approver that never answers, in each form that can be awaited. ``ended`` once it is cancelled."""

    def __init__(self) -> None:
        self.ended = False

    async def __call__(self, approval: Approval) -> bool:
        try:
            await anyio.sleep_forever()
        finally:
            self.ended = True
        return True

    async def method(self, approval: Approval) -> bool:
        return await self(approval)

    def awaitable(self, approval: Approval) -> Any:
        return self(approval)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("form", ["__call__", "method", "awaitable"])
def test_a_coroutine_that_never_answers_means_no(seller: Sandbox, form: str, backend: str) -> None:
    waiting = Waiting()
    approve = waiting if form == "__call__" else getattr(waiting, form)
    buyer = seller.buyer(POLICY, approve=approve, approve_timeout=0.1)

    async def get() -> None:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            with anyio.fail_after(30):  # or a time-out that is lost would stop the tests for ever
                await client.get(seller.url + "/report")

    with pytest.raises(errors.ApprovalDenied, match=r"did not answer within 0\.1 seconds"):
        anyio.run(get, backend=backend)
    assert waiting.ended
    assert seller.settlements == []
    assert (buyer.spent().units, buyer.holds()) == (0, ())


def test_a_sync_client_cannot_await_an_approver(seller: Sandbox) -> None:
    async def approve(approval: Approval) -> bool:
        return True

    buyer = seller.buyer(POLICY, approve=approve)
    with pytest.raises(errors.ConfigurationError, match="approver"):
        sync_get(buyer, seller.url + "/report")


def slowly(change: Callable[[], None]) -> Callable[[Approval], bool]:
    def approve(approval: Approval) -> bool:
        change()
        time.sleep(0.02)
        return True

    return approve


def test_validity_starts_after_a_slow_approval(seller: Sandbox, ask: Ask) -> None:
    answered: list[float] = []
    buyer = seller.buyer(POLICY, approve=slowly(lambda: answered.append(time.time())), terms_age=0)
    ask(buyer, seller.url + "/report")
    [hold] = buyer.history()
    assert hold.authorization is not None
    assert hold.authorization.expires >= int(answered[0]) + 60


def test_terms_that_rose_meanwhile_are_not_paid(seller: Sandbox, ask: Ask) -> None:
    def rise() -> None:
        seller.sell("/report", "0.10")

    buyer = seller.buyer(POLICY, approve=slowly(rise), terms_age=0)
    with pytest.raises(errors.NoAcceptableOffer, match="the seller changed its terms meanwhile") as refused:
        ask(buyer, seller.url + "/report")
    assert "approval was asked for exact on sandbox, 0.05 USD, and the seller" in str(refused.value)
    assert "quote" not in str(refused.value)
    assert seller.settlements == []
    assert buyer.spent().units == 0


def test_terms_that_fell_meanwhile_are_paid_as_they_are(seller: Sandbox, ask: Ask) -> None:
    def fall() -> None:
        seller.sell("/report", "0.01")

    buyer = seller.buyer(POLICY, approve=slowly(fall), terms_age=0)
    assert ask(buyer, seller.url + "/report").status_code == 200
    assert [done.amount for done in seller.settlements] == [10_000]


def test_what_became_free_meanwhile_is_not_paid(seller: Sandbox, ask: Ask) -> None:
    buyer = seller.buyer(POLICY, approve=slowly(lambda: seller.free("/report")), terms_age=0)
    response = ask(buyer, seller.url + "/report")
    assert response.json()["free"] is True
    assert seller.settlements == []
    assert buyer.spent().units == 0
    assert buyer.holds() == ()


def test_a_threshold_needs_somebody_to_ask(seller: Sandbox) -> None:
    with pytest.raises(errors.ConfigurationError, match="there is no approver"):
        seller.buyer(POLICY)


@pytest.mark.parametrize(
    ("policy", "asks"),
    [
        (Policy(per_request="1", approve_above="0.009"), True),
        (Policy(per_request="1", approve_above="0.01"), False),
        (Policy(per_request="1", approve_above="0.01", same_request="1/day"), False),
        (Policy(per_request="1"), True),
        (Policy(per_request="0.005"), False),
    ],
)
def test_a_quote_says_if_the_approver_is_asked(seller: Sandbox, policy: Policy, asks: bool) -> None:
    asked: list[Approval] = []

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return True

    with x402_client.httpx.wrap(httpx.Client(), seller.buyer(policy, approve=approve)) as client:
        url = f"{seller.url}/weather"
        quote = x402_client.httpx.quote(client, "GET", url)
        assert (quote.asks_approval, "the approver is asked first" in repr(quote), asked) == (asks, asks, [])
        if quote.refusal is None:
            client.get(url)
        assert bool(asked) is asks
        repeats = bool(policy.same_request)
        assert x402_client.httpx.quote(client, "GET", url).asks_approval is (asks or repeats)


def test_without_an_approver_none_is_asked(seller: Sandbox) -> None:
    with x402_client.httpx.wrap(httpx.Client(), seller.buyer(Policy(per_request="1"))) as client:
        assert not x402_client.httpx.quote(client, "GET", f"{seller.url}/weather").asks_approval


def test_a_price_may_be_written_as_everywhere() -> None:
    assert POLICY.needs_approval("0.03")
    assert not POLICY.needs_approval("0.02")
    assert POLICY.needs_approval("0.02 EUR")
