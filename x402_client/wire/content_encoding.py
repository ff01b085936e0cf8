"""Decoders of a 402's body that stay within bounds: a small body must not unfold into a large one."""

from __future__ import annotations

import zlib
from typing import Any

#: The most encodings of one body. Each takes its time, and no honest server applies more than two.
_MOST = 4


def decoded(body: bytes, encodings: str, limit: int) -> bytes | None:
    """Return the body without its content encodings.

    Return None if it is larger than ``limit``, and an empty body if it cannot be decoded.
    """
    names = [part.strip().lower() for part in encodings.split(",") if part.strip()]
    if len(names) > _MOST:
        return b""
    for name in reversed(names):
        undo = _UNDO.get(name)
        undone = undo(body, limit, True) if undo else None
        if undone is None:
            return b""
        if len(undone) > limit:
            return None
        body = undone
    return body


def beginning(body: bytes, encodings: str, limit: int) -> bytes:
    """Return what a body that may have been left early unfolds into: ``limit`` bytes, and one more if it is longer."""
    names = [part.strip().lower() for part in encodings.split(",") if part.strip()]
    for name in reversed(names[: _MOST + 1]):
        undo = _UNDO.get(name)
        body = (undo(body, limit, False) if undo and len(names) <= _MOST else None) or b""
    return body[: limit + 1]


def _inflate(body: bytes, limit: int, whole: bool, wbits: int) -> bytes | None:
    machine = zlib.decompressobj(wbits)
    try:
        out = machine.decompress(body, limit + 1)
    except zlib.error:
        return None
    return out if machine.eof or len(out) > limit or not whole else None


def _gzip(body: bytes, limit: int, whole: bool) -> bytes | None:
    return _inflate(body, limit, whole, zlib.MAX_WBITS | 16)


def _deflate(body: bytes, limit: int, whole: bool) -> bytes | None:
    """Decode the zlib format, else raw deflate: servers mean either by the name."""
    plain = _inflate(body, limit, whole, zlib.MAX_WBITS)
    return plain if plain is not None else _inflate(body, limit, whole, -zlib.MAX_WBITS)


def _zstd(body: bytes, limit: int, whole: bool) -> bytes | None:
    try:
        import zstandard  # pyright: ignore[reportMissingImports]  # may be there
    except ImportError:
        return None
    try:
        reader: Any = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).stream_reader(body)
        return bytes(reader.read(limit + 1))
    except zstandard.ZstdError:
        return None


def _brotli(body: bytes, limit: int, whole: bool) -> bytes | None:
    """Decode with a Brotli that can bound its output. An older one is not called."""
    try:
        import brotli  # pyright: ignore[reportMissingImports]  # may be there
    except ImportError:
        return None
    machine = brotli.Decompressor()
    try:
        out = bytes(machine.process(body, output_buffer_limit=limit + 1))
    except (brotli.error, TypeError):
        return None
    return out if machine.is_finished() or len(out) > limit or not whole else None


_UNDO = {
    "identity": lambda body, limit, whole: body,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "br": _brotli,
}
