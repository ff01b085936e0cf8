"""A line that breaks around payments: before one arrives, or when its answer is on its way back."""

from __future__ import annotations

import httpx


class BreaksAroundPayments(httpx.BaseTransport):
    """Unpaid requests pass."""

    def __init__(self, arrives: bool) -> None:
        self._inner, self._arrives = httpx.HTTPTransport(), arrives

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        pays = "payment-signature" in request.headers or "x-payment" in request.headers
        response = self._inner.handle_request(request) if self._arrives or not pays else None
        if pays:
            if response is not None:
                response.close()
            raise httpx.ReadError("The line broke")
        assert response is not None
        return response

    def close(self) -> None:
        self._inner.close()
