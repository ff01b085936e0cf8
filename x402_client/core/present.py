"""Presents a payment: sends it, once more where that is safe, and judges what comes back.

Once it was sent, the money may be gone. So budget is given back only where the chain proves the payment unused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import events
from ..errors import PaymentNotSent, QuoteError, X402Error
from ..guards.tracebacks import forget_frames
from ..model.holds import Attempt, Hold, Outcome
from ..model.offers import Quote
from ..wire.leaks import repeats
from ..wire.read import is_page, read_quote
from .amounts import lost_with
from .asks import Ask, Claim, Conclude, Failed, Pause, Peek, Reply, Send, Tell, WriteOff
from .chain_looks import charged, look_now
from .drive import Flow
from .last_answer import is_by_chain, is_known_paid, note_answer, noted, shown_by_chain
from .levels import left_in, tell_levels
from .no_content import led_away, never_known, outcome_unknown, rejected, undelivered
from .receipt_check import judge, says_pending
from .statements import check_offers, heard
from .stops import freezes_now
from .tries import Lost, Tries

if TYPE_CHECKING:
    from .call import Call
    from .rules import Rules

#: Before a payment is presented once more within one call. All that such a call adds to the answers' own time.
_PAUSES = (0.25, 0.75)
_AUTH = (401, 407)


def read(call: Call, reply: Reply, rules: Rules) -> Flow[Quote | None]:
    """Return the terms of a 402. None: it is not x402."""
    reply.body = yield from Peek(reply)
    body = b"" if reply.body is None and is_page(reply.header) else reply.body
    found = read_quote(reply.header, body, call.url, rules.bounds)
    return None if found is None else (yield from check_offers(found, rules))


def terms(call: Call, reply: Reply, rules: Rules) -> Flow[Quote | QuoteError | None]:
    """Return the terms, or their fault, which an unresolved payment of the same purchase may still outweigh."""
    try:
        return (yield from read(call, reply, rules))
    except QuoteError as fault:
        return fault


def present(call: Call, hold: Hold, rules: Rules) -> Flow[Reply | Lost]:
    """Return the answer that the caller gets.

    ``hold.money`` tells what the chain said of a payment that was made before. "spent": it settled; "held": it can yet,
    or an earlier answer showed it paid; "unknown": it expired, and no reader can tell. ``call.is_over`` is True if it
    expired.
    """
    tries = Tries(hold)
    if call.running is not None:
        call.running.hold = hold
    while True:
        reply = yield from _once(call, tries, rules)
        if reply is not None:
            return reply
        if not _may_repeat(call, tries, rules) or not (yield from _claim_again(call, tries)):
            return (yield from _end(call, tries, rules))


def led_elsewhere(call: Call, hold: Hold, quote: Quote | QuoteError, rules: Rules) -> Flow[Lost]:
    """End a call that was redirected away from the payee of its unresolved payment.

    The rule: "A hold is presented only to its payee's origin, under any path".
    """
    call.attempt.end()
    if call.is_over:
        return (yield from _expired(call, Tries(hold, terms=quote, elsewhere=True), rules))
    error = led_away(call, hold, (yield from freezes_now(hold)))
    raise (yield from noted(error, None, f"a redirect to {call.origin}", by_chain=is_by_chain(hold)))


def _once(call: Call, tries: Tries, rules: Rules) -> Flow[Reply | None]:
    hold = tries.hold
    assert hold.authorization is not None
    shown = hold.shown
    left = left_in(call, hold)
    yield from Tell(events.Presented(call.method, call.url, shown, again=hold.tries > 0, left=left))
    if left:
        yield from tell_levels(call, hold, left)
    call.paid = shown  # it outlives the call, in the mark that its request carries
    try:
        reply = yield from Send(hold.authorization.header)
    except Exception as failure:
        kind = yield from Failed(failure)
        forget_frames(failure)  # what is left of them are the steps of this flow
        if kind == "not_sent":
            yield from _not_sent(call, tries, failure)
        # Where the caller waited, or could not even connect, it has waited long enough.
        tries.late, tries.most = kind == "timeout", 2 if kind == "lost" else 0
        tries.fail(failure)
        yield from Tell(events.Unknown(call.method, call.url, shown, type(failure).__name__))
        return None
    judged = judge(reply, hold, shown, rules.bounds, rules.means.same_account)
    reply.outcome = yield from heard(call, reply, _weighed(tries, judged), hold, rules)
    yield from Tell(events.Answered(call.method, call.url, reply.status, _by_this_answer(tries, reply.outcome, judged)))
    if reply.status == 402:
        # What is broadcast and not confirmed may take a moment: the same payment is presented, never another.
        tries.refusal, tries.refused_last = reply, True
        tries.most = 2 if says_pending(reply.outcome.receipt) else 1
        tries.terms = yield from _refused_terms(call, reply, hold, rules)
        return None
    # 401 and 407 are for the library's own auth flow, which sends the request again.
    if reply.status < 400 or reply.status in _AUTH or (not call.is_over and judged.money == "spent"):
        return (yield from _handed_over(call, reply, hold, rules))
    tries.most = 1 if reply.status < 500 else 2
    return (yield from _keep(call, tries, reply, rules))


def _not_sent(call: Call, tries: Tries, failure: Exception) -> Flow[None]:
    """Give back a payment that never left this machine, and raise.

    The rule: "the first presentation of a hold"; one that may have left before stays unresolved, as do its budgets.
    """
    hold = tries.hold
    if hold.tries > 0:
        return
    call.attempt.end()  # a ledger gives back only what no attempt presents
    if not (yield from _written(call, Conclude(hold, False))):
        return
    call.paid = None
    raise PaymentNotSent(
        f"No connection to {call.origin} for the payment of {hold.price} ({type(failure).__name__}). Nothing left this "
        "machine, and the amount was given back. Make the same request again.",
        hold=hold.shown_as(state="released", money="untouched"),
        offer=hold.offer,
    ) from failure


def _refused_terms(call: Call, reply: Reply, hold: Hold, rules: Rules) -> Flow[Quote | QuoteError | None]:
    """Read the new terms at once, so that the connection is free again. Words that are our own payment are dropped."""
    assert hold.authorization is not None
    try:
        found = yield from terms(call, reply, rules)
    except Exception:
        return None
    if isinstance(found, Quote) and repeats(found.error, hold.authorization.header[1]):
        return replace(found, error="")
    return found


def _weighed(tries: Tries, outcome: Outcome) -> Outcome:
    """Judge the money: what was shown paid stays so, and a seller's no does not undo an earlier silence."""
    if is_by_chain(tries.hold):
        return _paid_by_chain(outcome)
    if is_known_paid(tries.hold):
        return replace(outcome, money="spent")
    return _after_silence(tries, outcome)


