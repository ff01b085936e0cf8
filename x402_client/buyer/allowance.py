"""``buyer.allowance(...)``: a budget within the budget, for a session, an agent, a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from ..guards.lost_blocks import entering_frame
from ..ledgers.refusals import allowance_refusal
from ..model.allowances import AllowanceMark, AllowanceRecord, AllowanceState, state_of_all
from ..model.holds import Hold, moment
from ..model.keyword_hints import hints
from ..model.money import Amount, Money, currency_code
from ..model.offers import Quote, line, words
from ..policy.allowances import AllowanceRules
from ..policy.limits import Amounts
from . import past
from .ledger_calls import acall_ledger, call_ledger
from .opening import Opening
from .purse_questions import PurseQuestions
from .scopes import (
    AllowanceScope,
    PlainWith,
    Scope,
    Seen,
    enter,
    leave,
    look_where,
    mandate,
    run_inside,
    warn_of_another_context,
)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AllowanceBalance:
    """The state of an allowance at one moment, in one currency.

    Attributes:
        amount: What there was of it.
        spent: What counts as spent, also by those inside it.
        remaining: What may still be spent: it has to be left above it too, and is zero once it is closed or over.
        state: ``"open"``, ``"frozen"``, ``"closed"`` or ``"ended"``, of it and of all above it.
        until: When it ends, or one above it does. None: it does not end by itself.
    """

    amount: Money
    spent: Money
    remaining: Money
    state: AllowanceState
    until: datetime | None


class Allowance(PlainWith):
    """A budget within the budget of a buyer. It stands wherever a buyer may stand.

    It is made by ``buyer.allowance(...)``, and one inside it by ``allowance.allowance(...)``. A payment under it counts
    in it, in each one above it and in the policy's own limits, in one step: all of them have to have room. Nothing in
    it widens what is above it. ``with allowance:`` is a scope, as ``with buyer.purchase(...)`` is.

    Args:
        root: The buyer that pays.
        rules: The terms, as the policy reads them.
        record: The allowance as the ledger has it.
        parent: The allowance that it is a part of, or None.
    """

    def __init__(
        self, root: PurseQuestions, rules: AllowanceRules, record: AllowanceRecord, parent: Allowance | None
    ) -> None:
        self._root, self._services, self._rules, self._parent = root, root.services, rules, parent
        ends = [one for one in (record.until, None if parent is None else parent._until) if one is not None]
        self._until: float | None = min(ends, default=None)
        above = () if parent is None else parent.path
        #: The rules of this allowance and of those above it, from the root down.
        self.path: tuple[AllowanceRules, ...] = (*above, rules)
        self._seen = Seen()

    @property
    def name(self) -> str:
        """Return its name. One that was given none has one that is drawn, and begins with ``~``."""
        return self._rules.name

    @property
    def amounts(self) -> tuple[Money, ...]:
        """Return the most that may be spent, in each currency."""
        return tuple(map(Money, self._rules.terms.amounts))

    @property
    def parent(self) -> Allowance | None:
        """Return the allowance that it is a part of. None: it is a part of the buyer's own budgets."""
        return self._parent

    @property
    def buyer(self) -> PurseQuestions:
        """Return the buyer that pays."""
        return self._root

    @property
    def until(self) -> datetime | None:
        """Return when it ends, or one above it does, by the ledger's clock. None: it does not end by itself."""
        return moment(self._until)

    @property
    def spent(self) -> Money:
        """Return what counts as spent in it, in its first currency. ``balance`` tells of others.

        A property, without brackets: an allowance has one amount. ``Buyer.spent()`` is a method, and takes a window.
        """
        return self.balance().spent

    async def aspent(self) -> Money:
        """Async twin of ``spent``."""
        return (await self.abalance()).spent

    @property
    def remaining(self) -> Money:
        """Return what may still be spent, in its first currency: it has to be left in those above it too.

        A property, without brackets; ``Buyer.remaining()`` is a method.
        """
        return self.balance().remaining

    async def aremaining(self) -> Money:
        """Async twin of ``remaining``."""
        return (await self.abalance()).remaining

    def balance(self, currency: str | None = None) -> AllowanceBalance:
        """Return what was spent, what is left, and whether it is open.

        Args:
            currency: The currency. Test money is asked for by its name, ``"USD (test)"``. Default: the first of its
                amounts.
        """
        asked = self._currency(currency)
        return self._balance(call_ledger(self._services.ledger, self._records), asked)

    async def abalance(self, currency: str | None = None) -> AllowanceBalance:
        """Async twin of ``balance``."""
        asked = self._currency(currency)
        return self._balance(await acall_ledger(self._services.ledger, self._records), asked)

    def holds(self) -> tuple[Hold, ...]:
        """Return the purchases under it, and under those inside it, that are not resolved."""
        return past.under(self._rules.account, past.open_holds(self._services))

    async def aholds(self) -> tuple[Hold, ...]:
        """Async twin of ``holds``."""
        return past.under(self._rules.account, await past.aopen_holds(self._services))

    def history(self, limit: int = 100) -> tuple[Hold, ...]:
        """Return the latest resolved purchases under it and under those inside it, newest first.

        Args:
            limit: The most purchases to return. Default: 100.
        """
        return past.history(self._services, limit, self._rules.account)

    async def ahistory(self, limit: int = 100) -> tuple[Hold, ...]:
        """Async twin of ``history``."""
        return await past.ahistory(self._services, limit, self._rules.account)

    def close(self) -> None:
        """Make no new payment under it or those inside it, ever, in any process.

        What was signed under it before is presented again as ever, and stays counted.
        """
        self._mark("closed")

    async def aclose(self) -> None:
        """Async twin of ``close``."""
        await self._amark("closed")

    def freeze(self) -> None:
        """Make no new payment under it or those inside it, in any process, until ``unfreeze``."""
        self._mark("frozen")

    async def afreeze(self) -> None:
        """Async twin of ``freeze``."""
        await self._amark("frozen")

    def unfreeze(self) -> None:
        """Lift its own freeze again. Those above it may be frozen too."""
        self._mark("open")

    async def aunfreeze(self) -> None:
        """Async twin of ``unfreeze``."""
        await self._amark("open")

    @hints
    def allowance(
        self,
        amount: Amounts,
        *,
        minutes: float | None = None,
        name: str | None = None,
        hosts: Iterable[str] | None = None,
        per_request: Amounts | None = None,
    ) -> Allowance:
        """Return an allowance inside this one. What it spends counts in both, and it ends with this one at the latest.

        Args:
            amount: The most that may be spent under it, as in ``"1.00"``, or several in a list, one for each currency.
            minutes: The minutes after which it pays nothing more. Default: None, it does not end by itself.
            name: A name of your own, under which it lasts in the ledger. Default: None, it lasts as long as its object.
            hosts: The only hosts that it may pay, as in ``["api.example.com", "*.example.dev"]``. Default: None, any.
            per_request: The most that one payment may cost. Default: None, no limit of its own.
        """
        opening = Opening.of(self._services, amount, minutes, name, hosts, per_request, self._rules.terms)
        return self._inside(opening, opening.open())

    @hints
    async def aallowance(
        self,
        amount: Amounts,
        *,
        minutes: float | None = None,
        name: str | None = None,
        hosts: Iterable[str] | None = None,
        per_request: Amounts | None = None,
    ) -> Allowance:
        """Async twin of ``allowance``."""
        opening = Opening.of(self._services, amount, minutes, name, hosts, per_request, self._rules.terms)
        return self._inside(opening, await opening.aopen())

    @hints
    def purchase(
        self,
        *,
        key: str | None = None,
        per_request: Amount | None = None,
        quote: Quote | None = None,
    ) -> Scope:
        """Return a scope for the requests inside ``with``: they are made under this allowance.

        Args:
            key: A name of your own for the purchase, which is paid once only. Default: none; the request names it.
            per_request: The most that a payment in it may cost, below all other limits. Default: no limit of its own.
            quote: The terms to pay, from ``quote(client, method, url)``; others are refused. Default: those of the
                moment.
        """
        return Scope(self._root, mandate(key, per_request, quote), self.path, self)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` under this allowance. It may be called from any thread.

        Args:
            function: A plain function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
        """
        return run_inside(self._scope(), "with allowance:", function, *args, **kwargs)

    def __enter__(self) -> Self:
        look_where(entering_frame())
        enter(self._scope())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not leave(self):
            warn_of_another_context(self._seen.yes, kind)

    def _scope(self) -> AllowanceScope:
        return AllowanceScope(self._root, self.path, self, self._seen)

    def __repr__(self) -> str:
        if not hasattr(self, "path"):
            return "<Allowance, half built>"  # for tools that show variables
        name = f" {words(self.name, 60)}" if self._rules.terms.lasts else " without a name"
        return line(f"<Allowance{name}: {words(str(self._rules.terms), 200)}>")

    def _inside(self, opening: Opening, record: AllowanceRecord) -> Allowance:
        return opening.watched(Allowance(self._root, opening.rules, record, self))

    def _mark(self, mark: AllowanceMark) -> None:
        purse, account = self._services.purse, self._rules.account
        self._marked(call_ledger(self._services.ledger, lambda ledger: ledger.mark_allowance(purse, account, mark)))

    async def _amark(self, mark: AllowanceMark) -> None:
        purse, account = self._services.purse, self._rules.account
        self._marked(
            await acall_ledger(self._services.ledger, lambda ledger: ledger.mark_allowance(purse, account, mark))
        )

    def _marked(self, known: bool) -> None:
        if not known:
            raise allowance_refusal(self._rules.account, None)

    def _currency(self, currency: str | None) -> str:
        return self.amounts[0].currency if currency is None else currency_code(currency)

    def _records(self, ledger: Any) -> Any:
        return ledger.allowances(self._services.purse, tuple(one.account for one in self.path))

    def _balance(self, records: Iterable[AllowanceRecord], currency: str) -> AllowanceBalance:
        found = {record.terms.account: record for record in records}
        for one in self.path:
            if one.account not in found:
                raise allowance_refusal(one.account, None)
        state = state_of_all(found[one.account].state for one in self.path)
        left = [one.most(currency).units - found[one.account].spent(currency) for one in self.path]
        rest = 0 if state in ("closed", "ended") else max(0, min(left))
        amount, spent = self._rules.most(currency), found[self._rules.account].spent(currency)
        return AllowanceBalance(
            amount, Money.of_units(spent, currency), Money.of_units(rest, currency), state, self.until
        )  # fmt: skip
