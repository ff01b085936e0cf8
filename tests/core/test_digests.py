"""Digests of bodies: equal for what asks for the same, and for nothing else."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from x402_client.core.call import HttpRequest, tool_call
from x402_client.core.digests import NOTHING, BodyDigest, body_digest, tool_digest

URL = "https://api.example.com/mcp?tenant=1"
JSON = "application/json; charset=utf-8"
#: Letters of which contents and boundaries are made: they often look like a delimiter, or like the half of one.
LETTERS = [b"1", b"0", b"-", b"--", b"\r\n", b"\r", b"\n", b" ", b"\t", b"--1", b"\r\n--1", b"\r\n--1--\r\n", b"pay"]
CONTENTS = st.lists(st.sampled_from(LETTERS), max_size=6).map(b"".join)
PARTS = st.lists(CONTENTS, max_size=3)
BOUNDARIES = st.sampled_from([b"1", b"0", b"10", b"-", b"1-", b"a+b", b"=_1"]) | st.from_regex(
    rb"\A[-A-Za-z0-9'()+_,./:=?]{1,40}\Z"
)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def multipart(parts: list[bytes], boundary: bytes) -> bytes:
    opened = b"".join(b"--" + boundary + b"\r\nX: y\r\n\r\n" + part + b"\r\n" for part in parts)
    return opened + b"--" + boundary + b"--\r\n"


def sound(parts: list[bytes], boundary: bytes) -> bool:
    """Whether no content has a line that is a delimiter itself: RFC 2046 forbids such a boundary."""
    return all(b"\r\n--" + boundary not in b"\r\n" + part + b"\r\n" for part in parts)


def in_chunks(body: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


def of_multipart(parts: list[bytes], boundary: bytes, cuts: list[int]) -> bytes:
    content_type = f'multipart/form-data; charset=x; boundary="{boundary.decode()}"'
    return body_digest(in_chunks(multipart(parts, boundary), cuts), content_type).digest


@given(PARTS, PARTS, BOUNDARIES, BOUNDARIES, CUTS, CUTS)
@example([b"pay 10"], [b"pay 110"], b"1", b"1", [], [])
@example([b"a"], [b"a"], b"1", b"other", [3, 4, 5], [])
@example([b"a\r\n--\r\nb"], [b"a", b"b"], b"1", b"2", [], [])
def test_uploads_are_one_purchase_if_their_parts_are_the_same(
    one: list[bytes], other: list[bytes], boundary: bytes, redrawn: bytes, cuts: list[int], more: list[int]
) -> None:
    for parts in (one, other):
        if sound(parts, boundary) and sound(one, redrawn):
            alike = of_multipart(parts, boundary, cuts) == of_multipart(one, redrawn, more)
            assert alike == (parts == one)


@given(st.lists(st.sampled_from(LETTERS), max_size=30).map(b"".join), CUTS, BOUNDARIES)
def test_no_chunking_changes_a_digest(body: bytes, cuts: list[int], boundary: bytes) -> None:
    content_type = f"multipart/mixed;boundary={boundary.decode()}"
    assert body_digest(in_chunks(body, cuts), content_type) == body_digest(body, content_type)


@given(st.lists(st.sampled_from(LETTERS), max_size=30).map(b"".join), BOUNDARIES)
def test_version_0_1_left_out_every_boundary(body: bytes, boundary: bytes) -> None:
    former = body_digest(body, f"Multipart/Mixed; boundary={boundary.decode()}").former
    assert former == hashlib.sha256(body.replace(boundary, b"")).digest()


def test_a_line_with_more_than_padding_is_no_delimiter() -> None:
    content_type = "multipart/mixed; boundary=1"

    def of(body: bytes) -> bytes:
        return body_digest(body, content_type).digest

    assert of(b"--1\r\na\r\n--1--") == of(b"--1 \t\r\na\r\n--1--")
    assert of(b"--1\r\na\r\n--1x\r\n--1--") != of(b"--1\r\na\r\n--x\r\n--1--")
    assert of(b"--1\r\na\r\n--1--") != of(b"--1\r\na\r\n--1")
    assert of(b"--1" + b" " * 65 + b"\r\n") != of(b"--1\r\n")
    assert of(b"") != of(b"--1\r\n")


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/mixed", "multipart/x; boundary=", JSON])
def test_other_bodies_are_their_bytes(content_type: str) -> None:
    for body in (b"", b"--1\r\n", b'{"id": 1}', b"\xff"):
        raw = hashlib.sha256(body).digest()
        assert body_digest(iter([body]), content_type) == BodyDigest(raw, raw, product=raw)
    assert body_digest(b"") == NOTHING


# --- JSON-RPC


def call(method: str = "tools/call", number: Any = 1, token: Any = None, **params: Any) -> dict[str, Any]:
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, **meta}}


def of(document: Any, content_type: str = JSON, **how: Any) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document, **how).encode()
    found = body_digest(text, content_type)
    assert found.former == hashlib.sha256(text).digest()
    return found.digest


WEATHER = call(name="weather", arguments={"city": "Bern", "days": [1, 2.5]})
RETRIES: dict[str, tuple[Any, Any]] = {
    "a tool": (WEATHER, call(number="x", token=7, name="weather", arguments={"days": [1, 2.5], "city": "Bern"})),
    "a tool without arguments": (call(name="now"), call(number=2, name="now", arguments=None)),
    "another method": (call("resources/read", uri="a"), call("resources/read", number=2, uri="a")),
    "a whole number": (
        call(name="weather", arguments={"days": [1, 100, 0, {"a": 10**22}], "n": 3}),
        call(name="weather", arguments={"days": [1.0, 1e2, -0.0, {"a": 1e22}], "n": 3.0}),
    ),
    "a token": (call("x", token=1, a=1), call("x", number=2, token="2", a=1)),
    "the first token": (call("x", a=1), call("x", token="2", a=1)),
    "a token beside others": (
        call("x") | {"params": {"_meta": {"progressToken": 1, "a": 2}}},
        call("x") | {"params": {"_meta": {"progressToken": 9, "a": 2}}},
    ),
    "positional": ({"jsonrpc": "2.0", "id": 1, "method": "sum", "params": [1]},) * 2,
    "a batch": ([WEATHER, call("x", a=1)], [WEATHER | {"id": 8}, call("x", number=9, token=1, a=1)]),
}


@pytest.mark.parametrize(("first", "again"), RETRIES.values(), ids=RETRIES)
def test_a_retry_has_the_digest_of_the_first_try(first: Any, again: Any) -> None:
    assert of(first) == of(again, indent=3) == of(again, "application/vnd.api+json", sort_keys=True)
    assert of(first, "text/plain") != of(first)


TOKEN = {"_meta": {"progressToken": 1}}
OTHERS: dict[str, tuple[Any, Any]] = {
    "a tool": (WEATHER, call(name="time", arguments={"city": "Bern", "days": [1, 2.5]})),
    "an argument": (WEATHER, call(name="weather", arguments={"city": "Basel", "days": [1, 2.5]})),
    "an order": (WEATHER, call(name="weather", arguments={"city": "Bern", "days": [2.5, 1]})),
    "a part": (call(name="t", arguments={"a": 1}), call(name="t", arguments={"a": 1.5})),
    "a neighbour": (call(name="t", arguments={"a": 2**53}), call(name="t", arguments={"a": 2**53 + 1})),
    "a neighbour of a float": (call(name="t", arguments={"a": 2.0**53}), call(name="t", arguments={"a": 2**53 + 1})),
    "a double beside its digits": (call(name="t", arguments={"a": 1e23}), call(name="t", arguments={"a": int(1e23)})),
    "text for a number": (call(name="t", arguments={"a": "1"}), call(name="t", arguments={"a": 1.0})),
    "true for one": (call(name="t", arguments={"a": True}), call(name="t", arguments={"a": 1})),
    "an id below the top": (call("x", a={"id": 1}), call("x", a={"id": 2})),
    "a token below the top": (
        call("x", a={"_meta": {"progressToken": 1}}),
        call("x", a={"_meta": {"progressToken": 2}}),
    ),
    "a batch of one": (WEATHER, [WEATHER]),
    "a part of a batch": ([WEATHER, call("x", a=1)], [call("x", a=1), WEATHER]),
    "a look-alike": (call("tools/list", name="a"), call(name="a")),
    "no name": (call(name=1), call(name=2)),
    "no arguments": (call(name="a", arguments=[1]), call(name="a", arguments=[2])),
    "meta that is none": (call("x") | {"params": {"_meta": 1}}, call("x") | {"params": {"_meta": 2}}),
}


@pytest.mark.parametrize(("one", "other"), OTHERS.values(), ids=OTHERS)
def test_another_call_has_another_digest(one: Any, other: Any) -> None:
    assert of(one) != of(other)


DEEP = "[" * 70 + "]" * 70
AS_THEY_ARE: dict[str, bytes] = {
    "duplicate names": b'{"jsonrpc": "2.0", "id": 1, "method": "x", "method": "y"}',
    "no JSON": b'{"jsonrpc": "2.0", "id": 1',
    "another version": b'{"jsonrpc": "1.0", "id": 1}',
    "no object": b'"\\"jsonrpc\\""',
    "an empty batch": b'[] "jsonrpc"',
    "a batch with a stranger": json.dumps([WEATHER, {"id": 1}]).encode(),
    "digits that would be lost": b'{"jsonrpc": "2.0", "id": 1, "params": [0.10000000000000000001]}',
    "a number without end": b'{"jsonrpc": "2.0", "id": 1, "params": [1e999]}',
    "too deep": f'{{"jsonrpc": "2.0", "id": 1, "params": {DEEP}}}'.encode(),
    "too large": json.dumps(call("x", a="x" * 1024 * 1024)).encode(),
    "half of a letter": b'{"jsonrpc": "2.0", "id": 1, "method": "\\ud800"}',
}


@pytest.mark.parametrize("body", AS_THEY_ARE.values(), ids=AS_THEY_ARE)
def test_what_cannot_be_read_in_one_way_stays_as_it_is(body: bytes) -> None:
    assert of(body) == hashlib.sha256(body).digest()
    assert body_digest(in_chunks(body, [1, 1024 * 1024]), JSON) == body_digest(body, JSON)


def test_a_large_number_that_keeps_its_digits_is_read() -> None:
    assert of(call("x", a=10**30)) != of(call("x", a=10**30 + 1))
    assert of(call("x", number=1, a=1e22)) == of(call("x", number=2, a=1e22))


@pytest.mark.parametrize("key", ["x402/payment", "x402.payment", "x402.org/payment", "x402-client/quote"])
def test_a_tool_call_that_pays_itself_or_asks_for_the_price_is_not_ours_to_pay(key: str) -> None:
    plain = call("tools/call", name="weather", arguments={})
    paid = call("tools/call", name="weather", arguments={}, _meta={key: {"payload": "x402"}, "progressToken": 5})
    assert of(paid) == of(plain)
    for body, hands_off in ((plain, False), (paid, True), ([plain, paid], True), ([plain, plain], False)):
        found = body_digest(json.dumps(body).encode(), JSON)
        assert (found.tool, found.hands_off) == (isinstance(body, dict), hands_off)
    for params in (None, {"x402": 5}, {"_meta": "x402"}):
        found = body_digest(json.dumps({**plain, "params": params}).encode(), JSON)
        assert (found.tool, found.hands_off) == (True, False)
    assert not body_digest(b'["x402", "jsonrpc"]', JSON).hands_off
    assert not body_digest(json.dumps(call("resources/read", name="x")).encode(), JSON).tool


#: What may stand in a message, and what may be another message for it.
IDS = st.none() | st.integers(0, 9) | st.sampled_from(["1", ""])
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", "1.0"])},
    optional={
        "id": IDS,
        "method": st.sampled_from(["tools/call", "tools/call", "resources/read", "notifications/cancelled", 5]),
        "params": st.fixed_dictionaries(
            {},
            optional={"name": st.sampled_from(["weather", "report", 5]), "arguments": st.sampled_from([{}, {"a": 1}])},
        ),
    },
)


@given(MESSAGES | st.lists(MESSAGES, max_size=2), MESSAGES | st.lists(MESSAGES, max_size=2))
@example(call("tools/call", name="a", arguments={}), {**call("tools/call", name="a", arguments={}), "id": None})
@example(call("tools/call", name="a", arguments={"b": 1}), call("tools/call", number=2, name="a", arguments={}))
@example(call("x", name="a"), call("x", name="b"))
def test_one_product_is_one_tool_or_one_body_that_wants_an_answer(one: Any, other: Any) -> None:
    found = [body_digest(json.dumps(body).encode(), JSON) for body in (one, other)]
    if found[0].product is not None and found[0].product == found[1].product:
        tools = [body.get("params", {}).get("name") for body in (one, other) if found[0].tool]
        assert tools == [found[0].product] * 2 or found[0].digest == found[1].digest
    for body, digest in zip((one, other), found, strict=True):
        if isinstance(body, dict) and body["jsonrpc"] == "2.0":
            assert (digest.product is None) is (body.get("id") is None or not isinstance(body.get("method"), str))
        elif body and all(member["jsonrpc"] == "2.0" for member in body if isinstance(body, list)):
            assert digest.product is None or isinstance(body, dict)


def test_a_tool_is_one_product_on_http_and_in_mcp_whatever_its_arguments() -> None:
    for arguments in ({}, {"city": "Bern"}):
        asked = body_digest(json.dumps(call("tools/call", name="weather", arguments=arguments)).encode(), JSON)
        assert asked.product == tool_digest("weather", arguments).product == "weather"


def test_a_tool_has_one_name_on_http_and_in_mcp() -> None:
    identity, digest = tool_call(URL, "weather", {"days": [1, 2.5], "city": "Bern"})
    assert identity == HttpRequest.of("POST", URL, {"Content-Type": JSON}).identity()
    assert digest.digest == digest.former == of(WEATHER)
    assert tool_call(URL, "weather", {"days": (1.0, 2.5), "city": "Bern"})[1] == digest
    assert tool_call(URL, "now")[1] == tool_call(URL, "now", {})[1] != digest
    assert tool_call(URL + "2", "now")[0] != identity
    assert tool_call("mcp:reports", "now")[0] == tool_call("mcp:Reports", "now")[0] != tool_call("mcp:other", "now")[0]
