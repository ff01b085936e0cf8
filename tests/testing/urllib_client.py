"""A client of a stranger's own: urllib, and today's core. It reads whole answers, and follows no redirects.

It goes where ``examples/own_http_client.py`` goes: once that pays by ``exchange()``, so does this.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from x402_client import Buyer
from x402_client.buyer.scopes import mandate_around
from x402_client.core.asks import Reply
from x402_client.core.call import Call
from x402_client.core.drive import run
from x402_client.core.flow import deliver, pay
from x402_client.guards.tracebacks import forget_frames
from x402_client.model.holds import Outcome
from x402_client.model.hosts import Origin
from x402_client.testing.adapter_conformance import AdapterConformance, Answer


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


class Whole:
    """An answer that was read to its end."""

    def __init__(self, native: Any, content: bytes, outcome: Outcome | None) -> None:
        self.status, self.headers, self.content = native.status, native.headers, content
        self.x402 = outcome


class Client:
    """Makes one call at a time; with a buyer it pays."""

    def __init__(self, buyer: Buyer | None) -> None:
        self.buyer = buyer

    def call(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], read_timeout: float | None
    ) -> Whole:
        courier = Courier(self.buyer, method, url, body, headers, read_timeout)
        first = courier.send(None)
        by_hand = any(name.lower() in ("payment-signature", "x-payment") for name in headers)
        if self.buyer is None or first.status != 402 or by_hand or method in ("HEAD", "OPTIONS"):
            return Whole(first.native, courier.rest(first), None)
        return self._pay(self.buyer, courier, first)

    def _pay(self, buyer: Buyer, courier: Courier, first: Reply) -> Whole:
        call, answers = courier.described(mandate_around(buyer)), buyer.answers(courier)
        try:
            reply = run(pay(call, first, buyer.rules), answers)
            content = courier.rest(reply)
        except BaseException:
            call.attempt.end()
            raise
        finally:
            courier.close()
        if reply.outcome is not None and 200 <= reply.status < 300:
            run(deliver(call, reply.outcome), answers)
        return Whole(reply.native, content, reply.outcome)


class Courier:
    """What only urllib can do for one call."""

    def __init__(
        self,
        buyer: Buyer | None,
        method: str,
        url: str,
        body: bytes | None,
        headers: dict[str, str],
        read_timeout: float | None,
    ) -> None:
        self.buyer, self.method, self.url, self.body, self.headers = buyer, method, url, body, headers
        self.read_timeout = read_timeout
        self._looked_at: dict[int, bytes] = {}
        self._open: list[Any] = []

    def described(self, mandate: Any) -> Call:
        """Describe the call to the flow."""
        parts = urlsplit(self.url)
        origin = Origin.of(parts.scheme, parts.hostname or "", parts.port)
        identity = f"{self.method}\n{self.url}\n{self.headers.get('Range', '')}"
        shown = self.url.partition("?")[0]
        return Call(self.method, origin, shown, identity=identity, mandate=mandate, came_from=origin)

    def send(self, header: tuple[str, str] | None) -> Reply:
        """Send the request; with a header it pays."""
        seconds = self.read_timeout
        if header is not None and self.buyer is not None and seconds is not None:
            seconds = max(seconds, self.buyer.settle_timeout or 0)
        try:
            return self._opened(dict([*self.headers.items(), *([header] if header else [])]), seconds)
        except BaseException as failure:
            forget_frames(failure)
            raise
        finally:
            header = None

    def _opened(self, headers: dict[str, str], seconds: float | None) -> Reply:
        request = urllib.request.Request(self.url, self.body, headers, method=self.method)
        try:
            response = OPENER.open(request, timeout=seconds)
        except urllib.error.HTTPError as answer:
            response = answer
        self._open.append(response)
        return Reply(response.status, response.headers.get, response)

    def peek(self, reply: Reply) -> bytes | None:
        """Return the body of a 402, if it is within bounds."""
        limit = 256 * 1024
        body = self._looked_at[id(reply.native)] = reply.native.read(limit + 1)
        if len(body) <= limit and reply.native.length:  # a read of some size says nothing of a body that broke off
            raise http.client.IncompleteRead(body, reply.native.length)
        return body if len(body) <= limit else None

    def rest(self, reply: Reply) -> bytes:
        """Return the whole body of an answer, and close it. Part of it may have been read already."""
        with reply.native as response:
            return self._looked_at.get(id(response), b"") + bytes(response.read())

    def close(self) -> None:
        """Close all that was opened."""
        for response in self._open:
            response.close()

    def digest(self) -> bytes:
        """Return what tells this body from others."""
        return hashlib.sha256(self.body or b"").digest()


class UrllibConformance(AdapterConformance):
    """What such a client can do."""

    own_errors = (OSError, http.client.HTTPException)
    streams = follows_redirects = one_shot_bodies = files = keeps_cookies = False
    pools = quotes = pays_ahead = joins_errors = False

    @contextmanager
    def client(self, buyer: Buyer | None, connections: int | None = None) -> Iterator[Any]:
        yield Client(buyer)

    def fetch(
        self,
        client: Any,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        sent = body.encode() if isinstance(body, str) else body
        whole = client.call(method, url, sent, dict(headers), read_timeout)
        return Answer(whole.status, whole.headers.items(), whole.content, whole)
