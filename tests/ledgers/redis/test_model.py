"""Whatever is done to it, the ledger in Redis does what the one in memory does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from x402_client.errors import AlreadyPaid, OverLimit, X402Error
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt, Busy, Hold, Spending

from .server import Server

META = "{x402:default}:meta"
_WINDOWS = st.sampled_from(list(WINDOWS))
_CAPS = st.lists(
    st.builds(cap, st.integers(0, 8).map(lambda n: n * 10_000), _WINDOWS, st.sampled_from(["", "*.example.com"]))
    | st.builds(lambda most, window: cap(most, window, currency=None), st.integers(0, 6), _WINDOWS),
    max_size=3,
    unique_by=lambda cap: (cap.window, cap.account, cap.currency),
)
_PURCHASES = st.builds(
    lambda name, key, host: purchase(name, key=key, host=host),
    st.sampled_from("ab"),
    st.sampled_from([None, None, "k", "l"]),
    st.sampled_from(["api.example.com", "www.example.com"]),
)


def _shape(answer: Any) -> Any:
    """An answer as both ledgers have to give it: ids differ."""
    if isinstance(answer, Busy):
        return ("busy", answer.hold.purchase)
    if isinstance(answer, Hold):
        header = answer.authorization.header if answer.authorization else None
        return (answer.purchase, answer.state, answer.money, answer.tries, answer.nonce, header, answer.price)
    if isinstance(answer, AlreadyPaid):
        return ("paid", answer.receipt)
    if isinstance(answer, OverLimit):
        return (str(answer), answer.limit, answer.asked, answer.spent, answer.resets_at)
    if isinstance(answer, X402Error):
        return type(answer), str(answer) if "Hold" not in str(answer) else ""
    return answer


class Twins(RuleBasedStateMachine):
    """Two ledgers, one clock: Redis answers first, and the other takes the time from it."""

    server: ClassVar[Server]
    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client
        self.client.flushall()
        self.redis, self.memory, self.nonce = RedisLedger(self.server.url), MemoryLedger(), 0
        self.memory._now = lambda: int(self.client.hget(META, "clock")) / 1e6  # type: ignore[method-assign]
        self.attempts: list[tuple[Attempt, Attempt]] = []
        self.redis.holds()

    def teardown(self) -> None:
        self.redis.close_ledger()
        self.client.close()

    def both(self, question: Callable[[Any, int], Any]) -> tuple[Any, Any]:
        answers = []
        for which, ledger in enumerate((self.redis, self.memory)):
            try:
                answers.append(question(ledger, which))
            except X402Error as failure:
                answers.append(failure)
        assert _shape(answers[0]) == _shape(answers[1])
        return answers[0], answers[1]

    def living(self) -> tuple[Attempt, Attempt]:
        self.attempts.append((Attempt(), Attempt()))
        return self.attempts[-1]

    @rule(target=pairs, bought=_PURCHASES, caps=_CAPS, price=st.sampled_from(["0.01", "0.02"]), sign=st.booleans())
    def reserve(self, bought: Any, caps: Any, price: str, sign: bool) -> Any:
        attempts = self.living()
        pair = self.both(lambda ledger, which: ledger.reserve(order(bought, *caps, price=price), attempts[which]))
        if sign and isinstance(pair[0], Hold) and pair[0].state == "reserved":
            pair = self.recorded(pair)
        return (*pair, attempts)

    @rule(bought=_PURCHASES)
    def claim(self, bought: Any) -> None:
        attempts = self.living()
        self.both(lambda ledger, which: ledger.claim(bought, attempts[which]))

    @rule(pair=pairs)
    def record(self, pair: Any) -> None:
        if isinstance(pair[0], Hold):
            self.recorded(pair)

    def recorded(self, pair: Any) -> tuple[Any, Any]:
        self.nonce += 1
        made = signed(str(self.nonce), f"h{self.nonce}")
        return self.both(lambda ledger, which: ledger.record(pair[which], made))

    @rule(pair=pairs, what=st.sampled_from(["release", "write_off", "settled", "unsettled", "close"]))
    def finish(self, pair: Any, what: str) -> None:
        if not isinstance(pair[0], Hold):
            return
        done: dict[str, Callable[[Any, Hold], Any]] = {
            "release": lambda ledger, hold: ledger.release(hold),
            "write_off": lambda ledger, hold: ledger.write_off(hold),
            "settled": lambda ledger, hold: ledger.conclude(hold, True),
            "unsettled": lambda ledger, hold: ledger.conclude(hold, False),
            "close": lambda ledger, hold: ledger.close(hold, "spent", RECEIPT),
        }
        self.both(lambda ledger, which: done[what](ledger, pair[which]))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def end(self, data: Any) -> None:
        for attempt in self.attempts.pop(data.draw(st.integers(0, len(self.attempts) - 1))):
            attempt.end()
        self.memory._reap(self.memory._rows.values())

    @rule(seconds=st.sampled_from([0.25, 1.0, 59.75, 61.0, 3_600.0, 3_661.0, 86_400.0, 31 * 86_400.0]))
    def wait(self, seconds: float) -> None:
        self.client.hset(META, "clock", int(self.client.hget(META, "clock")) + int(seconds * 1e6))

    @rule(pattern=st.sampled_from(["*", "api.example.com", "*.example.com"]))
    def freeze_for_a_moment(self, pattern: str) -> None:
        self.both(lambda ledger, which: ledger.freeze(pattern))
        self.both(lambda ledger, which: ledger.claim(purchase("frozen"), Attempt()))
        self.both(lambda ledger, which: ledger.unfreeze(pattern))

    @invariant()
    def alike(self) -> None:
        for window in WINDOWS:
            for account in ("", "api.example.com", "*.example.com"):
                self.both(lambda ledger, which: ledger.spent(Spending(account, window, "USD")))  # noqa: B023
        held = [sorted(map(repr, map(_shape, ledger.holds()))) for ledger in (self.redis, self.memory)]
        assert held[0] == held[1]
        past = [list(map(_shape, ledger.history(100))) for ledger in (self.redis, self.memory)]
        assert past[0] == past[1]


@pytest.fixture(scope="module")
def running() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        Twins.server = Server(Path(directory))
        yield
        Twins.server.kill()


def test_the_twins_stay_alike(running: None) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    few = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(Twins, settings=few)
