"""Chooses the offer to pay, and gives one reason against each other. Pure: no I/O, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from ..errors import PaymentRefused
from ..guards.remembered import Remembered
from ..model.allowances import called
from ..model.hosts import Origin
from ..model.money import Money, Token
from ..model.networks import short_name
from ..model.offers import Offer, Quote, term
from ..model.sandbox_settings import is_unread
from ..wire.bounds import Bounds
from ..wire.by_identity import ByIdentity
from ..wire.read import LONG_TERMS
from ..wire.write import echo_objections
from . import allowances as allowed
from .allowances import AllowanceRules

if TYPE_CHECKING:
    from .policy import Policy

T = TypeVar("T")

_NOT_KNOWN = "not a token this buyer knows; Policy(tokens=[Token(...)]) vouches for one"
#: A 402 whose signed offers contradict it. Its other offers are no better.
CHANGED = "the 402 was changed on its way, or is broken"


#: Why an offer is not paid that differs from what was chosen before, by what the call waited for meanwhile.
_DIFFERS = {
    "": "it differs from the quote this purchase is bound to ({agreed})",
    "approval": "approval was asked for {agreed}, and the seller changed its terms meanwhile",
    "another call": "{agreed} was chosen before this call waited for another one, and the seller changed its terms "
    "meanwhile",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mandate:
    """The caller's own terms for one purchase, on top of the policy."""

    key: str | None = None
    per_request: Money | None = None
    quote: Quote | None = None
    #: The allowances under which it is made, from the root down. All of them count.
    allowances: tuple[AllowanceRules, ...] = ()
    #: What this call waited for since it chose ``quote``, so that the caller gave none: "approval" or "another call".
    waited_for: str = ""
    #: False: the call stands in a scope of a buyer with another ledger or purse, whose terms cannot hold for it.
    in_reach: bool = True

    @property
    def allowance(self) -> str | None:
        """Return the name of the innermost allowance. None: there is none."""
        return self.allowances[-1].name if self.allowances else None


def admit_terms(mandate: Mandate, origin: Origin) -> None:
    """Refuse what the caller's own terms do not pay: an origin, or a call whose terms are another buyer's."""
    if not mandate.in_reach:
        raise PaymentRefused(
            "This call stands in a purchase scope of another buyer, with another ledger or purse, so the key, the cap "
            "and the quote of that scope cannot hold for it. Use a scope of this client's own buyer, or make the call "
            "outside of that block. Nothing was paid."
        )
    allowed.admit_under(mandate.allowances, origin)


class Means(Protocol):
    """The tokens a buyer knows and the offers it can sign. The policy asks about each offer."""

    def token(self, network: str, asset: str) -> Token | None:
        """Return the token behind an address or a symbol, if the buyer knows it."""
        ...

    def objection(self, offer: Offer) -> str | None:
        """Return why this offer cannot or must not be signed, leaving price and time aside.

        ``offer.token`` is set.
        """
        ...

    def same_account(self, network: str, one: str, other: str) -> bool:
        """Return True if two addresses on a network are one account."""
        ...

    @property
    def payers(self) -> tuple[str, ...]:
        """Return every account of the wallet, as ``payer_name`` writes it."""
        ...

    def payer(self, network: str) -> str:
        """Return the account that pays on a network, as ``payer_name`` writes it."""
        ...


_Judgement = Callable[[Quote, "Policy", Origin, Means, Mandate, Bounds], T]


def _kept(judge: _Judgement[T]) -> _Judgement[T]:
    """Let a judgement of a quote be made once. No argument of it ever changes, and most sellers repeat their offers."""

    def judged(keyed: ByIdentity[Quote], *about: Any) -> T:
        return judge(keyed.it, *about)

    of_brief, of_long = lru_cache(maxsize=64)(judged), Remembered(judged, LONG_TERMS)

    @wraps(judge)
    def kept(quote: Quote, policy: Policy, origin: Origin, means: Means, mandate: Mandate, bounds: Bounds) -> T:
        about: tuple[Any, ...] = (policy, origin, means, mandate, bounds)
        # A quote that the caller passed in may be large, so its judgement is not kept.
        if mandate.quote is not None or not (quote.brief or quote.size):
            return judge(quote, *about)
        keyed = ByIdentity(quote)
        return of_brief(keyed, *about) if quote.brief else of_long(quote.size, keyed, *about)

    return kept


@_kept
def choose(quote: Quote, policy: Policy, origin: Origin, means: Means, mandate: Mandate, bounds: Bounds) -> Quote:
    """Return the quote with every offer judged.

    ``choice`` is the offer to pay. Every other offer has a reason.
    """
    judge = _Judge(policy, origin, means, mandate, echo_objections(quote, bounds), quote.contradiction)
    judged = [judge.look_at(offer) for offer in quote.offers]
    eligible = [offer for offer in judged if offer.reason is None]
    choice = min(eligible, key=judge.order, default=None)
    offers = tuple(_passed_over(o, choice) if choice and o.reason is None and o is not choice else o for o in judged)
    return replace(quote, offers=offers, choice=choice)


