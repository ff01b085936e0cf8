"""What may be paid: ``Policy`` says it, ``admit`` and ``choose`` apply it. Pure: no I/O, no clock, no randomness."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

from .errors import ConfigurationError, HostNotAllowed, NoAcceptableOffer, TooExpensive
from .hosts import Origin, Pattern
from .limits import Amounts, Cap, Limit
from .money import Amount, Money, Token
from .policy_file import FromFile
from .wire.bounds import Bounds
from .wire.models import Offer, Quote, words
from .wire.networks import caip2, short_name
from .wire.write import echo_objections

HostRule = Limit | Literal["deny"]
_EVM_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
T = TypeVar("T")
#: An error's message shows this many reasons; its ``reasons`` has all.
_REASONS = 10


@dataclass(frozen=True, slots=True)
class Mandate:
    """What the caller said about one purchase, on top of the policy."""

    key: str | None = None
    per_request: Money | None = None
    quote: Quote | None = None


class Means(Protocol):
    """What the buyer knows and can sign; the policy asks it about each offer."""

    def token(self, network: str, asset: str) -> Token | None:
        """The token behind an address or a symbol, if the buyer knows it."""

    def objection(self, offer: Offer) -> str | None:
        """Why this offer cannot be signed or must not be, whatever its price. ``offer.token`` is set."""


class Policy(FromFile):
    """Limits and choices. What is not set is not limited, but a policy without any limit is a ConfigurationError.

    Amounts are US dollars unless a currency is named. A host's ``per_request`` replaces the overall one; its budgets
    come on top of the overall ones.
    """

    def __init__(
        self,
        *,
        per_request: Amounts | None = None,
        per_minute: Amounts | None = None,
        per_hour: Amounts | None = None,
        per_day: Amounts | None = None,
        per_month: Amounts | None = None,
        total: Amounts | None = None,
        max_payments: str | Iterable[str] | None = None,
        hosts: Mapping[str, Limit | str] | None = None,
        only_listed_hosts: bool = False,
        networks: Iterable[str] | None = None,
        assets: Iterable[str] | None = None,
        tokens: Iterable[Token] = (),
        pay_to: str | Iterable[str] | None = None,
        approve_above: Amounts | None = None,
        accept_loss: Amount = "0",
        pay_ahead: bool = False,
        http_hosts: Iterable[str] = (),
        validity: int = 600,
        allow_zero: bool = False,
        check_funds: bool = False,
    ) -> None:
        self.overall = Limit(
            per_request=per_request,
            per_minute=per_minute,
            per_hour=per_hour,
            per_day=per_day,
            per_month=per_month,
            total=total,
            max_payments=max_payments,
        )
        self.hosts = _hosts(hosts or {})
        self.only_listed_hosts = _flag("only_listed_hosts", only_listed_hosts)
        self.networks = None if networks is None else tuple(_network(n) for n in _several("networks", networks))
        self.assets = None if assets is None else tuple(_several("assets", assets))
        self.tokens = tuple(_token(t) for t in _listed("tokens", tokens))
        self.pay_to = None if pay_to is None else frozenset(_same_case(a) for a in _pinned(pay_to))
        self.approve_above = None if approve_above is None else Limit(per_request=approve_above)
        self.accept_loss = Money(accept_loss)
        self.pay_ahead = _flag("pay_ahead", pay_ahead)
        self.http_hosts = tuple(Pattern.parse(host) for host in _several("http_hosts", http_hosts))
        self.validity = _validity(validity)
        self.allow_zero = _flag("allow_zero", allow_zero)
        self.check_funds = _flag("check_funds", check_funds)
        self._check()

    def _check(self) -> None:
        limits = [self.overall, *(rule for rule in self.hosts.values() if isinstance(rule, Limit))]
        if all(limit.empty for limit in limits):
            raise ConfigurationError(
                "This policy limits nothing. Set at least one amount, for example "
                'Policy(per_request="0.10", per_day="5").'
            )
        if self.pay_ahead:
            raise ConfigurationError("Policy(pay_ahead=True) is not available in this version; leave it out.")
        if self.accept_loss:
            raise ConfigurationError("Policy(accept_loss=...) is not available in this version; leave it out.")

    def rule(self, origin: Origin) -> tuple[Pattern, HostRule] | None:
        """The most exact entry of ``hosts`` for an origin."""
        matching = [(pattern, rule) for pattern, rule in self.hosts.items() if pattern.matches(origin)]
        return max(matching, key=lambda entry: entry[0].rank, default=None)

    def per_request(self, origin: Origin, currency: str) -> Money | None:
        """What one payment to this origin may cost; None: no such limit."""
        found = self.rule(origin)
        own = found[1].per_request(currency) if found and isinstance(found[1], Limit) else None
        return own if own is not None else self.overall.per_request(currency)

    def caps(self, origin: Origin, currency: str) -> tuple[Cap, ...]:
        """Every budget a payment to this origin has to fit."""
        found = self.rule(origin)
        own = found[1].caps(str(found[0]), currency) if found and isinstance(found[1], Limit) else ()
        return (*self.overall.caps("", currency), *own)

    def limits_currency(self, origin: Origin, currency: str) -> bool:
        """Whether some amount limits this currency here; a currency without any is not paid in."""
        found = self.rule(origin)
        limits = [self.overall, *([found[1]] if found and isinstance(found[1], Limit) else [])]
        known = frozenset[str]().union(*(limit.currencies for limit in limits))
        # Where only payments are counted any currency goes; where nothing at all is limited, none does.
        return currency in known or (not known and not all(limit.empty for limit in limits))

    def needs_approval(self, price: Money) -> bool:
        """Whether somebody has to be asked before this much is paid."""
        if self.approve_above is None:
            return False
        threshold = self.approve_above.per_request(price.currency)
        return threshold is None or price > threshold

    def __repr__(self) -> str:
        hosts = {str(pattern): rule for pattern, rule in self.hosts.items()}
        return f"Policy({self.overall!r}, hosts={hosts!r}, networks={self.networks!r}, assets={self.assets!r})"


def admit(policy: Policy, origin: Origin, came_from: Origin | None = None) -> None:
    """Refuse the places we do not pay. ``came_from`` is where the call began, if a redirect led elsewhere."""
    found = policy.rule(origin)
    listed = 'list it in Policy(hosts={"' + origin.host + '": Limit(...)}) if you mean to pay it'
    if found and found[1] == "deny":
        raise HostNotAllowed(f"{origin} is denied by the policy's hosts entry {str(found[0])!r}. Nothing was paid.")
    if found is None and policy.only_listed_hosts:
        raise HostNotAllowed(f"{origin} is not among the policy's hosts; {listed}. Nothing was paid.")
    if found is None and came_from is not None and not (came_from == origin or _secured(came_from, origin)):
        raise HostNotAllowed(f"A redirect led from {came_from} to {origin}; {listed}. Nothing was paid.")
    plain = any(pattern.matches(origin) for pattern in policy.http_hosts)
    if origin.scheme != "https" and not origin.loopback and not plain:
        raise HostNotAllowed(
            f"{origin} is not https, so anybody on the way could change the terms; "
            f"Policy(http_hosts=[{origin.host!r}]) allows it. Nothing was paid."
        )


def _secured(came_from: Origin, origin: Origin) -> bool:
    """From http to https on one host and the usual ports: the commonest redirect there is, and only for the better."""
    return came_from == Origin("http", origin.host, 80) and origin == Origin("https", origin.host, 443)


def choose(quote: Quote, policy: Policy, origin: Origin, means: Means, mandate: Mandate, bounds: Bounds) -> Quote:
    """The quote with every offer judged: ``choice`` is the one to pay, every other has its reason."""
    judge = _Judge(policy, origin, means, mandate, echo_objections(quote, bounds))
    judged = [judge.look_at(offer) for offer in quote.offers]
    eligible = [offer for offer in judged if offer.reason is None]
    choice = min(eligible, key=judge.order, default=None)
    offers = tuple(_passed_over(o, choice) if choice and o.reason is None and o is not choice else o for o in judged)
    return replace(quote, offers=offers, choice=choice)


def refuse(quote: Quote, policy: Policy, origin: Origin, mandate: Mandate) -> NoAcceptableOffer:
    """The error for a judged quote without a choice."""
    count = len(quote.offers) + len(quote.faults)
    message = f"No offer of the {count} of {quote.url} was acceptable: "
    shown, more = quote.reasons[:_REASONS], len(quote.reasons) - _REASONS
    message += "; ".join(shown) + (f"; and {more} more" if more > 0 else "") + ". Nothing was paid."
    dear = [(o.price, o) for o in quote.offers if o.price is not None and isinstance(o.reason, TooDear)]
    if not dear:
        return NoAcceptableOffer(message, reasons=quote.reasons)
    comparable = [(price, offer) for price, offer in dear if price.currency == dear[0][0].currency]
    asked, offer = min(comparable, key=lambda found: found[0])
    limit = _most(policy, origin, mandate, asked.currency)
    return TooExpensive(message, reasons=quote.reasons, limit=limit, asked=asked, offer=offer)


class TooDear(str):
    """A reason whose only ground is the price: everything else about the offer was acceptable."""

    __slots__ = ()


class _Judge:
    """One look at each offer of one quote."""

    def __init__(
        self,
        policy: Policy,
        origin: Origin,
        means: Means,
        mandate: Mandate,
        echo_objection: Callable[[Offer], str | None],
    ) -> None:
        self.policy, self.origin, self.means, self.mandate = policy, origin, means, mandate
        self.echo_objection = echo_objection

    def look_at(self, offer: Offer) -> Offer:
        token = self.means.token(offer.network, offer.asset)
        if token is None:
            return replace(offer, reason=self._network_reason(offer) or _unknown(offer))
        offer = replace(offer, token=token, price=token.price(offer.amount))
        return replace(offer, reason=self._reason(offer, token))

    def order(self, offer: Offer) -> tuple[Any, ...]:
        """The user's order first, then US dollars before other currencies, then the price, then the seller's order."""
        assert offer.price is not None
        currency = offer.price.currency
        return (
            self._rank(self.policy.networks, offer.network),
            self._asset_rank(offer),
            (currency != "USD", currency),
            offer.price.units,
            offer.position,
        )

    def _reason(self, offer: Offer, token: Token) -> str | None:
        return (
            self._network_reason(offer)
            or self._asset_reason(offer)
            or self._recipient_reason(offer)
            or self.means.objection(offer)
            or self._frozen_terms_reason(offer)
            or self.echo_objection(offer)
            or self._price_reason(offer)
        )

    def _network_reason(self, offer: Offer) -> str | None:
        if self.policy.networks is None or offer.network in self.policy.networks:
            return None
        allowed = ", ".join(short_name(n) for n in self.policy.networks)
        return f"network {words(short_name(offer.network), 60)} is not among the allowed ones ({allowed})"

    def _asset_reason(self, offer: Offer) -> str | None:
        if self.policy.assets is None or self._asset_rank(offer) < len(self.policy.assets):
            return None
        return f"{_named(offer)} is not among the allowed assets ({', '.join(self.policy.assets)})"

    def _recipient_reason(self, offer: Offer) -> str | None:
        if self.policy.pay_to is None or _same_case(offer.pay_to) in self.policy.pay_to:
            return None
        return f"it pays {words(offer.pay_to, 60)}, which is not an address pinned by the policy's pay_to"

    def _frozen_terms_reason(self, offer: Offer) -> str | None:
        frozen = self.mandate.quote
        if frozen is None:
            return None
        agreed = frozen.choice
        if agreed is None:
            return "the quote this purchase is bound to had no acceptable offer"
        if _terms(agreed) != _terms(offer) or offer.amount > agreed.amount:
            return f"it differs from the quote this purchase is bound to ({agreed})"
        return None

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
        most = _most(self.policy, self.origin, self.mandate, price.currency)
        if most is None or price <= most:
            return None
        return TooDear(f"it costs {price}; one payment may cost {most}")

    def _asset_rank(self, offer: Offer) -> int:
        if self.policy.assets is None:
            return 0
        names = {_same_case(offer.asset), _same_case(offer.token.address)} if offer.token else set()
        symbol = offer.token.symbol.upper() if offer.token else ""
        ranks = (i for i, a in enumerate(self.policy.assets) if a.upper() == symbol or _same_case(a) in names)
        return next(ranks, len(self.policy.assets))

    @staticmethod
    def _rank(order: tuple[str, ...] | None, name: str) -> int:
        return order.index(name) if order and name in order else 0


def _most(policy: Policy, origin: Origin, mandate: Mandate, currency: str) -> Money | None:
    own = mandate.per_request
    if own is not None and own.currency != currency:
        return Money.of_units(0, currency)  # the caller's own cap says nothing of this currency: not a single unit
    limits = [limit for limit in (policy.per_request(origin, currency), own) if limit is not None]
    return min(limits, default=None)


def _passed_over(offer: Offer, choice: Offer) -> Offer:
    if offer.price == choice.price and choice.position < offer.position:
        return replace(offer, reason=f"offer {choice.position} costs the same and comes first")
    return replace(offer, reason=f"offer {choice.position} is preferred ({choice})")


def _unknown(offer: Offer) -> str:
    asset, network = words(offer.asset, 60), words(short_name(offer.network), 60)
    return f"{asset} on {network} is not a token this buyer knows; Policy(tokens=[Token(...)]) vouches for one"


def _named(offer: Offer) -> str:
    return (offer.token.symbol if offer.token else "") or words(offer.asset, 60)


def _terms(offer: Offer) -> tuple[str, ...]:
    asset = offer.token.address if offer.token else offer.asset
    return (offer.scheme, offer.network, _same_case(asset), _same_case(offer.pay_to))


def _same_case(address: str) -> str:
    """EVM addresses differ in the case of their letters only by checksum; others mean every letter."""
    return address.lower() if address[:2] in ("0x", "0X") else address


def _hosts(written: Mapping[str, Limit | str]) -> dict[Pattern, HostRule]:
    found: dict[Pattern, HostRule] = {}
    if not isinstance(written, Mapping):
        raise ConfigurationError(f'hosts maps names to Limit(...) or "deny", not {written!r}.')
    for name, rule in written.items():
        if not isinstance(rule, Limit) and rule != "deny":
            raise ConfigurationError(f'hosts[{name!r}] is a Limit(...) or "deny", not {rule!r}.')
        pattern = Pattern.parse(name)
        if pattern in found:
            raise ConfigurationError(f"hosts names {pattern} twice; keep one entry.")
        found[pattern] = rule if isinstance(rule, Limit) else "deny"
    return found


def _several(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise ConfigurationError(f"{name} is a list, not one str; write {name}=[{values!r}].")
    listed = _listed(name, values)
    for value in listed:
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name} holds names, not {value!r}.")
    return listed


def _listed(name: str, values: Iterable[T]) -> list[T]:
    if not isinstance(values, Iterable):
        raise ConfigurationError(f"{name} is a list, not {values!r}.")
    return list(values)


def _pinned(pay_to: str | Iterable[str]) -> list[str]:
    return [pay_to] if isinstance(pay_to, str) else _several("pay_to", pay_to)


def _network(name: str) -> str:
    network = caip2(name)
    if network is None:
        raise ConfigurationError(f'{name!r} is not a network we know; write "base", "solana" or a CAIP-2 name.')
    return network


def _token(token: Token) -> Token:
    if not isinstance(token, Token):
        raise ConfigurationError(f"tokens holds Token(...) entries, not {token!r}.")
    token = replace(token, network=_network(token.network))
    if token.network.startswith("eip155:") and not _EVM_ADDRESS.fullmatch(token.address):
        raise ConfigurationError(f"{token.address!r} is not an address on {short_name(token.network)}.")
    return token


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is True or False, not {value!r}.")
    return value


def _validity(seconds: int) -> int:
    if type(seconds) is not int or not 60 <= seconds <= 86_400:
        raise ConfigurationError(f"validity is a whole number of seconds from 60 to 86400, not {seconds!r}.")
    return seconds


#: What a buyer without a policy of its own may spend.
CAREFUL = Policy(per_request="0.10", per_day="5")
