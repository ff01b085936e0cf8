"""What a parent's threads were at is not waited for in a forked child. Each child here is a real one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chains.scripted_rpc import Scripted, result
from x402_client import events, otel
from x402_client.buyer.breaker import Breaker
from x402_client.buyer.looks import Looks
from x402_client.chains.rpc import Rpc
from x402_client.chains.solana import SolanaChain
from x402_client.guards import forks
from x402_client.model.hosts import Origin
from x402_client.model.networks import SOLANA_DEVNET

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of a fork in a program with threads: that is the point
]
#: Ends a child that waits for ever.
_PATIENCE = 20
HASH = result({"value": {"blockhash": "hash", "lastValidBlockHeight": 7}})


def in_a_child(work: Callable[[], object]) -> bool:
    """Return True if ``work`` gave something true in a forked child."""
    child = os.fork()
    if child == 0:
        signal.alarm(_PATIENCE)
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@contextmanager
def held(lock: Any) -> Iterator[None]:
    """Hold a lock in another thread."""
    has_it, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            has_it.set()
            let_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    has_it.wait()
    try:
        yield
    finally:
        let_go.set()
        thread.join()


def test_an_answer_that_a_thread_of_the_parent_fetches_is_fetched_again() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slowly(question: dict[str, Any]) -> Any:
        if not asked.is_set():
            asked.set()
            go_on.wait()
        return HASH(question)

    with Scripted(slowly) as endpoint:
        chain = SolanaChain(Rpc(SOLANA_DEVNET, [endpoint.url]))
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(chain.fetch_blockhash().value))
        thread.start()
        asked.wait()
        assert in_a_child(lambda: chain.fetch_blockhash().value == "hash")
        go_on.set()
        thread.join()
        assert found == ["hash"], "the parent goes on"
        chain.rpc.close()


def test_a_blockhash_that_the_parent_is_renewing_is_renewed_in_the_child() -> None:
    chain = SolanaChain(Rpc(SOLANA_DEVNET, ["http://127.0.0.1:9"]))
    chain._renewing = True
    assert in_a_child(lambda: not chain._renewing)
    assert chain._renewing


def test_a_lock_that_a_thread_of_the_parent_has_is_free_in_the_child() -> None:
    listener = otel._Listener(*([_Anything()] * 3), None)
    told = events.Warned("GET", "https://seller.example/", "a problem")
    with Scripted(HASH) as endpoint:
        rpc = Rpc(SOLANA_DEVNET, [endpoint.url])
        chain, breaker, looks = SolanaChain(rpc), Breaker(1, 60), Looks()
        breaker._sellers["https://other.example"] = object()  # type: ignore[assignment]
        tries: list[tuple[Any, Callable[[], object]]] = [
            (rpc, lambda: rpc.call("getSlot")),
            (chain, lambda: chain.fetch_blockhash()),
            (breaker, lambda: breaker.until(Origin.of("https", "seller.example", 443)) is None),
            (looks, lambda: looks.in_thread("a", "eip155:1", lambda: True, 60)),
            (listener, lambda: listener.report(told) is None),
        ]
        for owner, work in tries:
            with held(owner._lock):
                assert in_a_child(work), type(owner).__name__
            assert work(), "the parent's own lock is as it was"
        rpc.close()


class _Anything:
    """A tracer, a meter, and all that they make."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: _Anything()


def test_what_was_let_go_is_not_begun_anew() -> None:
    begun: list[int] = []
    owners = [_Anything(), _Anything()]
    kept = id(owners[0])
    for owner in owners:
        forks.in_each_child(owner, lambda one: begun.append(id(one)))
    assert len(begun) == 2
    begun.clear()
    del owner, owners[1]
    assert in_a_child(lambda: begun == [kept])
