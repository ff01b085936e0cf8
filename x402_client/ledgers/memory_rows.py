"""The rows of the ledger in memory: open holds, and what is kept of resolved ones."""

from __future__ import annotations

import heapq
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, cycle, repeat
from typing import Any, NamedTuple, TypeAlias

from ..errors import MoneyState
from ..model.budgets import Cap
from ..model.holds import Attempt, Authorization, Busy, Hold, HoldState, LastAnswer, Purchase
from ..model.money import Money
from ..model.offers import Offer, Receipt
from . import refusals
from .live_attempts import LiveAttempts
from .rows import with_charged
from .windows import Account

#: Most open holds of a purchase whose attempts are asked, where none has said that it ended.
_ASKED = 16

Signed: TypeAlias = tuple[str, str, int, Mapping[str, Any], str, int | None, str]
#: A resolved hold: what a Hold is made of, in its order, without the header.
Past: TypeAlias = tuple[
    str, Purchase, Offer, Money, float, HoldState, MoneyState, Signed | None, Receipt | None, int, str,
    LastAnswer | None, tuple[str, ...],
]  # fmt: skip


class Counted(NamedTuple):
    """The sums that an order counts in, of units and of payments, and the sum that each of its budgets looks at."""

    accounts: list[tuple[Account, Account]]
    caps: list[tuple[Cap, Account]]


@dataclass(slots=True, eq=False)
class Row:
    """An open hold, the sums that it is counted in, and the attempt that presents it."""

    hold: Hold
    accounts: list[tuple[Account, Account]]
    attempt: weakref.ref[Attempt] | None = None

    @property
    def in_flight(self) -> bool:
        """Return True while the attempt that claimed the hold lives. One that was garbage-collected does not."""
        attempt = None if self.attempt is None else self.attempt()
        return attempt is not None and attempt.alive


class Step:
    """A change of an open hold, and what is to be done if a signal handler raises in its midst.

    What tells is whether the hold is among the rows. It is entered there last, and taken from there before anything is
    written that ``OpenRows.find_anew`` does not find.

    Args:
        row: The hold.
        past: What is kept of the hold if this change resolves it.
    """

    __slots__ = ("_counted", "past", "row")

    def __init__(self, row: Row, past: Past | None = None) -> None:
        self.row: Row = row
        self.past: Past | None = past
        #: An entry for each sum in which the hold counts, and is to count no more if it is not among the rows.
        self._counted: list[None] = []

    def count(self) -> None:
        """Count the hold. No signal handler is called between an addition and its entry: nothing here is Python."""
        hold, sums = self.row.hold, chain.from_iterable(self.row.accounts)
        self._counted.extend(map(Account.add, sums, cycle((hold.price.units, 1)), repeat(hold.created)))

    def drop(self) -> None:
        """Let the hold count no more, once it is not among the rows."""
        self._counted = [None] * (2 * len(self.row.accounts))

    def uncount(self) -> None:
        """Take the hold out of the sums in which it counts. One at which this is interrupted may count too much."""
        hold = self.row.hold
        sums = tuple(zip(chain.from_iterable(self.row.accounts), cycle((hold.price.units, 1)), strict=False))
        while self._counted:
            account, number = sums[len(self._counted) - 1]
            del self._counted[-1]
            account.add(-number, hold.created)


