"""A transport that asks for payment at once and takes any, in process: between lies the contender's own work."""

from __future__ import annotations

from time import perf_counter_ns

import httpx

from .terms import CHANGING, PATHS, PAYERS, asking, receipt

HOST = "https://api.example.com"
PAYMENT = ("payment-signature", "x-payment")


class Turnstile(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """``taken``: nanoseconds from each 402 to the request that pays it."""

    def __init__(self, offers: int = 1) -> None:
        self.taken: list[int] = []
        self.headers: list[tuple[str, str]] = []
        self._terms = {path: asking(kind, HOST + path, offers) for kind, path in PATHS.items()}
        self._receipts = {path: [receipt(kind, PAYERS[kind])] for kind, path in PATHS.items()}
        self._asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        now = perf_counter_ns()
        path = request.url.path
        terms = self._terms.get(path)
        if terms is None:
            return httpx.Response(200, content=b"free")
        name = next((name for name in PAYMENT if name in request.headers), None)
        if name is not None:
            self.taken.append(now - self._asked)
            self.headers = [(name, request.headers[name])]
            return httpx.Response(200, headers=self._receipts[path], stream=httpx.ByteStream(b"sold"))
        kind = path[1:]
        headers, body = asking(kind, HOST + path) if kind in CHANGING else terms
        response = httpx.Response(402, headers=headers, stream=httpx.ByteStream(body))
        self._asked = perf_counter_ns()
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)

    def microseconds(self) -> list[float]:
        """What was taken since the last time."""
        taken, self.taken = self.taken, []
        return [each / 1000 for each in taken]
