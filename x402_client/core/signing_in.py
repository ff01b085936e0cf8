"""Signs in before anything is paid, where the policy says so: a 2xx to it costs nothing.

The rule: "where the policy says so and the challenge is sound: sign its text, ask again; a 2xx costs nothing".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .. import events
from ..errors import AlreadyPaid, BodyNotReplayable, LedgerUnavailable, PaymentNotSent, PaymentRefused, X402Error
from ..guards.tracebacks import forget_frames
from ..model.holds import Attempt, Hold, Outcome, Purchase, payer_name
from ..model.money import Money
from ..model.offers import Offer, Quote, SignIn
from ..model.sign_in import SIGN_IN
from ..policy.choice import admit_terms
from .asks import Bought, Claim, Reply, Send, Tell
from .chain_looks import look_now
from .drive import Flow
from .last_answer import money_after, note_sign_in, shown_by_chain
from .present import terms
from .purchase_name import known_purchase

if TYPE_CHECKING:
    from .call import Call
    from .rules import Rules

#: Answers that refuse the sign-in itself, so that paying is still the way. Others are the seller's answer.
_REFUSED = (400, 401, 402, 403, 431)
_REFUSED_IT = "the seller answered {} to it"


def sign_in(call: Call, quote: Quote, rules: Rules) -> Flow[tuple[Quote, Reply | None]]:
    """Sign in where the policy says so. Return the answer of the seller, or None if it is still to be paid.

    The quote that comes back has the reason, and the newest terms.
    """
    judged, network = yield from judge_sign_in(call, quote, rules)
    challenge = judged.sign_in
    assert challenge is not None
    if challenge.reason is not None:
        return judged, None
    try:
        # A body that can be read once is kept now, so that it can be sent with the payment, too.
        yield from known_purchase(call, rules)
    except BodyNotReplayable as problem:
        return _refused(judged, problem.args[0]), None
    account = rules.sign_in.account(network)
    try:
        # The header is kept in no variable: tools that print those of a traceback would show it.
        reply = yield from Send((yield from rules.sign_in.sign(challenge, network)))
    except PaymentNotSent as problem:  # the signer failed, or the body cannot be sent again: no sign-in left
        yield from Tell(events.Warned(call.method, call.url, f"No sign-in: {problem.args[0]}"))
        if not quote.offers:
            raise
        return _refused(judged, str(problem.args[0])), None
    except Exception as failure:
        forget_frames(failure)
        raise
    opened = 200 <= reply.status < 300
    yield from Tell(events.SignedIn(call.method, call.url, account, network, reply.status))
    if reply.status == 402 or (quote.offers and (yield from _leads_to_paying(call, reply, rules))):
        return (yield from _asked_again(call, judged, reply, rules)), None
    reply.outcome = outcome = yield from _outcome(call, network, account, opened, rules)
    if outcome.hold.authorization is not None:
        yield from note_sign_in(outcome, reply.status)
    return judged, reply


def judge_sign_in(call: Call, quote: Quote, rules: Rules) -> Flow[tuple[Quote, str]]:
    """Return the quote with the reason against its sign-in, if there is one, and the chain whose account signs in."""
    challenge = quote.sign_in
    assert challenge is not None
    reason, network = yield from _judged(call, quote, challenge, rules)
    return _refused(quote, reason), network


def _judged(call: Call, quote: Quote, challenge: SignIn, rules: Rules) -> Flow[tuple[str | None, str]]:
    mode = rules.policy.signs_in(call.origin)
    if mode == "never":
        return 'the policy has sign_in="never" for this seller', ""
    if call.no_sign_in:
        return call.no_sign_in, ""
    reason = rules.sign_in.objection(challenge, call.origin)
    if reason is not None:
        return reason, ""
    try:
        admit_terms(call.mandate, call.origin)
    except PaymentRefused as refusal:
        return str(refusal.args[0]), ""
    able = [network for network in challenge.networks if rules.sign_in.account(network)]
    allowed = rules.policy.networks
    able = [network for network in able if allowed is None or network in allowed]
    if not able:
        return "the wallet has no key that signs a text for one of its chains, or the policy pays on none of them", ""
    # The seller knows the account that paid. "the payer address must be the one that signs."
    payers = tuple(dict.fromkeys(payer_name(rules.sign_in.account(network)) for network in able))
    try:
        bought = yield from Bought(call.origin, call.url, payers)
    except LedgerUnavailable as failure:
        return f"the ledger cannot say what was bought here: {failure.args[0]}", ""
    if bought is not None:
        mine = [network for network in able if payer_name(rules.sign_in.account(network)) == bought.payer]
        return None, bought.offer.network if bought.offer.network in mine else mine[0]
    if mode == "paid" and quote.offers:
        return 'this wallet has bought nothing from this seller yet, and the policy has sign_in="paid"', ""
    return None, min(able, key=allowed.index) if allowed else able[0]


def _refused(quote: Quote, reason: str | None) -> Quote:
    assert quote.sign_in is not None
    return replace(quote, sign_in=quote.sign_in.refused(reason))


def _asked_again(call: Call, quote: Quote, reply: Reply, rules: Rules) -> Flow[Quote]:
    """Return the terms to pay after a sign-in opened nothing: those of the new 402, where it has some."""
    fresh = (yield from terms(call, reply, rules)) if reply.status == 402 else None
    if not isinstance(fresh, Quote) or fresh.sign_in is None:
        fresh = replace(fresh, sign_in=quote.sign_in) if isinstance(fresh, Quote) else quote
    return _refused(fresh, _REFUSED_IT.format(reply.status))


def _outcome(call: Call, network: str, account: str, opened: bool, rules: Rules) -> Flow[Outcome]:
    """Return what an answer to a sign-in cost: nothing, unless an unresolved payment of the same request is open.

    The rule: "A 2xx by sign-in to a request with an unresolved hold is its delivery; the amount stays counted".
    """
    hold = (yield from _unresolved(call, rules)) if opened else None
    if hold is None:
        call.attempt.end()
        return _free((yield from known_purchase(call, rules)), network, account)
    seen = yield from look_now(hold.shown, rules)
    shown = shown_by_chain(hold.shown) if seen.settled else hold.shown
    return Outcome(money_after(shown, "unknown"), shown, hold.offer, signed_in=account)


def _free(purchase: Purchase, network: str, account: str) -> Outcome:
    """Return the outcome of an answer that cost nothing. No ledger has its hold."""
    nothing = Money.of_units(0)
    offer = Offer(0, 2, SIGN_IN, network, 0, "", "", price=nothing)
    hold = Hold("", purchase, offer, nothing, 0.0, "signed_in", "untouched", payer=payer_name(account))
    return Outcome("untouched", hold, offer, signed_in=account)


def _leads_to_paying(call: Call, reply: Reply, rules: Rules) -> Flow[bool]:
    """Return True if an answer refuses the sign-in, or fails while the same request has an unresolved payment.

    A sign-in that fails for long must not keep that payment from being presented.
    """
    if reply.status in _REFUSED or reply.status < 400:
        return reply.status in _REFUSED
    found = yield from _unresolved(call, rules)
    if found is not None:  # it is claimed anew where it is presented
        call.attempt.end()
        call.attempt = Attempt()
    return found is not None


def _unresolved(call: Call, rules: Rules) -> Flow[Hold | None]:
    """Return the unresolved payment of this request, claimed, so that the answer's end resolves it."""
    purchase = yield from known_purchase(call, rules)
    try:
        found = yield from Claim(purchase, call.attempt)
    except AlreadyPaid:  # under this key, and delivered: this answer adds nothing to that
        return None
    except X402Error as failure:  # frozen, say: the answer is here, and a payment stays as it is
        said = f"An earlier payment of this request stays unresolved, if there is one: {failure}"
        yield from Tell(events.Warned(call.method, call.url, said))
        return None
    if not isinstance(found, Hold):
        return None
    if found.purchase.origin != call.origin:  # another seller was paid
        call.attempt.end()
        call.attempt = Attempt()
        return None
    return found
