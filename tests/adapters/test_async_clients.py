"""What only async clients can do wrong: cancellation, and a loop that is blocked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from x402_client import Buyer, Policy, Wallet, errors
from x402_client.wire import Bounds

from .aiohttp_driver import Aiohttp
from .cash_register import KEY, Till, delivered
from .checks import new_buyer, paid, unresolved
from .drivers import AsyncHttpx, AsyncHttpx2, Driver, HttpxOverAiohttp, TrioHttpx, only
from .scripted_server import PATIENCE, Exchange, Server
from .test_failures import Holding


class Slow:
    """A foreign signer that blocks for a while, like a hardware wallet."""

    def __init__(self) -> None:
        from eth_account import Account

        self._account = Account.from_key(KEY)
        self.address: str = self._account.address

    def sign_typed_data(self, full_message: dict[str, Any], /) -> bytes:
        from eth_account.messages import encode_typed_data

        time.sleep(0.3)
        return bytes(self._account.sign_message(encode_typed_data(full_message=full_message)).signature)


@only(AsyncHttpx, TrioHttpx, AsyncHttpx2, Aiohttp, HttpxOverAiohttp)
class TestAsyncClients:
    def test_cancelled_while_the_payment_is_on_its_way(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        holding = Holding()
        client = shell.client(buyer)
        url = server.on("/paid", till.sells(holding, delivered))

        async def cancelled() -> bool:
            with anyio.move_on_after(5) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.arequest, "GET", url)
                    await anyio.to_thread.run_sync(holding.reached.wait, PATIENCE)
                    tasks.cancel_scope.cancel()
            return scope.cancelled_caught

        assert not shell.call(cancelled)
        holding.over.set()
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(till.headers) == 2
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_cancelled_while_the_first_leg_is_on_its_way(self, shell: Driver, server: Server, buyer: Buyer) -> None:
        holding = Holding()
        client = shell.client(buyer, **shell.single())
        url = server.on("/free", holding)

        async def cancelled() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.arequest, "GET", url)
                await anyio.to_thread.run_sync(holding.reached.wait, PATIENCE)
                tasks.cancel_scope.cancel()

        shell.call(cancelled)
        holding.over.set()
        assert client.get(server.on("/other", lambda ex: ex.answer(200, b"free"))).content == b"free"

    @pytest.mark.parametrize("reading", [True, False])
    def test_cancelled_in_the_middle_of_the_body(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, reading: bool
    ) -> None:
        holding = Holding()

        def half(exchange: Exchange, till: Till) -> None:
            exchange.head(200, [till.receipt()], length=1000)
            exchange.send(b"half")
            holding.over.wait(5)
            exchange.leave()

        client = shell.client(buyer)
        url = server.on("/paid", till.sells(half, delivered))

        async def read() -> None:
            async with anyio.create_task_group() as tasks, client.astream("GET", url) as response:
                chunks = shell.pieces(response)
                assert await anext(chunks) == b"half"
                tasks.cancel_scope.cancel()
                await (anext(chunks) if reading else anyio.sleep(5))

        shell.call(read)
        holding.over.set()
        assert unresolved(buyer, till.nonces[0])
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1
        assert paid(buyer)

    def test_cancelled_while_the_402_is_read(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        holding = Holding()

        def half(exchange: Exchange) -> None:
            exchange.head(402, till.terms()[0], length=1000)
            exchange.send(b"{")
            holding(exchange)

        client = shell.client(buyer, **shell.single())
        url = server.on("/paid", half, till.sells())

        async def read() -> None:
            with anyio.move_on_after(0.2):
                await client.arequest("GET", url)

        shell.call(read)
        holding.over.set()
        assert buyer.spent().units == 0
        assert client.get(url).content == b"the goods"
        assert paid(buyer)

    def test_a_402_over_a_transport_that_forgets_time_outs_ends_in_time(
        self, shell: Any, server: Server, till: Till
    ) -> None:
        holding = Holding()

        def half(exchange: Exchange) -> None:
            exchange.head(402, till.terms()[0], length=1000)
            exchange.send(b"{")
            holding(exchange)

        class Forgetful(shell.library.AsyncHTTPTransport):  # type: ignore[misc]
            async def handle_async_request(self, request: Any) -> Any:
                headers = request.headers.raw
                return await super().handle_async_request(
                    shell.library.Request(request.method, request.url, headers=headers, stream=request.stream)
                )

        buyer = new_buyer(bounds=Bounds(terms_time=0.5))
        client = shell.over(shell.paying(buyer, Forgetful()))
        with pytest.raises(errors.MalformedQuote, match=r"did not end within 0\.5 seconds"):
            client.get(server.on("/paid", half), timeout=0.2)
        holding.over.set()
        client.close()

    def test_a_402_whose_stream_has_a_time_limit_of_its_own(self, shell: Any, till: Till, buyer: Buyer) -> None:
        class Limited(shell.library.AsyncByteStream):  # type: ignore[misc]
            async def __aiter__(self) -> AsyncIterator[bytes]:
                with anyio.fail_after(PATIENCE):
                    for piece in (b"{", b"}"):
                        await anyio.lowlevel.checkpoint()
                        yield piece

        class Selling(shell.library.AsyncBaseTransport):  # type: ignore[misc]
            async def handle_async_request(self, request: Any) -> Any:
                if "PAYMENT-SIGNATURE" in request.headers:
                    return shell.library.Response(200, content=b"the goods")
                return shell.library.Response(402, headers=till.terms()[0], stream=Limited())

        client = shell.over(shell.paying(buyer, Selling()))
        assert client.get("https://localhost/").content == b"the goods"
        client.close()

    @pytest.mark.parametrize("who", ["approver", "signer"])
    def test_the_loop_is_never_blocked(self, shell: Driver, server: Server, till: Till, who: str) -> None:
        def approve(asked: Any) -> bool:
            time.sleep(0.3)
            return True

        policy = Policy(per_request="0.05")
        buyer = (
            Buyer(Wallet(evm=KEY), policy, approve=approve) if who == "approver" else Buyer(Wallet(evm=Slow()), policy)
        )
        client = shell.client(buyer)
        url = server.on("/paid", till.sells())
        gaps: list[float] = []

        async def ticking() -> None:
            last = time.monotonic()
            while True:
                await anyio.sleep(0.005)
                now = time.monotonic()
                gaps.append(now - last)
                last = now

        async def pay() -> Any:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ticking)
                found = await client.arequest("GET", url)
                tasks.cancel_scope.cancel()
            return found

        started = time.monotonic()
        assert shell.call(pay).content == b"the goods"
        assert time.monotonic() - started > 0.3
        assert max(gaps) < 0.2
        assert paid(buyer)

    def test_bodies_from_an_async_file(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, tmp_path: Any
    ) -> None:
        (tmp_path / "f").write_bytes(b"abc" * 1000)
        client = shell.client(buyer)
        url = server.on("/paid", till.sells())

        async def upload() -> Any:
            async with await anyio.open_file(tmp_path / "f", "rb") as file:
                return await client.arequest("POST", url, content=file)

        assert shell.call(upload).content == b"the goods"
        assert [seen.body for seen in server.requests] == [b"abc" * 1000] * 2

    def test_what_an_inner_transport_did_not_read_is_sent_with_the_payment(
        self, shell: Any, till: Till, buyer: Buyer
    ) -> None:
        bodies: list[bytes] = []

        class Impatient(shell.library.AsyncBaseTransport):  # type: ignore[misc]
            async def handle_async_request(self, request: Any) -> Any:
                if "PAYMENT-SIGNATURE" not in request.headers:
                    bodies.append(await anext(aiter(request.stream)))
                    head, body = till.terms()
                    return shell.library.Response(402, headers=head, content=body)
                bodies.append(b"".join([chunk async for chunk in request.stream]))
                return shell.library.Response(200, content=b"the goods")

        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"one ", b"two ", b"three"):
                yield piece

        client = shell.over(shell.paying(buyer, Impatient()))
        assert client.request("POST", "https://localhost/", content=pieces()).content == b"the goods"
        assert bodies == [b"one ", b"one two three"]
        client.close()
