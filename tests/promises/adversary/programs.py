"""Programs: each has a ledger object of its own, a buyer for each wallet, and clients of each library."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import httpx
import requests

import x402_client.aiohttp
import x402_client.httpx
import x402_client.requests
from tests.adapters.cash_register import NETWORK
from x402_client import Buyer, Limit, Policy, Wallet, errors

from .callers import async_client
from .chain import Reader
from .events import Call, Setting

if TYPE_CHECKING:
    from .play import World

KEYS = ("0x" + "42" * 32, "0x" + "43" * 32)


class Program:
    """One program: its ledger, its buyers, its clients."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger: Any = None
        #: Its ledger has to be there when it begins.
        self.must = False
        self._lock = threading.RLock()
        self._buyers: dict[int, Buyer] = {}
        self._clients: dict[tuple[str, int], Any] = {}

    def buyer(self, wallet: int) -> Buyer:
        """Return the buyer of one wallet."""
        with self._lock:
            if wallet not in self._buyers:
                self._buyers[wallet] = self._made(wallet)
            return self._buyers[wallet]

    def _made(self, wallet: int) -> Buyer:
        said = self.world.setting
        if self.ledger is None:
            self.must = said.must and self.world.books.begun
            self.ledger = self.world.machine.open(self.must)
        return Buyer(
            Wallet(evm=KEYS[wallet]), policy(said, wallet), ledger=self.ledger, settle_timeout=said.settle / 1000,
            breaker_after=5 if said.breaker else None, on_refusal="return" if said.returns else "raise",
            on_event=self.world.books.note, must_exist=self.must,
            reader=Reader(self.world.chain) if said.reader else None,
            rpc={NETWORK[2]: [self.world.seller.endpoint(number) for number in range(1 if said.alone else 2)]},
        )  # fmt: skip

    def allowance(self, call: Call) -> Any:
        """Return the allowance of a call. Every program opens it by its name, or goes on with it."""
        payer: Any = self.buyer(call.wallet)
        for place in self.world.setting.path(call.under):
            cents = self.world.setting.tree[place - 1][1]
            payer = payer.allowance(f"{cents / 100:.2f}", name=allowance_name(place))
        return payer

    def client(self, library: str, wallet: int) -> Any:
        """Return the client of a sync library."""
        with self._lock:
            found = self._clients.get((library, wallet))
            if found is None:
                found = self._clients[library, wallet] = self._wrapped(library, self.buyer(wallet))
            return found

    def _wrapped(self, library: str, buyer: Buyer) -> Any:
        if library == "httpx":
            wait = httpx.Timeout(2, read=self.world.setting.read / 1000)
            return x402_client.httpx.wrap(httpx.Client(trust_env=False, verify=False, timeout=wait), buyer)
        session = requests.Session()
        session.trust_env = False
        return x402_client.requests.wrap(session, buyer)

    def async_client(self, library: str, wallet: int) -> Any:
        """Return a new client of an async library."""
        shell: Any = x402_client.httpx if library == "httpx" else x402_client.aiohttp
        buyer = self.buyer(wallet)
        return async_client(library, self.world.setting.read / 1000, lambda native: shell.wrap(native, buyer))

    async def leave_loop(self) -> None:
        """Close what belongs to the running loop."""
        for buyer in list(self._buyers.values()):
            twin = getattr(buyer.ledger, "asynchronous", None)
            if twin is not None:
                with contextlib.suppress(errors.X402Error):
                    await twin.close_ledger()

    def close_ledgers(self) -> None:
        """Close the ledgers, which open again when they are used."""
        for buyer in self._buyers.values():
            with contextlib.suppress(errors.X402Error):
                buyer.close()

    def end(self) -> None:
        """End in good order."""
        for client in self._clients.values():
            client.close()
        self.close_ledgers()
        self._buyers, self._clients, self.ledger, self.must = {}, {}, None, False

    def forget_clients(self) -> None:
        """Leave the connections of a parent alone."""
        self._clients = {}


def allowance_name(place: int) -> str:
    """Return the name of an allowance by its place in the setting's tree."""
    return f"allowed {place}"


def policy(said: Setting, wallet: int = 0) -> Policy:
    """Return the policy that a setting means for a wallet."""

    def limit(cents: int | None) -> Limit:
        return Limit(per_request="0.05") if cents is None else Limit(per_day=f"{cents / 100:.2f}")

    hosts: dict[str, Limit | str] = {"127.0.0.1": limit(None)}
    if not (said.lax and wallet):
        hosts["*.shop.test"] = limit(said.wildcard)
    if said.host is not None or said.exact:
        hosts["a.shop.test"] = limit(said.host)
    return Policy(
        per_request="0.05", per_day=f"{said.budget / 100:.2f}", hosts=hosts, http_hosts=["*.shop.test"],
        accept_loss=said.loss, pay_ahead=said.ahead,
    )  # fmt: skip
