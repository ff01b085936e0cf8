"""Judges listings as a 402 with the same offers would be judged.

It asks no ledger, so budgets that are used up do not show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..chains.tokens import Tokens
from ..errors import ConfigurationError, HostNotAllowed
from ..model.hosts import Origin
from ..model.money import Money
from ..model.offers import Offer, Quote
from ..policy.allowances import admit_under
from ..policy.choice import Mandate, Means, choose
from ..policy.policy import Policy, admit
from ..wire.bounds import DEFAULT, Bounds
from .listing import Listing

if TYPE_CHECKING:
    from ..buyer.payers import Payer

Judge = Callable[[Listing], Listing]


def judge_of(buyer: Payer | None, policy: Policy | None, max_price: Money | None) -> Judge:
    """Return what judges by a buyer, by a policy alone, or by nothing: then listings get prices and no more."""
    mandate = Mandate(per_request=max_price)
    if buyer is not None:
        if policy is not None:
            raise ConfigurationError("discover takes buyer= or policy=, not both: a buyer has a policy.")
        from ..buyer.payers import path_of, root_of

        rules, mandate = root_of(buyer).rules, replace(mandate, allowances=path_of(buyer))
        return _judge(rules.policy, rules.means, mandate, rules.bounds)
    if policy is None:
        return _priced(Tokens())
    return _judge(_policy(policy), _means_without_wallet(policy), mandate, DEFAULT)


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
        parts = urlsplit(listing.url)
        origin = Origin.of(parts.scheme, parts.hostname or "", parts.port)
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
