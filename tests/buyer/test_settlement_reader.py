"""A request asks the chain, and does not wait for it for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest

from x402_client import Buyer, Wallet
from x402_client.buyer import Reconciled
from x402_client.buyer import settlement_reader as reconciliation
from x402_client.buyer.settlement_reader import Reader
from x402_client.chains.rpc import Endpoints
from x402_client.chains.settlement import ChainReader
from x402_client.errors import ConfigurationError
from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.model.holds import CEILING, Hold
from x402_client.model.offers import Receipt


def expired(name: str = "a", seconds: float = 1_000) -> Hold:
    made = order(purchase(name))
    authorization = signed("0x" + "11" * 32, "header")
    object.__setattr__(authorization, "expires", int(time.time() - seconds))
    return Hold(name, made.purchase, made.offer, made.price, 0.0, "signed", authorization=authorization)


class Says:
    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, 0

    def read(self, hold: Hold) -> Any:
        self.asked += 1
        return self.answer


class SaysLater:
    """An async reader."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def read(self, hold: Hold) -> Any:
        return self.answer


class Hangs:
    def __init__(self) -> None:
        self.go_on = threading.Event()

    def read(self, hold: Hold) -> Any:
        self.go_on.wait()
        return "settled"


class AsyncHangs:
    async def read(self, hold: Hold) -> Any:
        await anyio.sleep_forever()


class Fails:
    def read(self, hold: Hold) -> Any:
        raise ValueError("odd")


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hangs]:
    monkeypatch.setattr(reconciliation, "PATIENCE", 0.05)
    monkeypatch.setattr(reconciliation, "_SLOW", 0.01)
    one = Hangs()
    yield one
    one.go_on.set()


def fate(reader: Any, hold: Hold) -> Any:
    return Reader(reader).fate(hold)


def afate(reader: Any, hold: Hold) -> Any:
    return anyio.run(Reader(reader).afate, hold)


ASK: list[Callable[[Any, Hold], Any]] = [fate, afate]


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("answer", ["settled", "not_settled", "live", "unknown"])
def test_what_the_reader_says(ask: Any, answer: str) -> None:
    assert ask(Says(answer), expired()) == answer


@pytest.mark.parametrize("ask", ASK)
def test_before_the_expiry_nobody_is_asked(ask: Any) -> None:
    reader = Says("settled")
    assert ask(reader, expired(seconds=-100)) == "open"
    assert reader.asked == 0


@pytest.mark.parametrize("ask", ASK)
def test_a_reader_that_fails_says_nothing(ask: Any) -> None:
    assert ask(Fails(), expired()) == "unknown"


@pytest.mark.parametrize("ask", ASK)
def test_a_reader_that_hangs_says_nothing(ask: Any, hanging: Hangs) -> None:
    assert ask(hanging, expired()) == "unknown"


def test_an_async_reader_that_hangs_says_nothing(hanging: Hangs) -> None:
    assert afate(AsyncHangs(), expired()) == "unknown"


def fates(reader: Reader, *holds: Hold) -> Any:
    return reader.fates(holds)


def afates(reader: Reader, *holds: Hold) -> Any:
    return anyio.run(reader.afates, holds)


@pytest.mark.parametrize("ask", [fates, afates])
def test_several(ask: Any) -> None:
    holds = [expired("a"), expired("b")]
    assert ask(Reader(Says("not_settled")), *holds) == [(hold, "not_settled") for hold in holds]


@pytest.mark.parametrize("ask", [fates, afates])
def test_after_waiting_in_vain_the_next_ones_do_not_wait(ask: Any, hanging: Hangs) -> None:
    reader = Reader(hanging)
    assert ask(reader, expired()) == []
    reader.reader = Says("settled")
    assert ask(reader, expired("b")) == []
    assert reader.reader.asked == 0
    reader._resting_until = 0.0
    assert len(ask(reader, expired("b"))) == 1


def test_what_was_learnt_before_the_time_was_over_counts(hanging: Hangs) -> None:
    class HangsAtTheSecond(Hangs):
        def read(self, hold: Hold) -> Any:
            return "not_settled" if hold.id == "a" else hanging.read(hold)

    for ask in (fates, afates):
        found = ask(Reader(HangsAtTheSecond()), expired("a"), expired("b"))
        assert [(hold.id, answer) for hold, answer in found] == [("a", "not_settled")]


def test_the_chains_own_word_needs_no_margin() -> None:
    just_now = expired(seconds=2)
    assert fate(Says("not_settled"), just_now) == "early"
    assert fate(Says("unknown"), just_now) == "early"
    assert fate(Says("settled"), just_now) == "settled"

    class Chain(ChainReader):
        def read(self, hold: Hold) -> Any:
            return "not_settled"

    two = Endpoints({just_now.offer.network: ("http://127.0.0.1:1", "http://127.0.0.1:2")})
    assert fate(Chain(two), just_now) == "not_settled"
    one = Endpoints({just_now.offer.network: ("http://127.0.0.1:1/a-key", "http://127.0.0.1:1/another")})
    assert fate(Chain(one), just_now) == "one_says_not", "two keys at one place are one witness"


