"""Permit2 payments by a witness that tells the truth, where what was known before the payment is any endpoint's lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x402_client.chains import permit2_settlement as module
from x402_client.chains.permit2_settlement import FIRST_BLOCK, KNOWN_AT, charge, look
from x402_client.chains.rpc_answers import Garbage
from x402_client.model.holds import Authorization, Hold

from .test_permit2_settlement import NONCE
from .test_permit2_settlement import hold as hold_of

#: The block and the true time at which it was signed, and the seconds for which it is valid.
SIGNED, NOW, VALID, CEILING = 5_000_000, 1_700_000_000, 120, 10_000


@dataclass(frozen=True)
class Story:
    """One payment up to a ceiling, and all that its seller lets the chain show beside it."""

    #: Seconds of a block, and the part of its second at which it was signed.
    pace: float
    part: float
    #: Seconds after the signature at which it settles, and the amount. None: it does not.
    settles: float | None
    taken: int
    #: Further transfers from the payer to the payee: seconds before or after, amount, and if they name the nonce, too.
    others: tuple[tuple[float, int, bool], ...]
    #: The first block that was told, above the true one, and seconds by which the local clock was behind.
    told: int
    slow: float
    #: Seconds after the signature at which the witness is asked.
    asked: float

    def transfers(self) -> list[tuple[int, int, bool]]:
        """Return block, amount and if it names the nonce, of each transfer that there is when the witness is asked."""
        own = [] if self.settles is None else [(self.settles, self.taken, True)]
        found = [(self.block(at), value, names) for at, value, names in (*own, *self.others)]
        return sorted(one for one in found if one[0] <= self.block(self.asked))

    def block(self, seconds: float) -> int:
        """Return the number of the latest block at a time after the signature."""
        return SIGNED + int((seconds + self.part) // self.pace)

    def is_settled(self) -> bool:
        return self.settles is not None and self.block(self.settles) <= self.block(self.asked)

    def hold(self) -> Hold:
        told, known_at = max(0, self.block(0) + self.told), int(NOW + self.part - self.slow)
        evidence = {FIRST_BLOCK: told, KNOWN_AT: known_at}
        this = hold_of(CEILING)
        assert this.authorization is not None
        return replace(this, authorization=replace(this.authorization, evidence=evidence, expires=NOW + VALID))


class Witness:
    """An endpoint that shows this chain as it is."""

    def __init__(self, story: Story) -> None:
        self._story, self._head = story, story.block(story.asked)
        self.questions = 0

    def call(self, method: str, *params: Any) -> Any:
        self.questions += 1
        return getattr(self, method)(*params)

    def eth_call(self, call: dict[str, str], tag: str) -> str:
        at = self._head if tag == "latest" else int(tag, 16)
        own = self._story.settles is not None and self._story.block(self._story.settles) <= at
        return f"0x{(1 << (NONCE & 0xFF)) * own:064x}"

    def eth_getBlockByNumber(self, tag: str, full: bool) -> dict[str, str] | None:
        number = {"latest": self._head, "safe": self._head - 30}.get(tag) or int(tag, 16)
        time = int(NOW + (number - SIGNED) * self._story.pace)
        return {"number": hex(number), "timestamp": hex(time)} if number <= self._head else None

    def eth_getLogs(self, wanted: dict[str, Any]) -> list[dict[str, str]]:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        return [
            {"data": f"0x{value:064x}", "transactionHash": f"{number} {names}"}
            for number, value, names in self._story.transfers()
            if first <= number <= last
        ]

    def eth_getTransactionByHash(self, name: str) -> dict[str, str]:
        return {"input": f"0x{NONCE if name.endswith('True') else NONCE + 1:064x}"}


STORIES = st.builds(
    Story,
    pace=st.sampled_from([0.01, 0.25, 1.0, 2.0, 12.0]),
    part=st.floats(0, 0.99),
    settles=st.none() | st.floats(0, VALID),
    taken=st.integers(1, CEILING),
    others=st.lists(st.tuples(st.floats(-200, 3_000), st.integers(1, CEILING), st.booleans()), max_size=3).map(tuple),
    told=st.one_of(st.integers(-50, 2_000), st.integers(-(10**6), 10**7)),
    slow=st.one_of(st.just(0.0), st.floats(0, 4_000)),
    asked=st.one_of(st.floats(0, 300), st.floats(0, 20_000)),
)


def said(story: Story, ask: Any) -> Any:
    this = story.hold()
    signed = this.authorization
    assert isinstance(signed, Authorization)
    try:
        return ask(Witness(story), this, signed)
    except Garbage:
        return None


@settings(max_examples=500, deadline=None)
@given(STORIES)
def test_no_block_that_one_endpoint_told_hides_a_settlement_from_another(story: Story) -> None:
    found = said(story, look)
    assert found != "not_settled" or not story.is_settled()
    assert found != "settled" or story.is_settled()


@settings(max_examples=500, deadline=None)
@given(STORIES)
def test_a_witness_never_shows_less_than_was_taken(story: Story) -> None:
    found = said(story, charge)
    assert found is None or (story.is_settled() and found >= story.taken)


@settings(max_examples=200, deadline=None)
@given(STORIES)
def test_what_an_honest_endpoint_told_finds_the_charge(story: Story) -> None:
    """Also where our clock was a quarter of an hour slow: then the search begins a little earlier."""
    pace = max(story.pace, 0.25)  # on a faster chain there is more to look through than is looked through
    honest = replace(story, pace=pace, told=0, slow=min(story.slow, 900), settles=1.0, asked=200.0, others=())
    assert said(honest, charge) == honest.taken
    assert said(honest, look) == "settled"


@pytest.mark.parametrize(("slow", "most"), [(0, 5), (300, 13), (10**9, 5 + module._STEPS)])
def test_a_slow_clock_costs_a_few_questions(slow: int, most: int) -> None:
    story = Story(2.0, 0.5, 1.0, 7, (), 0, slow, 200.0)
    witness, this = Witness(story), story.hold()
    assert this.authorization is not None
    try:
        assert charge(witness, this, this.authorization) == 7  # type: ignore[arg-type]
    except Garbage:
        assert slow == 10**9
    assert witness.questions <= most
