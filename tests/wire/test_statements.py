"""Signed offers and receipts as they are read: what contradicts, what is passed over, and hostile texts."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.terms import SELLER, URL, document, encoded, entry, headers
from x402_client.model.holds import Hold, Purchase
from x402_client.model.hosts import Origin
from x402_client.model.money import Money
from x402_client.model.offers import Quote
from x402_client.model.statements import Statement, facts_of, statement_of
from x402_client.wire.bounds import DEFAULT
from x402_client.wire.read import read_quote, read_receipt
from x402_client.wire.statements import OFFER, RECEIPT, read_signed_receipt, read_statement, receipt_doubts
from x402_client.wire.write import payment_header

SIGNATURE = "0x" + "ab" * 65
OTHER = "0x" + "9" * 40


def signed(terms: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The signed offer of an entry, by hand. A change to ``...`` leaves a field out."""
    said = {name: terms[name] for name in ("scheme", "network", "asset", "payTo", "amount")}
    payload = {"version": 1, "resourceUrl": URL, **said, "validUntil": 1_800_000_000, **changes}
    return {
        "format": "eip712", "acceptIndex": 0, "signature": SIGNATURE,
        "payload": {name: value for name, value in payload.items() if value is not ...},
    }  # fmt: skip


def jws(payload: Any, header: Any = None) -> dict[str, Any]:
    parts = [header or {"alg": "EdDSA", "kid": "did:key:z6Mk"}, payload]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return {"format": "jws", "signature": ".".join((*texts, "c2ln"))}


def read(*entries: dict[str, Any], statements: Any, **more: Any) -> Quote:
    extensions = {"offer-receipt": {"info": {"offers": statements}}}
    terms = document(*entries, **{"extensions": extensions, "resource": {"url": URL}, **more})
    found = read_quote(headers(payment_required=encoded(terms)), b"", URL, DEFAULT)
    assert found is not None
    return found


def test_a_statement_stands_at_the_offer_that_it_signs() -> None:
    entries = [entry(), entry(amount="20000")]
    found = read(*entries, statements=[signed(entries[1], acceptIndex=1), signed(entries[0])])
    assert found.contradiction == ""
    amounts = [one.signed and one.signed.payload["amount"] for one in found.offers]
    assert amounts == ["10000", "20000"]
    assert all(one.signed is not None and one.signed.signed_by == "unchecked" for one in found.offers)


@pytest.mark.parametrize("hint", [7, None, "0", True, -1])
def test_the_hint_is_not_signed_so_a_wrong_one_is_harmless(hint: object) -> None:
    plain = entry()
    found = read(entry(amount="5"), plain, statements=[{**signed(plain), "acceptIndex": hint}])
    assert (found.contradiction, found.offers[0].signed) == ("", None)
    assert found.offers[1].signed is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"payTo": OTHER}, f"says payTo {OTHER}, and entry 1 of accepts {SELLER}"),
        ({"amount": "9999"}, "says amount 9999, and entry 1 of accepts 10000"),
        ({"asset": OTHER}, f"says asset {OTHER}, and entry 1"),
        ({"network": "eip155:1"}, "says network eip155:1, and entry 1 of accepts eip155:84532"),
        ({"scheme": "upto"}, "says scheme upto, and entry 1 of accepts exact"),
        ({"resourceUrl": "https://other.example/a?b=secret"}, "is for https://other.example/a, not for this URL"),
        ({"resourceUrl": "http://["}, "not for this URL"),
    ],
)
def test_a_contradiction_is_named(changes: dict[str, Any], said: str) -> None:
    plain = entry()
    found = read(plain, statements=[signed(plain, **changes)])
    assert said in found.contradiction
    assert "secret" not in found.contradiction


def test_an_offer_that_no_entry_repeats_is_a_contradiction_unless_an_entry_cannot_be_read() -> None:
    stray = {**signed(entry(), amount="7"), "acceptIndex": 9}
    assert "of 7 units" in read(entry(), entry(amount="5"), statements=[stray]).contradiction
    assert read(entry(), {"scheme": 1}, statements=[stray]).contradiction == ""
    del stray["acceptIndex"]
    assert "says amount 7" in read(entry(), statements=[stray]).contradiction


