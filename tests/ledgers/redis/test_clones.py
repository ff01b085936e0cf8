"""A memory that exists twice, as when the snapshot of a machine is resumed twice: one copy keeps the claims."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, at_once, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.served import ledger as redis_ledger
from x402_client.model.holds import Attempt, Hold

from .rollbacks import clone
from .server import Server

OWNERS = "{x402:default}:owners"


def quiet(url: str) -> RedisLedger:
    """Return a ledger without a heart: it makes only the steps that a test makes."""
    ledger = RedisLedger(url)
    ledger._steps._claimed = lambda: None
    return ledger


def unresolved(ledger: RedisLedger, name: str) -> Hold:
    attempt = Attempt()
    hold = ledger.reserve(order(purchase(name)), attempt)
    assert isinstance(hold, Hold)
    hold = ledger.record(hold, signed(name))
    attempt.end()
    return hold


def copies(server: Server, original: RedisLedger) -> list[RedisLedger]:
    twin = clone(original, server.url)
    twin._steps._claimed = lambda: None
    return [original, twin]


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "record", "end", "beat", "close"]),
        st.integers(0, 1),
        st.sampled_from("abc"),
    ),
    min_size=2,
    max_size=24,
)


def test_two_copies_never_present_one_hold(server: Server) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(deeds=DEEDS, joined=st.booleans())
    def run(deeds: list[tuple[str, int, str]], joined: bool) -> None:
        server.do("FLUSHALL")
        _play(server, deeds, joined)

    run()


def _play(server: Server, deeds: list[tuple[str, int, str]], joined: bool) -> None:
    """Let both copies do as they are told. Each hold in flight is one copy's, and signed by one only."""
    before = quiet(server.url)
    for name in "abc":
        unresolved(before, name)
    original = before if joined else quiet(server.url)
    both = copies(server, original)
    flying: list[dict[str, tuple[Hold, Attempt]]] = [{}, {}]
    signers: dict[str, int] = {}
    for what, which, name in deeds:
        ledger, mine = both[which], flying[which]
        if what == "beat":
            ledger._beat("default")
        elif what == "reserve" and name not in mine:
            attempt = Attempt()
            found = ledger.reserve(order(purchase(name)), attempt)
            if isinstance(found, Hold):
                theirs = flying[1 - which].values()
                assert found.id not in {hold.id for hold, _ in theirs}, "two present one hold"
                mine[name] = (found, attempt)
        elif what == "record" and name in mine and mine[name][0].state == "reserved":
            _record(ledger, mine, name, which, signers)
        elif what in ("end", "close") and name in mine:
            hold, attempt = mine.pop(name)
            if what == "close":
                ledger.close(hold, "spent", RECEIPT)
            attempt.end()
    for ledger in both:
        ledger._beat("default")
        ledger._beat("default")
    claimed = [{claim.hold for claim in ledger._claims._claims.values()} for ledger in both]
    assert not claimed[0] & claimed[1]
    assert both[0]._claims.owner != both[1]._claims.owner
    for ledger in {before, *both}:
        ledger._connection.close()


def _record(ledger: RedisLedger, mine: dict[str, Any], name: str, which: int, signers: dict[str, int]) -> None:
    hold, attempt = mine.pop(name)
    try:
        mine[name] = (ledger.record(hold, signed(f"{which} {hold.id}")), attempt)
    except LedgerUnavailable:
        return
    assert signers.setdefault(hold.id, which) == which, "two signed one hold"


@pytest.mark.parametrize("first", [0, 1])
def test_a_claim_from_before_is_the_copys_that_asks_first(server: Server, first: int) -> None:
    original, attempt = quiet(server.url), Attempt()
    hold = original.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    both = copies(server, original)
    keeps, loses = both[first], both[1 - first]
    keeps._beat("default")
    with pytest.raises(LedgerUnavailable, match="gone"):
        loses.record(hold, signed("0x02"))
    assert keeps.record(hold, signed()).state == "signed"
    assert (loses._claims.purses, keeps._claims.purses) == (set(), {"default"})
    assert not isinstance(loses.reserve(order(), Attempt()), Hold), "it cannot be told whether the other one lives"
    keeps.close(hold, "spent", RECEIPT)
    assert isinstance(loses.reserve(order(), Attempt()), Hold)


def test_a_command_that_both_copies_send_is_one_claim(server: Server) -> None:
    """The token of the claim and the new hold's name may be part of the copied memory."""
    original = quiet(server.url)
    held = unresolved(original, "a")
    twin, sent = copies(server, original)[1], list[Any]()
    send = original._connection.send
    original._connection.send = lambda ask: (sent.append(ask), send(ask))[1]  # type: ignore[method-assign]
    living = Attempt()
    for name, found in (("a", "hold"), ("b", "new")):
        hold = original.reserve(order(purchase(name)), living)
        assert isinstance(hold, Hold)
        assert (hold.id == held.id) == (found == "hold")
        original.holds()
        assert twin._connection.send(sent[-2])[0] == "twin"


def test_a_program_is_never_taken_for_its_own_copy(server: Server) -> None:
    """Threads, cancelled steps and lost answers: its token changes under its own feet."""
    ledger = quiet(server.url)
    owner, send = ledger._claims.owner, ledger._connection.send
    ledger.holds()

    def some_are_lost(ask: Any) -> Any:
        answer = send(ask)
        if os.urandom(1)[0] < 40:
            raise LedgerUnavailable("no answer")
        return answer

    def work(number: int) -> None:
        for turn in range(25):
            try:
                if number:
                    unresolved(ledger, f"{number} {turn}")
                else:
                    ledger._beat("default")
            except LedgerUnavailable as failure:
                assert "no answer" in str(failure) or "gone" in str(failure)  # noqa: PT017

    ledger._connection.send = some_are_lost  # type: ignore[method-assign]
    at_once(6, work)
    assert ledger._claims.owner == owner
    ledger._connection.close()


def test_a_fork_that_nobody_told_us_of(server: Server) -> None:
    ledger, attempt = quiet(server.url), Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    owner = ledger._claims.owner
    redis_ledger._LEDGERS.discard(ledger)
    child = os.fork()
    if child == 0:
        ledger._beat("default")
        os._exit(0 if ledger._claims.owner == owner else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child asked first"
    ledger._connection.close()
    with pytest.raises(LedgerUnavailable, match="gone"):
        ledger.record(hold, signed())
    assert ledger._claims.owner != owner


def test_owners_of_living_programs_are_never_swept(server: Server) -> None:
    living, other = [quiet(server.url) for _ in range(3)], quiet(server.url)
    attempt = Attempt()
    holds = [ledger.reserve(order(purchase(f"{n}")), attempt) for n, ledger in enumerate(living)]
    server.do("ZADD", OWNERS, 1, "dead")
    for _ in range(3):
        other._beat("default")
    kept = {ledger._claims.owner for ledger in (*living, other)}
    assert set(server.do("ZRANGE", OWNERS, 0, -1)) == kept
    for ledger, hold in zip(living, holds, strict=True):
        assert isinstance(hold, Hold)
        assert ledger.record(hold, signed(hold.id)).state == "signed"
