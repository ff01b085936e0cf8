"""Cancellation, interrupts and closed generators at every moment of a paid request: one header, and a way on."""

from __future__ import annotations

import asyncio
import contextlib
import dis
import gc
import itertools
import sys
import threading
from collections.abc import AsyncIterator, Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import anyio
import httpx
import pytest

import x402_client.aiohttp
import x402_client.httpx
from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.cash_register import KEY, PRICE, Till, delivered
from tests.adapters.drivers import AsyncHttpx, AsyncHttpx2, Client, Driver, Httpx, Httpx2, Requests, TrioHttpx
from tests.adapters.scripted_server import PATIENCE, Exchange, Server
from tests.ledgers.redis.server import Server as Redis
from x402_client import Buyer, Policy, Wallet
from x402_client.buyer import running_calls
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger

from .moments import Points, watched
from .settling_seller import GOODS, Shop

pytestmark = pytest.mark.slow

WHOLE = b"".join(GOODS)
#: Moments that come after the end of the body. At any other, nothing may count as delivered.
ENDED = {"after Close", "before Tell Delivered", "after Tell Delivered", ""}
EXPECTED = {f"{when} {ask}" for when in ("before", "after") for ask in ("Reserve", "SignTyped", "Send")}
READING = {"before the body", *(f"piece {number}" for number in range(len(GOODS)))}
EXPECTED |= READING
_LAST = f"piece {len(GOODS) - 1}"


class Case:
    """A client with one connection, a budget of one purchase, and one purchase that is disturbed once."""

    def __init__(self, shell: Driver, server: Server, name: str, ledger: Any) -> None:
        self.shop, self.shell = Shop(), shell
        self.url = server.on(f"/{name}", self.shop.sells())
        policy = Policy(per_request="0.01", total="0.01")
        self.buyer = Buyer(Wallet(evm=KEY), policy, ledger=ledger, purse=name)
        self.client: Client = shell.client(self.buyer, **shell.single())

    def goes_on(self, delivered: bool = True) -> None:
        """The same request, through the same client, out of the same budget, which is one payment."""
        signed = [hold.nonce for hold in self.buyer.holds() if hold.nonce]
        if self.buyer.history():
            assert delivered, "delivered before its end"
            assert (signed, len(self.shop.settled)) == ([], 1), "delivered, and still open"
        else:
            assert {*self.shop.nonces} <= {*signed}, "a payment that the ledger does not know"
            assert self.client.get(self.url).content == WHOLE
            assert not signed or self.shop.nonces[-1] == signed[0], "it signed another one"
        assert len(set(self.shop.headers)) == 1
        assert len(self.shop.settled) == 1
        assert (self.buyer.holds(), len(self.buyer.history())) == ((), 1)
        assert self.buyer.spent(window="total").units == PRICE
        self.shell.call(self.buyer.aclose) if self.shell.is_async else self.buyer.close()


def each_moment(
    driver: type[Driver],
    server: Server,
    ledger: Callable[[], Any],
    disturb: Callable[[Case, int], str],
    ended: Container[str] | None = ENDED,
) -> set[str]:
    """Disturb a purchase at each moment in turn; the moments there were.

    ``ended`` are those at which it may count as delivered; None: at any.
    """
    seen = set[str]()
    with driver() as shell:
        for number in itertools.count(1):
            case = Case(shell, server, str(number), ledger())
            moment = disturb(case, number)
            case.goes_on(delivered=ended is None or moment in ended)
            if not moment:
                return seen
            seen.add(moment)
    raise AssertionError


