"""The record of running calls: who is overdue, who joins whom, and what is kept."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import httpx2
import pytest
import requests
from urllib3.util import Timeout

from tests.adapters.cash_register import KEY
from x402_client import Buyer, Wallet
from x402_client.adapters.httpx_bodies import Library
from x402_client.adapters.httpx_courier import BaseCourier
from x402_client.adapters.requests_bodies import Body
from x402_client.adapters.requests_courier import Courier
from x402_client.buyer.running_calls import RunningCalls, _registry
from x402_client.core.asks import Join, Joined
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Attempt, Hold, Outcome

ORDER = order(purchase("a"))
HOLD = Hold("1", ORDER.purchase, ORDER.offer, ORDER.price, 0.0, "signed")
OUTCOME = Outcome("spent", HOLD, HOLD.offer)


class Reads:
    """A courier with a time-out."""

    def __init__(self, read_timeout: float | None, whole: bool = False) -> None:
        self.read_timeout, self.reads_whole = read_timeout, whole


@pytest.fixture
def calls() -> Iterator[RunningCalls]:
    yield RunningCalls(MemoryLedger(), 60.0)
    _registry.__init__()  # type: ignore[misc]


def joins(calls: RunningCalls, ago: float = 0.0, read: float | None = 1.0, **said: Any) -> Any:
    """Ask as a call that began some seconds ago."""
    in_thread, whole = said.pop("in_thread", True), said.pop("whole", False)
    ask = Join(said.pop("wanted", ORDER.purchase), time.monotonic() - ago, said.pop("running", None))
    return calls.join(ask, Reads(read, whole), in_thread)


def again(calls: RunningCalls, mine: Joined) -> Joined:
    return calls.join(Join(ORDER.purchase, 0.0, mine.call), None, True)


def test_overdue_is_what_lasts_longer_than_its_caller_said(calls: RunningCalls) -> None:
    first = joins(calls, ago=2)
    assert first.state == "free"
    joined = joins(calls)
    assert (joined.state, joined.seconds <= 1) == ("running", True)
    assert joins(calls, in_thread=False, read=None).seconds > 50  # an async or main caller may join
    first.call.end()
    assert joins(calls, read=None).state == "free", "its joiners wait for each other"


@pytest.mark.parametrize(
    "said",
    [{"ago": 0.0}, {"ago": 2.0, "read": 3.0}, {"ago": 59.0, "read": None}, {"ago": 99.0, "in_thread": False}],
    ids=str,
)
def test_what_is_not_overdue_is_not_joined(calls: RunningCalls, said: dict[str, Any]) -> None:
    joins(calls, **said)
    assert joins(calls).state == "free"


def test_without_any_time_out_nothing_is_overdue() -> None:
    calls = RunningCalls(MemoryLedger(), None)
    joins(calls, ago=9_999, read=None)
    assert joins(calls, ago=2).state == "free"
    assert joins(calls, read=None).seconds == float("inf")
    _registry.calls.clear()


def test_headers_end_it_unless_the_whole_body_is_read_for_the_caller(calls: RunningCalls) -> None:
    attempt = Attempt()
    joins(calls, ago=2).call.flow_ended(attempt)
    assert joins(calls).state == "free"
    _registry.calls.clear()
    whole = joins(calls, ago=2, whole=True)
    whole.call.flow_ended(attempt)
    assert joins(calls).state == "running"
    attempt.end()
    assert _registry.calls == {}


def test_an_end_that_is_pending_is_not_overdue(calls: RunningCalls) -> None:
    first, attempt = joins(calls, ago=2, whole=True), Attempt()
    first.call.hold = HOLD
    joined = joins(calls)
    first.call.flow_ended(attempt)
    first.call.delivered(OUTCOME)
    assert attempt.alive
    assert again(calls, joined).state == "delivered"
    assert joins(calls).state == "free"


@pytest.mark.parametrize("whole", [True, False])
def test_a_delivery_after_its_caller_gave_up_is_that_of_a_call_that_had_begun(calls: RunningCalls, whole: bool) -> None:
    """Its 402 was not read yet, so that it could join nothing."""
    first, attempt = joins(calls, ago=2, whole=whole), Attempt()
    first.call.flow_ended(attempt)
    time.sleep(0.01)
    first.call.delivered(OUTCOME)
    for _ in range(2):
        found = joins(calls, ago=0.5)
        assert (found.state, found.hold, found.outcome, found.call.hold) == (
            "delivered",
            OUTCOME.hold.shown,
            OUTCOME,
            None,
        )
        assert again(calls, found).state == "delivered"
    assert joins(calls, ago=0.5, wanted=_paid_by(("0xb",))).state == "free", "it pays by another wallet"
    assert joins(calls).state == "free", "it began after that"
    assert joins(calls, ago=1.5, read=9).state == "free", "it began before the other was overdue"


def test_what_is_read_at_leisure_is_not_overdue(calls: RunningCalls) -> None:
    first = joins(calls, ago=0.9)
    first.call.flow_ended(attempt := Attempt())
    time.sleep(0.15)
    first.call.delivered(OUTCOME)
    attempt.end()
    assert joins(calls, ago=0.02).state == "free"


def test_a_delivery_that_was_garbage_collected_failed(calls: RunningCalls) -> None:
    first, attempt = joins(calls, ago=2), Attempt()
    joined = joins(calls, read=60.0)  # to collect the garbage of a large process takes a while
    first.call.flow_ended(attempt)
    assert again(calls, joined).state == "running"
    del attempt
    gc.collect()
    assert again(calls, joined).state == "free"


def test_the_header_is_kept_while_somebody_is_joined(calls: RunningCalls) -> None:
    first = joins(calls, ago=2)
    first.call.hold = HOLD
    one, other, third = joins(calls), joins(calls), joins(calls)
    first.call.delivered(OUTCOME)
    first.call.end()
    assert [again(calls, call).state for call in (one, other, third)] == ["delivered", "queued", "queued"]
    other.call.end()
    one.call.end()
    assert again(calls, third).state == "delivered"
    assert third.call.hold is first.call.hold is HOLD
    third.call.end()
    assert third.call.hold is first.call.hold is one.call.hold is None


@pytest.mark.parametrize("delivers", [True, False])
def test_nothing_is_kept_where_none_is_joined(calls: RunningCalls, delivers: bool) -> None:
    first, attempt = joins(calls, ago=2), Attempt()
    first.call.hold = HOLD
    first.call.flow_ended(attempt)
    if delivers:
        first.call.delivered(OUTCOME)
    attempt.end()
    assert first.call.hold is None
    assert _registry.calls == {}


def test_a_joiner_that_presents_for_too_long_is_joined(calls: RunningCalls) -> None:
    first = joins(calls, ago=2)
    first.call.hold = HOLD
    presents, never = joins(calls, ago=2, read=2.001), joins(calls, in_thread=False, read=0.0)
    first.call.delivered(OUTCOME)
    first.call.end()
    assert [again(calls, presents).state for _ in range(2)] == ["delivered"] * 2
    time.sleep(0.002)
    following = joins(calls)
    assert following.state == "queued"
    never.call.end()
    presents.call.end()
    assert _registry.calls == {}
    assert again(calls, following).state == "delivered"
    assert following.call.hold is HOLD
    following.call.end()
    assert first.call.hold is None


def test_a_joiner_whose_caller_has_gone_takes_nothing_over(calls: RunningCalls) -> None:
    first = joins(calls, ago=2)
    gone, waits = joins(calls, ago=2, read=1), joins(calls, in_thread=False, read=1)
    first.call.end()
    found = again(calls, gone)
    assert (found.state, found.seconds < 0) == ("running", True)
    assert again(calls, waits).state == "running"
    gone.call.end()
    assert again(calls, waits).state == "free"


def test_where_the_first_left_nothing_the_next_overdue_one_is_waited_for(calls: RunningCalls) -> None:
    first, next_one = joins(calls, ago=0.5), joins(calls, ago=0.5)
    first.call.overdue_at = 0.0
    one, other = joins(calls), joins(calls)
    next_one.call.overdue_at = 0.0
    assert joins(calls, in_thread=False).call.behind is next_one.call, "fewer wait for it"
    first.call.end()
    assert again(calls, one).state == "free"
    assert again(calls, other).state == "running"
    assert again(calls, one).state == "running", "it left nothing, and the next one is overdue"
    assert [one.call.behind, other.call.behind] == [next_one.call] * 2
    next_one.call.end()
    one.call.end()


def test_a_joiner_leaves_from_anywhere_in_the_line(calls: RunningCalls) -> None:
    first = joins(calls, ago=2)
    one, other, third = joins(calls), joins(calls), joins(calls)
    one.call.end()
    first.call.end()
    assert [again(calls, call).state for call in (third, other, third)] == ["running", "free", "running"]
    other.call.end()
    assert again(calls, third).state == "free"


def test_the_same_ledger_is_the_same_place() -> None:
    ledger = MemoryLedger()
    joins(RunningCalls(ledger, None), ago=2)
    assert joins(RunningCalls(MemoryLedger(), None)).state == "free"
    assert joins(RunningCalls(ledger, None)).state == "running"
    _registry.calls.clear()


class Named(MemoryLedger):
    """A ledger at a place."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Nameless:
    """A ledger that says nothing of its place."""


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [(Named("a"), Named("a"), "running"), (Named("a"), Named("b"), "free"), (Nameless(), Nameless(), "free")],
)
def test_two_objects_may_be_one_ledger(one: Any, other: Any, state: str) -> None:
    joins(RunningCalls(one, None), ago=2)
    assert joins(RunningCalls(other, None)).state == state
    _registry.calls.clear()


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [((), ("0xa",), "running"), (("0xa", "So1"), ("0xa",), "running"), (("0xb",), ("0xa",), "free")],
)
def test_another_wallet_is_not_waited_for(
    calls: RunningCalls, one: tuple[str, ...], other: tuple[str, ...], state: str
) -> None:
    joins(calls, ago=2, wanted=_paid_by(one))
    assert joins(calls, wanted=_paid_by(other)).state == state


