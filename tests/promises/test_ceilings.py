"""Permit2 and ceilings at the official sellers and facilitator, on a chain with Permit2's own bytecode.

Each asserts on the chain: the price, or the charge, once; the allowance after; and nothing else moved.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of, through_httpx
from tests.real.environments import needed
from tests.real.world import CEILING, World
from x402_client import Buyer, Money, Policy, Wallet, errors, outcome
from x402_client.sandbox import Sandbox

from .broken_connection import BreaksAroundPayments

NETWORK, TEST = "eip155:84532", "USD (test)"
POLICY = Policy(per_request="0.10", per_day="1", upto="0.05")
PRICE, APPROVED = 10_000, 200_000
SELLERS = [
    "fastapi-v2",
    pytest.param("flask-v2", marks=pytest.mark.slow),
    pytest.param("express-v2", marks=pytest.mark.foreign),
]
every_seller = pytest.mark.parametrize("name", SELLERS)


class Case:
    """A wallet with an allowance to Permit2, its buyer, and what moved on the chain since."""

    def __init__(self, world: World, name: str, approved: int = APPROVED, **buyer: Any) -> None:
        self.chain, self.seller, self.account = world.chain, needed(world.seller, name), world.buyer()
        self.chain.approve(self.account.address, approved)
        self.approved, self.block = approved, self.chain.block()
        self.buyer = self.another(**buyer)

    def another(self, policy: Policy = POLICY, **buyer: Any) -> Buyer:
        """As a program that starts makes it."""
        urls = [self.chain.url, self.chain.url.replace("127.0.0.1", "localhost")]  # two witnesses
        made = {"ledger": ":memory:", "rpc": {NETWORK: urls}, "repeat": (), **buyer}
        return Buyer(Wallet(evm=self.account), policy, **made)

    def url(self, charge: int | None) -> str:
        return self.seller.url("/permit2" if charge is None else f"/upto?charge={charge}")

    @property
    def moved(self) -> list[int]:
        """What left the wallet, to the seller alone; the allowance went down by as much."""
        mine = self.account.address.lower()
        found = [one for one in self.chain.transfers(self.block) if mine in (one.sender, one.to)]
        assert {one.to for one in found} <= {self.seller.pay_to.lower()}
        taken = [one.value for one in found]
        assert self.chain.allowance(self.account.address) == self.approved - sum(taken)
        return taken

    def counted(self, buyer: Buyer | None = None) -> int:
        return (buyer or self.buyer).spent(currency=TEST).units


def settles_to(case: Case, units: int) -> None:
    """The background look, or this one, brings the chain's word into the ledger."""
    case.buyer.reconcile()
    assert case.counted() == units


@every_seller
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
@pytest.mark.parametrize("charge", [None, 7_000])
def test_every_shell_pays_once(world: World, name: str, ask: Ask, charge: int | None) -> None:
    case = Case(world, name)
    response = ask(case.buyer, "GET", case.url(charge))
    found = outcome(response)
    assert found is not None
    assert (response.status_code, found.money) == (200, "spent")
    assert case.moved == [PRICE if charge is None else charge]
    assert case.chain.permit_used(case.account.address, found.hold.nonce or "")
    assert case.buyer.reader.read(found.hold) == "settled"
    settles_to(case, sum(case.moved))
    assert case.buyer.holds() == ()


@every_seller
@pytest.mark.parametrize("charge", [1, CEILING])
def test_any_part_of_a_ceiling_is_counted_as_the_chain_shows_it(world: World, name: str, charge: int) -> None:
    case = Case(world, name)
    found = outcome(through_httpx(case.buyer, "GET", case.url(charge)))
    assert found is not None
    assert (found.ceiling, found.claimed) == (Money("0.05 USD (test)"), Money.of_units(charge, TEST))
    settles_to(case, charge)
    assert case.moved == [charge]
    assert case.buyer.history(1)[0].price.units == charge


@every_seller
@pytest.mark.parametrize("charge", [None, 7_000])
def test_without_an_allowance_nothing_is_signed(world: World, name: str, charge: int | None) -> None:
    case = Case(world, name, approved=PRICE - 1)
    with pytest.raises(errors.InsufficientFunds, match="No approval is ever signed here"):
        through_httpx(case.buyer, "GET", case.url(charge))
    assert (case.moved, case.counted()) == ([], 0)


class Keeping(httpx.BaseTransport):
    """Keeps the payments that go by."""

    def __init__(self) -> None:
        self.inner, self.payments = httpx.HTTPTransport(), list[str]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.payments += [value for name, value in request.headers.items() if name == "payment-signature"]
        return self.inner.handle_request(request)

    def close(self) -> None:
        self.inner.close()


