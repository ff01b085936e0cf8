"""How purchases end in the ledger in memory, keys and freezes, and what it lets out of its hands."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from dataclasses import replace

import pytest

from x402_client import Money
from x402_client.errors import AlreadyPaid, Frozen, OverLimit, PaymentRefused
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Attempt, Authorization, Busy, Hold, Order, Spending

from .test_memory import DAY, OFFER, SECRET, Clocked, order, purchase, signed, spent, unresolved


def test_a_delivered_purchase_is_history() -> None:
    ledger, live = MemoryLedger(), Attempt()
    hold = signed(ledger, order(units=3), live)
    ledger.close(hold, "unknown", None)
    ledger.close(hold, "spent", None)
    [done] = ledger.history(9)
    assert (done.state, done.money, done.nonce, done.host, done.url) == (
        "delivered", "unknown", "0xn", "a.example", "https://a.example/x",
    )  # fmt: skip
    assert (ledger.holds(), spent(ledger)) == ((), 3)
    assert ledger.claim(purchase(), Attempt()) is None


def test_write_off() -> None:
    ledger, live = MemoryLedger(), Attempt()
    reserved = ledger.reserve(order(), live)
    assert isinstance(reserved, Hold)
    flying = signed(ledger, order("q"), live)
    for hold in (reserved, flying):
        with pytest.raises(PaymentRefused, match="nothing to write off"):
            ledger.write_off(hold)
    lost = unresolved(ledger, order("s"))
    written = ledger.write_off(lost)
    assert (written.state, written.money) == ("written_off", "spent")
    assert ledger.history(9) == (written,)
    assert spent(ledger) == 3
    with pytest.raises(PaymentRefused):
        ledger.write_off(lost)
    again = ledger.reserve(order("s"), live)
    assert isinstance(again, Hold)
    assert again.state == "reserved"


@pytest.mark.parametrize("settled", [True, False])
def test_what_the_chain_told(settled: bool) -> None:
    ledger, live = MemoryLedger(), Attempt()
    flying = signed(ledger, order("q"), live)
    ledger.conclude(flying, settled)
    lost = unresolved(ledger, order(units=5))
    ledger.conclude(lost, settled)
    held = {hold.id: hold.money for hold in ledger.holds()}
    assert held == ({flying.id: "held", lost.id: "spent"} if settled else {flying.id: "held"})
    assert spent(ledger) == (6 if settled else 1)
    ledger.conclude(lost, settled)
    assert spent(ledger) == (6 if settled else 1)


def test_history_is_bounded_and_newest_first() -> None:
    ledger, live = MemoryLedger(), Attempt()
    holds = [signed(ledger, order(f"p{i}"), live) for i in range(1_100)]
    for hold in holds:
        ledger.close(hold, "spent", None)
    assert len(ledger.history(10_000)) == 500
    assert [hold.id for hold in ledger.history(2)] == [holds[-1].id, holds[-2].id]
    assert ledger.history(0) == ()
    assert spent(ledger) == 1_100


def test_a_host_that_nobody_limits_costs_little_memory() -> None:
    ledger, live = Clocked(), Attempt()
    for _ in range(300):
        ledger.time += 60
        ledger.close(signed(ledger, order(), live), "spent", None)
    assert max(len(w._buckets) for a in ledger._accounts.values() for w in a._windows.values()) <= 62


# --- keys


def test_a_key_names_one_payment() -> None:
    ledger, live = MemoryLedger(), Attempt()
    keyed = order("k", keyed=True)
    hold = signed(ledger, keyed, live)
    for ask in (lambda: ledger.reserve(keyed, Attempt()), lambda: ledger.claim(keyed.purchase, Attempt())):
        busy = ask()
        assert isinstance(busy, Busy)
        assert busy.hold.id == hold.id
    with pytest.raises(PaymentRefused, match="another request"):
        ledger.reserve(order("k", keyed=True, request="other"), Attempt())
    live.end()
    again = ledger.reserve(keyed, live)
    assert isinstance(again, Hold)
    assert again.id == hold.id
    ledger.close(again, "spent", None)
    with pytest.raises(AlreadyPaid) as caught:
        ledger.reserve(keyed, Attempt())
    assert caught.value.hold.state == "delivered"
    with pytest.raises(PaymentRefused, match="another request"):
        ledger.claim(purchase("k", keyed=True, request="other"), Attempt())


def test_a_key_under_which_nothing_was_signed_is_free_again() -> None:
    ledger, dead = MemoryLedger(), Attempt()
    ledger.reserve(order("k", keyed=True), dead)
    dead.end()
    hold = ledger.reserve(order("k", keyed=True, request="other"), Attempt())
    assert isinstance(hold, Hold)
    assert len(ledger.holds()) == 1


def test_a_key_that_was_written_off_may_buy_again() -> None:
    ledger = MemoryLedger()
    ledger.write_off(unresolved(ledger, order("k", keyed=True)))
    assert isinstance(ledger.reserve(order("k", keyed=True), Attempt()), Hold)


# --- freezing


@pytest.mark.parametrize(
    ("pattern", "host", "stops"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("*.example", "a.example", True),
        ("a.example:443", "a.example", True),
        ("a.example:444", "a.example", False),
        ("b.example", "a.example", False),
    ],
)
def test_a_freeze_stops_every_step(pattern: str, host: str, stops: bool) -> None:
    ledger, live = MemoryLedger(), Attempt()
    hold = ledger.reserve(order(host=host), live)
    assert isinstance(hold, Hold)
    ledger.freeze(pattern)
    steps = (
        lambda: ledger.reserve(order("q", host=host), live),
        lambda: ledger.claim(purchase("q", host), live),
        lambda: ledger.record(hold, Authorization("n", "p", 1, ("a", "b"))),
    )
    if stops:
        for step in steps:
            with pytest.raises(Frozen, match="unfreeze") as caught:
                step()
            said = "All payments are frozen; " if pattern == "*" else f"Payments to {pattern} are frozen; "
            assert caught.value.args[0].startswith(said)
        ledger.unfreeze("c.example")
        with pytest.raises(Frozen):
            steps[0]()
        ledger.unfreeze(pattern)
    for step in steps:
        step()


# --- what is let out


def test_lists_pickles_and_reprs_do_not_hold_the_header() -> None:
    ledger, live = MemoryLedger(), Attempt()
    flying = signed(ledger, order(), live)
    lost = unresolved(ledger, order("q"))
    ledger.write_off(unresolved(ledger, order("s")))
    ledger.close(signed(ledger, order("t"), live), "spent", None)
    for hold in (*ledger.holds(), *ledger.history(9)):
        assert hold.authorization is not None
        assert hold.authorization.header == ("", "")
        assert hold.authorization.nonce == "0xn"
    assert lost.authorization is not None
    error = PaymentRefused("said", hold=flying)
    for thing in (flying, lost.authorization, Busy(flying), error, [flying]):
        assert SECRET not in f"{thing!r} {thing}"
        assert SECRET.encode() not in pickle.dumps(thing)
        assert SECRET not in repr(vars(pickle.loads(pickle.dumps(error))))
    for copied in (
        copy(lost.authorization),
        deepcopy(lost.authorization),
        pickle.loads(pickle.dumps(flying)).authorization,
    ):
        assert copied.header == ("", "")
        assert copied == lost.authorization
    assert order().purchase == purchase()
    reserved = ledger.reserve(order("u"), live)
    assert isinstance(reserved, Hold)
    assert reserved.shown is reserved
    assert reserved.nonce is None


def test_purses_of_one_ledger_are_apart() -> None:
    ledger, live = MemoryLedger(), Attempt()
    for purse in ("one", "two"):
        bought = replace(purchase(purse), purse=purse)
        ledger.close(signed(ledger, Order(bought, OFFER, Money.of_units(10), (DAY,)), live), "spent", None)
        held = replace(purchase(purse + "!"), purse=purse)
        with pytest.raises(OverLimit):
            ledger.reserve(Order(held, OFFER, Money.of_units(1), (DAY,)), live)
        ledger.reserve(Order(held, OFFER, Money.of_units(1), ()), live)
    for purse in ("one", "two"):
        assert ledger.spent(Spending("", "day", "USD", purse)) == 11
        assert [hold.purchase.purse for hold in (*ledger.holds(purse), *ledger.history(9, purse))] == [purse] * 2
    assert (spent(ledger), ledger.holds(), ledger.history(9)) == (0, (), ())
