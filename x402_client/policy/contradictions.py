"""Contradictions in a policy that is taken as it is written: what no payment reaches or what changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import ConfigurationError
from ..model.hosts import Pattern
from ..model.money import Money
from .checks import HostRule
from .limits import Limit


def check_whole(overall: Limit, hosts: Mapping[Pattern, HostRule], only_listed: bool) -> None:
    """Refuse a policy without any limit, and one that pays listed hosts alone and lists none that may be paid."""
    limits = [overall, *(rule for rule in hosts.values() if isinstance(rule, Limit))]
    if all(limit.empty for limit in limits):
        raise ConfigurationError(
            'This policy limits nothing. Set an amount, for example Policy(per_request="0.10", per_day="5").'
        )
    if only_listed and all(rule == "deny" for rule in hosts.values()):
        raise ConfigurationError(
            "only_listed_hosts=True pays no host that is not in hosts, and hosts has none that may be paid, so nothing "
            'would ever be paid. List one, like Policy(hosts={"api.example.com": Limit(...)}), or leave '
            "only_listed_hosts out."
        )


def contradictions(
    overall: Limit, hosts: Mapping[Pattern, HostRule], only_listed: bool, asks_above: Limit | None
) -> Iterator[str]:
    """Yield what no payment can reach: amounts above a budget, and entries that change nothing."""
    yield from _out_of_reach("per_request", overall, overall)
    if asks_above is not None:
        yield from _out_of_reach("approve_above", asks_above, overall)
    for pattern, rule in hosts.items():
        if isinstance(rule, Limit):
            place = f"hosts[{str(pattern)!r}]: "
            yield from (place + said for said in _out_of_reach("per_request", rule, rule, overall))
            said = "" if rule.keywords else _of_empty(pattern, overall, hosts, only_listed)
            yield from [place + said] if said else []


def _out_of_reach(name: str, limit: Limit, *budgets: Limit) -> Iterator[str]:
    """Yield the amounts of one payment in ``limit`` that are above the least budget."""
    for currency in sorted(limit.currencies):
        most = limit.per_request(currency)
        caps = [cap for budget in budgets for cap in budget.caps("", currency) if cap.currency is not None]
        least = min(caps, key=lambda cap: cap.most, default=None)
        if most is not None and least is not None and most.units > least.most:
            budget = Money.of_units(least.most, currency)
            yield f"{name} is {most}, and the budget ({least.window}) is {budget}: no payment comes so far."


def _of_empty(pattern: Pattern, overall: Limit, hosts: Mapping[Pattern, HostRule], only_listed: bool) -> str:
    """Return what is to be said of ``Limit()``; "" where it lets a host be paid that would not be without it."""
    covering = Pattern.all_for(pattern.host, pattern.port or 0)
    wider = [hosts[other] for other in covering if other != pattern and other in hosts]
    if not any(isinstance(limit, Limit) and not limit.empty for limit in (overall, *wider)):
        return "Limit() limits nothing, nor does the policy for all hosts, so nothing is ever paid there."
    if only_listed or "deny" in wider:
        return ""
    return (
        'Limit() limits nothing, so the limits for all hosts alone hold there. Write Limit(per_day="1"), for example.'
    )
