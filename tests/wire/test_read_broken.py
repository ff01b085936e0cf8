"""All that a server sends is a quote, not ours, or a QuoteError; a receipt or none. Nothing else, and soon."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from x402_client.errors import QuoteError
from x402_client.model.offers import Quote, Receipt
from x402_client.wire.bounds import DEFAULT, Bounds
from x402_client.wire.read import read_quote, read_receipt
from x402_client.wire.write import echo_objections, payment_header

from .terms import URL, document, encoded, entry, entry_v1, headers

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
numbers = st.integers(-(2**300), 2**300) | st.floats() | st.text("0123456789-+.eE ٣²", max_size=90)
odd = anything | numbers


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A sound document, with some of its parts replaced, added or taken away."""
    version = draw(st.sampled_from([1, 2]))
    entries: list[Any] = [entry() if version == 2 else entry_v1() for _ in range(draw(st.integers(1, 3)))]
    made = document(*entries, version=version, resource={"url": URL, "description": "d"}, extensions={"x": {"y": 1}})
    for _ in range(draw(st.integers(0, 4))):
        target = draw(st.sampled_from([made, *[e for e in entries if isinstance(e, dict)]]))
        name = draw(st.sampled_from([*target, "new"]) if target else st.just("new"))
        if draw(st.booleans()):
            target[name] = draw(odd)
        else:
            target.pop(name, None)
    return made


def looked_at(header: Any, body: bytes | None) -> None:
    """Reads it and, where there is a quote, uses every part of it that we use."""
    fault = None
    try:
        quote = read_quote(header, body, URL, DEFAULT)
    except QuoteError as found:
        quote, fault = None, found
    assert fault is None or (fault.money == "untouched" and str(fault).isprintable())
    assert quote is None or isinstance(quote, Quote)
    for offer in quote.offers if quote else ():
        assert quote is not None
        assert str(offer).isprintable()
        assert all(reason.isprintable() for reason in quote.reasons)
        assert 0 <= offer.amount < 2**256
        assert type(offer.amount) is int
        if echo_objections(quote, DEFAULT)(offer) is None:
            name, value = payment_header(quote, offer, {"signature": "0x"}, DEFAULT)
            assert value.isascii()
            sent = json.loads(base64.b64decode(value))
            assert sent["x402Version"] == quote.version
            assert name == ("X-PAYMENT" if quote.version == 1 else "PAYMENT-SIGNATURE")
            if quote.version == 2:
                assert sent["accepted"] == offer.raw


@given(st.binary(max_size=300))
@example(b'{"x402Version":1}')
@example(b'{"x402Version":1,"accepts":[[[[')
def test_any_bytes(data: bytes) -> None:
    looked_at(headers(), data)
    looked_at(headers(payment_required=base64.b64encode(data).decode()), data)
    looked_at(headers(x_payment_required=data.decode("latin-1")), None)


@given(st.text(max_size=300))
def test_any_text_in_the_headers(text: str) -> None:
    looked_at(
        headers(payment_required=text, x_payment_required=text, payment_response=text),
        text.encode("utf-8", "surrogatepass"),
    )
    assert isinstance(read_receipt(headers(payment_response=text), DEFAULT), Receipt | None)


@given(anything)
def test_any_json(value: Any) -> None:
    text = json.dumps(value)
    looked_at(headers(), b'{"x402Version":2,"accepts":' + text.encode() + b"}")
    looked_at(headers(payment_required=text), text.encode())


@given(mutated())
def test_sound_terms_with_something_wrong(terms: dict[str, Any]) -> None:
    data = json.dumps(terms).encode()
    looked_at(headers(), data)
    looked_at(headers(payment_required=encoded(data)), None)


@given(st.dictionaries(st.sampled_from(["success", "transaction", "txHash", "network", "payer", "amount", "x"]), odd))
def test_any_receipt(value: dict[str, Any]) -> None:
    found = read_receipt(headers(payment_response=encoded(value)), DEFAULT)
    if found is None:
        return
    assert found.success is value["success"]
    for word in (found.transaction, found.network, found.payer or "", found.error):
        assert word.isprintable()
        assert len(word) <= DEFAULT.words


@pytest.mark.parametrize(
    "data",
    [
        b'{"x402Version":2,"accepts":' + b"[" * 250_000,
        b'{"x402Version":2,"accepts":[' + b'{"a":' * 50_000,
        b'{"x402Version":2,"accepts":[' + b"9" * 250_000 + b"]}",
        b'{"x402Version":2,"accepts":[' + b"1.5," * 60_000 + b"1]}",
        b'{"x402Version":2,"accepts":[' + b'"\\ud83d\\ude00",' * 15_000 + b"1]}",
        json.dumps(document(*[entry(amount="9" * 78)] * 1000)).encode(),
        json.dumps(document(*[{}] * 10_000)).encode(),
        json.dumps(document(entry(extra={str(i): i for i in range(20_000)}))).encode(),
    ],
    ids=["lists", "objects", "digits", "floats", "emoji", "offers", "empties", "keys"],
)
def test_the_worst_body_takes_little_time(data: bytes) -> None:
    started = time.process_time()
    looked_at(headers(), data)
    looked_at(headers(payment_required=encoded(data)), None)
    assert time.process_time() - started < 2


def test_the_bounds_are_the_users() -> None:
    with pytest.raises(QuoteError, match="2 offers; 1 are read"):
        read_quote(headers(), json.dumps(document(entry(), entry())).encode(), URL, Bounds(offers=1))
