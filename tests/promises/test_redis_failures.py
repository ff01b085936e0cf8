"""Redis dies, comes back empty or answers late while a payment is under way: no second signature, and a way on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from tests.adapters.cash_register import KEY, PRICE, Then, Till
from tests.adapters.drivers import AsyncHttpx, Client, Driver, Httpx
from tests.adapters.scripted_server import Exchange, Server
from tests.adapters.test_failures import reset
from tests.ledgers.redis.server import Server as Redis
from tests.ledgers.redis.server import starting
from x402_client import Buyer, Policy, Wallet, errors, events
from x402_client.ledgers.redis import RedisLedger

from .moments import Points, watched
from .settling_seller import GOODS, Shop, in_pieces

WHOLE = b"".join(GOODS)
KEPT = ("--appendonly", "yes", "--appendfsync", "always")
both = pytest.mark.parametrize("driver", [Httpx, AsyncHttpx])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Redis]]:
    with starting(tmp_path) as start:
        yield start


class Case:
    def __init__(self, server: Server, redis: Redis, shell: Driver, *thens: Then, key: Any = KEY) -> None:
        self.key = key
        self.redis, self.shop, self.told = redis, Shop(), list[events.Event]()
        self.url = server.on("/paid", self.shop.sells(*thens))
        self.shell = shell
        self.buyer = self.program()
        self.client: Client = shell.client(self.buyer)

    def program(self) -> Buyer:
        ledger = RedisLedger(self.redis.url, timeout=0.5, lease=0.5)
        policy = Policy(per_request="0.01", per_day="0.02")
        return Buyer(Wallet(evm=self.key), policy, ledger=ledger, repeat=(), on_event=self.told.append)

    def refused(self, *money: str) -> str:
        """What the next try is told; nothing is sent."""
        sent = len(self.shop.headers)
        with pytest.raises(errors.LedgerUnavailable) as raised:
            self.client.get(self.url)
        assert len(self.shop.headers) == sent
        assert raised.value.money in (money or ("untouched",))
        return str(raised.value)

    def gets_it(self) -> None:
        assert self.client.get(self.url).content == WHOLE
        assert len(set(self.shop.headers)) == len(self.shop.settled) == 1, "it paid twice"
        assert [hold.nonce for hold in self.buyer.history()] == self.shop.settled
        assert self.buyer.spent().units == PRICE

    def close(self) -> None:
        self.shell.call(self.buyer.aclose) if self.shell.is_async else self.buyer.close()


def killing(redis: Redis, then: Then) -> Then:
    def killed(exchange: Exchange, till: Till) -> Any:
        redis.kill()
        return then(exchange, till)

    return killed


@both
def test_it_dies_while_the_goods_are_on_their_way(
    server: Server, start: Callable[..., Redis], driver: type[Driver]
) -> None:
    """The answer is never lost; that it came is written as soon as somebody listens."""
    redis = start(*KEPT)
    with driver() as shell:
        case = Case(server, redis, shell, killing(redis, in_pieces))
        assert case.client.get(case.url).content == WHOLE
        for _ in range(200):  # a thread tells it, which no answer waits for
            if any(isinstance(one, events.Warned) for one in case.told):
                break
            time.sleep(0.05)
        assert [type(one) for one in case.told if isinstance(one, events.Warned)] == [events.Warned]
        redis.start()
        assert case.buyer.holds() == ()
        assert [hold.nonce for hold in case.buyer.history()] == case.shop.settled
        assert case.buyer.spent().units == PRICE
        case.close()


@both
def test_it_dies_with_the_answer(server: Server, start: Callable[..., Redis], driver: type[Driver]) -> None:
    redis = start(*KEPT)
    with driver() as shell:
        case = Case(server, redis, shell, killing(redis, reset), in_pieces)
        with pytest.raises(errors.PaymentOutcomeUnknown, match="Make the same request again"):
            case.client.get(case.url)
        assert "cannot be reached" in case.refused()
        redis.start()
        case.gets_it()
        case.close()


@both
def test_it_comes_back_empty(server: Server, start: Callable[..., Redis], driver: type[Driver]) -> None:
    redis = start()
    with driver() as shell:
        case = Case(server, redis, shell, killing(redis, reset), in_pieces)
        with pytest.raises(errors.PaymentOutcomeUnknown):
            case.client.get(case.url)
        redis.start()
        for _ in range(2):
            assert "Restore its data; or, once you know what was paid, run `x402 ledger accept`" in case.refused()
        assert len(case.shop.headers) == 1
        case.close()


@both
@pytest.mark.parametrize("ask", ["Reserve", "Record"])
def test_it_answers_late(server: Server, start: Callable[..., Redis], driver: type[Driver], ask: str) -> None:
    """What it was told may count all the same, and what was not sent is presented or given back."""
    redis = start(*KEPT)
    with driver() as shell:
        # A signer that has to be asked signs after the price was counted. Only then is there a step of its own for it.
        case = Case(server, redis, shell, in_pieces, key=Account.from_key(KEY) if ask == "Record" else KEY)
        assert case.buyer.holds() == ()

        async def astop() -> None:
            redis.signal(signal.SIGSTOP)

        act = astop if shell.is_async else lambda: redis.signal(signal.SIGSTOP)
        with watched(Points(f"before {ask}", act)) as points:
            # Untouched, if the step could not even leave: then the heartbeat had the connection.
            assert "did not answer" in case.refused("held", "untouched")
        assert points.reached
        assert "did not answer" in case.refused("held", "untouched")
        redis.signal(signal.SIGCONT)
        case.gets_it()
        assert case.buyer.holds() == ()
        case.close()


@both
def test_it_hears_of_a_delivery_late(server: Server, start: Callable[..., Redis], driver: type[Driver]) -> None:
    redis = start(*KEPT)
    with driver() as shell:
        case = Case(server, redis, shell, in_pieces)

        with watched(Points("before Close", lambda: redis.signal(signal.SIGSTOP))) as points:
            assert case.client.get(case.url).content == WHOLE
        assert points.reached
        redis.signal(signal.SIGCONT)
        assert case.buyer.holds() == ()
        assert [hold.nonce for hold in case.buyer.history()] == case.shop.settled
        case.close()
