"""``pay``: everything one paid request can do, top to bottom. Pure: it yields asks and judges their answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from . import events
from .asks import (
    Approve,
    Ask,
    Claim,
    Close,
    Digest,
    LookAgain,
    Pause,
    Peek,
    Record,
    Release,
    Reply,
    Reserve,
    Send,
    Tell,
)
from .drive import Flow
from .errors import (
    ApprovalDenied,
    BodyNotReplayable,
    PaymentOutcomeUnknown,
    PaymentRefused,
    PaymentRejected,
    QuoteError,
    SigningError,
    X402Error,
)
from .hosts import Origin
from .policy import Mandate, Means, Policy, admit, choose, refuse
from .ports import Approval, Attempt, Authorization, Busy, Hold, Order, Outcome, Purchase, Scheme, moment
from .receipts import judge
from .wire.bounds import Bounds
from .wire.echo import repeats
from .wire.models import Offer, Quote
from .wire.read import read_quote
from .wire.write import payment_header

#: How long a call waits for another one under the same key, in steps.
_PATIENCE = (0.05,) * 10 + (0.25,) * 18


@dataclass(slots=True)
class Call:
    """One call of the application: what it asks for, and what happened to it so far."""

    method: str
    origin: Origin
    #: As it may be shown: without query.
    url: str
    #: All that tells this request from another, but for its body.
    identity: str = field(repr=False)
    mandate: Mandate = field(default_factory=Mandate)
    came_from: Origin | None = None
    #: The hold that an earlier hop of the same call presented: one call pays at most once.
    paid: Hold | None = None
    attempt: Attempt = field(default_factory=Attempt)
    #: Whether a signature was asked for: from then on every failure is raised.
    signing: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every call of a buyer."""

    policy: Policy
    means: Means
    schemes: Mapping[tuple[str, str], Scheme]
    bounds: Bounds
    purse: str = "default"
    on_refusal: Literal["raise", "return"] = "raise"
    #: Whether payments of any size are approved by somebody: an approver without a threshold.
    approve_all: bool = False
    #: Terms older than this many seconds are looked at again before they are signed.
    terms_age: float = 30.0


def pay(call: Call, first: Reply, rules: Rules) -> Flow[Reply]:
    """From a 402 to the answer that the caller gets: ``first`` itself if it is none of our business."""
    try:
        quote = yield from _terms(call, first, rules)
        if quote is None:
            call.attempt.end()
            return first
        if call.paid is not None:
            raise _paid_before(call, call.paid)
        admit(rules.policy, call.origin, call.came_from)
        hold = yield from _secure(call, quote, rules)
        if isinstance(hold, Reply):
            call.attempt.end()
            return hold
        return (yield from _present(call, hold, rules))
    except PaymentRefused as refusal:
        call.attempt.end()
        yield from Tell(events.Refused(call.method, call.url, str(refusal)))
        if rules.on_refusal == "return" and not call.signing:
            return first
        raise
    except BaseException:
        call.attempt.end()
        raise


def deliver(call: Call, outcome: Outcome) -> Flow[None]:
    """The answer reached the caller: the purchase is resolved. A ledger that fails here never loses the answer."""
    try:
        yield from Close(outcome.hold, outcome.money, outcome.receipt)
        yield from Tell(events.Delivered(call.method, call.url, outcome.hold))
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"A delivered purchase could not be closed: {failure}"))
    finally:
        call.attempt.end()


def inspect(call: Call, first: Reply, rules: Rules) -> Flow[Quote | None]:
    """What would be chosen, and every reason against the rest. Nothing is reserved, signed or paid."""
    quote = yield from _read(call, first, rules)
    if quote is None:
        return None
    try:
        admit(rules.policy, call.origin, call.came_from)
    except PaymentRefused as refusal:
        judged = choose(quote, rules.policy, call.origin, rules.means, call.mandate, rules.bounds)
        return replace(judged, offers=tuple(replace(o, reason=str(refusal)) for o in judged.offers), choice=None)
    return choose(quote, rules.policy, call.origin, rules.means, call.mandate, rules.bounds)


def _read(call: Call, reply: Reply, rules: Rules) -> Flow[Quote | None]:
    body = yield from Peek(reply)
    return read_quote(reply.header, body, call.url, rules.bounds)


