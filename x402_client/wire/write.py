"""Writes the header that pays, from a chosen offer and its signed payload."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..errors import MalformedQuote, SigningError
from ..model.offers import Offer, Quote
from ..model.statements import OFFER_RECEIPT
from .bounds import Bounds
from .by_identity import ByIdentity
from .json_text import dump, load

#: More characters of JSON than the payload of any scheme has: a Solana transaction takes 1,644, an EVM authorization
#: 600.
_PAYLOAD = 2_048
_PAYMENT_ID, _ID_LENGTH = "payment-identifier", 36
#: Hosted facilitators refuse an echoed description that is longer. The whole resource is optional in a payment.
_DESCRIPTION = 500
#: The most characters of signed offers that are echoed.
_SIGNED_OFFERS = 4_096

_HEADERS = ("X-PAYMENT", "PAYMENT-SIGNATURE")


def takes_payment_id(quote: Quote) -> bool:
    """Return True if the server recognises a payment by an id that we add.

    Such a payment can be presented twice and count once.
    """
    declared = quote.extensions.get(_PAYMENT_ID) if quote.version == 2 else None
    info = declared.get("info") if isinstance(declared, dict) else None
    return isinstance(info, dict) and "id" not in info


def payment_header(
    quote: Quote,
    offer: Offer,
    payload: Mapping[str, Any],
    bounds: Bounds,
    payment_id: str | None = None,
    added: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[str, str]:
    """Return name and value of the header that pays.

    Version 2 echoes the offer and the extensions as the server wrote them. Only ``payment_id`` is added, where the
    server takes one, and what a scheme has ``added`` to the ``info`` of declared extensions.
    """
    name, value, problem = _HEADERS[quote.version == 2], "", ""
    try:
        value = _header(quote, offer, payload, payment_id, added)
    except (TypeError, ValueError) as fault:
        problem = type(fault).__name__
    if not value:  # raised out here: the failure, which has the payload in its variables, is forgotten
        payload, added = {}, None
        raise SigningError(f"The signed payload cannot be written as JSON ({problem}). Nothing was sent.")
    size = len(value)
    if size > bounds.payment_header:
        payload, value, added = {}, "", None  # tools that print the variables of a traceback must find none
        raise SigningError(
            f"The signed payload makes a header of {size} characters; {bounds.payment_header} are sent at most. "
            "Nothing was sent."
        )
    return name, value


def refusal_body(body: bytes | None, why: str, bounds: Bounds) -> bytes:
    """Return the body of a 402 that is handed back unpaid: the seller's own document, with our reason as its error.

    SDKs put ``error.message`` into the messages of what they raise. Another body than a JSON object is replaced by one.
    """
    try:
        said = load(body or b"", bounds.depth)
    except MalformedQuote:
        said = None
    rest = said.items() if isinstance(said, dict) else ()
    error = {"type": "payment_refused", "message": why}
    return dump({"error": error, **{name: value for name, value in rest if name != "error"}}).encode()


def echo_objections(quote: Quote, bounds: Bounds) -> Callable[[Offer], str | None]:
    """Return a function that says why the header that pays an offer would be too large to send.

    It can be asked before anything is signed. The parts that all offers of a quote share are measured once: a thousand
    of them may stand beside a long extension.
    """
    sample = "0" * _ID_LENGTH if takes_payment_id(quote) else None
    shared = len(_suffix(quote, sample)) + _PAYLOAD

    def objection(offer: Offer) -> str | None:
        size = 4 * -(-(shared + len(_prefix(quote, offer)) + len(_accepted(quote, offer))) // 3)  # in base64
        if size <= bounds.payment_header:
            return None
        return (
            f"its terms would have to be echoed in a header of about {size} characters; "
            f"{bounds.payment_header} are sent at most: Buyer(bounds=Bounds(payment_header=...))"
        )

    return objection


def _header(
    quote: Quote,
    offer: Offer,
    payload: Mapping[str, Any],
    payment_id: str | None,
    added: Mapping[str, Mapping[str, Any]] | None,
) -> str:
    before, after = _prefix(quote, offer), _accepted(quote, offer) + _suffix(quote, payment_id, added)
    return base64.b64encode(f"{before}{dump(payload)}{after}}}".encode()).decode()


def _prefix(quote: Quote, offer: Offer) -> str:
    """Return the text before the payload."""
    if quote.version == 2:
        return '{"x402Version":2,"payload":'
    return _version_1(offer.scheme, offer.written_network)


@lru_cache(maxsize=64)
def _version_1(scheme: str, network: str) -> str:
    return f'{{"x402Version":1,"scheme":{dump(scheme)},"network":{dump(network)},"payload":'


def _accepted(quote: Quote, offer: Offer) -> str:
    """Return the text after the payload that belongs to this offer."""
    return f',"accepted":{_text(quote, offer.raw)}' if quote.version == 2 else ""


def _suffix(quote: Quote, payment_id: str | None, added: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Return the text at the end, which is the same for every offer of the quote, but for what is ``added``."""
    if quote.version != 2:
        return ""
    resource = "" if quote.resource is None else f',"resource":{_text(quote, quote.resource, _resource)}'
    ours = dict(added or {})
    if payment_id is not None:
        ours[_PAYMENT_ID] = {"id": payment_id}
    if ours:
        extensions = {**quote.extensions, **{name: _extended(quote, name, info) for name, info in ours.items()}}
        return f'{resource},"extensions":{dump(_echoed(extensions))}'
    return f'{resource},"extensions":{_text(quote, quote.extensions, _echoed)}' if quote.extensions else resource


def _echoed(extensions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the extensions as they are echoed. Many signed offers would make the header too large to send.

    A seller that signs them makes others for each 402, so it cannot compare them with what comes back.
    """
    declared: Any = extensions.get(OFFER_RECEIPT)
    info = declared.get("info") if isinstance(declared, dict) else None
    if not isinstance(info, dict) or len(dump(info)) <= _SIGNED_OFFERS:
        return extensions
    rest = {name: value for name, value in info.items() if name != "offers"}
    return {**extensions, OFFER_RECEIPT: {**declared, "info": rest}}


def _extended(quote: Quote, name: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return an extension as it was declared, with facts of ours in its ``info``. Servers compare the rest."""
    declared = quote.extensions.get(name)
    declared = declared if isinstance(declared, dict) else {}
    theirs = declared.get("info")
    return {**declared, "info": {**(theirs if isinstance(theirs, dict) else {}), **info}}


def _resource(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    description = resource.get("description")
    if not isinstance(description, str) or len(description) <= _DESCRIPTION // 2:
        return resource
    # Counted as JavaScript counts: letters beyond the first plane count twice.
    kept = description.encode("utf-16-le")[: 2 * _DESCRIPTION].decode("utf-16-le", "ignore")
    return {**resource, "description": kept}


def _as_it_came(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return value


def _text(quote: Quote, value: Mapping[str, Any], change: _Change = _as_it_came) -> str:
    """Return a part of the terms as JSON.

    It is needed twice, to measure and to write. Short terms are often the same as last time, so they are cached.
    """
    return _text_cached(ByIdentity(value), change) if quote.brief else dump(change(value))


_Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@lru_cache(maxsize=64)
def _text_cached(value: ByIdentity[Mapping[str, Any]], change: _Change) -> str:
    return dump(change(value.it))
