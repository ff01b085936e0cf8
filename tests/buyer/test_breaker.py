"""A seller whose payments bring nothing is left alone for a while; what was paid for is still asked for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.adapters.cash_register import PRICE, Till, delivered
from tests.adapters.checks import new_buyer
from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.adapters.scripted_server import Server
from x402_client import Buyer, errors, events
from x402_client.buyer.breaker import _SELLERS, Breaker
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.model.holds import Hold, Outcome
from x402_client.model.hosts import Origin


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def hold(name: str, host: str = "api.example.com") -> Hold:
    made = order(purchase(name, host=host))
    return Hold(name, made.purchase, made.offer, made.price, 0.0, "signed")


def answered(status: int, name: str) -> events.Event:
    this = hold(name)
    return events.Answered("GET", "https://api.example.com/", status, Outcome("unknown", this, this.offer))


def silent(name: str) -> events.Event:
    return events.Unknown("GET", "https://api.example.com/", hold(name), "ReadError")


def delivered_to(name: str) -> events.Event:
    return events.Delivered("GET", "https://api.example.com/", hold(name))


ORIGIN = hold("x").purchase.origin


def resting(breaker: Breaker) -> bool:
    return breaker.until(ORIGIN) is not None


def test_so_many_in_a_row_and_so_long() -> None:
    clock = Clock()
    breaker = Breaker(3, 60, clock)
    for event in (silent("a"), answered(503, "b"), answered(402, "b"), silent("b"), silent("a")):
        breaker.note(event)
    assert not resting(breaker), "two payments, however often they were presented"
    breaker.note(answered(404, "c"))
    until = breaker.until(ORIGIN)
    assert until is not None
    assert until.timestamp() == clock.now + 60
    assert breaker.until(Origin("https", "other.example", 443)) is None
    clock.now += 60
    assert not resting(breaker), "one more may try"
    breaker.note(silent("d"))
    assert resting(breaker), "and if it brings nothing either, the seller rests again"
    breaker.note(delivered_to("a"))
    assert not resting(breaker)
    breaker.note(silent("e"))
    assert not resting(breaker), "delivery began a new row"


def test_answers_that_deliver_count_for_nothing() -> None:
    breaker = Breaker(1, 60, Clock())
    for status in (200, 204, 302):
        breaker.note(answered(status, f"n{status}"))
    breaker.note(events.Refused("GET", "https://api.example.com/", "dear"))
    assert not resting(breaker)


@pytest.mark.parametrize("problem", ["PoolTimeout", "ConnectTimeout", "ConnectError"])
def test_what_never_reached_the_seller_is_not_its_fault(problem: str) -> None:
    breaker, this = Breaker(1, 60, Clock()), hold("a")
    breaker.note(events.Unknown("GET", "", this, problem))
    breaker.note(events.Answered("GET", "", 404, Outcome("spent", this, this.offer)))
    assert not resting(breaker)


def test_it_can_be_left_out() -> None:
    breaker = Breaker(None, 60, Clock())
    for number in range(100):
        breaker.note(silent(str(number)))
    assert not resting(breaker)


def test_it_forgets_who_was_longest_without_trouble() -> None:
    breaker = Breaker(2, 60, Clock())
    for number in range(_SELLERS + 100):
        this = hold("a", host=f"h{number}.example")
        breaker.note(events.Unknown("GET", "", this, ""))
    for number in range(10 * _SELLERS):
        breaker.note(silent(str(number)))
    assert len(breaker._sellers) == _SELLERS
    assert all(len(record.holds) <= 2 for record in breaker._sellers.values())
    assert resting(breaker)


@pytest.mark.parametrize(
    "wrong", [{"breaker_after": 0}, {"breaker_after": 1.5}, {"breaker_after": True}, {"breaker_rest": -1}]
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError, match=next(iter(wrong))):
        new_buyer(**wrong)


@pytest.mark.parametrize("repeat", ["GET", 3, [""], [1]])
def test_methods_that_make_no_sense(repeat: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="repeat lists methods"):
        new_buyer(repeat=repeat)


@pytest.mark.parametrize("shell", SHELLS, ids=name_of)
def test_through_a_shell(shell: Ask, server: Server) -> None:
    till, told = Till(), list[events.Event]()
    buyer: Buyer = new_buyer(breaker_after=3, breaker_rest=3600, on_event=told.append)
    broken = till.sells(lambda ex, till: ex.answer(503))
    urls = [server.on(f"/{name}", broken) for name in "abcd"]
    for url in urls[:3]:
        assert shell(buyer, "GET", url).status_code == 503
    with pytest.raises(errors.HostNotAllowed, match=r"are paused until 20\d\d-.* UTC") as raised:
        shell(buyer, "GET", urls[3])
    assert raised.value.money == "untouched"
    pause = raised.value.resets_at
    assert pause is not None
    assert 3500 < pause.timestamp() - time.time() <= 3600
    assert buyer.spent().units == 3 * PRICE
    assert len(buyer.holds()) == len(set(till.headers)) == 3
    # What was signed before is presented as ever, and a delivery makes an end of it.
    server.on("/a", till.sells(delivered))
    assert shell(buyer, "GET", urls[0]).status_code == 200
    assert len(set(till.headers)) == 3
    server.on("/d", till.sells(delivered))
    assert shell(buyer, "GET", urls[3]).status_code == 200
    buyer.close()
