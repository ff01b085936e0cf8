"""Steps of a ledger on a server, as flows: what the server is asked, and what its answers mean. No I/O happens here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import LedgerUnavailable, MoneyState, X402Error
from ...model.allowances import AllowanceMark, AllowanceRecord, AllowanceTerms
from ...model.budgets import WINDOWS
from ...model.holds import Attempt, Authorization, Busy, Hold, LastAnswer, Order, Purchase, Spending
from ...model.hosts import Pattern
from ...model.offers import Receipt
from .. import refusals
from ..allowances import marked, terms_text
from ..rows import last_text, new_hold, receipt_text
from ..windows import BUCKETS, Window
from . import protocol
from .claims import Claim, Claims
from .trust import Renamed, Steps, TrustedServer

#: Times that a claim is tried, if this program has to take another name meanwhile.
_TRIES = 3


class LedgerSteps:
    """Steps of one ledger object, for sync and async callers alike."""

    server: TrustedServer

    def __init__(self, server: TrustedServer, claims: Claims, claimed: Callable[[], None]) -> None:
        self.server, self._claims, self._claimed = server, claims, claimed
        #: The step since which an attempt waits for proof that other attempts live.
        self._waiting: WeakKeyDictionary[Attempt, int] = WeakKeyDictionary()

    def reserve(self, order: Order, attempt: Attempt) -> Steps[Hold | Busy]:
        if order.price.units > protocol.LARGEST:
            raise self._too_large(order)
        said = protocol.budgets_of(order) | {"headroom": str(protocol.LARGEST - order.price.units)}
        answer = yield from self._claiming(order.purchase, attempt, "reserve", said, order)
        if isinstance(answer, (Hold, Busy)):
            return answer
        _raise_over(answer, order)
        raise self._too_large(order)

    def check(self, order: Order) -> Steps[Busy | None]:
        said = protocol.budgets_of(order) | protocol.request_facts(order.purchase) | protocol.stems_of(order)
        answer = yield from self.server.ask(order.purchase.purse, "check", **said)
        if answer[0] == "over":  # as ``reserve`` does: a beat gives back what ended programs had reserved
            yield from self.beat(order.purchase.purse)
            answer = yield from self.server.ask(order.purchase.purse, "check", **said)
        if answer[0] == "busy":
            return Busy(protocol.read_row(answer[2]))
        _raise_obstacle(answer, order.purchase)
        _raise_over(answer, order)
        return None

    def claim(self, purchase: Purchase, attempt: Attempt) -> Steps[Hold | Busy | None]:
        answer = yield from self._claiming(purchase, attempt, "claim", {})
        return answer if isinstance(answer, (Hold, Busy)) else None

    def record(self, hold: Hold, authorization: Authorization) -> Steps[Hold]:
        signed = protocol.signed_facts(hold, authorization)
        said = signed | {"id": hold.id}
        purchase = hold.purchase
        patterns = protocol.patterns(purchase.origin)
        answer = yield from self.server.ask(purchase.purse, "record", **said, patterns=patterns)
        if answer[0] == "frozen":
            refusals.check_frozen([answer[2]], purchase)
        if answer[0] == "allowance":
            raise _not_open(answer)
        if answer[0] != "ok":
            raise refusals.hold_is_gone()
        self._claims.remember_signed(purchase.purse, hold.id, signed)
        return hold.but(authorization=authorization, state="signed")

    def release(self, hold: Hold) -> Steps[None]:
        answer = yield from self.server.ask(hold.purchase.purse, "release", id=hold.id)
        if answer[2] != "signed":  # a signed hold stays claimed until its attempt ends
            self._claims.drop_hold(hold.id)

    def close(self, hold: Hold, money: MoneyState, receipt: Receipt | None) -> Steps[None]:
        purse = hold.purchase.purse
        owes = "1" if hold.is_open_ceiling else ""
        said = {"id": hold.id, "money": money, "receipt": receipt_text(receipt) or "", "owes": owes}
        yield from self.server.ask(purse, "close", **said)
        self._claims.drop_hold(hold.id)

    def write_off(self, hold: Hold) -> Steps[Hold]:
        owes = "1" if hold.is_open_ceiling else ""
        answer = yield from self.server.ask(hold.purchase.purse, "write_off", id=hold.id, owes=owes)
        if answer[0] != "hold":
            raise refusals.nothing_to_write_off(hold)
        self._claims.drop_hold(hold.id)
        return protocol.read_row(answer[2])

    def conclude(self, hold: Hold, settled: bool) -> Steps[bool]:
        said = {"id": hold.id, "settled": "1" if settled else "", **protocol.charge_of(hold, settled)}
        answer = yield from self.server.ask(hold.purchase.purse, "conclude", **said)
        if answer[2] and not settled:
            self._claims.drop_hold(hold.id)
        return bool(answer[2])

    def note(self, hold: Hold, last: LastAnswer) -> Steps[None]:
        yield from self.server.ask(hold.purchase.purse, "note", id=hold.id, last=last_text(last))

    def spent(self, question: Spending) -> Steps[int]:
        said = protocol.seeds_of(question)
        answer = yield from self.server.ask(question.purse, "spent", window=question.window, **said)
        return sum(map(int, answer[2]))

    def holds(self, purse: str) -> Steps[tuple[Hold, ...]]:
        answer = yield from self.server.ask(purse, "holds", since=0)
        return tuple(map(protocol.read_row, answer[2]))

    def history(self, limit: int, purse: str) -> Steps[tuple[Hold, ...]]:
        answer = yield from self.server.ask(purse, "history", limit=max(0, limit))
        return tuple(map(protocol.read_row, answer[2]))

    def owed(self, purse: str) -> Steps[tuple[Hold, ...]]:
        answer = yield from self.server.ask(purse, "owed")
        return tuple(sorted(map(protocol.read_row, answer[2]), key=lambda hold: hold.created))

    def freeze(self, pattern: str, thaw: bool = False) -> Steps[None]:
        """Freeze for later purses first, then in each that exists. A failure in one purse does not stop the others."""
        name = pattern if pattern == "*" else str(Pattern.parse(pattern))
        op = "unfreeze" if thaw else "freeze"
        purses = yield from self.server.everywhere(f"{op}_all", {"pattern": name})
        failure: X402Error | None = None
        for purse in sorted({*purses, *self.server.lives.known}):
            try:
                yield from self.server.ask(purse, op, pattern=name)
            except X402Error as problem:
                failure = problem
        if failure is not None:
            raise failure

    def freezes(self) -> Steps[tuple[str, ...]]:
        return tuple(sorted((yield from self.server.everywhere("frozen", {}))))

    def open_allowance(self, terms: AllowanceTerms) -> Steps[AllowanceRecord]:
        seconds = "" if terms.seconds is None else str(terms.seconds)
        said = {"account": terms.account, "doc": terms_text(terms), "seconds": seconds}
        answer = yield from self.server.ask(terms.purse, "open_allowance", **said)
        return protocol.read_allowance(terms.purse, answer[2])

    def mark_allowance(self, purse: str, account: str, mark: AllowanceMark) -> Steps[bool]:
        drops = mark == "forgotten" and not AllowanceTerms(purse, account, ()).lasts
        said = {"account": account, "mark": marked("open", mark), "drops": "1" if drops else ""}
        answer = yield from self.server.ask(purse, "mark_allowance", **said)
        return bool(answer[2])

    def allowances(self, purse: str, accounts: tuple[str, ...]) -> Steps[tuple[AllowanceRecord, ...]]:
        answer = yield from self.server.ask(purse, "allowances", accounts=accounts)
        found = [protocol.read_allowance(purse, each) for each in answer[2]]
        return tuple(sorted(found, key=lambda record: record.opened))

    def purses(self) -> Steps[tuple[str, ...]]:
        return tuple(sorted((yield from self.server.everywhere("purses", {}))))

    def accept(self) -> Steps[bool]:
        """Go on with what is there, and wait while running programs write back what they remember as unresolved."""
        return (yield from self.server.accept())

    def beat(self, purse: str) -> Steps[None]:
        """Renew the lease. Send the claims that ended, as every step does."""
        held = self._claims.unresolved(purse)
        answer = yield from self.server.ask(purse, "beat", unresolved=held)
        self._claims.forget_unresolved(answer[3])
        if answer[2]:  # another program waits for a proof of life, and only a step after this answer is one
            yield from self.server.ask(purse, "beat", unresolved=[])
        yield from self.server.look()

    def give_up_ended(self) -> Steps[None]:
        """Send the claims of attempts that ended, now and not with the next beat. Attempts that go on keep theirs."""
        for purse in self._claims.purses_to_write(self._claims.purses):
            yield from self.beat(purse)

    def _claiming(
        self, purchase: Purchase, attempt: Attempt, op: str, said: dict[str, Any], order: Order | None = None
    ) -> Steps[Any]:
        yield from self.server.ready(purchase.purse, op)
        for _ in range(_TRIES):
            # Each try has a new id and token: a copy of this memory may use the others, under the name before.
            row = {} if order is None else protocol.new_row(order, secrets.randbits(63))
            claim = self._claims.open(purchase, attempt)
            claim.row = row
            self._claimed()
            try:
                about = self._about(purchase, claim, attempt) | {"row": row}
                answer = yield from self.server.step(purchase.purse, op, said | about)
            except Renamed:
                continue
            except BaseException:
                self._claims.fail(claim)
                raise
            return self._claimed_hold(answer, purchase, attempt, claim, order)
        raise LedgerUnavailable(
            f"Another program uses this one's name in the {self.server.where}. Nothing was sent; repeat the request.",
            wrote_nothing=True,
        )

    def _claimed_hold(
        self, answer: Any, purchase: Purchase, attempt: Attempt, claim: Claim, order: Order | None
    ) -> Any:
        """Return the hold in an answer. Without one, return or raise what stands in its way."""
        try:
            if answer[0] == "hold":
                hold = protocol.read_row(answer[2])
                self._found(claim, hold.id, protocol.plain_row(answer[2]))
                if hold.state == "signed":
                    self._claims.remember(purchase.purse, claim.row)
                return hold
        except BaseException:
            self._claims.fail(claim)
            raise
        if answer[0] == "new" and order is not None:
            counted = {"created": str(answer[2]), "stems": str(answer[3])}
            name = claim.row["id"]
            self._found(claim, name, claim.row | counted)
            if order.signed is not None:
                self._claims.remember(purchase.purse, claim.row)
            hold = new_hold(order, name, int(answer[2]) / protocol.MICROSECONDS)
            return hold.but(used=tuple(map(int, answer[4])))
        self._claims.drop(claim)
        return self._obstacle(answer, purchase, attempt)

    def _found(self, claim: Claim, hold: str, row: dict[str, str]) -> None:
        if not self._claims.found(claim, hold, row):
            raise self._given_up()

    def _about(self, purchase: Purchase, claim: Claim, attempt: Attempt) -> dict[str, Any]:
        return protocol.request_facts(purchase) | {"token": claim.token, "since": self._waiting.get(attempt, 0)}

    def _obstacle(self, answer: Any, purchase: Purchase, attempt: Attempt) -> Any:
        """Return or raise what stands in the way of a new hold; else return the answer as it is."""
        status = answer[0]
        if status == "busy":
            self._waiting.setdefault(attempt, answer[1])
            return Busy(protocol.read_row(answer[2]))
        if status == "void":
            raise self._given_up()
        _raise_obstacle(answer, purchase)
        return answer

    def _given_up(self) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"The payment was given up before the {self.server.where} answered: its buyer or its client was closed "
            "meanwhile. Nothing was sent; repeat the request.",
            wrote_nothing=True,
        )

    def _too_large(self, order: Order) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"With {order.price}, a sum would be larger than the {self.server.where} can count (2**63 millionths). "
            "Nothing was paid. Limit prices by per_request in the Policy.",
            wrote_nothing=True,
        )


def _raise_obstacle(answer: Any, purchase: Purchase) -> None:
    """Raise what stands in the way of a new hold for good, if something does."""
    status = answer[0]
    if status == "frozen":
        refusals.check_frozen([answer[2]], purchase)
    if status == "allowance":
        raise _not_open(answer)
    if status == "another":
        raise refusals.another_wallet(protocol.read_row(answer[2]))
    if status in ("paid", "foreign"):
        hold = protocol.read_row(answer[2])
        refusals.check_key(hold, purchase)
        raise refusals.already_paid(hold)


def _raise_over(answer: Any, order: Order) -> None:
    if answer[0] == "over":
        raise refusals.over_limit(order, [_exceeded(order, *found) for found in answer[2]], time.time())


def _not_open(answer: Any) -> X402Error:
    account, state, until = answer[2:]
    return refusals.allowance_refusal(account, state or None, int(until) / protocol.MICROSECONDS if until else None)


def _exceeded(order: Order, position: int, flat: list[str]) -> refusals.Exceeded:
    cap = order.caps[position - 1]
    kept = dict(zip(flat[::2], flat[1::2], strict=True))
    counted, length = int(kept.get("t", 0)), WINDOWS[cap.window]
    window = Window(length)
    for number in sorted(int(name) for name in kept if name.isdigit()):
        window.add(int(kept[str(number)]), number * ((length or 0) // BUCKETS))
    asked = 1 if cap.currency is None else order.price.units
    return refusals.Exceeded(cap, counted, window.fits_at(counted + asked - cap.most))
