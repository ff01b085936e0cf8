"""Receipts are the seller's own words: compared with what was signed before they are believed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests

from tests.wire.terms import SELLER, encoded, headers
from x402_client import errors, outcome, receipt
from x402_client.core.receipt_check import judge
from x402_client.model.networks import SOLANA
from x402_client.wire.bounds import DEFAULT, Bounds
from x402_client.wire.read import read_receipt

from .scripted_flow import PAID, SIGNER, Ground, called, paid, reply


@pytest.fixture(scope="module")
def hold() -> Any:
    ground = Ground()
    answer = ground.pay(called())
    assert answer.outcome is not None
    return answer.outcome.hold


@pytest.mark.parametrize(
    ("status", "said", "money", "mismatch"),
    [
        (200, {}, "spent", None),
        (200, {"network": "eip155:84532"}, "spent", None),
        (200, {"network": None, "payer": None}, "spent", None),
        (200, {"payer": SIGNER.address.lower()}, "spent", None),
        (200, {"amount": "10000"}, "spent", None),
        (200, {"amount": 10000}, "spent", None),
        (500, {}, "spent", None),
        (200, {"success": False}, "unknown", None),
        (400, {"success": False, "transaction": ""}, "held", None),
        (200, {"transaction": ""}, "unknown", "it names no transaction"),
        (200, {"transaction": None}, "unknown", "it names no transaction"),
        (200, {"network": "base"}, "unknown", "it names network base; the payment was signed for eip155:84532"),
        (200, {"network": "nowhere"}, "unknown", "it names network nowhere"),
        (200, {"payer": SELLER}, "unknown", f"it names payer {SELLER}; {SIGNER.address} signed"),
        (200, {"amount": "9999"}, "unknown", "it names an amount of 9999; 10000 was signed"),
        (404, {"amount": "9999"}, "held", "it names an amount"),
    ],
)
def test_what_a_receipt_is_worth(
    hold: Any, status: int, said: dict[str, Any], money: str, mismatch: str | None
) -> None:
    found = judge(paid(status, **said), hold, hold.shown, DEFAULT)
    assert found.money == money
    assert (mismatch is None) is (found.mismatches == ())
    assert mismatch is None or mismatch in found.mismatches[0]
    assert found.receipt is not None
    assert found.receipt.success is said.get("success", True)


@pytest.mark.parametrize(("status", "money"), [(200, "unknown"), (302, "unknown"), (400, "held"), (499, "held")])
def test_without_a_receipt_nothing_is_proven(hold: Any, status: int, money: str) -> None:
    found = judge(reply(status), hold, hold.shown, DEFAULT)
    assert (found.money, found.receipt, found.mismatches) == (money, None, ())


@pytest.mark.parametrize(("status", "money"), [(400, "unknown"), (402, "held"), (404, "unknown"), (500, "unknown")])
def test_a_no_of_a_seller_that_was_paid_upfront_leaves_open_what_became_of_the_money(
    hold: Any, status: int, money: str
) -> None:
    upfront = hold.but(offer=hold.offer.but(extra={"paymentFlow": "upfront"}))
    assert judge(reply(status), upfront, upfront.shown, DEFAULT).money == money


def test_a_receipt_made_of_our_payment_is_not_kept(hold: Any) -> None:
    value = "c2ln" * 40
    signed = hold.but(authorization=replace(hold.authorization, header=("PAYMENT-SIGNATURE", value)))
    found = judge(paid(200, success=False, error=f"bad {value[:80]}"), signed, signed.shown, DEFAULT).receipt
    assert found is not None
    assert (found.error, found.raw) == ("(the payment itself)", {})
    assert found.network == PAID["network"]
    found = judge(paid(200, success=False, error="bad"), signed, signed.shown, DEFAULT).receipt
    assert found is not None
    assert found.error == "bad"
    assert found.raw


def test_solana_addresses_differ_in_their_letters(hold: Any) -> None:
    account = "7EYnhQoR9YM3N7UoaKRoA44Uy8JeaZV3qyouov87awMs"
    authorization = hold.authorization
    signed = hold.but(
        offer=hold.offer.__class__(1, 2, "exact", SOLANA, 10_000, "mint", "to"),
        authorization=authorization.__class__("n", account, 1, ("", "")),
    )
    for payer, money in ((account, "spent"), (account.lower(), "unknown")):
        assert judge(paid(network="solana", payer=payer), signed, signed.shown, DEFAULT).money == money


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        ({"payment_response": PAID}, "0xfeed"),
        ({"x_payment_response": PAID}, "0xfeed"),
        ({"payment_response": PAID, "x_payment_response": PAID | {"transaction": "old"}}, "0xfeed"),
        ({"payment_response": "garbage", "x_payment_response": PAID}, "0xfeed"),
        ({"payment_response": {"ok": 1}, "x_payment_response": PAID}, "0xfeed"),
        ({"payment_response": "A" * 20_000, "x_payment_response": PAID}, "0xfeed"),
        ({"payment_response": PAID, "x_payment_response": "garbage"}, "0xfeed"),
        ({"x_payment_response": {"success": True, "txHash": "0xbeef", "networkId": "84532"}}, "0xbeef"),
        ({"payment_response": PAID | {"extensions": {"x": 1}, "more": None}}, "0xfeed"),
    ],
)
def test_receipts_as_they_are_met(wire: dict[str, Any], found: str) -> None:
    read = read_receipt(headers(**{name: encoded(value) for name, value in wire.items()}), DEFAULT)
    assert read is not None
    assert read.transaction == found
    assert read.raw in wire.values()


@pytest.mark.parametrize(
    "text",
    [
        "", "%%%", encoded([]), encoded({}), encoded({"success": "true"}), encoded({"success": 1}), encoded(None),
        encoded(PAID | {"amount": 1.5}), encoded(PAID | {"transaction": 5}),
        encoded(b'{"success":true,"success":true}'),
        "A" * 20_000,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_no_receipt(text: str) -> None:
    assert read_receipt(headers(payment_response=text), DEFAULT) is None


def test_a_receipt_says_why_and_stays_on_its_line() -> None:
    said = encoded({"success": False, "errorReason": "insufficient\nfunds" + "!" * 500, "payer": ""})
    found = read_receipt(headers(payment_response=said), DEFAULT)
    assert found is not None
    assert found.error.startswith("insufficient funds!")
    assert len(found.error) == DEFAULT.words
    assert found.payer is None
    assert read_receipt(headers(payment_response=said), Bounds(receipt=len(said) - 1)) is None


def test_the_receipt_of_a_response_of_any_library() -> None:
    found = Ground().pay(called()).outcome
    assert found is not None
    for response in (
        SimpleNamespace(extensions={"x402": found}),
        SimpleNamespace(x402=found),
        SimpleNamespace(extensions={}, history=[SimpleNamespace(extensions={"x402": found})]),
        SimpleNamespace(history=[SimpleNamespace(), SimpleNamespace(x402=found), SimpleNamespace()]),
    ):
        assert outcome(response) is found
        assert receipt(response) is found.receipt
    for response in (SimpleNamespace(), SimpleNamespace(extensions={"x402": "x"}), SimpleNamespace(x402=None), None):
        assert outcome(response) is None
        assert receipt(response) is None


def test_the_outcome_of_an_exception() -> None:
    found = Ground().pay(called()).outcome
    native = requests.Response()
    native.status_code, native.x402 = 500, found  # type: ignore[attr-defined]  # as the adapter hands it over
    for answer in (httpx.Response(500, request=httpx.Request("GET", "https://a"), extensions={"x402": found}), native):
        with pytest.raises((httpx.HTTPStatusError, requests.HTTPError)) as caught:
            answer.raise_for_status()
        ours = errors.PaymentRejected("no", response=answer)
        wrapper = RuntimeError("an SDK")
        wrapper.__cause__ = caught.value
        for failure in (caught.value, ours, wrapper, ExceptionGroup("tasks", [ValueError(), ours])):
            assert outcome(failure) is found
            assert receipt(failure) is (found and found.receipt)
    broken = httpx.ReadError("in the middle of a body")
    broken.outcome = found  # type: ignore[attr-defined]
    assert outcome(broken) is found


def test_an_exception_without_an_outcome() -> None:
    class Hostile(Exception):
        @property
        def response(self) -> Any:
            raise RuntimeError("not now")

    odd = ValueError()
    odd.outcome = odd.response = odd  # type: ignore[attr-defined]
    for failure in (Hostile(), odd, errors.Frozen("stopped"), httpx.ConnectError("down"), KeyboardInterrupt()):
        assert outcome(failure) is None
        assert receipt(failure) is None
