"""Did it settle on Solana? Before and past the end of its blockhash, with a wrong clock, and on nodes in trouble."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair

import x402_client.httpx
from tests.promises.broken_connection import BreaksAroundPayments
from tests.promises.test_pays_solana import buyer_for
from tests.real.world import Seller, World
from x402_client import Buyer, errors

pytestmark = pytest.mark.slow


def unresolved(world: World, keypair: Keypair, seller: Seller, path: str, arrives: bool) -> Buyer:
    buyer = buyer_for(world, keypair)
    client = x402_client.httpx.wrap(httpx.Client(transport=BreaksAroundPayments(arrives)), buyer)
    with client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(seller.url(path), timeout=60)
    return buyer


@pytest.mark.parametrize(
    "name_path", [("svm-v2", "/paid"), ("svm-v2", "/memo"), ("svm-v2", "/hint"), ("svm-v1", "/paid")]
)
@pytest.mark.parametrize("arrives", [True, False])
def test_the_reader_tells_what_settled(
    own_world: World, name_path: tuple[str, str], arrives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, keypair = own_world.seller(name_path[0]), own_world.solana_buyer()
    buyer = unresolved(own_world, keypair, seller, name_path[1], arrives)
    [hold] = buyer.holds()
    assert buyer.reader.read(hold) == ("settled" if arrives else "live")
    own_world.solana.jump(100)
    assert buyer.reader.read(hold) == ("settled" if arrives else "live"), "its blockhash lives still"
    own_world.solana.jump(400)
    assert buyer.reader.read(hold) == ("settled" if arrives else "not_settled")
    later = time.time() + 300
    monkeypatch.setattr(time, "time", lambda: later)
    found = buyer.reconcile()
    assert [one.id for one in (found.settled if arrives else found.released)] == [hold.id]
    assert buyer.spent(currency="USD (test)").units == (10_000 if arrives else 0)


def test_a_wrong_clock_of_ours_changes_no_answer(own_world: World) -> None:
    """The chain's own slots and blockhashes decide; our clock may be an hour off."""
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    arrived = unresolved(own_world, keypair, seller, "/paid", arrives=True)
    [hold] = arrived.holds()
    assert arrived.reader.read(hold.but(created=hold.created + 3600)) == "settled"

    lost = unresolved(own_world, own_world.solana_buyer(), seller, "/hint", arrives=False)
    [hold] = [one for one in lost.holds() if one.url.endswith("/hint")]
    assert hold.authorization is not None
    early = hold.but(authorization=replace(hold.authorization, expires=0))
    assert lost.reader.read(early) == "live", "its blockhash lives still, whatever our clock said"
    own_world.solana.jump(400)
    assert lost.reader.read(early) == "not_settled"


def test_a_failed_transaction_is_not_a_settled_one(own_world: World) -> None:
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    own_world.solana.fail_sends(1)
    buyer = unresolved(own_world, keypair, seller, "/paid", arrives=True)
    [hold] = buyer.holds()
    assert buyer.reader.read(hold) == "live"
    own_world.solana.jump(400)
    assert buyer.reader.read(hold) == "not_settled"
    assert own_world.solana.balance(keypair) == 1_000_000


@pytest.mark.parametrize(
    "trouble",
    [
        lambda chain: chain.spoil(100),
        lambda chain: chain.refuse(100),
        lambda chain: chain.lag(450),
        lambda chain: chain.spoil(100, "getSignaturesForAddress"),
        lambda chain: chain.spoil(100, "getBlockHeight"),
    ],
    ids=["garbage", "refusals", "a lagging node", "garbled signatures", "a garbled height"],
)
def test_trouble_is_never_read_as_not_settled(own_world: World, trouble: Callable[[Any], None]) -> None:
    seller, keypair = own_world.seller("svm-v2"), own_world.solana_buyer()
    buyer = unresolved(own_world, keypair, seller, "/paid", arrives=False)
    [hold] = buyer.holds()
    own_world.solana.jump(400)
    trouble(own_world.solana)
    assert buyer.reader.read(hold) in ("unknown", "live")
    own_world.solana.mend()
    assert buyer.reader.read(hold) == "not_settled"
