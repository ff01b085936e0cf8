"""List of the goods for sale, as facilitators list sellers, for ``discover`` and ``x402 search``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .answers import Answer, page
from .terms import Goods, Seller, offers

PATHS = ("/discovery/resources", "/discovery/search")
_LIMIT = 20


def catalogue(path: str, goods: Iterable[Goods], seller: Seller, url: str, now: float) -> Answer:
    """Answer a request for the list, or for its entries that have all words of a query."""
    parts = urlsplit(path)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    records = [_record(one, seller, url, now) for one in goods if one.price is not None]
    kept = [one for one in records if _fits(one, asked)]
    if parts.path == PATHS[1]:
        wanted = asked.get("query", "").lower().split()
        found = [
            one for one in kept if all(word in f"{one['resource']} {one['description']}".lower() for word in wanted)
        ]
        return page({"x402Version": 2, "resources": found, "partialResults": False})
    limit, offset = _number(asked.get("limit"), _LIMIT), _number(asked.get("offset"), 0)
    pagination = {"limit": limit, "offset": offset, "total": len(kept)}
    return page({"x402Version": 2, "items": kept[offset : offset + limit], "pagination": pagination})


def _record(goods: Goods, seller: Seller, url: str, now: float) -> dict[str, Any]:
    info = {"input": {"type": "http", "method": "GET"}}
    return {
        "resource": url + goods.path,
        "type": "http",
        "x402Version": goods.version,
        "description": goods.description,
        "accepts": offers(goods, seller, url + goods.path),
        "lastUpdated": datetime.fromtimestamp(now, UTC).isoformat(),
        "extensions": {"bazaar": {"info": info, "schema": {}}},
    }


def _fits(record: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    networks = [offer["network"] for offer in record["accepts"]]
    return asked.get("type", "http") == "http" and ("network" not in asked or asked["network"] in networks)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else default
