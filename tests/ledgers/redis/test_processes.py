"""Several processes, some of which die."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ledgers import served_children as children
from x402_client.errors import LedgerUnavailable, OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, cap, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger, script
from x402_client.model.holds import Attempt, Busy, Hold, Order, Spending

from .server import Server

pytestmark = pytest.mark.slow

TODAY = Spending("", "day", "USD")


class Child:
    """One process, spoken to through a pipe."""

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=work, args=(*arguments, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def told(self) -> Any:
        assert self.pipe.poll(30)
        return self.pipe.recv()

    def tell(self, what: str) -> None:
        self.pipe.send(what)
        assert what == "die" or self.told() == "done"


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = RedisLedger(server.url, lease=1.0)
    yield found
    found.close_ledger()


def patiently(ledger: RedisLedger, asked: Order, attempt: Attempt) -> tuple[Hold, int]:
    """As the flow waits; the hold, and how often it was told to wait."""
    for turn in range(120):
        found = ledger.reserve(asked, attempt)
        if isinstance(found, Hold):
            return found, turn
        time.sleep(0.05)
    raise AssertionError("it never ended")


def test_four_processes_spend_a_budget_exactly(server: Server, ledger: RedisLedger) -> None:
    buyers = [Child(children.buy_much, server.url, number, 1_230_000) for number in range(4)]
    assert sum(buyer.told() for buyer in buyers) == 123
    assert (ledger.spent(TODAY), ledger.holds(), len(ledger.history(1_000))) == (1_230_000, (), 123)


def test_tasks_spend_a_budget_exactly(ledger: RedisLedger) -> None:
    wide = ledger.asynchronous

    async def buy(name: str) -> bool:
        attempt = Attempt()
        try:
            hold = await wide.reserve(order(purchase(name), cap(1_230_000)), attempt)
        except OverLimit:
            return False
        assert isinstance(hold, Hold)
        await wide.close(await wide.record(hold, signed(name)), "spent", RECEIPT)
        return True

    async def all_of_them() -> int:
        found = sum(await asyncio.gather(*(buy(f"{number}") for number in range(256))))
        await wide.close_ledger()
        return found

    assert asyncio.run(all_of_them()) == 123
    assert (ledger.spent(TODAY), ledger.holds()) == (1_230_000, ())


@pytest.mark.parametrize(("step", "left"), [(1, ""), (-1, "reserved"), (2, "reserved"), (-2, "signed"), (3, "signed")])
def test_a_buyer_that_was_killed_leaves_what_it_signed(
    server: Server, ledger: RedisLedger, step: int, left: str
) -> None:
    child = Child(children.dies, server.url, step)
    child.process.join(30)
    assert child.process.exitcode == -signal.SIGKILL
    (dead,) = ledger.holds() or (None,)
    assert (dead.state if dead else "") == left
    attempt = Attempt()
    hold, turns = patiently(ledger, order(), attempt)
    if left == "signed":
        assert dead is not None
        assert turns > 0
        assert (hold.id, hold.tries) == (dead.id, 1)
        assert hold.authorization is not None
        assert hold.authorization.header == ("PAYMENT-SIGNATURE", SECRET)
        assert ledger.spent(TODAY) == 10_000
    else:
        assert hold.state == "reserved"
        assert dead is None or hold.id != dead.id


def test_what_a_killed_buyer_reserved_is_free_again(server: Server, ledger: RedisLedger) -> None:
    Child(children.dies, server.url, 2).process.join(30)
    asked, attempt = order(purchase("other"), cap(10_000)), Attempt()
    for ask in (ledger.check, lambda asked: ledger.reserve(asked, attempt)):
        with pytest.raises(OverLimit):
            ask(asked)
    time.sleep(4.2)
    assert ledger.check(asked) is None, "a look tells what a payment would meet"
    assert ledger.spent(TODAY) == 0
    assert isinstance(ledger.reserve(asked, attempt), Hold)
    assert ledger.spent(TODAY) == 10_000


def test_a_delivery_is_known_though_the_buyer_was_killed_right_after(server: Server, ledger: RedisLedger) -> None:
    Child(children.dies, server.url, -3).process.join(30)
    assert (ledger.holds(), len(ledger.history(10))) == ((), 1)


def test_a_parallel_call_elsewhere_is_a_purchase_of_its_own(server: Server, ledger: RedisLedger) -> None:
    child = Child(children.holds_on, server.url)
    first = child.told()
    child.tell("sign")
    attempt = Attempt()
    assert isinstance(ledger.reserve(order(), attempt), Busy), "nobody knows yet whether the other one lives"
    hold, _ = patiently(ledger, order(), attempt)
    assert (hold.id != first, hold.state) == (True, "reserved")
    child.tell("die")


def test_a_call_that_failed_elsewhere_is_taken_over_at_once(server: Server, ledger: RedisLedger) -> None:
    child = Child(children.holds_on, server.url)
    first = child.told()
    child.tell("sign")
    child.tell("end")
    started, attempt = time.monotonic(), Attempt()
    hold, _ = patiently(ledger, order(), attempt)
    assert (hold.id, hold.state) == (first, "signed")
    assert time.monotonic() - started < 2
    child.tell("die")


def test_a_key_in_flight_elsewhere_waits_as_long_as_it_lives(server: Server, ledger: RedisLedger) -> None:
    child = Child(children.holds_a_key, server.url)
    first = child.told()
    bought, attempt = purchase(key="k"), Attempt()
    for _ in range(25):
        found = ledger.reserve(order(bought), attempt)
        assert isinstance(found, Busy)
        assert found.hold.id == first
        time.sleep(0.05)
    child.tell("sign")
    child.tell("die")
    hold, _ = patiently(ledger, order(bought), attempt)
    assert hold.id == first


def test_a_stopped_process_does_not_sign_what_was_given_back(server: Server, ledger: RedisLedger) -> None:
    child = Child(children.holds_on, server.url)
    child.told()
    assert child.process.pid
    os.kill(child.process.pid, signal.SIGSTOP)
    time.sleep(4.2)
    other = Attempt()
    assert isinstance(ledger.reserve(order(), other), Hold)
    os.kill(child.process.pid, signal.SIGCONT)
    child.pipe.send("sign")
    child.process.join(10)
    assert child.process.exitcode == 1
    assert [hold.state for hold in ledger.holds()] == ["reserved"]


def test_a_forked_child_is_an_owner_of_its_own(server: Server, ledger: RedisLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    hold = ledger.record(hold, signed())
    owner = ledger._claims.owner
    child = os.fork()
    if child == 0:
        fine = ledger._claims.owner != owner and isinstance(ledger.reserve(order(), Attempt()), Busy)
        fine = fine and isinstance(ledger.reserve(order(purchase("own")), Attempt()), Hold)
        ledger.close_ledger()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ledger.close(hold, "spent", RECEIPT)
    assert (ledger.holds(), ledger.spent(TODAY)) == ((), 10_000)


def test_a_child_that_is_forked_while_another_thread_makes_a_step(ledger: RedisLedger) -> None:
    """A lock that the thread had would stay taken in the child for ever."""
    ledger.holds()
    lives, taken = ledger._steps.server.lives, threading.Event()

    def step() -> None:
        with lives.lock:
            taken.set()
            time.sleep(0.3)

    thread = threading.Thread(target=step)
    thread.start()
    assert taken.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(len(ledger.holds()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()
    assert ledger.holds() == ()


def test_no_step_reads_a_file(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is forked while another thread reads one would wait for the lock of its import for ever."""
    script.source.cache_clear()
    script.digest.cache_clear()
    ledger = RedisLedger(server.url)
    monkeypatch.setattr(script, "files", None)
    assert ledger.holds() == ()
    ledger.close_ledger()


def test_closing_gives_up_what_no_call_goes_on_with(server: Server, ledger: RedisLedger) -> None:
    other, attempt = RedisLedger(server.url), Attempt()
    hold = other.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    other.record(hold, signed())
    other.reserve(order(purchase("b")), attempt)
    other.close_ledger()
    assert isinstance(ledger.claim(purchase(), Attempt()), Busy), "the call goes on"
    attempt.end()
    other.close_ledger()
    again = Attempt()
    found = ledger.reserve(order(), again)
    assert isinstance(found, Hold)
    assert (found.id, ledger.spent(TODAY)) == (hold.id, 10_000)
    assert other.reserve(order(purchase("c")), again)
    again.end()
    other.close_ledger()


def test_a_hold_that_is_gone_is_not_signed(ledger: RedisLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    attempt.end()
    with pytest.raises(LedgerUnavailable, match="gone"):
        ledger.record(hold, signed())
