"""Which transaction settled a payment? In the token's events, on chains of any pace, and from endpoints that lie."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account

from x402_client.chains import rpc as module
from x402_client.chains.evm_transactions import _SPAN
from x402_client.chains.rpc import Endpoints
from x402_client.chains.settlement import transaction_of
from x402_client.model.holds import Hold

from .scripted_rpc import Answer, Scripted, error, result
from .test_settlement import NETWORK, TOKEN, hold

NAME = "0x" + "cd" * 32
USED = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5"
PAYER = Account.create().address
#: Made an hour ago, and good for ten minutes.
MADE = time.time() - 3_600
SOME = hold(PAYER, "0x" + "1A" * 32, MADE + 600).but(created=MADE)
TOPICS = [USED, "0x" + PAYER[2:].lower().zfill(64), "0x" + "1a" * 32]


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))


def event(**changes: Any) -> dict[str, Any]:
    return {"address": TOKEN.address.lower(), "topics": TOPICS, "transactionHash": NAME, "removed": False} | changes


class Chain:
    """An endpoint of a chain with blocks at these times, and one event in the block of a time."""

    def __init__(self, head: int, time_of: Callable[[int], float], at: float, *events: dict[str, Any]) -> None:
        self.head, self.time_of, self.at, self.events = head, time_of, at, events or (event(),)
        self.spans: list[tuple[int, int]] = []

    def block(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        tag = asked["params"][0]
        number = self.head if tag == "latest" else int(tag, 16)
        found = {"number": hex(number), "timestamp": hex(int(self.time_of(number)))} if number <= self.head else None
        return result(found)(asked)

    def logs(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        wanted = asked["params"][0]
        assert (wanted["address"], wanted["topics"]) == (TOKEN.address, TOPICS)
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        self.spans.append((first, last))
        inside = self.time_of(first) <= self.at <= self.time_of(last)
        return result(list(self.events) if inside else [])(asked)


def found_by(*chains: Chain, this: Hold = SOME, **others: Answer) -> tuple[str | None, int]:
    """Return what is found, and the number of questions that it took."""
    endpoints = [Scripted(eth_getBlockByNumber=one.block, eth_getLogs=one.logs, **others) for one in chains]
    try:
        for endpoint in endpoints:
            endpoint.__enter__()
        urls = tuple(endpoint.url for endpoint in endpoints)
        return transaction_of(Endpoints({NETWORK: urls}), this), sum(len(one.asked) for one in endpoints)
    finally:
        for endpoint in endpoints:
            endpoint.__exit__(None, None, None)


def even(seconds: float, head: int = 30_000_000) -> tuple[int, Callable[[int], float]]:
    now = time.time()
    return head, lambda number: now - (head - number) * seconds


def uneven(number: int) -> float:
    """Blocks of two seconds of late, and of half a second an hour ago."""
    behind = 1_000_000 - number
    return time.time() - (behind * 2 if behind < 900 else 1_800 + (behind - 900) * 0.5)


@pytest.mark.parametrize("after", [1, 300, 599])
@pytest.mark.parametrize("chain", [even(2), even(12), even(0.25), (1_000_000, uneven)])
def test_it_is_found_on_a_chain_of_any_pace(chain: tuple[int, Callable[[int], float]], after: int) -> None:
    there = Chain(*chain, MADE + after)
    name, questions = found_by(there)
    assert name == NAME
    assert questions < 25
    assert all(last - first < _SPAN for first, last in there.spans)


def test_another_payments_event_is_not_taken_for_it() -> None:
    others = [
        event(topics=[*TOPICS[:2], "0x" + "22" * 32]),
        event(topics=TOPICS[:2]),
        event(topics=None),
        event(address="0x" + "33" * 20),
        event(removed=True),
        event(transactionHash="javascript:alert(1)"),
    ]
    assert found_by(Chain(*even(2), MADE + 9, *others))[0] is None
    assert (
        found_by(Chain(*even(2), MADE + 9, *others, event(transactionHash=NAME.upper().replace("0X", "0x"))))[0] == NAME
    )


def test_an_endpoint_that_cannot_tell_is_passed_over() -> None:
    forgetful = Chain(*even(2), MADE + 9)
    forgetful.block = lambda asked: (result(None) if asked["params"][0] != "latest" else result({}))(asked)  # type: ignore[method-assign]
    refusing = Chain(*even(2), MADE + 9)
    refusing.logs = error(-32005, "query returned more than 10000 results")  # type: ignore[method-assign]
    odd = Chain(*even(2), MADE + 9)
    odd.logs = result({})  # type: ignore[method-assign]
    young = Chain(20, lambda number: time.time(), MADE)
    stopped = Chain(1_000_000, lambda number: time.time(), MADE)  # no block is as old as the payment
    assert found_by(forgetful, refusing, odd, young, stopped)[0] is None
    assert found_by(forgetful, refusing, odd, young, stopped, Chain(*even(2), MADE + 9))[0] == NAME


def test_a_chain_of_few_blocks_is_looked_through_as_a_whole() -> None:
    assert found_by(Chain(20, lambda number: MADE + number, MADE + 15))[0] == NAME


def test_what_cannot_be_looked_up_is_not_asked_about() -> None:
    there = Chain(*even(2), MADE + 9)
    unsigned = SOME.but(authorization=None)
    of_no_scheme = SOME.but(offer=SOME.offer.but(scheme="barter"))
    of_no_token = SOME.but(offer=SOME.offer.but(token=None))
    elsewhere = SOME.but(offer=SOME.offer.but(network="cosmos:hub"))
    for this in (unsigned, of_no_scheme, of_no_token, elsewhere, hold(PAYER, "5" * 64, MADE + 600)):
        assert found_by(there, this=this) == (None, 0)
