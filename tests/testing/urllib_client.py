"""A client of a stranger's own: the courier of ``examples/own_http_client.py``. It reads whole answers."""

from __future__ import annotations

import http.client
import runpy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from x402_client import Buyer
from x402_client.adapters import Exchange
from x402_client.testing.adapter_conformance import AdapterConformance, Answer

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_http_client.py"
Courier: Any = runpy.run_path(str(EXAMPLE))["Courier"]


def courier_for(
    client: Exchange | None,
    method: str,
    url: str,
    body: Any,
    headers: Sequence[tuple[str, str]],
    read_timeout: float | None,
) -> Any:
    """Return the courier of one call."""
    courier = Courier(url, method, body.encode() if isinstance(body, str) else body, **dict(headers))
    courier.timeout = 60.0 if read_timeout is None else read_timeout
    courier.settle_timeout = 0 if client is None else client.buyer.settle_timeout or 0
    return courier


class UrllibConformance(AdapterConformance):
    """What such a client can do."""

    own_errors = (OSError, http.client.HTTPException)
    streams = follows_redirects = one_shot_bodies = files = keeps_cookies = False
    pools = joins_errors = sees_loopback = False

    @contextmanager
    def client(self, buyer: Buyer | None, connections: int | None = None) -> Iterator[Any]:
        yield None if buyer is None else Exchange(buyer)

    def fetch(
        self,
        client: Exchange | None,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        courier = courier_for(client, method, url, body, headers, read_timeout)
        send = client.send if client is not None else lambda one: one.hand_over(one.send(None), None)
        reply, content = send(courier)
        return Answer(reply.status, reply.native.headers.items(), content, reply)

    def quote(self, client: Exchange, method: str, url: str) -> Any:
        return client.quote(Courier(url, method))

    def outcome(self, native: Any) -> Any:
        return native.outcome
