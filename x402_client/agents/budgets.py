"""Narrows what one call may spend, and says what is left. Nothing here widens a limit."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..buyer.payers import path_of, root_of
from ..buyer.scopes import allowances_around, mandate_around, under_allowances
from ..buyer.settlement_reader import is_in_flight
from ..errors import ConfigurationError
from ..ledgers.windows import Window
from ..model.budgets import ALLOWANCE, WINDOWS, left_in_words
from ..model.money import Money
from ..model.offers import words
from ..policy.allowances import per_request
from ..policy.choice import Mandate
from .earlier import next_of, payment_facts
from .hosts import AllowedHosts, NotFetched, place_of

if TYPE_CHECKING:
    from ..buyer.allowance import AllowanceBalance
    from ..buyer.buyer import Buyer
    from ..buyer.payers import Payer
    from ..model.budgets import Cap
    from ..model.holds import Hold, Outcome
    from ..model.hosts import Pattern
    from ..policy.limits import Limit

#: The most of a list that a model is given, and the most characters of a name in it.
_LISTED, _NAME = 10, 100
#: The most resolved payments that are read for the number of those to one host.
_READ = 1_000
_FLYING = "Other calls are paying at this moment. What is in flight is delivered or unresolved later, so wait."


def narrowed(buyer: Payer, most: Money | None) -> AbstractContextManager[object]:
    """Return a scope in which a payment costs no more than ``most``, and no more than a scope around it allows.

    A scope of the application stays as it is: its key, its quote and its own cap hold inside of this one too.
    """
    if most is None:
        return nullcontext()
    try:
        scope = buyer.purchase(per_request=most)
    except ConfigurationError as problem:
        raise NotFetched(f"max_usd: {problem.args[0]}") from None
    scope.mandate = _both(mandate_around(scope.buyer), most)
    return scope


def _both(outer: Mandate, most: Money) -> Mandate:
    around = outer.per_request
    if around is None:
        return replace(outer, per_request=most)
    if around.currency != most.currency:  # there is no rate between them, so nothing is below both
        return replace(outer, per_request=Money.of_units(0, around.currency))
    return replace(outer, per_request=min(around, most))


def left(payer: Payer, host: str | None, currency: str) -> str | None:
    """Return what is left at a host in words, or None: nothing limits it, or the ledger could not be asked."""
    try:
        return _in_words(_left(payer, host, currency))
    except Exception:  # the answer was paid for: what is left of the budget must not hide it
        return None


async def aleft(payer: Payer, host: str | None, currency: str) -> str | None:
    """Async twin of ``left``."""
    try:
        return _in_words(await _aleft(payer, host, currency))
    except Exception:
        return None


def left_after(payer: Payer, url: str, paid: Outcome) -> str | None:
    """Return what is left after a payment for what is at a URL. Its price is counted before it is sent."""
    return left(payer, place_of(url), paid.hold.price.currency)


async def aleft_after(payer: Payer, url: str, paid: Outcome) -> str | None:
    """Async twin of ``left_after``."""
    return await aleft(payer, place_of(url), paid.hold.price.currency)


class _Known(NamedTuple):
    """The facts of a report, as the ledger tells them."""

    #: The account of the allowance whose payments are told, one by one. None: all are.
    told: str | None
    #: What was spent and what is left, by window.
    spent: dict[str, Money]
    left: dict[str, Money]
    open: tuple[Hold, ...]
    #: The latest resolved payments, as many as a limit on their number may count.
    resolved: tuple[Hold, ...]
    freezes: tuple[str, ...]
    #: The balance of the allowance with the least left. None: there is no allowance.
    allowance: AllowanceBalance | None


def report(payer: Payer, currency: str, hosts: AllowedHosts) -> dict[str, Any]:
    """Return the budgets for a model: what is spent and left, what one payment may cost, and what is stopped."""
    root, own = root_of(payer), _tightest(one.balance(currency) for one in allowances_of(payer))
    spent = {window: root.spent(None, window, currency) for window in WINDOWS}
    left, most = _left(payer, None, currency), _to_read(_counts(root, hosts))
    resolved = root.history(most) if most else ()
    known = _Known(_told(payer), spent, left, root.holds(), resolved, root.freezes(), own)
    return _report(payer, currency, hosts, known)


async def areport(payer: Payer, currency: str, hosts: AllowedHosts) -> dict[str, Any]:
    """Async twin of ``report``."""
    root, own = root_of(payer), _tightest([await one.abalance(currency) for one in allowances_of(payer)])
    spent = {window: await root.aspent(None, window, currency) for window in WINDOWS}
    left, most = await _aleft(payer, None, currency), _to_read(_counts(root, hosts))
    resolved = await root.ahistory(most) if most else ()
    known = _Known(_told(payer), spent, left, await root.aholds(), resolved, await root.afreezes(), own)
    return _report(payer, currency, hosts, known)


def allowances_of(payer: Payer) -> list[Any]:
    """Return the allowances in which a call counts now: one that stands in the buyer's place, and those around it."""
    root = root_of(payer)
    return list(dict.fromkeys([*([] if payer is root else [payer]), *allowances_around(root)]))


