"""What a chain says, against skewed clocks, lying endpoints and empty wallets: through a client, to the last cent."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import httpx
import pytest

import x402_client.httpx
from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.chains.scripted_rpc import Answer, Scripted, result
from tests.wire.terms import KEY, document, encoded, entry
from x402_client import Buyer, Hold, Policy, Wallet, errors
from x402_client.buyer import settlement_reader
from x402_client.buyer.looks import MOST
from x402_client.sandbox import Sandbox

URL = "https://api.example.com/weather"
YES, NO = result("0x" + "0" * 63 + "1"), result("0x" + "0" * 64)
MINUTE = 60.0


class Clocks:
    """Our clock, and a chain's beside it: both in seconds from now."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._real = time.time
        self.ours = self.chains = 0.0
        patch.setattr(time, "time", lambda: self._real() + self.ours)

    def blocks(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Answer with a block of the chain's present."""
        return result({"number": "0x46", "timestamp": hex(int(self._real() + self.chains))})(asked)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.fixture
def chain(clocks: Clocks) -> Iterator[Callable[..., list[str]]]:
    """Make endpoints of Base's test network, each with its word about every payment."""
    with ExitStack() as stack:

        def make(*words: Answer, block: Answer | None = None) -> list[str]:
            block = block or clocks.blocks
            return [stack.enter_context(Scripted(eth_call=word, eth_getBlockByNumber=block)).url for word in words]

        yield make


class Refuses:
    """A seller that asks for money, takes every payment, and asks for money again. Or drops the line."""

    def __init__(self, drops: bool = False) -> None:
        self.nonces: list[str] = []
        self._drops = drops

    def __call__(self, request: httpx.Request) -> httpx.Response:
        header = request.headers.get("payment-signature")
        if header is not None:
            self.nonces.append(json.loads(base64.b64decode(header))["payload"]["authorization"]["nonce"])
            if self._drops:
                raise httpx.ReadError("gone", request=request)
        terms = document(entry(maxTimeoutSeconds=600))
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": encoded(terms)}, json=terms)


def client_for(seller: Refuses, urls: list[str], policy: Policy, **buyer: Any) -> tuple[httpx.Client, Buyer]:
    paying = Buyer(Wallet(evm=KEY), policy, ledger=":memory:", rpc={"base-sepolia": urls}, breaker_after=None, **buyer)
    return x402_client.httpx.wrap(httpx.Client(transport=httpx.MockTransport(seller)), paying), paying


@pytest.mark.parametrize("skew", [-15, -13, -3, 0, 3, 12.5, 13, 15])
@pytest.mark.parametrize("witnesses", [1, 2])
def test_a_clock_of_ours_that_is_wrong_signs_nothing_twice(
    clocks: Clocks, chain: Callable[..., list[str]], skew: float, witnesses: int
) -> None:
    """The chain's own clock gives the payment ten minutes from its making; only past them may a loss be accepted."""
    seller = Refuses()
    policy = Policy(per_request="0.05", per_day="5", accept_loss="0.05")
    client, buyer = client_for(seller, chain(*[NO] * witnesses), policy, repeat=())
    with client:
        with pytest.raises(errors.PaymentRejected):
            client.get(URL)
        [hold] = buyer.holds()
        for minutes in (0, 2, 5, 9):
            clocks.chains, clocks.ours = minutes * MINUTE, (minutes + skew) * MINUTE
            with pytest.raises(errors.X402Error) as raised:
                client.get(URL)
            assert raised.value.money == "held"
            assert buyer.reconcile().released == ()
            assert {one.id for one in buyer.holds()} == {hold.id}
        assert len(set(seller.nonces)) == 1
        clocks.chains, clocks.ours = 30 * MINUTE, (30 + max(skew, 0)) * MINUTE
        with pytest.raises(errors.PaymentRejected):
            client.get(URL)
        assert len(set(seller.nonces)) == 2, "the chain proved the first one unused"


@pytest.mark.slow
def test_one_lying_endpoint_hands_out_no_more_than_a_days_limit_again(
    clocks: Clocks, chain: Callable[..., list[str]]
) -> None:
    """The seller takes every payment and drops the line; the one endpoint says that none of them settled."""
    later = result({"number": "0x46", "timestamp": hex(int(time.time() + 10**6))})
    seller = Refuses(drops=True)
    client, buyer = client_for(seller, chain(NO, block=later), Policy(per_request="0.10", per_day="0.50"), repeat=())
    with client:
        for minute in range(66):
            clocks.ours = minute * 11 * MINUTE
            with pytest.raises(errors.X402Error):
                client.get(f"{URL}?{minute % 7}")
    assert len(set(seller.nonces)) == 7 + 50, "what is open, and a day's limit"
    assert buyer.spent(currency="USD (test)").units == 70_000


def test_two_endpoints_have_to_lie_alike(clocks: Clocks, chain: Callable[..., list[str]]) -> None:
    later = result({"number": "0x46", "timestamp": hex(int(time.time() + 10**6))})
    seller = Refuses(drops=True)
    liar, honest = chain(NO, block=later), chain(YES)
    client, buyer = client_for(seller, liar + honest, Policy(per_request="0.10", per_day="0.50"), repeat=())
    with client:
        for minute in range(20):
            clocks.ours = minute * 11 * MINUTE
            with pytest.raises(errors.X402Error):
                client.get(f"{URL}?{minute % 3}")
    assert len(set(seller.nonces)) == 3
    assert {hold.money for hold in buyer.holds()} == {"spent"}


@pytest.mark.parametrize("shell", SHELLS, ids=name_of)
@pytest.mark.parametrize("chain_name", ["evm", "solana"])
def test_an_empty_wallet_is_told_what_to_send_where(shell: Ask, chain_name: str) -> None:
    with Sandbox() as seller:
        buyer = seller.buyer(Policy(per_request="0.05", per_day="1"), wallet=seller.wallet("0"))
        with pytest.raises(errors.PaymentRejected) as raised:
            shell(buyer, "GET", f"{seller.url}/{chain_name}/weather")
        address = buyer.wallet.addresses["eip155" if chain_name == "evm" else "solana"]
        assert f"The account {address} holds 0 " in str(raised.value)
        assert f"to {address} first" in str(raised.value)
        assert raised.value.money == "held"
        assert len(buyer.holds()) == 1


@pytest.mark.parametrize("shell", SHELLS, ids=name_of)
@pytest.mark.parametrize("chain_name", ["evm", "solana"])
def test_what_settled_behind_a_lost_answer_is_said_at_once(shell: Ask, chain_name: str) -> None:
    with Sandbox() as seller:
        buyer = seller.buyer(Policy(per_request="0.05", per_day="1"), repeat=())
        url = f"{seller.url}/{chain_name}/fault/drop-after-settling/weather"
        with pytest.raises(errors.PaymentOutcomeUnknown) as raised:
            shell(buyer, "GET", url)
        assert raised.value.money == "spent"
        assert "The chain shows that it was paid" in str(raised.value)
        [listed], [kept] = buyer.holds(), cast("tuple[Hold, ...]", buyer.ledger.holds())
        assert (listed.state, listed.money) == ("signed", "spent"), "it is listed with what the error said"
        assert (kept.state, kept.money) == ("signed", "held"), "and a look changes nothing in the ledger"


def test_a_silent_endpoint_has_four_looks_in_flight_and_no_more(
    clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end waits for it for two seconds, and beyond those four for nothing."""
    monkeypatch.setattr(settlement_reader, "AT_ONCE", 0.05)
    asked, go_on = [], threading.Event()

    def silent(question: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        asked.append(question)
        go_on.wait()
        return 404, {}, b""

    with Scripted(silent) as endpoint:
        client, buyer = client_for(Refuses(), [endpoint.url], Policy(per_day="5"), repeat=())
        with client:
            for number in range(3 * MOST):
                with pytest.raises(errors.PaymentRejected) as raised:
                    client.get(f"{URL}?{number}")
                assert raised.value.money == "held"
        assert len(asked) <= MOST + 1  # and the look at the payer's account, before the first payment
        go_on.set()
        buyer.close()
