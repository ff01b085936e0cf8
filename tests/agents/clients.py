"""The six clients that tools are made of, each called in one way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import aiohttp
import httpx
import httpx2
import requests

from x402_client.agents import payable_tool, tools
from x402_client.agents.clients import face_of, known
from x402_client.model.offers import Quote

SYNC: dict[str, Callable[[], Any]] = {"httpx": httpx.Client, "httpx2": httpx2.Client, "requests": requests.Session}
ASYNC: dict[str, Callable[[], Any]] = {
    "httpx async": httpx.AsyncClient, "httpx2 async": httpx2.AsyncClient, "aiohttp": aiohttp.ClientSession,
}  # fmt: skip
ALL = {**SYNC, **ASYNC}
Call = Callable[..., dict[str, Any]]


class Toolbox:
    """The tools of one client. An async one is driven on a loop of its own."""

    def __init__(self, name: str) -> None:
        #: It ends as ``asyncio.run`` does: of a body that was not read to its end httpx leaves generators to the loop.
        self._runner = asyncio.Runner() if name in ASYNC else None
        self.client = ALL[name]() if self._runner is None else self._run(_made(ALL[name]))

    def tools(self, buyer: Any, **settings: Any) -> Any:
        made = tools(self.client, buyer, **settings)
        return type(made)(*(self._called(function) for function in made))

    def payable(self, buyer: Any, *args: Any, **settings: Any) -> Call:
        return self._called(payable_tool(self.client, buyer, *args, **settings))

    def _called(self, function: Any) -> Call:
        def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
            found = function(*args, **kwargs)
            if self._runner is not None:
                assert inspect.iscoroutine(found)
                found = self._run(found)
            assert isinstance(found, dict)
            return found

        return call

    def quote(self, url: str) -> Quote:
        """Return the quote of the library's own face."""
        found = face_of(known(self.client)[0]).quote(self.client, "GET", url)
        quote: Quote = found if self._runner is None else self._run(found)
        return quote

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        assert self._runner is not None
        return self._runner.run(work, context=copy_context())  # scopes of the caller hold inside

    def close(self) -> None:
        if self._runner is None:
            self.client.close()
            return
        closed = getattr(self.client, "aclose", None) or self.client.close
        self._run(closed())
        self._runner.close()


async def _made(kind: Callable[[], Any]) -> Any:
    return kind()


@contextmanager
def toolbox(name: str) -> Iterator[Toolbox]:
    made = Toolbox(name)
    try:
        yield made
    finally:
        made.close()
