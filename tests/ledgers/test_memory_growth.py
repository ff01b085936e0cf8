"""The ledger in memory over time: new accounts, idle hosts, and copies made by a fork."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.errors import LedgerUnavailable, OverLimit
from x402_client.ledgers.conformance import signed
from x402_client.ledgers.windows import BUCKETS, Account
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.budgets import WINDOWS, Cap, request_account
from x402_client.model.holds import Attempt, Hold, Order

from .test_memory import Clocked, order, spent

_MONTH = 30 * 86_400
paid = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 50), st.floats(0, _MONTH / 4)), max_size=30)


def deliver(ledger: Clocked, wanted: Order) -> None:
    attempt = Attempt()
    hold = ledger.reserve(wanted, attempt)
    ledger.close(hold, "spent", None)  # type: ignore[arg-type]
    attempt.end()


@given(paid, st.sampled_from(["*.example", "a.example:443", "*.b.example"]), st.sampled_from(sorted(WINDOWS)))
def test_an_account_first_seen_late_knows_what_its_hosts_spent(
    payments: list[tuple[str, int, float]], account: str, window: str
) -> None:
    ledger, known = Clocked(), Clocked()
    wide = (Cap(account, window, "USD", 10**9),)
    for number, (host, units, later) in enumerate(payments):
        ledger.time = known.time = ledger.time + later
        matches = account == "*.example" or (host == "a" and account.startswith("a."))
        named = order(str(number), units, host=f"{host}.example")
        deliver(ledger, named)
        deliver(known, named._replace(caps=wide) if matches else named)
    late = order("late", 1, wide, host="a.example")
    for each in (ledger, known):
        deliver(each, late)
    for name in WINDOWS:
        assert spent(ledger, account, name) == spent(known, account, name)


@given(paid)
def test_pruning_changes_no_sum(payments: list[tuple[str, int, float]]) -> None:
    one, pruned, now = Account(), Account(), 1_800_000_000.0
    for _, units, later in payments:
        now += later
        one.add(units, now)
        pruned.add(units, now)
        pruned.prune(now)
        assert {name: one.roll(name, now) for name in WINDOWS} == {name: pruned.roll(name, now) for name in WINDOWS}


def test_an_idle_host_takes_little_memory_and_is_not_forgotten() -> None:
    ledger = Clocked()
    hosts = [f"h{number}.example" for number in range(4_000)]
    tracemalloc.start()
    for host in hosts[:2_000]:
        deliver(ledger, order(host, 7, host=host))
    ledger.time += _MONTH * (1 + 2 / BUCKETS)
    for host in hosts[2_000:]:
        deliver(ledger, order(host, 7, host=host))
    ledger.time += _MONTH * (1 + 2 / BUCKETS)
    ledger._prune_at = 0
    deliver(ledger, order("last", 7, host="last.example"))
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / len(hosts) < 2_500, "bytes for each host that was paid once, a month ago"
    everything = (Cap("*.example", "total", "USD", 7 * 4_001),)
    with pytest.raises(OverLimit):
        ledger.reserve(order("more", 1, everything, host="h1.example"), Attempt())
    assert spent(ledger, "h0.example", "total") == 7
    assert spent(ledger, "h0.example", "month") == 0


def test_accounts_that_none_asks_for_any_more_are_let_go_of() -> None:
    ledger, named = Clocked(), allowance_account("run")
    ledger.open_allowance(AllowanceTerms("default", named, ("1 USD",)))
    tracemalloc.start()
    for number in range(2_000):
        account = allowance_account(f"~{number}")
        ledger.open_allowance(AllowanceTerms("default", account, ("1 USD",)))
        damped = Cap(request_account(f"{number}"), "day", None, 9)
        deliver(ledger, order(f"{number}", 7, (damped,), host="a.example")._replace(path=(named, account)))
        ledger.mark_allowance("default", account, "forgotten")
        ledger.time += 86_400
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ledger._accounts) < 600
    assert taken < 2_000 * 1_000 + 1_000_000, "bytes, of a history that is bounded and of caches"
    assert spent(ledger, named, "total") == 7 * 2_000


class LookedUp(dict[Any, Any]):
    """Accounts of a ledger that are looked up one by one. To go through all of them is a failure."""

    def __iter__(self) -> Any:
        raise AssertionError("A payment went through all accounts.")

    keys = values = items = __iter__


def test_a_payment_looks_at_the_patterns_of_its_own_host_only() -> None:
    ledger = Clocked()
    for number in range(10_000):
        ledger._accounts["default", f"*.h{number}.example", None] = Account()
    deliver(ledger, order("opens", 7, (Cap("*.example", "day", "USD", 10**9),), host="a.example"))
    ledger._accounts, ledger._prune_at = LookedUp(ledger._accounts), 10**9
    deliver(ledger, order("counts", 7, host="b.h5.example"))
    assert (spent(ledger, "*.example"), spent(ledger, "*.h5.example"), spent(ledger, "*.h6.example")) == (14, 7, 0)


def steps_of(buy: Callable[[], object], times: int) -> float:
    """The steps of the interpreter that one call takes. Unlike time, nothing else on the machine adds to them."""
    found = 0

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal found
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        found += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        buy()  # Python 3.13 tells not every step of a function that is traced for the first time
        found = 0
        for _ in range(times):
            buy()
    finally:
        sys.settrace(before)
    return found / times


def purses(ledger: Clocked, count: int) -> list[Order]:
    one = order("x", 1, (Cap("", "total", "USD", 10**9),))
    return [one._replace(purchase=replace(one.purchase, purse=f"purse {number}")) for number in range(count)]


def allowed(ledger: Clocked, count: int) -> list[Order]:
    accounts = [allowance_account(f"run {number}") for number in range(count)]
    for account in accounts:
        ledger.open_allowance(AllowanceTerms("default", account, ("1000 USD",)))
    return [order("x", 1, (Cap(one, "total", "USD", 10**9),))._replace(path=(one,)) for one in accounts]


@pytest.mark.parametrize("of", [purses, allowed])
def test_three_hundred_purses_or_allowances_cost_a_payment_what_one_does(of: Callable[..., list[Order]]) -> None:
    """By what is done. By time they cost a fifth more, as do 300 ledgers of one purse each: their memory is cold."""
    taken = []
    for count in (1, 300):
        ledger = Clocked()
        orders = cycle(of(ledger, count))
        for _ in range(2 * 300):  # the first payments of an account open it, and prune others
            deliver(ledger, next(orders))
        taken.append(steps_of(lambda ledger=ledger, orders=orders: deliver(ledger, next(orders)), 600))  # type: ignore[misc]
    assert taken[1] < 1.1 * taken[0], taken


@pytest.mark.parametrize(
    "caps", [(Cap("", "day", "USD", 1),), (Cap("", "hour", None, 1),), ()], ids=["sum", "number", ""]
)
@pytest.mark.parametrize("keyed", [False, True])
def test_a_look_costs_the_same_whatever_the_history(caps: tuple[Cap, ...], keyed: bool) -> None:
    ledger = Clocked()
    asked = order("look", 1, caps)
    asked = asked._replace(purchase=replace(asked.purchase, keyed=keyed))

    def look() -> None:
        with suppress(OverLimit):
            ledger.check(asked)

    taken = []
    for many in (20, 2_000):
        for number in range(many):
            deliver(ledger, order(f"{many} {number}", 1))
        held = [ledger.reserve(order(f"open {many} {number}", 1), Attempt()) for number in range(many // 10)]
        assert len(held) == many // 10
        taken.append(steps_of(look, 3))
    assert taken[1] < 1.1 * taken[0], taken


def without_hooks() -> int:
    """Fork as a library of C does, so that Python's own hooks do not run.

    It keeps the interpreter's lock: a thread of the parent may hold it else. No other thread may ask for the lock
    meanwhile: the child would wait for that thread, which it does not have.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.5)
    time.sleep(0.05)  # threads that wait for the lock begin to wait anew, for that long
    try:
        return int(ctypes.PyDLL(None).fork())
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork on this system, so no copy of a ledger.")
@pytest.mark.parametrize("fork", [lambda: os.fork(), without_hooks], ids=["with hooks", "without"])
def test_a_copy_made_by_a_fork_refuses_and_the_parent_goes_on(fork: Callable[[], int]) -> None:
    ledger = Clocked()
    ask = order("p", 5, (Cap("", "day", "USD", 10),))
    deliver(ledger, ask)
    attempt = Attempt()
    hold = ledger.reserve(order("q", 1, ()), attempt)
    assert isinstance(hold, Hold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in programs with threads
        child = fork()
    if child == 0:
        faulthandler.dump_traceback_later(60, exit=True)  # a child that waits says where
        refused = 0
        for question in (
            lambda: ledger.record(hold, signed("n")),
            lambda: ledger.reserve(ask, Attempt()),
            lambda: ledger.claim(ask.purchase, Attempt()),
            ledger.holds,
            lambda: spent(ledger),
        ):
            try:
                question()
            except LedgerUnavailable as failure:
                refused += "fork" in str(failure)
        try:
            deliver(Clocked(), ask)  # one that is made in the child is its own
        finally:
            os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    ledger.release(hold)
    deliver(ledger, ask)
    assert spent(ledger) == 10
