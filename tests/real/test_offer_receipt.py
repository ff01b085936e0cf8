"""A real seller with the official extension offer-receipt, in TypeScript: its signatures are read and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests

import x402_client.requests
from tests.soak.matrix import npm
from x402_client import Buyer, Outcome, Policy, Wallet, events, outcome
from x402_client.httpx import wrap
from x402_client.signers.evm import LocalEvmSigner

from .environments import needed
from .programs import Program

pytestmark = pytest.mark.foreign
NETWORK = "eip155:84532"
KEY = "0x" + "11" * 32
PAYEE = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


@pytest.fixture(scope="module", params=["eip712", "jws"])
def seller(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    program: Program = needed(npm.launch, "official", "offer_receipt.mjs")
    orders = {"network": NETWORK, "pay_to": PAYEE, "key": KEY, "format": request.param}
    yield program.order(orders), request.param
    program.tell_to_stop()
    program.stop()


def buyer(told: list[events.Event], policy: Policy | None = None, ledger: str = ":memory:") -> Buyer:
    wallet = Wallet(evm=LocalEvmSigner.generate())
    return Buyer(wallet, policy or Policy(per_request="0.05"), ledger=ledger, rpc={}, on_event=told.append)


def bought(url: str, mine: Buyer, method: str = "GET") -> Outcome:
    with wrap(httpx.Client(trust_env=False), mine) as client:
        answer = client.request(method, f"{url}/paid")
    found = outcome(answer)
    assert answer.json() == {"goods": "paid"}
    assert found is not None
    assert found.money == "spent"
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_seller_signs_is_read_checked_and_kept(seller: tuple[str, str], method: str, tmp_path: Path) -> None:
    url, form = seller
    told: list[events.Event] = []
    mine = buyer(told, ledger=str(tmp_path / "ledger.db"))
    found = bought(url, mine, method)
    assert found.receipt is not None
    for signed in (found.offer.signed, found.receipt.signed):
        assert signed is not None
        assert (signed.format, signed.problems) == (form, ())
        assert signed.signed_by == ("payee" if form == "eip712" else "stranger")
    assert found.receipt.signed is not None
    assert found.receipt.signed.payload.get("transaction") in (None, "", found.receipt.transaction)
    [kept] = mine.history()
    assert kept.receipt is not None
    assert (kept.offer.signed, kept.receipt.signed) == (found.offer.signed, found.receipt.signed)
    assert [event for event in told if isinstance(event, events.Warned) and event.method] == []
    mine.close()


def test_a_key_that_the_policy_names_is_trusted(seller: tuple[str, str]) -> None:
    url, form = seller
    signed = bought(url, buyer([])).offer.signed
    assert signed is not None
    trusting = Policy(per_request="0.05", seller_keys=[signed.signer])
    again = bought(url, buyer([], trusting)).offer.signed
    assert again is not None
    assert again.signed_by == ("payee" if form == "eip712" else "trusted")


def test_another_library_reads_the_same(seller: tuple[str, str]) -> None:
    url, form = seller
    with x402_client.requests.wrap(requests.Session(), buyer([])) as session:
        found = outcome(session.get(f"{url}/paid"))
    assert found is not None
    assert found.receipt is not None
    assert found.receipt.signed is not None
    assert found.receipt.signed.format == form
