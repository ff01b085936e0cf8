"""From a chosen offer and its signed payload to the header that pays."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ..errors import SigningError
from .bounds import Bounds
from .json_text import dump
from .models import Offer, Quote
from .same import Same

#: More characters of JSON than any scheme's payload has: a Solana transaction takes 1,644, an EVM authorization 600.
_PAYLOAD = 2_048
_PAYMENT_ID, _ID_LENGTH = "payment-identifier", 36
#: Hosted facilitators refuse an echoed description that is longer; the whole resource is optional in a payment.
_DESCRIPTION = 500


def takes_payment_id(quote: Quote) -> bool:
    """Whether the server recognises a payment by an id of ours, so that it can be presented twice and count once."""
    declared = quote.extensions.get(_PAYMENT_ID) if quote.version == 2 else None
    info = declared.get("info") if isinstance(declared, dict) else None
    return isinstance(info, dict) and "id" not in info


def payment_header(
    quote: Quote, offer: Offer, payload: Mapping[str, Any], bounds: Bounds, payment_id: str | None = None
) -> tuple[str, str]:
    """Name and value of the header. Version 2 echoes the offer and the extensions as the server wrote them.

    The one thing that is added is ``payment_id``, where the server takes one.
    """
    name, value = _header(quote, offer, payload, payment_id)
    size = len(value)
    if size > bounds.payment_header:
        payload, value = {}, ""  # tools that print the variables of a traceback must find none
        raise SigningError(
            f"The signed payload makes a header of {size} characters; {bounds.payment_header} are sent at most. "
            "Nothing was sent."
        )
    return name, value


def echo_objections(quote: Quote, bounds: Bounds) -> Callable[[Offer], str | None]:
    """Why the header that pays an offer would be too large to send. Known before anything is signed.

    What all offers of a quote share is measured once: a thousand of them may stand beside a long extension.
    """
    sample = "0" * _ID_LENGTH if takes_payment_id(quote) else None
    shared = len(dump(_shared(quote, sample))) if quote.version == 2 else 0

    def objection(offer: Offer) -> str | None:
        own = len(dump(_own(quote, offer, {"": "0" * _PAYLOAD})))
        size = 4 * -(-(shared + own) // 3)  # base64 makes four characters of three
        if size <= bounds.payment_header:
            return None
        return (
            f"its terms would have to be echoed in a header of about {size} characters; "
            f"{bounds.payment_header} are sent at most"
        )

    return objection


def _header(quote: Quote, offer: Offer, payload: Mapping[str, Any], payment_id: str | None) -> tuple[str, str]:
    before, after = _frame(quote, offer, payment_id) if payment_id else _usual_frame(Same(quote), Same(offer))
    name = "PAYMENT-SIGNATURE" if quote.version == 2 else "X-PAYMENT"
    return name, base64.b64encode(f"{before}{dump(payload)}{after}".encode()).decode()


def _frame(quote: Quote, offer: Offer, payment_id: str | None) -> tuple[str, str]:
    """All of a payment but its payload: what is written before it, and after."""
    shared = _shared(quote, payment_id) if quote.version == 2 else {}
    before, _, after = dump(_own(quote, offer, None) | shared).partition('"payload":null')
    return before + '"payload":', after


@lru_cache(maxsize=64)
def _usual_frame(quote: Same[Quote], offer: Same[Offer]) -> tuple[str, str]:
    """Most sellers make the same offers each time, and those are the same objects then."""
    return _frame(quote.it, offer.it, None)


def _own(quote: Quote, offer: Offer, payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """The part of a payment that is of this offer."""
    if quote.version == 2:
        return {"x402Version": 2, "payload": payload, "accepted": offer.raw}
    return {"x402Version": 1, "scheme": offer.scheme, "network": offer.written_network, "payload": payload}


def _shared(quote: Quote, payment_id: str | None) -> dict[str, Any]:
    """The part that version 2 echoes whatever the offer."""
    resource = {} if quote.resource is None else {"resource": _resource(quote.resource)}
    extensions = dict(quote.extensions)
    if payment_id is not None:
        declared = extensions[_PAYMENT_ID]
        extensions[_PAYMENT_ID] = {**declared, "info": {**declared["info"], "id": payment_id}}
    return resource | ({"extensions": extensions} if extensions else {})


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    description = resource.get("description")
    if not isinstance(description, str):
        return dict(resource)
    # Counted as JavaScript does, where letters beyond the first plane count twice.
    kept = description.encode("utf-16-le")[: 2 * _DESCRIPTION].decode("utf-16-le", "ignore")
    return {**resource, "description": kept}