@pytest.mark.parametrize("ask", ["fate", "afate"])
def test_one_thread_asks_about_one_payment(ask: str, hanging: Hangs) -> None:
    reader, hold = Reader(hanging), expired()
    before = threading.active_count()

    def asked() -> Any:
        return reader.fate(hold) if ask == "fate" else anyio.run(reader.afate, hold)

    assert [asked() for _ in range(10)] == ["unknown"] * 10
    assert threading.active_count() <= before + 2
    hanging.go_on.set()
    while asked() != "settled":
        time.sleep(0.01)


@pytest.mark.parametrize("ask", ASK)
def test_what_is_known_to_have_settled_is_not_asked_about(ask: Any) -> None:
    reader = Says("unknown")
    assert ask(reader, expired().but(money="spent")) == "settled"
    assert ask(reader, expired(seconds=-100).but(money="spent")) == "open", "it can be presented yet"
    assert not reconciliation.due(expired().but(money="spent"))
    assert reader.asked == 0


class Shows(ChainReader):
    """Shows a charge of a ceiling, by so many witnesses."""

    def __init__(self, charge: int | None, witnesses: int = 2) -> None:
        network = expired().offer.network
        super().__init__(Endpoints({network: tuple(f"http://127.0.0.1:{port + 1}/" for port in range(witnesses))}))
        self._shown = charge

    def charge(self, hold: Hold) -> int | None:
        return self._shown

    def read(self, hold: Hold) -> Any:
        return "settled"


def ceiling(seconds: float, money: Any = "held") -> Hold:
    hold = expired(seconds=seconds)
    assert hold.authorization is not None
    return hold.but(authorization=replace(hold.authorization, kind=CEILING), money=money)


@pytest.mark.parametrize("seconds", [1_000, -100])
@pytest.mark.parametrize(("witnesses", "told"), [(1, "one_says_charge"), (2, "settled")])
def test_a_charge_is_known_before_the_expiry_too_and_by_whose_word(seconds: float, witnesses: int, told: str) -> None:
    hold, reader = ceiling(seconds), Shows(3, witnesses)
    assert reconciliation.to_ask(reader, [hold], []) == [hold]
    assert reconciliation.learn(reader, hold) == (hold, told)
    assert reconciliation.learn(reader, hold)[0].charged == 3
    for seen in (Reader(reader).see(hold, False), anyio.run(Reader(reader).asee, hold, False)):
        assert (seen.settled, seen.charged, seen.fate) == (True, 3, told)


@pytest.mark.parametrize(("amount", "told"), [(3, "settled"), (4, "one_says_charge"), (None, "one_says_charge")])
def test_what_the_receipt_names_too_has_two_witnesses(amount: int | None, told: str) -> None:
    hold = ceiling(1_000).but(receipt=Receipt(True, "0x" + "f" * 64, amount=amount))
    assert reconciliation.learn(Shows(3, 1), hold)[1] == told


def test_without_a_charge_only_that_it_settled_is_seen() -> None:
    hold, reader = ceiling(-100), Shows(None)
    assert reconciliation.learn(reader, hold) == (hold, "open")
    for seen in (Reader(reader).see(hold, False), anyio.run(Reader(reader).asee, hold, False)):
        assert (seen.settled, seen.charged) == (True, None)
    assert reconciliation.learn(Says("not_settled"), ceiling(1_000, "spent"))[1] == "open", "it was seen to be settled"


def test_what_a_call_is_paying_is_left_to_it() -> None:
    assert reconciliation.to_ask(Shows(3), [ceiling(-100).but(in_flight=True)], []) == []


@pytest.mark.parametrize("kind", [Says, SaysLater])
def test_nothing_that_is_told_later_takes_back_that_a_ceiling_settled(kind: Any) -> None:
    hold = ceiling(1_000, "spent")
    assert anyio.run(reconciliation.alearn, kind("not_settled"), hold)[1] == "open"
    assert anyio.run(Reader(kind("not_settled")).afates, [hold]) == []
    assert anyio.run(reconciliation.alearn, kind("not_settled"), ceiling(1_000))[1] == "not_settled"


def test_a_reader_that_has_to_be_awaited_is_not_asked_in_vain() -> None:
    buyer = Buyer(Wallet(evm="0x" + "46" * 32), ledger=":memory:", reader=SaysLater("settled"))
    with pytest.raises(ConfigurationError, match="reader is async; use areconcile"):
        buyer.reconcile()
    assert anyio.run(buyer.areconcile) == Reconciled()
