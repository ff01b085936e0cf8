"""A deadline of the caller's that a signal handler raises: it comes out at once, and the payment stays one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import requests
from eth_account import Account

import x402_client.httpx
import x402_client.requests
from tests.adapters.cash_register import KEY, Till
from tests.adapters.scripted_server import Exchange, Server
from x402_client import Approval, Buyer, Policy, Wallet
from x402_client.ledgers.memory import MemoryLedger


class SoftLimit(Exception):
    """What a job queue raises."""


def ring() -> None:
    signal.raise_signal(signal.SIGALRM)


@pytest.fixture(params=[SoftLimit, TimeoutError])
def deadline(request: pytest.FixtureRequest) -> Iterator[type[Exception]]:
    def stop(*_: Any) -> None:
        raise request.param("the caller's")

    before = signal.signal(signal.SIGALRM, stop)
    yield request.param
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def client(library: str, buyer: Buyer) -> Iterator[Any]:
    if library == "httpx":
        with httpx.Client(timeout=30) as plain:
            yield x402_client.httpx.wrap(plain, buyer)
    else:
        with requests.Session() as session:
            yield x402_client.requests.wrap(session, buyer)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_it_ends_the_wait_for_a_paid_answer(
    server: Server, deadline: type[Exception], library: str, method: str
) -> None:
    till, late = Till(), [True]

    def sells(exchange: Exchange) -> None:
        exchange.read_body()
        if not till.took(exchange.seen):
            till.challenge(exchange)
        elif late.pop() if late else False:
            time.sleep(1.5)
        else:
            exchange.answer(200, b"goods")

    buyer = Buyer(Wallet(evm=KEY), Policy(per_request="0.01", total="0.01"), ledger=":memory:", settle_timeout=20)
    url = server.on("/", sells)
    with client(library, buyer) as paying:
        signal.setitimer(signal.ITIMER_REAL, 0.7)
        started = time.monotonic()
        with pytest.raises(deadline, match="the caller's") as raised:
            paying.request(method, url)
        assert type(raised.value) is deadline
        assert time.monotonic() - started < 1.4
        assert len(till.nonces) == 1
        assert paying.request(method, url).content == b"goods"
    assert len(set(till.nonces)) == 1


class Ringing(MemoryLedger):
    """A ledger in which the time is up, in one step, once."""

    step = ""

    def _ring(self, step: str) -> None:
        if self.step == step:
            self.step = ""
            ring()

    def reserve(self, *given: Any) -> Any:
        self._ring("reserve")
        return super().reserve(*given)

    def record(self, *given: Any) -> Any:
        self._ring("record")
        return super().record(*given)

    def close(self, *given: Any) -> Any:
        self._ring("close")
        return super().close(*given)


@pytest.mark.parametrize("moment", ["reserve", "record", "close", "sign"])
@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_it_ends_a_step_of_ours(server: Server, deadline: type[Exception], library: str, moment: str) -> None:
    till = Till()

    def sells(exchange: Exchange) -> None:
        exchange.answer(200, b"goods") if till.took(exchange.seen) else till.challenge(exchange)

    rings = [moment] if moment == "sign" else []
    ledger = Ringing()
    ledger.step = moment
    buyer = Buyer(Wallet(evm=_signer(rings)), Policy(per_request="0.01", total="0.01"), ledger=ledger)
    url = server.on("/", sells)
    with client(library, buyer) as paying:
        with pytest.raises(deadline, match="the caller's"):
            paying.get(url)
        assert paying.get(url).content == b"goods"
    assert len(set(till.nonces)) == 1


def test_it_ends_the_wait_for_an_approver(server: Server, deadline: type[Exception]) -> None:
    till = Till()

    def slow(_: Approval) -> bool:
        time.sleep(1.5)
        return True

    buyer = Buyer(Wallet(evm=KEY), Policy(per_request="0.01", approve_above="0"), ledger=":memory:", approve=slow)
    url, started = server.on("/", lambda exchange: till.challenge(exchange)), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with client("httpx", buyer) as paying, pytest.raises(deadline, match="the caller's"):
        paying.get(url)
    assert time.monotonic() - started < 1.4
    assert not till.nonces


def _signer(rings: list[str]) -> Any:
    account: Any = Account.from_key(KEY)

    class Late:
        address, blocking = account.address, False

        def sign_typed_data(self, full_message: dict[str, Any]) -> bytes:
            if rings:
                rings.pop()
                ring()
            return bytes(account.sign_typed_data(full_message=full_message).signature)

    return Late()
