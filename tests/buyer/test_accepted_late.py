"""An answer is rejected, and accepted later, while others use the ledger's file. The purchase is resolved."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from x402_client import Buyer, Policy, errors, outcome
from x402_client.buyer.ends import EndsWriter
from x402_client.httpx import wrap
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.sandbox import Sandbox

from ..ledgers.test_fair_lock import held

Between = Callable[[SqliteLedger], AbstractContextManager[None]]


@contextlib.contextmanager
def another_program(ledger: SqliteLedger, seconds: float = 0.3) -> Iterator[None]:
    """Let another program write, until the next request is under way."""
    other = sqlite3.connect(ledger.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(seconds, other.close).start()
    yield


@contextlib.contextmanager
def own_threads(ledger: SqliteLedger) -> Iterator[None]:
    """Have the file used by other threads, of which the one that writes ends comes last."""
    with mock.patch.object(EndsWriter, "_run"), held(ledger._file._lock):
        yield


def no_one(ledger: SqliteLedger) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def named(buyer: Buyer, key: str | None) -> Any:
    return contextlib.nullcontext() if key is None else buyer.purchase(key=key)


def by_sync(buyer: Buyer, url: str, key: str | None, between: AbstractContextManager[None]) -> Any:
    with wrap(httpx.Client(timeout=20), buyer) as client:
        with named(buyer, key), client.stream("GET", url) as answer:
            found = outcome(answer)
            assert found is not None
            assert found.reject()
            answer.read()
        with between:
            assert found.accept()
        with named(buyer, key):
            return outcome(client.get(url))


def by_async(buyer: Buyer, url: str, key: str | None, between: AbstractContextManager[None]) -> Any:
    async def twice() -> Any:
        async with wrap(httpx.AsyncClient(timeout=20), buyer) as client:
            with named(buyer, key):
                async with client.stream("GET", url) as answer:
                    found = outcome(answer)
                    assert found is not None
                    assert found.reject()
                    await answer.aread()
            with between:
                assert found.accept()
            with named(buyer, key):
                return outcome(await client.get(url))

    return asyncio.run(twice())


@pytest.mark.parametrize("between", [no_one, another_program, own_threads])
@pytest.mark.parametrize("key", [None, "order"])
@pytest.mark.parametrize("buys", [by_sync, by_async])
def test_what_was_accepted_late_is_not_presented_again(
    x402_sandbox: Sandbox, tmp_path: Path, buys: Callable[..., Any], key: str | None, between: Between
) -> None:
    url, ledger = x402_sandbox.sell("/report", "0.01", content="report"), SqliteLedger(tmp_path / "spend.db")
    with contextlib.closing(x402_sandbox.buyer(Policy(per_day="1"), ledger=ledger)) as buyer:
        if key is None:
            buys(buyer, url, key, between(ledger))
        else:
            with pytest.raises(errors.AlreadyPaid):
                buys(buyer, url, key, between(ledger))
        bought = 2 if key is None else 1
        assert [hold.state for hold in buyer.history()] == ["delivered"] * bought
        assert not buyer.holds()
    assert len(x402_sandbox.settlements) == bought