def _paid_by(payers: tuple[str, ...]) -> Any:
    return replace(ORDER.purchase, payers=payers)


def test_a_call_that_is_overdue_itself_waits_for_its_repeat(calls: RunningCalls) -> None:
    joins(calls, ago=5)
    _registry.calls.clear()
    together = joins(calls, ago=1.9, read=9)
    assert joins(calls, ago=2, read=1).state == "free", "what started together is two purchases"
    together.call.end()
    _registry.calls.clear()
    joins(calls, ago=0.5, read=9)
    assert joins(calls, ago=2, read=1).state == "running", "the other one began after this one was given up"


#: A call that began two seconds ago, and whose caller gave up on it one second ago.
LATE: dict[str, Any] = {"ago": 2.0, "read": 1.0}


@pytest.mark.parametrize("in_thread", [True, False])
def test_a_call_that_is_overdue_itself_leaves_the_purchase_to_its_repeat(calls: RunningCalls, in_thread: bool) -> None:
    repeat, attempt = joins(calls, ago=0.5, read=9, in_thread=in_thread), Attempt()
    waits = joins(calls, **LATE)
    assert (waits.state, waits.seconds < 0) == ("running", True)
    waits.call.end()
    repeat.call.hold = HOLD
    repeat.call.flow_ended(attempt)
    assert joins(calls, **LATE).state == "running", "its answer is being read"
    repeat.call.delivered(OUTCOME)
    attempt.end()
    for _ in range(2):
        found = joins(calls, **LATE)
        assert (found.state, found.hold, found.outcome, found.call.hold) == ("replaced", OUTCOME.hold, OUTCOME, None)
        found.call.flow_ended(attempt)
    assert (_registry.calls, len(_registry.running)) == ({}, 0)


