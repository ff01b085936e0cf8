"""A call that is stopped once its payment is out: what stopped it tells of the money, and before that of none."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter

import x402_client.aiohttp
import x402_client.httpx
import x402_client.requests
from x402_client import Buyer, Policy, events, outcome
from x402_client.sandbox import Sandbox

Get = Callable[[str], Awaitable[object]]


async def cancelled(call: Awaitable[object], is_time: Callable[[int], bool]) -> asyncio.CancelledError | None:
    """Cancel a call after the turn of the loop in which it is time. Return None if it ended before."""
    task = asyncio.ensure_future(call)
    for turns in itertools.count():
        if task.done() or is_time(turns):
            break
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as stopped:
        return stopped
    return None


async def check_each_turn(sandbox: Sandbox, get: Get) -> None:
    await get(f"{sandbox.url}/weather")  # what is connected and opened once
    for turns in itertools.count():
        path = f"/turn{turns}"
        stopped = await cancelled(get(sandbox.sell(path, "0.01")), turns.__eq__)
        if stopped is None:
            break
        await asyncio.sleep(0.01)  # what left has arrived by then
        arrived = any(visit.path == path and visit.payment for visit in sandbox.visits)
        assert outcome(stopped) is not None or not arrived, turns


async def check_paid(sandbox: Sandbox, get: Get) -> None:
    url = sandbox.sell("/slow", "0.01", fault="hang-after-settling")
    before = len(sandbox.settlements)
    stopped = await cancelled(get(url), lambda _: len(sandbox.settlements) > before)
    assert stopped is not None
    found = outcome(stopped)
    assert found is not None
    assert (found.money, found.hold.url) == ("unknown", url)
    assert sandbox.settled(found.hold) is not None


async def check(sandbox: Sandbox, get: Get) -> None:
    await check_paid(sandbox, get)
    await check_each_turn(sandbox, get)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_cancellation_at_any_turn(x402_sandbox: Sandbox, x402_buyer: Buyer, library: str) -> None:
    async def main() -> None:
        if library == "httpx":
            async with x402_client.httpx.wrap(httpx.AsyncClient(), x402_buyer) as client:
                await check(x402_sandbox, client.get)
            return
        async with aiohttp.ClientSession() as session:
            paying = x402_client.aiohttp.wrap(session, x402_buyer)

            async def get(url: str) -> object:
                async with paying.get(url) as response:
                    return await response.read()

            await check(x402_sandbox, get)

    asyncio.run(main())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_an_interrupt_while_the_payment_is_out(
    x402_sandbox: Sandbox, x402_buyer: Buyer, library: str, kind: type[BaseException]
) -> None:
    url = x402_sandbox.sell("/news", "0.01", redeliver=True)

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            found = super().handle_request(request)
            if "PAYMENT-SIGNATURE" in request.headers:
                found.close()
                raise kind
            return found

    class Adapter(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *words: object, **more: object) -> requests.Response:
            found = super().send(request, *words, **more)  # type: ignore[arg-type]
            if "PAYMENT-SIGNATURE" in request.headers:
                found.close()
                raise kind
            return found

    def get() -> object:
        if library == "httpx":
            with x402_client.httpx.wrap(httpx.Client(transport=Transport()), x402_buyer) as client:
                return client.get(url)
        with requests.Session() as session:
            session.mount("http://", Adapter())
            return x402_client.requests.wrap(session, x402_buyer).get(url)

    with pytest.raises(kind) as caught:
        get()
    found = outcome(caught.value)
    assert found is not None
    assert found.money == "unknown"
    assert [hold.id for hold in x402_buyer.holds()] == [found.hold.id]
    assert "presents the same payment again" in caught.value.__notes__[0]


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_cancellation_amid_the_body(x402_sandbox: Sandbox, x402_buyer: Buyer, library: str) -> None:
    url = x402_sandbox.sell("/news", "0.01", fault="dripped-body")

    async def main() -> None:
        here = asyncio.Event()

        async def with_httpx() -> None:
            paying = x402_client.httpx.wrap(httpx.AsyncClient(), x402_buyer)
            async with paying as client, client.stream("GET", url) as response:
                async for _ in response.aiter_raw():
                    here.set()

        async def with_aiohttp() -> None:
            paying = x402_client.aiohttp.wrap(aiohttp.ClientSession(), x402_buyer)
            async with paying as session, session.get(url) as response:
                async for _ in response.content.iter_any():
                    here.set()

        task = asyncio.ensure_future(with_httpx() if library == "httpx" else with_aiohttp())
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        found = outcome(caught.value)
        assert found is not None
        assert found.money == "spent"
        assert [hold.id for hold in x402_buyer.holds()] == [found.hold.id]
        assert "was paid to 127.0.0.1 for this answer" in caught.value.__notes__[0]

    asyncio.run(main())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_an_interrupt_amid_the_body(
    x402_sandbox: Sandbox, x402_buyer: Buyer, library: str, kind: type[BaseException]
) -> None:
    url = x402_sandbox.sell("/news", "0.01", fault="dripped-body")

    def read() -> None:
        if library == "httpx":
            with x402_client.httpx.wrap(httpx.Client(), x402_buyer) as client, client.stream("GET", url) as response:
                for _ in response.iter_raw():
                    raise kind
        paying = x402_client.requests.wrap(requests.Session(), x402_buyer)
        with paying as session, session.get(url, stream=True) as answer:
            for _ in answer.iter_content(1):
                raise kind

    with pytest.raises(kind) as caught:
        read()
    found = outcome(caught.value)
    assert found is not None
    assert (found.money, [hold.id for hold in x402_buyer.holds()]) == ("spent", [found.hold.id])


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("ledger", [":memory:", "file"])
@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_an_interrupt_in_the_receiver_of_any_event(
    tmp_path: Path, library: str, ledger: str, kind: type[BaseException]
) -> None:
    """The answer is lost with it, so the same request presents the same payment."""
    stops: list[str] = []

    def on_event(event: events.Event) -> None:
        if stops and type(event).__name__ == stops[0]:
            stops.clear()
            raise kind

    with Sandbox(redeliver=True) as sandbox:
        place = ledger if ledger == ":memory:" else str(tmp_path / "ledger.db")
        buyer = sandbox.buyer(Policy(per_request="0.10"), ledger=place, on_event=on_event, breaker_after=None)

        def get(url: str) -> int:
            if library == "httpx":
                with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
                    return client.get(url).status_code
            with requests.Session() as session:
                return x402_client.requests.wrap(session, buyer).get(url).status_code

        for name in ("Presented", "Answered", "Delivered"):
            url = sandbox.sell(f"/{name}", "0.01")
            stops[:] = [name]
            with pytest.raises(kind) as caught:
                get(url)
            assert name == "Presented" or outcome(caught.value) is not None
            assert get(url) == 200
            assert sum(one.path == f"/{name}" for one in sandbox.settlements) == 1, name
        buyer.close()
