"""Opens allowances: checks their terms, finds or makes them in the ledger, and drops those that are left behind."""

from __future__ import annotations

import os
import secrets
import weakref
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import X402Error
from ..events import Warned
from ..model.allowances import UNNAMED, AllowanceRecord, AllowanceTerms, called
from ..policy.allowances import AllowanceRules, check_same, checked_name, terms_from
from ..policy.limits import Amounts
from .ledger_calls import acall_ledger, call_ledger
from .services import Services

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Opening:
    """An allowance that is about to be found in the ledger, or to be made there."""

    services: Services
    rules: AllowanceRules

    @classmethod
    def of(
        cls,
        services: Services,
        amount: Amounts,
        minutes: float | None,
        name: str | None,
        hosts: Iterable[str] | None,
        per_request: Amounts | None,
        parent: AllowanceTerms | None = None,
    ) -> Opening:
        """Check the terms that a user wrote."""
        called = UNNAMED + secrets.token_hex(8) if name is None else checked_name(name)
        terms = terms_from(services.purse, called, amount, minutes, hosts, per_request, parent)
        return cls(services, AllowanceRules.of(terms))

    def open(self) -> AllowanceRecord:
        """Find or make it in the ledger. Terms that differ from those it has there are refused."""
        forget_left_behind(self.services)
        return self._same(call_ledger(self.services.ledger, self._ask))

    async def aopen(self) -> AllowanceRecord:
        """Async twin of ``open``."""
        await aforget_left_behind(self.services)
        return self._same(await acall_ledger(self.services.ledger, self._ask))

    def watched(self, allowance: T) -> T:
        """Return the allowance. One without a name is forgotten once its object is gone: none can ask for it then.

        A forked child has a copy of the object. It is its parent's to let go of.
        """
        if not self.rules.terms.lasts:
            left = weakref.finalize(
                allowance, _leave, self.services.left_behind, self.rules.account, os.getpid()
            )  # fmt: skip
            left.atexit = False
        return allowance

    def _ask(self, ledger: Any) -> Any:
        return ledger.open_allowance(self.rules.terms)

    def _same(self, record: AllowanceRecord) -> AllowanceRecord:
        check_same(self.rules.terms, record.terms)
        if record.state != "open":
            problem = f"The {called(self.rules.name)} is {record.state}: nothing new is paid under it."
            self.services.tell(Warned("", "", problem))
        return record


def _leave(left_behind: deque[str], account: str, process: int) -> None:
    if os.getpid() == process:
        left_behind.append(account)


def forget_left_behind(services: Services) -> None:
    """Have the ledger drop the allowances without a name whose objects are gone."""
    while services.left_behind:
        account = services.left_behind.popleft()
        with suppress(X402Error):  # it only takes a little room, and pays nothing
            call_ledger(services.ledger, _forget, services.purse, account)


async def aforget_left_behind(services: Services) -> None:
    """Async twin of ``forget_left_behind``."""
    while services.left_behind:
        account = services.left_behind.popleft()
        with suppress(X402Error):
            await acall_ledger(services.ledger, _forget, services.purse, account)


def _forget(ledger: Any, purse: str, account: str) -> Any:
    return ledger.mark_allowance(purse, account, "forgotten")
