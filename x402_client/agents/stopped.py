"""Says what stops all new payments at this moment: a freeze, or an allowance that is not open. A search tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..buyer.keyless import KeylessWallet
from ..buyer.payers import root_of
from ..errors import X402Error
from ..model.hosts import Origin, Pattern
from .budgets import allowances_of

if TYPE_CHECKING:
    from ..buyer.payers import Payer


class Stopped(NamedTuple):
    """The patterns that are frozen, the states of the allowances that are not open, and whether nothing can sign."""

    frozen: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    no_wallet: bool = False

    def reason(self, origin: Origin) -> str:
        """Return what stops payments to an origin; "" if nothing does."""
        if self.states:
            return f"the allowance that it would count in is {self.states[0]}"
        found = next((one for one in self.frozen if one == "*" or Pattern.parse(one).matches(origin)), "")
        if not found:
            return "there is no wallet to pay with" if self.no_wallet else ""
        return "all payments are frozen" if found == "*" else f"payments to {found} are frozen"


def stopped(payer: Payer) -> Stopped:
    """Return what stops payments now. Nothing, where the ledger cannot be asked: a search needs none."""
    try:
        states = [one.balance().state for one in allowances_of(payer)]
        return Stopped(root_of(payer).freezes(), _closed(states), _has_no_wallet(payer))
    except X402Error:
        return Stopped()


async def astopped(payer: Payer) -> Stopped:
    """Async twin of ``stopped``."""
    try:
        states = [(await one.abalance()).state for one in allowances_of(payer)]
        return Stopped(await root_of(payer).afreezes(), _closed(states), _has_no_wallet(payer))
    except X402Error:
        return Stopped()


def _has_no_wallet(payer: Payer) -> bool:
    return isinstance(root_of(payer).wallet, KeylessWallet)


def _closed(states: list[str]) -> tuple[str, ...]:
    return tuple(state for state in states if state != "open")