@pytest.fixture(params=["memory", "a file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    if request.param == "memory":
        return lambda: ":memory:"
    numbers = itertools.count()
    return lambda: SqliteLedger(tmp_path / f"{next(numbers)}.db")


# --- interrupts of sync clients


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("driver", [Httpx, Httpx2, Requests])
def test_interrupted_at_any_moment(
    server: Server, ledger: Callable[[], Any], driver: type[Driver], kind: type[BaseException]
) -> None:
    def disturb(case: Case, number: int) -> str:
        def act() -> None:
            raise kind

        points = Points(number, act)
        with watched(points), contextlib.suppress(kind):
            read(case, points)
        return points.reached

    ended = ENDED | READING if kind is GeneratorExit else ENDED  # leaving a loop over the pieces is no failure
    assert each_moment(driver, server, ledger, disturb, ended) >= EXPECTED


@pytest.mark.parametrize("driver", [Httpx, Requests])
def test_interrupted_before_any_statement_of_the_ledger(server: Server, tmp_path: Path, driver: type[Driver]) -> None:
    numbers = itertools.count()

    def disturb(case: Case, number: int) -> str:
        def act() -> None:
            raise KeyboardInterrupt

        points = Points(number, act)
        with watched(points, statements=True), contextlib.suppress(KeyboardInterrupt):
            case.buyer.ledger.close_ledger()  # so that opening it is part of it
            read(case, points)
        return points.reached

    seen = each_moment(driver, server, lambda: SqliteLedger(tmp_path / f"{next(numbers)}.db"), disturb, None)
    assert "before a statement" in seen


class Lines:
    """An interrupt before one of the lines of the core and the buyer, from the last piece on."""

    def __init__(self, number: int) -> None:
        self.left, self.reached = number, ""

    def __call__(self, frame: FrameType, event: str, _: object) -> Lines:
        inside = frame.f_code.co_filename.partition("/x402_client/")[2]
        if event == "line" and inside.startswith(("core/", "buyer/")) and not _leaves_a_block(frame):
            self.left -= 1
            if not self.left:
                self.reached = f"{frame.f_code.co_qualname} {frame.f_lineno}"
                raise KeyboardInterrupt
        return self

    def read_the_end(self, answer: Any) -> None:
        tracer = sys.gettrace()
        gc.disable()  # what it runs of earlier tests is no line of this one
        sys.settrace(self)
        try:
            while answer.following():
                pass
        finally:
            sys.settrace(tracer)
            gc.enable()


def _leaves_a_block(frame: FrameType) -> bool:
    """Return True where a ``with`` is about to be left: a lock's own ``__exit__`` is called, with None three times.

    Python raises no interrupt there. One that a tracer raises would leave the lock taken, for all tests that follow.
    """
    code = frame.f_code.co_code[frame.f_lasti : frame.f_lasti + 8]
    here = [(dis.opname[code[at]], code[at + 1]) for at in range(0, len(code), 2)]
    if here[0][0] == "SWAP":  # it returns something
        del here[0]
    return here[0][0] == "LOAD_CONST" and here[:3] == here[:1] * 3


@pytest.mark.parametrize("driver", [Httpx, Httpx2, Requests])
def test_interrupted_before_any_line_that_writes_the_end(server: Server, driver: type[Driver]) -> None:
    kept = []

    def disturb(case: Case, number: int) -> str:
        lines = Lines(number)
        answer = case.client.stream("GET", case.url)
        for _ in GOODS:
            assert answer.following()
        try:
            lines.read_the_end(answer)
        except KeyboardInterrupt as interrupt:
            kept.append(interrupt)  # with its traceback, which has the answer in it
            answer.close()  # for its connection: there is one
        return lines.reached

    seen = each_moment(driver, server, lambda: ":memory:", disturb, None)
    with ThreadPoolExecutor(1) as another:
        assert another.submit(running_calls._registry.lock.acquire, timeout=PATIENCE).result()
        another.submit(running_calls._registry.lock.release).result()
    assert {name.rpartition(" ")[0] for name in seen} >= {"Delivery.done", "run", "deliver", "EndsWriter.close"}


def read(case: Case, points: Points) -> None:
    answer = case.client.stream("GET", case.url)
    try:
        points("before the body")
        for number, _ in enumerate(iter(lambda: answer.following() or b"", b"")):
            points(f"piece {number}")
    finally:
        answer.close()


# --- event loops that are closed under a call


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's words for what is left
@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_call_that_was_left_in_a_closed_loop_is_over(server: Server, ledger: Callable[[], Any], library: str) -> None:
    shop, arrived, go_on = Shop(), threading.Event(), threading.Event()

    def held(exchange: Exchange, till: Till) -> None:
        arrived.set()
        go_on.wait(PATIENCE)
        delivered(exchange, till)

    url = server.on("/left", shop.sells(held, delivered))
    buyer = Buyer(Wallet(evm=KEY), Policy(per_request="0.01", total="0.01"), ledger=ledger())

    async def get() -> bytes:
        if library == "aiohttp":
            async with (
                x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer) as session,
                session.get(url) as response,
            ):
                return await response.read()
        async with x402_client.httpx.wrap(httpx.AsyncClient(), buyer) as client:
            return (await client.get(url)).content

    loop = asyncio.new_event_loop()
    left = loop.create_task(get())
    loop.run_until_complete(loop.run_in_executor(None, arrived.wait, PATIENCE))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    go_on.set()
    assert asyncio.run(get()) == b"the goods"
    assert len(set(shop.headers)) == 1
    assert not left.done()
    del left
    gc.collect()
    buyer.close()


# --- cancellation of async clients


async def aread(case: Case, points: Points) -> None:
    async with case.client.astream("GET", case.url) as response:
        await awaited(points("before the body"))
        number = 0
        async for _ in case.shell.pieces(response):
            await awaited(points(f"piece {number}"))
            number += 1


def ended_for(driver: type[Driver]) -> set[str]:
    """The moments after the end. With the last piece aiohttp tells its end, if that is here."""
    return ENDED | {_LAST} if driver is Aiohttp else ENDED


def expected_of(driver: type[Driver]) -> set[str]:
    """The moments there have to be. As the end comes before or after the last piece, that one may be left out."""
    return EXPECTED - {_LAST} if driver is Aiohttp else EXPECTED


async def awaited(given: Any) -> Any:
    return await given if given is not None else None


def disturbed_task(wait: bool) -> Callable[[Case, int], str]:
    """asyncio's own: one exception, once; thrown at the moment itself, or where the task waits next."""

    def disturb(case: Case, number: int) -> str:
        async def act() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if wait:
                await asyncio.sleep(5)

        async def scene() -> str:
            points = Points(number, act)
            with watched(points):
                task = asyncio.ensure_future(aread(case, points))
                await asyncio.wait([task])
                assert task.cancelled() or not points.reached or not wait
            return points.reached

        return str(case.shell.call(scene))

    return disturb


def disturbed_scope(wait: bool) -> Callable[[Case, int], str]:
    """anyio's: all that is awaited in the scope from then on is cancelled."""

    def disturb(case: Case, number: int) -> str:
        async def scene() -> str:
            async def act() -> None:
                scope.cancel()
                if wait:
                    await anyio.sleep(5)

            points = Points(number, act)
            with watched(points), anyio.CancelScope() as scope:
                await aread(case, points)
            assert not wait or bool(points.reached) is scope.cancelled_caught
            return points.reached

        return str(case.shell.call(scene))

    return disturb


@pytest.mark.parametrize("wait", [True, False], ids=["there", "at the next await"])
@pytest.mark.parametrize(
    ("driver", "disturbed"),
    [
        (AsyncHttpx, disturbed_task),
        (AsyncHttpx, disturbed_scope),
        (AsyncHttpx2, disturbed_scope),
        (Aiohttp, disturbed_task),
        (Aiohttp, disturbed_scope),
        pytest.param(
            TrioHttpx, disturbed_scope, marks=pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
        ),
    ],
)
def test_cancelled_at_any_moment(
    server: Server, ledger: Callable[[], Any], driver: type[Driver], disturbed: Callable[[bool], Any], wait: bool
) -> None:
    # What is there already is read without an await.
    ended = ended_for(driver) if wait else None
    assert each_moment(driver, server, ledger, disturbed(wait), ended) >= expected_of(driver)


@pytest.mark.parametrize("driver", [AsyncHttpx, TrioHttpx, Aiohttp])
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
def test_cancelled_at_any_moment_with_a_ledger_in_redis(server: Server, tmp_path: Path, driver: type[Driver]) -> None:
    """What a cancelled call claimed is free at once for the next one of the same program; nothing had to be said."""
    redis = Redis(tmp_path)
    try:
        seen = each_moment(
            driver, server, lambda: RedisLedger(redis.url), disturbed_scope(wait=True), ended_for(driver)
        )
        assert seen >= expected_of(driver)
    finally:
        redis.kill()


# --- coroutines and generators that are closed


@pytest.mark.parametrize("driver", [AsyncHttpx, Aiohttp])
def test_a_coroutine_closed_at_any_moment(server: Server, ledger: Callable[[], Any], driver: type[Driver]) -> None:
    def disturb(case: Case, number: int) -> str:
        async def act() -> None:
            raise GeneratorExit

        async def scene() -> str:
            points = Points(number, act)
            with watched(points), contextlib.suppress(GeneratorExit):
                await aread(case, points)
            return points.reached

        return str(case.shell.call(scene))

    assert each_moment(driver, server, ledger, disturb, ENDED | READING) >= expected_of(driver)


@pytest.mark.parametrize("how", ["closed", "dropped"])
@pytest.mark.parametrize("driver", [Httpx, Httpx2, Requests])
def test_a_generator_over_the_pieces(server: Server, ledger: Callable[[], Any], driver: type[Driver], how: str) -> None:
    """The caller took as much as it wanted: that is a delivery."""

    def pieces(case: Case) -> Iterator[bytes]:
        answer = case.client.stream("GET", case.url)
        try:
            yield from iter(lambda: answer.following() or b"", b"")
        finally:
            answer.close()

    with driver() as shell:
        case = Case(shell, server, "goods", ledger())
        taken = pieces(case)
        assert next(taken) == GOODS[0]
        if how == "closed":
            taken.close()
        del taken
        gc.collect()
        assert len(case.buyer.history()) == 1
        case.goes_on()


@pytest.mark.parametrize("driver", [AsyncHttpx, AsyncHttpx2, Aiohttp])
def test_an_async_generator_over_the_pieces(server: Server, ledger: Callable[[], Any], driver: type[Driver]) -> None:
    async def pieces(case: Case) -> AsyncIterator[bytes]:
        async with case.client.astream("GET", case.url) as response:
            async for piece in case.shell.pieces(response):
                yield piece

    async def scene(case: Case) -> None:
        taken = pieces(case)
        assert await anext(taken) == GOODS[0]
        await taken.aclose()  # type: ignore[attr-defined]

    with driver() as shell:
        case = Case(shell, server, "goods", ledger())
        shell.call(scene, case)
        assert len(case.buyer.history()) == 1
        case.goes_on()
