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


def failed(body: bytes, encodings: str = "", size: int = 7, kind: str = "", number: int | str = 1) -> bool:
    answer = ToolAnswer(number, encodings, kind)
    for start in range(0, len(body), size):
        answer.add(body[start : start + size])
    return answer.failed()


@pytest.mark.parametrize(
    ("message", "yes"),
    [
        ({"result": {"content": []}}, False),
        ({"result": {"content": [{"type": "text", "text": "Sun."}, {"type": "image", "data": ""}]}}, False),
        ({"result": {"content": [], "isError": False, "resultType": "complete"}}, False),
        ({"result": {"content": []}, "error": None}, False),
        ({"result": {"content": []}, "id": "1"}, False),  # mcp takes it
        ({"result": {"content": [], "isError": True}}, True),
        ({"result": {"content": [], "isError": 1}}, True),  # mcp reads it as true
        ({"result": {"content": [], "resultType": "input_required"}}, True),
        ({"result": {"content": "Sun."}}, True),
        ({"result": {"content": ["Sun."]}}, True),
        ({"result": {"content": [{"text": "Sun."}]}}, True),
        ({"result": {"content": [{"type": "text"}]}}, True),
        ({"result": {}}, True),
        ({"result": "ok"}, True),
        ({"result": None}, True),
        ({"result": None, "error": {"code": -32603}}, True),
        ({"result": {"content": []}, "error": {"code": -32603}}, True),
        ({"result": {"content": []}, "id": 2}, True),
        ({"result": {"content": []}, "id": True}, True),
        ({"result": {"content": []}, "id": None}, True),
        ({"result": {"content": []}, "id": [1]}, True),
        ({"result": {"content": []}, "jsonrpc": True}, True),
        ({"result": {"content": []}, "method": "ping"}, True),
        ([{"jsonrpc": "2.0", "id": 1, "result": {"content": []}}], True),
        (None, True),
    ],
)
def test_a_result_with_the_id_of_the_call_is_content_and_nothing_else_is(message: object, yes: bool) -> None:
    whole = {"jsonrpc": "2.0", "id": 1, **message} if isinstance(message, dict) else message
    text = json.dumps(whole).encode()
    assert failed(text) is yes
    assert failed(b"data: " + text + b"\n\n") is yes


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        GOOD[:-1],
        GOOD.decode().encode("utf-16"),
        GOOD.replace(b"[]", b'[{"type": "text", "text": "\xff"}]'),
        GOOD.replace(b"[]", b'[], "structuredContent": ' + b"[" * 250 + b"]" * 250),
        GOOD.replace(b"1", b"9" * 5_000),
        b"[" * 100_000,
        b"data: <html>\n\n",
    ],
)
def test_what_cannot_be_read_is_no_content(body: bytes) -> None:
    assert failed(body, size=50_000)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_answer_is_found_among_events(end: bytes) -> None:
    event = end.join([b"event: message", b"id: 7", b"data: " + GOOD, b"", b""])
    told = end.join([b": a comment", b"data:" + TOLD, b"", b""])
    assert not failed(told + event)
    assert not failed(end.join([b"data: " + GOOD[:18], b"data: " + GOOD[18:], b"", b""]))
    assert failed(told)
    assert failed((told + event).rstrip())  # its end did not come, and a client reads none of it
    assert failed(told + event.replace(b"message", b"other"))
    assert failed(told + event.replace(GOOD, BAD) + event)  # the first answer counts


def test_the_type_says_how_it_is_read() -> None:
    event = b"data: " + GOOD + b"\n\n"
    assert not failed(event, kind="text/event-stream; charset=utf-8")
    assert not failed(GOOD, kind="application/json")
    assert failed(GOOD, kind="Text/Event-Stream")
    assert failed(event, kind="Application/JSON")


def test_the_encoding_is_undone_as_far_as_it_came() -> None:
    event = b"data: " + GOOD + b"\n\n"
    machine = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    left_early = machine.compress(event) + machine.flush(zlib.Z_SYNC_FLUSH)
    assert not failed(gzip.compress(GOOD), "gzip")
    assert not failed(left_early, "gzip")
    assert not failed(GOOD, "gzip")  # unfolded by the library already
    assert failed(gzip.compress(BAD), "gzip")
    assert failed(gzip.compress(GOOD), "gzip, gzip")
    assert failed(gzip.compress(GOOD), "unknown")


LARGE = GOOD.replace(b"[]", b'[{"type": "text", "text": "' + b"a" * MOST_BYTES + b'"}]')


@pytest.mark.parametrize("encodings", ["", "gzip"])
def test_a_result_beyond_the_bound_goes_by_its_beginning(encodings: str) -> None:
    def fails(body: bytes) -> bool:
        return failed(gzip.compress(body, 1) if encodings else body, encodings, size=MOST_BYTES // 2)

    last = b'{"jsonrpc": "2.0", ' + LARGE[LARGE.index(b'"result"') : -1] + b', "id": 1}'
    assert not fails(LARGE)
    assert not fails(last)  # its id is beyond
    assert not fails(b"data: " + LARGE + b"\n\n")
    assert fails(LARGE.replace(b'"id": 1', b'"id": 2'))
    assert fails(LARGE.replace(b'"content"', b'"isError": true, "content"'))
    assert fails(b"a" * (MOST_BYTES + 1))


def test_what_is_closed_before_its_end_is_no_content_if_the_end_is_beyond_the_bound() -> None:
    answer = ToolAnswer(1)
    answer.add(LARGE.replace(b"aaaa", b"aaaaaaaaaaaa"))
    answer.closed = True
    assert answer.failed()


def test_events_that_were_read_make_room_for_more() -> None:
    told = b"data: " + TOLD + b" " * (MOST_BYTES // 2) + b"\n\n"
    good, bad = b"data: " + GOOD + b"\n\n", b"data: " + BAD + b"\n\n"
    assert not failed(told * 5 + good, size=MOST_BYTES // 3)
    assert not failed(told * 5 + good, size=10**9)
    assert not failed(good + told * 5 + bad, size=10**9)
    assert failed(bad + told * 5 + good, size=10**9)
    assert failed(told * 5, size=10**9)
