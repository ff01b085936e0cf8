"""Memory stays within a few megabytes with any answer of a server: measured from outside, as the system counts it."""

from __future__ import annotations

import gzip
import subprocess
import sys

import pytest

from tests.adapters.cash_register import Till, encoded
from tests.adapters.scripted_server import Exchange, Server

TERMS = Till(2).terms()[0]
MEGABYTES = 6
#: Asks for everything once in small, then for what is hostile, and says how much more memory that took at its peak.
CHILD = """
import asyncio, resource, sys
import httpx, httpx2, requests
import x402_client.httpx, x402_client.httpx2, x402_client.requests
from x402_client import Buyer, Policy, Wallet
from x402_client.wire import Bounds

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def buyer():
    return Buyer(Wallet(evm="0x" + "42" * 32), Policy(per_request="1"), ledger=":memory:", bounds=Bounds(terms_time=1))

def sync(library, shell):
    def ask(url):
        native = requests.Session() if library is requests else library.Client(trust_env=False)
        with shell.wrap(native, buyer()) as client:
            client.get(url)
    return ask

def awaited(library, shell):
    def ask(url):
        async def run():
            async with shell.wrap(library.AsyncClient(trust_env=False), buyer()) as client:
                await client.get(url)
        asyncio.run(run())
    return ask

ask = {
    "httpx": sync(httpx, x402_client.httpx), "httpx2": sync(httpx2, x402_client.httpx2),
    "requests": sync(requests, x402_client.requests), "async httpx": awaited(httpx, x402_client.httpx),
    "async httpx2": awaited(httpx2, x402_client.httpx2),
}[sys.argv[1]]
for path in ("small", *sys.argv[3:]):
    before = peak()
    try:
        ask(sys.argv[2] + path)
    except Exception as failure:
        said = type(failure).__name__
    else:
        sys.exit("nothing was raised")
    print(path, peak() - before, said)
"""


def bomb(exchange: Exchange) -> None:
    exchange.answer(402, gzip.compress(bytes(200_000_000)), [*TERMS, ("Content-Encoding", "gzip")])


def endless(exchange: Exchange) -> None:
    exchange.head(402, TERMS)
    for _ in range(4_000):
        exchange.chunk(b"x" * 50_000)
    exchange.leave()


def dripped(exchange: Exchange) -> None:
    """As fast as it goes, for as long as anybody listens, in the head of one chunk."""
    exchange.head(402, TERMS)
    exchange.send(b"1;")
    for _ in range(100_000):
        exchange.send(b"x" * 10)
    exchange.leave()


def headers(exchange: Exchange) -> None:
    terms = {"x402Version": 2, "accepts": [], "padding": "x" * 40_000}
    exchange.answer(402, b"{" + b" " * 250_000, [("PAYMENT-REQUIRED", encoded(terms))])


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs")
@pytest.mark.parametrize("library", ["httpx", "async httpx", "httpx2", "async httpx2", "requests"])
def test_a_few_megabytes(server: Server, library: str) -> None:
    server.on("/small", lambda ex: ex.answer(402, b"{" + b" " * 300_000, TERMS))
    hostile = {script.__name__: script for script in (headers, dripped, endless, bomb)}
    for name, script in hostile.items():
        server.on(f"/{name}", script)
    command = [sys.executable, "-c", CHILD, library, server.url("/"), *hostile]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    _, *lines = (line.split() for line in ran.stdout.splitlines())
    assert [name for name, _, _ in lines] == list(hostile)
    for name, grown, said in lines:
        assert int(grown) < MEGABYTES * 1024, f"{name} took {grown} kB"
        # Of a chunk whose head has no end the libraries themselves have had enough, before the clock has.
        assert said == "MalformedQuote" or name == "dripped"
