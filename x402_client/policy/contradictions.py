"""Contradictions in a policy that is taken as it is written: what no payment reaches or what changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..model.budgets import BUDGET_WINDOWS
from ..model.hosts import Pattern
from ..model.money import Money
from ..model.networks import short_name
from .checks import HostRule
from .limits import Limit

if TYPE_CHECKING:
    from ..model.money import Token

_KEYWORDS = {window.name: window.keyword for window in BUDGET_WINDOWS}


def check_whole(overall: Limit, hosts: Mapping[Pattern, HostRule], pays_ahead: bool) -> None:
    """Refuse a policy that limits nothing, or that says how to pay ahead and does not."""
    limits = [overall, *(rule for rule in hosts.values() if isinstance(rule, Limit))]
    if all(limit.empty for limit in limits):
        raise ConfigurationError(
            'This policy limits nothing. Set an amount, for example Policy(per_request="0.10", per_day="5").'
        )
    for pattern, rule in hosts.items():
        if isinstance(rule, Limit) and rule.pay_ahead is not None and not pays_ahead:
            raise ConfigurationError(
                f'hosts[{str(pattern)!r}]: pay_ahead="{rule.pay_ahead}" says what is paid ahead, and this policy pays '
                "nothing ahead. Set Policy(pay_ahead=True), or leave it out."
            )


def contradictions(
    overall: Limit, hosts: Mapping[Pattern, HostRule], only_listed: bool, thresholds: Mapping[str, Limit]
) -> Iterator[str]:
    """Yield what no payment can reach: amounts above a limit, and budgets and entries that change nothing.

    ``thresholds`` are amounts of one payment that are no limits, by their keywords.
    """
    rules = {host: rule for host, rule in hosts.items() if isinstance(rule, Limit)}
    if only_listed and not rules:
        yield "only_listed_hosts pays no host that is not in hosts, and hosts has none that may be paid: none ever is."
    yield from _out_of_reach("per_request", overall, overall)
    yield from _out_of_reach("upto", overall, overall)
    yield from _never_full(overall)
    for name, amounts in thresholds.items():
        yield from _out_of_reach(name, amounts, overall)
        yield from _above_each_payment(name, amounts, overall, rules.values())
    yield from _above_each_payment("upto", overall, overall, rules.values())
    for pattern, rule in rules.items():
        place = f"hosts[{str(pattern)!r}]: "
        yield from (place + said for said in _out_of_reach("per_request", rule, rule, overall))
        yield from (place + said for said in _out_of_reach("upto", rule, rule, overall))
        yield from (place + said for said in _above_each_payment("upto", rule, rule, ()))
        yield from (place + said for said in _never_full(rule))
        said = "" if rule.keywords else _of_empty(pattern, overall, hosts, only_listed)
        yield from [place + said] if said else []


def _of_one(name: str, limit: Limit, currency: str) -> Money | None:
    return limit.upto(currency) if name == "upto" else limit.per_request(currency)


def _out_of_reach(name: str, limit: Limit, *budgets: Limit) -> Iterator[str]:
    """Yield the amounts of one payment in ``limit`` that are above the least budget."""
    for currency in sorted(limit.currencies.union(*(budget.currencies for budget in budgets if name == "upto"))):
        most = _of_one(name, limit, currency)
        caps = [cap for budget in budgets for cap in budget.caps("", currency) if cap.currency is not None]
        least = min(caps, key=lambda cap: cap.most, default=None)
        if most is not None and least is not None and most.units > least.most:
            budget = Money.of_units(least.most, currency)
            told = f"{name} is {most}, and the budget ({least.window}) is {budget}"
            yield f"{told}: no single payment can be that high, as that budget stops it at {budget}."


def _above_each_payment(name: str, limit: Limit, overall: Limit, rules: Iterable[Limit]) -> Iterator[str]:
    """Yield the amounts of ``limit`` that are above every ``per_request``. A host's replaces the overall one."""
    for currency in sorted(overall.currencies):
        amount, most = _of_one(name, limit, currency), overall.per_request(currency)
        caps = [cap for rule in rules if (cap := rule.per_request(currency)) is not None]
        if amount is not None and most is not None and amount > (top := max([most, *caps])):
            told = f"{name} is {amount}, and per_request is {top}"
            yield f"{told}: no single payment can be that high, as per_request stops it at {top}."


