"""Paying through an HTTP client that the package has no module for, here urllib: you write the part that sends.

Run it: python examples/own_http_client.py
"""

import http.client
import urllib.request
from typing import Any

from x402_client import Policy
from x402_client.adapters import Exchange
from x402_client.core import BodyDigest, Delivery, Failure, HttpRequest, Reply, body_digest
from x402_client.sandbox import Sandbox


class Untouched(urllib.request.HTTPErrorProcessor):
    """Hands every answer over as it is: urllib would raise for a 402, and carry a payment along a redirect."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), Untouched)


class Courier:
    """Sends, peeks and hands over for one request."""

    reads_whole = True  # the caller gets an answer with its whole body, and nothing before

    def __init__(self, url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> None:
        self.url, self.body, self.headers, self.peeked = url, body, headers, dict[Any, bytes]()
        self.request = HttpRequest.of(method, url, headers)
        self.timeout = self.settle_timeout = 60.0  # seconds for an answer, and for one to a payment

    @property
    def read_timeout(self) -> float:  # a call in a thread that lasts longer is joined by the same request
        return self.timeout

    def send(self, header: tuple[str, str] | None) -> Reply:
        headers = self.headers | dict([header] if header else [])
        request = urllib.request.Request(self.url, self.body, headers, method=self.request.method)
        response = OPENER.open(request, timeout=max(self.timeout, self.settle_timeout if header else 0))
        self.peeked[response] = b""
        return Reply(response.status, response.headers.get, response)

    def peek(self, reply: Reply) -> bytes | None:
        body = self.peeked[reply.native] = reply.native.read(256 * 1024)
        if reply.native.length and len(body) < 256 * 1024:  # a read of some size says nothing of a body that broke off
            raise http.client.IncompleteRead(body)
        return body if len(body) < 256 * 1024 else None

    def digest(self) -> BodyDigest:
        return body_digest(self.body or b"", self.headers.get("Content-Type", ""))

    def hand_over(self, reply: Reply, delivery: Delivery | None) -> tuple[Reply, bytes]:
        if reply.refusal is not None:
            return reply, reply.body or b""  # it says why nothing was paid
        content = self.peeked[reply.native] + bytes(reply.native.read())  # if it fails, nothing is resolved
        if delivery is not None:
            delivery.done()
        return reply, content

    def let_go(self, kept: Any) -> None:
        for response in self.peeked:
            response.close()

    def failed(self, failure: Exception) -> Failure:
        return "timeout" if isinstance(failure, TimeoutError) else "lost"


if __name__ == "__main__":
    with Sandbox() as seller:
        # urllib does not show where a connection ended, so plain http to this machine has to be allowed.
        buyer = seller.buyer(Policy(per_request="0.10", http_hosts=["127.0.0.1"]))
        exchange = Exchange(buyer)
        with buyer.purchase(key="order-42", per_request="0.05"):
            reply, content = exchange.send(Courier(f"{seller.url}/weather"))
            print(content.decode(), "Paid", reply.outcome.hold.price, "and the money is", reply.outcome.money)
        print(*exchange.send(Courier(seller.fault_url("drop-before-settling")))[1:])  # presented again
        print("Spent", buyer.spent(), "in", len(seller.settlements), "payments;", len(buyer.holds()), "open")
