"""Tests of streams: a paid answer comes piece by piece as ever, and its delivery is noticed in time."""

from __future__ import annotations

import gc

from .base import CONTENT, AdapterTestCase, Stream, needs
from .spoiling import SlowSeller

HALF = len(CONTENT) // 2


class Streams(AdapterTestCase):
    """Tests of an answer whose body the caller reads."""

    @needs("streams")
    def test_the_first_half_is_here_before_the_second_is_sent(self) -> None:
        buyer, slowly = self.buyer(), SlowSeller()
        self.gate.spoil(slowly)
        stream = self.opened(self.paying(buyer))
        assert self.read(stream, HALF) == CONTENT[:HALF]
        self.assert_unresolved(buyer)
        slowly.go_on.set()
        assert self.read(stream, HALF) == CONTENT[HALF:]
        assert self.wait(stream.read_some()) == b""
        self.wait(stream.close())
        self.assert_delivered(buyer)

    @needs("streams")
    def test_the_end_of_the_body_is_a_delivery_without_a_close(self) -> None:
        buyer = self.buyer()
        stream = self.opened(self.paying(buyer))
        assert self.read(stream, len(CONTENT) + 1) == CONTENT
        self.assert_delivered(buyer)
        self.wait(stream.close())
        self.assert_delivered(buyer)

    @needs("streams")
    def test_a_close_in_the_middle_is_a_delivery(self) -> None:
        buyer, slowly = self.buyer(), SlowSeller()
        client = self.paying(buyer)
        self.gate.spoil(slowly)
        stream = self.opened(client)
        assert self.read(stream, HALF) == CONTENT[:HALF]
        self.wait(stream.close())
        slowly.go_on.set()
        self.assert_delivered(buyer)
        assert self.get(client).body == CONTENT
        self.assert_delivered(buyer, 2)

    @needs("streams")
    def test_a_close_before_the_body_is_a_delivery(self) -> None:
        buyer = self.buyer()
        stream = self.opened(self.paying(buyer))
        self.assert_unresolved(buyer)
        self.wait(stream.close())
        self.assert_delivered(buyer)

    @needs("streams")
    def test_a_close_while_an_exception_is_under_way_is_none(self) -> None:
        buyer, slowly = self.buyer(), SlowSeller()
        client = self.paying(buyer)
        self.gate.spoil(slowly)
        if self.backend is None:
            self.close_in_trouble(client)
        else:
            self.run(lambda: self.aclose_in_trouble(client))
        slowly.go_on.set()
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)

    @needs("streams")
    def test_an_exception_that_was_under_way_before_the_call_changes_nothing(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        try:
            raise OwnError
        except OwnError:
            self.wait(self.opened(client).close())
        self.assert_delivered(buyer)

    @needs("streams")
    def test_what_is_dropped_unread_is_not_delivered(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        stream = self.opened(client)
        assert self.outcome(stream.native) is not None
        del stream
        gc.collect()
        self.assert_unresolved(buyer)
        self.assert_same_again(client, buyer)

    @needs("streams")
    def test_while_a_stream_is_open_the_same_call_is_another_purchase(self) -> None:
        buyer, slowly = self.buyer(), SlowSeller()
        client = self.paying(buyer)
        self.gate.spoil(slowly)
        stream = self.opened(client)
        assert self.get(client).body == CONTENT
        assert self.different_payments == 2
        slowly.go_on.set()
        assert self.read(stream, len(CONTENT)) == CONTENT
        self.wait(stream.close())
        self.assert_delivered(buyer, 2)

    def close_in_trouble(self, client: object) -> None:
        """Read a bit, fail, and close while the failure is handled."""
        stream = self.opened(client)
        try:
            self.wait(stream.read_some())
            raise OwnError
        except OwnError:
            self.wait(stream.close())

    async def aclose_in_trouble(self, client: object) -> None:
        """Async twin of ``close_in_trouble``, in one task."""
        stream: Stream = await self.open(client, "GET", self.url)  # type: ignore[misc]  # async, as the backend says
        try:
            await stream.read_some()  # type: ignore[misc]
            raise OwnError
        except OwnError:
            await stream.close()  # type: ignore[misc]


class OwnError(Exception):
    """Error in the caller's own code."""
