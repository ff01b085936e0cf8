"""Tool calls in all weather: answers are lost, calls cancelled, sessions end, servers change their words. Paid once.

Hypothesis draws what happens to each call. Two things are asked for in turn, by one tool. The promise: for each of
them one authorization is shown until it brought a result, in however many calls, sessions, programs and encodings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import ClientSession, MCPError

from tests.adapters.mcp_sessions import DIALECTS, NAME, over_memory
from tests.adapters.mcp_shop import Shop, crashed, failed, lost, without_receipt
from x402_client import Buyer, Policy, Wallet, outcome
from x402_client.errors import X402Error
from x402_client.mcp import wrap
from x402_client.sandbox import Sandbox

CITIES = ("Bern", "Basel")
#: The server's words. All of them read one version, so that any may be answered by a payment of another.
WORDS = ("specification", "agents", "text", "text, base64", "fastmcp", "error 402", "error -32042")
PRICE = 10_000


class Step(NamedTuple):
    """One call, what its server does, and what happens before it."""

    city: str
    words: str
    fault: Any = None
    #: The server reads no payment at all.
    deaf: bool = False
    cancelled: bool = False
    #: "session": another session. "program": another buyer on the same ledger.
    before: str = ""


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(CITIES),
        st.sampled_from(WORDS),
        st.sampled_from([None, None, lost, failed, crashed, without_receipt]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from(["", "", "session", "program"]),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def seller() -> Iterator[Sandbox]:
    with Sandbox(redeliver=True) as sandbox:
        yield sandbox


class Play:
    """One play of drawn steps, and its books."""

    def __init__(self, seller: Sandbox, ledger: str) -> None:
        self.seller, self.ledger, self.key = seller, ledger, seller.key()
        self.shop = Shop(seller.url)
        self.buyer = self.new_buyer()
        self.stack = AsyncExitStack()
        self.session: ClientSession
        #: For each city the authorizations in the order in which they were first shown, and the results.
        self.results = dict.fromkeys(CITIES, 0)

    def new_buyer(self) -> Buyer:
        policy = Policy(per_request="0.05", per_day="1")
        return self.seller.buyer(policy, wallet=Wallet(evm=self.key), ledger=self.ledger, settle_timeout=0.1)

    async def connect(self) -> None:
        await self.stack.aclose()
        self.session = await self.stack.enter_async_context(over_memory(self.shop))
        wrap(self.session, self.buyer, NAME)

    async def play(self, steps: list[Step]) -> None:
        await self.connect()
        try:
            for step in steps:
                if step.before == "program":
                    self.buyer.close()
                    self.buyer = self.new_buyer()
                if step.before:
                    await self.connect()
                await self.one(step)
                self.check()
            # In fair weather everything that is owed is delivered, and nothing new is paid for that.
            for city in CITIES:
                if self.shown(city) and len(self.shown(city)) > self.results[city]:
                    await self.one(Step(city, "specification"))
            self.check()
            assert self.buyer.holds() == ()
            assert {city: len(self.shown(city)) for city in CITIES} == self.results
        finally:
            await self.stack.aclose()
            self.buyer.close()

    async def one(self, step: Step) -> None:
        spoken = DIALECTS[step.words]
        self.shop.dialect = spoken._replace(kind=tuple) if step.deaf else spoken
        self.shop.faults[:] = [step.fault]
        before = len(self.shop.payments)
        try:
            with anyio.CancelScope() as scope:
                if step.cancelled:
                    self.shop.faults[:] = [lambda answer: _and_cancel(scope, answer)]
                patience = 0.1 if step.fault is lost else 30
                result = await self.session.call_tool("weather", {"city": step.city}, read_timeout_seconds=patience)
                self.results[step.city] += not result.is_error
                assert result.is_error or outcome(result) is not None
                assert len(self.shop.payments) > before
        except (X402Error, MCPError):
            pass

    def shown(self, city: str) -> list[str]:
        found: dict[str, None] = {}
        for _, arguments, meta in self.shop.calls:
            one = Shop("", calls=[("", {}, meta)]).payments
            if arguments["city"] == city and one:
                found[one[0]["payload"]["authorization"]["nonce"]] = None
        return list(found)

    def check(self) -> None:
        all_shown = [nonce for city in CITIES for nonce in self.shown(city)]
        assert len(set(all_shown)) == len(all_shown)
        for city in CITIES:
            assert self.results[city] <= len(self.shown(city)) <= self.results[city] + 1
        settled = [done.nonce for done in self.seller.paid(self.buyer)]
        assert set(settled) <= set(all_shown)
        assert len(settled) == len(set(settled))
        assert self.buyer.spent().units == PRICE * len(all_shown)


def _and_cancel(scope: anyio.CancelScope, answer: Any) -> Any:
    anyio.from_thread.run_sync(scope.cancel)
    return answer


def plays(seller: Sandbox, steps: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        anyio.run(Play(seller, str(Path(folder, "spend.db"))).play, steps)


@settings(max_examples=12)
@given(STEPS)
def test_nothing_is_paid_twice(seller: Sandbox, steps: list[Step]) -> None:
    plays(seller, steps)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=250)
@given(STEPS)
def test_nothing_is_paid_twice_in_many_plays(seller: Sandbox, steps: list[Step]) -> None:
    plays(seller, steps)


def test_the_play_itself_sees_a_second_payment(seller: Sandbox) -> None:
    """A buyer that forgets its ledger pays twice: if that is not seen, nothing is."""

    class Forgets(Play):
        def new_buyer(self) -> Buyer:
            self.ledger = ":memory:"
            return super().new_buyer()

    async def play() -> None:
        forgetful = Forgets(seller, "")
        lossy = [Step("Bern", "specification", lost), Step("Bern", "specification", before="program")]
        with pytest.raises(AssertionError):
            await forgetful.play(lossy)

    anyio.run(play)
