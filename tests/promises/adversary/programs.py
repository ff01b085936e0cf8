"""Programs: each has a ledger object of its own, a buyer for each wallet, and clients of each library."""

from __future__ import annotations

import contextlib
import gc
import threading
from typing import TYPE_CHECKING, Any, cast

import httpx
import requests

import x402_client.aiohttp
import x402_client.httpx
import x402_client.requests
from tests.adapters.cash_register import NETWORK
from x402_client import Buyer, Limit, Policy, Wallet, errors
from x402_client.model.allowances import allowance_account

from . import solana
from .callers import async_client
from .chain import KEYS, Reader
from .events import Allowed, Call, Setting

if TYPE_CHECKING:
    from .play import World

#: Terms that no allowance of a script has.
_OTHERWISE: dict[str, dict[str, Any]] = {
    "amount": {"amount": "0.21"}, "minutes": {"minutes": 61}, "hosts": {"hosts": ["*.test"]},
    "most": {"per_request": "0.04"},
}  # fmt: skip


class Program:
    """One program: its ledger, its buyers, its clients."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger: Any = None
        #: Its ledger has to be there when it begins.
        self.must = False
        #: How often it began anew.
        self.begun = 0
        self._lock = threading.RLock()
        self._buyers: dict[int, Buyer] = {}
        self._clients: dict[tuple[str, int, int], Any] = {}
        #: Its allowances without a name, by wallet and place.
        self._unnamed: dict[tuple[int, int], Any] = {}

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
        endpoints = [self.world.seller.endpoint(number) for number in range(1 if said.alone else 2)]
        on_solana, networks = None, [NETWORK[2]]
        if said.behind is not None:
            on_solana, networks = solana.KEYS[wallet], [*networks, solana.NETWORK]
        return Buyer(
            Wallet(evm=KEYS[wallet], solana=on_solana), policy(said, wallet), ledger=self.ledger,
            settle_timeout=said.settle / 1000,
            breaker_after=5 if said.breaker else None, on_refusal="return" if said.returns else "raise",
            on_event=self.world.books.note, must_exist=self.must,
            reader=Reader(self.world.chain) if said.reader else None,
            rpc=dict.fromkeys(networks, endpoints),
        )  # fmt: skip

    def allowance(self, wallet: int, place: int) -> Any:
        """Return the allowance of a place, or for 0 the buyer. One with a name is opened by it in every program."""
        if not place:
            return self.buyer(wallet)
        said = self.world.setting.tree[place - 1]
        payer = self.allowance(wallet, said.above)
        with contextlib.nullcontext() if said.lasts else self._lock:
            found = self._unnamed.get((wallet, place)) or payer.allowance(**terms(said, place))
            if not said.lasts:
                self._unnamed[wallet, place] = found
        self.world.books.allowed.opened(allowance_account(found.name), place)
        return found

    def open_otherwise(self, place: int, term: str) -> Any:
        """Open an allowance with another term than it has."""
        said, payer = self.world.setting.tree[place - 1], self.buyer(0)
        if term == "parent":
            return payer.allowance("0.20", name="elsewhere").allowance(**terms(said, place))
        return self.allowance(0, said.above).allowance(**terms(said, place) | _OTHERWISE[term])

    def let_go(self) -> None:
        """Let go of the allowances, and of the clients that pay under them."""
        for client in self._clients.values():
            client.close()
        self._clients, self._unnamed = {}, {}
        gc.collect()

    def client(self, library: str, call: Call) -> Any:
        """Return the client of a sync library."""
        with self._lock:
            found = self._clients.get((library, call.wallet, call.around))
            if found is None:
                found = self._clients[library, call.wallet, call.around] = self._wrapped(library, call)
            return found

    def _wrapped(self, library: str, call: Call) -> Any:
        if library == "httpx":
            wait = httpx.Timeout(2, read=self.world.setting.read / 1000)
            return self._wrap(x402_client.httpx, httpx.Client(trust_env=False, verify=False, timeout=wait), call)
        session = requests.Session()
        session.trust_env = False
        return self._wrap(x402_client.requests, session, call)

    def _wrap(self, shell: Any, native: Any, call: Call) -> Any:
        """Wrap a client. One under an allowance is wrapped again by the buyer, which takes nothing away."""
        wrapped = shell.wrap(native, self.allowance(call.wallet, call.around))
        return shell.wrap(wrapped, self.buyer(call.wallet)) if call.around else wrapped

    def async_client(self, library: str, call: Call) -> Any:
        """Return a new client of an async library."""
        shell: Any = x402_client.httpx if library == "httpx" else x402_client.aiohttp
        return async_client(library, self.world.setting.read / 1000, lambda native: self._wrap(shell, native, call))

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
        self.begun += 1
        for client in self._clients.values():
            client.close()
        self.close_ledgers()
        self._buyers, self._clients, self._unnamed, self.ledger, self.must = {}, {}, {}, None, False

    def forget_clients(self) -> None:
        """Leave the connections of a parent alone."""
        self._clients = {}


def allowance_name(place: int) -> str:
    """Return the name of an allowance by its place in the setting's tree."""
    return f"allowed {place}"


def terms(said: Allowed, place: int) -> dict[str, Any]:
    """Return the terms of an allowance as a user writes them."""
    return {
        "amount": f"{said.cents / 100:.2f}", "minutes": said.minutes,
        "hosts": None if said.host is None else [said.host],
        "per_request": None if said.most is None else f"{said.most / 100:.2f}",
        "name": allowance_name(place) if said.lasts else None,
    }  # fmt: skip


def policy(said: Setting, wallet: int = 0) -> Policy:
    """Return the policy that a setting means for a wallet."""

    def limit(cents: int | None, sign_in: Any = None) -> Limit:
        if cents is None:
            return Limit(per_request="0.05", sign_in=sign_in)
        return Limit(per_day=f"{cents / 100:.2f}", sign_in=sign_in)

    hosts: dict[str, Limit | str] = {"127.0.0.1": limit(None)}
    if not (said.lax and wallet):
        hosts["*.shop.test"] = limit(said.wildcard)
    if said.host is not None or said.exact or said.sign_in_at:
        hosts["a.shop.test"] = limit(said.host, said.sign_in_at or None)
    return Policy(
        per_request="0.05", per_day=f"{said.budget / 100:.2f}", hosts=hosts, http_hosts=["*.shop.test"],
        accept_loss=said.loss, pay_ahead=said.ahead, same_request=None if said.same is None else f"{said.same}/day",
        upto="0.05", permits=said.permits, networks=["base"] if said.one_chain else None,
        sign_in=cast(Any, said.sign_in),
    )  # fmt: skip
