"""The callers: one call by each library, each of which may stop in any way that the library lets it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import anyio
import httpx
import trio

from x402_client import Outcome, errors, outcome

from .clock import real
from .events import Call
from .seller import GOODS
from .things import THINGS

ASYNC = ("ahttpx", "aiohttp", "trio")


class Stopped(TimeoutError):
    """The caller's own deadline."""


class Mistake(ValueError):
    """The caller's own failure, in its own code."""


@dataclass(frozen=True)
class End:
    """What became of one call, as its caller saw it."""

    #: content, answer (anything else that came back), raised, stopped (by the caller itself), dead, running.
    how: str
    status: int | None = None
    #: Bytes of the content that reached the caller; whether it took all it wanted.
    got: int = 0
    closed: bool = False
    error: str = ""
    #: The error of the package behind it.
    kind: str = ""
    money: str | None = None
    nonce: str | None = None
    #: The failure is one of the package, or carries an outcome.
    told: bool = False
    at: float = 0.0

    @property
    def whole(self) -> bool:
        """Return True if all of the content is with the caller."""
        return self.got == len(GOODS) and self.status is not None and 200 <= self.status < 300


class Heard:
    """What reached the code of one caller, while it runs."""

    def __init__(self, call: Call, gone: Callable[[], object]) -> None:
        self.call, self.number, self._gone = call, 0, gone
        #: What the caller was told of its payment; it keeps that.
        self.kept: Outcome | None = None
        #: When the library had given all that it gives, in real seconds.
        self.left: float | None = None
        self.status: int | None = None
        self.got, self.closed = b"", False
        self.money: str | None = None
        self.nonce: str | None = None

    def answered(self, status: int, response: Any) -> None:
        """Note an answer."""
        self.status = status
        found = outcome(response)
        if found is not None:
            self.money, self.nonce = found.money, found.hold.nonce
            self.kept = found

    def took(self, piece: bytes) -> bool:
        """Note a piece of the body, and return True if the caller wants no more."""
        self.got += piece
        self.number += 1
        if self.call.stop == "deadline" and self.number > self.call.at:
            raise Stopped if self.call.at % 2 else Mistake
        return self.call.stop in ("break", "handled") and self.number > self.call.at

    def leave(self) -> None:
        """Note that the library is done with the call."""
        self.left = self.left or real()
        self._gone()

    def end(self, failure: BaseException | None = None) -> End:
        """Return what became of it."""
        kept = self.got if GOODS.startswith(self.got) else b""
        end = End("answer", self.status, len(kept), self.closed, money=self.money, nonce=self.nonce)
        end = replace(end, at=self.left or real())
        if failure is None:
            return replace(end, how="content") if end.whole or self.closed else end
        own = isinstance(failure, (Stopped, Mistake, KeyboardInterrupt, asyncio.CancelledError))
        found, carried = errors.find(failure), outcome(failure)
        money = found.money if found is not None else carried.money if carried is not None else self.money
        hold = found.hold if found is not None else carried.hold if carried is not None else None
        return replace(
            end, how="stopped" if own else "raised", error=f"{type(failure).__name__}: {failure}"[:300], money=money,
            kind="" if found is None else type(found).__name__,
            nonce=hold.nonce if hold is not None else self.nonce, told=found is not None or carried is not None,
        )  # fmt: skip


class Request:
    """One call made concrete: a method, a URL, headers, a body, and the caller's key."""

    def __init__(self, world: Any, call: Call, number: int) -> None:
        thing = THINGS[call.thing]
        self.method = thing.method
        self.url = f"http://{thing.host}:{world.seller.ports[0]}{thing.path}"
        self.body, kind = thing.body()
        self.headers = {"X-Call": str(number)} | ({"Content-Type": kind} if kind else {})
        self.key = thing.key


def make(program: Any, call: Call, number: int) -> End:
    """Make one call, and return what became of it."""
    heard, request = Heard(call, program.world.idle), Request(program.world, call, number)
    try:
        buyer = program.buyer(call.wallet)
        with (
            program.allowance(call.wallet, call.under) if call.under else contextlib.nullcontext(),
            buyer.purchase(key=request.key) if request.key else contextlib.nullcontext(),
        ):
            if call.stop == "handled":
                try:
                    raise Mistake
                except Mistake:
                    _CALLS[call.client](program, request, heard)
            else:
                _CALLS[call.client](program, request, heard)
        heard.leave()
        return heard.end()
    except BaseException as failure:
        return heard.end(failure)
    finally:
        heard.leave()
        program.world.kept.append(heard.kept)
        if call.stop == "drop":
            gc.collect()


def _by_httpx(program: Any, request: Request, heard: Heard) -> None:
    client = program.client("httpx", heard.call)
    said = {"headers": request.headers, "content": request.body}
    if heard.call.stop == "drop":
        asked = client.build_request(request.method, request.url, **said)
        response = client.send(asked, stream=True, follow_redirects=True)
        heard.answered(response.status_code, response)
        return
    if heard.call.stop not in ("stream", "break", "handled", "deadline"):
        response = client.request(request.method, request.url, follow_redirects=True, **said)
        heard.answered(response.status_code, response)
        heard.took(response.content)
        return
    with client.stream(request.method, request.url, follow_redirects=True, **said) as response:
        heard.answered(response.status_code, response)
        for piece in response.iter_raw():
            if heard.took(piece):
                heard.closed = True
                break


