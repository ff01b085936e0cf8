"""A process that dies in the middle of a payment, and the next one on its ledger: paid once, never signed twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.one_request import through_httpx, through_requests
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors

POLICY = Policy(per_request="0.05", per_day="1")
DIES = """
import os, signal, sys
import httpx
from x402_client import Buyer, Policy, Wallet
from x402_client.httpx import wrap

kind, key, url, ledger, rpc, moment = sys.argv[1:]


class Dies(httpx.BaseTransport):
    inner = httpx.HTTPTransport()

    def handle_request(self, request):
        pays = "payment-signature" in request.headers
        if pays and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        response = self.inner.handle_request(request)
        if pays:
            os.kill(os.getpid(), signal.SIGKILL)
        return response


policy = Policy(per_request="0.05", per_day="1")
buyer = Buyer(Wallet(**{kind: key}), policy, ledger=ledger, rpc={"solana-devnet": rpc} if rpc else None)
with wrap(httpx.Client(transport=Dies()), buyer) as client:
    client.get(url, timeout=60)
"""


def die(kind: str, key: str, url: str, ledger: Path, rpc: str, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, kind, key, url, str(ledger), rpc, moment], timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", ["evm", "solana"])
def test_killed_at_the_payment(world: World, tmp_path: Path, kind: str, moment: str) -> None:
    ledger = tmp_path / "ledger.db"
    seller = world.seller("fastapi-v2" if kind == "evm" else "svm-v2")
    if kind == "evm":
        account = world.buyer()
        key, rpc, who = account.key.hex(), "", account.address
    else:
        keypair = world.solana_buyer()
        key, rpc, who = str(keypair), world.solana.url, str(keypair.pubkey())
    block, slot = world.chain.block(), world.solana.slot()
    die(kind, key, seller.url("/paid"), ledger, rpc, moment)

    endpoints = {"solana-devnet": rpc} if rpc else None
    buyer = Buyer(Wallet(**{kind: key}), POLICY, ledger=str(ledger), rpc=endpoints)
    [left] = buyer.holds()
    assert buyer.spent(currency="USD (test)").units == 10_000, "what a dead process signed stays counted"
    if moment == "before":
        assert through_httpx(buyer, "GET", seller.url("/paid"), timeout=60).status_code == 200
        assert [one.nonce for one in buyer.history()] == [left.nonce]
    else:
        # This seller answers 402 to a payment it settled; no second one may be signed for that.
        with pytest.raises(errors.PaymentRejected) as raised:
            through_requests(buyer, "GET", seller.url("/paid"), timeout=60)
        assert raised.value.hold.nonce == left.nonce
    if kind == "evm":
        paid = [one.value for one in world.chain.transfers(block) if one.sender == who.lower()]
    else:
        paid = [one.amount for one in world.solana.transfers(slot) if one.sender == who]
    assert paid == [10_000]
    assert buyer.spent(currency="USD (test)").units == 10_000
    buyer.close()


def test_budgets_outlive_the_process(world: World, tmp_path: Path) -> None:
    seller, account = world.seller("fastapi-v2"), world.buyer()
    policy = Policy(per_request="0.02", per_day="0.02")
    for _ in range(2):
        buyer = Buyer(Wallet(evm=account), policy, ledger=tmp_path / "ledger.db")
        assert through_httpx(buyer, "GET", seller.url("/paid")).status_code == 200
        buyer.close()
    buyer = Buyer(Wallet(evm=account), policy, ledger=tmp_path / "ledger.db")
    with pytest.raises(errors.OverLimit) as raised:
        through_httpx(buyer, "GET", seller.url("/paid"))
    assert str(raised.value.spent) == "0.02 USD (test)"
    assert raised.value.resets_at is not None
    buyer.close()


def test_keys_outlive_the_process(world: World, tmp_path: Path) -> None:
    seller, account = world.seller("fastapi-v2"), world.buyer()
    for expected in (200, None):
        buyer = Buyer(Wallet(evm=account), POLICY, ledger=tmp_path / "ledger.db")
        with buyer.purchase(key="order-42"):
            if expected:
                assert through_httpx(buyer, "GET", seller.url("/paid")).status_code == expected
            else:
                with pytest.raises(errors.AlreadyPaid) as raised:
                    through_httpx(buyer, "GET", seller.url("/paid"))
                assert raised.value.receipt.success
        buyer.close()
    assert world.chain.balance(account.address) == 1_000_000 - 10_000


def test_the_first_use_of_a_ledger_is_an_event(tmp_path: Path) -> None:
    from x402_client.events import Event, LedgerStarted

    for expected in (1, 0):
        seen: list[Event] = []
        buyer = Buyer(Wallet(evm="11" * 32), ledger=tmp_path / "ledger.db", on_event=seen.append)
        assert [type(one) for one in seen] == [LedgerStarted] * expected
        buyer.close()
