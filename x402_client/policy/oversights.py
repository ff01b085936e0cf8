"""Oversights in a policy: what no payment can reach, and what changes nothing. The log alone tells them."""

from __future__ import annotations

from collections.abc import Iterator

from .contradictions import contradictions, known_currencies, lists
from .policy import Policy


def oversights(policy: Policy) -> Iterator[str]:
    """Yield what looks like an oversight in a policy. It is taken as it is written."""
    hosts = policy.hosts
    yield from contradictions(policy.overall, hosts, policy.only_listed_hosts, policy.approve_above)
    yield from lists(policy.overall, hosts, policy.tokens, policy.networks, policy.assets, policy.pay_to)


def currencies(policy: Policy) -> set[str]:
    """Return the currencies in which a payment can be made under a policy, or that it names."""
    return known_currencies(policy.overall, policy.hosts, policy.tokens)
