"""Paying through an HTTP client that has no shell of its own: here urllib, of the standard library.

A courier does what only the library can: look into a 402, tell requests apart by their bodies, send once more with a
header. All decisions stay where they are for every library.
"""

import hashlib
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from x402_client import Buyer, Policy
from x402_client.core.asks import Reply
from x402_client.core.call import Call
from x402_client.core.drive import run
from x402_client.core.flow import deliver, pay
from x402_client.model.hosts import Origin
from x402_client.sandbox import Sandbox


class Courier:
    """Hands for one request."""

    def __init__(self, method: str, url: str, body: bytes | None) -> None:
        self.method, self.url, self.body = method, url, body

    def send(self, header: tuple[str, str] | None) -> Reply:
        """The request; with a header it pays. urllib must not carry that to wherever a redirect leads."""
        request = urllib.request.Request(self.url, self.body, dict([header] if header else []), method=self.method)
        try:
            response = OPENER.open(request, timeout=60)
        except urllib.error.HTTPError as answer:
            response = answer
        return Reply(response.status, response.headers.get, response)

    def peek(self, reply: Reply) -> bytes | None:
        """The body of a 402, within bounds."""
        body: bytes = reply.native.read(256 * 1024 + 1)
        return body if len(body) <= 256 * 1024 else None

    def digest(self) -> bytes:
        """What tells this body from others."""
        return hashlib.sha256(self.body or b"").digest()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def fetch(buyer: Buyer, method: str, url: str, body: bytes | None = None) -> bytes:
    """One call, from its first request to the end of the answer's body."""
    courier, parts = Courier(method, url, body), urlsplit(url)
    first = courier.send(None)
    if first.status != 402:
        return bytes(first.native.read())
    origin = Origin.of(parts.scheme, parts.hostname or "", parts.port)
    call = Call(method, origin, url.partition("?")[0], identity=f"{method}\n{url}", came_from=origin)
    answers = buyer.answers(courier)
    reply = run(pay(call, first, buyer.rules), answers)
    content = bytes(reply.native.read())
    if reply.outcome is not None and 200 <= reply.status < 300:
        run(deliver(call, reply.outcome), answers)
        print("Paid", reply.outcome.hold.price, "and the money is", reply.outcome.money)
    return content


with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10"))
    print(fetch(buyer, "GET", f"{seller.url}/weather").decode())
    print(fetch(buyer, "GET", seller.fault_url("drop-before-settling")).decode())  # a broken line, presented again
    print("Spent", buyer.spent(), "in", len(seller.settlements), "payments;", len(buyer.holds()), "open")
