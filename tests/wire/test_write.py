"""The header that pays: what is echoed, word for word, and how large it may get."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.errors import SigningError
from x402_client.wire.bounds import DEFAULT, Bounds
from x402_client.wire.json_text import load
from x402_client.wire.write import echo_objections, payment_header, refusal_body

from .terms import NETWORK, decoded, entry, entry_v1, quoted, read

PAYLOAD = {"signature": "0xab", "authorization": {"value": "10000"}}


def test_version_1_says_what_was_signed_in_the_sellers_own_words() -> None:
    quote = quoted(entry_v1(), version=1)
    name, value = payment_header(quote, quote.offers[0], PAYLOAD, DEFAULT)
    assert name == "X-PAYMENT"
    assert decoded(value) == {"x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": PAYLOAD}


def test_version_1_keeps_a_caip2_name() -> None:
    quote = quoted(entry_v1(network=NETWORK), version=1)
    assert decoded(payment_header(quote, quote.offers[0], PAYLOAD, DEFAULT)[1])["network"] == NETWORK


def test_version_2_echoes_the_offer_as_it_was_written() -> None:
    written = entry(
        network="base-sepolia",
        amount=10_000,
        extra=None,
        maxTimeoutSeconds=...,
        bonus={"zéro": [0.1, -0.0, 1e21, None]},
    )
    quote = quoted(entry(amount="1"), written, extensions={"x": [1, "é"]}, resource={"url": "u", "more": {"a": None}})
    name, value = payment_header(quote, quote.offers[1], PAYLOAD, DEFAULT)
    assert name == "PAYMENT-SIGNATURE"
    assert decoded(value) == {
        "x402Version": 2,
        "payload": PAYLOAD,
        "accepted": written,
        "resource": {"url": "u", "more": {"a": None}},
        "extensions": {"x": [1, "é"]},
    }
    assert list(decoded(value)["accepted"]) == list(written)  # some sellers compare texts


def test_what_the_server_did_not_send_is_not_echoed() -> None:
    quote = quoted(entry())
    assert set(decoded(payment_header(quote, quote.offers[0], PAYLOAD, DEFAULT)[1])) == {
        "x402Version", "payload", "accepted",
    }  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(st.dictionaries(st.text("abcxyz", min_size=3, max_size=8), json_values, max_size=4), json_values)
def test_any_offer_and_extension_comes_back_unchanged(more: dict[str, object], extension: object) -> None:
    written = more | entry(extra={"deep": more})
    quote = quoted(written, extensions={"x": extension})
    sent = decoded(payment_header(quote, quote.offers[0], PAYLOAD, Bounds(payment_header=10**6))[1])
    assert json.dumps(sent["accepted"]) == json.dumps(written)
    assert json.dumps(sent["extensions"]) == json.dumps({"x": extension})


@pytest.mark.parametrize(
    ("description", "sent"),
    [
        ("short", "short"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 500),
        ("é" * 501, "é" * 500),
        ("😀" * 400, "😀" * 250),  # a facilitator counts these twice
        ("x" + "😀" * 400, "x" + "😀" * 249),
        (None, None),
        (7, 7),
    ],
)
def test_long_descriptions_are_shortened_in_the_resource_only(description: object, sent: object) -> None:
    resource = {"url": "u", "description": description}
    quote = quoted(entry(description=description), resource=resource)
    header = decoded(payment_header(quote, quote.offers[0], PAYLOAD, DEFAULT)[1])
    assert header["resource"] == {"url": "u", "description": sent}
    assert header["accepted"]["description"] == description


def test_the_size_is_known_before_anything_is_signed() -> None:
    quote = quoted(entry(extra={"blob": "x" * 20_000}), entry())
    assert echo_objections(quote, DEFAULT)(quote.offers[1]) is None
    assert "echoed in a header of about" in (echo_objections(quote, DEFAULT)(quote.offers[0]) or "")
    assert "12288 are sent at most" in (echo_objections(quote, DEFAULT)(quote.offers[0]) or "")


def test_large_extensions_stand_in_the_way_of_every_offer_of_version_2() -> None:
    quote = quoted(entry(), extensions={"bazaar": "x" * 40_000})
    assert echo_objections(quote, DEFAULT)(quote.offers[0])
    assert echo_objections(quote, Bounds(payment_header=80_000))(quote.offers[0]) is None


def test_version_1_echoes_nothing_large() -> None:
    quote = read({"x402Version": 1, "accepts": [entry_v1(outputSchema={"blob": "x" * 40_000})]})
    assert quote is not None
    assert echo_objections(quote, DEFAULT)(quote.offers[0]) is None


@given(st.integers(0, 9_000), st.integers(0, 2_000))
def test_what_was_not_objected_to_fits(blob: int, payload: int) -> None:
    quote = quoted(entry(extra={"blob": "x" * blob}))
    if echo_objections(quote, DEFAULT)(quote.offers[0]) is None:
        _, value = payment_header(quote, quote.offers[0], {"t": "y" * payload}, DEFAULT)
        assert len(value) <= DEFAULT.payment_header


def test_a_payload_beyond_all_measure_is_not_sent() -> None:
    quote = quoted(entry())
    with pytest.raises(SigningError, match=r"12288 are sent at most. Nothing was sent"):
        payment_header(quote, quote.offers[0], {"x": "y" * 20_000}, DEFAULT)


def test_headers_are_ascii_and_compact() -> None:
    quote = quoted(entry(extra={"é": "€"}))
    raw = base64.b64decode(payment_header(quote, quote.offers[0], {"a": 1}, DEFAULT)[1])
    assert raw.isascii()
    assert b'{"a":1}' in raw
    assert load(raw, 32)["accepted"]["extra"] == {"é": "€"}


def test_a_payload_that_is_no_json_is_not_sent_and_not_shown() -> None:
    quote = quoted(entry())
    with pytest.raises(SigningError, match=r"cannot be written as JSON \(TypeError\). Nothing was sent") as caught:
        payment_header(quote, quote.offers[0], {"signature": b"\xab"}, DEFAULT)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        (None, {}),
        (b"", {}),
        (b"{}", {}),
        (b"[1]", {}),
        (b"<h1>Pay</h1>", {}),
        (b'{"error": "pay", "accepts": [1]}', {"accepts": [1]}),
        (b'{"a": 1, "a": 2}', {}),
        (b'{"a":' * 100 + b"1" + b"}" * 100, {}),
    ],
)
def test_the_body_of_a_402_that_is_handed_back_says_why(body: bytes | None, rest: dict[str, Any]) -> None:
    said = json.loads(refusal_body(body, "it is dear", DEFAULT))
    assert said == {"error": {"type": "payment_refused", "message": "it is dear"}, **rest}
