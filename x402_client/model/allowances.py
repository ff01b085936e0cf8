"""The records of allowances: budgets within the budget, as a ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from .counts import counted

#: The state of an allowance. "ended": its time is over, by the ledger's clock.
AllowanceState = Literal["open", "frozen", "closed", "ended"]
#: A state that is set by hand. Only "frozen" is lifted again, by "open". "forgotten": it is closed, and none will ask
#: for it any more, so a ledger need not keep it.
AllowanceMark = Literal["open", "frozen", "closed", "forgotten"]

#: States that stop new payments, the most final first.
_STOPPED: tuple[AllowanceState, ...] = ("closed", "ended", "frozen")
_PREFIX = "allowance "
#: The names of allowances that got none begin with it. A name of the user's own does not.
UNNAMED = "~"


def allowance_account(name: str) -> str:
    """Return the account in which the spending of an allowance counts. No host has a name with a space."""
    return _PREFIX + name


def allowance_name(account: str) -> str | None:
    """Return the name of the allowance whose account it is. None: it is another account."""
    return account.removeprefix(_PREFIX) if account.startswith(_PREFIX) else None


def called(name: str, quoted: bool = True) -> str:
    """Return an allowance as messages call it: ``allowance 'run-42'``. A name that was drawn says nothing to a reader.

    Args:
        name: Its name.
        quoted: False to leave out the quotation marks. Default: True.
    """
    if name.startswith(UNNAMED):
        return "allowance without a name"
    return f"allowance {name!r}" if quoted else f"allowance {name}"


class AllowanceTerms(NamedTuple):
    """The terms of an allowance as they were written. All that ask for one name have to give the same ones."""

    purse: str
    account: str
    #: The most that may be spent, in each currency.
    amounts: tuple[str, ...]
    #: The seconds that it lasts. None: it does not end by itself.
    seconds: int | None = None
    #: The patterns of hosts that may be paid. None: any.
    hosts: tuple[str, ...] | None = None
    #: The most that one payment may cost, in each currency. Empty: as much as the policy says.
    per_request: tuple[str, ...] = ()
    #: The account of the allowance that it is a part of. None: it is a part of the buyer's own budgets.
    parent: str | None = None

    @property
    def name(self) -> str:
        """Return its name."""
        return allowance_name(self.account) or self.account

    @property
    def lasts(self) -> bool:
        """Return True if the user named it, so that it lasts in the ledger."""
        return not self.name.startswith(UNNAMED)

    def __str__(self) -> str:
        parts = [" and ".join(self.amounts)]
        parts.append("no end" if self.seconds is None else counted(self.seconds / 60, "minute"))
        parts.append("any host" if self.hosts is None else f"hosts {', '.join(self.hosts)}")
        parts.append(f"per request {' and '.join(self.per_request)}" if self.per_request else "no limit per request")
        above = None if self.parent is None else allowance_name(self.parent) or self.parent
        unnamed = above is not None and above.startswith(UNNAMED)
        parts.append("no parent" if above is None else "parent without a name" if unnamed else f"parent {above!r}")
        return ", ".join(parts)


class AllowanceRecord(NamedTuple):
    """An allowance as a ledger knows it at one moment."""

    terms: AllowanceTerms
    #: When it was opened, and when it ends, in seconds since 1970 by the ledger's clock. None: it does not end.
    opened: float
    until: float | None
    state: AllowanceState = "open"
    #: The millionths that count as spent, by currency.
    counted: tuple[tuple[str, int], ...] = ()

    def with_sums(self, counted: Iterable[tuple[str, int]]) -> AllowanceRecord:
        """Return a copy with the millionths that count as spent, by currency.

        Args:
            counted: Pairs of a currency and its millionths.
        """
        return self._replace(counted=tuple(sorted(counted)))

    def spent(self, currency: str) -> int:
        """Return the millionths of a currency that count as spent.

        Args:
            currency: The currency.
        """
        return dict(self.counted).get(currency, 0)


def state_of_all(states: Iterable[AllowanceState]) -> AllowanceState:
    """Return the state of an allowance, given its own and those of all above it: the most final one counts."""
    found = set(states)
    for state in _STOPPED:
        if state in found:
            return state
    return "open"
