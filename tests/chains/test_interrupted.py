"""A signal handler that raises amid a question to a chain: the exception comes out, the next question is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.guards.striking import Striking, raising
from x402_client.chains.rpc import Rpc
from x402_client.chains.solana import SolanaChain
from x402_client.model.networks import SOLANA_DEVNET

from .scripted_rpc import Scripted, result


class SoftLimit(Exception):
    """What a job queue raises."""


#: Struck as it connects, a library leaves its socket to the garbage collection, which closes it.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
#: Of points, one in so many is tried. The first question also makes a connection, and has other points.
EACH = 17
STOPS = [KeyboardInterrupt, SoftLimit, TimeoutError]
LATEST = result({"context": {"slot": 1_200}, "value": {"blockhash": "hash", "lastValidBlockHeight": 1_000}})


def at_once(ask: Callable[[], Any]) -> Any:
    """Return the answer to a question that another thread asks: it must come within seconds."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ask()), daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(5)
    assert found, "no answer came"
    assert time.monotonic() - started < 2
    return found[0]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("stop", STOPS)
def test_the_next_question_is_answered(stop: type[BaseException], is_first: bool) -> None:
    with Scripted(result(7)) as endpoint, closing(Rpc("eip155:8453", [endpoint.url])) as rpc, raising(stop):
        rpc.call("getSlot")
        number, reached = 0, True
        while reached:
            if is_first:
                rpc.close()
            reached = _struck(stop, number, lambda: rpc.call("getSlot"))
            assert at_once(lambda: rpc.call("getSlot")) == 7
            number += EACH
    assert number > 20 * EACH


@pytest.mark.parametrize("stop", STOPS)
def test_who_asks_a_chain_the_same_is_answered(stop: type[BaseException]) -> None:
    with Scripted(LATEST) as endpoint, closing(Rpc(SOLANA_DEVNET, [endpoint.url])) as rpc, raising(stop):
        chain = SolanaChain(rpc)
        chain.fetch_blockhash()
        number, reached = 0, True
        while reached:
            chain._latest = None
            reached = _struck(stop, number, chain.fetch_blockhash, "x402_client/chains")
            chain._latest = None
            assert at_once(chain.fetch_blockhash).value == "hash"
            number += 3
    assert number > 30


@pytest.mark.parametrize("stop", STOPS)
def test_a_look_at_how_far_the_chain_is_swallows_no_stop(stop: type[BaseException]) -> None:
    with Scripted(LATEST) as endpoint, closing(Rpc(SOLANA_DEVNET, [endpoint.url])) as rpc, raising(stop):
        chain = SolanaChain(rpc)
        chain.fetch_tip()
        number, reached = 0, True
        while reached:
            chain._latest = None
            reached = _struck(stop, number, chain.fetch_tip, "x402_client/chains")
            assert not chain._renewing
            number += 3
    assert number > 30


def _struck(stop: type[BaseException], number: int, ask: Callable[[], Any], where: str = "") -> bool:
    """Ask, and strike amid it. Return False if it had no such point."""
    raised = None
    striking = Striking(number, where)
    try:
        with striking:
            ask()
    except BaseException as failure:
        raised = failure
    assert (type(raised) is stop) == striking.reached, (number, raised)
    return striking.reached
