"""The floor and the null payer for requests and aiohttp."""

from __future__ import annotations

from typing import Any

import aiohttp
import requests

from .floor import Pays


class Adapter(requests.adapters.HTTPAdapter):
    """Sends every request once more, with a header."""

    def __init__(self, pays: Pays) -> None:
        super().__init__()
        self._pays = pays

    def send(self, request: requests.PreparedRequest, *args: Any, **words: Any) -> requests.Response:
        response = super().send(request, *args, **words)
        return super().send(self._again(request, response), *args, **words) if response.status_code == 402 else response

    def _again(self, request: requests.PreparedRequest, response: requests.Response) -> requests.PreparedRequest:
        name, value = self._pays(response, response.content)
        again = request.copy()
        again.headers[name.decode()] = value.decode()
        return again


class AdapterAhead(Adapter):
    """Pays in the first request, under the terms of the first 402."""

    _known: requests.Response | None = None

    def send(self, request: requests.PreparedRequest, *args: Any, **words: Any) -> requests.Response:
        if self._known is None:
            self._known = requests.adapters.HTTPAdapter.send(self, request, *args, **words)
        again = self._again(request, self._known)
        return requests.adapters.HTTPAdapter.send(self, again, *args, **words)


class Middleware:
    """Sends every request of a session once more, with a header."""

    def __init__(self, pays: Pays) -> None:
        self._pays = pays

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response = await handler(request)
        if response.status != 402:
            return response
        self._pay(request, response, await response.read())
        return await handler(request)

    def _pay(self, request: aiohttp.ClientRequest, response: aiohttp.ClientResponse, body: bytes) -> None:
        name, value = self._pays(response, body)
        request.headers[name.decode()] = value.decode()


class MiddlewareAhead(Middleware):
    """Pays in the first request, under the terms of the first 402."""

    _known: tuple[aiohttp.ClientResponse, bytes] | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._known is None:
            response = await handler(request)
            self._known = response, await response.read()
        self._pay(request, *self._known)
        return await handler(request)
