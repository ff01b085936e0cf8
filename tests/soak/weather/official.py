"""The official client as a buyer: an ordinary loop around it, and the cap that it offers. It keeps no ledger."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import requests
from eth_account import Account
from solders.keypair import Keypair
from x402 import NoMatchingRequirementsError, max_amount, x402Client, x402ClientSync
from x402.http.clients.httpx import x402AsyncTransport
from x402.http.clients.requests import wrapRequestsWithPayment
from x402.mechanisms.evm.exact.register import register_exact_evm_client
from x402.mechanisms.svm.exact.register import register_exact_svm_client
from x402.mechanisms.svm.signers import KeypairSigner

from .draws import Order
from .program import Crew, Setting, Told, right

PATIENCE = 4.0
_MOST = 50_000


class Clients:
    """One client for each library."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._session: Any = None
        self._client: httpx.AsyncClient | None = None

    def open(self, crew: Crew) -> None:
        """There is nothing to open."""

    def unfinished(self, crew: Crew) -> Iterator[Order]:
        """No record of what was paid for: all that did not end is asked for again."""
        return map(crew.order, crew.begun())

    def _payer(self, kind: Any) -> Any:
        payer, own = kind(), self.setting.own
        if own["family"] == "solana":
            (rpc,) = own["rpc"].values()
            register_exact_svm_client(payer, KeypairSigner(Keypair.from_base58_string(own["key"])), rpc_url=rpc)
        else:
            register_exact_evm_client(payer, Account.from_key(own["key"]))
        payer.register_policy(max_amount(_MOST))
        return payer

    def ask(self, shell: str, wanted: Order) -> Told:
        if self._session is None:
            self._session = wrapRequestsWithPayment(requests.Session(), self._payer(x402ClientSync))
            self._session.trust_env = False
        url = self.setting.doors[wanted.door] + wanted.path
        try:
            answer = self._session.request(wanted.method, url, data=wanted.body, timeout=PATIENCE)
            return _read(wanted, answer)
        except Exception as failure:
            return _failed(failure)

    async def aask(self, shell: str, wanted: Order) -> Told:
        if self._client is None:
            transport = x402AsyncTransport(self._payer(x402Client))
            self._client = httpx.AsyncClient(
                transport=transport, timeout=PATIENCE, follow_redirects=True, trust_env=False
            )
        url = self.setting.doors[wanted.door] + wanted.path
        try:
            answer = await self._client.request(wanted.method, url, content=wanted.body)
            return _read(wanted, answer)
        except Exception as failure:
            return _failed(failure)

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


def _read(wanted: Order, answer: Any) -> Told:
    if right(wanted, answer.status_code, answer.content):
        return Told("content")
    return Told("failed", f"status {answer.status_code} {_error(answer)}".rstrip())


def _failed(failure: Exception) -> Told:
    refused = isinstance(failure.__cause__, NoMatchingRequirementsError)
    return Told("refused" if refused else "failed", f"{type(failure).__name__}: {failure}"[:300])


def _error(answer: Any) -> str:
    """What a seller of version 2 says of a payment that it refuses."""
    try:
        return str(json.loads(base64.b64decode(answer.headers["payment-required"]))["error"])[:200]
    except (KeyError, ValueError):
        return ""
