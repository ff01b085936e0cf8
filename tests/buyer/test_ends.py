"""Ends of purchases: no answer waits for a ledger that is busy, and what it could not take is written all the same."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.cash_register import KEY, Till, delivered
from tests.adapters.checks import new_buyer, paid
from tests.adapters.drivers import DRIVERS, Driver, params
from tests.adapters.scripted_server import Exchange, Server
from tests.ledgers.redis.server import Server as Redis
from tests.promises import children
from x402_client import Buyer, events
from x402_client.buyer import ends, pending_ends
from x402_client.core.asks import Close
from x402_client.core.ports import Ledger
from x402_client.errors import AlreadyPaid, LedgerUnavailable
from x402_client.httpx import wrap
from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt, LedgerBusy

every_client = pytest.mark.parametrize("driver", params(*DRIVERS, Aiohttp))
#: Seconds after which a busy ledger goes on, if the answer has not come before.
BUSY = 10.0


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


class Busy:
    """A ledger that takes nothing from the moment it is paid, until the caller has the answer."""

    def __init__(self, stop: Callable[[], None], go_on: Callable[[], None]) -> None:
        self.events: list[str] = []
        self._stop, self._go_on, self._lock = stop, go_on, threading.Lock()
        self._timer = threading.Timer(BUSY, self.over)

    def at_payment(self, exchange: Exchange, till: Till) -> None:
        self._stop()
        self._timer.start()
        delivered(exchange, till)

    def over(self, then: str = "") -> None:
        with self._lock:
            if "over" not in self.events:
                self._go_on()
            self.events += [then] if then else []
            self.events.append("over")
        self._timer.cancel()


class OtherProgram:
    """Another writer of a ledger's file."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def stop(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def go_on(self) -> None:
        self._db.execute("ROLLBACK")

    def close(self) -> None:
        self._db.close()


@contextlib.contextmanager
def busy_file(path: Path) -> Iterator[tuple[Any, Busy]]:
    ledger = SqliteLedger(path)
    with contextlib.closing(OtherProgram(path)) as other:
        yield ledger, Busy(other.stop, other.go_on)


@contextlib.contextmanager
def busy_server(path: Path) -> Iterator[tuple[Any, Busy]]:
    path.mkdir()
    redis = Redis(path)
    try:
        yield (
            RedisLedger(redis.url),
            Busy(lambda: redis.signal(signal.SIGSTOP), lambda: redis.signal(signal.SIGCONT)),
        )
    finally:
        redis.kill()


@every_client
@pytest.mark.parametrize("place", [busy_file, busy_server])
def test_an_answer_that_is_here_is_not_withheld(
    server: Server, tmp_path: Path, place: Callable[[Path], Any], driver: type[Driver]
) -> None:
    till = Till()
    with place(tmp_path / "ledger") as (ledger, busy), driver() as shell:
        buyer = new_buyer(ledger=ledger)
        client = shell.client(buyer)
        buyer.spent() if not shell.is_async else shell.call(buyer.aspent)
        url = server.on("/paid", till.sells(busy.at_payment, delivered))
        assert client.get(url).content == b"the goods"
        busy.over("returned")
        assert busy.events[0] == "returned", "the answer waited for the ledger"
        assert paid(buyer)
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 2, "a purchase of its own"
        shell.call(buyer.aclose) if shell.is_async else buyer.close()
        assert len(ledger.history(5)) == 2
        assert ledger.holds() == ()
        ledger.close_ledger()


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("driver", params(*[one for one in (*DRIVERS, Aiohttp) if one.is_async]))
def test_a_deadline_around_a_call_does_not_meet_the_ledger(
    server: Server, tmp_path: Path, driver: type[Driver], durable: bool
) -> None:
    import anyio

    till, path = Till(), tmp_path / "ledger.db"
    with contextlib.closing(OtherProgram(path)) as other, driver() as shell:
        busy, ledger = Busy(other.stop, other.go_on), SqliteLedger(path, durable=durable)
        buyer = new_buyer(ledger=ledger)
        client = shell.client(buyer)
        url = server.on("/paid", till.sells(busy.at_payment, delivered))

        async def in_time() -> bytes:
            with anyio.fail_after(BUSY / 2):
                response = await client.arequest("GET", url)
                content: bytes = response.content
                return content

        assert shell.call(in_time) == b"the goods"
        busy.over("returned")
        assert len(till.headers) == 1
        shell.call(buyer.aclose)
        assert [hold.state for hold in ledger.history(5)] == ["delivered"]
        ledger.close_ledger()