class OpenRows:
    """Open holds, by id and by purchase, and those of them that nothing presents. Call it under the ledger's lock.

    A purchase may have thousands in flight. So only those whose attempts ended are looked at, the oldest first.
    """

    __slots__ = ("_attempts", "_free", "_lapsed", "_of", "amid", "rows")

    def __init__(self) -> None:
        #: The change that is being made, or True for one that ``find_anew`` mends. A call that finds one under the lock
        #: comes after a signal handler raised in its midst.
        self.amid: Step | bool | None = None
        self.rows: dict[str, Row] = {}
        self._of: dict[str, dict[str, Row]] = {}
        self._attempts: LiveAttempts[str] = LiveAttempts()
        #: Time and id of each hold whose attempt ended, by purchase, as heaps. Some are claimed again or gone by now.
        self._free: dict[str, list[tuple[float, str]]] = {}
        #: Holds that were not signed when their attempts ended.
        self._lapsed: dict[str, Row] = {}

    def enter(self, row: Row, attempt: Attempt) -> None:
        """Add a new hold, and end the step that does. It is found at the very end."""
        name = row.hold.id
        self._present(row, attempt)
        self._of.setdefault(row.hold.purchase.id, {})[name] = row
        self.rows[name] = row
        self.amid = None

    def take(self, row: Row, attempt: Attempt) -> Hold:
        """Give an unresolved hold to another attempt."""
        self.amid = True
        self._present(row, attempt)
        row.hold = row.hold.but(tries=row.hold.tries + 1)
        self.amid = None
        return row.hold

    def forget(self, row: Row) -> None:
        """Remove a hold that is open no more. It is found until the very end. Call it within a step."""
        name, purchase = row.hold.id, row.hold.purchase.id
        self._lapsed.pop(name, None)
        self._attempts.drop(name)
        others = self._of.get(purchase, {})
        others.pop(name, None)
        if not others:
            self._of.pop(purchase, None)
            self._free.pop(purchase, None)
        self.rows.pop(name, None)

    def find_anew(self) -> None:
        """Build anew, from the holds, all by which they are found."""
        self._of, self._free, self._lapsed, self._attempts = {}, {}, {}, LiveAttempts()
        for name, row in self.rows.items():
            self._of.setdefault(row.hold.purchase.id, {})[name] = row
            attempt = None if row.attempt is None else row.attempt()
            if attempt is not None and attempt.alive:
                self._attempts.take(name, attempt)
            else:
                self._let_go(row)

    def of(self, purchase: Purchase) -> tuple[Row, ...]:
        """Return the open holds of a purchase, oldest first."""
        return tuple(self._of.get(purchase.id, {}).values())

    def busy(self, purchase: Purchase, past: Past | None) -> Busy | None:
        """Return the hold under a key that is in flight; None if nothing is in the way. Raise what refuses the key."""
        found = [row for row in self.of(purchase) if row.in_flight or row.hold.state == "signed"]
        check_key(purchase, past, found)
        for row in found:
            if row.in_flight:
                return Busy(row.hold.shown)
            if not purchase.is_paid_by(row.hold.payer):
                raise refusals.another_wallet(row.hold)
        return None

    def lapsed(self) -> tuple[Row, ...]:
        """Return the unsigned holds of all attempts that ended."""
        self._note_ended()
        found = tuple(self._lapsed.values())
        self.amid = None
        return found

    def oldest(self, purchase: Purchase, drop: Callable[[Row], object]) -> Row | None:
        """Return the oldest unresolved hold of a purchase that this wallet may present.

        Unsigned holds of ended attempts that are met on the way are dropped. Give the one that is found to ``take``.
        """
        if purchase.id not in self._of:
            return None
        self._note_ended()
        heap = self._free.get(purchase.id) or self._unheard(purchase)
        row = None if not heap else self._pop_oldest(heap, purchase, drop)
        if row is None:
            self.amid = None
        return row

    def _pop_oldest(
        self, heap: list[tuple[float, str]], purchase: Purchase, drop: Callable[[Row], object]
    ) -> Row | None:
        others, found, self.amid = [], None, True
        while heap and found is None:
            place = heapq.heappop(heap)
            row = self.rows.get(place[1])
            if row is None or (row.in_flight and self._goes_on(row)):
                continue
            if row.hold.state == "reserved":
                drop(row)
            # "an unresolved hold is claimed only if its payer is one of this wallet's addresses"
            elif purchase.is_paid_by(row.hold.payer):
                found = row
            else:
                others.append(place)
        for place in others:
            heapq.heappush(heap, place)
        return found

    def _present(self, row: Row, attempt: Attempt) -> None:
        row.attempt = weakref.ref(attempt)
        self._attempts.take(row.hold.id, attempt)

    def _unheard(self, purchase: Purchase) -> list[tuple[float, str]] | None:
        """Find holds whose attempts ended and could not say so, as a signal handler raised in the midst."""
        rows = self._of[purchase.id]
        if len(rows) <= _ASKED:
            for row in rows.values():
                if not row.in_flight:
                    self._let_go(row)
        return self._free.get(purchase.id)

    def _goes_on(self, row: Row) -> bool:
        """Hear of the end of an attempt that seemed to have ended: its loop was closed, and its end is written now."""
        attempt = None if row.attempt is None else row.attempt()
        if attempt is not None:
            self._attempts.take(row.hold.id, attempt)
        return True

    def _note_ended(self) -> None:
        if not self._attempts.some_ended:
            return
        self.amid = True
        for name in self._attempts.ended():
            self._attempts.drop(name)
            self._let_go(self.rows[name])

    def _let_go(self, row: Row) -> None:
        """Note that nothing presents a hold."""
        name = row.hold.id
        heapq.heappush(self._free.setdefault(row.hold.purchase.id, []), (row.hold.created, name))
        if row.hold.state == "reserved":
            self._lapsed[name] = row


def past_of(hold: Hold, state: HoldState, money: MoneyState, receipt: Receipt | None) -> Past:
    """Return what is kept of a hold that is resolved now."""
    known = None if hold.authorization is None else _facts(hold.authorization)
    return (
        hold.id, hold.purchase, hold.offer, hold.price, hold.created, state, money, known, receipt, hold.tries,
        hold.payer, hold.last, hold.path,
    )  # fmt: skip


def hold_of(past: Past) -> Hold:
    """Return a resolved hold."""
    name, purchase, offer, price, created, state, money, signed, receipt, tries, payer, last, path = past
    facts = (name, purchase, offer, price, created, state, money, _shown(signed), receipt, tries, payer, last)
    return with_charged(Hold(*facts, None, path))


def check_key(purchase: Purchase, past: Past | None, rows: Iterable[Row]) -> None:
    """Refuse a key that was paid, or that names another request."""
    ended = None if past is None else hold_of(past)
    known = ended or next((row.hold for row in rows), None)
    if known is not None:
        refusals.check_key(known, purchase)
    if ended is not None and ended.state == "delivered":
        raise refusals.already_paid(ended)


def _facts(signed: Authorization) -> Signed:
    return (
        signed.nonce, signed.payer, signed.expires, signed.evidence, signed.kind, signed.ceiling, signed.proof
    )  # fmt: skip


def _shown(signed: Signed | None) -> Authorization | None:
    """Build the authorization without its header."""
    if signed is None:
        return None
    nonce, payer, expires, evidence, kind, ceiling, proof = signed
    return Authorization(nonce, payer, expires, ("", ""), evidence, kind, ceiling, proof)
