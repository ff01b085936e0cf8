"""``pay``: everything one paid request can do, top to bottom. Pure: it yields asks and judges their answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .. import events
from ..errors import (
    ApprovalDenied,
    BodyNotReplayable,
    ChainUnavailable,
    HostNotAllowed,
    LedgerUnavailable,
    MoneyState,
    PaymentNotSent,
    PaymentRefused,
    PaymentRejected,
    QuoteError,
    X402Error,
)
from ..model.holds import Attempt, Fate, Hold
from ..model.hosts import Origin
from ..model.offers import Offer, Quote
from ..model.sandbox_settings import NOT_READ, is_unread
from ..model.signing import Approval
from ..policy.choice import Mandate, admit_terms, choose, pick
from ..policy.no_choice import refuse
from ..policy.policy import admit
from ..wire.write import refusal_body
from .amounts import has_ceiling
from .asks import (
    Approve,
    Claim,
    Conclude,
    LeftAlone,
    LookAgain,
    Reply,
    Settlement,
    Tell,
)
from .authorizing import give_back, record
from .call import Call
from .chain_looks import charged, look_now
from .drive import Flow
from .joining import join
from .last_answer import is_known_paid, noted, shown_by_chain
from .no_content import paid_before
from .other_offers import another, patiently_signed
from .present import led_elsewhere, present, read, terms
from .purchase_name import PaidByItself, check_quoted, known_purchase
from .reclaim import may_give_back
from .reserving import patiently, reserve
from .rules import Rules
from .signing_in import judge_sign_in, sign_in
from .stops import freezes_now, with_all_stops
from .unresolved import tell_unresolved

#: How many dead payments of one purchase a call clears away before it gives up on the ledger.
_DEAD = 100


def pay(call: Call, first: Reply, rules: Rules) -> Flow[Reply]:
    """Go from a 402 to the answer that the caller gets: ``first`` itself, if it is not x402 or a refusal returns it."""
    try:
        quote = yield from terms(call, first, rules)
        if quote is None:
            call.attempt.end()
            return first
        if call.paid is not None:
            raise (yield from _paid_before(call, call.paid, first.status, rules))
        yield from _admit(call, quote, rules)
        if isinstance(quote, Quote) and quote.sign_in is not None:
            quote, opened = yield from sign_in(call, quote, rules)
            if opened is not None:
                return opened
        while True:
            hold = yield from _secure(call, quote, rules)
            if isinstance(hold, Reply):
                call.attempt.end()
                return hold
            led = hold.purchase.origin != call.origin
            answer = yield from led_elsewhere(call, hold, quote, rules) if led else present(call, hold, rules)
            if isinstance(answer, Reply):
                return answer
            call.accepted_loss, quote = answer.error, answer.terms
    except PaidByItself:
        call.attempt.end()
        return first
    except PaymentRefused as found:
        call.attempt.end()
        if call.accepted_loss is not None:
            raise _after_a_loss(found, call.accepted_loss) from call.accepted_loss
        refusal = yield from with_all_stops(call, found, rules)
        yield from tell_unresolved(call, refusal, rules)
        yield from Tell(events.Refused(call.method, call.url, str(refusal), call.mandate.allowance))
        if rules.on_refusal == "return" and not call.signing:
            refusal.__traceback__ = None  # its frames would live as long as the response
            first.refusal, first.body = refusal, refusal_body(first.body, str(refusal), rules.bounds)
            return first
        if refusal is found:
            raise
        raise refusal from None
    except (QuoteError, PaymentNotSent) as trouble:
        call.attempt.end()
        yield from Tell(events.Warned(call.method, call.url, str(trouble)))
        if call.accepted_loss is not None:
            raise _after_a_loss(trouble, call.accepted_loss) from call.accepted_loss
        raise
    except BaseException:
        call.attempt.end()
        raise
    finally:
        if call.running is not None:
            call.running.flow_ended(call.attempt)


def _after_a_loss(failure: X402Error, lost: X402Error) -> X402Error:
    """Return a failure to buy anew, which says what became of the money that was given up before in this call."""
    hold, failure.money = lost.hold, lost.money
    failure.hold = failure.hold if hold is None else hold.but(state="written_off")
    price = "A payment" if hold is None else f"{hold.price}"
    failure.args = (
        f"{failure.args[0]} {price} was given up in this call before that, as accept_loss allows: it brought nothing, "
        "and counts as spent.",
    )
    return failure


def _admit(call: Call, quote: Quote | QuoteError, rules: Rules) -> Flow[None]:
    """Refuse an origin that the policy does not pay. Nothing is presented there, not even what was signed before.

    If a redirect led there, an unresolved payment of the same purchase is reported first. The rule: "Led to another
    origin, the call presents and signs nothing: PaymentOutcomeUnknown".
    """
    try:
        admit(rules.policy, call.origin, call.came_from)
    except PaymentRefused:
        found = None if call.came_from is None else (yield from _unresolved(call, rules))
        if found is not None and found.purchase.origin != call.origin:
            open_yet = yield from _alive(call, found, rules)
            if open_yet is not None:
                call.accepted_loss = (yield from led_elsewhere(call, open_yet, quote, rules)).error
        raise


def inspect(call: Call, first: Reply, rules: Rules) -> Flow[Quote | None]:
    """Return what would be chosen, and every reason against the rest. Nothing is reserved, signed or paid."""
    quote = yield from read(call, first, rules)
    if quote is None:
        return None
    judged = choose(quote, rules.policy, call.origin, rules.means, call.mandate, rules.bounds)
    if judged.sign_in is not None:
        judged, _ = yield from judge_sign_in(call, judged, rules)
    try:
        admit(rules.policy, call.origin, call.came_from)
        admit_terms(call.mandate, call.origin)
        check_quoted(call)
    except PaymentRefused as found:
        refusal = yield from with_all_stops(call, found, rules)
        judged = replace(judged, offers=tuple(replace(o, reason=refusal.args[0]) for o in judged.offers), choice=None)
        if judged.sign_in is not None:
            judged = replace(judged, sign_in=judged.sign_in.refused(str(refusal.args[0])))
    return replace(judged, request=call.asked)


def _secure(call: Call, quote: Quote | QuoteError, rules: Rules) -> Flow[Hold | Reply]:
    """Return a hold with an authorization that may leave: the unresolved one of the same purchase, or a new one.

    Return a reply instead if an overdue call of the same request was joined and its payment brought the content.
    """
    for _ in range(_DEAD):
        call.is_over = False
        try:
            sound, offer = _decide(call, quote, rules)
        except (QuoteError, PaymentRefused):
            found = (yield from _joined(call, rules)) or (yield from _unresolved(call, rules))
            if found is None:
                raise
        else:
            found = yield from reserve(call, sound, offer, rules)
            if isinstance(found, Reply):
                return found
            if call.is_new(found):
                try:
                    return (yield from _authorize(call, sound, found, rules))
                except PaymentNotSent as failure:
                    left = another(call, sound, failure, rules)
                    if left is None:
                        raise
                    yield from Tell(events.Warned(call.method, call.url, failure.args[0]))
                quote = left
                continue
        if isinstance(found, Reply):
            return found
        hold = yield from _alive(call, found, rules)
        if hold is not None:
            return hold
    raise LedgerUnavailable(
        f"The ledger keeps handing over payments of {call.url} that the chain proved unused. Nothing was sent."
    )


#: A payment that lives, by its chain's own clock, is held, also where the local clock says that it expired.
_MONEY: dict[Fate, MoneyState] = {"open": "held", "live": "held"}


def _alive(call: Call, hold: Hold, rules: Rules) -> Flow[Hold | None]:
    """Return an unresolved hold with what is known of its money.

    Return None if the chain proves it unused. It was given back then. A ceiling may be known as spent and not have
    expired: until then its end is that of a payment which can settle yet.
    """
    call.is_over, call.is_silent = True, False
    if hold.money == "spent":  # a ledger says so where a reader concluded it
        hold = shown_by_chain(hold)
        if not has_ceiling(hold):
            return hold
    fate = yield from Settlement(hold.shown)
    if fate == "one_says_not" and (yield from may_give_back(hold, rules.policy)):
        fate = "not_settled"
    if fate != "not_settled":
        call.expired_recently, call.is_live = fate == "early", fate == "live"
        call.is_over = fate not in ("open", "live")
        call.is_silent = fate != "settled"
        if fate == "settled":
            return shown_by_chain(hold)
        # What an earlier answer showed paid stays so where the chain is silent.
        return hold if is_known_paid(hold) else hold.but(money=_MONEY.get(fate, "unknown"))
    call.attempt.end()  # a ledger concludes only what no attempt presents
    call.attempt = Attempt()
    if (yield from Conclude(hold, False)):
        yield from Tell(events.Concluded(call.method, call.url, hold.shown, settled=False))
    return None


def _decide(call: Call, quote: Quote | QuoteError, rules: Rules) -> tuple[Quote, Offer]:
    """Return the offer to pay. What refuses here refuses a new payment alone: one that was made is presented."""
    admit_terms(call.mandate, call.origin)
    if isinstance(quote, QuoteError):
        raise quote
    check_quoted(call)
    return quote, _chosen(call, quote, call.mandate, rules)


def _chosen(call: Call, quote: Quote, mandate: Mandate, rules: Rules) -> Offer:
    """Return the offer to pay. Reasons against the others are made where there is none, for the refusal."""
    about = (rules.policy, call.origin, rules.means, mandate, rules.bounds)
    choice = pick(quote, *about)
    if choice is None:
        raise refuse(choose(quote, *about), rules.policy, call.origin, mandate)
    return choice


def _joined(call: Call, rules: Rules) -> Flow[Reply | Hold | None]:
    try:
        purchase = yield from known_purchase(call, rules)
    except BodyNotReplayable:
        return None
    return (yield from join(call, purchase, rules))


def _unresolved(call: Call, rules: Rules) -> Flow[Hold | None]:
    try:
        purchase = yield from known_purchase(call, rules)
    except BodyNotReplayable:
        return None
    return (yield from patiently(Claim(purchase, call.attempt)))


def _authorize(call: Call, quote: Quote, hold: Hold, rules: Rules) -> Flow[Hold | Reply]:
    """Approve, sign, record. If any of it fails, nothing left the machine and the budget is given back.

    Where it was signed already, it only has to be recorded.
    """
    try:
        if call.signed is not None:
            return (yield from record(call, quote, hold, call.signed))
        yield from _check_rest(call)
        approved = yield from _approve(call, quote, hold, rules)
        if isinstance(approved, Reply):
            yield from give_back(call, hold)
            return approved
        quote, hold = approved
        return (yield from patiently_signed(call, quote, hold, rules))
    except Exception as failure:
        yield from give_back(call, hold)
        released = hold.shown_as(state="released", money="untouched")
        if isinstance(failure, ChainUnavailable):  # several calls may have waited for one answer of the chain
            unread = is_unread((hold.offer,), rules.policy.tokens)
            advice = f"{NOT_READ} " if unread else ""  # it stands before the blame of a public chain
            said = f"{advice}{failure.args[0]} Nothing was paid."
            raise ChainUnavailable(said, hold=released, offer=hold.offer) from failure
        if isinstance(failure, X402Error):
            failure.hold, failure.offer = failure.hold or released, failure.offer or hold.offer
        raise


def _check_rest(call: Call) -> Flow[None]:
    until = yield from LeftAlone(call.origin)
    if until is not None:
        raise paused(call.origin, until)


def paused(origin: Origin, until: datetime) -> HostNotAllowed:
    """Build the refusal to pay a seller whose last payments brought nothing."""
    return HostNotAllowed(
        f"Payments to {origin} are paused until {until:%Y-%m-%d %H:%M:%S} UTC, because its last ones brought "
        "nothing that was read to its end. The pause ends by itself; Buyer(breaker_after=..., breaker_rest=...) "
        "sets it. Requests that were paid for before present their payments as ever; buyer.holds() lists these. "
        "Nothing new was paid.",
        resets_at=until,
    )


def _approve(call: Call, quote: Quote, hold: Hold, rules: Rules) -> Flow[tuple[Quote, Hold] | Reply]:
    age, waited_for = call.waited, "another call"
    if rules.approve_all or call.repeats or rules.policy.needs_approval(hold.price):
        asked = Approval(
            hold.price, hold.offer, call.method, call.url, call.origin.host, quote.description, hold.allowance,
            call.repeats,
        )  # fmt: skip
        answer = yield from Approve(asked)
        if not answer.yes:
            remark = answer.remark or "The approver said no."
            said = f"{remark} {hold.price} to {call.origin.host} was not paid."
            raise ApprovalDenied(said, offer=hold.offer) from answer.failure
        age, waited_for = age + answer.seconds, "approval"
    if age <= rules.terms_age:
        return quote, hold
    return (yield from _look_again(call, hold, rules, waited_for))


def _look_again(call: Call, hold: Hold, rules: Rules, waited_for: str) -> Flow[tuple[Quote, Hold] | Reply]:
    """Ask for the terms anew: what was approved a while ago has to be on offer still, and cost no more."""
    reply = yield from LookAgain()
    if reply.status != 402:
        return reply
    quote = yield from read(call, reply, rules)
    if quote is None:
        return reply
    agreed = Quote(call.url, choice=hold.offer)
    mandate = replace(call.mandate, quote=agreed, waited_for=waited_for)
    return quote, hold.but(offer=_chosen(call, quote, mandate, rules))


def _paid_before(call: Call, hold: Hold, status: int, rules: Rules) -> Flow[PaymentRejected]:
    call.attempt.end()
    seen = yield from look_now(hold, rules)
    error = paid_before(call, charged(hold, seen), seen.settled, (yield from freezes_now(hold)))
    return (yield from noted(error, status, by_chain=seen.settled))
