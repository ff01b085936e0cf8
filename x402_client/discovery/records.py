"""Reads one record of a facilitator's list into a ``Listing``. One that makes no sense is a ValueError, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..model.offers import words
from ..policy.checks import is_unicode
from ..wire.read import read_offers
from .inputs import Input, read_input
from .listing import Kind, Listing

_URL, _DESCRIPTION, _NAME, _TAG, _MIME = 2_048, 500, 80, 40, 100
_TAGS, _OFFERS = 10, 100
#: A time as a number is in milliseconds from here on: in seconds it would be after the year 5000.
_MILLISECONDS = 100_000_000_000


def read_listing(record: Any, facilitator: str) -> Listing:
    """Return what a record offers. It is not judged, and its offers have no price yet."""
    if not isinstance(record, dict):
        raise ValueError("it is no object")
    url = _url(record)
    version = record.get("x402Version")
    offers = record.get("accepts")
    if not isinstance(offers, list) or not offers:
        raise ValueError("it names no offers")
    if len(offers) > _OFFERS:
        raise ValueError(f"it has {len(offers)} offers; {_OFFERS} are read")
    known = version if type(version) is int else None
    read, faults = read_offers(offers, known or 2)
    told = read_input(record)
    return Listing(
        url=url,
        kind=_kind(record, told),
        method=told.method,
        tool=told.tool,
        name=_text(_first(record, ("serviceName", "name", "title", "provider")), _NAME),
        description=_text(_first(record, ("description",)) or _of_offers(offers), _DESCRIPTION),
        tags=_tags(record),
        mime_type=_text(_first(record, ("mimeType",)), _MIME),
        updated=_time(record.get("lastUpdated")),
        offers=tuple(read),
        faults=tuple(faults),
        schema=told.schema or {},
        example=told.example or {},
        template=_is_template(record),
        facilitator=facilitator,
        version=known,
    )


def _url(record: Mapping[str, Any]) -> str:
    place = record.get("resource")
    found = place.get("url") if isinstance(place, dict) else place or record.get("url")
    if not isinstance(found, str) or not found:
        raise ValueError("it names no resource")
    if len(found) > _URL or not found.isprintable() or " " in found or not is_unicode(found):
        raise ValueError(f"its resource {words(found, 60)!r} is no URL")
    parts = _parts(found)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"its resource {words(found, 60)!r} is no URL of a web server")
    if "@" in parts.netloc:
        raise ValueError("the URL of its resource names a user")
    return found


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:  # a port that is none, or brackets that do not close
        return None


def _kind(record: Mapping[str, Any], told: Input) -> Kind:
    return "mcp" if told.tool or told.kind == "mcp" or record.get("type") == "mcp" else "http"


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first text of these names: of the record itself, of its metadata, or of its resource."""
    places = [place for place in (record, record.get("metadata"), record.get("resource")) if isinstance(place, dict)]
    texts = (place[name] for name in names for place in places if isinstance(place.get(name), str) and place[name])
    return next(texts, None)


def _of_offers(offers: list[Any]) -> Any:
    """Return the description that version 1 writes into each offer."""
    said = (offer.get("description") for offer in offers if isinstance(offer, dict))
    return next((one for one in said if isinstance(one, str) and one), None)


def _text(value: Any, limit: int) -> str:
    return " ".join(words(value, limit).split())


def _tags(record: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = record.get("metadata")
    found = record.get("tags") or (metadata.get("tags") if isinstance(metadata, dict) else None)
    listed = [text for one in found[:_TAGS] if (text := _text(one, _TAG))] if isinstance(found, list) else []
    return tuple(dict.fromkeys(listed))


def _time(value: Any) -> datetime | None:
    """Return a time that is written as ISO 8601, or as a number of seconds or milliseconds."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value[:40])
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _is_template(record: Mapping[str, Any]) -> bool:
    extensions = record.get("extensions")
    bazaar = extensions.get("bazaar") if isinstance(extensions, dict) else None
    places = (record, bazaar if isinstance(bazaar, dict) else {})
    return any(isinstance(place.get("routeTemplate"), str) and "/:" in place["routeTemplate"] for place in places)
