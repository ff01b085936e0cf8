"""Clients of a stranger's own keep what every adapter has to: less is tested, but of money all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import pytest

from x402_client import Buyer
from x402_client.adapters import Exchange
from x402_client.core import BodyDigest, Delivery, Failure, Reply
from x402_client.testing.adapter_conformance import Answer

from .urllib_client import Courier, UrllibConformance, courier_for

pytestmark = pytest.mark.slow


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call what blocks. A thread cannot be cancelled, so it is left behind."""
    return await anyio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True)


class AsyncCourier:
    """The same courier for async code: what blocks runs in a thread."""

    def __init__(self, courier: Any) -> None:
        self.courier, self.request = courier, courier.request

    async def send(self, header: tuple[str, str] | None) -> Reply:
        sent: Reply = await in_thread(self.courier.send, header)
        return sent

    async def peek(self, reply: Reply) -> bytes | None:
        body: bytes | None = await in_thread(self.courier.peek, reply)
        return body

    async def digest(self) -> BodyDigest:
        found: BodyDigest = self.courier.digest()
        return found

    async def hand_over(self, reply: Reply, delivery: Delivery | None) -> tuple[Reply, bytes]:
        handed: tuple[Reply, bytes] = await in_thread(self.courier.hand_over, reply, None)
        if delivery is not None:
            delivery.done()
        return handed

    async def let_go(self, kept: Any) -> None:
        self.courier.let_go(kept)

    def failed(self, failure: Exception) -> Failure:
        kind: Failure = self.courier.failed(failure)
        return kind


class TestUrllib(UrllibConformance):
    pass


# A thread that was left behind in the middle of a call leaves its socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestAsyncUrllib(UrllibConformance):
    backend = "asyncio"

    @asynccontextmanager
    async def client(self, buyer: Buyer | None, connections: int | None = None) -> AsyncIterator[Any]:  # type: ignore[override]
        yield None if buyer is None else Exchange(buyer, is_async=True)

    async def fetch(  # type: ignore[override]
        self,
        client: Exchange | None,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
        read_timeout: float | None = None,
    ) -> Answer:
        hands = AsyncCourier(courier_for(client, method, url, body, headers, read_timeout))
        if client is None:
            reply, content = await hands.hand_over(await hands.send(None), None)
        else:
            reply, content = await client.asend(hands)
        return Answer(reply.status, reply.native.headers.items(), content, reply)

    async def quote(self, client: Exchange, method: str, url: str) -> Any:
        return await client.aquote(AsyncCourier(Courier(url, method)))