def _by_requests(program: Any, request: Request, heard: Heard) -> None:
    session = program.client("requests", heard.call)
    wait = program.world.setting.read / 1000
    streamed = heard.call.stop in ("stream", "break", "handled", "deadline", "drop")
    response = session.request(
        request.method, request.url, headers=request.headers, data=request.body, timeout=(2, wait), stream=streamed
    )
    if not streamed:
        heard.answered(response.status_code, response)
        heard.took(response.content)
        return
    heard.answered(response.status_code, response)
    if heard.call.stop == "drop":
        return
    with response:
        for piece in response.iter_content(4):
            if heard.took(piece):
                heard.closed = True
                break


async def _ahttpx(program: Any, request: Request, heard: Heard) -> None:
    said = {"headers": request.headers, "content": request.body, "follow_redirects": True}
    async with program.async_client("httpx", heard.call) as client:
        if heard.call.stop == "drop":
            asked = client.build_request(request.method, request.url, headers=request.headers, content=request.body)
            response = await client.send(asked, stream=True, follow_redirects=True)
            heard.answered(response.status_code, response)
            del response
            gc.collect()
        elif heard.call.stop in ("stream", "break", "handled", "deadline"):
            async with client.stream(request.method, request.url, **said) as response:
                await _read(response.status_code, response, response.aiter_raw(), heard)
        else:
            response = await client.request(request.method, request.url, **said)
            heard.answered(response.status_code, response)
            heard.took(response.content)


async def _aiohttp(program: Any, request: Request, heard: Heard) -> None:
    said = {"headers": request.headers, "data": request.body}
    async with program.async_client("aiohttp", heard.call) as session:
        if heard.call.stop == "drop":
            response = await session.request(request.method, request.url, **said)
            heard.answered(response.status, response)
            del response
            gc.collect()
        elif heard.call.stop in ("stream", "break", "handled", "deadline"):
            async with session.request(request.method, request.url, **said) as response:
                await _read(response.status, response, response.content.iter_any(), heard)
        else:
            async with session.request(request.method, request.url, **said) as response:
                heard.answered(response.status, response)
                heard.took(await response.read())


async def _read(status: int, response: Any, pieces: AsyncIterator[bytes], heard: Heard) -> None:
    heard.answered(status, response)
    async for piece in pieces:
        if heard.took(piece):
            heard.closed = True
            break


_Async = Callable[[Any, Request, Heard], Coroutine[Any, Any, None]]


def _on_a_loop(library: _Async) -> Callable[[Any, Request, Heard], None]:
    def by(program: Any, request: Request, heard: Heard) -> None:
        call = heard.call

        async def whole() -> None:
            if call.stop == "cancel":
                task = asyncio.current_task()
                assert task is not None
                await _disturbed(library(program, request, heard), call.at, task.cancel)
            elif call.stop == "timeout":
                try:
                    await asyncio.wait_for(library(program, request, heard), call.at / 1000)
                except TimeoutError as late:
                    raise Stopped from late
            else:
                await library(program, request, heard)

        async def scene() -> None:
            try:
                await asyncio.ensure_future(whole())
            finally:
                heard.leave()
                await program.leave_loop()

        asyncio.run(scene())

    return by


@types.coroutine
def _disturbed(coroutine: Coroutine[Any, Any, None], at: int, act: Callable[[], Any]) -> Generator[Any, Any, None]:
    """Await a coroutine, and act where it waits for the ``at``-th time."""
    waited, failure = 0, None
    while True:
        try:
            waiting = coroutine.send(None) if failure is None else coroutine.throw(failure)
        except StopIteration:
            return
        waited, failure = waited + 1, None
        if waited == at:
            act()
        try:
            yield waiting
        except BaseException as thrown:
            failure = thrown


class _Steps(trio.abc.Instrument):
    """Cancels a scope of trio's where the one task that it counts waits for the ``at``-th time."""

    def __init__(self, at: int, scope: anyio.CancelScope) -> None:
        self._left, self._scope, self._task = at, scope, trio.lowlevel.current_task()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count, and cancel."""
        if task is self._task:
            self._left -= 1
            if not self._left:
                self._scope.cancel()


def _by_trio(program: Any, request: Request, heard: Heard) -> None:
    async def scene() -> None:
        call = heard.call
        limit = call.at / 1000 if call.stop == "timeout" else 60
        with anyio.move_on_after(limit) as scope:
            if call.stop == "cancel":
                trio.lowlevel.add_instrument(_Steps(call.at, scope))
            await _ahttpx(program, request, heard)
        heard.leave()
        await program.leave_loop()
        if scope.cancelled_caught:
            raise Stopped

    anyio.run(scene, backend="trio")


_CALLS: dict[str, Callable[[Any, Request, Heard], None]] = {
    "httpx": _by_httpx,
    "requests": _by_requests,
    "ahttpx": _on_a_loop(_ahttpx),
    "aiohttp": _on_a_loop(_aiohttp),
    "trio": _by_trio,
}


def async_client(library: str, read: float, wrap: Callable[[Any], Any]) -> Any:
    """Return a new client of an async library."""
    if library == "httpx":
        return wrap(httpx.AsyncClient(trust_env=False, verify=False, timeout=httpx.Timeout(2, read=read)))
    return wrap(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=read)))
