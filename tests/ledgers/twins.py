"""A ledger beside the one in memory: both are asked the same, in any order, and have to answer alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from x402_client.errors import AlreadyPaid, OverLimit, X402Error
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.allowances import AllowanceRecord, AllowanceTerms, allowance_account
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt, Authorization, Busy, Hold, Spending

_WINDOWS = st.sampled_from(list(WINDOWS))
_CAPS = st.lists(
    st.builds(cap, st.integers(0, 8).map(lambda n: n * 10_000), _WINDOWS, st.sampled_from(["", "*.example.com"]))
    | st.builds(lambda most, window: cap(most, window, currency=None), st.integers(0, 6), _WINDOWS),
    max_size=3,
    unique_by=lambda cap: (cap.window, cap.account, cap.currency),
)
_PURCHASES = st.builds(
    lambda name, key, host: {"name": name, "key": key, "host": host},
    st.sampled_from("ab"),
    st.sampled_from([None, None, None, "k", "l"]),
    st.sampled_from(["api.example.com", "www.example.com"]),
)
#: A tree of allowances in the first purse: by account, its parent and its seconds.
RUN, STEP, TIMED = (allowance_account(name) for name in ("run", "step", "timed"))
_TREE = {RUN: (None, None), STEP: (RUN, None), TIMED: (RUN, 3_600)}
_PATHS = st.sampled_from([(), (), (RUN,), (RUN, STEP), (RUN, TIMED)])
_ALLOWED = tuple(cap(40_000, "total", account) for account in _TREE)


class Twins(RuleBasedStateMachine):
    """Two ledgers on one clock; holds go by pairs, the other ledger's first."""

    #: The purses that are used.
    purses: ClassVar[tuple[str, ...]] = ("default", "other")
    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.nonce, self.attempts = 0, list[tuple[Attempt, Attempt]]()
        self.memory, self.other = MemoryLedger(), self.open()
        self.memory._now = self.now  # type: ignore[method-assign]
        self.both(lambda ledger, which: ledger.release(ledger.reserve(order(), Attempt())))
        for account, (parent, seconds) in _TREE.items():
            terms = AllowanceTerms("default", account, ("0.04 USD",), seconds, parent=parent)
            self.both(lambda ledger, which, terms=terms: _kept(ledger.open_allowance(terms)))

    # --- what differs between ledgers

    def open(self) -> Any:
        """Return the other ledger, empty."""
        raise NotImplementedError

    def now(self) -> float:
        """Return the time at which the other ledger gave its last answer."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Move the clock of both."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Let the other ledger give back what ended unsigned, which it does sooner or later by itself."""

    # --- the same for all

    def both(self, question: Callable[[Any, int], Any]) -> tuple[Any, Any]:
        """Ask both, the other one first; they answer alike, or fail alike."""
        other, memory = (_outcome(question, ledger, which) for which, ledger in enumerate((self.other, self.memory)))
        assert _shape(other) == _shape(memory)
        return other, memory

    def living(self) -> tuple[Attempt, Attempt]:
        self.attempts.append((Attempt(), Attempt()))
        return self.attempts[-1]

    def bought(self, said: dict[str, Any], purse: int) -> Any:
        return purchase(said["name"], key=said["key"], host=said["host"], purse=self.purses[purse % len(self.purses)])

    @rule(
        target=pairs,
        bought=_PURCHASES,
        purse=st.integers(0, 1),
        caps=_CAPS,
        price=st.sampled_from(["0.01", "0.02"]),
        sign=st.sampled_from(["not yet", "after", "before"]),
        path=_PATHS,
    )
    def reserve(self, bought: Any, purse: int, caps: Any, price: str, sign: str, path: tuple[str, ...]) -> Any:
        self.pass_time(0.25)
        path = () if purse % len(self.purses) else path
        allowed = [one for one in _ALLOWED if one.account in path]
        attempts, asked = self.living(), order(self.bought(bought, purse), *caps, *allowed, price=price, path=path)
        if sign == "before":
            asked = asked._replace(signed=self.signature())
        looked = self.both(lambda ledger, which: ledger.check(asked))
        pair = self.both(lambda ledger, which: ledger.reserve(asked, attempts[which]))
        if not (isinstance(pair[0], Hold) and pair[0].tries):  # what is claimed is no look's business
            assert [isinstance(one, Hold) or type(one) for one in pair] == [one is None or type(one) for one in looked]
        if sign == "before" and isinstance(pair[0], Hold):
            assert pair[0].state == "signed"
            assert pair[0].tries or pair[0].used == pair[1].used
        if sign == "after" and isinstance(pair[0], Hold) and pair[0].state == "reserved":
            pair = self.recorded(pair)
        return (*pair, attempts)

    @rule(bought=_PURCHASES, purse=st.integers(0, 1))
    def claim(self, bought: Any, purse: int) -> None:
        attempts, asked = self.living(), self.bought(bought, purse)
        self.both(lambda ledger, which: ledger.claim(asked, attempts[which]))

    @rule(pair=pairs)
    def record(self, pair: Any) -> None:
        if isinstance(pair[0], Hold):
            self.recorded(pair)

    def recorded(self, pair: Any) -> tuple[Any, Any]:
        made = self.signature()
        return self.both(lambda ledger, which: ledger.record(pair[which], made))

    def signature(self) -> Authorization:
        self.nonce += 1
        return signed(str(self.nonce), f"h{self.nonce}")

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
        self.memory._reap(self.memory._rows.values())
        self.catch_up()

    @rule(seconds=st.sampled_from([0.25, 1.0, 59.75, 61.0, 3_600.0, 3_661.0, 86_400.0, 31 * 86_400.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(pattern=st.sampled_from(["*", "api.example.com", "*.example.com"]))
    def freeze_for_a_moment(self, pattern: str) -> None:
        self.both(lambda ledger, which: ledger.freeze(pattern))
        self.both(lambda ledger, which: ledger.claim(purchase("frozen"), Attempt()))
        self.both(lambda ledger, which: ledger.unfreeze(pattern))

    @rule(account=st.sampled_from([RUN, STEP]), mark=st.sampled_from(["open", "open", "open", "frozen", "closed"]))
    def mark(self, account: str, mark: Any) -> None:
        self.both(lambda ledger, which: ledger.mark_allowance("default", account, mark))

    @invariant()
    def they_agree(self) -> None:
        self.both(lambda ledger, which: [_kept(record) for record in ledger.allowances("default")])
        for purse in self.purses:
            self.both(lambda ledger, which, purse=purse: sorted(map(_told, ledger.holds(purse))))
            self.both(lambda ledger, which, purse=purse: list(map(_told, ledger.history(50, purse))))
            for window in WINDOWS:
                for account in ("", "api.example.com"):
                    asked = Spending(account, window, "USD", purse)
                    self.both(lambda ledger, which, asked=asked: ledger.spent(asked))
                self.agree_on_a_pattern(Spending("*.example.com", window, "USD", purse))
            self.totals_are_the_sum_of_the_rows(purse)

    def totals_are_the_sum_of_the_rows(self, purse: str) -> None:
        """Add up, of the one in memory: the other one has the same. The command takes a difference for lost rows."""
        rows = (*self.memory.holds(purse), *self.memory.history(500, purse))
        assert self.memory.spent(Spending("", "total", "USD", purse)) == sum(hold.price.units for hold in rows)

    def agree_on_a_pattern(self, asked: Spending) -> None:
        """Compare what counts below a pattern."""
        self.both(lambda ledger, which: ledger.spent(asked))


def _outcome(question: Callable[[Any, int], Any], ledger: Any, which: int) -> Any:
    try:
        return question(ledger, which)
    except X402Error as failure:
        return failure


def _shape(found: Any) -> Any:
    """Return what two ledgers have to agree on: all but the ids."""
    if isinstance(found, OverLimit):
        said = re.sub(r" UTC, in [^;]+;", " UTC;", str(found))  # each tells it by its own clock
        return (type(found), found.limit, found.asked, found.spent, found.resets_at, found.offer, said)
    if isinstance(found, AlreadyPaid):
        return (type(found), _told(found.hold), found.receipt)
    if isinstance(found, X402Error):
        return type(found)
    if isinstance(found, Busy):
        return (Busy, _told(found.hold))
    if isinstance(found, Hold):
        header = found.authorization.header if found.authorization else None
        return (_told(found), header, found.used if found.state == "reserved" else ())
    return found


def _told(hold: Hold) -> Any:
    bought = hold.purchase
    facts = (hold.created, hold.state, hold.money, hold.tries, hold.nonce or "", hold.price.units, hold.path)
    return (*facts, str(hold.offer), bought.id, bought.request, str(bought.origin), hold.receipt is None)


def _kept(record: AllowanceRecord) -> Any:
    """Return all of an allowance but the moment when it was opened: a server's clock goes on by itself.

    One may tell of a currency in which nothing counts, another one may not.
    """
    lasts = None if record.until is None else round(record.until - record.opened)
    return record.terms, lasts, record.state, [each for each in record.counted if each[1]]
