"""Accounts: the names under which a ledger keeps sums. ``counting_accounts`` returns those that count a payment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from ..errors import ConfigurationError
from ..model.budgets import Cap
from ..model.holds import Order
from ..model.hosts import Pattern

#: The account of all payments of a purse.
OVERALL = ""


def accounts_of(order: Order) -> tuple[str, ...]:
    """Return the accounts that an order names, each once. Hot path: called once per payment.

    Those are the purse, the host, each matching entry of the policy that sets a budget, and the allowances.
    """
    return _accounts(order.purchase.origin.host, order.caps, order.path)


@lru_cache(maxsize=256)
def _accounts(host: str, caps: tuple[Cap, ...], path: tuple[str, ...]) -> tuple[str, ...]:
    names = [OVERALL, host]
    names += [cap.account for cap in caps]
    names += path  # "a child's spending counts at every ancestor, in the same step"
    # Another kind of budget is one more line here.
    return tuple(dict.fromkeys(names))


def counting_accounts(order: Order, has_account: Callable[[str], bool]) -> tuple[str, ...]:
    """Return every account in which a payment counts: those that its order names, and those of other known patterns.

    The rule: "Every matching entry of `hosts` counts". Programs that share a purse may have different policies. An
    entry of another program's policy also counts this payment, once it has an account. It limits only the programs
    whose policy has it. ``has_account`` tells whether the purse has an account of this name. It is called for the few
    patterns that cover the origin.
    """
    named, origin = accounts_of(order), order.purchase.origin
    others = [name for name in patterns_of(origin.host, origin.port) if name not in named and has_account(name)]
    return (*named, *others)


@lru_cache(maxsize=256)
def patterns_of(host: str, port: int) -> tuple[str, ...]:
    """Return the name of every pattern that covers an origin, except the bare host."""
    labels = host.split(".")
    wild = [f"*.{'.'.join(labels[first:])}" for first in range(1, len(labels))]
    return (*wild, *(str(Pattern(name, port)) for name in (host, *wild)))


@lru_cache(maxsize=256)
def hosts_in(account: str) -> str | None:
    """Return the hosts of a pattern's account, without a port: a name or a wildcard. None if it is not a pattern.

    The sums of hosts are kept without ports. So a pattern with a port starts from all that was paid to its host: too
    much at first, never too little.
    """
    try:
        return Pattern.parse(account).host
    except ConfigurationError:  # the purse, or an account of another kind
        return None


def hosts_of(account: str, hosts: Iterable[str]) -> list[str]:
    """Return the hosts that an account matches, other than itself.

    The rule: "An account seen for the first time starts from the sums of the hosts it matches".
    """
    found = hosts_in(account)
    if found is None:
        return []
    if found.startswith("*."):
        return [host for host in hosts if host.endswith(found[1:])]
    return [found] if found != account and found in hosts else []
