"""The official client's worker, in its own environment: ``python -m tests.soak.benchmarks.official [plain]``.

``plain``: as it is installed; coincurve is an extra that nothing brings along.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from statistics import median
from typing import Any

if sys.argv[1:] == ["plain"]:
    sys.modules["coincurve"] = None  # type: ignore[assignment]

import httpx
import requests
from eth_account import Account
from solders.keypair import Keypair
from x402 import x402Client, x402ClientSync
from x402.http.clients.httpx import x402AsyncTransport
from x402.http.clients.requests import wrapRequestsWithPayment
from x402.mechanisms.evm.exact.register import register_exact_evm_client
from x402.mechanisms.svm.exact.register import register_exact_svm_client
from x402.mechanisms.svm.signers import KeypairSigner

from . import terms, wire
from .crew import serve
from .turnstile import HOST, Turnstile

_RUNNER = asyncio.Runner()


def _payer(rpc: str, kind: Any = x402Client) -> Any:
    payer = kind()
    register_exact_evm_client(payer, Account.from_key(terms.KEY))
    register_exact_svm_client(payer, KeypairSigner(Keypair.from_seed(terms.SEED)), rpc_url=f"{rpc}/rpc")
    return payer


@cache
def _at_the_turnstile(rpc: str, offers: int) -> tuple[Turnstile, httpx.AsyncClient]:
    turnstile = Turnstile(offers)
    return turnstile, httpx.AsyncClient(transport=x402AsyncTransport(_payer(rpc), turnstile))


def retry(kind: str, count: int, rpc: str = "", offers: int = 1) -> float:
    """Return the microseconds from a 402 to its payment: a median."""
    turnstile, client = _at_the_turnstile(rpc, offers)
    wire.buy(client, [wire.paid(HOST + terms.PATHS[kind])] * count, _RUNNER)
    return median(turnstile.microseconds())


def client(colour: str, rpc: str) -> Any:
    """Return a client that pays, as ``contenders.client`` does. There is none for sync httpx."""
    if colour == "requests":
        return wrapRequestsWithPayment(requests.Session(), _payer(rpc, x402ClientSync))
    under = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))
    return httpx.AsyncClient(transport=x402AsyncTransport(_payer(rpc), under), timeout=60)


def spend(url: str, count: int) -> dict[str, float]:
    """Purchases on an EVM chain over real sockets, one after the other."""

    def make() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=x402AsyncTransport(_payer(url), httpx.AsyncHTTPTransport()), timeout=60)

    return wire.by_tasks(make, [wire.paid(url + "/evm2")] * count, 1)


def cold(url: str, count: int, many: int) -> dict[str, float]:
    """Tasks that pay on Solana with a client that knows nothing of the chain yet."""

    return wire.freezing(
        lambda: client("async", url), url + "/free", [wire.paid(url + "/solana")] * (count // many), many
    )


if __name__ == "__main__":
    serve({"retry": retry, "spend": spend, "cold": cold})
