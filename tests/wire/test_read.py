"""Every way in which sellers are known to write their terms, and what each is read as."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from x402_client.errors import MalformedQuote, UnsupportedVersion
from x402_client.model.networks import SOLANA
from x402_client.wire import Bounds

from .terms import NETWORK, SELLER, URL, USDC, document, encoded, entry, entry_v1, quoted, read

V2, V1 = document(), document(version=1)
LONG = document(error="?>?>~~")  # base64 of these letters uses both + and /


def url_safe(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


PLACES: dict[str, tuple[dict[str, Any], int]] = {
    "v2 in its header, an empty object in the body": ({"payment_required": V2, "body": {}}, 2),
    "v2 in its header, a page in the body": ({"payment_required": V2, "raw": b"<html>402</html>"}, 2),
    "v2 in the body only": ({"body": V2}, 2),
    "v1 in the body": ({"body": V1}, 1),
    "v1 in x-payment-required": ({"x_payment_required": V1}, 1),
    "v2 in x-payment-required": ({"x_payment_required": V2}, 2),
    "v1 in payment-required": ({"payment_required": V1}, 1),
    "v2 in the header, v1 in the body": ({"payment_required": V2, "body": V1}, 2),
    "v2 in one header, v1 in the other": ({"payment_required": V2, "x_payment_required": V1}, 2),
    "a broken header, a sound body": ({"payment_required": "%%%", "body": V1}, 1),
    "an empty header, a sound body": ({"payment_required": "", "body": V1}, 1),
    "a header of an unknown version, a sound body": ({"payment_required": document(version=3), "body": V1}, 1),
    "a header that is too long, a sound body": ({"payment_required": "A" * 70_000, "body": V1}, 1),
    "two broken headers, a sound body": ({"payment_required": "!", "x_payment_required": "!", "body": V2}, 2),
    "url-safe base64": ({"payment_required": url_safe(LONG)}, 2),
    "base64 without padding": ({"payment_required": encoded(V2).rstrip("=")}, 2),
    "base64 with spaces around": ({"payment_required": f" {encoded(V2)}\t"}, 2),
    "plain JSON in the header": ({"payment_required": json.dumps(V2)}, 2),
    "a byte order mark": ({"raw": b"\xef\xbb\xbf" + json.dumps(V1).encode()}, 1),
    "white space around the body": ({"raw": b"\r\n\t " + json.dumps(V1).encode() + b"\n"}, 1),
}


@pytest.mark.parametrize(("given", "version"), PLACES.values(), ids=PLACES)
def test_terms_are_found_where_sellers_put_them(given: dict[str, Any], version: int) -> None:
    quote = read(**given)
    assert quote is not None
    assert (quote.version, quote.url, quote.status, quote.free) == (version, URL, 402, False)
    [offer] = quote.offers
    assert (offer.scheme, offer.network, offer.amount, offer.asset, offer.pay_to, offer.timeout) == (
        "exact", NETWORK, 10_000, USDC, SELLER, 60,
    )  # fmt: skip
    assert offer.position == 1
    assert quote.reasons == ()


ENTRIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no extra": ({"extra": ...}, {"extra": {}}),
    "extra: null": ({"extra": None}, {"extra": {}}),
    "no time-out": ({"maxTimeoutSeconds": ...}, {"timeout": None}),
    "time-out: null": ({"maxTimeoutSeconds": None}, {"timeout": None}),
    "time-out: 0": ({"maxTimeoutSeconds": 0}, {"timeout": 0}),
    "a time-out of ten years": ({"maxTimeoutSeconds": 315_360_000}, {"timeout": 315_360_000}),
    "an amount as a JSON integer": ({"amount": 10_000}, {"amount": 10_000}),
    "an amount of zero": ({"amount": "0"}, {"amount": 0}),
    "the largest amount": ({"amount": str(2**256 - 1)}, {"amount": 2**256 - 1}),
    "the largest amount as an integer": ({"amount": 2**256 - 1}, {"amount": 2**256 - 1}),
    "a symbol for the asset": ({"asset": "USDC"}, {"asset": "USDC"}),
    "the other version's amount": ({"amount": ..., "maxAmountRequired": "7"}, {"amount": 7}),
    "both amounts, the same": ({"amount": "7", "maxAmountRequired": 7}, {"amount": 7}),
    "both amounts, one null": ({"amount": None, "maxAmountRequired": "7"}, {"amount": 7}),
    "a plain name in version 2": ({"network": "base-sepolia"}, {"network": NETWORK, "written_network": "base-sepolia"}),
    "an alias": ({"network": "base-mainnet"}, {"network": "eip155:8453"}),
    "an alias in other letters": ({"network": "Base-Sepolia"}, {"network": NETWORK}),
    "a chain id": ({"network": "8453"}, {"network": "eip155:8453"}),
    "Solana by name": ({"network": "solana"}, {"network": SOLANA}),
    "one vendor's Solana": ({"network": "solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ"}, {"network": SOLANA}),
    "an unknown CAIP-2 network": ({"network": "cosmos:hub-4"}, {"network": "cosmos:hub-4"}),
    "an unknown name": ({"network": "moon"}, {"network": "moon", "written_network": "moon"}),
    "fields of the future": ({"bonus": [1, {"a": None}]}, {"amount": 10_000}),
    "null for what version 1 also has": ({"description": None, "mimeType": None, "resource": None}, {"amount": 10_000}),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("changes", "expected"), ENTRIES.values(), ids=ENTRIES)
def test_entries_are_read_as_they_are_meant(version: int, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    [offer] = quoted(entry(**changes), version=version).offers
    assert {name: getattr(offer, name) for name in expected} == expected
    assert offer.raw == entry(**changes)
    assert offer.version == version


def test_version_1_under_a_caip2_name_is_echoed_as_it_was_written() -> None:
    [offer] = quoted(entry_v1(network=NETWORK), version=1).offers
    assert (offer.network, offer.written_network) == (NETWORK, NETWORK)


BAD_ENTRIES: dict[str, tuple[Any, str]] = {
    "no scheme": (entry(scheme=...), "scheme"),
    "an empty scheme": (entry(scheme=""), "scheme"),
    "a scheme that is no text": (entry(scheme=["exact"]), "scheme"),
    "no network": (entry(network=...), "network"),
    "a network that is a number": (entry(network=8453), "network"),
    "a network of 5,000 letters": (entry(network="x" * 5000), "network"),
    "no asset": (entry(asset=None), "asset"),
    "no payTo": (entry(payTo=...), "payTo"),
    "a payTo that is an object": (entry(payTo={"a": 1}), "payTo"),
    "no amount": (entry(amount=...), "it names no amount"),
    "amount: null": (entry(amount=None), "it names no amount"),
    "two amounts": (entry(maxAmountRequired="1"), "two different amounts"),
    "a negative amount": (entry(amount="-1"), "amount"),
    "a negative integer": (entry(amount=-1), "out of range"),
    "an amount with a point": (entry(amount="1.0"), "amount"),
    "an amount with an exponent": (entry(amount="1e3"), "amount"),
    "an amount in hex": (entry(amount="0x10"), "amount"),
    "an amount with a sign": (entry(amount="+1"), "amount"),
    "an amount with a space": (entry(amount=" 1"), "amount"),
    "an amount with underscores": (entry(amount="1_000"), "amount"),
    "an empty amount": (entry(amount=""), "amount"),
    "a leading zero": (entry(amount="010000"), "amount"),
    "Arabic digits": (entry(amount="١٠٠٠٠"), "amount"),
    "a superscript": (entry(amount="1²"), "amount"),
    "a float": (entry(amount=10000.0), "not a whole number"),
    "a bool": (entry(amount=True), "not a whole number"),
    "a list": (entry(amount=["1"]), "not a whole number"),
    "one more than the largest": (entry(amount=str(2**256)), "out of range"),
    "79 digits": (entry(amount="9" * 79), "amount"),
    "100,000 digits": (entry(amount="9" * 100_000), "amount"),
    "an integer of 4,000 digits": (entry(amount=10**3999), "out of range"),
    "a negative time-out": (entry(maxTimeoutSeconds=-1), "maxTimeoutSeconds"),
    "a time-out in words": (entry(maxTimeoutSeconds="soon"), "maxTimeoutSeconds"),
    "a time-out that is true": (entry(maxTimeoutSeconds=True), "maxTimeoutSeconds"),
    "a time-out beyond numbers": (entry(maxTimeoutSeconds=1e300), "maxTimeoutSeconds"),
    "extra as a list": (entry(extra=[1]), "extra"),
    "extra as text": (entry(extra="USDC"), "extra"),
    "a string": ("exact", "offer 1"),
    "null": (None, "offer 1"),
    "a number": (7, "offer 1"),
    "a list as entry": ([entry()], "offer 1"),
    "an empty object": ({}, "scheme"),
}


@pytest.mark.parametrize(("bad", "said"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_one_entry_that_cannot_be_read_does_not_spoil_the_others(bad: Any, said: str) -> None:
    quote = quoted(bad, entry())
    [offer] = quote.offers
    assert offer.position == 2
    [fault] = quote.faults
    assert fault.startswith("offer 1 cannot be read: ")
    assert said in fault
    assert len(fault) < 250
    assert quote.reasons == (fault,)


@pytest.mark.parametrize(("bad", "said"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_a_402_with_no_entry_that_can_be_read_is_malformed(bad: Any, said: str) -> None:
    with pytest.raises(MalformedQuote) as caught:
        quoted(bad)
    assert said in str(caught.value)
    assert "Nothing was paid" in str(caught.value)
    assert caught.value.money == "untouched"


NOT_OURS: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "an empty body": {"raw": b""},
    "L402 and its macaroon": {"www_authenticate": 'L402 macaroon="AGIA", invoice="lnbc1"', "raw": b"payment required"},
    "the Machine Payments Protocol": {"www_authenticate": 'Payment id="x", method="tempo"', "body": {"type": "about"}},
    "a quota": {"body": {"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}},
    "an API's own JSON": {"body": {"accepts": [entry()], "version": 1}},
    "a list": {"body": [document()]},
    "text that mentions it": {"raw": b'please send "x402Version" 1'},
    "a page": {"raw": b"<!doctype html><title>402</title>"},
    "x402 further down": {"body": {"hint": {"x402Version": 1, "accepts": [entry()]}}},
}


@pytest.mark.parametrize("given", NOT_OURS.values(), ids=NOT_OURS)
def test_other_402s_are_none_of_our_business(given: dict[str, Any]) -> None:
    assert read(**given) is None


DOCUMENTS: dict[str, tuple[Any, type[Exception], str]] = {
    "no version": ({"accepts": [entry()]}, MalformedQuote, "version"),
    "version null": (document(version=None), MalformedQuote, "version"),
    "version true": (document(version=True), MalformedQuote, "version"),
    "version as text": (document(version="2"), MalformedQuote, "version"),
    "version 2.0": (document(version=2.0), MalformedQuote, "version"),
    "version 0": (document(version=0), UnsupportedVersion, "version 0"),
    "version 3": (document(version=3), UnsupportedVersion, "version 3"),
    "version of 4,000 digits": (document(version=10**3999), UnsupportedVersion, "version 1000"),
    "no offers": ({"x402Version": 2}, MalformedQuote, "no offers"),
    "no offer": ({"x402Version": 2, "accepts": []}, MalformedQuote, "no offers"),
    "offers null": ({"x402Version": 2, "accepts": None}, MalformedQuote, "no offers"),
    "offers as an object": ({"x402Version": 2, "accepts": {"0": entry()}}, MalformedQuote, "no offers"),
    "10,000 offers": (document(*[{}] * 10_000), MalformedQuote, "10000 offers"),
}


@pytest.mark.parametrize(("terms", "kind", "said"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_terms_without_sense_are_the_sellers_fault(terms: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        read(payment_required=terms, bounds=Bounds(terms_header=200_000))
    assert "Nothing was paid" in str(caught.value)
    assert len(str(caught.value)) < 300


TEXTS: dict[str, tuple[bytes, str]] = {
    "cut short": (b'{"x402Version":1,"accepts":[', "It is not JSON"),
    "two documents": (b'{"x402Version":1}{"x402Version":1}', "It is not JSON"),
    "a key twice": (b'{"x402Version":1,"x402Version":2}', "appears twice"),
    "a key twice, deep inside": (b'{"x402Version":1,"accepts":[{"extra":{"a":1,"a":2}}]}', "appears twice"),
    "NaN": (b'{"x402Version":1,"accepts":[NaN]}', "It is not JSON"),
    "Infinity": (b'{"x402Version":1,"accepts":[-Infinity]}', "It is not JSON"),
    "a number beyond numbers": (b'{"x402Version":1,"accepts":[1e400]}', "out of the range"),
    "a lone surrogate": (b'{"x402Version":1,"error":"\\ud800"}', "It is not JSON"),
    "half of a pair": (b'{"x402Version":1,"error":"\\udc00\\ud800"}', "It is not JSON"),
    "5,000 levels": (b'{"x402Version":1,"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "deeper than"),
    "5,000 levels, never closed": (b'{"x402Version":1,"a":' + b'{"a":' * 5000, "deeper than|not JSON"),
    "40 levels": (b'{"x402Version":1,"a":' + b"[" * 40 + b"]" * 40 + b"}", "deeper than 32"),
    "bytes that are not UTF-8": (b'{"x402Version":1,"error":"\xff"}', "It is not JSON"),
    "an integer of 10,000 digits": (b'{"x402Version":1,"accepts":[' + b"9" * 10_000 + b"]}", "It is not JSON"),
    "a comment": (b'{"x402Version":1 /* hi */}', "It is not JSON"),
    "a control character": (b'{"x402Version":1,"error":"\x00"}', "It is not JSON"),
}


@pytest.mark.parametrize(("text", "said"), TEXTS.values(), ids=TEXTS)
def test_what_is_not_json_with_one_meaning_is_refused_everywhere(text: bytes, said: str) -> None:
    with pytest.raises(MalformedQuote, match=rf"The body .*({said}).*Nothing was paid"):
        read(raw=text)
    for name in ("payment-required", "x-payment-required"):
        with pytest.raises(MalformedQuote, match=rf"The {name} header .*({said}).*Nothing was paid"):
            read(**{name: encoded(text)})


def test_a_header_with_half_a_letter_is_refused() -> None:
    with pytest.raises(MalformedQuote, match="not JSON"):
        read(payment_required='{"x402Version":2,"error":"\ud800","accepts":[]}')


def test_as_many_levels_as_allowed_are_read() -> None:
    inner: Any = []
    for _ in range(27):
        inner = [inner]
    assert quoted(entry(extra={"deep": inner})).offers  # the document, accepts, the entry, extra, and 28 lists
    with pytest.raises(MalformedQuote, match="deeper than 32"):
        quoted(entry(extra={"deep": [inner]}))


def test_brackets_in_text_are_not_levels() -> None:
    assert quoted(entry(), error="[{" * 100).offers


BROKEN = encoded(document())
STRANGERS: dict[str, str] = {
    "a word": "true",
    "a number": "7",
    "base64 of a word": encoded("true"),
    "base64 of a list": encoded([document()]),
    "an object without our words": encoded({"price": 7, "error": "accepts"}),
    "another scheme's parameters": 'Payment realm="x", id="y"',
    "strange letters": "ab$d",
    "a letter too few": "a",
    "nothing": "",
    "a very long word": "A" * 70_000,
    "a token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
}
MEANT: dict[str, tuple[str, str]] = {
    "cut short": (BROKEN[:-40], "not JSON"),
    "a strange letter in it": (BROKEN[:120] + "$" + BROKEN[120:], "not base64"),
    "plain JSON, cut short": (json.dumps(document())[:-5], "not JSON"),
    "only a version": (encoded({"x402Version": 2}), "no offers"),
    "only offers": (encoded({"accepts": [entry()]}), "which version"),
    "too long": (encoded(document(more="x" * 70_000)), "characters; 65536 are read"),
    "padding in the middle": (BROKEN[:80] + "=" + BROKEN[80:], "not base64"),
}


@pytest.mark.parametrize("body", [b"{}", None], ids=["small", "too large"])
@pytest.mark.parametrize("text", STRANGERS.values(), ids=STRANGERS)
def test_a_strangers_header_is_not_ours(text: str, body: bytes | None) -> None:
    assert read(raw=body, payment_required=text) is None
    assert read(raw=body, x_payment_required=text, payment_required=text) is None


@pytest.mark.parametrize(("text", "said"), MEANT.values(), ids=MEANT)
def test_a_header_that_was_meant_to_be_ours_is_a_fault(text: str, said: str) -> None:
    with pytest.raises(MalformedQuote, match=said):
        read(raw=b"{}", payment_required=text)
    with pytest.raises(MalformedQuote):
        read(payment_required=text, raw=None)


def test_terms_in_a_header_before_a_body_without_end_are_a_fault() -> None:
    with pytest.raises(MalformedQuote, match="a body of more than 7 bytes"):
        read(payment_required=V2, raw=None, bounds=Bounds(terms_body=7))


def test_the_first_fault_is_the_one_that_is_raised() -> None:
    with pytest.raises(UnsupportedVersion):
        read(payment_required=document(version=9), body={"x402Version": 1})


def test_a_header_that_is_too_long_is_not_decoded() -> None:
    text = json.dumps(V2)
    with pytest.raises(MalformedQuote, match=f"has {len(text)} characters; 99 are read"):
        read(raw=b"", payment_required=text, bounds=Bounds(terms_header=99))


def test_what_stands_beside_the_offers() -> None:
    quote = quoted(
        entry(),
        resource={"url": "https://elsewhere.example/", "description": "line one\nline two", "mimeType": "x"},
        extensions={"bazaar": {"info": {}}},
    )
    assert quote.description == "line one line two"
    assert quote.error == "payment required"
    assert quote.resource is not None
    assert quote.resource["url"] == "https://elsewhere.example/"
    assert quote.extensions == {"bazaar": {"info": {}}}


@pytest.mark.parametrize("odd", [None, 7, "text", [1]])
def test_what_is_odd_beside_the_offers_is_left_out(odd: Any) -> None:
    quote = quoted(entry(), resource=odd, extensions=odd)
    assert (quote.resource, quote.extensions, quote.description) == (None, {}, "")
    assert quoted(entry(), error=odd).error == (odd if isinstance(odd, str) else "")


def test_version_1_describes_the_resource_in_its_entries() -> None:
    assert quoted(entry_v1(), version=1).description == "the weather"
    assert quoted(7, entry_v1(), version=1).description == "the weather"


def test_a_sellers_words_are_shown_on_one_line_and_bounded() -> None:
    nasty = "a\r\nX-Evil: 1\x1b[31m\u202egnp.exe" + "z" * 1000
    quote = quoted(entry(scheme="ex\nact", network="mo\non", asset="\x1b[0m"), error=nasty)
    assert len(quote.error) == 200
    assert quote.error.endswith("…")
    for shown in (quote.error, str(quote.offers[0])):
        assert shown.isprintable()
    assert str(quote.offers[0]) == "'ex act' on 'mo on', 10000 units of ' [0m'"
