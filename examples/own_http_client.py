"""Paying through an HTTP client that has no face of its own: here urllib, of the standard library.

A courier does what only the library can. All decisions stay where they are for every library.
"""

import hashlib
import urllib.error
import urllib.request
from typing import Any

from x402_client import Policy
from x402_client.adapters import Exchange
from x402_client.core import Delivery, Failure, HttpRequest, Reply
from x402_client.sandbox import Sandbox


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Hands redirects over: urllib would carry the payment along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)


class Courier:
    """Sends, peeks and hands over for one request."""

    def __init__(self, url: str, body: bytes | None = None, method: str = "GET") -> None:
        self.url, self.body, self.request = url, body, HttpRequest.of(method, url)

    def send(self, header: tuple[str, str] | None) -> Reply:
        headers = dict([header] if header else [])
        request = urllib.request.Request(self.url, self.body, headers, method=self.request.method)
        try:
            response: Any = OPENER.open(request, timeout=60)
        except urllib.error.HTTPError as answer:
            response = answer
        return Reply(response.status, response.headers.get, response)

    def peek(self, reply: Reply) -> bytes | None:
        body: bytes = reply.native.read(256 * 1024 + 1)
        return body if len(body) <= 256 * 1024 else None

    def digest(self) -> bytes:
        return hashlib.sha256(self.body or b"").digest()

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> tuple[int, bytes, Any]:
        content = bytes(reply.native.read())  # if this fails, the purchase stays unresolved
        if delivery is not None:
            delivery.done()
        return reply.status, content, reply.outcome

    def let_go(self, kept: Any) -> None:
        """Nothing to do: urllib closes what is forgotten."""

    def failed(self, failure: Exception) -> Failure:
        return "timeout" if isinstance(failure, TimeoutError) else "lost"


if __name__ == "__main__":
    with Sandbox() as seller:
        # urllib does not show where a connection ended, so plain http to this machine has to be allowed.
        buyer = seller.buyer(Policy(per_request="0.10", http_hosts=["127.0.0.1"]))
        exchange = Exchange(buyer)
        with buyer.purchase(key="order-42", per_request="0.05"):
            status, content, outcome = exchange.send(Courier(f"{seller.url}/weather"))
            print(content.decode(), "Paid", outcome.hold.price, "and the money is", outcome.money)
        # The line breaks after the payment, and the same payment is presented again.
        status, content, _ = exchange.send(Courier(seller.fault_url("drop-before-settling")))
        print(status, content.decode())
        print("Spent", buyer.spent(), "in", len(seller.settlements), "payments;", len(buyer.holds()), "open")
