"""What every part of the compliance class stands on: a server, a till, a buyer and the driver of one shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from x402_client import Buyer, Policy, Wallet
from x402_client.model.holds import Outcome

from .cash_register import KEY, PAYMENT, PRICE, Till
from .drivers import Client, Driver
from .scripted_server import Seen, Server


class Ground:
    driver: ClassVar[type[Driver]]

    @pytest.fixture
    def shell(self, request: pytest.FixtureRequest) -> Iterator[Driver]:
        reason = self.driver.cannot.get(request.node.originalname)
        if reason is not None:
            pytest.skip(reason)
        with self.driver() as shell:
            yield shell

    @pytest.fixture
    def server(self) -> Iterator[Server]:
        server = Server()
        yield server
        server.close()
        assert server.troubles == []

    @pytest.fixture
    def till(self) -> Till:
        return Till()

    @pytest.fixture
    def buyer(self) -> Buyer:
        return new_buyer()

    @pytest.fixture
    def client(self, shell: Driver, buyer: Buyer) -> Client:
        return shell.client(buyer)


def new_buyer(policy: Policy | None = None, **said: Any) -> Buyer:
    """Presents a payment once in a call, unless a test says otherwise."""
    return Buyer(Wallet(evm=KEY), policy or Policy(per_request="0.05", per_day="50"), **{"repeat": (), **said})


def paid(buyer: Buyer, times: int = 1) -> bool:
    """Whether so many purchases were paid for and delivered, and nothing is open."""
    return buyer.spent().units == times * PRICE and buyer.holds() == () and len(buyer.history()) == times


def untouched(buyer: Buyer) -> bool:
    return buyer.spent().units == 0 and buyer.holds() == () and buyer.history() == ()


def unresolved(buyer: Buyer, nonce: str) -> bool:
    """Whether one purchase is counted and open, under this nonce."""
    return buyer.spent().units == PRICE and [hold.nonce for hold in buyer.holds()] == [nonce]


def outcome(shell: Driver, response: Any) -> Outcome:
    found = shell.outcome(response)
    assert found is not None
    return found


def without_payment(seen: Seen) -> list[tuple[str, str]]:
    return [(name, value) for name, value in seen.lines if name not in PAYMENT.values()]


def shows_payment(thing: Any) -> bool:
    """Whether a request, or anything else with headers, carries a payment."""
    names = {name.lower() for name in PAYMENT.values()}
    return any(name.lower() in names for name in thing.headers)
