"""From a chosen offer and its signed payload to the header that pays."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..errors import MalformedQuote
from .bounds import Bounds
from .json_text import dump
from .models import Offer, Quote

#: Hosted facilitators refuse an echoed description that is longer; the whole resource is optional in a payment.
_DESCRIPTION = 500


def payment_header(quote: Quote, offer: Offer, payload: Mapping[str, Any], bounds: Bounds) -> tuple[str, str]:
    """Name and value of the header. Version 2 echoes the offer and the extensions as the server wrote them."""
    name, document = _version_1(offer, payload) if quote.version == 1 else _version_2(quote, offer, payload)
    value = base64.b64encode(dump(document).encode()).decode()
    if len(value) > bounds.payment_header:
        raise MalformedQuote(
            f"The terms would have to be echoed in a header of {len(value)} characters; {bounds.payment_header} are "
            "sent at most. Nothing was paid."
        )
    return name, value


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
    if isinstance(description, str) and len(description) > _DESCRIPTION:
        return {**resource, "description": description[:_DESCRIPTION]}
    return dict(resource)
