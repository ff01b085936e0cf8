"""The HTTP answer to a tool call: an error in it is told from content, however it is wrapped."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from x402_client.wire.tool_answers import MOST_BYTES, ToolAnswer

BAD = b'{"jsonrpc": "2.0", "id": 1, "result": {"isError": true, "content": []}}'
GOOD = b'{"jsonrpc": "2.0", "id": 1, "result": {"content": []}}'
TOLD = b'{"jsonrpc": "2.0", "method": "notifications/progress", "params": {"error": 1}}'


def failed(body: bytes, encodings: str = "", size: int = 7) -> bool:
    answer = ToolAnswer(encodings)
    for start in range(0, len(body), size):
        answer.add(body[start : start + size])
    return answer.failed()


@pytest.mark.parametrize(
    ("message", "yes"),
    [
        ({"result": {"content": [], "isError": True}}, True),
        ({"result": {"content": [], "isError": 1}}, True),  # mcp reads it as true
        ({"result": {"content": [], "isError": False}}, False),
        ({"result": {"resultType": "input_required"}}, True),
        ({"result": {"resultType": "complete", "content": []}}, False),
        ({"result": None, "error": {"code": -32603}}, True),
        ({"result": {"content": []}, "error": None}, False),
        ({"result": "ok"}, False),
        ({"method": "ping", "error": {"code": 1}}, False),
        ([], False),
    ],
)
def test_errors_are_told_from_content(message: object, yes: bool) -> None:
    assert failed(json.dumps(message).encode()) is yes


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": ', b"[" * 100_000, b"data: <html>\n\n"])
def test_what_cannot_be_read_is_no_error(body: bytes) -> None:
    assert not failed(body, size=50_000)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_answer_is_found_among_events(end: bytes) -> None:
    event = end.join([b"event: message", b"id: 7", b"data: " + BAD, b"", b""])
    told = end.join([b": a comment", b"data:" + TOLD, b"", b""])
    assert failed(b"\xef\xbb\xbf" + told + event)
    assert failed(told + event.rstrip())  # its last line end did not come
    assert failed(end.join([b"data: " + BAD[:18], b"data: " + BAD[18:], b"", b""]))
    assert not failed(told + end.join([b"data: " + GOOD, b"", b""]))


def test_the_encoding_is_undone_as_far_as_it_came() -> None:
    event = b"data: " + BAD + b"\n\n"
    machine = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    left_early = machine.compress(event) + machine.flush(zlib.Z_SYNC_FLUSH)
    assert failed(gzip.compress(BAD), "gzip")
    assert failed(left_early, "gzip")
    assert failed(BAD, "gzip")  # unfolded by the library already
    assert not failed(gzip.compress(GOOD), "gzip")


def test_an_answer_beyond_the_bound_is_not_judged() -> None:
    long = BAD + b" " * (MOST_BYTES - len(BAD))
    assert failed(long, size=MOST_BYTES)
    assert not failed(long + b" ", size=MOST_BYTES)
    assert not failed(gzip.compress(long + b" "), "gzip", size=MOST_BYTES)
