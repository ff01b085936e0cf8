"""The port of a ledger on a server, for sync and async callers: every method is some steps, run over a connection."""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakMethod, WeakSet

from ...core.drive import arun, run
from ...errors import MoneyState, X402Error
from ...model.allowances import AllowanceMark, AllowanceRecord, AllowanceTerms
from ...model.holds import Attempt, Authorization, Busy, Hold, LastAnswer, Order, Purchase, Spending
from ...model.offers import Receipt
from .claims import Claims
from .heartbeat import LeaseThread
from .lines import AsyncLine, EndsLine, SyncLine
from .lives import Lives
from .steps import LedgerSteps
from .trust import Steps, Store, TrustedServer

T = TypeVar("T")
#: Heartbeats in one lease.
_BEATS = 8
#: Sends the end of a purchase without waiting, and returns what waits for the answer.
_Start = Callable[[Steps[None]], "Callable[[], None] | None"]


class AsyncServedLedger:
    """Async twin of a ledger on a server."""

    #: What was bought of a seller is looked for in ``history``.
    bought = None

    drift: float = 0.0
    #: It is async itself.
    asynchronous = impatient = None

    def __init__(self, steps: LedgerSteps, connection: AsyncLine, start: _Start) -> None:
        self._steps, self._connection, self._start = steps, connection, start

    @property
    def fresh(self) -> bool:
        """Return True if a purse was used for the first time, so that its budgets start at zero."""
        return self._steps.server.fresh

    @property
    def beside(self) -> tuple[str, ...]:
        """Return the other purses that were there when that one began."""
        return self._steps.server.beside

    @property
    def must_exist(self) -> bool:
        """Return True if a purse that was never used is refused."""
        return self._steps.server.must_exist

    @property
    def name(self) -> str:
        """Return the server's address, without user and password."""
        return self._steps.server.store.shown

    async def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        """Return a new hold, or the unresolved one, claimed."""
        return await self._run(self._steps.reserve(order, attempt))

    async def check(self, order: Order) -> Busy | None:
        """Raise what ``reserve`` would raise for an order. Nothing is counted or claimed."""
        return await self._run(self._steps.check(order))

    async def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        """Claim the unresolved hold of this purchase; None if there is none."""
        return await self._run(self._steps.claim(purchase, attempt))

    async def record(self, hold: Hold, authorization: Authorization) -> Hold:
        """Keep what was signed, before it leaves the machine."""
        return await self._run(self._steps.record(hold, authorization))

    async def release(self, hold: Hold) -> None:
        """Give back what was held and never sent."""
        await self._run(self._steps.release(hold))

    async def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> None:
        """Resolve a delivered purchase. It stays counted."""
        await self._run(self._steps.close(hold, money, receipt))

    def send_close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Callable[[], None] | None:
        """Send ``close`` now. Return a function that waits for the answer; None if ``close`` has to be called."""
        return self._start(self._steps.close(hold, money, receipt))

    async def write_off(self, hold: Hold) -> Hold:
        """Give up an unresolved purchase, as the user decided. It counts as spent."""
        return await self._run(self._steps.write_off(hold))

    async def conclude(self, hold: Hold, settled: bool) -> bool:
        """Apply the chain's answer: give an unsettled hold back, or mark a settled one as spent and keep it open.

        Return False if the hold is gone or an attempt presents it at this moment. Then nothing changes.
        """
        return await self._run(self._steps.conclude(hold, settled))

    async def note(self, hold: Hold, last: LastAnswer) -> None:
        """Keep the last answer to an open payment, to be shown."""
        await self._run(self._steps.note(hold, last))

    async def spent(self, question: Spending) -> int:
        """Return the millionths counted in a window."""
        return await self._run(self._steps.spent(question))

    async def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return every purchase of a purse that is not resolved."""
        return await self._run(self._steps.holds(purse))

    async def owed(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return the open amounts of a purse, oldest first."""
        return await self._run(self._steps.owed(purse))

    async def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        """Return the latest resolved purchases of a purse, newest first."""
        return await self._run(self._steps.history(limit, purse))

    async def freeze(self, pattern: str) -> None:
        """Stop payments to a host pattern, or all of them with ``*``: of every purse, in every program."""
        await self._run(self._steps.freeze(pattern))

    async def unfreeze(self, pattern: str) -> None:
        """Lift a freeze."""
        await self._run(self._steps.freeze(pattern, thaw=True))

    async def freezes(self) -> tuple[str, ...]:
        """Return the patterns that are frozen, sorted."""
        return await self._run(self._steps.freezes())

    async def open_allowance(self, terms: AllowanceTerms) -> AllowanceRecord:
        """Return the allowance of this name. It is made if there is none; else its terms stay."""
        return await self._run(self._steps.open_allowance(terms))

    async def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        """Freeze, lift, close or forget an allowance, in every program. Return False if there is none."""
        return await self._run(self._steps.mark_allowance(purse, account, mark))

    async def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        """Return every allowance of a purse, or those of these accounts, the oldest first."""
        return await self._run(self._steps.allowances(purse, accounts))

    async def purses(self) -> tuple[str, ...]:
        """Return the names of the purses in the ledger, sorted."""
        return await self._run(self._steps.purses())

    async def accept(self) -> bool:
        """Go on with what is there after the server lost payments. Running programs write back what they remember."""
        return await self._run(self._steps.accept())

    async def close_ledger(self) -> None:
        """Close the connections of the running event loop."""
        await self._connection.close()

    async def _run(self, steps: Steps[T]) -> T:
        return await arun(steps, self._connection.send)