def test_an_ending_loop_ends_nothing(server: Server, tmp_path: Path) -> None:
    till = Till()
    with busy_file(tmp_path / "ledger.db") as (ledger, busy):
        buyer = new_buyer(ledger=ledger)
        url = server.on("/paid", till.sells(busy.at_payment))

        async def once() -> bytes:
            async with wrap(httpx.AsyncClient(), buyer) as client:
                return (await client.get(url)).content

        assert asyncio.run(once()) == b"the goods"
        busy.over("returned")
        assert busy.events[0] == "returned"
        assert buyer.services.ends.flush()
        assert len(ledger.history(5)) == 1
        ledger.close_ledger()


@pytest.mark.parametrize("driver", params(*[one for one in DRIVERS if not one.is_async]))
def test_an_interrupt_before_the_end_is_written_leaves_it_unwritten(server: Server, driver: type[Driver]) -> None:
    till, ledger = Till(), Stubborn(KeyboardInterrupt())
    with driver() as shell:
        buyer = new_buyer(ledger=ledger)
        client = shell.client(buyer)
        url = server.on("/paid", till.sells(delivered, delivered))
        with pytest.raises(KeyboardInterrupt):
            client.get(url)
        ledger.may = True
        assert client.get(url).content == b"the goods"
        assert len(set(till.headers)) == 1, "its caller had nothing, and it was signed anew"
        assert paid(buyer)
        buyer.close()


# --- what this process sees meanwhile


class Stubborn(MemoryLedger):
    """A ledger that takes no end until it may."""

    def __init__(self, problem: BaseException | None = None) -> None:
        super().__init__()
        self.may, self.problem, self.tries = False, problem or LedgerUnavailable("The disk is full."), 0

    def close(self, *said: Any) -> None:
        self.tries += 1
        if not self.may:
            raise self.problem
        super().close(*said)


class Hasty(Stubborn):
    """One with a twin that does not wait."""

    @property
    def impatient(self) -> Any:  # type: ignore[override]
        twin = Stubborn(LedgerBusy())
        twin.__dict__ = {**self.__dict__, "problem": LedgerBusy()}
        return twin


@pytest.fixture
def waiting(server: Server) -> Iterator[tuple[Hasty, Buyer, httpx.Client, str]]:
    ledger = Hasty()
    buyer = new_buyer(ledger=ledger)
    with wrap(httpx.Client(), buyer) as client:
        yield ledger, buyer, client, server.on("/paid", Till().sells())
    ledger.may = True
    buyer.close()


def test_until_it_is_written_a_key_is_paid(waiting: Any) -> None:
    ledger, buyer, client, url = waiting
    for name in ("order-1", "order-2"):
        with buyer.purchase(key=name):
            assert client.get(url).content == b"the goods"
    assert len(ledger.holds()) == 2
    for payer in (buyer, new_buyer(ledger=ledger)):
        with (
            wrap(httpx.Client(), payer) as one,
            payer.purchase(key="order-1"),
            pytest.raises(AlreadyPaid) as caught,
        ):
            one.get(url)
        assert caught.value.receipt is not None
        assert caught.value.hold is not None
        assert caught.value.hold.state == "delivered"