def _terms(call: Call, first: Reply, rules: Rules) -> Flow[Quote | QuoteError | None]:
    """The quote; or its fault, which an unresolved payment of the same purchase may still outweigh."""
    try:
        return (yield from _read(call, first, rules))
    except QuoteError as fault:
        return fault


def _secure(call: Call, quote: Quote | QuoteError, rules: Rules) -> Flow[Hold | Reply]:
    """A hold with an authorization that may leave: the unresolved one of the same purchase, or a new one."""
    try:
        judged, offer = _decide(call, quote, rules)
    except (QuoteError, PaymentRefused):
        unresolved = yield from _unresolved(call, rules)
        if unresolved is None:
            raise
        return unresolved
    assert offer.price is not None
    caps = rules.policy.caps(call.origin, offer.price.currency)
    order = Order((yield from _purchase(call, rules)), offer, offer.price, caps)
    hold = yield from _patiently(Reserve(order, call.attempt))
    assert hold is not None
    if hold.authorization is not None:
        return hold
    return (yield from _authorize(call, judged, hold, rules))


def _decide(call: Call, quote: Quote | QuoteError, rules: Rules) -> tuple[Quote, Offer]:
    if isinstance(quote, QuoteError):
        raise quote
    judged = choose(quote, rules.policy, call.origin, rules.means, call.mandate, rules.bounds)
    if judged.choice is None:
        raise refuse(judged, rules.policy, call.origin, call.mandate)
    return judged, judged.choice


def _unresolved(call: Call, rules: Rules) -> Flow[Hold | None]:
    try:
        purchase = yield from _purchase(call, rules)
    except BodyNotReplayable:
        return None
    return (yield from _patiently(Claim(purchase, call.attempt)))


def _purchase(call: Call, rules: Rules) -> Flow[Purchase]:
    body = yield from Digest()
    request = hashlib.sha256(b"\0".join((call.identity.encode(), body))).hexdigest()
    key = call.mandate.key
    what = ("key", rules.purse, key) if key is not None else ("request", rules.purse, request)
    name = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    return Purchase(name, request, key is not None, call.method, call.url, call.origin, rules.purse)


def _patiently(question: Ask[Hold | Busy | None]) -> Flow[Hold | None]:
    """Ask; while another attempt at the same purchase may be running, wait for it, but not for ever."""
    found: Hold | Busy | None = yield from question
    for seconds in _PATIENCE:
        if not isinstance(found, Busy):
            return found
        yield from Pause(seconds)
        found = yield from question
    if not isinstance(found, Busy):
        return found
    raise PaymentOutcomeUnknown(
        "Another attempt at the same purchase may still be running. Nothing was sent by this one; try again when it "
        "ended.",
        hold=found.hold.shown,
        wait_until=_expiry(found.hold),
    )


def _authorize(call: Call, quote: Quote, hold: Hold, rules: Rules) -> Flow[Hold | Reply]:
    """Approve, sign, record. Whatever fails here, nothing left the machine and the budget is given back."""
    try:
        approved = yield from _approve(call, quote, hold, rules)
        if isinstance(approved, Reply):
            yield from _give_back(call, hold)
            return approved
        quote, hold = approved
        return (yield from _sign(call, quote, hold, rules))
    except Exception as failure:
        yield from _give_back(call, hold)
        if isinstance(failure, X402Error):
            failure.hold, failure.offer = failure.hold or hold.shown, failure.offer or hold.offer
        raise


def _sign(call: Call, quote: Quote, hold: Hold, rules: Rules) -> Flow[Hold]:
    scheme = rules.schemes[hold.offer.scheme, hold.offer.network.partition(":")[0]]
    remark = scheme.remark(hold.offer)
    if remark:
        yield from Tell(events.Warned(call.method, call.url, remark))
    call.signing = True
    try:
        signed = yield from scheme.sign(hold.offer, rules.policy.validity)
    except X402Error:
        raise
    except Exception as failure:
        raise SigningError(f"Signing failed with {type(failure).__name__}. Nothing was sent.") from failure
    # The header is kept in no variable: tools that print those of a traceback would show it.
    return (
        yield from Record(
            hold,
            Authorization(
                signed.nonce,
                signed.payer,
                signed.expires,
                payment_header(quote, hold.offer, signed.payload, rules.bounds),
                signed.evidence,
            ),
        )
    )


def _give_back(call: Call, hold: Hold) -> Flow[None]:
    try:
        yield from Release(hold)
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"Unspent budget was not given back yet: {failure}"))


