"""Tests of many calls at once, and of cancelled calls: each is paid once, and no connection is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

import anyio
import pytest

from ...errors import PaymentOutcomeUnknown, X402Error
from . import spoiling
from .base import CONTENT, TIMEOUT, AdapterTestCase, Answer, needs
from .gate import PATIENCE, Script

T = TypeVar("T")
CROWD = 8
#: More pauses than any call has.
_PAUSES = 400
#: Seconds after which a caller gives up on a thread.
_GIVEN_UP = 0.6


class Crowds(AdapterTestCase):
    """Tests that equal calls at the same time are separate purchases."""

    def test_calls_at_the_same_time_are_paid_and_delivered_once_each(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        answers = self.at_once(CROWD, lambda: self.fetch(client, "GET", self.url, read_timeout=PATIENCE))
        assert [answer.body for answer in answers] == [CONTENT] * CROWD
        assert self.different_payments == len(self.gate.payments) == CROWD
        self.assert_delivered(buyer, CROWD)

    def test_a_key_is_paid_once_by_all_who_ask_at_the_same_time(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)

        def call() -> Any:
            if self.backend is not None:
                return self.fetch_under_key(client, buyer)
            with buyer.purchase(key="order-42"):
                try:
                    return self.get(client, read_timeout=PATIENCE).status
                except X402Error:
                    return None

        found = self.at_once(4, call)
        assert [status for status in found if status is not None] == [200]
        self.assert_delivered(buyer)

    def test_a_call_whose_caller_gave_up_on_its_thread_is_joined_and_not_paid_again(self) -> None:
        if self.backend is not None:
            pytest.skip("Async callers cancel instead.")
        buyer, slowly = self.buyer(settle_timeout=60), spoiling.SlowSeller(before_headers=True)
        client = self.paying(buyer)
        self.gate.spoil(slowly)
        thread = threading.Thread(target=lambda: self.get(client, read_timeout=_GIVEN_UP), daemon=True)
        thread.start()
        try:
            until = time.monotonic() + PATIENCE
            while not self.gate.payments and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(2 * _GIVEN_UP)
            failure = self.fails(client, read_timeout=_GIVEN_UP)
        finally:
            slowly.go_on.set()
            thread.join(PATIENCE)
        assert isinstance(failure, PaymentOutcomeUnknown)
        assert self.different_payments == 1
        self.assert_delivered(buyer)

    async def fetch_under_key(self, client: Any, buyer: Any) -> int | None:
        """Make one call of an async client under a key."""
        with buyer.purchase(key="order-42"):
            try:
                answer: Answer = await self.fetch(client, "GET", self.url, read_timeout=PATIENCE)  # type: ignore[misc]
            except X402Error:
                return None
            return answer.status


class Cancelling(AdapterTestCase):
    """Tests of a call that its own program cancels."""

    @needs("backend")
    def test_cancelled_at_any_pause_the_same_call_presents_the_same_payment(self) -> None:
        buyer = self.buyer(breaker_after=None)
        client = self.paying(buyer, connections=1 if self.pools else None)
        for pause in range(1, _PAUSES):
            url = f"{self.url}?pause={pause}"
            finished = self.cancelled(self.calling(client, url), pause)
            if not finished:
                assert self.get(client, url).body == CONTENT
            assert self.settled == pause, f"cancelled at pause {pause}, it was paid twice"
            presented = {seen.payment for seen in self.gate.requests if seen.payment and url.endswith(seen.target)}
            assert len(presented) == 1
            self.assert_delivered(buyer, pause)
            if finished:
                return
        raise AssertionError("The call never ended.")

    def calling(self, client: Any, url: str) -> Callable[[], Any]:
        """Return a function that makes one call."""
        return lambda: self.fetch(client, "GET", url, read_timeout=TIMEOUT)

    @needs("backend")
    @pytest.mark.parametrize("delay", [0.0, 0.01, 0.1])
    @pytest.mark.parametrize("silent", [spoiling.hang_after_settling, spoiling.hang_body], ids=["answer", "content"])
    def test_cancelled_while_the_seller_is_silent(self, delay: float, silent: Script) -> None:
        buyer = self.buyer()
        client = self.paying(buyer, connections=1 if self.pools else None)
        self.gate.spoil(silent)
        self.run(lambda: self.given_up(client, delay))
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)

    async def given_up(self, client: Any, delay: float) -> None:
        """Make one call, and cancel it some seconds after the seller saw its payment."""

        async def call() -> None:
            await self.fetch(client, "GET", self.url, read_timeout=TIMEOUT)  # type: ignore[misc]

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            while not self.gate.payments:  # noqa: ASYNC110 - the gate's thread has no event of this loop
                await anyio.sleep(0.005)
            await anyio.sleep(delay)
            tasks.cancel_scope.cancel()

    def cancelled(self, call: Callable[[], Any], pause: int) -> bool:
        """Cancel a call when it pauses for the n-th time. Return True if it ended before."""

        async def steps() -> bool:
            with anyio.CancelScope() as scope:
                await Steps(call(), scope.cancel, pause)
                return True
            return False

        return self.run(steps)


class Steps(Awaitable[T]):
    """Awaitable that runs a coroutine, and does something when that pauses for the n-th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], happens: Callable[[], object], pause: int) -> None:
        self._coroutine, self._happens, self._pause = coroutine, happens, pause

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._coroutine.__await__()
        pauses, failure, value = 0, None, None
        while True:
            try:
                waiting = steps.throw(failure) if failure is not None else steps.send(value)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            pauses += 1
            if pauses == self._pause:
                self._happens()
            failure = value = None
            try:
                value = yield waiting
            except BaseException as thrown:
                failure = thrown