class ServedLedger(ABC):
    """Ledger on a server, for sync callers. ``asynchronous`` is the same ledger for async ones."""

    #: What was bought of a seller is looked for in ``history``.
    bought = None

    #: The ledger has the server's clock, so a change of the machine's clock does not matter.
    drift: float = 0.0
    #: Async callers use ``asynchronous``. Each kind of ledger has a twin of its own.
    impatient = None
    asynchronous: Any

    def __init__(self, store: Store, lease: float, must_exist: bool) -> None:
        self._store, self._lease = store, lease
        self.must_exist: bool = must_exist
        self._build()
        _LEDGERS.add(self)

    @abstractmethod
    def _lines(self) -> tuple[SyncLine, AsyncLine, EndsLine]:
        """Return new connections. None of them is open yet."""

    @abstractmethod
    def _twin(self, *parts: Any) -> AsyncServedLedger:
        """Return the ledger for async callers, made of its steps, its connection and what sends an end."""

    def _build(self, old: LedgerSteps | None = None) -> None:
        self._claims = Claims()
        self._lease_thread = LeaseThread(self._claims, self._lease / _BEATS, WeakMethod(self._beat))
        self._connection, lines, self._ends = self._lines()
        server = TrustedServer(self._store, self._lease, self._claims, self.must_exist)
        if old is not None:
            server.inherit(old.server)
        self._steps = LedgerSteps(server, self._claims, self._lease_thread.start)
        self.asynchronous = self._twin(self._steps, lines, self._ends.start)

    @property
    def fresh(self) -> bool:
        """Return True if a purse was used for the first time, so that its budgets start at zero."""
        return self._steps.server.fresh

    @property
    def beside(self) -> tuple[str, ...]:
        """Return the other purses that were there when that one began."""
        return self._steps.server.beside

    @property
    def name(self) -> str:
        """Return the server's address, without user and password."""
        return self._store.shown

    def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        """Return a new hold, or the unresolved one, claimed."""
        return self._run(self._steps.reserve(order, attempt))

    def check(self, order: Order) -> Busy | None:
        """Raise what ``reserve`` would raise for an order. Nothing is counted or claimed."""
        return self._run(self._steps.check(order))

    def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        """Claim the unresolved hold of this purchase; None if there is none."""
        return self._run(self._steps.claim(purchase, attempt))

    def record(self, hold: Hold, authorization: Authorization) -> Hold:
        """Keep what was signed, before it leaves the machine."""
        return self._run(self._steps.record(hold, authorization))

    def release(self, hold: Hold) -> None:
        """Give back what was held and never sent."""
        self._run(self._steps.release(hold))

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> None:
        """Resolve a delivered purchase. It stays counted."""
        self._run(self._steps.close(hold, money, receipt))

    def send_close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Callable[[], None] | None:
        """Send ``close`` now. Return a function that waits for the answer; None if ``close`` has to be called."""
        return self._ends.start(self._steps.close(hold, money, receipt))

    def write_off(self, hold: Hold) -> Hold:
        """Give up an unresolved purchase, as the user decided. It counts as spent."""
        return self._run(self._steps.write_off(hold))

    def conclude(self, hold: Hold, settled: bool) -> bool:
        """Apply the chain's answer: give an unsettled hold back, or mark a settled one as spent and keep it open.

        Return False if the hold is gone or an attempt presents it at this moment. Then nothing changes.
        """
        return self._run(self._steps.conclude(hold, settled))

    def note(self, hold: Hold, last: LastAnswer) -> None:
        """Keep the last answer to an open payment, to be shown."""
        self._run(self._steps.note(hold, last))

    def spent(self, question: Spending) -> int:
        """Return the millionths counted in a window."""
        return self._run(self._steps.spent(question))

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return every purchase of a purse that is not resolved."""
        return self._run(self._steps.holds(purse))

    def owed(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return the open amounts of a purse, oldest first."""
        return self._run(self._steps.owed(purse))

    def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        """Return the latest resolved purchases of a purse, newest first."""
        return self._run(self._steps.history(limit, purse))

    def freeze(self, pattern: str) -> None:
        """Stop payments to a host pattern, or all of them with ``*``: of every purse, in every program."""
        self._run(self._steps.freeze(pattern))

    def unfreeze(self, pattern: str) -> None:
        """Lift a freeze."""
        self._run(self._steps.freeze(pattern, thaw=True))

    def freezes(self) -> tuple[str, ...]:
        """Return the patterns that are frozen, sorted."""
        return self._run(self._steps.freezes())

    def open_allowance(self, terms: AllowanceTerms) -> AllowanceRecord:
        """Return the allowance of this name. It is made if there is none; else its terms stay."""
        return self._run(self._steps.open_allowance(terms))

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        """Freeze, lift, close or forget an allowance, in every program. Return False if there is none."""
        return self._run(self._steps.mark_allowance(purse, account, mark))

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        """Return every allowance of a purse, or those of these accounts, the oldest first."""
        return self._run(self._steps.allowances(purse, accounts))

    def purses(self) -> tuple[str, ...]:
        """Return the names of the purses in the ledger, sorted."""
        return self._run(self._steps.purses())

    def accept(self) -> bool:
        """Go on with what is there after the server lost payments. ``x402 ledger accept`` does this.

        Programs that still run write back the payments that they remember as unresolved, with their amounts. After a
        loss it waits five seconds for them. Payments that were resolved and lost are no longer counted.
        Return False if nothing was lost.
        """
        return self._run(self._steps.accept())

    def check_can_begin(self) -> None:
        """Refuse a server whose settings refuse a payment. Nothing is made."""
        self._run(self._steps.server.check_settings())

    def close_ledger(self) -> None:
        """Close the connections and give up the claims of attempts that ended. The next use connects again.

        The rule: "in flight while the attempt that claimed it is provably alive". So a call that still pays keeps its
        claim, and the lease is renewed for it.
        """
        with contextlib.suppress(X402Error):
            self._run(self._steps.give_up_ended())
        self._lease_thread.rest()
        self._ends.close()
        self._connection.close()

    def _beat(self, purse: str) -> None:
        self._ends.open()
        self._run(self._steps.beat(purse))

    def _run(self, steps: Steps[T]) -> T:
        return run(steps, self._connection.send)

    def __repr__(self) -> str:
        known: Store | None = vars(self).get("_store")  # a traceback may show one that was not made
        return f"{type(self).__name__}({'' if known is None else known.shown!r})"


_LEDGERS: WeakSet[ServedLedger] = WeakSet()


def _forking() -> None:
    """Take the lock of each ledger. A lock that another thread has during a fork stays taken in the child."""
    locked = _LOCKED_FOR_FORK.setdefault(threading.get_ident(), [])
    for ledger in list(_LEDGERS):
        lives = ledger._steps.server.lives
        lives.lock.acquire()
        locked.append(lives)


def _forked_parent() -> None:
    for lives in _LOCKED_FOR_FORK.pop(threading.get_ident(), ()):
        lives.lock.release()


def _forget_parent() -> None:
    """Give a forked child an owner's name of its own. The parent's claims stay the parent's."""
    _LOCKED_FOR_FORK.clear()
    for ledger in list(_LEDGERS):
        ledger._build(ledger._steps)


#: Lives that are locked during a fork, by the thread that forks.
_LOCKED_FOR_FORK: dict[int, list[Lives]] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forking, after_in_parent=_forked_parent, after_in_child=_forget_parent)
