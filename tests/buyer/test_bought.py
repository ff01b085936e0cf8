"""Was a seller bought from before? By this wallet, in this purse, delivered or not resolved."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from x402_client import Buyer, Hold, Policy, Wallet
from x402_client.buyer.bought import abought_at, bought_at
from x402_client.core.asks import Bought
from x402_client.ledgers.conformance.fixtures import PAYER, RECEIPT, order, purchase, signed
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Attempt

KEY = "0x" + "46" * 32


class Purchases:
    """A buyer whose ledger is asked, and short ways to fill it."""

    def __init__(self, buyer: Buyer) -> None:
        self.buyer = buyer

    def presented(self, name: str, attempt: Attempt) -> Hold:
        held = self.buyer.ledger.reserve(order(purchase(name)), attempt)
        assert isinstance(held, Hold)
        found = self.buyer.ledger.record(held, signed())
        assert isinstance(found, Hold)
        return found

    def unresolved(self, name: str) -> Hold:
        attempt = Attempt()
        hold = self.presented(name, attempt)
        attempt.end()
        return hold

    def delivered(self, name: str) -> Hold:
        hold = self.unresolved(name)
        self.buyer.ledger.close(hold, "spent", RECEIPT)
        return hold

    def found(self, name: str, *payers: str) -> str | None:
        """The id of what is found, the same one for sync and async callers."""
        about = purchase(name)
        asked = Bought(about.origin, about.url, payers or (PAYER,))
        held = bought_at(self.buyer.services, asked)
        assert asyncio.run(abought_at(self.buyer.services, asked)) == held
        return None if held is None else held.id


@pytest.fixture(params=["memory", "file"])
def bought(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Purchases]:
    ledger = MemoryLedger() if request.param == "memory" else tmp_path_factory.mktemp("ledger") / "spend.db"
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="5"), ledger=ledger, rpc={})
    yield Purchases(buyer)
    buyer.close()


def test_a_delivery_is_found_by_its_url_first(bought: Purchases) -> None:
    assert bought.found("a") is None
    first, second = bought.delivered("a"), bought.delivered("b")
    assert [bought.found(name) for name in "abc"] == [first.id, second.id, second.id]


def test_what_is_not_resolved_counts_and_what_is_in_flight_does_not(bought: Purchases) -> None:
    attempt = Attempt()
    hold = bought.presented("a", attempt)
    assert bought.found("a") is None
    attempt.end()
    assert bought.found("a") == hold.id


def test_another_wallets_purchase_and_what_was_given_up_do_not_count(bought: Purchases) -> None:
    hold = bought.unresolved("a")
    assert bought.found("a", "0xanother") is None
    bought.buyer.ledger.write_off(hold)
    assert bought.found("a") is None


def test_another_purse_and_another_origin_do_not_count(bought: Purchases) -> None:
    bought.delivered("a")
    other = Buyer(Wallet(evm=KEY), Policy(per_day="5"), ledger=bought.buyer.ledger, purse="other", rpc={})
    assert Purchases(other).found("a") is None
    asked = Bought(purchase("a").origin.of("https", "other.example", None), purchase("a").url, (PAYER,))
    assert bought_at(bought.buyer.services, asked) is None


def test_a_ledger_in_memory_looks_far_back(bought: Purchases) -> None:
    hold = bought.delivered("a")
    for number in range(60):
        attempt = Attempt()
        other = bought.buyer.ledger.reserve(order(purchase(f"{number}"), payer="0xanother"), attempt)
        assert isinstance(other, Hold)
        bought.buyer.ledger.close(bought.buyer.ledger.record(other, signed()), "spent", None)
        attempt.end()
    assert bought.found("a") == hold.id
