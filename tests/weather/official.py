"""The official client as a buyer: an ordinary loop around it, and the cap that it offers. It keeps no ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import requests
from eth_account import Account
from x402 import max_amount, x402Client, x402ClientSync
from x402.http.clients.httpx import x402AsyncTransport
from x402.http.clients.requests import wrapRequestsWithPayment
from x402.mechanisms.evm.exact.register import register_exact_evm_client

from .draws import Order
from .program import Crew, Setting, Told, right

PATIENCE = 4.0
_MOST = 50_000


class Clients:
    """One client for each library."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._account = Account.from_key(setting.own["key"])
        self._session: Any = None
        self._client: httpx.AsyncClient | None = None

    def open(self, crew: Crew) -> None:
        """There is nothing to open."""

    def unfinished(self, crew: Crew) -> Iterator[Order]:
        """Nobody remembers what was paid for: whatever did not end is asked for again."""
        return map(crew.order, crew.begun())

    def _payer(self, kind: Any) -> Any:
        payer = kind()
        register_exact_evm_client(payer, self._account)
        payer.register_policy(max_amount(_MOST))
        return payer

    def ask(self, shell: str, wanted: Order) -> Told:
        if self._session is None:
            self._session = wrapRequestsWithPayment(requests.Session(), self._payer(x402ClientSync))
            self._session.trust_env = False
        url = self.setting.doors[wanted.door] + wanted.path
        try:
            answer = self._session.request(wanted.method, url, data=wanted.body, timeout=PATIENCE)
            return _read(wanted, answer.status_code, answer.content)
        except Exception as failure:
            return Told("failed", f"{type(failure).__name__}: {failure}"[:300])

    async def aask(self, shell: str, wanted: Order) -> Told:
        if self._client is None:
            transport = x402AsyncTransport(self._payer(x402Client))
            self._client = httpx.AsyncClient(
                transport=transport, timeout=PATIENCE, follow_redirects=True, trust_env=False
            )
        url = self.setting.doors[wanted.door] + wanted.path
        try:
            answer = await self._client.request(wanted.method, url, content=wanted.body)
            return _read(wanted, answer.status_code, answer.content)
        except Exception as failure:
            return Told("failed", f"{type(failure).__name__}: {failure}"[:300])

    async def aclose(self, last: bool = False) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def close_sync(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def reconciled(self) -> list[int]:
        return []

    def close(self) -> None:
        self.close_sync()


def _read(wanted: Order, status: int, body: bytes) -> Told:
    return Told("content") if right(wanted, status, body) else Told("failed", f"status {status}")
