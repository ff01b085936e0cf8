"""Signs a payment, and has it recorded before it leaves: after its price was counted, or in the same step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from .. import events
from ..errors import LedgerUnavailable, SigningError, X402Error
from ..guards.handlers import raise_callers_stop
from ..model.holds import NEVER, Authorization, Hold
from ..model.networks import family_of
from ..model.offers import Offer, Quote
from ..model.signing import Signed
from ..wire.write import payment_header, takes_payment_id
from .asks import LeftAlone, Record, Release, Tell
from .call import Call
from .drive import Flow
from .known_terms import lasting
from .lost_answers import note_doubt
from .rules import Rules


def sign(call: Call, quote: Quote, hold: Hold, rules: Rules, validity: int) -> Flow[Hold]:
    """Sign and record. The hold that comes back may leave."""
    remark = rules.schemes[hold.offer.scheme, family_of(hold.offer.network)].remark(hold.offer)
    if remark:
        yield from Tell(events.Warned(call.method, call.url, remark))
    call.signing = True
    return (yield from record(call, quote, hold, (yield from _signed(call, quote, hold.offer, rules, validity))))


def sign_first(call: Call, quote: Quote, offer: Offer, rules: Rules, validity: int) -> Flow[Authorization | None]:
    """Sign before anything is counted, where only a key in this process is needed. None: the price is counted first.

    The ledger then reserves and records in one step. Nothing has left before that step, so nothing else changes.
    """
    assert offer.price is not None
    scheme = rules.schemes[offer.scheme, family_of(offer.network)]
    signs_here = getattr(scheme, "signs_here", None)
    if signs_here is None or not signs_here(offer) or scheme.remark(offer) is not None:
        return None
    if rules.approve_all or call.repeats or rules.policy.needs_approval(offer.price) or call.waited > rules.terms_age:
        return None
    if (yield from LeftAlone(call.origin)) is not None:
        return None
    try:
        return (yield from _signed(call, quote, offer, rules, validity))
    except X402Error:  # an earlier payment of the same purchase needs no signature, so the ledger is asked first
        return None


def record(call: Call, quote: Quote, hold: Hold, signed: Authorization) -> Flow[Hold]:
    """Record what was signed for a hold, unless the ledger did so as it counted the price."""
    call.signing, call.terms = True, lasting(quote, hold.offer) if call.memory is not None else None
    if hold.authorization is not None:
        return hold
    try:
        recorded = yield from Record(hold, signed)
    except LedgerUnavailable as failure:
        note_doubt(failure, hold.but(authorization=signed, state="signed"))
        raise
    return recorded.but(used=hold.used) if hold.used else recorded


def give_back(call: Call, hold: Hold) -> Flow[None]:
    """Give unspent budget back. What the ledger cannot take now, it takes back by itself."""
    try:
        yield from Release(hold)
    except X402Error as failure:
        yield from Tell(events.Warned(call.method, call.url, f"Unspent budget was not given back yet: {failure}"))


def _signed(call: Call, quote: Quote, offer: Offer, rules: Rules, validity: int) -> Flow[Authorization]:
    scheme = rules.schemes[offer.scheme, family_of(offer.network)]
    try:
        signed = _checked((yield from scheme.sign(offer, validity)))
    except X402Error:
        raise
    except Exception as failure:
        raise_callers_stop(failure)
        raise SigningError(f"Signing failed with {type(failure).__name__}. Nothing was sent.") from failure
    if signed.remark:
        yield from Tell(events.Warned(call.method, call.url, signed.remark))
    evidence, payment_id = signed.evidence, None
    if takes_payment_id(quote):
        # One name for each payment, however often it is presented.
        payment_id = "pay_" + hashlib.sha256(f"{signed.payer} {signed.nonce}".encode()).hexdigest()[:32]
        evidence = {**evidence, "payment_id": payment_id}
    # The header is kept in no variable: tools that print those of a traceback would show it.
    return Authorization(
        signed.nonce,
        signed.payer,
        signed.expires,
        payment_header(quote, offer, signed.payload, rules.bounds, payment_id, signed.extensions),
        evidence,
        signed.kind,
        signed.ceiling,
        signed.proof,
    )


def _checked(signed: Signed) -> Signed:
    """Return what a scheme made. One that is written elsewhere could return anything, and a ledger would keep it."""
    if isinstance(signed, Signed) and isinstance(signed.evidence, Mapping):
        named = all(isinstance(text, str) and text for text in (signed.nonce, signed.payer))
        if named and type(signed.expires) is int and 0 < signed.expires <= NEVER:
            return signed
    signed = None  # type: ignore[assignment]  # tools that print the variables of a traceback must find no signature
    raise SigningError(
        "The payment scheme did not return a Signed(payload, nonce, payer, expires, evidence): nonce and payer are "
        "texts, expires is in whole seconds since 1970, evidence is a mapping. Nothing was sent."
    )
