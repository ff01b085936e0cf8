"""Terms are found in every place where servers put them, whole and bounded, and a payment is written for each."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from x402_client.wire.bounds import DEFAULT
from x402_client.wire.tool_results import (
    ToolTerms,
    carries_payment,
    payment_metas,
    receipt_in,
    terms_in_error,
    terms_in_result,
    was_unread,
)

TERMS = {"x402Version": 2, "error": "pay", "accepts": [{"scheme": "exact"}]}
TEXT = json.dumps(TERMS)
PAYMENT = {"x402Version": 2, "payload": {"signature": "0x1"}}
HEADER = base64.b64encode(json.dumps(PAYMENT).encode()).decode()
DEEP: Any = []
for _ in range(2_000):
    DEEP = [DEEP]
LOOP: dict[str, Any] = {**TERMS}
LOOP["loop"] = LOOP


def found(meta: Any = None, structured: Any = None, text: str | None = None) -> ToolTerms | None:
    return terms_in_result(meta, structured, text, DEFAULT)


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ("content", {"structured": TERMS}),
        ("content", {"structured": {"data": {"paymentRequired": TERMS}}}),
        ("content", {"structured": TERMS, "meta": {"x402/error": TERMS}, "text": TEXT}),
        ("meta", {"meta": {"x402/error": TERMS}, "text": TEXT}),
        ("meta", {"meta": {"x402/error": {"code": 402, "message": "pay", "data": TERMS}}}),
        ("meta", {"meta": {"x402/error": TEXT}}),
        ("text", {"text": TEXT}),
        ("text", {"text": f"\n {TEXT} \n"}),
        ("text", {"text": f"Error executing tool weather: {TEXT}"}),
        ("text", {"text": f"Error calling tool 'weather': {TEXT}"}),
        ("text", {"text": json.dumps({"x402/error": {"code": 402, "data": TERMS}})}),
        ("text", {"structured": {"x402Version": 2, "accepts": None}, "text": TEXT}),
    ],
)
def test_terms_are_found_where_they_stand(place: str, asked: Any) -> None:
    terms = found(**asked)
    assert terms is not None
    assert (terms.place, dict(terms.document)) == (place, TERMS)
    assert (terms.version, terms.reason) == (2, "pay")
    assert json.loads(terms.body(DEFAULT) or b"") == TERMS


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"structured": {"accepts": []}},
        {"structured": {"x402Version": 2, "error": "PRICE_COMPUTE_FAILED"}},
        {"structured": [TERMS]},
        {"structured": {"somewhere": TERMS}},
        {"structured": {"data": {"data": {"data": {"data": TERMS}}}}},
        {"meta": {"x402/payment-response": TERMS}},
        {"text": "Pay me first."},
        {"text": f"The tool says {TEXT}"},
        {"text": f"{TEXT} {TEXT}"},
        {"text": f"Error executing tool weather: it says {TEXT}"},
        {"text": TEXT[:-1]},
        {"text": '{"x402Version": 2, "x402Version": 2, "accepts": []}'},
        {"text": json.dumps({**TERMS, "more": "x" * DEFAULT.terms_body})},
        {"text": '{"x402Version": 2, "accepts": ' + "[" * 100 + "]" * 100 + "}"},
    ],
)
def test_what_is_not_terms_as_a_whole_is_no_question_for_money(asked: Any) -> None:
    assert found(**asked) is None


@pytest.mark.parametrize(
    "more",
    [
        {"text": "x" * DEFAULT.terms_body},
        {"letters": "é" * (DEFAULT.terms_body // 2)},
        {"many": list(range(DEFAULT.terms_body))},
        {"loop": LOOP},
        {"deep": DEEP},
        {"number": float("inf")},
        {"thing": object()},
    ],
)
def test_terms_that_are_too_large_or_no_json_have_no_body(more: dict[str, Any]) -> None:
    terms = found(structured={**TERMS, **more})
    assert terms is not None
    assert terms.body(DEFAULT) is None


def test_a_reason_that_is_no_text_is_none() -> None:
    assert ToolTerms({"error": 5}, "content").reason == ""


@pytest.mark.parametrize(("code", "place"), [(402, "error"), (-402, "old error"), (-32042, "error"), (-32603, "error")])
def test_terms_are_found_in_errors(code: int, place: str) -> None:
    for data in (TERMS, TEXT, {"x402": TERMS}):
        terms = terms_in_error(code, data, DEFAULT)
        assert terms is not None
        assert (terms.place, dict(terms.document)) == (place, TERMS)
    assert terms_in_error(code, {"elicitations": []}, DEFAULT) is None


@pytest.mark.parametrize("key", ["x402/payment-response", "x402.payment-response", "x402.org/payment-response"])
def test_a_receipt_is_found_under_each_of_its_names(key: str) -> None:
    receipt = {"success": True}
    assert json.loads(receipt_in([None, {key: receipt}], DEFAULT) or "") == receipt
    assert receipt_in([{key: HEADER}, {key: receipt}], DEFAULT) == HEADER
    assert receipt_in([{key: 5}, [], {}], DEFAULT) is None
    assert receipt_in([{key: {"success": "x" * DEFAULT.receipt}}], DEFAULT) is None


@pytest.mark.parametrize(
    ("place", "version", "first"),
    [
        ("content", 2, {"x402/payment": PAYMENT}),
        ("text", 2, {"x402/payment": PAYMENT}),
        ("error", 2, {"x402/payment": PAYMENT}),
        ("meta", 2, {"x402/payment": HEADER}),
        ("content", 1, {"x402/payment": PAYMENT, "x402.payment": HEADER}),
        ("old error", 2, {"x402/payment": PAYMENT, "x402.org/payment": PAYMENT}),
    ],
)
def test_the_place_of_the_terms_decides_how_a_payment_is_written_first(place: Any, version: int, first: Any) -> None:
    one, other = payment_metas(HEADER, place, version)
    assert one == first
    ways = {(key, type(value)) for meta in (one, other) for key, value in meta.items()}
    assert ways >= {("x402/payment", dict), ("x402/payment", str), ("x402.payment", str), ("x402.org/payment", dict)}
    assert all(value in (PAYMENT, HEADER) for meta in (one, other) for value in meta.values())


@pytest.mark.parametrize(
    ("before", "after", "unread"),
    [
        ("pay", "pay", True),
        ("pay", "INVALID_PAYMENT", True),
        ("pay", "_meta.x402.payment is required", True),
        ("pay", "insufficient_funds", False),
        (None, "insufficient_funds", False),
        (None, "Invalid payment payload: ...", True),
    ],
)
def test_a_server_that_says_the_same_again_did_not_read_the_payment(
    before: str | None, after: str, unread: bool
) -> None:
    asked = None if before is None else ToolTerms({**TERMS, "error": before}, "content")
    assert was_unread(asked, ToolTerms({**TERMS, "error": after}, "content")) is unread


def test_a_payment_by_hand_is_seen() -> None:
    assert carries_payment({"x402/payment": {}})
    assert not carries_payment({"progressToken": 1})
    assert not carries_payment(None)
