"""Tells of an unresolved payment of the same request, before a tool says that the money is untouched.

A call may fail before it comes to the payment of an earlier one: the seller is down, or answers without asking for
money. What that payment is worth is in the ledger, which is looked at only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from ..buyer.scopes import mandate_around
from ..buyer.settlement_reader import expired_recently, has_expired
from ..core.amounts import lost_with
from ..core.call import HttpRequest
from ..core.digests import BodyDigest, body_digest
from ..core.purchase_name import is_key_of, is_request_of
from ..core.stops import Stops, stops_at
from ..model.counts import counted
from ..model.holds import Hold, Outcome, Purchase
from ..model.offers import words
from .advice import Next, next_after_status, next_for, seconds_to_wait
from .results import AGAIN, SAME_PAYMENT, Result, failure_of, led_to, over, unproven
from .saying import without_code

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from .asking import Request
    from .hosts import AllowedHosts

#: Returns the facts of a model's request as a client would send it, with what the client itself adds.
AsSent: TypeAlias = "Callable[[Request], HttpRequest]"
SAME_CALL = "Make the same call again later: it presents the same payment."
#: Said in place of how a payment is presented, once it expired. The chain may show that it was paid, too.
_EXPIRED = (
    "It expired: the chain is asked first, and what it shows unused is given back and paid anew, at the price of then. "
    "Else that same payment is presented."
)
_SHOWN_AGAIN = "The same call presents it once more."
#: Said besides where the policy's accept_loss covers the payment.
_GIVEN_UP = "If that brings nothing, it is given up, as the policy allows, and paid anew, at the price of then."
#: Said in place of it where a payment was refused time and again.
_NOT_NOW = (
    "It was refused time and again, and the next {seconds} will hardly help: a call after that asks the chain "
    "first, and what it shows unused is given back and paid anew, at the price of then."
)
_UNPAID = " Nothing was paid."
#: The most characters of a host's name.
_NAME = 100


def told(
    buyer: Buyer,
    sent: AsSent,
    request: Request | None,
    found: Result,
    again: str = SAME_CALL,
    broken: Outcome | None = None,
) -> Result:
    """Return a result, with the earlier payment of the same request where it said that nothing was paid.

    ``again`` says how that payment is presented. ``broken`` is what a call paid that failed after it.
    """
    if request is None or not (_hides(found) or _presents(found, broken)):
        return found
    try:
        return among(buyer.holds(), buyer, sent, request, found, again, broken, buyer.freezes())
    except Exception:  # the ledger cannot be asked: the result says what is known of its own call
        return unproven(found, broken) if broken is not None and _presents(found, broken) else found


async def atold(
    buyer: Buyer,
    sent: AsSent,
    request: Request | None,
    found: Result,
    again: str = SAME_CALL,
    broken: Outcome | None = None,
) -> Result:
    """Async twin of ``told``."""
    if request is None or not (_hides(found) or _presents(found, broken)):
        return found
    try:
        holds, frozen = await buyer.aholds(), await buyer.afreezes()
        return among(holds, buyer, sent, request, found, again, broken, frozen)
    except Exception:
        return unproven(found, broken) if broken is not None and _presents(found, broken) else found


def _hides(found: Result) -> bool:
    """Return True if a result may hide an earlier payment, or what to do about it: a failure, or a quote."""
    is_quote = "would_pay" in found and (402 != found["status"] >= 400 or "unresolved_payment" in found)
    return found.get("money") == "untouched" or is_quote


def _presents(found: Result, broken: Outcome | None) -> bool:
    """Return True if a result says that the same call presents what was paid, as far as the failed call knows."""
    return broken is not None and str(found.get("says")).endswith(SAME_PAYMENT)


def among(
    holds: Iterable[Hold],
    buyer: Buyer,
    sent: AsSent,
    request: Request,
    found: Result,
    again: str = SAME_CALL,
    broken: Outcome | None = None,
    frozen: tuple[str, ...] = (),
) -> Result:
    """Return a result with the first of the holds that the same call would present again, or as it is."""
    if broken is not None and _presents(found, broken):
        return found if any(one.id == broken.hold.id for one in holds) else over(found, broken)
    out = [one for one in holds if _is_out(buyer, one)]
    if not out:
        return found
    asked, body = sent(request), body_digest(request.content or b"", request.content_type)
    hold = next((one for one in out if _is_same(buyer, asked, body, one.purchase)), None)
    if hold is None:
        return found
    stops, given_up = stops_of(buyer, frozen, hold), is_given_up(buyer, hold)
    by_itself = next_for(hold, stops, given_up=given_up)
    again = _EXPIRED if has_expired(hold) and hold.money != "spent" else again
    if given_up:
        again = f"{_SHOWN_AGAIN if hold.money == 'spent' else again} {_GIVEN_UP}"
    seconds = seconds_to_wait(hold)
    again = _NOT_NOW.format(seconds=counted(seconds, "second")) if seconds else again
    then = f"Tell the user: it is the payment {hold.id} in the ledger."
    if "would_pay" in found:
        against = _refused(stops) or [one for one in found["reasons"] if "unresolved_payment" in found and one != AGAIN]
        reason = f"{_known(hold)} {again if by_itself == 'repeat' and not against else then}"
        return found | {"reasons": [*against, reason], "unresolved_payment": payment_facts(hold, by_itself)}
    advice = _advice(hold, found, by_itself)
    if advice == "repeat":
        then = again
    said = str(found["says"]).removesuffix(_UNPAID).replace(f"{_UNPAID} ", " ")
    return found | failure_of(found["error"], hold.money, f"{said} {_known(hold)} {then}", advice)


def stops_of(buyer: Buyer, frozen: tuple[str, ...], hold: Hold) -> Stops:
    """Return what keeps a payment from being presented by this buyer."""
    return stops_at(hold.purchase.origin, frozen, buyer.policy)


def payment_facts(hold: Hold, advice: Next) -> dict[str, str | int]:
    """Return an unresolved payment by the name that a person finds it by in the ledger, with the next step."""
    seconds = seconds_to_wait(hold)
    return {
        "payment": hold.id, "host": words(hold.host, _NAME), "price": str(hold.price), "money": hold.money,
        "next": advice, **({"in_seconds": seconds} if advice == "repeat" and seconds else {}),
    }  # fmt: skip


def next_of(buyer: Buyer, frozen: tuple[str, ...], hosts: AllowedHosts, hold: Hold) -> Next:
    """Return what a model does about an unresolved payment. One that no call of its presents is not its to repeat."""
    advice = next_for(hold, stops_of(buyer, frozen, hold), given_up=is_given_up(buyer, hold))
    return "ask a person" if advice == "repeat" and is_elsewhere(buyer, hosts, hold) else advice


def is_given_up(buyer: Buyer, hold: Hold) -> bool:
    """Return True if the policy gives a payment up should it bring nothing once more.

    The rule: "accept_loss writes off by itself up to that amount", of what expired, and not just now.
    """
    return has_expired(hold) and not expired_recently(hold) and buyer.policy.accepts_loss(lost_with(hold))


def is_elsewhere(buyer: Buyer, hosts: AllowedHosts, hold: Hold) -> bool:
    """Return True for a payment that no call of the tools presents: of another key, place or wallet."""
    keyed = is_key_of(hold.purchase, mandate_around(buyer).key)
    return not keyed or not _is_of_wallet(buyer, hold) or bool(hosts.objection(hold.url))


def _refused(stops: Stops) -> list[str]:
    """Return why nothing is presented, each reason in a sentence for a model."""
    named = ", ".join(words(one, _NAME) for one in stops.frozen)
    frozen = "All payments are frozen." if "*" in stops.frozen else f"Payments to {named} are frozen."
    reasons = [frozen if stops.frozen else "", without_code(stops.denied)]
    return [f"{one} Only the user can lift this." for one in reasons if one]


def _known(hold: Hold) -> str:
    known = "paid" if hold.money == "spent" else "presented a payment of"
    return f"An earlier call {known} {hold.price} to {hold.host} for this request. {led_to(hold)}".rstrip()


def _advice(hold: Hold, found: Result, by_itself: Next) -> Next:
    if by_itself != "repeat":
        return by_itself
    if "status" in found:
        return next_after_status(found["status"], Outcome(hold.money, hold, hold.offer))
    return "ask a person" if found["next"] != "repeat" else by_itself


def _is_out(buyer: Buyer, hold: Hold) -> bool:
    """Return True for a payment that left, that no call presents at this moment, and that this wallet made."""
    return _is_of_wallet(buyer, hold) and hold.state == "signed" and not hold.in_flight


def _is_of_wallet(buyer: Buyer, hold: Hold) -> bool:
    payers = buyer.rules.means.payers
    return not hold.payer or not payers or hold.payer in payers


def _is_same(buyer: Buyer, asked: HttpRequest, body: BodyDigest, known: Purchase) -> bool:
    if not is_key_of(known, mandate_around(buyer).key):
        return False
    names = buyer.identity_headers
    if is_request_of(known, asked, body, names):
        return True
    # An identity header that a hook of the client's or its auth adds is not known here.
    unknown = any(asked.headers.get(name) is None for name in names)
    return unknown and (known.method, known.url) == (asked.method, asked.shown)
