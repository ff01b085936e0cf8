"""One request through each of the shells: a new client, wrapped, asked once, and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import requests

import x402_client.aiohttp
import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer

from .aiohttp_driver import LONG_LINES, AiohttpAnswer, whole

Ask = Callable[..., Any]


def through_httpx(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        return client.request(method, url, **request)


def through_httpx2(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    with x402_client.httpx2.wrap(httpx2.Client(), buyer) as client:
        return client.request(method, url, **request)


def through_async_httpx(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    async def ask() -> Any:
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return await client.request(method, url, **request)

    return anyio.run(ask)


def through_async_httpx2(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    async def ask() -> Any:
        async with x402_client.httpx2.wrap(httpx2.AsyncClient(), buyer) as client:
            return await client.request(method, url, **request)

    return anyio.run(ask)


def through_aiohttp(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    if "content" in request:
        request["data"] = request.pop("content")
    if "timeout" in request:
        request["timeout"] = aiohttp.ClientTimeout(request["timeout"])

    async def ask() -> AiohttpAnswer:
        async with x402_client.aiohttp.wrap(aiohttp.ClientSession(max_field_size=LONG_LINES), buyer) as session:
            return await whole(session, method, url, **request)

    return asyncio.run(ask())


def through_requests(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    with x402_client.requests.wrap(requests.Session(), buyer) as session:
        return session.request(method, url, **request)


SHELLS = [through_httpx, through_async_httpx, through_httpx2, through_async_httpx2, through_requests, through_aiohttp]


def name_of(shell: Ask) -> str:
    """For test ids."""
    return shell.__name__.removeprefix("through_")