def _told(payer: Payer) -> str | None:
    """Return the account of the allowance that a call is made under: the client's own, else the innermost around it.

    A model may not know what others pay from the same budget, so no payment outside of its allowance is told.
    """
    own = path_of(payer) or under_allowances(mandate_around(root_of(payer)), root_of(payer), ()).allowances
    return own[-1].account if own else None


def _tightest(balances: Iterable[AllowanceBalance]) -> AllowanceBalance | None:
    """Return the balance of the allowance that has the least left. None: there is none."""
    return min(balances, key=lambda balance: balance.remaining, default=None)


def _left(payer: Payer, host: str | None, currency: str) -> dict[str, Money]:
    root, own = root_of(payer), _tightest(one.balance(currency) for one in allowances_of(payer))
    found = {window: root.remaining(host, window, currency) for window in WINDOWS}
    found |= {} if own is None else {ALLOWANCE: own.remaining}
    return {window: money for window, money in found.items() if money is not None}


async def _aleft(payer: Payer, host: str | None, currency: str) -> dict[str, Money]:
    root, own = root_of(payer), _tightest([await one.abalance(currency) for one in allowances_of(payer)])
    found = {window: await root.aremaining(host, window, currency) for window in WINDOWS}
    found |= {} if own is None else {ALLOWANCE: own.remaining}
    return {window: money for window, money in found.items() if money is not None}


def _in_words(remaining: dict[str, Money]) -> str | None:
    return left_in_words(remaining) or None


def _sum(prices: Iterable[Money], currency: str) -> Money:
    return sum((price for price in prices if price.currency == currency), Money.of_units(0, currency))


def _report(payer: Payer, currency: str, hosts: AllowedHosts, known: _Known) -> dict[str, Any]:
    root = root_of(payer)

    def facts(hold: Hold) -> dict[str, str | int]:
        return payment_facts(hold, next_of(root, known.freezes, hosts, hold))

    around = under_allowances(mandate_around(root), root, path_of(payer))
    cap = around.per_request and (around.per_request.as_limit_on(currency) or Money.of_units(0, currency))
    own = [hold for hold in known.open if known.told is None or known.told in hold.path]
    flying = [hold.price for hold in own if is_in_flight(hold)]
    limits = [*per_request(around.allowances, currency), root.policy.overall.per_request(currency), cap]
    above = _asks_above(root, currency)
    limits += [above] if root.rules.cannot_ask() else []
    most = min((limit for limit in limits if limit is not None), default=None)
    spent = known.spent if known.allowance is None else known.spent | {ALLOWANCE: known.allowance.spent}
    unresolved = [hold for hold in own if _is_unresolved(hold)]
    outside = sum(map(_is_unresolved, known.open)) - len(unresolved)
    return {
        "ok": True,
        "left": {window: str(money) for window, money in known.left.items()},
        "spent": {window: str(spent[window]) for window in known.left or ("day",)},
        "per_payment": None if most is None else str(most),
        **({} if above is None or (most is not None and above >= most) else {"asks_above": str(above)}),
        **_numbers_left(_counts(root, hosts), known),
        **_stopped(root, known),
        "unresolved_payments": len(unresolved),
        **_listed("unresolved", list(map(facts, unresolved))),
        **({"unresolved_outside": outside} if outside else {}),
        "payments_in_flight": len(flying),
        **({"says": f"{_FLYING} {_sum(flying, currency)} is counted for it."} if flying else {}),
    }


