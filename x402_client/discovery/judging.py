"""Judges listings as a 402 with the same offers would be judged.

It asks no ledger, so budgets that are used up do not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..chains.tokens import Tokens
from ..errors import ConfigurationError, HostNotAllowed
from ..model.hosts import Origin, Pattern
from ..model.money import Money
from ..model.offers import Offer, Quote
from ..model.private_places import leads_inside
from ..policy.allowances import admit_under
from ..policy.choice import Mandate, Means, choose
from ..policy.policy import Policy, admit
from ..wire.bounds import DEFAULT, Bounds
from .listing import Listing

if TYPE_CHECKING:
    from ..buyer.payers import Payer

Judge = Callable[[Listing], Listing]


def judge_of(
    buyer: Payer | None, policy: Policy | None, max_price: Money | None, hosts: Iterable[Pattern] = ()
) -> Judge:
    """Return what judges by a buyer, by a policy alone, or by nothing: then listings get prices and no more.

    ``hosts`` are those that the caller named, so that a list may lead there wherever they are.
    """
    judge, ruling = _judge_by(buyer, policy, max_price)
    named = tuple(hosts)

    def judged(listing: Listing) -> Listing:
        found, origin = judge(listing), origin_of(listing.url)
        if _may_lead_to(origin, listing.facilitator, ruling, named):
            return found
        return replace(found, choice=None, refusal=_led_inside(origin))

    return judged


def _judge_by(buyer: Payer | None, policy: Policy | None, max_price: Money | None) -> tuple[Judge, Policy | None]:
    mandate = Mandate(per_request=max_price)
    if buyer is not None:
        if policy is not None:
            raise ConfigurationError("discover takes buyer= or policy=, not both: a buyer has a policy.")
        from ..buyer.payers import path_of, root_of

        rules, mandate = root_of(buyer).rules, replace(mandate, allowances=path_of(buyer))
        return _judge(rules.policy, rules.means, mandate, rules.bounds), rules.policy
    if policy is None:
        return _priced(Tokens()), None
    return _judge(_policy(policy), _means_without_wallet(policy), mandate, DEFAULT), policy


def origin_of(url: str) -> Origin:
    """Return the origin of a URL that was read."""
    parts = urlsplit(url)
    return Origin.of(parts.scheme, parts.hostname or "", parts.port)


def _may_lead_to(origin: Origin, facilitator: str, policy: Policy | None, named: tuple[Pattern, ...]) -> bool:
    """Return True if a list may lead to a place: it is public, the user named it, or the list is from there itself."""
    if not leads_inside(origin) or any(pattern.matches(origin) for pattern in named):
        return True
    rule = None if policy is None else policy.rule(origin)
    own = origin_of(facilitator)
    return rule is not None or own.host == origin.host or (own.named_loopback and origin.named_loopback)


def _led_inside(origin: Origin) -> str:
    listed = 'list it in Policy(hosts={"' + origin.host + '": Limit(...)}) if you mean to pay it'
    return f"{origin} {leads_inside(origin)}, where a stranger's list must not lead; {listed}."


def _policy(given: object) -> Policy:
    if not isinstance(given, Policy):
        raise ConfigurationError(f"policy is a Policy, not {type(given).__name__}.")
    return given


def _means_without_wallet(policy: Policy) -> Means:
    """Return the means of a buyer whose wallet has a key for every chain that ships."""
    from ..buyer.keyless import keyless_wallet
    from ..buyer.schemes import PaymentMeans
    from ..chains.rpc import Endpoints

    return PaymentMeans(keyless_wallet(), Endpoints({}), tokens=policy.tokens)


def _priced(tokens: Tokens) -> Judge:
    def price(offer: Offer) -> Offer:
        token = tokens.find(offer.network, offer.asset)
        return offer if token is None else offer.judged(token, token.price(offer.amount), None)

    return lambda listing: replace(listing, offers=tuple(map(price, listing.offers)))


def _judge(policy: Policy, means: Means, mandate: Mandate, bounds: Bounds) -> Judge:
    def judged(listing: Listing) -> Listing:
        origin = origin_of(listing.url)
        # Not brief: it will not be asked for again, and must not push a seller's terms out of the cache.
        quote = Quote(url=listing.url, version=listing.version, offers=listing.offers, brief=False)
        found = choose(quote, policy, origin, means, mandate, bounds)
        refusal = _refusal(policy, mandate, origin)
        return replace(listing, offers=found.offers, choice=None if refusal else found.choice, refusal=refusal)

    return judged


def _refusal(policy: Policy, mandate: Mandate, origin: Origin) -> str:
    try:
        admit(policy, origin)
        admit_under(mandate.allowances, origin)
    except HostNotAllowed as refused:
        return str(refused.args[0]).removesuffix(" Nothing was paid.")
    return ""