def test_until_it_is_written_an_async_caller_is_told_the_same(waiting: Any) -> None:
    _, buyer, client, url = waiting
    with buyer.purchase(key="order-1"):
        client.get(url)

    async def again() -> None:
        async with wrap(httpx.AsyncClient(), buyer) as other:
            with buyer.purchase(key="order-1"):
                await other.get(url)

    with pytest.raises(AlreadyPaid):
        asyncio.run(again())


def test_until_it_is_written_it_is_resolved_here_and_in_flight_there(waiting: Any) -> None:
    ledger, buyer, client, url = waiting
    for number in (1, 2):
        assert client.get(url).content == b"the goods"
        assert paid(buyer, number)
        assert asyncio.run(buyer.aholds()) == ()
        assert len(asyncio.run(buyer.ahistory())) == len(buyer.history(1)) + number - 1 == number
        assert len(ledger.holds()) == number
    newest = max(ledger.holds(), key=lambda hold: hold.created)
    assert [hold.id for hold in buyer.history(1)] == [newest.id]
    ledger.may = True
    assert buyer.services.ends.flush()
    assert paid(buyer, 2)
    assert ledger.holds() == ()


def test_a_failing_ledger_is_told_and_tried_again(server: Server) -> None:
    ledger, told = Stubborn(), list[Any]()
    buyer = new_buyer(ledger=ledger, on_event=told.append)
    with wrap(httpx.Client(), buyer) as client:
        assert client.get(server.on("/paid", Till().sells())).content == b"the goods"
    assert [type(event) for event in told[-2:]] == [events.Delivered, events.Warned]
    assert "The disk is full" in str(told[-1])
    ledger.may = True
    buyer.close()
    assert len(ledger.history(5)) == 1


def test_new_payments_wait_where_a_ledger_falls_behind(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "_MOST", 2)
    ledger, buyer, client, url = waiting
    monkeypatch.setattr(buyer.services.ends, "_start", bool)  # the writer's thread does not get its turn
    for _ in range(4):
        client.get(url)
    ledger.may = True
    writer = buyer.services.ends
    client.get(url)
    assert len(writer.waiting("default")) == 3

    async def again() -> None:
        async with wrap(httpx.AsyncClient(), buyer) as other:
            for _ in range(2):
                await other.get(url)

    asyncio.run(again())
    assert len(writer.waiting("default")) == 2
    assert len(ledger.history(9)) == 5
    monkeypatch.undo()


# --- a ledger that is async alone


class AsyncOnly:
    """A ledger whose every step is awaited, on any loop."""

    def __init__(self) -> None:
        self.inner = MemoryLedger()
        self.loops: list[asyncio.AbstractEventLoop] = []

    def __getattr__(self, name: str) -> Any:
        if name not in vars(Ledger):
            raise AttributeError(name)
        step = getattr(self.inner, name)

        async def waited(*words: Any) -> Any:
            await asyncio.sleep(0.01)
            return step(*words)

        return waited

    async def close(self, *words: Any) -> None:
        await asyncio.sleep(0.01)
        self.loops.append(asyncio.get_running_loop())
        self.inner.close(*words)


@pytest.mark.parametrize("lasts", [True, False])
def test_an_async_ledger_is_awaited_where_the_delivery_was_while_that_lasts(server: Server, lasts: bool) -> None:
    ledger, url = AsyncOnly(), server.on("/paid", Till().sells())
    buyer = new_buyer(ledger=ledger)

    async def once() -> asyncio.AbstractEventLoop:
        async with wrap(httpx.AsyncClient(), buyer) as client:
            assert (await client.get(url)).content == b"the goods"
        if lasts:
            await buyer.aclose()
        return asyncio.get_running_loop()

    loop = asyncio.run(once())
    if not lasts:
        assert buyer.services.ends.flush()
    assert len(ledger.inner.history(5)) == 1
    assert not lasts or ledger.loops == [loop]


# --- the end of the process