def _asks_above(root: Buyer, currency: str) -> Money | None:
    """Return the price above which a person is asked. None: none is asked."""
    above, nothing = root.policy.approve_above, Money.of_units(0, currency)
    if above is None:
        return nothing if root.rules.approve_all else None
    return above.per_request(currency) or nothing


def _is_unresolved(hold: Hold) -> bool:
    return hold.state == "signed" and not is_in_flight(hold)


#: Limits of the policy on the number of payments, by the entry of ``hosts`` that has them. None: to all hosts.
_Counts: TypeAlias = "dict[Pattern | None, list[Cap]]"


def _counts(root: Buyer, hosts: AllowedHosts) -> _Counts:
    """Return the limits on the number of payments to all hosts together, and to each entry that may be asked."""
    limits: list[tuple[Pattern | None, Limit]] = [(None, root.policy.overall)]
    limits += [(entry, one) for entry, one in root.policy.hosts.items() if one != "deny" and hosts.may_ask(entry)]
    found = {entry: [cap for cap in one.caps("", "USD") if cap.currency is None] for entry, one in limits}
    return {entry: caps for entry, caps in found.items() if caps}


def _to_read(counts: _Counts) -> int:
    """Return how many resolved payments tell what is left. Those to one host stand among those to all others."""
    most = max((cap.most for caps in counts.values() for cap in caps), default=0)
    return most if counts.keys() <= {None} else max(most, _READ)


def _numbers_left(counts: _Counts, known: _Known) -> dict[str, Any]:
    """Return how many payments are left, by window, where the policy limits their number: to all hosts, and to some."""
    now, payments = time.time(), (*known.open, *known.resolved)
    left: dict[Pattern | None, dict[str, int]] = {}
    for entry, caps in counts.items():
        own = [hold for hold in payments if entry is None or entry.matches(hold.purchase.origin)]
        left[entry] = {cap.window: max(0, cap.most - _counted(cap, own).roll(now)) for cap in caps}
    overall = {"payments_left": left.pop(None)} if None in left else {}
    at = _listed("payments_left_at", [(words(str(entry), _NAME), told) for entry, told in left.items()])
    return overall | at | ({"payments_left_at": dict(at["payments_left_at"])} if at else {})


def _counted(cap: Cap, payments: Iterable[Hold]) -> Window:
    """Return the payments that a limit on their number counts, as a rolling window."""
    window = Window(WINDOWS[cap.window])
    for hold in sorted(payments, key=attrgetter("created")):
        window.add(1, hold.created)
    return window


def _listed(name: str, every: list[Any]) -> dict[str, Any]:
    """Return a list as far as a model is given it, and how many more there are. Nothing, for an empty one."""
    more = len(every) - _LISTED
    return ({name: every[:_LISTED]} if every else {}) | ({f"{name}_more": more} if more > 0 else {})


def _stopped(root: Buyer, known: _Known) -> dict[str, Any]:
    """Return what gets no new payment: frozen hosts, sellers that are paused, and an allowance that is not open."""
    found: dict[str, Any] = {}
    found |= _listed("frozen", [words(name, _NAME) for name in known.freezes])
    paused = sorted(root.services.breaker.paused().items(), key=itemgetter(1))
    until = _listed("paused_until", [(words(seller, _NAME), f"{at:%Y-%m-%d %H:%M:%S} UTC") for seller, at in paused])
    found |= until | ({"paused_until": dict(until["paused_until"])} if until else {})
    if known.allowance is not None and known.allowance.state != "open":
        found["allowance"] = known.allowance.state
    return found