def _after_silence(tries: Tries, outcome: Outcome) -> Outcome:
    return replace(outcome, money="unknown") if outcome.money == "held" and tries.failure is not None else outcome


def _by_this_answer(tries: Tries, outcome: Outcome, judged: Outcome) -> Outcome:
    """Return what an answer tells of the money by itself, for its event. The error tells what was shown before, too."""
    if tries.hold.money == "spent" or outcome.money == judged.money:  # "spent": this call asked the chain
        return outcome
    return replace(outcome, money=_after_silence(tries, judged).money)


def _paid_by_chain(outcome: Outcome) -> Outcome:
    return replace(outcome, money="spent", hold=shown_by_chain(outcome.hold))


def _handed_over(call: Call, reply: Reply, hold: Hold, rules: Rules) -> Flow[Reply]:
    if reply.status != 101 and not 200 <= reply.status < 300:
        call.attempt.end()
        if reply.status >= 400:
            yield from _look(reply, hold, rules)
        yield from note_answer(reply, hold)
        assert reply.outcome is not None
        # Where a redirect leads, it is known what this answer said of the money.
        call.paid = hold.shown_as(last=reply.outcome.hold.last)
        # The library's own auth may yet bring the content after a 401 or 407.
        if reply.status >= 400 and reply.status not in _AUTH:
            yield from _tell_undelivered(call, reply)
    return reply


def _tell_undelivered(call: Call, reply: Reply) -> Flow[None]:
    """Tell of an answer that is no error of ours, so that no exception tells its caller of the money."""
    assert reply.outcome is not None
    yield from Tell(events.NotDelivered(call.method, call.url, reply.status, reply.outcome))


def _look(reply: Reply, hold: Hold, rules: Rules) -> Flow[None]:
    """Look at the chain where an answer does not settle it: a no of the seller's proves nothing about the money.

    It changes ``.money``, and of a ceiling ``.charged``. ``hold`` is as it was before that answer.
    """
    outcome = reply.outcome
    if outcome is None or (outcome.money == "spent" and not outcome.hold.is_open_ceiling):
        return
    seen = yield from look_now(hold.shown, rules)
    if outcome.looked is not None and seen.charged is not None:
        outcome.looked.on_chain = charged(outcome.hold, seen).charge
    if seen.settled:
        reply.outcome = _paid_by_chain(outcome)


