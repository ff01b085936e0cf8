"""The way to a facilitator over real sockets: bounded in size, time and redirects, and never over plain http."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest

from tests.adapters.scripted_server import Exchange, Script, Server
from x402_client import errors
from x402_client.discovery import fetching, survey
from x402_client.discovery.fetching import Fetcher
from x402_client.discovery.survey import Answer, Question
from x402_client.model.hosts import Pattern

LIST = b'{"items": []}'
PATH = "/discovery/resources"
Fetch = Callable[[Fetcher, Question], Answer]


def _sync(fetcher: Fetcher, question: Question) -> Answer:
    return fetcher.fetch(question)


def _async(fetcher: Fetcher, question: Question) -> Answer:
    return anyio.run(fetcher.afetch, question)


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    found: Fetch = request.param
    return found


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


def whole(*answered: Any, headers: tuple[tuple[str, str], ...] = ()) -> Script:
    return lambda exchange: exchange.answer(*answered, headers=headers)


def test_a_page_is_fetched_with_what_can_be_unpacked(fetch: Fetch, server: Server) -> None:
    url = server.on(PATH, whole(200, gzip.compress(LIST), headers=(("Content-Encoding", "gzip"),)))
    answer = fetch(Fetcher(5, {"Authorization": "Bearer k", "accept-encoding": "br"}), Question(f"{url}?limit=100"))
    assert (answer.status, answer.body, answer.problem) == (200, LIST, "")
    [seen] = server.requests
    assert (seen.target, seen.header("authorization")) == (f"{PATH}?limit=100", "Bearer k")
    assert seen.all("accept-encoding") == ["gzip, deflate"]


def test_a_busy_facilitator_says_how_long(fetch: Fetch, server: Server) -> None:
    url = server.on(PATH, whole(429, b"", headers=(("Retry-After", "2"),)))
    assert fetch(Fetcher(5), Question(url)) == Answer(429, b"", 2.0)


@pytest.mark.parametrize("packed", [False, True])
def test_a_page_that_is_too_large_is_dropped(fetch: Fetch, server: Server, packed: bool) -> None:
    body = b" " * (fetching.MOST_BYTES + 1)
    headers = (("Content-Encoding", "gzip"),) if packed else ()
    url = server.on(PATH, whole(200, gzip.compress(body, 1) if packed else body, headers=headers))
    assert fetch(Fetcher(30), Question(url)).problem == f"its answer has more than {fetching.MOST_BYTES} bytes"


@pytest.mark.parametrize(
    ("start", "byte"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{", b" "),
    ],
    ids=["head", "body", "head of a chunk", "until the end"],
)
def test_a_page_that_drips_is_cut_off(fetch: Fetch, server: Server, start: bytes, byte: bytes) -> None:
    reached, over, gone = threading.Event(), threading.Event(), threading.Event()

    def drip(exchange: Exchange) -> None:
        reached.set()
        try:
            exchange.send(start)
            while not over.wait(0.02):
                exchange.send(byte)
        except OSError:
            gone.set()
        exchange.leave()

    try:
        assert fetch(Fetcher(0.3), Question(server.on(PATH, drip))).problem == "it was too slow"
        assert gone.wait(10) or not reached.is_set()  # on a busy machine the time may be up before it is connected
    finally:
        over.set()


def test_a_connection_that_breaks_is_named_without_the_url(fetch: Fetch, server: Server) -> None:
    answer = fetch(Fetcher(5), Question(server.on(PATH, Exchange.cut) + "?key=secret"))
    assert answer.problem.startswith(("ReadError", "RemoteProtocolError"))
    assert "secret" not in answer.problem


def test_redirects_are_followed_and_take_no_key_elsewhere(fetch: Fetch, server: Server) -> None:
    with Server() as other:
        there = other.on("/list", whole(200, LIST))
        server.on("/moved", whole(302, b"", headers=(("Location", there),)))
        url = server.on(PATH, whole(308, b"", headers=(("Location", "/moved"),)))
        assert fetch(Fetcher(5, {"X-Api-Key": "k"}), Question(url)).body == LIST
        assert [seen.header("x-api-key") for seen in (*server.requests, *other.requests)] == ["k", "k", None]


def test_a_redirect_to_plain_http_is_not_followed(fetch: Fetch, server: Server) -> None:
    url = server.on(PATH, whole(302, b"", headers=(("Location", "http://facilitator.example/list"),)))
    assert fetch(Fetcher(5), Question(url)).problem == (
        "it redirects to http://facilitator.example, which is not https, so anybody on the way could change the list; "
        "Policy(http_hosts=['facilitator.example']) allows it."
    )


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://a.example/"])
def test_a_redirect_to_another_kind_of_place_is_not_followed(fetch: Fetch, server: Server, where: str) -> None:
    url = server.on(PATH, whole(302, b"", headers=(("Location", where),)))
    assert "it redirects to" in fetch(Fetcher(5), Question(url)).problem


def test_redirects_in_a_circle_end(fetch: Fetch, server: Server) -> None:
    url = server.on(PATH, whole(302, b"", headers=(("Location", PATH),)))
    assert fetch(Fetcher(5), Question(url)).problem == "it redirects more than 3 times"
    assert len(server.requests) == 4


def test_a_redirect_that_leads_nowhere_is_a_failure(fetch: Fetch, server: Server) -> None:
    url = server.on(PATH, whole(302, b"", headers=(("Location", "http://[/"),)))
    assert fetch(Fetcher(5), Question(url)).problem


def test_plain_http_elsewhere_needs_the_policys_word() -> None:
    import httpx

    url = httpx.URL("http://facilitator.example/x402")
    with pytest.raises(errors.ConfigurationError, match=r"http://facilitator\.example is not https"):
        Fetcher(5).check_way(url)
    Fetcher(5, http_hosts=(Pattern.parse("facilitator.example"),)).check_way(url)
    Fetcher(5).check_way(httpx.URL("http://localhost:8402"))


def test_it_waits_as_long_as_a_question_says(fetch: Fetch, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    here, sleep_of_others = threading.get_ident(), time.sleep

    def sleep(seconds: float) -> None:
        # The module is everybody's: a thread that an earlier test left behind sleeps on.
        waited.append(seconds) if threading.get_ident() == here else sleep_of_others(seconds)

    async def asleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(anyio, "sleep", asleep)
    fetch(Fetcher(5), Question(server.on(PATH, whole(200, LIST)), wait=survey._PAUSE))
    assert waited == [survey._PAUSE]


def test_a_cancelled_task_leaves_no_connection(server: Server) -> None:
    reached, gone = threading.Event(), threading.Event()

    def silent(exchange: Exchange) -> None:
        reached.set()
        gone.set() if exchange._source.read(1) == b"" else None

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(Fetcher(30).afetch, Question(server.on(PATH, silent))))
            await anyio.to_thread.run_sync(reached.wait, 10)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert gone.wait(10)
