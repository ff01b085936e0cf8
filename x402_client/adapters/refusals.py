"""A 402 that is handed back because payment was refused: its head, made to fit the body that says why."""

from __future__ import annotations

from collections.abc import Iterable

#: Headers that speak of the body as the seller sent it.
_OF_THE_BODY = frozenset({
    "content-digest", "content-encoding", "content-length", "content-md5", "content-type", "digest", "etag",
    "repr-digest", "trailer", "transfer-encoding",
})  # fmt: skip


def lines_about_refusal(lines: Iterable[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
    """Return the header lines of a 402 whose body is now ``body``, a JSON document of ours."""
    kept = [line for line in lines if line[0].lower() not in _OF_THE_BODY]
    return [*kept, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]


def raw_lines_about_refusal(lines: Iterable[tuple[bytes, bytes]], body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the same for lines in bytes, which may be in any encoding."""
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines_about_refusal(texts, body)]
