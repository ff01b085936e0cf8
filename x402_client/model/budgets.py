"""The windows of budgets, in one table, and the caps that a ledger checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .allowances import allowance_name, called
from .counts import counted
from .money import Money

#: The accounts of one request each begin with it: ``Policy(same_request=...)`` counts in them. No host has a space.
_REQUEST = "request "
#: Every window is a whole number of minutes: ledgers keep it in sixty buckets of whole seconds.
_MINUTE = 60
_NAME = re.compile("[a-z]+", re.ASCII)
#: The end of the name of a purse in which a ledger counts what one witness gave back. No list shows it.
GIVEN_BACK = " (given back on one witness's word)"
#: The purse in which a ledger keeps the permits that were signed (EIP-2612), of all its purses. No list shows it.
PERMITS = "permits (EIP-2612)"


def purses_to_show(purses: Iterable[str]) -> tuple[str, ...]:
    """Return the names of purses without those that are kept for counting only."""
    return tuple(filter(is_shown, purses))


def is_shown(purse: str) -> bool:
    """Return False for the name of a purse that is kept for counting only."""
    return purse != PERMITS and not purse.endswith(GIVEN_BACK)


#: The name under which what is left of an allowance stands beside what is left of windows.
ALLOWANCE = "allowance"
#: How the budget of a window is spoken of, if not as "the hour's budget".
_BUDGET = {"total": "the total budget", ALLOWANCE: "this allowance"}


def left_in_words(remaining: Mapping[str, Money]) -> str:
    """Return ``4.99 USD of the day's budget``, for every window: any of them may be the first to end."""
    names = (_BUDGET.get(window, f"the {window}'s budget") for window in remaining)
    return ", ".join(f"{money} of {name}" for name, money in zip(names, remaining.values(), strict=True))


class BudgetWindow(NamedTuple):
    """Window of budgets: its name, the number under which files keep it, and its seconds; None never rolls over.

    A number is written into ledgers, so it never changes and is never given to another window.
    """

    name: str
    number: int
    seconds: int | None

    @property
    def keyword(self) -> str:
        """Return the keyword of ``Policy`` and ``Limit``, which is also the field of a policy file."""
        return self.name if self.seconds is None else f"per_{self.name}"


def checked(windows: tuple[BudgetWindow, ...]) -> tuple[BudgetWindow, ...]:
    """Raise ValueError where a table of windows cannot be kept by the ledgers."""
    for window in windows:
        if not _NAME.fullmatch(window.name) or window.number < 0:
            raise ValueError(f"{window}: a name is small letters, and a number is zero or more.")
        if window.seconds is not None and (window.seconds < _MINUTE or window.seconds % _MINUTE):
            raise ValueError(f"{window}: its seconds are a whole number of minutes, at least one, or None.")
    if len({window.name for window in windows}) < len(windows) or len({w.number for w in windows}) < len(windows):
        raise ValueError("Two windows have one name or one number; a number that was used stays used.")
    if [window.name for window in windows if window.seconds is None] != ["total"]:
        raise ValueError("The window that never rolls over is called total, and there is one.")
    return windows


#: Every window there is. A new one is one more line, with a number that was never used; the manual's page
#: "A new window" says what follows by itself. A month is thirty days.
BUDGET_WINDOWS = checked(
    (
        BudgetWindow("minute", 0, 60),
        BudgetWindow("hour", 1, 3_600),
        BudgetWindow("day", 2, 86_400),
        BudgetWindow("month", 3, 30 * 86_400),
        BudgetWindow("total", 4, None),
    )
)
#: Seconds of each window, by name.
WINDOWS: Mapping[str, int | None] = MappingProxyType({window.name: window.seconds for window in BUDGET_WINDOWS})


def request_account(purchase: str) -> str:
    """Return the account in which the payments of one purchase's name count: those for the same request."""
    return _REQUEST + purchase


def is_request_account(account: str) -> bool:
    """Return True if an account is that of one request. Such an account may be forgotten once it is idle."""
    return account.startswith(_REQUEST)


class Cap(NamedTuple):
    """A limit on payments: at most ``most`` millionths of ``currency``, or ``most`` payments if ``currency`` is None.

    ``account`` names the payments that count: ``""`` for all of the purse, a host pattern, an allowance, or a request.
    """

    account: str
    window: str
    currency: str | None
    most: int

    @property
    def host(self) -> str | None:
        """Return the entry of ``hosts`` whose limit it is. None: it is for all hosts, or for something else."""
        other = is_request_account(self.account) or allowance_name(self.account) is not None
        return None if other else self.account or None

    def __str__(self) -> str:
        money = None if self.currency is None else Money.of_units(self.most, self.currency)
        what = counted(self.most, "payment") if money is None else str(money)
        per = "in total" if self.window == "total" else f"per {self.window}"
        if is_request_account(self.account):
            return f"{what} {per} for the same request"
        allowance = allowance_name(self.account)
        place = self.account if allowance is None else f"the {called(allowance)}"
        return f"{what} {per}" + (f" for {place}" if place else "")
