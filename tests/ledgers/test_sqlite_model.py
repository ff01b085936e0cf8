"""Whatever is done to it, the ledger in a file does what the one in memory does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from x402_client.errors import AlreadyPaid, OverLimit, X402Error
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt, Busy, Hold, Spending

_HOSTS = st.sampled_from(["api.example.com", "www.example.com"])
_PURSES = st.sampled_from(["default", "other"])
_CAPS = st.lists(
    st.builds(
        cap,
        st.integers(0, 8).map(lambda n: n * 10_000),
        st.sampled_from(list(WINDOWS)),
        st.sampled_from(["", "*.example.com"]),
    )
    | st.builds(
        lambda most, window: cap(most, window, currency=None), st.integers(0, 6), st.sampled_from(list(WINDOWS))
    ),
    max_size=3,
    unique_by=lambda cap: (cap.window, cap.account, cap.currency),
)
_PURCHASES = st.builds(
    lambda name, key, host, purse: purchase(name, key=key, host=host, purse=purse),
    st.sampled_from("ab"),
    st.sampled_from([None, None, None, "k", "l"]),
    _HOSTS,
    _PURSES,
)


class Twins(RuleBasedStateMachine):
    """Two ledgers, one clock; holds go by pairs."""

    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.at, self.wall, self.nonce = 1_700_000_000.0, 0.0, 0
        self.clock = LedgerClock(lambda: self.at + self.wall, lambda: self.at, lambda: "boot")
        self.memory = MemoryLedger()
        self.memory._now = lambda: self.at  # type: ignore[method-assign]
        self.file = SqliteLedger(self.directory / "ledger.db", clock=self.clock)
        self.attempts: list[tuple[Attempt, Attempt]] = []
        self.both(lambda ledger, which: ledger.release(ledger.reserve(order(), Attempt())))

    def teardown(self) -> None:
        self.file.close_ledger()
        shutil.rmtree(self.directory)

    def both(self, question: Callable[[Any, int], Any]) -> tuple[Any, Any]:
        """Ask both; they answer alike, or fail alike."""
        left, right = (_outcome(question, ledger, which) for which, ledger in enumerate((self.memory, self.file)))
        assert _shape(left) == _shape(right)
        return left, right

    def living(self) -> tuple[Attempt, Attempt]:
        self.attempts.append((Attempt(), Attempt()))
        return self.attempts[-1]

    @rule(target=pairs, bought=_PURCHASES, caps=_CAPS, price=st.sampled_from(["0.01", "0.02"]), sign=st.booleans())
    def reserve(self, bought: Any, caps: Any, price: str, sign: bool) -> Any:
        self.at += 0.25
        attempts = self.living()
        pair = self.both(lambda ledger, which: ledger.reserve(order(bought, *caps, price=price), attempts[which]))
        if sign and isinstance(pair[0], Hold) and pair[0].state == "reserved":
            return (*self.recorded(pair), attempts)
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
        return self.both(lambda ledger, which: ledger.record(pair[which], signed(str(self.nonce), f"h{self.nonce}")))

    @rule(pair=pairs, what=st.sampled_from(["release", "write_off", "conclude", "unsettled", "close"]))
    def finish(self, pair: Any, what: str) -> None:
        if not isinstance(pair[0], Hold):
            return
        done: dict[str, Callable[[Any, Hold], Any]] = {
            "release": lambda ledger, hold: ledger.release(hold),
            "write_off": lambda ledger, hold: ledger.write_off(hold),
            "conclude": lambda ledger, hold: ledger.conclude(hold, True),
            "unsettled": lambda ledger, hold: ledger.conclude(hold, False),
            "close": lambda ledger, hold: ledger.close(hold, "spent", RECEIPT),
        }
        self.both(lambda ledger, which: done[what](ledger, pair[which]))

    @rule(pair=consumes(pairs))
    def end(self, pair: Any) -> None:
        for attempt in pair[2]:
            attempt.end()
        self.give_back()

    @precondition(lambda self: self.attempts)
    @rule()
    def end_all(self) -> None:
        for pair in self.attempts:
            for attempt in pair:
                attempt.end()
        self.attempts.clear()
        self.give_back()

    def give_back(self) -> None:
        """What ended unsigned is given back sooner or later; here, at once by both."""
        self.memory._reap(self.memory._rows.values())
        self.file._catch_up()

    @rule(seconds=st.sampled_from([0.25, 1.0, 59.75, 61.0, 3_600.0, 3_661.0, 86_400.0, 31 * 86_400.0]))
    def wait(self, seconds: float) -> None:
        self.at += seconds

    @rule(seconds=st.sampled_from([-1e6, 1e6]))
    def set_the_clock(self, seconds: float) -> None:
        self.wall += seconds

    @rule(pattern=st.sampled_from(["*", "api.example.com", "*.example.com"]))
    def freeze_for_a_moment(self, pattern: str) -> None:
        self.both(lambda ledger, which: ledger.freeze(pattern))
        self.both(lambda ledger, which: ledger.claim(purchase("frozen"), Attempt()))
        self.both(lambda ledger, which: ledger.unfreeze(pattern))

    @rule()
    def reopen(self) -> None:
        """Another object on the same file, in the same process; attempts live on."""
        self.older = self.file
        self.file = SqliteLedger(self.directory / "ledger.db", clock=self.clock)
        self.older._catch_up()
        self.kept = [*getattr(self, "kept", []), self.older]

    @invariant()
    def they_agree(self) -> None:
        for ledger in getattr(self, "kept", []):
            ledger._catch_up()
        for purse in ("default", "other"):
            self.both(lambda ledger, which, purse=purse: sorted(map(_told, ledger.holds(purse))))
            self.both(lambda ledger, which, purse=purse: list(map(_told, ledger.history(50, purse))))
            for window in WINDOWS:
                for account in ("", "api.example.com", "*.example.com"):
                    asked = Spending(account, window, "USD", purse)
                    self.both(lambda ledger, which, asked=asked: ledger.spent(asked))


def _outcome(question: Callable[[Any, int], Any], ledger: Any, which: int) -> Any:
    try:
        return question(ledger, which)
    except X402Error as failure:
        return failure


def _shape(found: Any) -> Any:
    """What two ledgers have to agree on: all but the ids."""
    if isinstance(found, OverLimit):
        return (type(found), found.limit, found.asked, found.spent, found.resets_at, found.offer, str(found))
    if isinstance(found, AlreadyPaid):
        return (type(found), _told(found.hold), found.receipt)
    if isinstance(found, X402Error):
        return type(found)
    if isinstance(found, Busy):
        return (Busy, _told(found.hold))
    if isinstance(found, Hold):
        header = found.authorization.header if found.authorization else None
        return (_told(found), header)
    return found


def _told(hold: Hold) -> Any:
    bought = hold.purchase
    facts = (hold.created, hold.state, hold.money, hold.tries, hold.nonce or "", hold.price.units)
    return (*facts, str(hold.offer), bought.id, bought.request, str(bought.origin), hold.receipt is None)


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