@_kept
def pick(quote: Quote, policy: Policy, origin: Origin, means: Means, mandate: Mandate, bounds: Bounds) -> Offer | None:
    """Return the choice of ``choose`` alone, without a reason against any other offer. None: there is none.

    Strategy: the offers are looked at in the order of preference, up to the first that nothing speaks against. One of a
    token that is not known costs a look-up, and no words are made for it.
    """
    judge = _Judge(policy, origin, means, mandate, echo_objections(quote, bounds), quote.contradiction)
    known = (judge.priced(offer) for offer in quote.offers)
    preferred = sorted((offer for offer in known if offer is not None), key=judge.order)
    return next((offer for offer in preferred if judge.reason(offer) is None), None)


class SharedReason(str):
    """A reason that speaks of one offer. ``shared`` says the same of all offers that are refused alike."""

    __slots__ = ("shared",)
    shared: str

    def __new__(cls, reason: str, shared: str) -> Self:
        """Take the reason and its words for several offers."""
        made = super().__new__(cls, reason)
        made.shared = shared
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.shared))


class TooDear(SharedReason):
    """A reason whose only ground is the price. All else about the offer was acceptable."""

    __slots__ = ()


class _Judge:
    """A judge of the offers of one quote."""

    def __init__(
        self,
        policy: Policy,
        origin: Origin,
        means: Means,
        mandate: Mandate,
        echo_objection: Callable[[Offer], str | None],
        contradiction: str = "",
    ) -> None:
        self.policy, self.origin, self.means, self.mandate = policy, origin, means, mandate
        self.echo_objection = echo_objection
        # The reason is about the 402 as a whole, so it is the same for each of its offers.
        self.changed = f"{CHANGED}: {contradiction}" if contradiction else None

    def look_at(self, offer: Offer) -> Offer:
        priced = self.priced(offer)
        if priced is None:
            why = self.changed or self._network_reason(offer) or self._unknown(offer)
            return offer.judged(None, None, why)
        reason = self.reason(priced)
        return priced if reason is None else offer.judged(priced.token, priced.price, reason)

    def priced(self, offer: Offer) -> Offer | None:
        """Return the offer with its token and its price. None: the token is not known."""
        token = self.means.token(offer.network, offer.asset)
        return None if token is None else offer.judged(token, token.price(offer.amount), None)

    def _unknown(self, offer: Offer) -> str:
        unread = is_unread((offer,), self.policy.tokens)
        ground = "a token of a sandbox, and the policy in its settings knows it" if unread else _NOT_KNOWN
        return SharedReason(f"{term(offer.asset, 60)} on {term(short_name(offer.network), 60)} is {ground}", ground)

    def order(self, offer: Offer) -> tuple[Any, ...]:
        """Return a sort key.

        The user's order comes first, then US dollars before other currencies, then the price or the ceiling. At one
        amount, a fixed price comes before a ceiling, what is paid after the seller's work before what is paid upfront,
        and what needs no allowance on the chain before Permit2; then the seller's order counts.
        """
        assert offer.price is not None
        currency = offer.price.currency
        return (
            self._rank(self.policy.networks, offer.network),
            self._asset_rank(offer),
            (not currency.startswith("USD"), currency),  # test dollars after real ones
            offer.price.units,
            offer.is_ceiling,
            offer.upfront,
            offer.by_permit2,
            offer.position,
        )

    def reason(self, offer: Offer) -> str | None:
        """Return the first reason against an offer whose token is known. None: there is none."""
        return (
            self.changed
            or self._network_reason(offer)
            or self._asset_reason(offer)
            or self._recipient_reason(offer)
            or self.means.objection(offer)
            or self._frozen_terms_reason(offer)
            or self.echo_objection(offer)
            or self._ceiling_reason(offer)
            or self._price_reason(offer)
        )

    def _network_reason(self, offer: Offer) -> str | None:
        if self.policy.networks is None or offer.network in self.policy.networks:
            return None
        allowed = ", ".join(short_name(n) for n in self.policy.networks)
        found = term(short_name(offer.network), 60)
        return SharedReason(
            f"network {found} is not among the allowed ones ({allowed})", f"only these networks are allowed: {allowed}"
        )

    def _asset_reason(self, offer: Offer) -> str | None:
        if self.policy.assets is None or self._asset_rank(offer) < len(self.policy.assets):
            return None
        return f"{_named(offer)} is not among the allowed assets ({', '.join(self.policy.assets)})"

    def _recipient_reason(self, offer: Offer) -> str | None:
        pinned = self.policy.pay_to
        if pinned is None or any(self.means.same_account(offer.network, offer.pay_to, one) for one in pinned):
            return None
        return f"it pays {term(offer.pay_to, 60)}, which is not an address pinned by the policy's pay_to"

    def _frozen_terms_reason(self, offer: Offer) -> str | None:
        frozen = self.mandate.quote
        if frozen is None:
            return None
        agreed = frozen.choice
        if agreed is None:
            return "the quote this purchase is bound to had no acceptable offer"
        if not self._same_terms(agreed, offer) or offer.amount > agreed.amount or offer.upfront > agreed.upfront:
            return _DIFFERS[self.mandate.waited_for].format(agreed=agreed)
        return None

    def _same_terms(self, agreed: Offer, offer: Offer) -> bool:
        same = self.means.same_account
        return (
            (agreed.scheme, agreed.network) == (offer.scheme, offer.network)
            and same(offer.network, _asset(agreed), _asset(offer))
            and same(offer.network, agreed.pay_to, offer.pay_to)
        )

    def _ceiling_reason(self, offer: Offer) -> str | None:
        price = offer.price
        assert price is not None
        if not offer.is_ceiling:
            return None
        most = self.policy.upto(self.origin, price.currency)
        if most is None:
            ground = "the seller says the price after its work: Policy(upto=...) names the highest ceiling to sign"
            return SharedReason(f"it takes up to {price}, and {ground}", ground)
        if price <= most:
            return None
        ground = f"ceilings up to {most} are signed; a higher Policy(upto=...) allows more"
        return SharedReason(f"it takes up to {price}; {ground}", ground)

    def _price_reason(self, offer: Offer) -> str | None:
        price = offer.price
        assert price is not None
        if not price and not self.policy.allow_zero:
            return "it asks for nothing, and a payment of zero is signed only under Policy(allow_zero=True)"
        if not self.policy.limits_currency(self.origin, price.currency):
            return (
                f"no limit of the policy for this host is in {price.currency}; "
                f'name one, for example per_request="0.10 {price.currency}"'
            )
        under = self.mandate.allowances
        poor = allowed.without(under, price.currency) if under else None
        if poor is not None:
            amounts = " and ".join(poor.terms.amounts)
            return f"the {called(poor.name)} is of {amounts}, so it pays nothing in {price.currency}"
        most = most_for_one(self.policy, self.origin, self.mandate, price.currency)
        if most is None or price <= most:
            return None
        return TooDear(f"it costs {price}; one payment may cost {most}", f"one payment may cost {most}")

    def _asset_rank(self, offer: Offer) -> int:
        if self.policy.assets is None:
            return 0
        ranks = (i for i, name in enumerate(self.policy.assets) if self._is_asset(offer, name))
        return next(ranks, len(self.policy.assets))

    def _is_asset(self, offer: Offer, name: str) -> bool:
        """Return True if the user's word for an asset, a symbol or an address, means the offer's token."""
        token = offer.token
        assert token is not None  # an offer whose token is not known was passed over before
        if name.upper() == token.symbol.upper():
            return True
        return any(self.means.same_account(offer.network, name, one) for one in (offer.asset, token.address))

    @staticmethod
    def _rank(order: tuple[str, ...] | None, name: str) -> int:
        return order.index(name) if order and name in order else 0