@every_seller
def test_zero_reported_and_the_whole_ceiling_taken_later(world: World, name: str) -> None:
    """The same payload is settled for its whole ceiling right after "charged 0": it was counted all the time."""
    case, kept = Case(world, name), Keeping()
    with x402_client.httpx.wrap(httpx.Client(transport=kept, timeout=30), case.buyer) as client:
        found = outcome(client.get(case.url(0)))
    assert found is not None
    assert (found.money, found.claimed, case.moved) == ("held", Money("0 USD (test)"), [])
    settles_to(case, CEILING)
    payment = json.loads(base64.b64decode(kept.payments[0]))
    terms = payment["accepted"] | {"amount": str(CEILING)}
    settled = httpx.post(
        f"{world.facilitator_of(name)}/settle",
        json={"x402Version": 2, "paymentPayload": payment, "paymentRequirements": terms},
        timeout=30,
    )
    assert settled.json()["success"], settled.text
    assert case.moved == [CEILING]
    settles_to(case, CEILING)
    assert case.buyer.history(1)[0].money == "spent"


@every_seller
@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("charge", [None, 7_000])
def test_a_lost_answer_is_presented_again_after_a_restart(
    world: World, tmp_path: Any, name: str, charge: int | None, arrives: bool
) -> None:
    ledger = tmp_path / "ledger.db"
    case = Case(world, name, ledger=ledger)
    broken = httpx.Client(transport=BreaksAroundPayments(arrives), timeout=30)
    with (
        x402_client.httpx.wrap(broken, case.buyer) as client,
        pytest.raises(errors.PaymentOutcomeUnknown) as lost,
    ):
        client.get(case.url(charge))
    case.buyer.close()
    again = case.another(ledger=ledger)
    reserved = PRICE if charge is None else CEILING
    assert case.counted(again) == (sum(case.moved) or reserved), "what the chain shows counts at once"
    with x402_client.httpx.wrap(httpx.Client(timeout=30), again) as client:
        if arrives:  # the official seller takes each payment once
            assert lost.value.money == "spent"
            with pytest.raises(errors.PaymentRejected) as refused:
                client.get(case.url(charge))
            assert refused.value.hold is not None
            assert refused.value.hold.nonce == lost.value.hold.nonce  # type: ignore[union-attr]
        else:
            assert client.get(case.url(charge)).status_code == 200
    assert case.moved == [PRICE if charge is None else charge]
    assert case.counted(again) >= sum(case.moved)


@every_seller
def test_of_a_ceiling_whose_answer_was_lost_counts_at_once_what_was_taken(world: World, name: str) -> None:
    case = Case(world, name)
    broken = httpx.Client(transport=BreaksAroundPayments(arrives=True), timeout=30)
    with x402_client.httpx.wrap(broken, case.buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown) as lost:
        client.get(case.url(7_000))
    assert lost.value.hold is not None
    assert (lost.value.money, lost.value.hold.charge) == ("spent", Money.of_units(7_000, TEST))
    assert (case.counted(), case.moved, len(case.buyer.holds())) == (7_000, [7_000], 1)


@every_seller
def test_small_charges_fit_under_a_days_large_ceilings(world: World, name: str) -> None:
    case = Case(world, name, approved=10**6, policy=POLICY.but(per_request="0.06", per_day="0.06"))
    with x402_client.httpx.wrap(httpx.Client(timeout=30), case.buyer) as client:
        for _ in range(10):
            assert client.get(case.url(1_000)).status_code == 200
    assert case.moved == [1_000] * 10
    settles_to(case, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("charge", [None, 0])
def test_past_the_deadline_by_the_chains_clock_what_is_unused_is_given_back(
    own_world: World, monkeypatch: pytest.MonkeyPatch, charge: int | None
) -> None:
    case = Case(own_world, "fastapi-v2")
    if charge is None:
        broken = httpx.Client(transport=BreaksAroundPayments(arrives=False), timeout=30)
        with x402_client.httpx.wrap(broken, case.buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown):
            client.get(case.url(None))
    else:
        assert through_httpx(case.buyer, "GET", case.url(charge)).status_code == 200
    before, real = case.counted(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 300)
    case.buyer.reconcile()
    assert case.counted() == before, "the chain's clock has not passed the deadline"
    own_world.chain.advance(300)
    case.buyer.reconcile()
    assert (case.counted(), case.moved) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["/permit2", "/upto"])
@pytest.mark.parametrize("fault", ["hang-before-settling", "hang-after-settling"])
def test_killed_in_the_middle_it_presents_the_same_payment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, fault: str
) -> None:
    with Sandbox(redeliver=True) as sandbox:
        policy = tmp_path / "policy.toml"
        policy.write_text('upto = "0.05"\n' + Path(sandbox.environ["X402_POLICY"]).read_text("utf-8"), "utf-8")
        for name, value in {**sandbox.environ, "X402_POLICY": str(policy)}.items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-m", "x402_client", "get", "--yes", f"{sandbox.url}{way}/fault/{fault}/report"]
        child = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not any(visit.payment for visit in sandbox.visits) and time.monotonic() < until:
            time.sleep(0.05)
        child.kill()
        child.wait()
        again = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=100, check=False)
        assert again.returncode == 0, again.stderr
        assert len({visit.payment for visit in sandbox.visits if visit.payment}) == 1
        [done] = sandbox.settlements
        buyer = Buyer.from_env()
        buyer.reconcile()
        assert (buyer.spent(), buyer.holds()) == (done.price, ())
        buyer.close()
