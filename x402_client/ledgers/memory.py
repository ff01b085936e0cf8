"""The ledger in memory: correct between threads and tasks, gone with the process."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable

from ..errors import MoneyState
from ..model.allowances import AllowanceMark, AllowanceRecord, AllowanceTerms
from ..model.budgets import Cap, is_request_account
from ..model.holds import Attempt, Authorization, Busy, Hold, HoldState, LastAnswer, Order, Purchase, Spending
from ..model.offers import Receipt
from . import refusals
from .accounts import OVERALL, counting_accounts, hosts_in, hosts_of
from .allowances import AllowanceBook
from .memory_copies import CopiedLock, refuse_in_child
from .memory_rows import Counted, OpenRows, Past, Row, check_key, hold_of, past_of
from .owed import OwedInMemory, settle
from .rows import new_hold
from .windows import Account

#: Resolved purchases that ``history`` can show. Budgets and keys remember all of them.
_HISTORY = 500
#: Number of accounts at which idle ones are pruned for the first time, and of entries at which the cache is cleared.
_PRUNED, _CACHED = 256, 1_024


class MemoryLedger:
    """Budgets, holds and keys of one process."""

    name = ":memory:"
    #: It always starts at zero, so there is no first use to report.
    fresh = must_exist = False
    beside: tuple[str, ...] = ()
    #: Its one lock is held for microseconds, so async callers need no twin.
    asynchronous = impatient = send_close = bought = None

    def __init__(self) -> None:
        self._lock: threading.Lock | CopiedLock = threading.Lock()
        self._process = os.getpid()
        # Wall-clock time that only the monotonic clock advances: setting the clock opens no budget.
        self._epoch = time.time() - time.monotonic()
        self._open = OpenRows()
        self._rows: dict[str, Row] = self._open.rows
        self._keys: dict[str, Past] = {}
        self._accounts: dict[tuple[str, str, str | None], Account] = {}
        #: Number of accounts at which idle ones are pruned next.
        self._prune_at = _PRUNED
        #: The hosts that were paid, by purse.
        self._hosts: dict[str, set[str]] = {}
        #: Cache of the sums in which an order counts, by its purse, currency, host, port, budgets and allowances. It is
        #: cleared when a pattern gets an account.
        self._counted_in: dict[tuple[str, str, str, int, tuple[Cap, ...], tuple[str, ...]], Counted] = {}
        #: Accounts of patterns that the current reservation opened.
        self._opened: list[tuple[str, str, str | None]] = []
        self._frozen: set[str] = set()
        self._allowances = AllowanceBook()
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
            row = self._rows.get(hold.id)
            if row is not None and row.hold.state == "reserved":
                self._drop(row)

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> None:
        """Resolve a delivered purchase. It stays counted."""
        with self._lock:
            row = self._rows.get(hold.id)
            if row is not None:
                self._owed.keep(row, self._resolve(row, "delivered", money, receipt))

    def write_off(self, hold: Hold) -> Hold:
        """Give up an unresolved purchase, as the user decided. It counts as spent."""
        with self._lock:
            row = self._rows.get(hold.id)
            if row is None or row.hold.state != "signed" or row.in_flight:
                raise refusals.nothing_to_write_off(hold)
            past = self._resolve(row, "written_off", "spent", None)
            self._owed.keep(row, past)
            return hold_of(past)

    def conclude(self, hold: Hold, settled: bool) -> bool:
        """Apply the chain's answer: give an unsettled hold back, or mark a settled one as spent and keep it open.

        Return False if the hold is gone or an attempt presents it at this moment. Then nothing changes.
        """
        with self._lock:
            row = self._rows.get(hold.id)
            if row is None:
                return self._owed.conclude(hold, settled)
            if row.hold.state != "signed" or row.in_flight:
                return False
            if settled:
                settle(row, hold)
            else:
                self._drop(row)
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
            purse, name, currency = question.purse, question.account, question.currency
            known = self._accounts.get((purse, name, currency))
            counted = self._of_hosts(purse, name, currency) if known is None else [known]
            return sum(account.roll(question.window, self._now()) for account in counted)

    def holds(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return every purchase of a purse that is not resolved."""
        with self._lock:
            found = [row for row in self._rows.values() if row.hold.purchase.purse == purse]
            return tuple(row.hold.shown_as(in_flight=row.in_flight) for row in found)

    def owed(self, purse: str = "default") -> tuple[Hold, ...]:
        """Return the open amounts of a purse, oldest first."""
        with self._lock:
            return self._owed.of(purse)

    def history(self, limit: int, purse: str = "default") -> tuple[Hold, ...]:
        """Return the latest resolved purchases of a purse, newest first."""
        with self._lock:
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
            record = self._allowances.open(terms, self._now())
            return record.with_sums(self._spent_in(terms.purse, terms.account))

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> bool:
        """Freeze, lift, close or forget an allowance. Return False if there is none."""
        with self._lock:
            known = self._allowances.mark(purse, account, mark)
            if mark == "forgotten":
                for currency in self._allowances.forget(purse, account):
                    del self._accounts[purse, account, currency]
                self._counted_in = {}
            return known

    def allowances(self, purse: str = "default", accounts: tuple[str, ...] = ()) -> tuple[AllowanceRecord, ...]:
        """Return every allowance of a purse, or those of these accounts, the oldest first."""
        with self._lock:
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

    def _now(self) -> float:
        return self._epoch + time.monotonic()

    def _claim(self, purchase: Purchase, attempt: Attempt) -> Hold | Busy | None:
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

    def _check_allowances(self, purse: str, path: tuple[str, ...]) -> None:
        if path:
            now = self._now()
            refusals.check_allowances(path, lambda account: self._allowances.find(purse, account, now))

    def _spent_in(self, purse: str, account: str) -> list[tuple[str, int]]:
        """Return what counts in an account in all, by currency."""
        now, known = self._now(), self._allowances.currencies[purse, account]
        return [(each, self._accounts[purse, account, each].roll("total", now)) for each in known if each is not None]

    def _reserve(self, order: Order, attempt: Attempt) -> Hold:
        self._check_allowances(order.purchase.purse, order.path)
        self._opened.clear()
        now, counted = self._now(), self._counting(order)
        if self._over(order, counted.caps, now):
            self._forget_opened()
            self._reap(self._open.lapsed())
            counted = self._counting(order)
            exceeded = self._over(order, counted.caps, now)
            if exceeded:
                self._forget_opened()
                raise refusals.over_limit(order, exceeded, now)
        path, hold = order.path, new_hold(order, os.urandom(8).hex(), now)
        row = Row(hold, counted.accounts)
        self._count(row, +1)
        if path:
            hold = row.hold = hold.but(used=self._used(order, now))
        self._open.enter(row, attempt)
        return hold

    def _used(self, order: Order, now: float) -> tuple[int, ...]:
        purse, currency = order.purchase.purse, order.price.currency
        return tuple(self._accounts[purse, account, currency].roll("total", now) for account in order.path)

    def _counting(self, order: Order) -> Counted:
        """Return the sums that the order counts in. Hot path: found at once, however many purses there are."""
        purse, currency, origin = order.purchase.purse, order.price.currency, order.purchase.origin
        place = (purse, currency, origin.host, origin.port, order.caps, order.path)
        known = self._counted_in.get(place)
        if known is None:
            self._prune()
            names = counting_accounts(order, lambda name: (purse, name, None) in self._accounts)
            known = Counted(
                [(self._account(purse, name, currency, order), self._account(purse, name, None, order))
                 for name in names],
                [(cap, self._account(purse, cap.account, cap.currency, order)) for cap in order.caps],
            )  # fmt: skip
            self._hosts.setdefault(purse, set()).add(origin.host)
            self._counted_in[place] = known
        return known

    def _account(self, purse: str, name: str, currency: str | None, order: Order) -> Account:
        """Return an account. "An account seen for the first time starts from the sums of the hosts it matches"."""
        found = self._accounts.get((purse, name, currency))
        if found is None:
            found = self._accounts[purse, name, currency] = self._seeded(purse, name, currency, order)
            if name in order.path:
                self._allowances.currencies[purse, name].add(currency)
            elif name not in (OVERALL, order.purchase.origin.host):
                if hosts_in(name) is not None:
                    self._counted_in.clear()
                self._opened.append((purse, name, currency))
        return found

    def _forget_opened(self) -> None:
        """Close the accounts that a refused order opened. They would still count what their hosts give back later."""
        if self._opened:
            self._counted_in.clear()
        while self._opened:
            del self._accounts[self._opened.pop()]

    def _seeded(self, purse: str, name: str, currency: str | None, order: Order) -> Account:
        return Account.sum_of([] if name in order.path else self._of_hosts(purse, name, currency))

    def _of_hosts(self, purse: str, name: str, currency: str | None) -> list[Account]:
        """Return the accounts of the hosts that a pattern matches."""
        known = [self._accounts.get((purse, host, currency)) for host in hosts_of(name, self._hosts.get(purse, ()))]
        return [account for account in known if account is not None]

    def _prune(self) -> None:
        """Prune idle accounts each time that the number of accounts has doubled. Clear a full cache."""
        if len(self._counted_in) >= _CACHED:
            self._counted_in.clear()
        if len(self._accounts) >= self._prune_at:
            now = self._now()
            for key, account in list(self._accounts.items()):
                account.prune(now)
                if is_request_account(key[1]) and account.is_idle:
                    del self._accounts[key]
            self._counted_in.clear()
            self._prune_at = max(_PRUNED, 2 * len(self._accounts))

    def _count(self, row: Row, sign: int) -> None:
        units, at = sign * row.hold.price.units, row.hold.created
        for amounts, payments in row.accounts:
            amounts.add(units, at)
            payments.add(sign, at)

    def _over(self, order: Order, caps: Iterable[tuple[Cap, Account]], now: float) -> list[refusals.Exceeded]:
        """Return the budgets that the order exceeds."""
        units, found = order.price.units, list[refusals.Exceeded]()
        for cap, account in caps:
            over = account.roll(cap.window, now) + (1 if cap.currency is None else units) - cap.most
            if over > 0:
                window = account.window(cap.window)
                found.append(refusals.Exceeded(cap, window.total, window.fits_at(over)))
        return found

    def _over_seeded(self, order: Order, now: float) -> list[refusals.Exceeded]:
        """Return the budgets that the order exceeds. No account is opened."""
        names = [(order.purchase.purse, cap.account, cap.currency) for cap in order.caps]
        counted = [self._accounts.get(name) or self._seeded(*name, order) for name in names]
        return self._over(order, zip(order.caps, counted, strict=True), now)

    def _reap(self, rows: Iterable[Row]) -> None:
        """Give back what was reserved by attempts that ended before they signed."""
        for row in tuple(rows):
            if row.hold.state == "reserved" and not row.in_flight:
                self._drop(row)

    def _drop(self, row: Row) -> None:
        self._count(row, -1)
        self._open.forget(row)

    def _resolve(self, row: Row, state: HoldState, money: MoneyState, receipt: Receipt | None) -> Past:
        self._open.forget(row)
        past = past_of(row.hold, state, money, receipt)
        self._history.append(past)
        if row.hold.purchase.keyed:
            self._keys[row.hold.purchase.id] = past
        return past
