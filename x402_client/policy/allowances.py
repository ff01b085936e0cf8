"""Allowances as the policy sees them: amounts, hosts and prices that only narrow what stands above them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..errors import ConfigurationError, HostNotAllowed, PaymentRefused
from ..model.allowances import UNNAMED, AllowanceTerms, allowance_account, called
from ..model.budgets import Cap
from ..model.hosts import Origin, Pattern
from ..model.money import Money
from . import checks
from .limits import Amounts, Limit, as_amounts, by_currency, sane_amounts

#: Characters of a name, and years that an allowance may last.
_NAME, _YEARS = 200, 100


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AllowanceRules:
    """The rules of one allowance: what may be paid under it, in all and at once, and where."""

    terms: AllowanceTerms
    budget: Limit = field(compare=False, repr=False)
    hosts: tuple[Pattern, ...] | None = field(compare=False, repr=False)
    #: False: it is of another ledger or purse than the payment at hand, which cannot count in it.
    in_reach: bool = True

    @classmethod
    def of(cls, terms: AllowanceTerms) -> AllowanceRules:
        """Return the rules that terms stand for."""
        budget = Limit(total=terms.amounts, per_request=terms.per_request or None)
        hosts = None if terms.hosts is None else tuple(Pattern.parse(host) for host in terms.hosts)
        return cls(terms, budget, hosts)

    def out_of_reach(self) -> AllowanceRules:
        """Return these rules for a payment from another ledger or purse, which they refuse."""
        return replace(self, in_reach=False)

    @property
    def account(self) -> str:
        """Return the account in which it counts."""
        return self.terms.account

    @property
    def name(self) -> str:
        """Return its name."""
        return self.terms.name

    def caps(self, currency: str) -> tuple[Cap, ...]:
        """Return its budget for a currency. An amount limits the test money of its currency too."""
        return self.budget.caps(self.account, currency)

    def most(self, currency: str) -> Money:
        """Return the most that may be spent in a currency. Zero, if it has none of it."""
        return Money.of_units(min((cap.most for cap in self.caps(currency)), default=0), currency)

    def admits(self, origin: Origin) -> bool:
        """Return True if this origin may be paid."""
        return self.hosts is None or any(host.matches(origin) for host in self.hosts)


def per_request(allowances: Iterable[AllowanceRules], currency: str) -> list[Money]:
    """Return every limit of allowances on one payment."""
    found = (one.budget.per_request(currency) for one in allowances)
    return [most for most in found if most is not None]


def without(allowances: Iterable[AllowanceRules], currency: str) -> AllowanceRules | None:
    """Return an allowance that has nothing in a currency, and so pays nothing in it."""
    return next((one for one in allowances if not one.caps(currency)), None)


def admit_under(allowances: Iterable[AllowanceRules], origin: Origin) -> None:
    """Refuse an origin that one of the allowances does not pay. The rule: "hosts of a child only narrow"."""
    for one in allowances:
        if not one.in_reach:
            raise PaymentRefused(
                f"This call is made inside the {called(one.name)} of another buyer, with another ledger or purse, "
                "so that a payment of this client cannot count in it. Open an allowance of this client's own buyer, or "
                "make the call outside of that block. Nothing was paid."
            )
        if not one.admits(origin):
            listed = ", ".join(one.terms.hosts or ())
            raise HostNotAllowed(
                f"{origin} is not among the hosts of the {called(one.name)} ({listed}). Pay it "
                "under another allowance, if you mean to. Nothing was paid.",
                allowance=one.name,
            )


def fits(allowances: Iterable[AllowanceRules], origin: Origin, price: Money) -> bool:
    """Return True if all the allowances pay this price to this origin, as far as their terms go."""
    listed = tuple(allowances)
    dear = any(price > most for most in per_request(listed, price.currency))
    if dear or without(listed, price.currency) is not None:
        return False
    return all(one.in_reach and one.admits(origin) for one in listed)


def joined(first: tuple[AllowanceRules, ...], then: Iterable[AllowanceRules]) -> tuple[AllowanceRules, ...]:
    """Return the allowances of two paths in one, each once. All of them count: nothing widens what stands around it."""
    return tuple(dict.fromkeys((*first, *then)))


def terms_from(
    purse: str,
    name: str,
    amount: Amounts,
    minutes: float | None,
    hosts: Iterable[str] | None,
    per_request: Amounts | None,
    parent: AllowanceTerms | None,
) -> AllowanceTerms:
    """Return the terms that a user wrote, checked. ``name`` begins with ``UNNAMED`` if the user gave none."""
    limits = _written("per_request", per_request)
    terms = AllowanceTerms(
        purse, allowance_account(name), _written("amount", amount), _seconds(minutes), _hosts(hosts), limits,
        None if parent is None else parent.account,
    )  # fmt: skip
    if not terms.amounts:
        raise ConfigurationError('An allowance has an amount, like buyer.allowance("1.00").')
    if parent is not None and terms.lasts and not parent.lasts:
        raise ConfigurationError(
            f"The allowance {name!r} has a name, so that it lasts, and the one above it has none and does not. Name "
            "that one too, or leave this name out."
        )
    return terms


def checked_name(name: str) -> str:
    """Return a name that a user gave."""
    if not isinstance(name, str) or not name or not checks.is_unicode(name) or not name.isprintable():
        raise ConfigurationError(f"An allowance's name is printable text that is not empty, not {name!r:.100}.")
    if len(name) > _NAME:
        raise ConfigurationError(f"An allowance's name has at most {_NAME} characters; this one has {len(name)}.")
    if name.startswith(UNNAMED):
        raise ConfigurationError(f"Names that begin with {UNNAMED!r} are those of allowances that got none: {name!r}.")
    return name


def check_same(asked: AllowanceTerms, kept: AllowanceTerms) -> None:
    """Refuse terms under a name that has others. The rule: "terms are compared as written"."""
    if asked != kept:
        raise ConfigurationError(
            f"The allowance {asked.name!r} is in this ledger with other terms: {kept}. Asked for were: {asked}. A name "
            "keeps its terms, also after its end. Use the terms that it has, or another name."
        )


def _written(name: str, amounts: Amounts | None) -> tuple[str, ...]:
    """Return amounts in one spelling, sorted by their currencies: dollars first."""
    found = by_currency(name, sane_amounts(name, as_amounts(amounts)))
    return tuple(str(found[currency]) for currency in sorted(found, key=lambda each: (each != "USD", each)))


def _hosts(hosts: Iterable[str] | None) -> tuple[str, ...] | None:
    if hosts is None:
        return None
    return tuple(sorted({str(Pattern.parse(host)) for host in checks.nonempty_name_list("hosts", hosts)}))


def _seconds(minutes: float | None) -> int | None:
    if minutes is None:
        return None
    number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool) and math.isfinite(minutes)
    if not number or not 1 <= minutes * 60 <= _YEARS * 365 * 86_400:
        raise ConfigurationError(
            f"minutes is a number from a second (1/60) up to {_YEARS} years, or None for no end; not {minutes!r}."
        )
    return round(minutes * 60)