def _never_full(limit: Limit) -> Iterator[str]:
    """Yield the budgets and numbers of payments that are above those of a longer window."""
    for currency in sorted(limit.currencies):
        caps = [cap for cap in limit.caps("", currency) if cap.currency is not None]
        for place, cap in enumerate(caps):
            less = min(caps[place + 1 :], key=lambda longer: longer.most, default=cap)
            if less.most < cap.most:
                most, least = (Money.of_units(one.most, currency) for one in (cap, less))
                one, other = _KEYWORDS[cap.window], _KEYWORDS[less.window]
                yield f"{one} is {most}, and {other} is {least}: {one} changes nothing."
    counts = [cap for cap in limit.caps("", "") if cap.currency is None]
    counts.sort(key=lambda cap: [*_KEYWORDS].index(cap.window))  # they stand as they were written
    for place, cap in enumerate(counts):
        less = min(counts[place + 1 :], key=lambda longer: longer.most, default=cap)
        if less.most < cap.most:
            more = f"{cap.most}/{cap.window}"
            yield f"max_payments is {more}, and {less.most}/{less.window}: {more} changes nothing."


def suspicious(overall: Limit, hosts: Mapping[Pattern, HostRule]) -> Iterator[str]:
    """Yield the amounts that look like a token's smallest units, and are taken as written."""
    yield from overall.remarks
    for pattern, rule in hosts.items():
        if isinstance(rule, Limit):
            yield from (f"hosts[{str(pattern)!r}]: {remark}" for remark in rule.remarks)


def nothing_paid(overall: Limit, hosts: Mapping[Pattern, HostRule]) -> Iterator[str]:
    """Yield the limits of zero: they let nothing be paid. A host that is never paid is written in another way."""
    rules = {host: rule for host, rule in hosts.items() if isinstance(rule, Limit)}
    for zero, currency in _zeros(overall):
        # "The most exact entry that sets one decides `per_request`": of all others, a zero is a way to pay none.
        replaced = zero.startswith("per_request") and any(rule.per_request(currency) for rule in rules.values())
        yield from [] if replaced else [f"{zero}: nothing is paid{f' in {currency}' if currency else ''}."]
    for pattern, rule in rules.items():
        place = f"hosts[{str(pattern)!r}]: "
        yield from (f'{place}{zero}: nothing is paid there. "deny" would say so.' for zero, _ in _zeros(rule))


def _zeros(limit: Limit) -> Iterator[tuple[str, str]]:
    """Yield each limit of zero, with its currency; "" for a number of payments."""
    for currency in sorted(limit.currencies):
        caps = [cap for cap in limit.caps("", currency) if cap.currency is not None]
        amounts = {_KEYWORDS[cap.window]: Money.of_units(cap.most, currency) for cap in caps}
        most = limit.per_request(currency)
        for name, amount in (amounts | ({} if most is None else {"per_request": most})).items():
            if not amount:
                yield f"{name} is {amount}", currency
    counts = (cap for cap in limit.caps("", "") if cap.currency is None)
    yield from ((f"max_payments is 0/{cap.window}", "") for cap in counts if not cap.most)


def lists(
    currencies: Iterable[str],
    vouched: tuple[Token, ...],
    networks: tuple[str, ...] | None,
    assets: tuple[str, ...] | None,
    pay_to: frozenset[str] | None,
) -> Iterator[str]:
    """Yield currencies that no known token counts in, and assets and recipients that are on none of the networks."""
    for currency in sorted(set(currencies) - known_currencies(vouched)):
        yield f"No known token counts in {currency}, so an amount in it does nothing; Policy(tokens=...) adds one."
    if networks is None:
        return
    yield from _without_token(networks, vouched)
    named = ", ".join(map(short_name, networks))
    if assets is not None:
        wanted = {name.lower() for name in assets}
        here = (token for token in _known(vouched) if token.network in networks)
        if not any({token.symbol.lower(), token.address.lower()} & wanted for token in here):
            listed = ", ".join(assets)
            yield f"assets names {listed}, and networks {named}, where there is none of them: nothing is paid."
    if pay_to and not any(_may_be_paid(one, network) for network in networks for one in pay_to):
        yield f"pay_to names no address that there could be on the networks named ({named}): nothing is paid."


def _without_token(networks: tuple[str, ...], vouched: tuple[Token, ...]) -> Iterator[str]:
    """Yield the networks on which no token is known, and the vouched tokens that are on none of the networks."""
    there = {token.network for token in _known(vouched)}
    for network in networks:
        if network not in there:
            where = f"networks names {short_name(network)}, where no token is known: nothing is paid there."
            yield f"{where} Policy(tokens=...) adds one."
    for token in vouched:
        if token.network not in networks:
            named = f"{token.symbol or token.address} on {short_name(token.network)}"
            yield f"tokens has {named}, and networks does not name that network: it is never paid with."


def known_currencies(vouched: tuple[Token, ...]) -> set[str]:
    """Return the currencies that the known tokens count in."""
    return {token.currency for token in _known(vouched)}


def _may_be_paid(address: str, network: str) -> bool:
    from ..chains.families import FAMILIES  # it takes a while

    family = FAMILIES.of(network)
    return family is None or family.is_address(address)


def _known(vouched: tuple[Token, ...]) -> tuple[Token, ...]:
    from ..chains.tokens import KNOWN  # it takes a while

    return (*KNOWN, *vouched)


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