@pytest.mark.parametrize("ended", ["ended", "collected"])
def test_a_repeat_that_failed_took_no_place(calls: RunningCalls, ended: str) -> None:
    repeat = joins(calls, ago=0.5, read=9, in_thread=False)
    if ended == "ended":
        repeat.call.end()
    del repeat
    gc.collect()
    assert joins(calls, **LATE).state == "free"


@pytest.mark.parametrize(
    "said",
    [{"ago": 2.0, "read": 3.0}, {"ago": 99.0, "in_thread": False}, {"ago": 2.0, "read": 1.5}, {"ago": 0.0}],
    ids=str,
)
def test_a_delivery_is_nothing_to_a_call_in_time_or_to_one_that_began_with_it(
    calls: RunningCalls, said: dict[str, Any]
) -> None:
    joins(calls, ago=0.6, read=9).call.delivered(OUTCOME)
    assert joins(calls, **said).state == "free"


def test_the_latest_to_begin_counts_in_any_order_of_ends(calls: RunningCalls) -> None:
    latest, earlier = joins(calls, ago=0.5, read=9), joins(calls, ago=1.9, read=9)
    latest.call.delivered(OUTCOME)
    earlier.call.delivered(OUTCOME)
    assert len(_registry.delivered) == 1
    assert joins(calls, **LATE).state == "replaced"


