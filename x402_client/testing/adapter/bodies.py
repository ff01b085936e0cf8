"""Tests of request bodies: they arrive whole with the payment too, and are part of the purchase."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .base import CONTENT, AdapterTestCase, needs
from .spoiling import drop_after_settling

LARGE = bytes(range(256)) * 8192
#: The size of a body that can be read only once, and is small enough to be kept.
ONCE = 256 * 1024
#: Changes that make a request another purchase.
OTHERS: dict[str, dict[str, Any]] = {
    "body": {"body": b"other"},
    "no body": {"body": None},
    "method": {"method": "PUT"},
    "query": {"query": "a=2"},
    "range": {"headers": [("Range", "bytes=0-9")]},
}
PIECES = [b"first ", b"second ", b"third"]


class Bodies(AdapterTestCase):
    """Tests that a body arrives whole twice: with the first request, and with the payment."""

    @pytest.mark.parametrize(
        ("body", "wire"),
        [
            (b"bytes \0\xff", b"bytes \0\xff"),
            ("t\N{LATIN SMALL LETTER E WITH ACUTE}xt", b"t\xc3\xa9xt"),
            (LARGE, LARGE),
        ],
        ids=["bytes", "text", "large"],
    )
    def test_a_body_in_memory_arrives_whole_with_the_payment(self, body: Any, wire: bytes) -> None:
        self.assert_arrives(lambda: body, wire)

    @needs("one_shot_bodies")
    def test_a_body_that_can_be_read_once_arrives_whole_with_the_payment(self) -> None:
        self.assert_arrives(lambda: self.one_shot(PIECES), b"".join(PIECES))

    @needs("one_shot_bodies")
    def test_a_large_body_that_can_be_read_once_arrives_whole(self) -> None:
        self.assert_arrives(lambda: self.one_shot(in_pieces(LARGE[:ONCE], 8192)), LARGE[:ONCE])

    @needs("files")
    def test_a_file_arrives_whole_with_the_payment(self) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(LARGE)
            self.assert_arrives(lambda: rewound(file, 0), LARGE)

    @needs("files")
    def test_a_file_is_sent_from_where_it_stood(self) -> None:
        try:
            self.get(self.paying(None), method="POST", body=half_read())
        except Exception as failure:
            pytest.skip(f"The bare client cannot send such a file: {failure}")
        self.gate.requests.clear()
        self.assert_arrives(half_read, b"to be sent")

    @pytest.mark.parametrize("what", OTHERS)
    def test_another_request_is_another_purchase(self, what: str) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        self.fails(client, **self.request())
        assert self.get(client, **self.request(**OTHERS[what])).body == CONTENT
        assert self.different_payments == 2
        assert len(buyer.holds()) == 1

    def test_headers_are_no_part_of_a_purchase(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        self.fails(client, headers=[("X-Request-Id", "1"), ("Authorization", "Bearer one")])
        self.assert_same_again(client, buyer, headers=[("X-Request-Id", "2")])

    def request(self, query: str = "a=1", **other: Any) -> dict[str, Any]:
        """Return the keywords of a call, with some of them changed."""
        return {"method": "POST", "body": b"one", "url": f"{self.url}?{query}", **other}

    def assert_arrives(self, body: Callable[[], Any], wire: bytes) -> None:
        """Check that a body arrives twice, and that the same body is the same purchase."""
        buyer = self.buyer()
        client = self.paying(buyer)
        self.gate.spoil(drop_after_settling)
        self.fails(client, method="POST", body=body())
        self.assert_same_again(client, buyer, method="POST", body=body())
        for seen in self.gate.requests:
            assert seen.body == wire
        assert len(self.gate.requests) == 4


def rewound(file: Any, place: int) -> Any:
    """Return a file, moved to a place."""
    file.seek(place)
    return file


def half_read() -> Any:
    """Return a file that was partly read."""
    return rewound(io.BytesIO(b"read before. to be sent"), 13)


def in_pieces(body: bytes, size: int) -> Iterator[bytes]:
    """Yield a body in pieces of this size."""
    yield from (body[place : place + size] for place in range(0, len(body), size))
