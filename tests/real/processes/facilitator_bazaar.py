"""The official facilitator with a Bazaar: what was paid with the extension is listed and found.

Orders: those of facilitator.py, and {"strange": [records by other people, listed as they are]}.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from facilitating import answer
from facilitator import make_facilitator
from serving import JsonServer, announce, read_orders
from x402.extensions.bazaar import DiscoveryResource, extract_discovery_info


class Bazaar:
    def __init__(self, strange: list[Any]) -> None:
        self._listed: dict[tuple[str, str], dict[str, Any]] = {}
        self._strange = strange

    def note(self, request: dict[str, Any]) -> None:
        """As the official examples do after a settlement: extract, and list."""
        payment, terms = request["paymentPayload"], request["paymentRequirements"]
        found = extract_discovery_info(payment, terms)
        if found is None:
            return
        listed = DiscoveryResource(
            resource=found.resource_url,
            type=found.discovery_info.input.type,
            x402_version=found.x402_version,
            accepts=[terms],
            last_updated=datetime.now(UTC).isoformat(),
            description=found.description,
            mime_type=found.mime_type,
            service_name=found.service_name,
            tags=found.tags,
            extensions=found.extensions,
        )
        self._listed[found.resource_url, found.method] = listed.to_dict()

    def page(self, path: str, asked: dict[str, str]) -> tuple[int, Any]:
        records = [*self._strange, *self._listed.values()]
        if path == "/discovery/search":
            found = [one for one in records if asked["query"].lower() in json.dumps(one).lower()]
            start, limit = int(asked.get("cursor", 0)), 2
            cursor = str(start + limit) if start + limit < len(found) else None
            pagination = {"limit": limit, "cursor": cursor}
            return 200, {"x402Version": 2, "resources": found[start : start + limit], "pagination": pagination}
        offset, limit = int(asked.get("offset", 0)), min(int(asked.get("limit", 20)), 2)
        pagination = {"limit": limit, "offset": offset, "total": len(records)}
        return 200, {"x402Version": 2, "items": records[offset : offset + limit], "pagination": pagination}


def main() -> None:
    orders = read_orders()
    facilitator, bazaar = make_facilitator(orders), Bazaar(orders["strange"])

    def respond(path: str, body: bytes | None) -> tuple[int, Any]:
        parts = urlsplit(path)
        if parts.path.startswith("/discovery/"):
            return bazaar.page(parts.path, {name: values[-1] for name, values in parse_qs(parts.query).items()})
        try:
            found = answer(facilitator, path, body)
        except Exception as error:
            return 400, {"error": f"{type(error).__name__}: {error}"}
        if path == "/settle" and found["success"]:
            bazaar.note(json.loads(body or b""))
        return 200, found

    server = JsonServer(respond)
    announce(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
