"""A tool for models that is stopped at any wait: what the same call brings then was paid for once."""

from __future__ import annotations

import asyncio
import itertools
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import anyio
import anyio.lowlevel
import pytest

from tests.agents.clients import ASYNC, SYNC, toolbox
from tests.ledgers.redis.server import Server as Redis
from tests.ledgers.redis.server import starting
from x402_client import Buyer, Policy, outcome
from x402_client.agents import payable_tool, tools
from x402_client.agents.server import ToolCalls
from x402_client.ledgers.memory import MemoryLedger
from x402_client.sandbox import Sandbox

HERE = ["127.0.0.1"]
KINDS = ("paid_fetch", "payable_tool", "mcp")
Fetch = Callable[[str], Awaitable[Any]]
_NUMBERS = itertools.count()
BUDGET = Policy(per_request="0.10", per_day="50", per_hour="40", upto="0.05")
#: What a ledger is asked for beside the purchase itself.
ASKED = ("spent", "holds", "history", "freezes", "reserve", "record", "close")


def _params(names: Any) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.twin if "httpx2" in name else ()) for name in names]


class Asked(MemoryLedger):
    """A ledger that tells when it is asked for something."""

    act: Callable[[], object] = bool

    def __init__(self) -> None:
        super().__init__()
        for name in ASKED:
            setattr(self, name, self._told(getattr(self, name)))

    def _told(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*words: Any, **more: Any) -> Any:
            self.act()
            return function(*words, **more)

        return ask


class Slow(MemoryLedger):
    """A ledger whose async callers wait for each answer, as they do for one on a server."""

    def __init__(self) -> None:
        super().__init__()
        self.asynchronous: Any = _Waiting(self)


class _Waiting:
    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ledger, name)
        if not callable(found):
            return found

        async def ask(*words: Any, **more: Any) -> Any:
            await anyio.sleep(0.001)
            return found(*words, **more)

        return ask


@types.coroutine
def stopped(call: Awaitable[Any], at: int, stop: Callable[[], object]) -> Generator[Any, Any, Any]:
    """Await a call, and stop it as it begins one of its waits."""
    steps: Any = call.__await__()
    step: Callable[[], Any] = partial(steps.send, None)
    for number in itertools.count():
        try:
            waits = step()
        except StopIteration as end:
            return end.value
        if number == at:
            stop()
        try:
            step = partial(steps.send, (yield waits))
        except BaseException as failure:
            step = partial(steps.throw, failure)
    raise AssertionError


async def each_wait(seller: Sandbox, fetch: Fetch, content: Any, by_task: bool) -> None:
    """Stop a call at each of its waits in turn. The same call has one thing to pay."""
    await fetch(seller.sell("/first", "0.01", chains="evm"))  # what is connected and opened once
    for number in itertools.count():
        path, found, stops = f"/wait{next(_NUMBERS)}", None, list[int]()
        url = seller.sell(path, "0.01", chains="evm", content=content)
        with anyio.CancelScope() as scope, suppress(*[asyncio.CancelledError] * by_task):
            cancel = asyncio.current_task().cancel if by_task else scope.cancel  # type: ignore[union-attr]
            found = await stopped(fetch(url), number, partial(_both, partial(stops.append, number), cancel))
        if found is None:
            again = await fetch(url)
            assert again["ok"], (number, again)
            assert sum(one.path == path for one in seller.settlements) == 1, number
        if not stops:
            return


def _both(first: Callable[[], object], second: Callable[[], object]) -> None:
    first()
    second()


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox(redeliver=True) as sandbox:
        yield sandbox