@pytest.mark.parametrize("other", ["wallet", "purchase", "ledger"])
def test_another_purchase_takes_no_place(calls: RunningCalls, other: str) -> None:
    late, repeat, elsewhere = _paid_by(("0xa",)), _paid_by(("0xa", "So1")), calls
    if other == "wallet":
        repeat = _paid_by(("0xb",))
    elif other == "purchase":
        repeat = replace(repeat, id="another")
    else:
        elsewhere = RunningCalls(MemoryLedger(), 60.0)
    running = joins(elsewhere, ago=0.5, read=9, in_thread=False, wanted=repeat)
    assert joins(calls, **LATE, wanted=late).state == "free"
    running.call.delivered(OUTCOME)
    _registry.calls.clear()
    assert joins(calls, **LATE, wanted=late).state == "free"
    _registry.calls.clear()
    joins(calls, ago=0.5, read=9, wanted=_paid_by(("0xa", "So1"))).call.delivered(OUTCOME)
    assert joins(calls, **LATE, wanted=late).state == "replaced"


def test_it_does_not_wait_for_a_call_that_waits_for_it(calls: RunningCalls) -> None:
    first = joins(calls, ago=0.5)
    first.call.overdue_at = 0.0
    joined = joins(calls, in_thread=False)
    assert again(calls, first).state == "free"
    assert again(calls, joined).state == "running"


def test_a_thousand_deliveries_are_remembered(calls: RunningCalls) -> None:
    def delivered(number: int) -> None:
        wanted = replace(ORDER.purchase, id=f"{number}")
        joins(calls, ago=0.5, read=9, wanted=wanted).call.delivered(OUTCOME)

    for number in (*range(1_000), 0, 1_000):
        delivered(number)
    assert [name[0][1] for name in _registry.delivered] == [*map(str, range(2, 1_000)), "0", "1000"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_knows_no_call_of_its_parent(calls: RunningCalls) -> None:
    joins(calls, ago=5, read=9).call.delivered(OUTCOME)
    kept = joins(calls, ago=2, read=1.9)
    locked = threading.Event()
    go_on = threading.Event()

    def holds_the_lock() -> None:
        with _registry.lock:
            locked.set()
            go_on.wait(10)

    thread = threading.Thread(target=holds_the_lock)
    thread.start()
    locked.wait(10)
    child = os.fork()
    if child == 0:
        alone = not _registry.delivered and not _registry.running
        os._exit(0 if alone and joins(calls).state == "free" else 1)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert joins(calls).call.behind is kept.call, "the parent knows it"


LIBRARIES = [pytest.param(httpx, id="httpx"), pytest.param(httpx2, id="httpx2")]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_read_time_out_that_a_caller_of_httpx_set(library: Any) -> None:
    buyer, known = Buyer(Wallet(evm=KEY), ledger=":memory:"), Library(library, __name__)

    def read(of_client: Any = None, **said: Any) -> Any:
        with library.Client(**({} if of_client is None else {"timeout": of_client})) as client:
            request = client.build_request("GET", "http://localhost/", **said)
        return BaseCourier(buyer, known, None, request, Any).read_timeout  # type: ignore[arg-type]

    assert read() is None
    assert [read(5.0), read(5), read(library.Timeout(5.0))] == [5.0, 5, 5.0]
    assert read(library.Timeout(9, read=2)) == read(timeout=2) == read(7, timeout=2) == 2
    assert read(timeout=library.Timeout(None)) is None
    bare = library.Request("GET", "http://localhost/")
    assert BaseCourier(buyer, known, None, bare, Any).read_timeout is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timeout", "read"),
    [
        (None, None), (3, 3), (2.5, 2.5), ((1, 2), 2), ((1, None), None), (Timeout(connect=1, read=4), 4),
        (Timeout(4), 4), (Timeout(connect=1), None), (Timeout(total=6), 6), (Timeout(total=6, read=2), 2),
    ],
    ids=str,
)  # fmt: skip
def test_the_read_time_out_that_a_caller_of_requests_set(timeout: Any, read: float | None) -> None:
    buyer = Buyer(Wallet(evm=KEY), ledger=":memory:")
    request = requests.Request("GET", "http://localhost/").prepare()
    for arguments in [((False, timeout), {}), ((), {"timeout": timeout, "stream": False})]:
        courier = Courier(buyer, requests.Session().adapters["http://"], request, Body(request, 0), arguments)
        assert courier.read_timeout == read
        assert courier.reads_whole
    for arguments in [((True,), {}), ((), {"stream": True})]:
        courier = Courier(buyer, requests.Session().adapters["http://"], request, Body(request, 0), arguments)
        assert (courier.read_timeout, courier.reads_whole) == (None, False)