def _keep(call: Call, tries: Tries, reply: Reply, rules: Rules) -> Flow[Reply | None]:
    """Keep an answer, with its body, in case nothing better comes. One that is too large is handed over now."""
    if not call.is_over and not _may_repeat(call, tries, rules):
        return (yield from _handed_over(call, reply, tries.hold, rules))
    try:
        if (yield from Peek(reply)) is None and not call.is_over:
            return (yield from _handed_over(call, reply, tries.hold, rules))
    except Exception as failure:
        tries.fail(failure)
        return None
    tries.kept, tries.refused_last = reply, False
    return None


def _may_repeat(call: Call, tries: Tries, rules: Rules) -> bool:
    """Return True if one call may present again: an idempotent request, or one the seller promised to recognise."""
    signed = tries.hold.authorization
    safe = call.method in rules.repeat or (signed is not None and "payment_id" in signed.evidence)
    return safe and not call.is_over and tries.again < tries.most


def _claim_again(call: Call, tries: Tries) -> Flow[bool]:
    """Claim the hold anew. Return False if it was frozen, or another attempt took it over meanwhile."""
    try:
        yield from Pause(_PAUSES[tries.again])
    except Exception as failure:  # the caller's own time for the whole call is up
        tries.fail(failure)
        return False
    tries.again += 1
    call.attempt.end()
    call.attempt = Attempt()
    try:
        found = yield from Claim(tries.hold.purchase, call.attempt)
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"The payment was not presented again: {failure}"))
        return False
    if not isinstance(found, Hold) or found.id != tries.hold.id:
        return False
    tries.hold = found
    return True


def _end(call: Call, tries: Tries, rules: Rules) -> Flow[Reply | Lost]:
    """Return or raise what the caller gets when no presentation brought the content."""
    call.attempt.end()
    if call.is_over:
        return (yield from _expired(call, tries, rules))
    if tries.kept is not None and tries.kept.outcome is not None:
        tries.kept.outcome = _weighed(tries, tries.kept.outcome)
        yield from _look(tries.kept, tries.hold, rules)
        yield from note_answer(tries.kept, tries.hold, tries.last if tries.refused_last else None)
        yield from _tell_undelivered(call, tries.kept)
        return tries.kept
    # Its patterns take a while to compile, and few calls end here.
    from .empty_wallet import is_short, may_mean_no_funds

    funds = tries.failure is None and may_mean_no_funds(tries.reason)
    seen = yield from look_now(tries.hold.shown, rules, funds)
    tries.hold = charged(tries.hold, seen)
    stops = yield from freezes_now(tries.hold)
    if tries.failure is not None:
        error = outcome_unknown(call, tries, rules, seen, stops)
        raise (yield from noted(error, *tries.last, by_chain=seen.settled)) from tries.failure
    open_yet = not seen.settled and not is_known_paid(tries.hold)
    short = open_yet and is_short(tries.hold, tries.reason, seen.balance)
    raise (yield from noted(rejected(call, tries, seen, short, stops), *tries.last, short, seen.settled))


def _expired(call: Call, tries: Tries, rules: Rules) -> Flow[Lost]:
    """End a payment that cannot settle any more and was presented for the content alone."""
    if tries.hold.is_open_ceiling:
        seen = yield from look_now(tries.hold.shown, rules)
        newly = seen.settled and not is_by_chain(tries.hold)
        call.is_silent = call.is_silent and not newly
        tries.hold = charged(shown_by_chain(tries.hold) if newly else tries.hold, seen)
    hold, by_chain = tries.hold, is_by_chain(tries.hold)
    stops = yield from freezes_now(hold)
    accepts = call.accepted_loss is None and rules.policy.accepts_loss(lost_with(hold))
    ended = undelivered if by_chain else never_known
    error: X402Error = ended(call, tries, stops, accepts)
    # Of one that a chain showed paid before, and shows no more now, the ledger goes on asking.
    if hold.money == "spent" and (yield from _written(call, Conclude(hold, True))):
        yield from Tell(events.Concluded(call.method, call.url, hold.shown, settled=True))
    # Only a seller that asks for money again refuses to deliver: one that is down for a minute may deliver yet.
    accepted = accepts and not call.expired_recently and tries.terms is not None
    if not accepted or not (yield from _written(call, WriteOff(hold))):
        raise (yield from noted(error, *tries.last, by_chain=by_chain)) from tries.failure
    assert tries.terms is not None
    yield from Tell(events.WrittenOff(call.method, call.url, hold.shown))
    call.attempt, call.paid, call.signing = Attempt(), None, True
    return Lost(error, tries.terms)


def _written(call: Call, entry: Ask[Any]) -> Flow[bool]:
    """Return True if the ledger took the entry. False: another call claimed the hold meanwhile, and it ends there."""
    try:
        return (yield from entry) is not False
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"The ledger did not take what became known: {failure}"))
        return False
