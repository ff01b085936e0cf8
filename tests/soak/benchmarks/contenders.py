"""Clients of every library, bare and with each payer: ours in some ledger, the floor, the null payer."""

from __future__ import annotations

import importlib
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import requests

from x402_client import Buyer, Policy, Wallet
from x402_client.wire import Bounds

from . import terms

_PLACE = tempfile.TemporaryDirectory()
_UNLIMITED = httpx.Limits(max_connections=None)


@cache
def buyer(ledger: str = "memory", ahead: bool = False, rpc: str = "", offers: int = 1) -> Buyer:
    """Every limit is on, and none is reached; a thousand offers have to fit into what is read."""
    policy = Policy(
        per_request="1", per_hour="100000", per_day="500000", total="5000000", max_payments="999999999/day",
        pay_ahead=ahead,
    )  # fmt: skip
    kept = {"memory": ":memory:", "sqlite": str(Path(_PLACE.name, f"{ahead}.db"))}.get(ledger, ledger)
    wallet = Wallet(evm=terms.KEY, solana=terms.SEED)
    bounds = Bounds(terms_body=1024 * max(256, offers))
    return Buyer(wallet, policy, ledger=kept, rpc={terms.DEVNET: f"{rpc}/rpc"} if rpc else None, bounds=bounds)


def client(how: str, colour: str, rpc: str = "") -> Any:
    """Return a client that pays as ``how`` says, without a limit to its connections. An async one begins in a loop.

    ``rpc`` is where the Solana endpoint is.
    """
    made = _bare(colour)
    if how in ("floor", "floor ahead", "null"):
        _put_floor_in(made, how, colour)
    elif not how.startswith("bare"):
        face = importlib.import_module(f"x402_client.{colour if colour in ('requests', 'aiohttp') else 'httpx'}")
        face.wrap(made, buyer(how.removesuffix(" ahead"), ahead=how.endswith(" ahead"), rpc=rpc))
    return made


def _bare(colour: str) -> Any:
    if colour == "requests":
        return requests.Session()
    if colour == "sync":
        return httpx.Client(limits=_UNLIMITED, timeout=60)
    if colour == "async":
        return httpx.AsyncClient(limits=_UNLIMITED, timeout=60)
    import aiohttp

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    if colour == "aiohttp":
        return session()
    from httpx_aiohttp import AiohttpTransport

    return httpx.AsyncClient(transport=AiohttpTransport(client=session), timeout=60)


def _put_floor_in(made: Any, how: str, colour: str) -> None:
    from . import floor  # it cannot do without coincurve

    pays, ahead = floor.PAYERS[how.removesuffix(" ahead")], how.endswith(" ahead")
    if colour in ("requests", "aiohttp"):
        from . import floor_elsewhere as elsewhere

        if colour == "requests":
            made.mount("http://", (elsewhere.AdapterAhead if ahead else elsewhere.Adapter)(pays))
        else:
            made._middlewares = ((elsewhere.MiddlewareAhead if ahead else elsewhere.Middleware)(pays),)
    else:
        made._transport = (floor.Ahead if ahead else floor.Paying)(pays, made._transport)
