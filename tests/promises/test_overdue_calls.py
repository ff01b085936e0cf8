"""A caller gives up on a thread that still runs, and repeats its request: the same purchase, and no second payment."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as GaveUp
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import requests

import x402_client.httpx
import x402_client.requests
from tests.adapters.cash_register import KEY, PRICE, Then, Till, delivered
from tests.adapters.scripted_server import PATIENCE, Exchange, Server
from tests.adapters.test_failures import cut_body, leave, reset
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.buyer import running_calls

from .settling_seller import Shop, nonce_of

pytestmark = pytest.mark.slow

#: The read time-out of a caller who gives up, and one of a caller who waits. Nothing here takes that long, also on a
#: busy machine: ``let_time_pass`` moves what runs into the past instead.
SOON, LONG = 10.0, 100.0
#: The same, of callers whose time really passes.
REAL = 1.5
POLICY = Policy(per_request="0.05", per_day="50")
OTHER_KEY = "0x" + "43" * 32


class Held:
    """An answer that waits for the test."""

    def __init__(self, then: Then = delivered) -> None:
        self.then, self.arrived, self.go_on = then, threading.Event(), threading.Event()

    def __call__(self, exchange: Exchange, till: Till) -> None:
        self.arrived.set()
        self.go_on.wait(PATIENCE)
        self.then(exchange, till)


def status(code: int, *headers: tuple[str, str]) -> Then:
    return lambda exchange, till: exchange.answer(code, b"no", headers)


def ask_again(exchange: Exchange, till: Till) -> None:
    till.challenge(exchange)


class Caller:
    """A client whose calls run in threads that are given up on."""

    def __init__(self, library: str, buyer: Buyer) -> None:
        self.library, self.buyer = library, buyer
        self.pool = ThreadPoolExecutor(60)
        self.native: Any
        if library == "httpx":
            self.native = x402_client.httpx.wrap(httpx.Client(trust_env=False, limits=httpx.Limits()), buyer)
        else:
            self.native = x402_client.requests.wrap(requests.Session(), buyer)
            self.native.trust_env = False

    def get(self, url: str, read: float = SOON, method: str = "GET", **said: Any) -> bytes:
        timeout: Any = httpx.Timeout(10, read=read) if self.library == "httpx" else (10, read)
        found: bytes = self.native.request(method, url, timeout=timeout, **said).content
        return found

    def start(self, url: str, read: float = SOON, **said: Any) -> Future[bytes]:
        return self.pool.submit(self.get, url, read, **said)

    def given_up(self, url: str, held: Held, **said: Any) -> Future[bytes]:
        """Start a call, and return it when the seller has its payment and its time-out is over."""
        first = self.start(url, **said)
        assert held.arrived.wait(PATIENCE)
        let_time_pass()
        return first

    def joined(self, url: str, read: float = LONG, **said: Any) -> Future[bytes]:
        """Start a call, and return it when it waits for another one."""
        before = waiting()
        following = self.start(url, read, **said)
        wait_until(lambda: waiting() != before or following.done())
        assert not following.done(), following.exception() or following.result()
        assert waiting() == before + 1
        return following


def known() -> list[running_calls.RunningCall]:
    with running_calls._registry.lock:
        return [call for calls in running_calls._registry.calls.values() for call in calls]


def waiting() -> int:
    """The calls that wait behind another one which still runs."""
    return sum(len(call.followers) for call in known())


def wait_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 2 * PATIENCE
    while not true():
        assert time.monotonic() < until, "It never came."
        time.sleep(0.005)


def let_time_pass(seconds: float = SOON + 0.1) -> None:
    """Move all that this process knows of its calls into the past: as if so many seconds had gone by since."""
    registry = running_calls._registry
    with registry.lock:
        running = {call for calls in registry.calls.values() for call in calls} | set(registry.running.values())
        lines = {call.behind for call in running if call.behind is not None} | running
        for call in {follower for first in lines for follower in first.followers} | lines:
            call.started -= seconds
            call.limit = None if call.limit is None else call.limit - seconds
            call.overdue_at = None if call.overdue_at is None else call.overdue_at - seconds
            call.headers_at = None if call.headers_at is None else call.headers_at - seconds
        for kept in (registry.delivered, registry.late):
            for name, done in kept.items():
                overdue = None if done.overdue_at is None else done.overdue_at - seconds
                kept[name] = done._replace(
                    started=done.started - seconds, overdue_at=overdue, until=done.until - seconds
                )


@pytest.fixture(params=["memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return ":memory:" if request.param == "memory" else tmp_path / "spend.db"


def new_buyer(ledger: Any = ":memory:", policy: Policy = POLICY, key: str = KEY, **said: Any) -> Buyer:
    return Buyer(Wallet(evm=key), policy, ledger=ledger, **{"repeat": (), **said})


Calling = Callable[..., Caller]


@pytest.fixture
def calling() -> Iterator[Calling]:
    """Give a maker of callers, each of whom is waited for at the end."""
    made: list[Caller] = []

    def make(library: str, buyer: Buyer) -> Caller:
        made.append(Caller(library, buyer))
        return made[-1]

    yield make
    for caller in made:
        caller.pool.shutdown()
        caller.native.close()
        caller.buyer.close()
    assert known() == [], "no call is known after its end"


@pytest.fixture(params=["httpx", "requests"])
def caller(request: pytest.FixtureRequest, calling: Calling, ledger: Any) -> Caller:
    return calling(request.param, new_buyer(ledger))


def assert_paid(caller: Caller, shop: Shop, times: int = 1) -> None:
    assert len(set(shop.nonces)) == times
    assert caller.buyer.holds() == ()
    assert [hold.state for hold in caller.buyer.history()] == ["delivered"] * times
    assert caller.buyer.spent().units == times * PRICE


def test_while_it_still_runs_the_same_request_signs_nothing(server: Server, caller: Caller) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held))
    first = caller.given_up(url, held)
    for _ in range(3):
        following = caller.joined(url, SOON)
        let_time_pass()
        with pytest.raises(errors.PaymentOutcomeUnknown, match="still runs in a thread") as caught:
            following.result()
        assert caught.value.hold is not None
        assert caught.value.wait_until is not None
        assert caught.value.hold.authorization is not None
        assert caught.value.hold.authorization.header == ("", "")
    held.go_on.set()
    assert first.result() == b"the goods"
    assert len(shop.headers) == 1
    assert_paid(caller, shop)


def test_a_deadline_around_to_thread_pays_once(server: Server, caller: Caller) -> None:
    shop, held = Shop(), Held(leave)
    url = server.on("/paid", shop.sells(held, delivered))

    caller.get(server.on("/free", lambda exchange: exchange.answer(200)), LONG)  # the first call loads what it needs

    async def agent() -> bytes:
        for number in range(4):
            read, patience = (REAL, REAL + 0.2) if number < 3 else (LONG, LONG)
            if number == 3:
                held.go_on.set()
            with suppress(TimeoutError, errors.PaymentOutcomeUnknown, httpx.TimeoutException, requests.Timeout):
                return await asyncio.wait_for(asyncio.to_thread(caller.get, url, read), patience)
        raise AssertionError("The content never came.")

    assert asyncio.run(agent()) == b"the goods"
    assert_paid(caller, shop)


@pytest.mark.parametrize("end", [leave, reset, cut_body, ask_again, status(400), status(404), status(500), status(503)])
def test_the_first_failed_so_its_payment_is_claimed(server: Server, caller: Caller, end: Then) -> None:
    shop, held = Shop(), Held(end)
    url = server.on("/paid", shop.sells(held, delivered))
    first = caller.given_up(url, held)
    following = caller.joined(url)
    held.go_on.set()
    assert following.result() == b"the goods"
    assert first.exception() is not None or first.result() == b"no"
    assert len(shop.headers) == 2
    assert_paid(caller, shop)


def test_the_first_was_delivered_so_its_payment_is_presented_once(server: Server, caller: Caller) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, delivered))
    first = caller.given_up(url, held)
    following = caller.joined(url)
    held.go_on.set()
    assert following.result() == first.result() == b"the goods"
    assert len(shop.headers) == 2
    assert_paid(caller, shop)
    assert caller.get(url) == b"the goods"  # after a resolved one is a new purchase
    assert_paid(caller, shop, 2)


@pytest.mark.parametrize(
    "end", [leave, reset, ask_again, status(302, ("Location", "/elsewhere")), status(404), status(500)]
)
def test_all_else_than_a_2xx_is_already_paid(server: Server, caller: Caller, end: Then) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, end))
    first = caller.given_up(url, held)
    following = caller.joined(url)
    held.go_on.set()
    failure = following.exception()
    assert isinstance(failure, errors.AlreadyPaid), failure
    assert first.result() == b"the goods"
    assert failure.money == "spent"
    assert failure.receipt is not None
    assert failure.hold is not None
    assert shop.headers[0] not in repr(vars(failure))
    assert len(shop.headers) == 2
    assert_paid(caller, shop)


def test_one_joiner_after_the_other(server: Server, caller: Caller) -> None:
    shop, held, at_once, most = Shop(), Held(), 0, 0
    lock = threading.Lock()

    def counted(exchange: Exchange, till: Till) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1
        delivered(exchange, till)

    url = server.on("/paid", shop.sells(held, counted))
    caller.given_up(url, held)
    following = [caller.joined(url) for _ in range(4)]
    held.go_on.set()
    assert [one.result() for one in following] == [b"the goods"] * 4
    assert most == 1
    assert len(shop.headers) == 5
    assert_paid(caller, shop)


def test_a_joiner_that_is_given_up_on_while_it_presents_is_joined(server: Server, caller: Caller) -> None:
    shop, held, second = Shop(), Held(), Held(leave)
    url = server.on("/paid", shop.sells(held, second, delivered))
    caller.given_up(url, held)
    presents = caller.joined(url, SOON)
    held.go_on.set()
    assert second.arrived.wait(PATIENCE)
    let_time_pass()
    following = caller.start(url, LONG)
    wait_until(lambda: any(call.behind is not None and len(call.behind.followers) == 2 for call in known()))
    second.go_on.set()
    assert isinstance(presents.exception(), errors.AlreadyPaid)
    assert following.result() == b"the goods"
    assert len(shop.headers) == 3
    assert_paid(caller, shop)


def test_joiners_take_over_from_joiners(server: Server, caller: Caller) -> None:
    shop, held, second = Shop(), Held(leave), Held(leave)
    url = server.on("/paid", shop.sells(held, second, leave, status(500), delivered))
    caller.given_up(url, held)
    following = [caller.joined(url) for _ in range(4)]
    held.go_on.set()
    assert second.arrived.wait(PATIENCE)
    second.go_on.set()
    found = [one.exception() or one.result() for one in following]
    assert found.count(b"the goods") >= 1
    assert len(set(shop.nonces)) == 1
    assert caller.buyer.holds() == ()


def test_a_joiner_that_took_over_is_overdue_in_its_turn(server: Server, caller: Caller) -> None:
    shop, held, second = Shop(), Held(leave), Held()
    url = server.on("/paid", shop.sells(held, second, delivered))
    caller.given_up(url, held)
    taking_over = caller.joined(url, SOON)
    held.go_on.set()
    assert second.arrived.wait(PATIENCE)
    let_time_pass()
    third = caller.joined(url)
    second.go_on.set()
    assert taking_over.result() == third.result() == b"the goods"
    assert len(shop.headers) == 3
    assert_paid(caller, shop)


def test_fifty_together_are_fifty_purchases(server: Server, caller: Caller) -> None:
    shop = Shop()
    url = server.on("/paid", shop.sells(delivered))
    found = [caller.start(url, LONG) for _ in range(50)]
    assert [one.result() for one in found] == [b"the goods"] * 50
    assert_paid(caller, shop, 50)


def test_each_of_many_overdue_calls_is_joined_by_one(server: Server, caller: Caller) -> None:
    shop, go_on = Shop(), threading.Event()

    def slowly(exchange: Exchange, till: Till) -> None:
        if till.headers.count(exchange.seen.header("PAYMENT-SIGNATURE") or "") == 1:
            go_on.wait(PATIENCE)
            leave(exchange, till)
        else:
            delivered(exchange, till)

    url = server.on("/paid", shop.sells(slowly))
    first = [caller.start(url) for _ in range(8)]
    wait_until(lambda: len(shop.headers) == 8)
    let_time_pass()
    following = [caller.joined(url) for _ in range(8)]
    assert [len(call.followers) for call in known()] == [1] * 8
    go_on.set()
    assert [one.result() for one in following] == [b"the goods"] * 8
    assert all(isinstance(one.exception(), errors.PaymentOutcomeUnknown) for one in first)
    assert_paid(caller, shop, 8)


def test_under_a_key_it_is_joined_as_well(server: Server, caller: Caller) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, delivered))

    def call(read: float) -> bytes:
        with caller.buyer.purchase(key="order-42"):
            return caller.get(url, read)

    first = caller.pool.submit(call, SOON)
    assert held.arrived.wait(PATIENCE)
    let_time_pass()
    following = caller.pool.submit(call, LONG)
    wait_until(waiting)
    held.go_on.set()
    assert first.result() == following.result() == b"the goods"
    assert len(shop.headers) == 2
    with pytest.raises(errors.AlreadyPaid, match="This key was paid before"):
        call(LONG)
    assert_paid(caller, shop)


def test_a_person_who_is_asked_for_too_long_is_asked_once(server: Server, ledger: Any, calling: Calling) -> None:
    asked, answer, shop = [], threading.Event(), Shop()
    url = server.on("/paid", shop.sells(delivered))

    def approver(approval: Any) -> bool:
        asked.append(approval)
        return answer.wait(PATIENCE)

    caller = calling("httpx", new_buyer(ledger, approve=approver))
    first = caller.start(url)
    wait_until(lambda: asked)
    let_time_pass()
    second = caller.joined(url, SOON)
    let_time_pass()
    assert isinstance(second.exception(), errors.PaymentOutcomeUnknown)
    following = caller.joined(url)
    answer.set()
    assert first.result() == following.result() == b"the goods"
    assert len(asked) == 1
    assert_paid(caller, shop)


def test_a_payment_ahead_joins_and_is_joined(server: Server, ledger: Any, calling: Calling) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(delivered, held, delivered))
    caller = calling("httpx", new_buyer(ledger, POLICY.but(pay_ahead=True)))
    assert caller.get(url, LONG) == b"the goods"
    first = caller.given_up(url, held)
    assert len(server.requests) == 3, "it was paid ahead"
    following = caller.joined(url)
    held.go_on.set()
    assert first.result() == following.result() == b"the goods"
    assert_paid(caller, shop, 2)


OTHERS: dict[str, Callable[[Buyer, Any], tuple[Buyer, dict[str, Any]]]] = {
    "purse": lambda buyer, ledger: (new_buyer(buyer.ledger, purse="another"), {}),
    "wallet": lambda buyer, ledger: (new_buyer(buyer.ledger, key=OTHER_KEY), {}),
    "ledger": lambda buyer, ledger: (new_buyer(), {}),
    "query": lambda buyer, ledger: (buyer, {"params": {"another": "1"}}),
    "method": lambda buyer, ledger: (buyer, {"method": "POST"}),
    "range": lambda buyer, ledger: (buyer, {"headers": {"Range": "bytes=0-1"}}),
}


class AnyWallet(Shop):
    def _check(self, payment: dict[str, Any]) -> None:
        """Take the payments of every wallet."""


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_another_purchase_is_not_joined(server: Server, ledger: Any, other: str, calling: Calling) -> None:
    shop, held = AnyWallet(), Held()
    url = server.on("/paid", shop.sells(held, delivered))
    caller = calling("requests", new_buyer(ledger))
    first = caller.given_up(url, held)
    buyer, said = OTHERS[other](caller.buyer, ledger)
    assert calling("requests", buyer).get(url, LONG, **said) == b"the goods"
    held.go_on.set()
    assert first.result() == b"the goods"
    assert len(set(shop.nonces)) == 2


def test_another_buyer_of_the_same_wallet_and_file_joins(server: Server, tmp_path: Path, calling: Calling) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, delivered))
    caller = calling("httpx", new_buyer(tmp_path / "spend.db"))
    first = caller.given_up(url, held)
    following = calling("requests", new_buyer(tmp_path / "spend.db")).joined(url)
    held.go_on.set()
    assert first.result() == following.result() == b"the goods"
    assert_paid(caller, shop)


def test_in_time_a_call_is_a_purchase_of_its_own(server: Server, caller: Caller) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, delivered))
    first = caller.start(url, LONG)
    assert held.arrived.wait(PATIENCE)
    let_time_pass()
    assert caller.get(url) == b"the goods"
    held.go_on.set()
    assert first.result() == b"the goods"
    assert_paid(caller, shop, 2)


def test_without_a_time_out_of_its_own_a_call_has_the_time_for_settling(server: Server, calling: Calling) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, delivered))
    caller = calling("requests", new_buyer(settle_timeout=SOON))
    native = caller.native
    first = caller.pool.submit(lambda: native.get(url).content)
    assert held.arrived.wait(PATIENCE)
    assert caller.get(url, LONG) == b"the goods", "not overdue after a moment"
    let_time_pass()
    following = caller.joined(url)
    held.go_on.set()
    assert first.result() == following.result() == b"the goods"
    assert_paid(caller, shop, 2)


def half(go_on: threading.Event) -> Then:
    def then(exchange: Exchange, till: Till) -> None:
        exchange.head(200, [till.receipt()], 9)
        exchange.send(b"the g")
        go_on.wait(PATIENCE)
        exchange.send(b"oods")

    return then


@pytest.mark.parametrize(("library", "purchases"), [("requests", 1), ("httpx", 2)])
def test_a_body_that_requests_reads_for_its_caller_counts_as_still_coming(
    server: Server, ledger: Any, library: str, purchases: int, calling: Calling
) -> None:
    shop, go_on = Shop(), threading.Event()
    url = server.on("/paid", shop.sells(half(go_on), delivered))
    caller = calling(library, new_buyer(ledger))
    first = caller.start(url, SOON)
    wait_until(lambda: shop.headers)
    # Its headers are here: from then on it counts as still coming, or it is not known to others.
    wait_until(lambda: all(call.attempt is not None for call in known()))
    let_time_pass()
    following = caller.start(url, LONG)
    if library == "requests":
        wait_until(waiting)
    else:
        assert following.result() == b"the goods"
    go_on.set()
    assert first.result() == following.result() == b"the goods"
    assert_paid(caller, shop, purchases)
    assert known() == []


@pytest.mark.parametrize("library", ["httpx", "requests"])
@pytest.mark.parametrize("repeat", ["in a thread", "async"])
@pytest.mark.parametrize("is_delivered", [False, True])
def test_a_call_that_is_overdue_before_it_pays_leaves_it_to_its_repeat(
    server: Server, calling: Calling, library: str, repeat: str, is_delivered: bool
) -> None:
    caller = calling(library, new_buyer())
    shop, go_on, held = Shop(), threading.Event(), Held()
    asked = threading.Event()

    def first_leg(exchange: Exchange) -> None:
        asked.set()
        exchange.read_body()
        for piece in [b"HTTP/1.1 402 Dripped\r\n", *(f"X-Drip: {n}\r\n".encode() for n in range(5))]:
            exchange.send(piece)  # each keeps the read time-out
            time.sleep(REAL / 4)
        go_on.wait(PATIENCE)
        head, body = shop.terms()
        lines = "".join(f"{name}: {value}\r\n" for name, value in [*head, ("Content-Length", str(len(body)))])
        exchange.send(lines.encode() + b"\r\n" + body)

    url = server.on("/paid", first_leg, shop.sells(held, delivered))
    first = caller.start(url, REAL)  # it is not known yet, so its time has to pass
    assert asked.wait(PATIENCE)
    time.sleep(REAL)

    async def asynchronously() -> bytes:
        async with x402_client.httpx.wrap(httpx.AsyncClient(trust_env=False), caller.buyer) as client:
            return (await client.get(url, timeout=LONG)).content

    following = caller.pool.submit(
        lambda: asyncio.run(asynchronously()) if repeat == "async" else caller.get(url, LONG)
    )
    assert held.arrived.wait(PATIENCE)
    if is_delivered:
        held.go_on.set()
        assert following.result() == b"the goods"
    go_on.set()
    failure = first.exception()
    assert isinstance(failure, errors.AlreadyPaid if is_delivered else errors.PaymentOutcomeUnknown)
    held.go_on.set()
    assert following.result() == b"the goods"
    assert_paid(caller, shop)
    assert caller.get(url, LONG) == b"the goods", "after a delivery it is bought anew"
    assert_paid(caller, shop, 2)


def test_a_streamed_answer_is_not_overdue(server: Server, ledger: Any, calling: Calling) -> None:
    shop, go_on = Shop(), threading.Event()
    url = server.on("/paid", shop.sells(half(go_on), delivered))
    caller = calling("requests", new_buyer(ledger))
    response = caller.pool.submit(lambda: caller.native.get(url, stream=True, timeout=(10, SOON))).result()
    let_time_pass()
    assert known() == []
    assert caller.get(url, LONG) == b"the goods"
    go_on.set()
    assert response.content == b"the goods"
    assert_paid(caller, shop, 2)


def test_the_main_thread_is_never_given_up_on(server: Server, calling: Calling) -> None:
    shop, held = Shop(), Held()
    url = server.on("/paid", shop.sells(held, delivered))
    caller = calling("httpx", new_buyer())

    def another() -> bytes:
        assert held.arrived.wait(PATIENCE)
        let_time_pass()
        try:
            return caller.get(url, LONG)
        finally:
            held.go_on.set()

    following = caller.pool.submit(another)
    assert caller.get(url) == b"the goods"
    assert following.result() == b"the goods"
    assert_paid(caller, shop, 2)


@pytest.mark.parametrize("end", [delivered, leave])
def test_an_async_call_joins_and_its_loop_goes_on(server: Server, end: Then, ledger: Any, calling: Calling) -> None:
    shop, held = Shop(), Held(end)
    url = server.on("/paid", shop.sells(held, delivered))
    caller = calling("httpx", new_buyer(ledger))
    first = caller.given_up(url, held)

    async def joining() -> bytes:
        turns = 0
        async with x402_client.httpx.wrap(httpx.AsyncClient(trust_env=False), caller.buyer) as client:

            async def goes_on() -> None:
                nonlocal turns
                while not waiting() or turns < 20:
                    turns += 1
                    await anyio.sleep(0.005)
                held.go_on.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(goes_on)
                return (await client.get(url, timeout=LONG)).content

    assert asyncio.run(joining()) == b"the goods"
    first.exception()
    assert len(shop.headers) == 2
    assert_paid(caller, shop)


def test_an_async_call_is_cancelled_while_it_waits(server: Server, calling: Calling) -> None:
    shop, held = Shop(), Held(leave)
    url = server.on("/paid", shop.sells(held, delivered))
    caller = calling("httpx", new_buyer())
    first = caller.given_up(url, held)

    async def joining() -> None:
        native = httpx.AsyncClient(trust_env=False, timeout=LONG)
        async with x402_client.httpx.wrap(native, caller.buyer) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, url)
            await anyio.to_thread.run_sync(wait_until, waiting)
            tasks.cancel_scope.cancel()

    asyncio.run(joining())
    assert [len(call.followers) for call in known()] == [0]
    following = caller.joined(url)
    held.go_on.set()
    assert following.result() == b"the goods"
    first.exception()
    assert_paid(caller, shop)


class Moody(Shop):
    """Answers each first presentation as its mood is, and delivers each later one."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        #: Answers that reached no caller: none was joined. That cannot be known, and such a caller buys anew.
        self.unheard = 0

    def answer(self, exchange: Exchange, till: Till) -> None:
        nonce = nonce_of(exchange.seen)
        with self._lock:
            first = self.nonces.count(nonce) == 1
            mood = self.random.choice(["now", "joined", "joined", "late", "late", "late"])
            end = self.random.choice([leave, reset, cut_body, ask_again, status(500), status(404)])
            seconds = self.random.uniform(0, 2 * REAL)
        if not first or mood == "now":
            delivered(exchange, self)
        elif mood == "joined":
            until = time.monotonic() + 2 * REAL  # another call's answer may have served two callers
            while not _is_joined(nonce) and time.monotonic() < until:
                time.sleep(0.005)
            with self._lock:
                self.unheard += not _is_joined(nonce)
            delivered(exchange, self)
        else:
            time.sleep(seconds)
            end(exchange, self)


