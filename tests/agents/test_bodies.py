"""The beginning of a body is unfolded up to the bound, and never more of it at once."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from x402_client.agents.bodies import start_of

POEM = b"Roses are red. " * 40


def raw_deflate(body: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()


def in_pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[place : place + size] for place in range(0, len(body), size))


FOLDED = {
    "gzip": gzip.compress(POEM), "x-gzip": gzip.compress(POEM), "deflate": zlib.compress(POEM),
    "deflate, raw": raw_deflate(POEM), "gzip in members": gzip.compress(POEM[:50]) + gzip.compress(POEM[50:]),
    "gzip with more": gzip.compress(POEM) + b"more" + gzip.compress(b"much more"),
    "deflate with more": zlib.compress(POEM) + b"more",
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("kind", FOLDED)
def test_a_body_is_unfolded_in_whatever_pieces_it_comes(kind: str, size: int) -> None:
    encoding = kind.partition(",")[0].partition(" ")[0]
    assert start_of(in_pieces(FOLDED[kind], size), encoding, 1_000) == (POEM, False, "", False)
    assert start_of(in_pieces(FOLDED[kind], size), encoding, len(POEM)) == (POEM, False, "", False)
    assert start_of(in_pieces(FOLDED[kind], size), encoding, 100) == (POEM[:100], True, "", False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_small_chunk_does_not_become_a_large_one(encoding: str) -> None:
    machine = zlib.compressobj(wbits=zlib.MAX_WBITS | (16 if encoding == "gzip" else 0))
    bomb = b"".join([*(machine.compress(bytes(1_000_000)) for _ in range(64)), machine.flush()])
    assert len(bomb) < 70_000
    tracemalloc.start()
    found = start_of([bomb], encoding, 50_000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == (bytes(50_000), True, "", False)
    assert most < 1_000_000


def test_a_body_that_unfolds_into_nothing_for_ever_is_left() -> None:
    taken = 0

    def empty() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield gzip.compress(b"") * 500

    assert start_of(empty(), "gzip", 1_000) == (b"", True, "", False)
    assert taken < 10


@pytest.mark.parametrize(
    ("body", "encodings", "told"),
    [
        (POEM, "gzip", (POEM, False, "gzip", False)),
        (POEM, "deflate", (POEM, False, "deflate", False)),
        (POEM * 10, "gzip", ((POEM * 10)[:1_000], True, "gzip", False)),
        (FOLDED["gzip"], "gzip, gzip", (FOLDED["gzip"], False, "gzip, gzip", False)),
        (FOLDED["gzip"], "br", (FOLDED["gzip"], False, "br", False)),
        (FOLDED["gzip"][:-8] + b"a sum it", "gzip", (FOLDED["gzip"][:-8] + b"a sum it", False, "gzip", False)),
        (b"", "gzip", (b"", False, "", False)),
        (POEM, "", (POEM, False, "", False)),
        (FOLDED["gzip"][:-9], "gzip", (POEM, True, "", True)),
        (FOLDED["gzip"][:10], "gzip", (b"", True, "", True)),
        (FOLDED["deflate"][:-1], "deflate", (POEM, True, "", True)),
    ],
    ids=range(11),
)
def test_what_cannot_be_unfolded_comes_as_it_is(body: bytes, encodings: str, told: tuple[Any, ...]) -> None:
    assert start_of(in_pieces(body, 100), encodings, 1_000) == told