@pytest.mark.parametrize(
    ("named", "resource"),
    [
        (URL, {}),
        (URL + "?page=2", {}),
        ("http://10.0.0.7:4021/x", {"url": "http://10.0.0.7:4021/x"}),
        (URL + "/", None),
    ],
)
def test_a_proxy_changes_scheme_and_port_and_the_resource_may_say_the_same(named: str, resource: object) -> None:
    plain = entry()
    assert read(plain, statements=[signed(plain, resourceUrl=named)], resource=resource).contradiction == ""


def test_an_address_in_other_letters_and_a_network_by_its_name_are_the_same() -> None:
    plain = entry()
    lower = signed(plain, payTo=plain["payTo"].lower(), asset=plain["asset"].lower(), network="base-sepolia")
    found = read(plain, statements=[lower])
    assert (found.contradiction, found.offers[0].signed is None) == ("", False)


UNREADABLE: dict[str, Any] = {
    "no object": 7,
    "another format": {**signed(entry()), "format": "pgp"},
    "no signature": {**signed(entry()), "signature": None},
    "a long signature": {**signed(entry()), "signature": "0x" + "ab" * 2_100},
    "no hexadecimal": {**signed(entry()), "signature": "0xzz"},
    "no payload": {**signed(entry()), "payload": None},
    "a field is missing": signed(entry(), validUntil=...),
    "a number as text": signed(entry(), version="1"),
    "true as a number": signed(entry(), version=True),
    "a number below zero": signed(entry(), validUntil=-1),
    "a large number": signed(entry(), validUntil=2**256),
    "a line break": signed(entry(), resourceUrl=URL + "\n"),
    "a long field": signed(entry(), resourceUrl=URL + "x" * 2_048),
    "long in all": signed(entry(), resourceUrl=URL + "x" * 2_000, scheme="x" * 2_000, payTo="x" * 200),
    "no JWS": {"format": "jws", "signature": "a.b"},
    "a JWS that is not base64": {"format": "jws", "signature": "a.b.c"},
    "a JWS without JSON": {"format": "jws", "signature": "e30.YQ.YQ"},
    "a JWS of lists": jws([]),
    "a deep JWS": jws({"payTo": [[[[[[]]]]]]}),
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_says_nothing(raw: Any) -> None:
    found = read(entry(), statements=[raw])
    assert (found.contradiction, found.offers[0].signed) == ("", None)
    with pytest.raises(ValueError, match="it"):
        read_statement(raw, OFFER)


@pytest.mark.parametrize("statements", [None, {}, "x", [[]] * 5_000])
def test_other_shapes_of_the_extension_are_passed_over(statements: Any) -> None:
    assert read(entry(), statements=statements).offers[0].signed is None
    for extension in (None, 7, [], {"info": []}):
        terms = document(entry(), extensions={"offer-receipt": extension})
        found = read_quote(headers(payment_required=encoded(terms)), b"", URL, DEFAULT)
        assert found is not None
        assert found.offers[0].signed is None


def test_only_what_the_signature_covers_is_kept() -> None:
    plain = entry()
    [one] = read(plain, statements=[signed(plain, discount="100 %")]).offers
    assert one.signed is not None
    assert list(one.signed.payload) == list(OFFER)
    assert SIGNATURE not in repr(one.signed)


def test_a_jws_may_leave_out_its_last_field() -> None:
    said = {**signed(entry())["payload"]}
    del said["validUntil"]
    found = read_statement(jws(said), OFFER)
    assert "validUntil" not in found.payload
    assert statement_of(json.loads(json.dumps(facts_of(found)))) == found
    assert hash(found) == hash(statement_of(facts_of(found)))


@pytest.mark.parametrize("others", [{}, {"payment-identifier": {"info": {"required": False}}}])
def test_many_signed_offers_are_not_echoed_and_a_few_are(others: dict[str, Any]) -> None:
    for count, is_echoed in ((1, True), (60, False)):
        entries = [entry(amount=str(5 + number)) for number in range(count)]
        info = {"offers": [{**signed(one), "acceptIndex": n} for n, one in enumerate(entries)], "kept": 1}
        declared = {"offer-receipt": {"info": info, "schema": {}}, **others}
        found = read(*entries, statements=[], extensions=declared)
        payment_id = "pay_" + "0" * 32 if others else None
        _, value = payment_header(found, found.offers[0], {"signature": "0x"}, DEFAULT, payment_id)
        echoed = json.loads(base64.b64decode(value))["extensions"]
        assert ("offers" in echoed["offer-receipt"]["info"]) is is_echoed
        assert echoed["offer-receipt"]["info"]["kept"] == 1
        assert len(echoed) == 1 + len(others)


# --- receipts

PAYER, BOUGHT = "0x" + "1a" * 20, Origin("https", "api.example.com", 443)
SAID = {
    "version": 1, "network": "eip155:84532", "resourceUrl": URL, "payer": PAYER, "issuedAt": 1_000,
    "transaction": "0xfeed",
}  # fmt: skip


def receipt(**changes: Any) -> dict[str, Any]:
    return {"format": "eip712", "payload": {**SAID, **changes}, "signature": SIGNATURE}


def settled(statement: Any) -> dict[str, Any]:
    said = {"success": True, "transaction": "0xfeed", "network": "eip155:84532", "payer": PAYER}
    return {**said, "extensions": {"offer-receipt": {"info": {"receipt": statement}}}}


def test_a_signed_receipt_is_read_with_the_one_around_it() -> None:
    found = read_receipt(headers(payment_response=encoded(settled(receipt()))), DEFAULT)
    assert found is not None
    assert found.signed is not None
    assert found.signed.payload == SAID


@pytest.mark.parametrize("raw", [None, 7, {}, {"format": "jws", "signature": "x"}, receipt(issuedAt="now")])
def test_a_signed_receipt_that_cannot_be_read_leaves_the_other_one(raw: Any) -> None:
    found = read_receipt(headers(payment_response=encoded(settled(raw))), DEFAULT)
    assert found is not None
    assert (found.transaction, found.signed) == ("0xfeed", None)


def doubts(offered: Statement | None = None, created: float = 900.0, **changes: Any) -> str:
    [made] = read(entry(), statements=[]).offers
    purchase = Purchase("", "", False, "GET", URL, BOUGHT)
    hold = Hold("", purchase, made.but(signed=offered), Money("0.01"), created, payer=PAYER)
    found = read_statement(receipt(**changes), RECEIPT).judged("payee", "0xme")
    return "; ".join(receipt_doubts(found, hold, "0xfeed", [URL], [PAYER]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"payer": PAYER.upper().replace("0X", "0x")}, ""),
        ({"transaction": ""}, ""),
        ({"network": "base-sepolia"}, ""),
        ({"network": "eip155:1"}, "it names network eip155:1; the payment is on eip155:84532"),
        ({"payer": OTHER}, f"it names payer {OTHER}; another account paid"),
        ({"resourceUrl": "https://other.example/"}, f"it is for https://other.example/; {URL} was paid"),
        ({"transaction": "0xbeef"}, "it names transaction 0xbeef; the receipt around it 0xfeed"),
        ({"issuedAt": 100, "created": 900.0}, "it was issued before this payment was made"),
    ],
)
def test_a_receipt_is_compared_with_what_was_paid(changes: dict[str, Any], said: str) -> None:
    assert doubts(**changes) == said


def test_a_receipt_by_another_key_than_the_offer_is_doubted() -> None:
    offered = read_statement(signed(entry()), OFFER)
    assert doubts(offered) == doubts(offered.judged("payee", "0xme")) == ""
    assert doubts(offered.judged("stranger", "0xyou")) == "another key signed the offer"


NAMES = ["format", "signature", "payload", "info", "receipt", "offers", "x", *OFFER]
TEXTS = st.text(max_size=30) | st.sampled_from([SIGNATURE, "eip712", "jws"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(ANY)
def test_nothing_hostile_breaks_the_reading(raw: Any) -> None:
    found = read(entry(), statements=[raw, signed(entry())])
    assert (found.contradiction == "") is (found.offers[0].signed is not None)
    terms = document(entry(), extensions={"offer-receipt": raw})
    assert read_quote(headers(payment_required=encoded(terms)), b"", URL, DEFAULT) is not None
    assert read_signed_receipt(settled(raw)) is None


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading_of_a_jws(text: str) -> None:
    for compact in (text, f"{text}.{text}.{text}", jws({})["signature"] + text):
        assert read_signed_receipt(settled({"format": "jws", "signature": compact})) is None
