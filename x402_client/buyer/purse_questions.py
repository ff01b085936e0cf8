"""The questions that a buyer answers about its purse, and what it does there: write-offs, look-ups, freezes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from ..chains.rpc import Endpoints
from ..core.delivery import NO_COURIER, as_answered
from ..core.drive import arun, run
from ..core.ports import Ledger
from ..core.reclaim import reclaim
from ..errors import ConfigurationError, PaymentRefused, X402Error
from ..events import WrittenOff
from ..ledgers.extras import owed_in
from ..model.exposures import Exposure
from ..model.holds import Hold
from ..model.keyword_hints import hints
from ..model.money import Money
from ..policy.policy import Policy
from . import past
from .answers import Answers, AsyncAnswers
from .budget_questions import Remaining, check_currency, counted, in_total, question
from .freezes import freeze_name, server_meant, tell_server_goes_on, tell_unfrozen
from .ledger_calls import acall_ledger, call_ledger
from .reconciled import Reconciled, not_asked
from .services import Services
from .settings import is_async
from .settlement_reader import alearn, learn, to_ask


class PurseQuestions:
    """The part of a buyer that looks into its purse."""

    ledger: Ledger
    policy: Policy
    purse: str
    reader: Any
    services: Services
    endpoints: Endpoints

    @hints
    def spent(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money:
        """Return the money that counts as spent in a window.

        It is the overall sum, that of one host, or that of a host pattern of the policy that has a budget.

        Args:
            host: A host or a pattern of the policy's ``hosts``. Default: all hosts together.
            window: ``"minute"``, ``"hour"``, ``"day"``, ``"month"`` or ``"total"``. Default: ``"day"``.
            currency: The currency. Test money is asked for by its name, ``"USD (test)"``. Default: ``"USD"``.
        """
        asked = question(host, window, currency, self.purse)
        spent = call_ledger(self.ledger, partial(counted, asked))
        ever = None if spent else in_total(asked)
        if ever is not None and not call_ledger(self.ledger, partial(counted, ever)):
            check_currency(asked.currency, self.policy)
        return Money.of_units(spent, asked.currency)

    async def aspent(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money:
        """Async twin of ``spent``."""
        asked = question(host, window, currency, self.purse)
        spent = await acall_ledger(self.ledger, partial(counted, asked))
        ever = None if spent else in_total(asked)
        if ever is not None and not await acall_ledger(self.ledger, partial(counted, ever)):
            check_currency(asked.currency, self.policy)
        return Money.of_units(spent, asked.currency)

    @hints
    def remaining(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money | None:
        """Return the money that the policy still allows in a window, overall or at one host.

        None means that nothing limits it there.

        Args:
            host: A host. Default: the limits over all hosts.
            window: ``"minute"``, ``"hour"``, ``"day"``, ``"month"`` or ``"total"``. Default: ``"day"``.
            currency: The currency. Test money is asked for by its name, ``"USD (test)"``. Default: ``"USD"``.
        """
        asked = Remaining(self.policy, host, window, currency, self.purse)
        return asked.least([call_ledger(self.ledger, partial(counted, one)) for one in asked.questions])

    async def aremaining(self, host: str | None = None, window: str = "day", currency: str = "USD") -> Money | None:
        """Async twin of ``remaining``."""
        asked = Remaining(self.policy, host, window, currency, self.purse)
        return asked.least([await acall_ledger(self.ledger, partial(counted, one)) for one in asked.questions])

    def holds(self) -> tuple[Hold, ...]:
        """Return the purchases that are not resolved: reserved, in flight, or without a usable answer.

        The ``money`` of each is what its outcome or the last error about it said; ``last`` has the seller's answer.
        """
        return tuple(map(as_answered, past.open_holds(self.services)))

    async def aholds(self) -> tuple[Hold, ...]:
        """Async twin of ``holds``."""
        return tuple(map(as_answered, await past.aopen_holds(self.services)))

    @hints
    def history(self, limit: int = 100) -> tuple[Hold, ...]:
        """Return the latest resolved purchases, newest first.

        Args:
            limit: The most purchases to return. Default: 100.
        """
        return past.history(self.services, limit)

    @hints
    async def ahistory(self, limit: int = 100) -> tuple[Hold, ...]:
        """Async twin of ``history``."""
        return await past.ahistory(self.services, limit)

    def write_off(self, hold: Hold | str) -> Hold:
        """Give up an unresolved purchase.

        It counts as spent, and the next same request is a new purchase. A payment that has not expired can still
        settle, so that the seller may be paid twice: wait for its expiry and ``reconcile()`` where you can.

        Args:
            hold: The purchase, as ``holds()`` or an error has it, or its ``id``.

        Raises:
            PaymentRefused: It is being paid at this moment, or not exactly one unresolved payment has that ``id``.
        """
        one = past.named(hold, past.open_holds(self.services)) if not isinstance(hold, Hold) else hold
        try:
            return self._written_off(call_ledger(self.ledger, lambda ledger: ledger.write_off(one)))
        except PaymentRefused as refusal:
            raise past.in_flight_instead(one, past.open_holds(self.services)) or refusal from None

    async def awrite_off(self, hold: Hold | str) -> Hold:
        """Async twin of ``write_off``."""
        one = past.named(hold, await past.aopen_holds(self.services)) if not isinstance(hold, Hold) else hold
        try:
            return self._written_off(await acall_ledger(self.ledger, lambda ledger: ledger.write_off(one)))
        except PaymentRefused as refusal:
            raise past.in_flight_instead(one, await past.aopen_holds(self.services)) or refusal from None

    def _written_off(self, hold: Hold) -> Hold:
        self.services.tell(WrittenOff(hold.purchase.method, hold.url, hold))
        return hold

    def reconcile(self) -> Reconciled:
        """Ask the chain about every expired payment without an answer, and what was taken of each ceiling.

        Payments that did not settle are given back to the budgets, and what was not taken of a ceiling. Those that have
        not expired are listed, and those that a call is paying at this moment.
        """
        if is_async(self.reader.read):
            raise ConfigurationError("This buyer's reader is async; use areconcile, the async twin of the method.")
        holds = past.open_holds(self.services)
        found = not_asked(holds)
        owed = call_ledger(self.ledger, owed_in, self.purse)
        for hold in to_ask(self.reader, holds, owed):
            told, fate = learn(self.reader, hold)
            if fate == "open":
                continue
            answered = run(reclaim(told, fate, self.policy), Answers(self.services, NO_COURIER))
            found = found.with_one(told, answered)
        return found.with_failures(self.reader)

    async def areconcile(self) -> Reconciled:
        """Async twin of ``reconcile``."""
        holds = await past.aopen_holds(self.services)
        found = not_asked(holds)
        owed = await acall_ledger(self.ledger, owed_in, self.purse)
        for hold in to_ask(self.reader, holds, owed):
            told, fate = await alearn(self.reader, hold)
            if fate == "open":
                continue
            answered = await arun(reclaim(told, fate, self.policy), AsyncAnswers(self.services, NO_COURIER))
            found = found.with_one(told, answered)
        return found.with_failures(self.reader)

    def freeze(self, host: str = "*") -> None:
        """Stop payments to a host pattern, or all payments, at once.

        Args:
            host: A host, a pattern like ``*.example.com``, or ``*``. Default: ``*``, which is every host.
        """
        named = freeze_name(host)
        call_ledger(self.ledger, lambda ledger: ledger.freeze(named))
        if server_meant(named):
            with suppress(X402Error):  # the freeze holds
                tell_server_goes_on(self.services, named, self._payees((*self.holds(), *self.history())))

    async def afreeze(self, host: str = "*") -> None:
        """Async twin of ``freeze``."""
        named = freeze_name(host)
        await acall_ledger(self.ledger, lambda ledger: ledger.freeze(named))
        if server_meant(named):
            with suppress(X402Error):
                tell_server_goes_on(self.services, named, self._payees((*await self.aholds(), *await self.ahistory())))

    def _payees(self, payments: Iterable[Hold]) -> set[str]:
        """Return the hosts that were paid or that the policy has rules for."""
        return {*map(str, self.policy.hosts), *(hold.host for hold in payments)}

    def unfreeze(self, host: str = "*") -> tuple[str, ...]:
        """Lift one freeze, by the name it was set under, and return the freezes that still stop payments there.

        What is left, or a name that was not frozen, is told as an event too; the latter as a warning of Python's, where
        nothing listens.

        Args:
            host: The name that was frozen. Default: ``*``.
        """
        named, before = freeze_name(host), self.freezes()
        call_ledger(self.ledger, lambda ledger: ledger.unfreeze(named))
        return tell_unfrozen(self.services, named, before, self.freezes())

    async def aunfreeze(self, host: str = "*") -> tuple[str, ...]:
        """Async twin of ``unfreeze``."""
        named, before = freeze_name(host), await self.afreezes()
        await acall_ledger(self.ledger, lambda ledger: ledger.unfreeze(named))
        return tell_unfrozen(self.services, named, before, await self.afreezes())

    def exposures(self) -> tuple[Exposure, ...]:
        """Return what permits and allowances of this wallet to Permit2 could still take, as their chains tell it now.

        Every token is looked at for which the ledger knows of a permit or a payment by Permit2. So is every one that
        the policy could pay with, on its ``networks``; without them on Base, Base Sepolia, and where you named an
        endpoint. Their amounts count in no budget: what is taken by a payment counts in that one.
        """
        from .exposures import judge, known_permits  # they bring the schemes along

        judged = judge(known_permits(self.services), self.policy, self.services, self.endpoints)
        return run(judged, Answers(self.services, NO_COURIER))

    async def aexposures(self) -> tuple[Exposure, ...]:
        """Async twin of ``exposures``."""
        from .exposures import aknown_permits, judge

        judged = judge(await aknown_permits(self.services), self.policy, self.services, self.endpoints)
        return await arun(judged, AsyncAnswers(self.services, NO_COURIER))

    def freezes(self) -> tuple[str, ...]:
        """Return the host patterns to which payments are stopped; ``*`` stops all. Allowances are not among them."""
        return tuple(call_ledger(self.ledger, lambda ledger: ledger.freezes()))

    async def afreezes(self) -> tuple[str, ...]:
        """Async twin of ``freezes``."""
        return tuple(await acall_ledger(self.ledger, lambda ledger: ledger.freezes()))
