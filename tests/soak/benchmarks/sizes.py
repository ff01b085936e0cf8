"""How figures grow with what is there: hosts of a policy, repeated offers, open and unresolved requests, purses."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from x402_client import Limit, Policy
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.holds import Attempt, Order
from x402_client.model.hosts import Origin
from x402_client.policy.policy import admit

from . import ours
from .crew import interleaved
from .ledgers import redis
from .report import curve

_CAPS = (cap(10**15), cap(10**15, "total"))
_SIGNED = signed()
Orders = Iterator[Order]


def sizes(scale: float) -> str:
    """One line for each thing that grows, and each ledger where it matters. Few and many take turns."""
    rounds, lines = max(3, int(15 * scale)), list[tuple[str, ...]]()
    for what, few, many in (("hosts in a policy", _hosts(1), _hosts(10_000)), ("offers that repeat", *_offers())):
        lines.append(_line(what, "", few, many, rounds))
    with ExitStack() as stack:
        server = stack.enter_context(redis())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for where, make in _ledgers(place, server).items():
            for what, fill, many in _FILLED:
                young, old = make(f"{what} 1"), make(f"{what} {many}")
                asked = [_buying(young, fill(young, 1)), _buying(old, fill(old, many))]
                lines.append(_line(f"{what}, 1 and {many:,}", where, *asked, rounds))
    head = ("what grows", "ledger", "few", "many", "×")
    return curve("What is there costs a payment nothing (the goal is ≤ 1.1 ×; CPU time of this process):", head, lines)


def _line(what: str, where: str, few: Callable[[], float], many: Callable[[], float], rounds: int) -> tuple[str, ...]:
    found = interleaved(rounds, {"few": few, "many": many})
    short, long = median(found["few"]), median(found["many"])
    return what, where, f"{short:,.0f} µs", f"{long:,.0f} µs", f"{long / short:.2f}"


def _timed(step: Callable[[], object], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        step()
    return 1e6 * (time.process_time() - started) / times


def _hosts(count: int) -> Callable[[], float]:
    policy = Policy(per_day="5", hosts={f"h{number}.example.com": Limit(per_day="1") for number in range(count)})
    origin = Origin("https", "h0.example.com", 443)
    return lambda: _timed(lambda: (admit(policy, origin), policy.signs_in(origin), policy.upto(origin, "USD")), 200)


def _offers() -> tuple[Callable[[], float], Callable[[], float]]:
    return lambda: ours.retry("evm1", 10, "async"), lambda: ours.retry("evm1", 10, "async", "", 100)


def _ledgers(place: Path, server: Any) -> dict[str, Callable[[str], Any]]:
    made: dict[str, Callable[[str], Any]] = {
        "memory": lambda name: MemoryLedger(),
        "SQLite": lambda name: SqliteLedger(place / f"{name}.db"),
    }
    if server is not None:
        made["Redis"] = lambda name: RedisLedger(server.url)
    return made


def _buying(ledger: Any, orders: Orders) -> Callable[[], float]:
    def buy() -> None:
        attempt = Attempt()
        ledger.close(ledger.record(ledger.reserve(next(orders), attempt), _SIGNED), "spent", RECEIPT)
        attempt.end()

    return lambda: _timed(buy, 60)


#: Attempts that stay alive, so that their holds stay in flight.
_alive: list[Attempt] = []


def _left_open(ledger: Any, count: int, same: bool) -> Orders:
    for number in range(count):
        attempt, name = Attempt(), "same" if same else f"left {count} {number}"
        ledger.record(ledger.reserve(order(purchase(name, purse=f"{count}{same}"), *_CAPS), attempt), _SIGNED)
        _alive.append(attempt) if same else attempt.end()
    return cycle([order(purchase("same", purse=f"{count}{same}"), *_CAPS)])


def _purses(ledger: Any, count: int) -> Orders:
    return _begun(ledger, [order(purchase("x", purse=f"{count} {number}"), *_CAPS) for number in range(count)])


def _allowances(ledger: Any, count: int) -> Orders:
    orders = []
    for number in range(count):
        account, purse = allowance_account(f"run {number}"), f"allowed {count}"
        ledger.open_allowance(AllowanceTerms(purse, account, ("1000000 USD",)))
        wanted = order(purchase("x", purse=purse), *_CAPS, cap(10**15, "total", account))
        orders.append(wanted._replace(path=(account,)))
    return _begun(ledger, orders)


def _begun(ledger: Any, orders: list[Order]) -> Orders:
    """Buy once under each: an account is opened once, and that is not measured."""
    for wanted in orders:
        attempt = Attempt()
        ledger.close(ledger.record(ledger.reserve(wanted, attempt), _SIGNED), "spent", RECEIPT)
        attempt.end()
    return cycle(orders)


_FILLED: tuple[tuple[str, Callable[[Any, int], Orders], int], ...] = (
    ("identical requests in flight", lambda ledger, count: _left_open(ledger, count, same=True), 1_000),
    ("unresolved purchases", lambda ledger, count: _left_open(ledger, count, same=False), 10_000),
    ("purses", _purses, 300),
    ("allowances", _allowances, 300),
)
