"""Lists say of a payment without content what its error said, in every client and on every ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ledgers.redis.server import Server as Redis
from x402_client import errors, outcome
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

FAULTS = (
    "drop-before-settling", "drop-after-settling", "402-again", "402-after-settling", "error-after-settling",
    "truncated-body",
)  # fmt: skip


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def places(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Return what gives a ledger of each kind."""

    def place(kind: str) -> Any:
        if kind == "redis":
            return request.getfixturevalue("redis").url
        return ":memory:" if kind == "memory" else tmp_path / "ledger.db"

    return place


def told(ended: Any) -> tuple[str, str]:
    """Return the money as an error or an answer tells it, and as its hold does."""
    said = ended if isinstance(ended, errors.X402Error) else outcome(ended)
    assert said is not None
    assert said.hold is not None
    return said.money, said.hold.money


def fetch(buyer: Any, url: str) -> Any:
    with wrap(httpx.Client(), buyer) as client:
        try:
            return client.post(url)
        except Exception as failure:
            return errors.find(failure) or failure


async def afetch(buyer: Any, url: str) -> Any:
    async with wrap(httpx.AsyncClient(), buyer) as client:
        try:
            return await client.post(url)
        except Exception as failure:
            return errors.find(failure) or failure
        finally:
            await buyer.aclose()  # with the connections of this loop


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ledger", ["memory", "file", "redis"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_list_says_what_the_caller_heard(
    seller: Sandbox, places: Callable[[str], Any], fault: str, ledger: str, asynchronous: bool
) -> None:
    buyer = seller.buyer(wallet=seller.wallet(solana=False), ledger=places(ledger), purse=f"{fault} {asynchronous}")
    url = seller.fault_url(fault, "/evm/weather")
    ended = asyncio.run(afetch(buyer, url)) if asynchronous else fetch(buyer, url)
    money, same = told(ended)
    assert money == same
    assert buyer.services.ends.flush(), "an async caller does not wait for a server"
    [hold] = buyer.holds()
    assert (hold.money, hold.in_flight) == (money, False)
    assert hold.last is not None
    assert hold.last.money == money
    buyer.close()


def test_a_payment_that_was_said_to_be_paid_is_still_asked_about(
    seller: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at once, or a receipt, settles nothing in the ledger: reconciling asks the chain after the expiry."""
    asked: list[Any] = []

    class Reader:
        def read(self, hold: Any) -> str:
            asked.append(hold)
            return "settled"

    buyer = seller.buyer(wallet=seller.wallet(solana=False), reader=Reader())
    told(fetch(buyer, seller.fault_url("drop-after-settling", "/evm/weather")))
    assert [hold.money for hold in buyer.holds()] == ["spent"]
    seen = len(asked)
    assert buyer.reconcile().not_expired == asyncio.run(buyer.areconcile()).not_expired == buyer.holds()
    assert len(asked) == seen
    monkeypatch.setattr("x402_client.buyer.settlement_reader.time.time", lambda: 2**33)
    found = buyer.reconcile()
    assert (len(found.settled), found.not_expired) == (1, ())
    assert len(asked) == seen + 1


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ledger", ["memory", "file", "redis"])
def test_what_is_in_flight_is_not_written_off_and_told_apart(
    seller: Sandbox, places: Callable[[str], Any], ledger: str, asynchronous: bool
) -> None:
    buyer = seller.buyer(wallet=seller.wallet(solana=False), ledger=places(ledger), purse=f"flying {asynchronous}")
    refusals: list[str] = []
    with asyncio.Runner() as loop:

        def write_off(one: Any) -> None:
            with pytest.raises(errors.PaymentRefused) as refused:
                loop.run(buyer.awrite_off(one)) if asynchronous else buyer.write_off(one)
            refusals.append(str(refused.value))

        with wrap(httpx.Client(), buyer) as client, client.stream("GET", f"{seller.url}/evm/weather") as answer:
            [hold] = buyer.holds()
            write_off(hold)
            write_off(hold.id)
            answer.read()
        assert (buyer.holds(), [past.state for past in buyer.history()]) == ((), ["delivered"])
        write_off(hold)
        loop.run(buyer.aclose())
    for said in refusals[:2]:
        assert f"Hold {hold.id} is in flight, so there is nothing to write off yet. Wait: a call is paying it" in said
    assert "is not an unresolved payment" in refusals[2]
