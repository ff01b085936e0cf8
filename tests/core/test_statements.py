"""What a seller signed, in the flow: a bad offer is not paid, a bad receipt is told of and loses nothing."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from tests.core.scripted_flow import PAID, SIGNER, Ground, asking, called, paid, reply
from tests.wire.terms import SELLER, encoded, entry
from tests.wire.test_statements import jws, receipt, settled, signed
from x402_client import Policy, errors, events
from x402_client.core import asks
from x402_client.model.statements import SignedBy, Statement

PAYER = SIGNER.address


class Says:
    """A check that says the same of every signature, and counts how often it was asked."""

    def __init__(self, signed_by: SignedBy = "payee", signer: str = SELLER) -> None:
        self.signed_by, self.signer, self.asked = signed_by, signer, list[str]()

    def checked(self, statement: Statement, pay_to: str) -> Generator[Any, Any, Statement]:
        self.asked.append(pay_to)
        yield from ()
        return statement.judged(self.signed_by, self.signer)


def ground(says: Says, **policy: Any) -> Ground:
    made = Ground(Policy(per_request="0.10", per_day="5", **policy))
    made.rules = replace(made.rules, statements=says)
    return made


def told(made: Ground, kind: type[Any]) -> list[Any]:
    return [event for event in made.told if isinstance(event, kind)]


def offering(*statements: Any) -> asks.Reply:
    return asking(entry(), extensions={"offer-receipt": {"info": {"offers": list(statements)}}})


def answered(statement: Any, **headers: Any) -> asks.Reply:
    said = {**settled(statement), "payer": PAYER, "network": "base-sepolia"}
    return reply(200, payment_response=said, **headers)


def test_an_offer_that_the_payee_signed_is_paid_and_goes_with_the_hold() -> None:
    says = Says()
    made = ground(says)
    found = made.pay(called(), offering(signed(entry()))).outcome
    assert found is not None
    assert found.offer.signed is not None
    assert (found.offer.signed.signed_by, found.offer.signed.vouched, says.asked) == ("payee", True, [SELLER])
    assert not found.offer.signed.judged("stranger", "").vouched


@pytest.mark.parametrize(("signer", "whose"), [("did:key:z6Mk", "did:key:z6Mk"), ("", "any key")])
def test_an_offer_with_a_forged_signature_is_not_paid(signer: str, whose: str) -> None:
    made = ground(Says("forged", signer))
    with pytest.raises(errors.NoAcceptableOffer) as refused:
        made.pay(called(), offering(signed(entry())))
    assert f"the signature of its signed offer does not fit {whose}" in refused.value.reasons[0]
    assert "Reserve" not in made.names


def test_a_contradiction_is_the_reason_whatever_the_signature_is() -> None:
    made = ground(Says("forged"))
    with pytest.raises(errors.NoAcceptableOffer) as refused:
        made.pay(called(), offering(signed(entry()), signed(entry(), amount="1")))
    assert "says amount 1, and entry 1 of accepts 10000" in refused.value.reasons[0]


def test_eight_signatures_of_a_402_are_checked_at_most() -> None:
    says = Says()
    entries = [entry(amount=str(10_000 + number)) for number in range(12)]
    statements = [{**signed(one), "acceptIndex": number} for number, one in enumerate(entries)]
    terms = asking(*entries, extensions={"offer-receipt": {"info": {"offers": statements}}})
    ground(says).pay(called(), terms)
    assert len(says.asked) == 8


def test_a_402_without_signatures_asks_nobody() -> None:
    says = Says()
    made = ground(says)
    made.pay(called(), asking(entry(), extensions={"bazaar": {}}))
    assert (says.asked, told(made, events.Warned)) == ([], [])


@pytest.mark.parametrize(
    ("says", "statement", "doubt"),
    [
        (Says(), receipt(payer=PAYER), ""),
        (Says("stranger"), receipt(payer=PAYER), ""),
        (Says("forged", "did:key:z6Mk"), receipt(payer=PAYER), "its signature does not fit did:key:z6Mk"),
        (Says("forged", ""), receipt(payer=PAYER), "its signature does not fit any key"),
        (Says(), receipt(), "another account paid"),
        (Says(), receipt(payer=PAYER, resourceUrl="https://other.example/"), "it is for https://other.example/"),
    ],
)
def test_a_signed_receipt_is_checked_and_changes_nothing_else(says: Says, statement: Any, doubt: str) -> None:
    statement["payload"]["issuedAt"] = 2**40
    made = ground(says)
    found = made.pay(called(), Send=answered(statement))
    assert found.outcome is not None
    assert (found.status, found.outcome.money, found.outcome.mismatches) == (200, "spent", ())
    assert found.outcome.receipt is not None
    assert found.outcome.receipt.signed is not None
    assert found.outcome.receipt.signed.signed_by == says.signed_by
    warned = [one.problem for one in told(made, events.Warned)]
    assert len(warned) == bool(doubt)
    assert all(doubt in one and "proves nothing" in one for one in warned)


def test_the_receipt_of_an_offer_may_name_the_url_that_the_offer_named() -> None:
    inside = "http://10.0.0.7:4021/weather"
    terms = asking(
        entry(),
        resource={"url": inside},
        extensions={"offer-receipt": {"info": {"offers": [signed(entry(), resourceUrl=inside)]}}},
    )
    said = receipt(payer=PAYER, resourceUrl=inside, issuedAt=2**40)
    made = ground(Says())
    made.pay(called(), terms, Send=answered(said))
    assert told(made, events.Warned) == []


@pytest.mark.parametrize("form", ["eip712", "jws"])
def test_a_receipt_that_repeats_the_payment_is_not_kept(form: str) -> None:
    def send(ask: asks.Send) -> asks.Reply:
        assert ask.header is not None
        stolen = ask.header[1][:2_000]
        payload = {**receipt(payer=PAYER)["payload"], "resourceUrl": stolen[:1_900]}
        said = {"format": "eip712", "payload": payload, "signature": "0xab"} if form == "eip712" else jws(payload)
        return answered(said)

    found = ground(Says()).pay(called(), Send=send).outcome
    assert found is not None
    assert found.receipt is not None
    assert (found.receipt.signed, dict(found.receipt.raw)) == (None, {})


LISTED = {"bazaar": {"status": "processing"}}


@pytest.mark.parametrize("by_header", [True, False])
def test_what_is_said_about_extensions_is_told_and_goes_with_the_outcome(by_header: bool) -> None:
    made = ground(Says())
    answer = paid() if by_header else paid(extensionResponses=LISTED)
    if by_header:
        answer = reply(200, payment_response=PAID, extension_responses=encoded(LISTED))
    found = made.pay(called(), Send=answer).outcome
    assert found is not None
    assert found.extensions == pickle.loads(pickle.dumps(found)).extensions == LISTED
    [event] = told(made, events.ExtensionsAnswered)
    assert str(event).endswith("bazaar: processing")


def test_the_header_is_read_without_a_receipt_too() -> None:
    found = ground(Says()).pay(called(), Send=reply(200, extension_responses=encoded(LISTED))).outcome
    assert found is not None
    assert (found.receipt, found.extensions) == (None, LISTED)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("%%%", "not base64"),
        (base64.b64encode(b"[1]").decode(), "no JSON object"),
        ("e" * 8_193, "8193 characters; 8192 are read"),
        (encoded({"a": [[[[[[[[[1]]]]]]]]]}), "nested deeper than 8 levels"),
        (base64.b64encode(b'{"a": 1, "a": 2}').decode(), "appears twice"),
        ("", "not JSON"),
    ],
)
def test_hostile_words_about_extensions_are_not_read(text: str, why: str) -> None:
    made = ground(Says())
    found = made.pay(called(), Send=reply(200, payment_response=PAID, extension_responses=text)).outcome
    assert found is not None
    assert (found.money, found.extensions) == ("spent", {})
    [warned] = told(made, events.Warned)
    assert why in warned.problem


def test_words_about_extensions_that_repeat_the_payment_are_not_kept() -> None:
    def send(ask: asks.Send) -> asks.Reply:
        assert ask.header is not None
        return reply(200, payment_response=PAID, extension_responses=encoded({"bazaar": ask.header[1][:500]}))

    made = ground(Says())
    found = made.pay(called(), Send=send).outcome
    assert found is not None
    assert found.extensions == {}
    assert [one.problem for one in told(made, events.Warned)] == [
        "The EXTENSION-RESPONSES of this answer repeat the payment, so they were not kept."
    ]


def test_the_line_about_extensions_is_short_and_safe_to_show() -> None:
    said = {f"x\n{number}" + "y" * 90: "z" * 500 for number in range(9)}
    line = str(events.ExtensionsAnswered("GET", "https://a.example/", said))
    assert line.isprintable()
    assert len(line) < 800
