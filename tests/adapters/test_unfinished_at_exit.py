"""A program ends while a paid answer is read: it does end, and the next one is told what became of the payment."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import x402_client.httpx
from tests.ledgers.redis.server import Server as Redis

from .cash_register import Till
from .checks import new_buyer
from .scripted_server import Exchange, Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Seconds in which a program ends on a busy machine. One that hangs never does.
_ENDS = 60
_BEGINNING = """
import os, signal, sys, httpx, requests
import x402_client.httpx, x402_client.requests
from tests.adapters.checks import new_buyer
url, place = sys.argv[1:]
buyer = new_buyer(ledger=place, on_event=bool)
client = x402_client.httpx.wrap(httpx.Client(), buyer)
session = x402_client.requests.wrap(requests.Session(), buyer)
def by_httpx():
    with client.stream("GET", url) as answer:
        yield from answer.iter_bytes(1000)
def by_requests():
    with session.get(url, stream=True) as answer:
        yield from answer.iter_content(1000)
class Kept:
    def __init__(self, pieces):
        self.pieces = pieces
        next(pieces)
    def __del__(self):
        self.pieces.close()
"""
#: How a program leaves the answer, with ``PIECES`` for a generator that reads it.
LEFT = {
    "kept": "pieces = PIECES\nnext(pieces)",
    "an exception": "pieces = PIECES\nfor piece in pieces: raise ValueError",
    "an exception in a function": "def main():\n    for piece in PIECES: raise ValueError\nmain()",
    "sys.exit": "def main():\n    pieces = PIECES\n    for piece in pieces: sys.exit(1)\nmain()",
    "Ctrl-C": "pieces = PIECES\nfor piece in pieces: os.kill(os.getpid(), signal.SIGINT)",
    "an object that closes it": "kept = Kept(PIECES)",
    "a failure that is kept": "class Mine: pass\nmine = Mine()\ntry:\n    for piece in PIECES: raise ValueError\n"
    "except ValueError as failure: mine.failure = failure",
}


def goods(exchange: Exchange, till: Till) -> None:
    exchange.answer(200, b"x" * 50_000, [till.receipt()])


@pytest.mark.parametrize("library", ["httpx", "requests"])
@pytest.mark.parametrize("left", LEFT)
def test_a_program_ends_and_the_next_one_never_pays_for_what_is_open(
    server: Server, till: Till, tmp_path: Path, library: str, left: str
) -> None:
    check(server, till, str(tmp_path / "spend.db"), LEFT[left].replace("PIECES", f"by_{library}()"))


@pytest.mark.slow
@pytest.mark.parametrize("left", LEFT)
def test_a_program_with_a_ledger_on_a_server_ends_too(server: Server, till: Till, tmp_path: Path, left: str) -> None:
    redis = Redis(tmp_path)
    try:
        check(server, till, redis.url, LEFT[left].replace("PIECES", "by_httpx()"))
    finally:
        redis.kill()


def check(server: Server, till: Till, place: str, left: str) -> None:
    """Run a program that leaves a paid answer, and then ask for the same as another one."""
    url = server.on("/paid", till.sells(goods))
    program = [sys.executable, "-c", _BEGINNING + left, url, place]
    subprocess.run(program, timeout=_ENDS, cwd=ROOT, check=False, capture_output=True)
    assert len(set(till.nonces)) == 1, "it paid"
    buyer = new_buyer(ledger=place, on_event=bool)
    until = time.monotonic() + _ENDS
    while any(hold.in_flight for hold in buyer.holds()):  # on a server, as long as that program's lease lasts
        assert time.monotonic() < until
        time.sleep(0.2)
    done = buyer.history()
    assert len(buyer.holds()) + len(done) == 1
    assert [hold.state for hold in done] == ["delivered"] * len(done)
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        assert len(client.get(url).content) == 50_000
    assert len(set(till.nonces)) == 1 + len(done)
    buyer.close()
