"""Oversights in a policy: what no payment can reach, and what changes nothing. The log alone tells them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..model.money import Money
from ..model.networks import EVM_FAMILY, SOLANA_FAMILY, family_of, short_name
from .contradictions import contradictions, known_currencies, lists, nothing_paid
from .limits import Limit
from .policy import Policy
from .toml_words import in_words

_FAMILIES = {EVM_FAMILY: "EVM chains", SOLANA_FAMILY: "Solana"}


def oversights(policy: Policy) -> Iterator[str]:
    """Yield what looks like an oversight in a policy. It is taken as it is written."""
    yield from in_words(_oversights(policy), policy.of_toml)


def _oversights(policy: Policy) -> Iterator[str]:
    hosts, thresholds = policy.hosts, _thresholds(policy)
    if not policy.allow_zero:
        yield from nothing_paid(policy.overall, hosts)
    yield from contradictions(policy.overall, hosts, policy.only_listed_hosts, thresholds)
    yield from lists(_named(policy), policy.tokens, policy.networks, policy.assets, policy.pay_to)


def _thresholds(policy: Policy) -> dict[str, Limit]:
    """Return the amounts of one payment that are no limits, by their keywords."""
    found = {"approve_above": policy.approve_above}
    if policy.accept_loss:
        found["accept_loss"] = Limit(per_request=policy.accept_loss)
    return {name: amounts for name, amounts in found.items() if amounts is not None}


def _of_ceilings(limit: Limit) -> set[str]:
    return {Money(amount).currency for amount in limit.keywords.get("upto", ())}


def without_key(policy: Policy, families: Collection[str]) -> str:
    """Return a remark if a wallet has a key for none of the networks that a policy names; "" if it has one.

    ``families`` are the families of chains for which it has keys.
    """
    named = policy.networks
    if not named or not families or any(family_of(network) in families for network in named):
        return ""
    has = " and ".join(_FAMILIES.get(family, family) for family in families)
    networks = ", ".join(map(short_name, named))
    return f"networks names {networks}, and the wallet has a key for {has} alone: nothing is paid."


def currencies(policy: Policy) -> set[str]:
    """Return the currencies in which a payment can be made under a policy, or that it names."""
    return known_currencies(policy.tokens) | _named(policy)


def _named(policy: Policy) -> set[str]:
    rules = (rule for rule in policy.hosts.values() if isinstance(rule, Limit))
    amounts = (policy.overall, *rules, *_thresholds(policy).values())
    return set[str]().union(*(limit.currencies | _of_ceilings(limit) for limit in amounts))
