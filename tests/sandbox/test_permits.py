"""Permits in the sandbox: every shell pays with one, what is left of it is shown, and hostile asks get nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chains.scripted_rpc import Scripted, result
from tests.sandbox.test_ceilings import POLICY, Get, by_httpx, every_shell
from x402_client import Buyer, Money, errors
from x402_client.chains.permit2_settlement import PERMIT2
from x402_client.model.budgets import PERMITS
from x402_client.model.holds import moment
from x402_client.sandbox import Sandbox

CENT = Money("0.01")


def poor(sandbox: Sandbox, **settings: Any) -> Buyer:
    """A buyer that has approved nothing to Permit2."""
    buyer = sandbox.buyer(settings.pop("policy", POLICY), **settings)
    sandbox.approve(buyer, "0")
    return buyer


@every_shell
def test_a_permit_of_the_price_pays_and_leaves_nothing(sandbox: Sandbox, get: Get) -> None:
    buyer = poor(sandbox)
    for bought, spent in ((1, CENT), (2, CENT + CENT)):
        found = get(buyer, f"{sandbox.url}/sponsored/permit2/weather")
        assert found.money == "spent"
        assert (len(sandbox.settlements), buyer.spent()) == (bought, spent)
        assert buyer.exposures() == ()
    assert buyer.ledger.holds(PERMITS) == ()


def test_what_a_charge_leaves_of_a_permit_is_shown_used_and_gone(sandbox: Sandbox) -> None:
    buyer = poor(sandbox)
    url = sandbox.sell("/tokens", "0.05", upto=True, charge="0.04", sponsored=True)
    by_httpx(buyer, url)
    [left] = buyer.exposures()
    assert (left.kind, left.amount, left.price, left.until) == ("allowance", 10_000, CENT, None)
    assert (left.spender, left.payer) == (PERMIT2, buyer.wallet.evm.address.lower())  # type: ignore[union-attr]
    assert "left of permits" in left.why
    assert f"approve({PERMIT2}, 0)" in left.todo
    assert "0.01 USDC" in repr(left)
    assert asyncio.run(buyer.aexposures()) == (left,)
    by_httpx(buyer, f"{sandbox.url}/permit2/weather")  # not sponsored: what is left is used
    assert buyer.exposures() == ()


def test_a_permit_that_was_used_without_a_payment_is_an_exposure(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = poor(sandbox, repeat=())
    url = f"{sandbox.url}/sponsored/permit2/fault/permit-without-payment/weather"
    assert by_httpx(buyer, url).money == "unknown"
    [left] = buyer.exposures()
    assert (left.kind, left.price, sandbox.settlements) == ("allowance", CENT, [])
    assert by_httpx(buyer, url).money == "spent"  # the same payment, from what is left
    assert (buyer.exposures(), buyer.spent(), len(sandbox.settlements)) == ((), CENT, 1)


def test_a_permit_that_was_not_used_is_shown_until_it_is_over(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = poor(sandbox, repeat=())
    with pytest.raises(errors.PaymentOutcomeUnknown) as lost:
        by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/fault/drop-before-settling/weather")
    [signed] = buyer.exposures()
    assert (signed.kind, signed.price, signed.until) == ("permit", CENT, lost.value.wait_until)
    assert "was not used yet" in signed.why
    # Another purchase would sign the same nonce: it waits, and then says until when.
    monkeypatch.setattr("x402_client.core.other_offers._PATIENCE", (0.01,) * 3)
    with pytest.raises(errors.PaymentNotSent, match=f"{signed.until:%H:%M:%S} UTC") as waits:
        by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/report")
    assert waits.value.money == "untouched"
    assert buyer.spent() == CENT
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 900)  # the sandbox's chains follow
    assert buyer.exposures() == ()
    buyer.reconcile()
    assert by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/report").money == "spent"


def test_a_permit_that_is_used_while_it_is_looked_at_is_not_missed(sandbox: Sandbox, tmp_path: Path) -> None:
    buyer = poor(sandbox, repeat=(), ledger=tmp_path / "ledger.db")
    with pytest.raises(errors.PaymentOutcomeUnknown) as lost:
        by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/fault/drop-before-settling/weather")
    assert lost.value.hold is not None
    network, amount = lost.value.hold.offer.network, lost.value.hold.offer.amount
    reads = itertools.count()

    def used_after_the_first_look(asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        is_nonce = asked["params"][0]["data"].startswith("0x7ecebe00")
        value = (1 if is_nonce else amount) if next(reads) else 0
        return result(f"0x{value:064x}")(asked)

    now = result({"number": "0x1", "timestamp": hex(int(time.time()))})
    chain = result(hex(int(network.partition(":")[2])))
    with Scripted(eth_chainId=chain, eth_call=used_after_the_first_look, eth_getBlockByNumber=now) as endpoint:
        other = Buyer(buyer.wallet, POLICY, ledger=tmp_path / "ledger.db", rpc={network: endpoint.url})
        assert {one.kind for one in other.exposures()} == {"permit", "allowance"}
        assert [(one.kind, one.amount) for one in other.exposures()] == [("allowance", amount)]


@pytest.mark.parametrize("way", ["permit2", "upto"])
@pytest.mark.parametrize("fault", ["drop-after-settling", "error-after-settling", "402-after-settling"])
@every_shell
def test_a_payment_that_the_chain_shows_as_taken_keeps_no_other_one_waiting(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, get: Get, fault: str, way: str
) -> None:
    monkeypatch.setattr("x402_client.core.other_offers._PATIENCE", ())
    buyer = poor(sandbox, repeat=())
    with contextlib.suppress(errors.X402Error):
        get(buyer, f"{sandbox.url}/sponsored/{way}/fault/{fault}/weather")
    [lost] = buyer.holds()
    assert (lost.state, len(sandbox.settlements)) == ("signed", 1)
    assert get(buyer, f"{sandbox.url}/sponsored/{way}/report").money in ("spent", "held")
    assert (len(sandbox.settlements), [hold.id for hold in buyer.holds()]) == (2, [lost.id])
    assert [one for one in buyer.exposures() if one.kind == "permit"] == []


def test_a_payment_that_can_still_be_taken_keeps_others_waiting_beside_one_that_was_taken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("x402_client.core.other_offers._PATIENCE", ())
    buyer = poor(sandbox, repeat=())
    for fault in ("drop-after-settling", "permit-without-payment"):
        with contextlib.suppress(errors.X402Error):
            by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/fault/{fault}/weather")
    open_yet = max(buyer.holds(), key=lambda hold: hold.created)
    assert open_yet.authorization is not None
    until = moment(open_yet.authorization.expires)
    with pytest.raises(errors.PaymentNotSent, match=f"Another payment of this wallet by Permit2.*{until:%H:%M:%S} UTC"):
        by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/report")
    assert len(sandbox.settlements) == 1


def test_purchases_at_once_sign_one_permit_after_the_other(sandbox: Sandbox) -> None:
    buyer, failed = poor(sandbox), list[BaseException]()

    def buy() -> None:
        try:
            by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/weather")
        except BaseException as failure:
            failed.append(failure)

    threads = [threading.Thread(target=buy) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(sandbox.settlements) == 5
    assert (buyer.spent(), buyer.exposures()) == (Money("0.05"), ())


def test_policy_permits_false_signs_none(sandbox: Sandbox) -> None:
    buyer = poor(sandbox, policy=POLICY.but(permits=False))
    with pytest.raises(errors.InsufficientFunds, match=r"Policy\(permits=False\) signs none"):
        by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/weather")
    assert (buyer.spent(), buyer.ledger.holds(PERMITS)) == (Money("0"), ())


@pytest.mark.parametrize(("fault", "field"), [("unlimited-approval", "amount"), ("permit-to-another", "spender")])
@pytest.mark.parametrize("way", ["permit2", "upto"])
def test_a_hostile_ask_gets_nothing(sandbox: Sandbox, way: str, fault: str, field: str) -> None:
    for buyer in (poor(sandbox), sandbox.buyer(POLICY)):
        with pytest.raises(errors.NoAcceptableOffer, match=f"asks for a permit with {field}"):
            by_httpx(buyer, f"{sandbox.url}/sponsored/{way}/fault/{fault}/weather")
    assert sandbox.settlements == []


def test_another_domain_is_not_signed(sandbox: Sandbox) -> None:
    buyer = poor(sandbox)
    with pytest.raises(errors.InsufficientFunds, match="the seller names the token's domain"):
        by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/fault/forged-domain/weather")
    assert sandbox.settlements == []


def test_an_allowance_that_is_there_is_used_and_no_permit_signed(sandbox: Sandbox) -> None:
    buyer = sandbox.buyer(POLICY)
    by_httpx(buyer, f"{sandbox.url}/sponsored/permit2/weather")
    [left] = buyer.exposures()
    assert (left.price, buyer.ledger.history(5, PERMITS)) == (Money("0.99"), ())
    assert "there for payments by Permit2" in left.why
