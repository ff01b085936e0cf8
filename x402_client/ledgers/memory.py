"""The ledger in memory: correct between threads and tasks, gone with the process."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable

from ..errors import MoneyState
from ..model.allowances import AllowanceMark, AllowanceRecord, AllowanceTerms
from ..model.holds import Attempt, Authorization, Busy, Hold, HoldState, LastAnswer, Order, Purchase, Spending
from ..model.offers import Receipt
from . import refusals
from .memory_copies import CopiedLock, refuse_in_child
from .memory_rows import Past, Row, Step, check_key, hold_of, past_of
from .memory_sums import SumsInMemory
from .owed import OwedInMemory, settle
from .rows import new_hold

#: Resolved purchases that ``history`` can show. Budgets and keys remember all of them.
_HISTORY = 500


class MemoryLedger(SumsInMemory):
    """Budgets, holds and keys of one process."""

    name = ":memory:"
    #: It always starts at zero, so there is no first use to report.
    fresh = must_exist = False
    beside: tuple[str, ...] = ()
    #: Its one lock is held for microseconds, so async callers need no twin.
    asynchronous = impatient = send_close = bought = None

    def __init__(self) -> None:
        super().__init__()
        self._lock: threading.Lock | CopiedLock = threading.Lock()
        self._process = os.getpid()
        self._rows: dict[str, Row] = self._open.rows
        self._keys: dict[str, Past] = {}
        self._frozen: set[str] = set()
        #: Flat tuples take little memory: there are many, and few are ever shown.
        self._history: deque[Past] = deque(maxlen=_HISTORY)
        self._owed = OwedInMemory(self._history)
        refuse_in_child(self)

    def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        """Return a new hold, or the unresolved one, claimed."""
        self._refuse_copy()
        with self._lock:
            found = self._claim(order.purchase, attempt)
            if found is not None:
                return found
            return self._reserve(order, attempt)

    def check(self, order: Order) -> Busy | None:
        """Raise what ``reserve`` would raise for an order. Nothing is counted or claimed, and no account is opened."""
        self._refuse_copy()
        purchase = order.purchase
        with self._lock:
            self._mend()
            refusals.check_frozen(self._frozen, purchase)
            busy = self._open.busy(purchase, self._keys.get(purchase.id)) if purchase.keyed else None
            if busy is not None:
                return busy
            self._check_allowances(purchase.purse, order.path)
            now = self._now()
            if self._over_seeded(order, now):
                self._reap(self._open.lapsed())
                exceeded = self._over_seeded(order, now)
                if exceeded:
                    raise refusals.over_limit(order, exceeded, now)
            return None

    def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        """Claim the unresolved hold of this purchase; None if there is none."""
        self._refuse_copy()
        with self._lock:
            return self._claim(purchase, attempt)

    def record(self, hold: Hold, authorization: Authorization) -> Hold:
        """Keep what was signed, before it leaves the machine."""
        self._refuse_copy()
        with self._lock:
            row = self._rows.get(hold.id)
            if row is None or row.hold.state != "reserved":
                raise refusals.hold_is_gone()
            refusals.check_frozen(self._frozen, hold.purchase)
            self._check_allowances(hold.purchase.purse, row.hold.path)
            row.hold = hold.but(authorization=authorization, state="signed")
            return row.hold

    def release(self, hold: Hold) -> None:
        """Give back what was held and never sent. A signed hold stays as it is, with its claim."""
        with self._lock:
            self._mend()
            row = self._rows.get(hold.id)
            if row is not None and row.hold.state == "reserved":
                self._drop(row)
                self._open.amid = None

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> None:
        """Resolve a delivered purchase. It stays counted."""
        with self._lock:
            if self._open.amid is not None:
                self._mend()
            row = self._rows.get(hold.id)
            if row is not None:
                self._resolve(row, "delivered", money, receipt)

    def write_off(self, hold: Hold) -> Hold:
        """Give up an unresolved purchase, as the user decided. It counts as spent."""
        with self._lock:
            self._mend()
            row = self._rows.get(hold.id)
            if row is None or row.hold.state != "signed" or row.in_flight:
                raise refusals.nothing_to_write_off(hold)
            return hold_of(self._resolve(row, "written_off", "spent", None))

    def conclude(self, hold: Hold, settled: bool) -> bool:
        """Apply the chain's answer: give an unsettled hold back, or mark a settled one as spent and keep it open.

        Return False if the hold is gone or an attempt presents it at this moment. Then nothing changes.
        """
        with self._lock:
            self._mend()
            row = self._rows.get(hold.id)
            if row is None:
                return self._owed.conclude(hold, settled)
            if row.hold.state != "signed" or row.in_flight:
                return False
            if settled:
                settle(row, hold)
            else:
                self._drop(row)
                self._open.amid = None
            return True

    @property
    def drift(self) -> float:
        """Return the seconds by which the ledger's time is ahead of the machine's clock."""
        return self._now() - time.time()

    def note(self, hold: Hold, last: LastAnswer) -> None:
        """Keep the last answer to an unresolved payment."""
        with self._lock:
            row = self._rows.get(hold.id)
            if row is not None:
                row.hold = row.hold.but(last=last.after(row.hold.last))

    def spent(self, question: Spending) -> int:
        """Return the millionths counted in a window."""
        with self._lock:
            self._mend()
            purse, name, currency = question.purse, question.account, question.currency
            known = self._accounts.get((purse, name, currency))
            counted = self._of_hosts(purse, name, currency) if known is None else [known]
            return sum(account.roll(question.window, self._now()) for account in counted)

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return every purchase of a purse that is not resolved."""
        with self._lock:
            self._mend()
            found = [row for row in self._rows.values() if row.hold.purchase.purse == purse]
            return tuple(row.hold.shown_as(in_flight=row.in_flight) for row in found)

    def owed(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return the open amounts of a purse, oldest first."""
        with self._lock:
            self._mend()
            return self._owed.of(purse)

    def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        """Return the latest resolved purchases of a purse, newest first."""
        with self._lock:
            self._mend()
            found = [past for past in reversed(self._history) if past[1].purse == purse][:limit]
        return tuple(map(hold_of, found))

    def freeze(self, pattern: str) -> None:
        """Stop payments to a host pattern, or all of them with ``*``."""
        with self._lock:
            self._frozen.add(pattern)

    def unfreeze(self, pattern: str) -> None:
        """Lift a freeze."""
        with self._lock:
            self._frozen.discard(pattern)

    def freezes(self) -> tuple[str, ...]:
        """Return the patterns that are frozen, sorted."""
        with self._lock:
            return tuple(sorted(self._frozen))

    def open_allowance(self, terms: AllowanceTerms) -> AllowanceRecord:
        """Return the allowance of this name. It is made if there is none; else its terms stay."""
        self._refuse_copy()
        with self._lock:
            self._mend()
            record = self._allowances.open(terms, self._now())
            return record.with_sums(self._spent_in(terms.purse, terms.account))

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        """Freeze, lift, close or forget an allowance. Return False if there is none."""
        with self._lock:
            known = self._allowances.mark(purse, account, mark)
            if mark == "forgotten":
                self._counted_in = {}
                for currency in self._allowances.forget(purse, account):
                    self._accounts.pop((purse, account, currency), None)
            return known

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        """Return every allowance of a purse, or those of these accounts, the oldest first."""
        with self._lock:
            self._mend()
            found = self._allowances.all(purse, self._now())
            named = [each for each in found if not accounts or each.terms.account in accounts]
            return tuple(each.with_sums(self._spent_in(purse, each.terms.account)) for each in named)

    def purses(self) -> tuple[str, ...]:
        """Return the purses that were paid from, sorted."""
        with self._lock:
            return tuple(sorted(self._hosts))

    def close_ledger(self) -> None:
        """Do nothing: nothing is open, and other buyers may share the ledger."""

    def _refuse_copy(self) -> None:
        """Refuse in a child process that a library forked itself: then Python's fork hooks did not run."""
        if self._process != os.getpid():
            self._lock = CopiedLock()

    def _mend(self) -> None:
        """Take back, or complete, the change in whose midst a signal handler raised. The same may befall this."""
        step = self._open.amid
        if step is None:
            return
        self._open.find_anew()
        if isinstance(step, Step) and step.row.hold.id not in self._rows:
            step.uncount()
            if step.past is not None:
                self._keep(step.row, step.past)
        self._forget_opened()
        self._open.amid = None

    def _claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        if self._open.amid is not None:
            self._mend()
        refusals.check_frozen(self._frozen, purchase)
        if purchase.keyed:
            return self._claim_keyed(purchase, attempt)
        row = self._open.oldest(purchase, self._drop)
        return None if row is None else self._open.take(row, attempt)

    def _claim_keyed(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        self._reap(self._open.of(purchase))
        found = self._open.of(purchase)
        check_key(purchase, self._keys.get(purchase.id), found)
        for row in found:
            if row.in_flight:
                return Busy(row.hold)
            if not purchase.is_paid_by(row.hold.payer):
                raise refusals.another_wallet(row.hold)
            return self._open.take(row, attempt)
        return None

    def _reserve(self, order: Order, attempt: Attempt) -> Hold:
        self._check_allowances(order.purchase.purse, order.path)
        now, counted = self._now(), self._counting(order)
        if self._over(order, counted.caps, now):
            self._forget_opened()
            self._reap(self._open.lapsed())
            counted = self._counting(order)
            exceeded = self._over(order, counted.caps, now)
            if exceeded:
                self._forget_opened()
                raise refusals.over_limit(order, exceeded, now)
        if self._opened:
            self._opened.clear()
        path, hold = order.path, new_hold(order, os.urandom(8).hex(), now)
        row = Row(hold, counted.accounts)
        self._open.amid = step = Step(row)
        step.count()
        if path:
            hold = row.hold = hold.but(used=self._used(order, now))
        self._open.enter(row, attempt)
        return hold

    def _reap(self, rows: Iterable[Row]) -> None:
        """Give back what was reserved by attempts that ended before they signed."""
        for row in tuple(rows):
            if row.hold.state == "reserved" and not row.in_flight:
                self._drop(row)
        self._open.amid = None

    def _drop(self, row: Row) -> None:
        """Give a hold back. What is done around it goes on being made, so the caller ends the step."""
        step = Step(row)
        step.drop()
        self._open.amid = step
        self._open.forget(row)
        step.uncount()
        self._open.amid = True

    def _resolve(self, row: Row, state: HoldState, money: MoneyState, receipt: Receipt | None) -> Past:
        past = past_of(row.hold, state, money, receipt)
        self._open.amid = Step(row, past)
        self._open.forget(row)
        self._keep(row, past)
        self._open.amid = None
        return past

    def _keep(self, row: Row, past: Past) -> None:
        """Keep what was resolved. Once more does no harm."""
        if row.hold.purchase.keyed:
            self._keys[row.hold.purchase.id] = past
        if not self._history or self._history[-1] is not past:
            self._history.append(past)
        self._owed.keep(row, past)