def most_for_one(policy: Policy, origin: Origin, mandate: Mandate, currency: str) -> Money | None:
    """Return the most that one payment may cost, by the policy and the caller's own terms. None: nothing limits it."""
    asked = mandate.per_request
    own = None if asked is None else asked.as_limit_on(currency)
    if asked is not None and own is None:
        return Money.of_units(0, currency)  # the caller's own cap names another currency: not a single unit
    limits = [limit for limit in (policy.per_request(origin, currency), own) if limit is not None]
    if mandate.allowances:
        limits += allowed.per_request(mandate.allowances, currency)
    return min(limits, default=None)


def _passed_over(offer: Offer, choice: Offer) -> Offer:
    if offer.price == choice.price and choice.position < offer.position:
        return offer.but(reason=f"offer {choice.position} costs the same and comes first")
    if offer.is_ceiling and not choice.is_ceiling:
        return offer.but(reason=f"offer {choice.position} has a fixed price, and it is within this ceiling")
    if offer.price == choice.price and offer.upfront and not choice.upfront:
        return offer.but(reason=f"offer {choice.position} costs the same and is not paid before delivery")
    return offer.but(reason=f"offer {choice.position} is preferred ({choice})")


def _named(offer: Offer) -> str:
    return (offer.token.symbol if offer.token else "") or term(offer.asset, 60)


def _asset(offer: Offer) -> str:
    return offer.token.address if offer.token else offer.asset
