"""Our worker: ``python -m tests.soak.benchmarks.ours [plain]``. ``plain``: as if coincurve were not installed."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from statistics import median
from time import perf_counter
from typing import Any

if sys.argv[1:] == ["plain"]:
    sys.modules["coincurve"] = None  # type: ignore[assignment]

import httpx
import requests

import x402_client.httpx
import x402_client.requests
from x402_client import Buyer
from x402_client.buyer import settings
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt

from . import terms, wire
from .contenders import buyer, client
from .crew import serve
from .turnstile import HOST, Turnstile

_RUNNER = asyncio.Runner()
_KINDS: dict[str, tuple[Any, Callable[[Any, Buyer], Any]]] = {
    "sync": (httpx.Client, x402_client.httpx.wrap),
    "async": (httpx.AsyncClient, x402_client.httpx.wrap),
    "requests": (requests.Session, x402_client.requests.wrap),
}


@cache
def _at_the_turnstile(colour: str, rpc: str, offers: int) -> tuple[Turnstile, Any]:
    turnstile, (kind, wrap) = Turnstile(offers), _KINDS[colour]
    return turnstile, wrap(kind(transport=turnstile), buyer(rpc=rpc, offers=offers))


def retry(kind: str, count: int, colour: str, rpc: str = "", offers: int = 1) -> float:
    """Return the microseconds from a 402 to its payment: a median."""
    turnstile, paying = _at_the_turnstile(colour, rpc, offers)
    wire.buy(paying, [wire.paid(HOST + terms.PATHS[kind])] * count, _RUNNER)
    return median(turnstile.microseconds())


def spend(how: str, colour: str, url: str, count: int, many: int) -> dict[str, float]:
    """Return what purchases over real sockets take, by tasks or threads together."""
    asked = wire.by_hand(url) if how == "bare twice" else [wire.paid(url)]
    drive = wire.by_tasks if colour in wire.ASYNC else wire.by_threads
    return drive(lambda: client(how, colour), asked * (count // many), many)


def cold(how: str, url: str, count: int, many: int) -> dict[str, float]:
    """Tasks that pay on Solana with a buyer that knows nothing of the chain yet, or do what a bare client does."""
    buyer.cache_clear()

    def make() -> Any:
        made = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60)
        return made if how == "bare" else x402_client.httpx.wrap(made, buyer(rpc=url))

    asked = wire.by_hand(url + "/solana") if how == "bare" else [wire.paid(url + "/solana")]
    return wire.freezing(make, url + "/free", asked * (count // many), many)


def free(colour: str, count: int) -> dict[str, float]:
    """Microseconds of a free request that no socket is involved in, bare and wrapped, in turns."""
    clients = _free_clients(colour)
    found: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(count):
        for name, used in clients.items():
            started = perf_counter()
            used.get(HOST + "/free")
            found[name].append(1e6 * (perf_counter() - started))
    return {name: median(taken) for name, taken in found.items()}


class _Free(requests.adapters.BaseAdapter):
    """Answers at once, as far as requests lets it."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in request.body or () if not isinstance(request.body, bytes) else ():
            pass
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url or ""
        response._content = b"free"
        return response

    def close(self) -> None:
        pass


@cache
def _free_clients(colour: str) -> dict[str, Any]:
    if colour == "httpx":
        bare, wrapped = (httpx.Client(transport=Turnstile()) for _ in range(2))
        return {"bare": bare, "wrapped": x402_client.httpx.wrap(wrapped, buyer())}
    session, paying = requests.Session(), requests.Session()
    for found in (session, paying):
        found.mount("https://", _Free())
    return {"bare": session, "wrapped": x402_client.requests.wrap(paying, buyer())}


def upload(colour: str) -> int:
    """By how many bytes the most that a streamed upload of 8 MiB keeps in memory grows."""
    most = {}
    for name, used in _free_clients(colour).items():
        body = {"content" if colour == "httpx" else "data": (bytes(65_536) for _ in range(128))}
        tracemalloc.start()
        used.post(HOST + "/free", **body)
        most[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most["wrapped"] - most["bare"]


def growth(how: str, count: int) -> list[float]:
    """Return the KiB by which the process grows: over its second to eleventh hundred of payments, and over ``count``.

    Each is at a new place. What a process remembers of its last thousand payments is full after the first.
    """
    turnstile = Turnstile()
    paying = x402_client.httpx.wrap(httpx.Client(transport=turnstile), buyer(how, ahead=True))
    marks = (100, 1100, 1100 + count)
    found = []
    for number in range(marks[-1] + 1):
        if number in marks:
            gc.collect()
            found.append(resident())
        assert paying.get(f"{HOST}{terms.PATHS['evm2']}?n={number}").status_code == 200
        turnstile.taken.clear()
    return [found[1] - found[0], found[2] - found[1]]


def resident() -> int:
    """KiB of this process in memory."""
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])


_CAPS = (cap(10**15), cap(10**15, "total"), cap(10**9, "day", currency=None))


@cache
def _ledger(kind: str, path: str) -> Any:
    if kind == "memory":
        return MemoryLedger()
    return SqliteLedger(path) if kind == "sqlite" else settings.ledger(kind)


def ledger(kind: str, path: str, count: int) -> list[float]:
    """Return the microseconds of each purchase: one step that reserves and records what is signed, and its end."""
    kept, found, signature = _ledger(kind, path), [], signed()
    for number in range(count):
        attempt, wanted = Attempt(), order(purchase(f"{number}"), *_CAPS)._replace(signed=signature)
        started = perf_counter()
        kept.close(kept.reserve(wanted, attempt), "spent", RECEIPT)
        found.append(1e6 * (perf_counter() - started))
        attempt.end()
    return found


if __name__ == "__main__":
    serve(
        {
            "retry": retry, "spend": spend, "cold": cold, "free": free, "upload": upload, "growth": growth,
            "ledger": ledger,
        }
    )  # fmt: skip