def _approve(call: Call, quote: Quote, hold: Hold, rules: Rules) -> Flow[tuple[Quote, Hold] | Reply]:
    if not (rules.approve_all or rules.policy.needs_approval(hold.price)):
        return quote, hold
    asked = Approval(hold.price, hold.offer, call.method, call.url, call.origin.host, quote.description)
    answer = yield from Approve(asked)
    if not answer.yes:
        remark = answer.remark or "The approver said no."
        raise ApprovalDenied(f"{remark} {hold.price} to {call.origin.host} was not paid.", offer=hold.offer)
    if answer.seconds <= rules.terms_age:
        return quote, hold
    return (yield from _look_again(call, hold, rules))


def _look_again(call: Call, hold: Hold, rules: Rules) -> Flow[tuple[Quote, Hold] | Reply]:
    """What was approved a while ago has to be on offer still, and cost no more."""
    reply = yield from LookAgain()
    if reply.status != 402:
        return reply
    quote = yield from _read(call, reply, rules)
    if quote is None:
        return reply
    agreed = Quote(call.url, choice=hold.offer)
    mandate = replace(call.mandate, quote=agreed)
    judged = choose(quote, rules.policy, call.origin, rules.means, mandate, rules.bounds)
    if judged.choice is None:
        raise refuse(judged, rules.policy, call.origin, mandate)
    return judged, hold.but(offer=judged.choice)


def _present(call: Call, hold: Hold, rules: Rules) -> Flow[Reply]:
    """Send the payment and judge the answer. From here on the money may be gone."""
    assert hold.authorization is not None
    yield from Tell(events.Presented(call.method, call.url, hold.shown, again=hold.tries > 0))
    call.paid = hold.shown  # it outlives the call, in the mark that its request carries
    try:
        reply = yield from Send(hold.authorization.header)
    except Exception as failure:
        problem = type(failure).__name__
        yield from Tell(events.Unknown(call.method, call.url, hold.shown, problem))
        raise _outcome_unknown(call, hold, problem) from failure
    outcome = reply.outcome = judge(reply, hold, rules.bounds)
    yield from Tell(events.Answered(call.method, call.url, reply.status, outcome))
    if reply.status == 402:
        raise (yield from _rejected(call, reply, hold, rules))
    if not 200 <= reply.status < 300:
        call.attempt.end()
    return reply


def _rejected(call: Call, reply: Reply, hold: Hold, rules: Rules) -> Flow[PaymentRejected]:
    """A 402 after a payment does not mean unpaid."""
    try:
        again = yield from _read(call, reply, rules)
    except Exception:
        again = None
    assert hold.authorization is not None
    words = "" if again is None or repeats(again.error, hold.authorization.header[1]) else again.error
    said = f' It says: "{words}".' if words else ""
    return PaymentRejected(
        f"{call.origin} asked for payment again after {hold.price} was presented.{said} The payment can settle "
        f"until {_until(hold)}, so the amount stays counted; making the same request again presents the same payment. "
        "After that time buyer.reconcile() asks the chain and gives back what did not settle, and "
        "buyer.write_off(hold) gives the purchase up.",
        hold=hold.shown,
        offer=hold.offer,
        response=reply.native,
    )


def _paid_before(call: Call, hold: Hold) -> PaymentRejected:
    return PaymentRejected(
        f"This call paid {hold.price} to {hold.host} before it was redirected, and {call.origin} asks for payment "
        "again; one call pays at most once. Nothing more was signed.",
        hold=hold.shown,
        offer=hold.offer,
    )


def _outcome_unknown(call: Call, hold: Hold, problem: str) -> PaymentOutcomeUnknown:
    return PaymentOutcomeUnknown(
        f"{hold.price} was presented to {call.origin} and no answer came ({problem}). Nobody knows yet whether it was "
        f"settled; it can be until {_until(hold)}. Making the same request again presents the "
        "same payment and does not pay twice. After that time buyer.reconcile() asks the chain.",
        hold=hold.shown,
        offer=hold.offer,
        wait_until=_expiry(hold),
    )


def _until(hold: Hold) -> str:
    expiry = _expiry(hold)
    return f"{expiry:%Y-%m-%d %H:%M:%S} UTC" if expiry else "it expires"


def _expiry(hold: Hold) -> datetime | None:
    return moment(hold.authorization.expires) if hold.authorization else None
