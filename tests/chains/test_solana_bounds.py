"""The bound on a seller's hint, where slots, endpoints and clocks are drawn: no proof is too early, or too late."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from x402_client.chains import solana as module
from x402_client.chains.solana import LIFE_SECONDS, SolanaChain
from x402_client.chains.solana_settlement import look
from x402_client.errors import ChainUnavailable
from x402_client.model.holds import Authorization, Settled

from .test_solana_search import OWN, hold

START, SKIPPED, LIFE, FINAL, BEGAN = 50_000, 1_000, 150, 32, 1_700_000_000


@dataclass(frozen=True)
class Story:
    """One payment with a hint, from the moment at which it was asked how far the chain is to the look at it."""

    #: Seconds of a slot, and those that pass before it is signed and after that.
    pace: float
    before: float
    after: float
    #: Slots that the endpoint is behind as it is asked how far the chain is, and each witness as it is looked at.
    asked_behind: int
    seen_behind: tuple[int, ...]
    #: Slots by which the hint is older than the chain, and after which its transaction lands. None: it does not.
    hint_age: int
    lands: int | None
    #: Seconds by which the local clock is ahead of the true time while it signs.
    skew: float

    def tell(self) -> tuple[set[Settled], bool]:
        """Return what the witnesses say, and whether the payment can never land any more and did not."""
        signed_at = START + int(self.before / self.pace)
        hint = signed_at - self.hint_age
        now = signed_at + int(self.after / self.pace)
        landed = None if self.lands is None else max(signed_at, hint + self.lands)
        signed = self._signed(hint, signed_at)
        told = set()
        for behind in self.seen_behind:
            node = Node(now - behind, self.pace, landed)
            try:
                told.add(look(node, hold(signed), signed))  # type: ignore[arg-type]
            except ChainUnavailable:
                told.add("unknown")
        return told, now > hint + LIFE and (landed is None or landed > now)

    def _signed(self, hint: int, at: int) -> Authorization:
        with mock.patch.object(module, "steady", return_value=0.0) as steady:
            chain = SolanaChain(Node(START - self.asked_behind, self.pace, None))  # type: ignore[arg-type]
            chain.fetch_tip()
            steady.return_value = self.before
            with mock.patch.object(chain, "_renew"):
                fresh = chain.fresh_hint(f"{hint}")
                assert fresh is not None
                found = chain.bounded(fresh)
        wall = BEGAN + at * self.pace + self.skew
        evidence = {"signature": OWN, "token_account": "account", "blockhash": found.value, "slot": found.slot}
        evidence |= {"last_valid_height": found.last_valid_height, "height_bound": found.height_bound}
        return Authorization("our memo", "payer", int(wall) + LIFE_SECONDS, ("X-PAYMENT", ""), evidence)


class Node:
    """A node of that chain, at one slot. Each blockhash is the number of its slot."""

    urls = ("here",)

    def __init__(self, slot: int, pace: float, landed: int | None) -> None:
        self._slot, self._pace, self._landed = slot, pace, landed

    def call(self, method: str, *params: Any, **patience: Any) -> Any:
        options = params[-1] if params and isinstance(params[-1], dict) else {}
        bank = self._slot - (FINAL if options.get("commitment") == "finalized" else 0)
        if bank < options.get("minContextSlot", 0):
            raise ChainUnavailable("it is behind")
        if method == "getLatestBlockhash":
            value = {"blockhash": f"{bank}", "lastValidBlockHeight": bank - SKIPPED + LIFE}
            return {"context": {"slot": bank}, "value": value}
        if method == "isBlockhashValid":
            return {"value": 0 <= bank - int(params[0]) <= LIFE}
        if method == "getSignaturesForAddress":
            seen = self._landed is not None and self._landed <= bank and "before" not in options
            return [{"signature": "landed", "slot": self._landed, "err": None, "memo": "[8] our memo"}] if seen else []
        answers = {"getSlot": bank, "getBlockHeight": bank - SKIPPED, "getFirstAvailableBlock": 0}
        return answers[method] if method != "getBlockTime" else BEGAN + int(params[0] * self._pace)


STORIES = st.builds(
    Story,
    pace=st.floats(0.2, 0.7),
    before=st.one_of(st.floats(0, 60), st.floats(0, 4_000)),
    after=st.one_of(st.floats(0, 200), st.floats(0, 4_000)),
    asked_behind=st.integers(0, LIFE),
    seen_behind=st.lists(st.one_of(st.integers(0, 10), st.integers(0, 2_000)), min_size=1, max_size=2).map(tuple),
    hint_age=st.integers(0, 20),
    lands=st.none() | st.integers(0, LIFE),
    skew=st.one_of(st.just(0.0), st.floats(-4_000, 4_000)),
)


@settings(max_examples=500, deadline=None)
@given(STORIES)
def test_no_clock_of_ours_and_no_slow_endpoint_proves_too_early(story: Story) -> None:
    """The rule: "The local clock decides when to ask, never the answer"."""
    told, is_over = story.tell()
    assert "not_settled" not in told or is_over


@settings(max_examples=250, deadline=None)
@given(STORIES, st.integers(0, 3_000))
def test_with_a_right_clock_no_endpoint_however_far_behind_proves_too_early(story: Story, behind: int) -> None:
    told, is_over = replace(story, asked_behind=behind, skew=0.0).tell()
    assert "not_settled" not in told or is_over


@settings(max_examples=150, deadline=None)
@given(STORIES)
def test_what_can_never_land_is_told_in_time(story: Story) -> None:
    """Of a payment in steady traffic, by a right clock: three minutes on a chain of the usual pace."""
    usual = replace(story, pace=0.4, before=min(story.before, 30), after=185.0, lands=None, skew=0.0)
    assert replace(usual, seen_behind=(0, 2)).tell()[0] == {"not_settled"}


class Unconfirmed(Node):
    """A node on which a block is confirmed some slots after it was made, as on the real chain."""

    confirmed_after = 3

    def call(self, method: str, *params: Any, **patience: Any) -> Any:
        options = params[-1] if params and isinstance(params[-1], dict) else {}
        if method == "getSignaturesForAddress" and options.get("commitment") == "confirmed":
            return Node(self._slot - self.confirmed_after, self._pace, self._landed).call(method, *params)
        return super().call(method, *params, **patience)


@settings(max_examples=500, deadline=None)
@given(
    told=st.integers(-1_000, 1_000),
    since=st.one_of(st.integers(0, 2 * LIFE + FINAL), st.integers(LIFE - 2, LIFE + 4)),
    lands=st.one_of(st.integers(0, LIFE), st.integers(LIFE - 4, LIFE)),
)
def test_no_height_that_one_endpoint_told_makes_another_say_too_early(told: int, since: int, lands: int) -> None:
    """The payment has the blockhash of that endpoint, which told another last height for it."""
    evidence = {"signature": OWN, "token_account": "account", "blockhash": f"{START}", "slot": START}
    evidence |= {"last_valid_height": START - SKIPPED + LIFE + told, "height_bound": None}
    signed = Authorization("our memo", "payer", BEGAN + int(START * 0.4) + LIFE_SECONDS, ("X-PAYMENT", ""), evidence)
    now, landed = START + since, START + lands
    found = look(Unconfirmed(now, 0.4, landed), hold(signed), signed)  # type: ignore[arg-type]
    assert found != "not_settled"  # it landed, or can land yet
