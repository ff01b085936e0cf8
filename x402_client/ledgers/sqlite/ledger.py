"""The ledger in a file: correct between threads, tasks and processes, and still there after a restart."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ...errors import AllowanceEnded, MoneyState, OverLimit, X402Error
from ...guards.tracebacks import forget_frames
from ...model.allowances import AllowanceMark, AllowanceRecord, AllowanceTerms
from ...model.holds import Attempt, Authorization, Busy, Hold, LastAnswer, LedgerBusy, Order, Purchase, Spending
from ...model.offers import Receipt
from .. import refusals
from ..rows import number_of
from . import allowances as allowed
from . import claimable, looks, owed, seeds
from . import holds as rows
from .clock import LedgerClock
from .ended_claims import close_unused, ends_writer
from .errors import still_used, unavailable
from .file import LedgerFile, Meta
from .place import absolute
from .process_locks import Claims, in_flight, others_alive
from .rights import locks_directory
from .sums import Sums, exceeded_by

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, Meta], T]
#: Seconds that a caller who can wait waits for other programs to finish writing.
_PATIENCE = 5.0
#: The largest price in millionths. Sums of such prices stay far below SQLite's largest integer.
_LARGEST = 2**50


class SqliteLedger:
    """Ledger in one SQLite file, shared by all threads and processes that open it.

    Args:
        path: The file. It is made if there is none, in a directory that exists.
        durable: True waits for the disk at every step, so that a power failure loses no payment. Without it, only a
            crash of the program loses none. Default: False.
        must_exist: True makes no file, and refuses if there is none. Default: False.
        open_now: False does not open the file before the first use, which may be ``accept``. Default: True.
        clock: Tells the time. It is for tests. Default: the machine's.
    """

    beside: tuple[str, ...] = ()  # a file that is new has no other purses
    asynchronous = send_close = None  # async callers use ``impatient``, and so does the end of a purchase

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = False,
        must_exist: bool = False,
        open_now: bool = True,
        clock: LedgerClock | None = None,
    ) -> None:
        try:
            self.path: Path = absolute(path)
        finally:
            path = ""  # it may be a URL with a password, and tools print the variables of a traceback
        self._locks_directory = locks_directory(self.path)
        self._clock = clock or LedgerClock()
        self._file = LedgerFile(self.path, durable, must_exist)
        self._claims = Claims(self.path, ends_writer(weakref.ref(self)))
        self._account_names = seeds.AccountNames()
        self._patience = _PATIENCE
        self._twin: SqliteLedger | None = None
        if open_now:
            self._open()
        weakref.finalize(self, close_unused, self._claims, self._file, os.getpid())

    def _open(self) -> None:
        try:
            self._file.read(lambda db, meta: None, _PATIENCE)
        except X402Error as failure:
            forget_frames(failure)  # the message says what is wrong, and the frames add nothing
            raise
        with contextlib.suppress(LedgerBusy):  # so the sums that are shown first are those of a payment
            claimable.give_back_ended(self._file, self._locks_directory, 0)

    @property
    def fresh(self) -> bool:
        """Return True if opening the ledger made its file, so that its budgets start at zero."""
        return self._file.fresh

    @property
    def must_exist(self) -> bool:
        """Return True if a file that is not there is refused."""
        return self._file.must_exist

    @property
    def name(self) -> str:
        """Return the path of the file."""
        return str(self.path)

    @property
    def drift(self) -> float:
        """Return the seconds by which the ledger's time is ahead of the machine's clock."""
        return self._clock.drift

    @property
    def impatient(self) -> SqliteLedger:
        """Return a twin for callers that must not block: it raises LedgerBusy where this one would wait."""
        if self._twin is None:
            twin = copy.copy(self)
            twin._patience = 0.0
            self._twin = twin
        return self._twin

    def reserve(self, order: Order, attempt: Attempt) -> Hold | Busy:
        """Return a new hold, or the unresolved one, claimed."""
        if order.price.units > _LARGEST:
            raise unavailable(self.path, f"cannot count a price of {order.price}. No payment is that large")
        try:
            return self._write(lambda db, meta: self._reserve(db, meta, order, attempt))
        except AllowanceEnded:
            raise
        except OverLimit:
            if not self._write(lambda db, meta: self._make_room(db, meta, order)):
                raise
        return self._write(lambda db, meta: self._reserve(db, meta, order, attempt))

    def check(self, order: Order) -> Busy | None:
        """Raise what ``reserve`` would raise for an order. Nothing is counted or claimed."""

        def look(db: sqlite3.Connection, meta: Meta) -> Busy | None:
            return looks.check(db, order, _patterns(meta), self._clock.now(meta.stamp).at, self._in_flight)

        try:
            return self._read(look)
        except AllowanceEnded:
            raise
        except OverLimit:
            claimable.give_back_ended(self._file, self._locks_directory, self._patience)
        return self._read(look)

    def claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        """Claim the unresolved hold of this purchase; None if there is none."""
        return self._write(lambda db, meta: self._claim(db, meta, purchase, attempt))

    def record(self, hold: Hold, authorization: Authorization) -> Hold:
        """Keep what was signed, before it leaves the machine."""

        def keep(db: sqlite3.Connection, meta: Meta) -> Hold:
            kept = rows.record(db, hold, authorization)  # first: a hold that is gone is told before a freeze
            refusals.check_frozen(_patterns(meta), hold.purchase)
            if hold.path:
                allowed.check(db, hold.purchase.purse, hold.path, self._clock.now(meta.stamp).at)
            return kept

        return self._write(keep)

    def release(self, hold: Hold) -> None:
        """Give back what was held and never sent. A signed hold stays as it is, with its claim."""

        def give_back(db: sqlite3.Connection, meta: Meta) -> bool:
            row = rows.find(db, hold.id)
            if row is None or row.hold.state != "reserved":
                return row is None
            rows.drop(db, row)
            return True

        if self._write(give_back):
            self._claims.drop(number_of(hold.id))

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> None:
        """Resolve a delivered purchase. It stays counted."""
        found = rows.Delivery(number_of(hold.id), hold.purchase.keyed, money, receipt)

        def deliver(db: sqlite3.Connection, meta: Meta) -> None:
            meta.delivered = found.number
            if hold.is_open_ceiling:
                owed.keep(db, found.number, hold.offer.network)
            rows.deliver(db, found)

        self._write(deliver)
        self._claims.drop(found.number)

    def write_off(self, hold: Hold) -> Hold:
        """Give up an unresolved purchase, as the user decided. It counts as spent."""

        def give_up(db: sqlite3.Connection, meta: Meta) -> Hold:
            row = self._unresolved(db, hold)
            if row is None:
                raise refusals.nothing_to_write_off(hold)
            owed.keep(db, row.number, row.hold.offer.network)
            rows.give_up_for_good(db, row)
            return row.hold.shown.but(state="written_off", money="spent")

        return self._write(give_up)

    def conclude(self, hold: Hold, settled: bool) -> bool:
        """Apply the chain's answer: give an unsettled hold back, or mark a settled one as spent and keep it open.

        Return False if the hold is gone or an attempt presents it at this moment. Then nothing changes.
        """

        return self._write(lambda db, meta: owed.conclude(db, self._unresolved(db, hold), hold, settled))

    def note(self, hold: Hold, last: LastAnswer) -> None:
        """Keep the last answer to an open payment, to be shown."""
        self._write(lambda db, meta: rows.note(db, number_of(hold.id), last))

    def spent(self, question: Spending) -> int:
        """Return the millionths counted in a window."""

        def counted(db: sqlite3.Connection, meta: Meta) -> int:
            names = seeds.counted_by(db, question)
            counts = Sums(db, question.purse, names, self._clock.now(meta.stamp).at)
            return sum(counts.counted(name, question.currency, question.window) for name in names)

        return self._read(counted)

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return every purchase of a purse that is not resolved."""
        found = self._read(lambda db, meta: rows.select(db, "purse = ?", purse))
        return tuple(row.hold.shown_as(in_flight=self._in_flight(row)) for row in found)

    def owed(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return the open amounts of a purse, oldest first."""
        return self._read(lambda db, meta: owed.of(db, purse))

    def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        """Return the latest resolved purchases of a purse, newest first."""
        return self._read(lambda db, meta: rows.history(db, purse, limit))

    def bought(self, *asked: Any) -> Hold | None:
        """Return the latest delivered purchase at an origin, as ``LedgerExtras.bought`` asks for it."""
        return self._read(lambda db, meta: rows.bought(db, *asked))

    def freeze(self, pattern: str) -> None:
        """Stop payments to a host pattern, or all of them with ``*``: of every purse, in every process."""
        self._write(lambda db, meta: _freeze(db, {*_patterns(meta), pattern}))

    def unfreeze(self, pattern: str) -> None:
        """Lift a freeze."""
        self._write(lambda db, meta: _freeze(db, {*_patterns(meta)} - {pattern}))

    def freezes(self) -> tuple[str, ...]:
        """Return the patterns that are frozen, sorted."""
        return self._read(lambda db, meta: tuple(sorted(_patterns(meta))))

    def open_allowance(self, terms: AllowanceTerms) -> AllowanceRecord:
        """Return the allowance of this name. It is made if there is none; else its terms stay."""

        def find_or_open(db: sqlite3.Connection, meta: Meta) -> AllowanceRecord:
            meta.stamp = self._clock.now(meta.stamp)
            return allowed.open_allowance(db, terms, meta.stamp.at)

        return self._write(find_or_open)

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        """Freeze, lift, close or forget an allowance, in every process. Return False if there is none."""
        return self._write(lambda db, meta: allowed.mark(db, purse, account, mark, self._clock.now(meta.stamp).at))

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        """Return every allowance of a purse, or those of these accounts, the oldest first."""
        return self._read(lambda db, meta: tuple(allowed.listed(db, purse, accounts, self._clock.now(meta.stamp).at)))

    def purses(self) -> tuple[str, ...]:
        """Return the names of the purses in the ledger, sorted."""
        query = "SELECT DISTINCT purse FROM accounts ORDER BY purse"
        return self._read(lambda db, meta: tuple(purse for (purse,) in db.execute(query)))

    def close_ledger(self) -> None:
        """Close the file; the next use opens it again. A call that still pays keeps its claim, and closes it again."""
        self._claims.left = True
        try:
            if self._claims.existing_lock is not None:
                self._write(lambda db, meta: claimable.leave(db, self._claims))
        except X402Error:
            if not self._claims.some_live:
                self._claims.close()
        self._file.close()

    def accept(self) -> bool:
        """Go on with what is left of a ledger that lost payments. Return False if it lost none.

        A ledger loses payments if its log is deleted, or if an older copy of the file is put in its place.
        Programs that still use it have to end first. A program that ends writes its own part of the log into the file,
        with its unresolved payments, even if the log was deleted. This program does so here.
        """
        self.close_ledger()
        if others_alive(self._locks_directory):
            raise still_used(self.path)
        return self._file.accept(self._patience)

    def _read(self, work: Work[T]) -> T:
        return self._file.read(work, self._patience)

    def _write(self, work: Work[T]) -> T:
        if self._patience == 0 and self._file.durable:
            raise LedgerBusy
        self._record_ended()
        return self._file.write(work, self._patience)

    def _record_ended(self) -> None:
        """Record the attempts that ended."""
        if self._claims.some_ended:
            self._claims.drop_all(
                self._file.write(lambda db, meta: claimable.give_up(db, self._claims), self._patience)
            )

    def _reserve(self, db: sqlite3.Connection, meta: Meta, order: Order, attempt: Attempt) -> Hold | Busy:
        found = self._claim(db, meta, order.purchase, attempt)
        if found is not None:
            return found
        stamp = self._clock.now(meta.stamp)
        if order.path:
            allowed.check(db, order.purchase.purse, order.path, stamp.at)
        names = self._account_names.of(db, order)
        counts = self._sums(db, order, names, stamp.at)
        exceeded = [over for cap in order.caps if (over := exceeded_by(counts, cap, order))]
        if exceeded:
            raise refusals.over_limit(order, exceeded, stamp.at)
        accounts = counts.add(order.purchase.purse, names, order.price.currency, order.price.units)
        hold = rows.insert(db, order, stamp.at, accounts, self._owner(db))
        meta.stamp = stamp
        self._claims.take(number_of(hold.id), attempt)
        return hold.but(used=allowed.used(counts, order)) if order.path else hold

    def _claim(self, db: sqlite3.Connection, meta: Meta, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        refusals.check_frozen(_patterns(meta), purchase)
        if purchase.keyed:
            return self._claim_keyed(db, purchase, attempt)
        row = claimable.oldest(db, purchase, self._locks_directory)
        return None if row is None else self._take(db, row, attempt)

    def _claim_keyed(self, db: sqlite3.Connection, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
        found = [row for row in rows.of_purchase(db, purchase) if not self._drop_ended(db, row)]
        rows.check_key(db, purchase, found)
        for row in found:
            if self._in_flight(row):
                return Busy(row.hold.shown)
            if not purchase.is_paid_by(row.hold.payer):
                raise refusals.another_wallet(row.hold.shown)
            return self._take(db, row, attempt)
        return None

    def _take(self, db: sqlite3.Connection, row: rows.Row, attempt: Attempt) -> Hold:
        owner = self._owner(db)
        self._claims.take(row.number, attempt)
        return rows.claim(db, row, owner)

    def _owner(self, db: sqlite3.Connection) -> str:
        """Return the name under which this process has claims. It is listed in the file."""
        owner = self._claims.process_lock.name
        claimable.register(db, owner, self._locks_directory)
        return owner

    def _drop_ended(self, db: sqlite3.Connection, row: rows.Row) -> bool:
        """Give back an unsigned hold whose attempt ended. Return True if it was one."""
        over = row.hold.state == "reserved" and not self._in_flight(row)
        if over:
            rows.drop(db, row)
        return over

    def _sums(self, db: sqlite3.Connection, order: Order, names: tuple[str, ...], now: float) -> Sums:
        """Return the sums of every account in which an order counts. Open those of patterns and allowances."""
        purse = order.purchase.purse
        counts = Sums(db, purse, names, now)
        missing = counts.without_account(names, order.price.currency)
        if missing and seeds.open_missing(db, order, missing, now):
            counts = Sums(db, purse, names, now)
        return counts

    def _make_room(self, db: sqlite3.Connection, meta: Meta, order: Order) -> bool:
        """Give back the unsigned holds of all ended attempts. Return True if there was one.

        The accounts that the refused order needed are opened and kept, so that their hosts are added up only once.
        """
        self._sums(db, order, self._account_names.of(db, order), self._clock.now(meta.stamp).at)
        return claimable.free_ended(db, self._locks_directory)

    def _in_flight(self, row: rows.Row) -> bool:
        return in_flight(self._locks_directory, row.owner, row.number)

    def _unresolved(self, db: sqlite3.Connection, hold: Hold) -> rows.Row | None:
        row = rows.find(db, hold.id)
        if row is None or row.hold.state != "signed" or self._in_flight(row):
            return None
        return row


def _patterns(meta: Meta) -> Iterable[str]:
    return () if meta.frozen == "[]" else json.loads(meta.frozen)


def _freeze(db: sqlite3.Connection, patterns: set[str]) -> None:
    db.execute("UPDATE meta SET frozen = ?", (json.dumps(sorted(patterns)),))
