"""A clock of ours that is set while a payment with a seller's hint is open, and endpoints that are behind or down.

The seller is hostile: it names a blockhash that no endpoint of the buyer has seen yet, refuses each payment, and lets
its facilitator submit all that it was given in the end.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.transaction import VersionedTransaction

import x402_client.httpx
from tests.real.chain import RpcFailed
from tests.real.solana import SLOT_SECONDS, SOLANA_NETWORK, USDC_DEVNET
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.chains import solana
from x402_client.guards.steady_clock import steady

pytestmark = pytest.mark.slow

PRICE = 10_000


class Clocks:
    """This machine's clocks: the wall clock, which somebody sets, and the steady one."""

    def __init__(self) -> None:
        self._time, self._steady = time.time, steady
        self.wall = self.passed = 0.0

    @contextlib.contextmanager
    def installed(self) -> Iterator[Clocks]:
        with mock.patch.object(time, "time", self._set), mock.patch.object(solana, "steady", self._unset):
            yield self

    def _set(self) -> float:
        return self._time() + self.wall + self.passed

    def _unset(self) -> float:
        return self._steady() + self.passed


class Refusing(httpx.BaseTransport):
    """A seller that asks for money whatever it is given, or whose answers get lost, and keeps the payments."""

    def __init__(self, world: World, loses: bool) -> None:
        self._chain, self._loses = world.solana, loses
        self._fees, self._till = Keypair(), Keypair()
        self.payments: dict[str, None] = {}
        self.hint = ""
        world.solana.fund(self._fees)
        world.solana.mint_to(self._till, 0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        header = request.headers.get("payment-signature")
        if header is not None:
            self.payments[json.loads(base64.b64decode(header))["payload"]["transaction"]] = None
            if self._loses:
                raise httpx.ReadError("lost")
        extra = {"feePayer": str(self._fees.pubkey()), "recentBlockhash": self.hint}
        offer: dict[str, Any] = {"scheme": "exact", "network": SOLANA_NETWORK, "asset": USDC_DEVNET}
        offer |= {"amount": str(PRICE), "payTo": str(self._till.pubkey()), "maxTimeoutSeconds": 60, "extra": extra}
        resource = {"url": str(request.url)}
        terms = {"x402Version": 2, "error": "pay", "resource": resource, "accepts": [offer]}
        said = base64.b64encode(json.dumps(terms).encode()).decode()
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": said}, content=b"{}")

    def submit_all(self) -> None:
        """Submit each payment, as a facilitator does."""
        for payment in self.payments:
            signed = VersionedTransaction.from_bytes(base64.b64decode(payment))
            whole = [self._fees.sign_message(to_bytes_versioned(signed.message)), signed.signatures[1]]
            sent = base64.b64encode(bytes(VersionedTransaction.populate(signed.message, whole))).decode()
            with contextlib.suppress(RpcFailed):  # too late
                self._chain.rpc("sendTransaction", sent, {"encoding": "base64", "skipPreflight": True})


@dataclass(frozen=True)
class Case:
    """A payment, and what is wrong with our clock and our endpoints."""

    #: Seconds that our clock is ahead while it signs, and by which it is set after that.
    skew: int
    step: int
    #: Slots that our endpoints are behind, and how many of them count as witnesses.
    behind: int
    witnesses: int
    #: Slots that pass between an earlier payment and this one (None: there is none), and before it is asked again.
    before: int | None
    after: int
    #: No endpoint answers until it is signed.
    dead: bool
    #: The seller's answers get lost, or are 402s.
    loses: bool


CASES = st.builds(
    Case,
    skew=st.sampled_from((-3_600, -300, -300, -150, 0, 0, 700)),
    step=st.sampled_from((-700, 0, 160, 300, 300, 3_600, 3_600)),
    behind=st.sampled_from((0, 3, 3, 20, 100, 145)),
    witnesses=st.sampled_from((1, 2, 2)),
    before=st.sampled_from((None, None, 0, 60, 400)),
    after=st.sampled_from((0, 0, 10, 60, 140, 200)),
    dead=st.booleans(),
    loses=st.booleans(),
)


class Scene:
    """One case, played on a chain of its own."""

    def __init__(self, world: World, case: Case) -> None:
        self.case, self.chain, self.clocks = case, world.solana, Clocks()
        self._key, self.seller = world.solana_buyer(), Refusing(world, case.loses)
        url = world.solana.url
        urls = [url, url.replace("127.0.0.1", "localhost")][: case.witnesses]
        policy = Policy(per_request="0.05", per_day="0.05")
        self.buyer = Buyer(
            Wallet(solana=self._key), policy, rpc={"solana-devnet": urls}, repeat=(), ledger=":memory:",
            breaker_after=None,
        )  # fmt: skip
        self._since = world.solana.slot()

    def play(self) -> None:
        with self.clocks.installed(), contextlib.closing(self.buyer), self._client() as client:
            if self.case.before is not None:
                self._ask(client, "/before")
                self._pass(self.case.before)
            if self.case.dead:
                self.chain.spoil(10_000)
            else:
                self.chain.lag(self.case.behind)
            self.clocks.wall = self.case.skew
            self._ask(client)
            self.chain.mend()
            self.chain.lag(self.case.behind)
            self.clocks.wall += self.case.step
            self._pass(self.case.after)
            for _ in range(2):
                self.buyer.reconcile()
                self._ask(client)
            self.chain.mend()
            self.seller.submit_all()
            self._judge()

    def _judge(self) -> None:
        moved = [one for one in self.chain.transfers(self._since) if one.sender == str(self._key.pubkey())]
        requests = 1 if self.case.before is None else 2
        assert len(moved) <= requests, "a request moved money twice"
        assert sum(one.amount for one in moved) <= self.buyer.spent(currency="USD (test)").units

    def _client(self) -> httpx.Client:
        return x402_client.httpx.wrap(httpx.Client(transport=self.seller), self.buyer)

    def _ask(self, client: httpx.Client, path: str = "/goods") -> None:
        self.seller.hint = self.chain.blockhash("processed")
        with contextlib.suppress(errors.X402Error):
            client.get(f"https://seller.example{path}")

    def _pass(self, slots: int) -> None:
        """Let time pass on the chain, and on the clocks."""
        if slots:
            self.chain.jump(slots)
            self.clocks.passed += slots * SLOT_SECONDS


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CASES)
def test_one_request_moves_money_once_whatever_the_clocks_show(own_world: World, case: Case) -> None:
    try:
        Scene(own_world, case).play()
    finally:
        own_world.solana.mend()


