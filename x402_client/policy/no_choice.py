"""The error for a quote without an offer to pay: the reasons against all of them, and what would allow one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import NoAcceptableOffer, TooExpensive
from ..model.allowances import UNNAMED
from ..model.hosts import Origin
from ..model.money import Money
from ..model.offers import Offer, Quote
from ..model.sandbox_settings import NOT_READ, is_unread
from .choice import Mandate, TooDear, most_for_one
from .cures import RAISE_ALLOWANCE, RAISE_HOST, RAISE_OWN, RAISE_POLICY, ending

if TYPE_CHECKING:
    from .policy import Policy

#: Said of a sandbox besides: its tokens alone would not be enough.
_LEFT_OUT = ' Your `networks` leave the sandbox out as well: add "sandbox" to them.'
#: The most reasons in an error's message, and the most offers that are described for one. ``reasons`` has all.
_REASONS, _DESCRIBED = 10, 3


def refuse(quote: Quote, policy: Policy, origin: Origin, mandate: Mandate) -> NoAcceptableOffer:
    """Return the error for a judged quote without a choice."""
    count = len(quote.offers) + len(quote.faults)
    if not count:
        reason = None if quote.sign_in is None else quote.sign_in.reason
        why = f": {reason}" if reason else ""
        return NoAcceptableOffer(
            f"{quote.url} asks for no money; it opens by a sign-in of the wallet, and none opened it{why}. Nothing was "
            "paid.",
            reasons=quote.reasons,
        )
    message = f"No offer of the {count} of {quote.url} was acceptable: "
    reasons = [*_grouped_reasons(quote.offers), *quote.faults]
    shown, more = reasons[:_REASONS], len(reasons) - _REASONS
    message += "; ".join(shown) + (f"; and {more} more" if more > 0 else "") + "."
    dear = [(o.price, o) for o in quote.offers if o.price is not None and isinstance(o.reason, TooDear)]
    advice = f" {NOT_READ}" if is_unread(quote.offers, policy.tokens) else ""
    advice += _LEFT_OUT if advice and _leaves_out(quote, policy) else ""
    if not dear:
        return NoAcceptableOffer(f"{message} Nothing was paid.{advice}", reasons=quote.reasons)
    comparable = [(price, offer) for price, offer in dear if price.currency == dear[0][0].currency]
    asked, offer = min(comparable, key=lambda found: found[0])
    limit = most_for_one(policy, origin, mandate, asked.currency)
    cure, host, allowance = _cure(policy, origin, mandate, asked)
    return TooExpensive(
        f"{message} {cure} Nothing was paid.{advice}", reasons=quote.reasons, limit=limit, asked=asked, offer=offer,
        host=host, allowance=allowance,
    )  # fmt: skip


def _leaves_out(quote: Quote, policy: Policy) -> bool:
    """Return True if the policy has networks, and none of them is one of these offers'."""
    return policy.networks is not None and not any(offer.network in policy.networks for offer in quote.offers)


def _cure(policy: Policy, origin: Origin, mandate: Mandate, asked: Money) -> tuple[str, str | None, str | None]:
    """Return what would allow a price that is too high, with the host's entry or the allowance whose limit decides."""
    currency = asked.currency
    limit = most_for_one(policy, origin, mandate, currency)
    if limit == policy.per_request(origin, currency):
        entry = policy.decides_per_request(origin, currency)
        own = (cap for one in mandate.allowances for cap in one.caps(currency))
        then = ending(asked, (*policy.caps(origin, currency), *own))
        return (RAISE_HOST.format(entry) + then, entry, None) if entry else (RAISE_POLICY + then, None, None)
    under = (one.name for one in mandate.allowances if one.budget.per_request(currency) == limit)
    allowance = next(under, None)
    return (
        (RAISE_OWN, None, None) if allowance is None else (RAISE_ALLOWANCE.format(_named(allowance)), None, allowance)
    )


def _named(allowance: str) -> str:
    return "the one without a name" if allowance.startswith(UNNAMED) else repr(allowance)


def _grouped_reasons(offers: Iterable[Offer]) -> list[str]:
    """Return the reasons against refused offers, one line for all that are refused alike."""
    groups: dict[str, list[Offer]] = {}
    for offer in offers:
        groups.setdefault(getattr(offer.reason, "shared", offer.reason or ""), []).append(offer)
    return [_for_one(group[0]) if len(group) == 1 else _for_all(group, shared) for shared, group in groups.items()]


def _for_one(offer: Offer) -> str:
    return f"offer {offer.position} ({offer}): {offer.reason}"


def _for_all(offers: list[Offer], shared: str) -> str:
    described = list(dict.fromkeys(str(offer) for offer in offers[:_DESCRIBED]))
    more = ["..."] if len(offers) > _DESCRIBED and len(described) > 1 else []
    return f"offers {_positions(offers)} ({'; '.join(described + more)}): {shared}"


def _positions(offers: list[Offer]) -> str:
    """Return ``1, 2 and 7``, or ``1 to 7`` where none is left out."""
    numbers = [offer.position for offer in offers]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    named = ", ".join(map(str, numbers[:_REASONS]))
    if len(numbers) > _REASONS:
        return f"{named} and {len(numbers) - _REASONS} more"
    return " and ".join(named.rsplit(", ", 1))
