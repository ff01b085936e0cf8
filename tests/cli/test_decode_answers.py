"""``x402 decode`` of a whole answer: it says of no terms that they are sound which a client would not pay."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.wire.terms import KEY, document, encoded, entry, entry_v1
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.cli.commands.decode import read_answer
from x402_client.httpx import quote, wrap

from .running import in_process

PRICES = {"PAYMENT-REQUIRED": 10_000, "X-PAYMENT-REQUIRED": 20_000, "the body": 30_000, "another header": 40_000}


def terms(place: str, version: int = 2) -> dict[str, object]:
    price = str(PRICES[place])
    return document(entry(amount=price) if version == 2 else entry_v1(maxAmountRequired=price), version=version)


#: What may stand in each place: terms of each version, and what no client can read.
HEADERS = {
    name: (None, encoded(terms(name)), encoded(terms(name, 1)), json.dumps(terms(name)), "garbage")
    for name in ("PAYMENT-REQUIRED", "X-PAYMENT-REQUIRED")
}
BODIES = ("{}", json.dumps(terms("the body")), "\ufeff" + json.dumps(terms("the body", 1)), "<html>")
OTHERS: tuple[tuple[str, str] | None, ...] = (
    None,
    ("PAYMENT-RESPONSE", encoded(terms("another header"))),
    ("PAYMENT-REQUIRED", encoded(terms("another header"))),
    ("PAYMENT-REQUIRED", ""),
)


def answers() -> Iterator[httpx.Response]:
    for plain, dashed in itertools.product(*HEADERS.values()):
        headers = [(name, text) for name, text in zip(HEADERS, (plain, dashed), strict=True) if text is not None]
        for body, other in itertools.product(BODIES, OTHERS):
            for status in (402, 200, 500):
                yield httpx.Response(status, headers=[*headers, *([other] if other else [])], content=body.encode())


def as_curl_shows(answer: httpx.Response) -> bytes:
    head = "".join(f"{name}: {text}\r\n" for name, text in answer.headers.multi_items())
    return f"HTTP/1.1 {answer.status_code} X\r\n{head}\r\n".encode() + answer.content


def price_paid(answer: httpx.Response, buyer: Buyer) -> str | None:
    with wrap(httpx.Client(transport=httpx.MockTransport(lambda request: answer)), buyer) as client:
        try:
            found = quote(client, "GET", "https://api.example.com/sky")
        except errors.QuoteError:
            return None
    return None if found is None or found.choice is None else str(found.choice.price).split()[0]


def prices_said(answer: httpx.Response) -> set[str]:
    """Return the prices of the terms about which nothing is said that keeps them from being paid."""
    said = set()
    for reading in read_answer(as_curl_shows(answer).decode()):
        passed_over = {finding.where for finding in reading.findings if finding.level == "note"}
        if reading.sound and not passed_over & {"status", "terms"}:
            said |= {match[1] for _, fact in reading.facts if (match := re.match(r"exact: ([0-9.]+) USDC", fact))}
    return said


def test_it_calls_those_terms_sound_that_a_client_pays() -> None:
    buyer = Buyer(Wallet(evm=KEY), Policy(per_request="1"), ledger=":memory:", rpc={})
    wrong = []
    for answer in answers():
        paid, said = price_paid(answer, buyer), prices_said(answer)
        # Of a header that stands twice, what is read depends on the HTTP library: no terms are called sound then.
        repeated = len(answer.headers.get_list("PAYMENT-REQUIRED")) > 1
        expected = set() if repeated or paid is None else {paid}
        if said != expected:
            wrong.append((answer.status_code, answer.headers.multi_items(), answer.content[:30], paid, said))
    assert wrong == []


@pytest.mark.parametrize("first", ["HTTP/1.1 301 Moved", "HTTP/2 402"])
def test_of_several_answers_each_part_is_read_by_itself(first: str) -> None:
    text = f"{first}\r\nLocation: /x\r\n\r\n".encode() + as_curl_shows(
        httpx.Response(402, headers={"PAYMENT-REQUIRED": encoded(terms("PAYMENT-REQUIRED"))})
    )
    ran = in_process(["decode", "-"], {}, text)
    assert (ran.code, "status" in ran.text) == (0, False)