@pytest.mark.parametrize("witnesses", [1, 2])
@pytest.mark.parametrize("skew", [-3_600, -300, 0, 300])
def test_a_clock_that_is_put_right_frees_nothing_that_can_land(own_world: World, skew: int, witnesses: int) -> None:
    case = Case(skew, -skew, 3, witnesses, None, 0, dead=False, loses=False)
    Scene(own_world, case).play()


@pytest.mark.parametrize("dead", [True, False])
def test_what_can_never_land_is_given_back_if_it_was_bounded(own_world: World, dead: bool) -> None:
    """Without an endpoint that answers while it is signed, it counts until its window rolls over."""
    scene = Scene(own_world, Case(0, 0, 0, 2, None, 0, dead, loses=False))
    with scene.clocks.installed(), contextlib.closing(scene.buyer), scene._client() as client:
        if dead:
            scene.chain.spoil(10_000)
        scene._ask(client)
        scene.chain.mend()
        scene._pass(600)
        found = scene.buyer.reconcile()
        assert (len(found.released), len(found.unknown)) == ((0, 1) if dead else (1, 0))
        assert scene.buyer.spent(currency="USD (test)").units == (PRICE if dead else 0)
        if dead:
            with pytest.raises(errors.PaymentOutcomeUnknown, match="never that it was not"):
                client.get("https://seller.example/goods")