@pytest.fixture(params=["memory", "a file", "waits"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return _ledger(request.param, tmp_path)


def _ledger(named: str, place: Path) -> Any:
    return {"memory": MemoryLedger, "a file": lambda: place / "ledger.db", "waits": Slow}[named]()


class _Host:
    """A host that hears how a call goes."""

    can_ask = asks_between = False

    async def progress(self, number: int, message: str) -> None:
        await anyio.lowlevel.checkpoint()

    async def ask(self, text: str, schema: dict[str, Any]) -> tuple[Any, Any]:
        raise NotImplementedError


def _fetch(kind: str, client: Any, buyer: Buyer, most: int) -> Fetch:
    """Return a function that fetches a URL by one kind of tool."""
    if kind == "payable_tool":
        return lambda url: payable_tool(client, buyer, url, hosts=HERE, max_body=most)()  # type: ignore[return-value]
    own = tools(client, buyer, hosts=HERE, max_body=most)
    if kind == "paid_fetch":
        return cast("Fetch", own.paid_fetch)
    calls = ToolCalls(own, 60)
    return lambda url: calls.call("paid_fetch", {"url": url}, _Host())


class Case(NamedTuple):
    """A way to be stopped."""

    client: str
    kind: str = "paid_fetch"
    ledger: str = "waits"
    content: str = "whole"
    by: str = "scope"

    def run(self, seller: Sandbox, buyer: Buyer) -> None:
        content, most = {"whole": ("Roses", 1_000), "cut": ("Roses", 3), "empty": (b"", 10)}[self.content]

        async def main() -> None:
            async with ASYNC[self.client]() as client:
                await each_wait(seller, _fetch(self.kind, client, buyer, most), content, self.by == "task")
            await buyer.aclose()

        anyio.run(main, backend="trio" if self.by == "trio" else "asyncio")


def _cases() -> Iterator[Any]:
    for client in ASYNC:
        cases = [Case(client, kind, ledger) for kind in KINDS for ledger in ("memory", "waits")]
        cases += [Case(client, ledger="a file"), Case(client, content="cut"), Case(client, content="empty")]
        cases += [Case(client, by=by) for by in ("task", "trio") if (client, by) != ("aiohttp", "trio")]
        cases += [Case(client, "mcp", by="task")]
        for case in cases:
            yield pytest.param(case, id=" ".join(case), marks=pytest.mark.twin if "httpx2" in client else ())


#: httpx leaves the generators of a body that was not read to its end to the garbage collector, and trio remarks on it.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("case", [*_cases()])
def test_a_cancellation_at_any_wait(seller: Sandbox, tmp_path: Path, case: Case) -> None:
    ledger = _ledger(case.ledger, tmp_path)
    case.run(seller, seller.buyer(BUDGET, ledger=ledger, breaker_after=None))


#: What a seller does to the first answer, besides delivering it.
FAULTS = (None, "redirect-after-paying", "work-fails", "truncated-body", "drop-after-settling", "402-after-settling")


async def each_outcome(seller: Sandbox, buyer: Buyer, fetch: Fetch, fault: str | None) -> None:
    """Cancel a call at each of its waits in turn. The cancellation tells of a payment if one is out."""
    task = asyncio.current_task()
    assert task is not None
    await fetch(seller.sell("/first", "0.01", chains="evm"))
    kept, told = list[BaseException](), 0
    for number in itertools.count():
        path, stops = f"/wait{next(_NUMBERS)}", list[int]()
        url = seller.sell(path, "0.01", chains="evm", content="Roses", fault=fault)
        try:
            await stopped(fetch(url), number, partial(_both, partial(stops.append, number), task.cancel))
        except asyncio.CancelledError as stop:
            task.uncancel()
            kept.append(stop)  # with its frames, and with what these hold
            out = [hold.id for hold in await buyer.aholds() if hold.url == url and hold.state == "signed"]
            found = outcome(stop)
            assert ([] if found is None else [found.hold.id]) == out, number
            told += found is not None
            await fetch(url)
            assert sum(one.path == path for one in seller.settlements) == 1, number
        if not stops:
            break
    assert told, "it was stopped nowhere after its payment left"


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", _params(ASYNC))
def test_a_cancelled_call_tells_of_its_payment_if_one_is_out(
    seller: Sandbox, name: str, kind: str, fault: str | None
) -> None:
    async def main() -> None:
        buyer = seller.buyer(BUDGET, ledger=Slow(), breaker_after=None)
        async with ASYNC[name]() as client:
            await each_outcome(seller, buyer, _fetch(kind, client, buyer, 1_000), fault)
        await buyer.aclose()

    asyncio.run(main())


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with starting(tmp_path_factory.mktemp("redis")) as start:
        yield start("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", _params(ASYNC))
def test_a_cancellation_at_any_wait_for_redis(seller: Sandbox, redis: Redis, name: str, kind: str) -> None:
    buyer = seller.buyer(BUDGET, ledger=redis.url, purse=f"{name} {kind}".replace(" ", "_"), breaker_after=None)
    Case(name, kind).run(seller, buyer)


def _interrupt(counted: Iterator[int], at: int) -> None:
    if next(counted) == at:
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["paid_fetch", "payable_tool"])
@pytest.mark.parametrize("name", _params([*SYNC, *ASYNC]))
def test_an_interrupt_at_anything_that_the_ledger_is_asked_for(seller: Sandbox, name: str, kind: str) -> None:
    ledger = Asked()
    buyer = seller.buyer(BUDGET, ledger=ledger, breaker_after=None)
    with toolbox(name) as box:
        for number in itertools.count():
            path, found = f"/ask{next(_NUMBERS)}", None
            url = seller.sell(path, "0.01", chains="evm")
            fetch = box.tools(buyer, hosts=HERE).paid_fetch if kind == "paid_fetch" else None
            fetch = fetch or (lambda at: box.payable(buyer, at, hosts=HERE)())
            ledger.act = partial(_interrupt, itertools.count(), number)
            with suppress(KeyboardInterrupt):
                found = fetch(url)
            ledger.act = bool
            if found is not None:
                assert number, "it is asked for nothing"
                break
            assert fetch(url)["ok"]
            assert sum(one.path == path for one in seller.settlements) == 1, number
    buyer.close()


@pytest.mark.parametrize("upto", [False, True])
@pytest.mark.parametrize("name", _params([*SYNC, *ASYNC]))
def test_what_is_left_is_what_the_buyer_says(seller: Sandbox, ledger: Any, name: str, upto: bool) -> None:
    url = seller.sell(f"/left_{upto}", "0.01", chains="evm", permit2=upto, upto=upto, charge="0.004" if upto else None)
    buyer = seller.buyer(BUDGET, ledger=ledger)
    with toolbox(name) as box:
        for fetch in (partial(box.tools(buyer, hosts=HERE).paid_fetch, url), box.payable(buyer, url, hosts=HERE)):
            found = fetch()
            assert str(buyer.remaining(window="hour")) in found.get("left", ""), (found, buyer.remaining(window="hour"))
    buyer.close()
