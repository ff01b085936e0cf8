"""Long terms are kept, bounded by their bytes."""

from __future__ import annotations

import json

from x402_client.guards.remembered import Remembered
from x402_client.model.offers import Quote
from x402_client.wire import Bounds
from x402_client.wire.read import read_quote


def test_the_answers_that_were_asked_for_longest_ago_go_first() -> None:
    made = list[int]()
    kept = Remembered(lambda number: made.append(number) or number, 100)
    for number in (1, 2, 3, 4, 1, 5, 1, 2):
        assert kept(25, number) == number
    assert made == [1, 2, 3, 4, 5, 2]


def test_one_that_is_too_large_is_not_kept() -> None:
    made = list[int]()
    kept = Remembered(lambda number: made.append(number) or number, 100)
    for _ in range(2):
        kept(1, 1)
        kept(26, 2)
    assert made == [1, 2, 2]


def test_a_thousand_sizes_stay_within_the_bound() -> None:
    kept = Remembered(lambda number: number, 100)
    for number in range(1_000):
        kept(number % 25 + 1, number)
    assert sum(size for _, size in kept._kept.values()) == kept._size <= 100


def long(word: str) -> Quote:
    entry = {
        "scheme": "exact", "network": "base", "maxAmountRequired": "1", "asset": f"0x{1:040x}", "payTo": f"0x{2:040x}",
        "resource": "https://a.example/x", "description": word, "mimeType": "", "maxTimeoutSeconds": 60,
    }  # fmt: skip
    body = json.dumps({"x402Version": 1, "error": "", "accepts": [entry] * 100}).encode()
    assert len(body) > 8_192
    found = read_quote(lambda name: None, body, "https://a.example/x", Bounds())
    assert found is not None
    assert found.size == len(body)
    return found


def test_long_terms_that_come_again_are_not_read_again() -> None:
    assert long("first") is long("first")
    assert long("first") is not long("second")
