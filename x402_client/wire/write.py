"""From a chosen offer and its signed payload to the header that pays."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..errors import SigningError
from .bounds import Bounds
from .json_text import dump
from .models import Offer, Quote

#: More characters of JSON than any scheme's payload has: a Solana transaction takes 1,644, an EVM authorization 600.
_PAYLOAD = 2_048
#: Hosted facilitators refuse an echoed description that is longer; the whole resource is optional in a payment.
_DESCRIPTION = 500


def payment_header(quote: Quote, offer: Offer, payload: Mapping[str, Any], bounds: Bounds) -> tuple[str, str]:
    """Name and value of the header. Version 2 echoes the offer and the extensions as the server wrote them."""
    name, value = _header(quote, offer, payload)
    if len(value) > bounds.payment_header:
        raise SigningError(
            f"The signed payload makes a header of {len(value)} characters; {bounds.payment_header} are sent at most. "
            "Nothing was sent."
        )
    return name, value


def echo_objection(quote: Quote, offer: Offer, bounds: Bounds) -> str | None:
    """Why the header that pays this offer would be too large to send. Known before anything is signed."""
    _, value = _header(quote, offer, {"": "0" * _PAYLOAD})
    if len(value) <= bounds.payment_header:
        return None
    return (
        f"its terms would have to be echoed in a header of about {len(value)} characters; "
        f"{bounds.payment_header} are sent at most"
    )


def _header(quote: Quote, offer: Offer, payload: Mapping[str, Any]) -> tuple[str, str]:
    name, document = _version_1(offer, payload) if quote.version == 1 else _version_2(quote, offer, payload)
    return name, base64.b64encode(dump(document).encode()).decode()


def _version_1(offer: Offer, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "X-PAYMENT", {
        "x402Version": 1,
        "scheme": offer.scheme,
        "network": offer.written_network,
        "payload": payload,
    }


def _version_2(quote: Quote, offer: Offer, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    document: dict[str, Any] = {"x402Version": 2, "payload": payload, "accepted": offer.raw}
    if quote.resource is not None:
        document["resource"] = _resource(quote.resource)
    if quote.extensions:
        document["extensions"] = quote.extensions
    return "PAYMENT-SIGNATURE", document


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    description = resource.get("description")
    if not isinstance(description, str):
        return dict(resource)
    # Counted as JavaScript does, where letters beyond the first plane count twice.
    kept = description.encode("utf-16-le")[: 2 * _DESCRIPTION].decode("utf-16-le", "ignore")
    return {**resource, "description": kept}
