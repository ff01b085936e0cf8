"""Joins an overdue call: its caller gave up on a thread that still runs, and makes the same request again.

The rule: "Then the same request reserves, asks and signs nothing: it joins, waits within its own time-out, one joiner
after the other."
"""

from __future__ import annotations

from dataclasses import replace

from .. import events
from ..errors import AlreadyPaid, PaymentOutcomeUnknown
from ..guards.tracebacks import forget_frames
from ..model.holds import Hold, Purchase
from .asks import Claim, Join, Joined, Pause, Reply, Send, Tell
from .call import Call
from .drive import Flow
from .no_content import expiry
from .receipt_check import judge
from .rules import Rules
from .running_call import RunningCall

#: Seconds between two looks at the call that is waited for.
_STEP = 0.02
_JOINED = "An earlier call of this request is overdue in another thread. This one waits for it, and signs nothing."


def join(call: Call, purchase: Purchase, rules: Rules) -> Flow[Reply | Hold | None]:
    """Wait for an overdue call at the same purchase, if there is one. Return its content, or the payment it left.

    None: nothing is overdue, or it left nothing. Then this call goes on like any other.
    """
    waited = False
    while True:
        found = yield from Join(purchase, call.started, call.running)
        call.running = found.call
        if found.call is None or found.state == "free":
            # The rule: "The first failed: claimed as by any retry". Another retry may have been quicker, and then
            # there may be one more call that is overdue.
            if not waited:
                return None
            left = yield from Claim(purchase, call.attempt)
            if isinstance(left, Hold):
                return left
            waited = False
            continue
        if found.state == "delivered":
            return (yield from _present(call, found.call, found, rules))
        if found.state == "replaced":
            raise _replaced(found)
        if found.seconds <= 0:
            raise _still_running(call, found)
        waited = True
        yield from _wait(call, found)


def _wait(call: Call, found: Joined) -> Flow[None]:
    if not call.waited:
        yield from Tell(events.Warned(call.method, call.url, _JOINED))
    step = min(_STEP, found.seconds)
    call.waited += step
    yield from Pause(step)


def _present(call: Call, mine: RunningCall, found: Joined, rules: Rules) -> Flow[Reply]:
    """Present the payment of a delivered call.

    The rule: "its header is kept while somebody is joined and is presented once; a 2xx is the content, all else
    AlreadyPaid". The purchase is resolved, so no delivery follows. No variable here has the header.
    """
    call.attempt.end()
    shown = mine.hold and mine.hold.shown
    if mine.hold is None or mine.hold.authorization is None or shown is None or shown.purchase.origin != call.origin:
        raise _paid_already(found, "That answer went there. Nothing was sent by this call")
    call.paid = shown
    yield from Tell(events.Presented(call.method, call.url, shown, again=True))
    try:
        reply = yield from Send(mine.hold.authorization.header)
        outcome = judge(reply, mine.hold, shown, rules.bounds, rules.means.same_account)
    except Exception as failure:
        forget_frames(failure)  # what is left of them are the steps of this flow
        yield from Tell(events.Unknown(call.method, call.url, shown, type(failure).__name__))
        raise _paid_already(found, f"{_BROUGHT} no answer ({type(failure).__name__})") from failure
    finally:
        mine.end()
    if found.outcome is not None and found.outcome.money == "spent":
        outcome = replace(outcome, money="spent")
    yield from Tell(events.Answered(call.method, call.url, reply.status, outcome))
    if not 200 <= reply.status < 300:
        raise _paid_already(found, f"{_BROUGHT} an answer of {reply.status}", reply)
    mine.delivered(outcome)
    reply.outcome, call.resolved = outcome, True
    return reply


_BROUGHT = "Its payment was presented once more and brought"


def _paid_already(found: Joined, then: str, reply: Reply | None = None) -> AlreadyPaid:
    who = "an earlier call of this request, whose caller had given up on its thread"
    return _delivered_to(who, found, then, reply)


def _replaced(found: Joined) -> AlreadyPaid:
    """Return the error of a call that was overdue before it had read its 402, after its repeat was delivered."""
    who = "a later call of this request"
    then = (
        "This one runs in a thread and took longer than its read time-out before payment was asked for, and the other "
        "began after that, so its caller seems to have given up on this one and repeated it. Nothing was sent by it"
    )
    return _delivered_to(who, found, then)


def _delivered_to(who: str, found: Joined, then: str, reply: Reply | None = None) -> AlreadyPaid:
    hold = found.hold
    what = f"{hold.price} to {hold.host}" if hold is not None else "It"
    keyed = hold is not None and hold.purchase.keyed
    after = "under this key nothing is bought again" if keyed else "the same request buys anew"
    error = AlreadyPaid(
        f"{what} was paid and delivered to {who}. {then}. Nothing was signed; {after}.",
        hold=hold,
        offer=None if hold is None else hold.offer,
        receipt=None if found.outcome is None else found.outcome.receipt,
        response=None if reply is None else reply.native,
    )
    if found.outcome is None or found.outcome.money != "spent":
        error.money = "unknown"
    return error


def _still_running(call: Call, found: Joined) -> AlreadyPaid | PaymentOutcomeUnknown:
    if found.state == "queued":
        return _paid_already(found, "Another call presents its payment at this moment. Nothing was sent by this call")
    after = "buys anew" if call.mandate.key is None else "ends in AlreadyPaid"
    hold = None if found.hold is None else found.hold.shown_as(in_flight=True)
    return PaymentOutcomeUnknown(
        f"Another call of the same request ({call.method} {call.url}) still runs in a thread of this process. A call "
        "for it took longer than its read time-out, so its caller seems to have given up. This one waited as long as "
        "its own time-out allows, and sent and signed nothing. Make the same request again, at once: it joins the "
        f"other call or takes its payment over. After a delivery for which none waited, it {after}. Calls that are "
        "meant to be purchases of their own take a key each.",
        hold=hold,
        offer=None if hold is None else hold.offer,
        wait_until=None if hold is None else expiry(hold),
    )
