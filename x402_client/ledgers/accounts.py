"""Accounts: the names under which a ledger keeps sums. One function says which of them a payment enters."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..errors import ConfigurationError
from ..model.budgets import Cap
from ..model.holds import Order
from ..model.hosts import Pattern

#: The account of all payments of a purse.
OVERALL = ""


def accounts_of(order: Order) -> tuple[str, ...]:
    """Return every account in which a payment counts, each once. Hot path: called once per payment.

    The rule: "Every matching entry of `hosts` counts". The order names those that set a budget; the purse and the
    host are counted in any case, for `spent()`.
    """
    return _accounts(order.purchase.origin.host, order.caps, order.path)


@lru_cache(maxsize=256)
def _accounts(host: str, caps: tuple[Cap, ...], path: tuple[str, ...]) -> tuple[str, ...]:
    names = [OVERALL, host]
    names += [cap.account for cap in caps]
    names += path  # "a child's spending counts at every ancestor, in the same step"
    # Another kind of budget is one more line here.
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=256)
def patterns_of(host: str, port: int) -> tuple[str, ...]:
    """Return the name of every pattern that covers an origin, but for the host itself.

    A ledger counts a payment in those that it has an account of, whether the payer's policy names them or not: else one
    that was left out of a policy for a while, or that another program's names, would know less than its hosts.
    """
    labels = host.split(".")
    wild = [f"*.{'.'.join(labels[first:])}" for first in range(1, len(labels))]
    return (*wild, *(str(Pattern(name, port)) for name in (host, *wild)))


def hosts_of(account: str, hosts: Iterable[str]) -> list[str]:
    """Return those of the hosts that an account matches, other than itself.

    The rule: "An account seen for the first time starts from the sums of the hosts it matches". Sums of hosts know no
    ports, so a pattern with a port starts from all that was paid to its host: too much at first, never too little.
    """
    if account == OVERALL:
        return []
    try:
        pattern = Pattern.parse(account)
    except ConfigurationError:  # an account of another kind
        return []
    if pattern.host.startswith("*."):
        return [host for host in hosts if host.endswith(pattern.host[1:])]
    return [pattern.host] if pattern.host != account and pattern.host in hosts else []