def _is_joined(nonce: str) -> bool:
    return any(call.followers and call.hold is not None and call.hold.nonce == nonce for call in known())


@pytest.mark.parametrize("seed", range(4))
def test_what_each_caller_asked_for_is_paid_once_at_most(
    server: Server, tmp_path: Path, calling: Calling, seed: int
) -> None:
    shop, callers = Moody(seed), 12
    url = server.on("/paid", shop.sells(shop.answer))
    ledger = ":memory:" if seed < 2 else tmp_path / "spend.db"
    caller = calling(["httpx", "requests"][seed % 2], new_buyer(ledger, breaker_after=None))

    def asks_until_it_has_it(_: int) -> bytes:
        read, outer = REAL, REAL + 0.5
        for _ in range(12):
            # An error of ours is in hand; a time-out leaves a thread behind.
            with suppress(GaveUp, errors.X402Error, OSError, httpx.HTTPError):
                found = caller.start(url, read).result(outer)
                if found == b"the goods":
                    return found
            read, outer = LONG, LONG
        raise AssertionError("The content never came.")

    with ThreadPoolExecutor(callers) as pool:
        assert list(pool.map(asks_until_it_has_it, range(callers))) == [b"the goods"] * callers
    caller.pool.shutdown()
    assert len(set(shop.nonces)) <= callers + shop.unheard, f"seed {seed}: more payments than callers"
    assert known() == []
