"""Content encodings are undone within bounds; what unfolds into more is not read at all."""

from __future__ import annotations

import gzip
import sys
import zlib
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.wire.content_encoding import decoded

TEXT = b'{"x402Version":1}' * 20
BOMB = gzip.compress(b"\0" * 10_000_000)


def raw_deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(data) + machine.flush()


@pytest.mark.parametrize(
    ("body", "encodings"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), " GZip "),
        (gzip.compress(TEXT, mtime=0), "x-gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
        (gzip.compress(zlib.compress(TEXT), mtime=0), "deflate, gzip"),
        (gzip.compress(TEXT, mtime=0), "identity,,gzip"),
    ],
)
def test_the_usual_encodings(body: bytes, encodings: str) -> None:
    assert decoded(body, encodings, 10_000) == TEXT


@pytest.mark.parametrize(
    ("body", "encodings"),
    [
        (gzip.compress(TEXT, mtime=0)[:-12], "gzip"),
        (b"not gzip", "gzip"),
        (b"\xff\xff", "deflate"),
        (TEXT, "gzip"),
        (TEXT, "sdch"),
        (gzip.compress(TEXT, mtime=0), "gzip, gzip"),
        (b"", "gzip"),
        (TEXT, ", ".join(["identity"] * 5)),
    ],
)
def test_what_cannot_be_undone_says_nothing(body: bytes, encodings: str) -> None:
    assert decoded(body, encodings, 10_000) == b""


@pytest.mark.parametrize("encodings", ["gzip", "gzip, gzip", "identity, gzip"])
def test_a_small_body_does_not_unfold_into_a_large_one(encodings: str) -> None:
    body = gzip.compress(BOMB, mtime=0) if encodings == "gzip, gzip" else BOMB
    assert decoded(body, encodings, 100_000) is None


def test_the_bound_itself_fits() -> None:
    assert decoded(gzip.compress(TEXT, mtime=0), "gzip", len(TEXT)) == TEXT
    assert decoded(gzip.compress(TEXT, mtime=0), "gzip", len(TEXT) - 1) is None
    assert decoded(TEXT, "identity", len(TEXT) - 1) is None


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "zstd", "br", "gzip, deflate", "x"]))
def test_any_bytes_are_undone_or_not(body: bytes, encodings: str) -> None:
    found = decoded(body, encodings, 50)
    assert found is None or len(found) <= 50


class Zstd(ModuleType):
    """The part of zstandard's surface that is used, over the standard library's codec."""

    class ZstdError(Exception):
        """As the library names it."""

    class ZstdDecompressor:
        """Undoes deflate, which is as good for the purpose."""

        def __init__(self, max_window_size: int) -> None:
            assert max_window_size <= 8 * 1024 * 1024

        def stream_reader(self, body: bytes) -> Zstd.Reader:
            return Zstd.Reader(body)

    class Reader:
        """One body, read up to a size."""

        def __init__(self, body: bytes) -> None:
            self.body = body

        def read(self, size: int) -> bytes:
            try:
                return zlib.decompressobj().decompress(self.body, size)
            except zlib.error as problem:
                raise Zstd.ZstdError from problem


class Brotli(ModuleType):
    """The part of brotli's surface that is used, over the standard library's codec."""

    error = zlib.error

    class Decompressor:
        """As of brotli 1.2, which can bound its output."""

        def __init__(self) -> None:
            self.machine = zlib.decompressobj()

        def process(self, body: bytes, output_buffer_limit: int) -> bytes:
            return self.machine.decompress(body, output_buffer_limit)

        def is_finished(self) -> bool:
            return self.machine.eof


class OldBrotli(ModuleType):
    """An older one takes no bound."""

    error = zlib.error

    class Decompressor:
        """Its ``process`` has one argument."""

        def process(self, body: bytes) -> bytes:
            raise AssertionError("not asked")


@pytest.mark.parametrize(("name", "module"), [("zstd", Zstd("zstandard")), ("br", Brotli("brotli"))])
def test_zstd_and_brotli_where_their_libraries_are(
    name: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert decoded(zlib.compress(TEXT), name, 10_000) == TEXT
    assert decoded(zlib.compress(b"\0" * 1_000_000), name, 10_000) is None
    assert decoded(b"garbage", name, 10_000) == b""


def test_a_brotli_body_that_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", Brotli("brotli"))
    assert decoded(zlib.compress(TEXT)[:-6], "br", 10_000) == b""


def test_a_brotli_that_cannot_bound_its_output_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", OldBrotli("brotli"))
    assert decoded(zlib.compress(TEXT), "br", 10_000) == b""


@pytest.mark.parametrize(("name", "module"), [("zstd", "zstandard"), ("br", "brotli")])
def test_without_their_libraries_they_are_not_read(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert decoded(zlib.compress(TEXT), name, 10_000) == b""
