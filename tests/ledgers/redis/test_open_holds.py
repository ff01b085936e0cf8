"""Identical requests in flight cost the next one nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from x402_client.ledgers.conformance.ledger import order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.holds import Attempt, Hold

from .server import Server


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = RedisLedger(server.url, lease=30)
    yield found
    found.close_ledger()


def in_flight(ledger: RedisLedger, attempt: Attempt) -> Hold:
    found = ledger.reserve(order(purchase("same")), attempt)
    assert isinstance(found, Hold)
    return ledger.record(found, signed())


def calls(server: Server, ledger: RedisLedger, attempt: Attempt) -> int:
    """How many commands the script makes for a new identical request."""
    server.do("CONFIG", "RESETSTAT")
    hold = ledger.reserve(order(purchase("same")), attempt)
    assert isinstance(hold, Hold)
    assert hold.tries == 0
    made = sum(server.calls().values())
    ledger.release(hold)
    return made


def test_holds_in_flight_are_not_looked_at(server: Server, ledger: RedisLedger) -> None:
    alive, mine = [Attempt() for _ in range(200)], Attempt()
    holds = [in_flight(ledger, alive[0])]
    few = min(calls(server, ledger, mine) for _ in range(3))  # a heart may beat meanwhile
    holds += [in_flight(ledger, attempt) for attempt in alive[1:]]
    assert min(calls(server, ledger, mine) for _ in range(3)) <= few + 2
    for number in (150, 40):
        alive[number].end()
    found = [ledger.reserve(order(purchase("same")), mine) for _ in range(2)]
    assert [hold.id for hold in found] == [holds[40].id, holds[150].id], "the oldest first"  # type: ignore[union-attr]


def test_nothing_of_a_claim_is_left(server: Server, ledger: RedisLedger) -> None:
    attempt = Attempt()
    first, second = in_flight(ledger, attempt), in_flight(ledger, attempt)
    attempt.end()
    again = Attempt()
    for hold in (first, second):
        assert ledger.reserve(order(purchase("same")), again).id == hold.id  # type: ignore[union-attr]
    assert server.do("HLEN", "{x402:default}:claims") == 2
    ledger.close(first, "spent", None)
    ledger.close(second, "spent", None)
    assert server.do("EXISTS", "{x402:default}:claims", f"{{x402:default}}:p:{first.purchase.id}") == 0
    assert not ledger._claims._claims
    assert not ledger._claims._of_hold
    assert not ledger._claims.purses