def pending(ledger: Any) -> Attempt:
    """Leave an end with the writer of a ledger."""
    attempt = Attempt()
    hold = ledger.record(ledger.reserve(order(purchase()), attempt), signed())
    with contextlib.suppress(LedgerUnavailable):
        ends.ends_writer(ledger).close(Close(hold.shown, "spent", None, attempt), bool)
    return attempt


def test_a_forked_child_drops_what_is_its_parents_to_write() -> None:
    ledger = Stubborn()
    attempt = pending(ledger)
    writer = ends.ends_writer(ledger)

    def child() -> None:
        ledger.may, before = True, ledger.tries
        assert writer.flush()
        assert (writer.waiting("default"), pending_ends.ended(), ledger.tries - before) == ([], frozenset(), 0)

    assert children.done(child) == 0
    assert len(writer.waiting("default")) == 1
    assert attempt.alive
    ledger.may = True
    assert writer.flush()
    assert not attempt.alive


def test_a_fork_does_not_wait_for_a_ledger_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends.EndsWriter, "_start", bool)  # no thread tries meanwhile
    ledger = Stubborn()
    attempt = pending(ledger)
    ends._register_flush(Stubborn)
    before = ledger.tries
    assert children.done(bool) == 0
    assert ledger.tries == before + 1
    assert attempt.alive
    ledger.may = True
    assert ends.ends_writer(ledger).flush()


def test_a_fork_writes_first_what_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, durable=True)
    hold = ledger.record(ledger.reserve(order(purchase()), attempt := Attempt()), signed())  # type: ignore[arg-type]

    def child() -> None:
        assert len(SqliteLedger(path).history(5)) == 1

    with contextlib.closing(OtherProgram(path)) as other:
        other.stop()
        ends.ends_writer(ledger).close(Close(hold.shown, "spent", None, attempt), bool)
        threading.Timer(0.5, other.go_on).start()
        assert children.done(child) == 0
    assert ledger.holds() == ()
    ledger.close_ledger()


_BUYS = """
import sys, sqlite3, threading, httpx
from x402_client import Buyer, Policy, Wallet
from x402_client.httpx import wrap
path, url, key, end = sys.argv[1:]
buyer = Buyer(Wallet(evm=key), Policy(per_day="1"), ledger=path)
other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
client = wrap(httpx.Client(), buyer)
with client.stream("GET", url) as response:
    other.execute("BEGIN IMMEDIATE")
    assert response.read() == b"the goods"
print("got it", flush=True)
if end == "killed":
    sys.stdin.read()
threading.Timer(0.5, other.execute, ("ROLLBACK",)).start()
"""


_IN_A_CHILD = """
import multiprocessing, sys
code = sys.argv.pop(1)
child = multiprocessing.get_context("fork").Process(target=exec, args=(code, {"__name__": "child"}))
child.start()
child.join()
"""


@pytest.mark.parametrize("end", ["at its end", "at the end of a child", "killed"])
def test_a_program_that_ends(server: Server, tmp_path: Path, end: str) -> None:
    till, path = Till(), tmp_path / "ledger.db"
    url = server.on("/paid", till.sells())
    code = [_IN_A_CHILD, _BUYS] if "child" in end else [_BUYS]
    program = subprocess.Popen(
        [sys.executable, "-c", *code, str(path), url, KEY, end], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"got it\n"
    if end == "killed":
        program.kill()
    program.communicate()
    buyer = new_buyer(ledger=path)
    assert (len(buyer.holds()), len(buyer.history())) == ((1, 0) if end == "killed" else (0, 1))
    with wrap(httpx.Client(), buyer) as client:
        assert client.get(url).content == b"the goods"
    # Killed before it was written: the next start presents the same payment, and pays no second one.
    assert len(till.headers) == 2
    assert len(set(till.headers)) == (1 if end == "killed" else 2)
    buyer.close()


def test_where_no_thread_starts_it_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Hasty()
    ledger.may = True

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(Hasty, "impatient", property(lambda self: Stubborn(LedgerBusy())))
    pending(ledger)
    assert len(ledger.history(5)) == 1
