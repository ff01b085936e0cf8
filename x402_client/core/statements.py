"""Checks what a seller signed: offers before one is paid, the receipt when its answer came (offer-receipt).

The rule: "an offer that contradicts its accepts entry is a tampered 402 (refuse)". A receipt is the seller's word: a
bad one is told of, and changes neither the delivery nor what is known of the money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import events
from ..errors import MalformedQuote
from ..model.holds import Hold, Outcome
from ..model.offers import Offer, Quote, Receipt, term, words
from ..model.statements import OFFER_RECEIPT, Statement
from ..wire.bounds import Bounds
from ..wire.json_text import dump, load_base64
from ..wire.leaks import repeats
from .asks import Reply, Tell
from .drive import Flow

if TYPE_CHECKING:
    from .call import Call
    from .rules import Rules

#: The signatures of a 402 that are checked. Each may take a few milliseconds.
_CHECKED = 8
#: The header with what a facilitator says about extensions, the most of it that is read, and the field of a settle
#: response in which some sellers pass the same on.
EXTENSIONS, _FIELD = "extension-responses", "extensionResponses"
_MOST, _DEPTH = 8_192, 8


def check_offers(quote: Quote, rules: Rules) -> Flow[Quote]:
    """Check the signatures on a quote's offers. One that does not fit its own key contradicts the 402."""
    if OFFER_RECEIPT not in quote.extensions:
        return quote
    signed = [offer for offer in quote.offers if offer.signed is not None][:_CHECKED]
    found: dict[int, Offer] = {}
    contradiction = quote.contradiction
    for offer in signed:
        assert offer.signed is not None
        statement = yield from rules.statements.checked(offer.signed, offer.pay_to)
        if statement.signed_by == "forged":
            contradiction = contradiction or f"the signature of its signed offer {_misfit(statement)}"
        found[offer.position] = offer.but(signed=statement)
    offers = tuple(found.get(offer.position, offer) for offer in quote.offers)
    return replace(quote, offers=offers, contradiction=contradiction)


def heard(call: Call, reply: Reply, outcome: Outcome, hold: Hold, rules: Rules) -> Flow[Outcome]:
    """Return an outcome with what was signed in the answer, and with what a facilitator says about extensions."""
    found = outcome.receipt
    text = reply.header(EXTENSIONS)
    if found is not None and found.signed is not None:
        checked = yield from _checked(call, found, found.signed, hold, rules)
        outcome = replace(outcome, receipt=replace(found, signed=checked))
        if checked.problems or checked.signed_by == "forged":
            yield from Tell(events.Warned(call.method, call.url, _doubts(checked)))
    if text is not None or (found is not None and _FIELD in found.raw):
        outcome = yield from _with_extensions(call, text, outcome, hold, rules.bounds)
    return outcome


def _checked(call: Call, found: Receipt, signed: Statement, hold: Hold, rules: Rules) -> Flow[Statement]:
    judged = yield from rules.statements.checked(signed, hold.offer.pay_to)
    named = hold.offer.signed.payload["resourceUrl"] if hold.offer.signed is not None else ""
    payers = [name for name in (hold.payer, hold.authorization and hold.authorization.payer) if name]
    # The patterns of the wire's statements are compiled where a seller sends one.
    from ..wire.statements import receipt_doubts

    doubts = receipt_doubts(judged, hold, found.transaction, (call.url, hold.url, named), payers)
    return judged.doubted(tuple(doubts))


def _misfit(statement: Statement) -> str:
    return f"does not fit {term(statement.signer, 100) if statement.signer else 'any key'}"


def _doubts(signed: Statement) -> str:
    forged = [f"its signature {_misfit(signed)}"] if signed.signed_by == "forged" else []
    said = "; ".join((*forged, *signed.problems))
    return f"The seller's signed receipt proves nothing: {said}. The answer and what is known of the money stay."


def _with_extensions(call: Call, text: str | None, outcome: Outcome, hold: Hold, bounds: Bounds) -> Flow[Outcome]:
    """Read what a facilitator says about extensions, from the header, else from the settle response."""
    said: Any = outcome.receipt.raw.get(_FIELD) if outcome.receipt is not None else None
    try:
        said = _object(said if text is None else _read(text, bounds))
    except MalformedQuote as fault:
        problem = f"The EXTENSION-RESPONSES of this answer were not read. {fault.args[0]}"
        yield from Tell(events.Warned(call.method, call.url, words(problem, 200)))
        return outcome
    shown = dump(said)
    if hold.authorization is not None and repeats(shown, hold.authorization.header[1]):
        problem = "The EXTENSION-RESPONSES of this answer repeat the payment, so they were not kept."
        yield from Tell(events.Warned(call.method, call.url, problem))
        return outcome
    yield from Tell(events.ExtensionsAnswered(call.method, call.url, said))
    return replace(outcome, extensions=said)


def _read(text: str, bounds: Bounds) -> Any:
    if len(text) > min(_MOST, bounds.receipt):
        raise MalformedQuote(f"They have {len(text)} characters; {min(_MOST, bounds.receipt)} are read.")
    return load_base64(text, _DEPTH)


def _object(said: Any) -> Mapping[str, Any]:
    """Return what was said if it is an object. A settle response was bounded as a whole when it was read."""
    if not isinstance(said, dict):
        raise MalformedQuote("They are no JSON object.")
    return said
