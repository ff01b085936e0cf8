"""The books of allowances: where each payment counts, what was stopped, and when each allowance is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .broken import MOVED, OVER, STOPPED, Broken
from .chain import Chain, Payment
from .clock import real
from .events import Allowed, Setting
from .terms import PRICE

if TYPE_CHECKING:
    from .books import Made

#: Seconds that may pass between the end of an allowance and the arrival of a payment that was reserved before it.
LATE = 60


class Allowances:
    """What the allowances of a script promise. A payment stays counted where it was, whoever presents it later."""

    def __init__(self, chain: Chain, setting: Setting) -> None:
        self.chain, self.setting = chain, setting
        #: By nonce, the accounts that a payment was counted in as it was signed.
        self._paths: dict[str, tuple[str, ...]] = {}
        #: By account, its place in the tree, and when it ends.
        self._places: dict[str, int] = {}
        self._ends: dict[str, float] = {}
        #: By account, since when it is closed or frozen, in real seconds, and those that are closed.
        self._stopped: dict[str, float] = {}
        self._closed: set[str] = set()
        self._judged: set[str] = set()
        self._moved = ""

    def opened(self, account: str, place: int) -> None:
        """Note that an allowance is there. Its end is fixed as it is opened first."""
        minutes = self.setting.tree[place - 1].minutes
        self._places[account] = place
        if minutes is not None:
            self._ends.setdefault(account, self.chain.clock.chain() + minutes * 60)

    def marked(self, account: str, how: str) -> None:
        """Note what was done to an allowance. Nothing opens what was closed."""
        if how == "close":
            self._closed.add(account)
        if how != "unfreeze":
            self._stopped.setdefault(account, real())
        elif account not in self._closed:
            self._stopped.pop(account, None)

    def lost(self) -> None:
        """The ledger is another one from now on, and what was opened and stopped in it may be gone."""
        self._ends, self._stopped, self._closed = {}, {}, set()

    def presented(self, nonce: str, path: tuple[str, ...]) -> None:
        """Note where a payment counts."""
        before = self._paths.setdefault(nonce, path)
        if before != path:
            self._moved = f"a payment counted in {before} and counts in {path} now"

    def check(self, out: list[Payment], made: Iterable[Made]) -> None:
        """Hold what is out under each allowance, and under those inside it, to its terms."""
        if self._moved:
            raise Broken(MOVED, self._moved)
        listed = list(made)
        for payment in out:
            self._is_where_it_was_asked(payment, listed)
            if payment.nonce not in self._judged:
                self._judged.add(payment.nonce)
                self._could_be_paid(payment, listed)
        for account, place in self._places.items():
            total, most = sum(one.amount for one in out if account in self._path(one)), self._terms(place).cents * PRICE
            if total > most:
                raise Broken(OVER, f"{total} units are out under {most} of allowance {place}")

    def _terms(self, place: int) -> Allowed:
        return self.setting.tree[place - 1]

    def _path(self, payment: Payment) -> tuple[str, ...]:
        return self._paths.get(payment.nonce, ())

    def _is_where_it_was_asked(self, payment: Payment, made: list[Made]) -> None:
        """Hold a payment to the allowances of one of the calls for the same thing: its own, and its client's."""
        counts = {self._places.get(account, 0) for account in self._path(payment)}
        calls = [one.call for one in made if one.visit.thing == payment.thing]
        possible = [set(self.setting.path(call.under)) | set(self.setting.path(call.around)) for call in calls]
        if counts not in possible:
            raise Broken(MOVED, f"{payment.nonce} counts in {self._path(payment)}, asked was {possible}")

    def _could_be_paid(self, payment: Payment, made: list[Made]) -> None:
        """Hold a payment that is out for the first time to what its allowances pay: one host only, so much at once."""
        last = next(one for one in made if one.visit.number == payment.call)
        for account in self._path(payment):
            place = self._places[account]
            said = self._terms(place)
            if said.host is not None and not payment.host.endswith(said.host.removeprefix("*")):
                raise Broken(STOPPED, f"allowance {place} is for {said.host}, and {payment.host} was paid")
            if said.most is not None and payment.amount > said.most * PRICE:
                raise Broken(OVER, f"call {payment.call} paid {payment.amount} units at once in allowance {place}")
            if not any(self._may_have_signed(one, last) for one in made):
                self._was_open(payment, account, last)

    def _was_open(self, payment: Payment, account: str, made: Made) -> None:
        """Hold a new payment to allowances that pay yet."""
        place, stopped = self._places[account], self._stopped.get(account)
        if stopped is not None and made.started > stopped:
            raise Broken(STOPPED, f"call {payment.call} paid anew under allowance {place}, which was stopped")
        if payment.handed > self._ends.get(account, payment.handed) + LATE:
            raise Broken(STOPPED, f"call {payment.call} paid anew under allowance {place}, whose time is over")

    @staticmethod
    def _may_have_signed(other: Made, last: Made) -> bool:
        """Return True if an earlier call may have signed what another one handed over: it did not bring the content."""
        earlier = other.visit.thing == last.visit.thing and other.visit.number < last.visit.number
        return earlier and (other.end is None or not other.end.whole)
