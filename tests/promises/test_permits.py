"""Permits at the official sellers and facilitator, on a chain with Permit2's own bytecode and a token with EIP-2612.

Each asserts on the chain: the price once, the allowance after, the permits that were used, and nothing else moved.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of, through_httpx
from tests.promises.test_ceilings import PRICE, Case, Keeping, every_seller, settles_to
from tests.real.chain import USDC
from tests.real.world import CEILING, STRANGE_TOKEN, World
from x402_client import Buyer, Token, Wallet, errors, outcome
from x402_client.model.budgets import PERMITS
from x402_client.sandbox import Sandbox
from x402_client.signers import ContractSigner

from .broken_connection import BreaksAroundPayments

NETWORK = "eip155:84532"


class Poor(Case):
    """A wallet that has approved nothing to Permit2. What is left of its permits is what the chain says."""

    def __init__(self, world: World, name: str = "fastapi-v2", **buyer: Any) -> None:
        super().__init__(world, name, 0, **buyer)

    def url(self, charge: int | None) -> str:
        return self.seller.url("/sponsored/permit2" if charge is None else f"/sponsored/upto?charge={charge}")

    @property
    def paid(self) -> list[int]:
        """What left the wallet, to the seller alone."""
        mine = self.account.address.lower()
        found = [one for one in self.chain.transfers(self.block) if mine in (one.sender, one.to)]
        assert {one.to for one in found} <= {self.seller.pay_to.lower()}
        return [one.value for one in found]

    @property
    def left(self) -> int:
        return self.chain.allowance(self.account.address)

    @property
    def permits(self) -> int:
        """The number of permits that the token took."""
        return int(self.chain.rpc("eth_call", {"to": USDC, "data": NONCES + word(self.account.address)}, "latest"), 16)

    @property
    def exposed(self) -> list[tuple[str, int | None]]:
        return [(one.kind, one.amount) for one in self.buyer.exposures()]


NONCES = "0x7ecebe00"


def word(address: str) -> str:
    return address[2:].lower().zfill(64)


@every_seller
@pytest.mark.parametrize("ask", SHELLS, ids=name_of)
@pytest.mark.parametrize("charge", [None, 7_000])
def test_every_shell_pays_once_with_a_permit(world: World, name: str, ask: Ask, charge: int | None) -> None:
    case = Poor(world, name)
    found = outcome(ask(case.buyer, "GET", case.url(charge)))
    assert found is not None
    assert found.money == "spent"
    assert case.paid == [PRICE if charge is None else charge]
    assert (case.permits, case.left) == (1, 0 if charge is None else CEILING - charge)
    assert case.buyer.reader.read(found.hold) == "settled"
    settles_to(case, sum(case.paid))
    assert case.exposed == ([] if charge is None else [("allowance", CEILING - charge)])
    assert (case.buyer.holds(), case.buyer.ledger.holds(PERMITS)) == ((), ())


@every_seller
def test_what_is_signed_is_of_the_price_for_permit2_and_dies_with_the_payment(world: World, name: str) -> None:
    case, kept = Poor(world, name), Keeping()
    with x402_client.httpx.wrap(httpx.Client(transport=kept, timeout=30), case.buyer) as client:
        assert client.get(case.url(None)).status_code == 200
    payment = json.loads(base64.b64decode(kept.payments[0]))
    declared = payment["extensions"]["eip2612GasSponsoring"]
    info, signed = declared["info"], payment["payload"]["permit2Authorization"]
    assert info["description"], "the seller's own words are echoed"
    assert declared["schema"]
    assert (info["amount"], info["spender"]) == (str(PRICE), "0x000000000022D473030F116dDEE9F6B43aC78BA3")
    assert (info["from"], info["asset"]) == (case.account.address, USDC)
    assert (info["deadline"], info["nonce"]) == (signed["deadline"], "0")
    assert "erc20ApprovalGasSponsoring" in payment["extensions"]
    assert "signedTransaction" not in payment["extensions"]["erc20ApprovalGasSponsoring"]["info"]


@every_seller
def test_what_is_left_of_a_ceiling_is_used_before_a_new_permit_is_signed(world: World, name: str) -> None:
    case = Poor(world, name)
    assert through_httpx(case.buyer, "GET", case.url(35_000)).status_code == 200
    assert (case.permits, case.left) == (1, 15_000)
    case.buyer.reconcile()
    assert through_httpx(case.buyer, "GET", case.url(None)).status_code == 200
    assert (case.permits, case.left, case.paid) == (1, 5_000, [35_000, PRICE])
    case.buyer.reconcile()
    assert through_httpx(case.buyer, "GET", case.url(None)).status_code == 200
    assert (case.permits, case.left, case.paid) == (2, 0, [35_000, PRICE, PRICE]), "a permit sets, and adds nothing"
    assert case.exposed == []


@every_seller
def test_a_transaction_is_never_signed_and_another_offer_is_taken(world: World, name: str) -> None:
    case = Poor(world, name)
    with pytest.raises(errors.InsufficientFunds, match="never expires, so it is not signed"):
        through_httpx(case.buyer, "GET", case.seller.url("/sponsored/transaction"))
    assert (case.paid, case.counted(), case.left) == ([], 0, 0)
    careful = case.another(case.buyer.policy.but(permits=False))
    found = outcome(through_httpx(careful, "GET", case.seller.url("/sponsored/choice")))
    assert found is not None
    assert (found.offer.position, case.paid, case.permits) == (2, [2 * PRICE], 0)
    with pytest.raises(errors.InsufficientFunds, match=r"Policy\(permits=False\) signs none"):
        through_httpx(careful, "GET", case.url(None))


@every_seller
@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("charge", [None, 7_000])
def test_a_lost_answer_is_presented_again_with_its_permit(
    world: World, tmp_path: Path, name: str, charge: int | None, arrives: bool
) -> None:
    ledger = tmp_path / "ledger.db"
    case = Poor(world, name, ledger=ledger)
    broken = httpx.Client(transport=BreaksAroundPayments(arrives), timeout=30)
    with x402_client.httpx.wrap(broken, case.buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(case.url(charge))
    reserved = PRICE if charge is None else CEILING
    taken = PRICE if charge is None else charge
    if not arrives:
        assert case.exposed == [("permit", reserved)]
    case.buyer.close()
    again = case.another(ledger=ledger)
    assert case.counted(again) == (taken if arrives else reserved), "what the chain shows counts at once"
    with x402_client.httpx.wrap(httpx.Client(timeout=30), again) as client:
        if arrives:  # the official seller takes each payment once
            with pytest.raises(errors.PaymentRejected):
                client.get(case.url(charge))
        else:
            assert client.get(case.url(charge)).status_code == 200
    assert (case.paid, case.permits, case.left) == ([taken], 1, reserved - taken)
    assert case.counted(again) >= taken


@pytest.mark.parametrize("charge", [None, 7_000])
def test_a_lost_answer_keeps_no_other_payment_waiting_once_the_chain_shows_it_as_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, charge: int | None
) -> None:
    monkeypatch.setattr("x402_client.core.other_offers._PATIENCE", ())
    case = Poor(world)
    broken = httpx.Client(transport=BreaksAroundPayments(arrives=True), timeout=30)
    with x402_client.httpx.wrap(broken, case.buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(case.url(charge))
    taken = PRICE if charge is None else charge
    assert (case.paid, len(case.buyer.holds())) == ([taken], 1)
    assert through_httpx(case.buyer, "GET", case.url(6_000)).status_code == 200
    # What a smaller charge left of the first permit is too little for another ceiling: a second permit sets it anew.
    assert (case.paid, case.permits, case.left) == ([taken, 6_000], 2, CEILING - 6_000)
    assert case.exposed == [("allowance", CEILING - 6_000)]
    assert (len(case.buyer.holds()), case.buyer.ledger.holds(PERMITS)) == (1, ())


def test_while_one_permit_is_under_way_another_offer_is_taken_or_the_deadline_named(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.db"
    case = Poor(world, ledger=ledger)
    broken = httpx.Client(transport=BreaksAroundPayments(arrives=False), timeout=30)
    with x402_client.httpx.wrap(broken, case.buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown) as lost:
        client.get(case.url(None))
    other = case.another(ledger=ledger)  # as another process
    found = outcome(through_httpx(other, "GET", case.seller.url("/sponsored/choice")))
    assert found is not None
    assert (found.offer.position, case.permits) == (2, 0)
    monkeypatch.setattr("x402_client.core.other_offers._PATIENCE", (0.05,) * 3)
    until = lost.value.wait_until
    assert until is not None
    with pytest.raises(errors.PaymentNotSent, match=f"It is good until {until:%Y-%m-%d %H:%M:%S} UTC") as waits:
        through_httpx(other, "GET", case.url(7_000))
    assert (waits.value.money, case.paid) == ("untouched", [2 * PRICE])


@every_seller
def test_purchases_at_once_take_one_permit_after_the_other(world: World, name: str) -> None:
    case, failed = Poor(world, name), list[BaseException]()

    def buy() -> None:
        try:
            assert through_httpx(case.buyer, "GET", case.url(None)).status_code == 200
        except BaseException as failure:
            failed.append(failure)

    threads = [threading.Thread(target=buy) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (case.paid, case.permits, case.left) == ([PRICE] * 3, 3, 0)
    assert case.counted() == 3 * PRICE


@every_seller
def test_a_permit_that_somebody_submits_alone_is_an_exposure_and_the_payment_still_works(
    world: World, name: str
) -> None:
    case, kept = Poor(world, name), Keeping()
    kept.inner = BreaksAroundPayments(arrives=False)  # type: ignore[assignment]
    with (
        x402_client.httpx.wrap(httpx.Client(transport=kept, timeout=30), case.buyer) as client,
        pytest.raises(errors.PaymentOutcomeUnknown),
    ):
        client.get(case.url(None))
    payment = json.loads(base64.b64decode(kept.payments[0]))
    info = payment["extensions"]["eip2612GasSponsoring"]["info"]
    submit(case, info)
    assert (case.permits, case.left, case.paid) == (1, PRICE, [])
    assert case.exposed == [("allowance", PRICE)]
    with pytest.raises(errors.PaymentNotSent):  # what is left belongs to the payment that is open
        through_httpx(case.buyer, "GET", case.seller.url("/permit2"))
    assert through_httpx(case.buyer, "GET", case.url(None)).status_code == 200
    assert (case.paid, case.left, case.exposed) == ([PRICE], 0, [])


def test_an_allowance_that_another_program_left_is_shown_without_a_payment(world: World) -> None:
    case, other = Poor(world), str(STRANGE_TOKEN["address"])
    vouched = Token(NETWORK, other, "STR", 18, currency="USD (test)")
    networks = {"networks": ["base-sepolia"]}
    both = case.another(case.buyer.policy.but(tokens=[vouched], **networks))
    assert both.exposures() == (), "nothing is approved, and nothing is told"
    case.chain.approve(case.account.address, 7, other)
    case.chain.approve(case.account.address, 2**256 - 1)
    found = {one.token.address: one for one in both.exposures()}
    assert {place: one.amount for place, one in found.items()} == {other: 7, USDC: 2**256 - 1}
    unlimited = found[USDC]
    assert (unlimited.kind, unlimited.since, unlimited.until) == ("allowance", None, None)
    assert "an unlimited amount of USDC" in unlimited.written
    assert "approved elsewhere" in unlimited.why
    assert asyncio.run(both.aexposures()) == tuple(found.values())
    assert case.exposed == [("allowance", 2**256 - 1)], (
        "of a network with an endpoint, the tokens of the table are read"
    )
    assert case.another(case.buyer.policy.but(assets=["EURC"], networks=["base"])).exposures() == ()


def submit(case: Poor, info: dict[str, str]) -> None:
    """Anybody may: permit(owner, spender, value, deadline, v, r, s)."""
    signature = bytes.fromhex(info["signature"][2:])
    numbers = [int(info["amount"]), int(info["deadline"]), signature[64]]
    data = "d505accf" + word(info["from"]) + word(info["spender"]) + "".join(f"{one:064x}" for one in numbers)
    case.chain.rpc("test_send", info["asset"], "0x" + data + signature[:64].hex())


def test_a_contracts_wallet_signs_no_permit(world: World) -> None:
    case = Poor(world)
    signer = ContractSigner(case.account.address, sign=lambda data: pytest.fail("nothing may be signed"))
    buyer = Buyer(Wallet(evm=signer), case.buyer.policy, ledger=":memory:", rpc={NETWORK: case.chain.url})
    with pytest.raises(errors.InsufficientFunds, match="The wallet is a contract"):
        through_httpx(buyer, "GET", case.url(None))
    assert (case.paid, buyer.holds()) == ([], ())


@pytest.mark.slow
def test_past_its_deadline_a_permit_is_forgotten_and_its_nonce_free(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Poor(own_world)
    broken = httpx.Client(transport=BreaksAroundPayments(arrives=False), timeout=30)
    with x402_client.httpx.wrap(broken, case.buyer) as client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(case.url(None))
    assert case.exposed == [("permit", PRICE)]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 300)
    assert case.exposed == [("permit", PRICE)], "the chain's clock has not passed the deadline"
    own_world.chain.advance(300)
    assert case.exposed == []
    case.buyer.reconcile()
    assert (case.counted(), case.buyer.ledger.holds(PERMITS)) == (0, ())


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["permit-without-payment", "hang-before-settling", "hang-after-settling"])
def test_killed_in_the_middle_it_presents_the_same_permit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    with Sandbox(redeliver=True) as sandbox:
        for name, value in sandbox.environ.items():
            monkeypatch.setenv(name, value)
        buyer = Buyer.from_env()
        sandbox.approve(buyer, "0")
        url = f"{sandbox.url}/sponsored/permit2/fault/{fault}/weather"
        command = [sys.executable, "-m", "x402_client", "get", "--yes", url]
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
        buyer.reconcile()
        assert (buyer.spent(), buyer.holds(), buyer.exposures()) == (done.price, (), ())
        buyer.close()
