"""Paying through an HTTP client that has no face of its own: here urllib, of the standard library.

A courier does what only the library can. All decisions stay where they are for every library.
"""

import hashlib
import urllib.error
import urllib.request
from typing import Any

from x402_client import Buyer, Policy
from x402_client.adapters import Exchange
from x402_client.core import Delivery, Failure, HttpRequest, Reply
from x402_client.sandbox import Sandbox


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Hands redirects over: urllib would carry the payment along."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects)


class Courier:
    """Sends, peeks and hands over for one request."""

    def __init__(self, method: str, url: str, body: bytes | None) -> None:
        self.method, self.url, self.body = method, url, body
        self.request = HttpRequest.of(method, url)

    def send(self, header: tuple[str, str] | None) -> Reply:
        request = urllib.request.Request(self.url, self.body, dict([header] if header else []), method=self.method)
        try:
            response = OPENER.open(request, timeout=60)
        except urllib.error.HTTPError as answer:
            response = answer
        return Reply(response.status, response.headers.get, response)

    def peek(self, reply: Reply) -> bytes | None:
        body: bytes = reply.native.read(256 * 1024 + 1)
        return body if len(body) <= 256 * 1024 else None

    def digest(self) -> bytes:
        return hashlib.sha256(self.body or b"").digest()

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> bytes:
        content = bytes(reply.native.read())  # if this fails, the purchase stays unresolved
        if delivery is not None:
            delivery.done()
        if reply.outcome is not None:
            print("Paid", reply.outcome.hold.price, "and the money is", reply.outcome.money)
        return content

    def let_go(self, kept: Any) -> None:
        """Nothing to do: urllib closes what is forgotten."""

    def failed(self, failure: Exception) -> Failure:
        return "timeout" if isinstance(failure, TimeoutError) else "lost"


def fetch(exchange: Exchange, url: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """One call, from its first request to the end of the answer's body."""
    content: bytes = exchange.send(Courier(method, url, body))
    return content


def main(seller: Sandbox, buyer: Buyer) -> None:
    exchange = Exchange(buyer)
    print(fetch(exchange, f"{seller.url}/weather").decode())
    print(fetch(exchange, seller.fault_url("drop-before-settling")).decode())  # a broken line, presented again
    with buyer.purchase(key="order-42", per_request="0.05"):
        print(fetch(exchange, f"{seller.url}/weather").decode())
    print("Spent", buyer.spent(), "in", len(seller.settlements), "payments;", len(buyer.holds()), "open")


if __name__ == "__main__":
    with Sandbox() as seller:
        # urllib does not show where a connection ended, so plain http to this machine has to be allowed.
        main(seller, seller.buyer(Policy(per_request="0.10", http_hosts=["127.0.0.1"])))
