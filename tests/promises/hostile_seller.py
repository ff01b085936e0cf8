"""What every hostile case stands on: a server on a raw socket, a wallet that notes what it is asked to sign, a verdict.

A case is one path of the server. The server keeps every payment it is handed; a verdict is about all of them.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from eth_account import Account

from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.cash_register import KEY, PAY_TO, PAYER, PAYMENT, USDC, Till, encoded, signer
from tests.adapters.checks import untouched
from tests.adapters.drivers import AsyncHttpx, AsyncHttpx2, Driver, Httpx, Httpx2, Requests
from tests.adapters.scripted_server import Exchange, Seen, Server
from x402_client import Buyer, Policy, Wallet
from x402_client.events import Event

SHELLS: list[type[Driver]] = [Httpx, AsyncHttpx, Httpx2, AsyncHttpx2, Requests, Aiohttp]
#: A policy under which the only thing against an offer is what is wrong with it.
OPEN = Policy(per_request="0.05", per_day="50")
GOODS = b"the goods"


class NotingSigner:
    """Signs what it is asked to, and remembers all of it."""

    blocking = False

    def __init__(self) -> None:
        self._account = Account.from_key(KEY)
        self.address: str = self._account.address
        self.documents: list[dict[str, Any]] = []

    def sign_typed_data(self, full_message: dict[str, Any]) -> bytes:
        self.documents.append(full_message)
        return bytes(self._account.sign_typed_data(full_message=full_message).signature)


@dataclass
class Till402:
    """One hostile seller: what it answers with, and every payment that it was handed."""

    challenge: Callable[[Exchange], Any]
    paid: Callable[[Exchange], Any] = lambda exchange: exchange.answer(200, GOODS)
    handed: list[str] = field(default_factory=list)

    def __call__(self, exchange: Exchange) -> None:
        exchange.read_body()
        found = payments_of(exchange.seen)
        self.handed += found
        (self.paid if found else self.challenge)(exchange)


def payments_of(seen: Seen) -> list[str]:
    return [value for name in PAYMENT.values() for value in seen.all(name)]


def opened(header: str) -> dict[str, Any]:
    """A payment as a facilitator reads it."""
    found: dict[str, Any] = json.loads(base64.b64decode(header, validate=True))
    return found


@dataclass
class Ground:
    """One shell, one server, one buyer."""

    shell: Driver
    server: Server
    policy: Policy = OPEN
    solana: Any = None
    bounds: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signer = NotingSigner()
        self.events: list[Event] = []
        wallet = Wallet(evm=self.signer, solana=self.solana)
        self.buyer = Buyer(wallet, self.policy, ledger=":memory:", on_event=self.events.append, **self.bounds)

    def get(self, url: str, **said: Any) -> Any:
        client = self.shell.client(self.buyer)
        try:
            return client.get(url, **said)
        finally:
            client.close()

    def nothing_left(self, till: Till402) -> None:
        """Nothing was signed, nothing was handed over, nothing is counted."""
        assert till.handed == []
        assert self.signer.documents == []
        assert untouched(self.buyer)

    def one_payment(self, till: Till402, amount: int = 10_000, to: str = PAY_TO) -> dict[str, Any]:
        """Paid once, for these terms, within the window, under the token's own domain; and nothing else was signed."""
        assert len(set(till.handed)) == 1
        payment = opened(till.handed[0])
        signed = payment["payload"]["authorization"]
        assert (signed["value"], signed["to"], signed["from"]) == (str(amount), to, PAYER)
        assert signer(signed, payment["payload"]["signature"]) == PAYER
        left = int(signed["validBefore"]) - time.time()
        assert int(signed["validAfter"]) < time.time()
        assert 0 < left <= 601
        assert [document["primaryType"] for document in self.signer.documents] == ["TransferWithAuthorization"]
        assert self.buyer.holds() == ()
        assert len(self.buyer.history()) == 1
        return payment


def offer(version: int = 2, **changes: Any) -> dict[str, Any]:
    """A sound offer with changes: ``...`` leaves a field out; ``amount`` is what the version calls it."""
    sound = Till(version).offer()
    if version == 1 and "amount" in changes:
        changes = {"maxAmountRequired": changes["amount"], **{k: v for k, v in changes.items() if k != "amount"}}
    return {name: value for name, value in (sound | changes).items() if value is not ...}


def terms(version: int, *offers: Any, **more: Any) -> dict[str, Any]:
    return {"x402Version": version, "error": "pay first", "accepts": list(offers), **more}


def asking(version: int, document: Any) -> Callable[[Exchange], Any]:
    """Answers 402 with a document, or with text that is to be one, where the version puts it."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()

    def challenge(exchange: Exchange) -> None:
        if version == 2:
            exchange.answer(402, b"{}", [("PAYMENT-REQUIRED", base64.b64encode(text).decode())])
        else:
            exchange.answer(402, text, [("Content-Type", "application/json")])

    return challenge


@contextmanager
def running() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()
    assert server.troubles == []


@pytest.fixture(scope="module", params=SHELLS, ids=lambda shell: shell.name.replace(" ", "-"))
def shell(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with request.param() as opened_shell:
        yield opened_shell


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as found:
        yield found


__all__ = [
    "GOODS", "OPEN", "PAYER", "PAY_TO", "SHELLS", "USDC", "Ground", "Till402", "asking", "encoded", "offer", "opened",
    "payments_of", "running", "server", "shell", "terms",
]  # fmt: skip
