"""A clock that is set is told, and opens no budget."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.cash_register import PRICE, Till
from tests.adapters.checks import new_buyer
from tests.adapters.one_request import Ask, through_async_httpx, through_requests
from tests.adapters.scripted_server import Server
from x402_client import Buyer, Policy, errors, events
from x402_client.ledgers import SqliteLedger
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.budgets import GIVEN_BACK
from x402_client.model.holds import Attempt

DAY = 86_400


@pytest.mark.parametrize("shell", [through_requests, through_async_httpx])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("seconds", [2 * DAY, -2 * DAY])
def test_a_clock_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, kept: bool, seconds: float, shell: Ask
) -> None:
    ledger: Any = tmp_path / "ledger.db" if kept else ":memory:"
    told, clock = list[events.Event](), time.time
    buyer = _buyer(ledger, told)
    url = server.on("/paid", Till().sells())
    assert shell(buyer, "GET", url).status_code == 200
    assert _jumps(told) == []
    till = _TimelessTill()
    monkeypatch.setattr(time, "time", lambda: clock() + seconds)
    url = server.on("/paid", till.sells())
    assert shell(buyer, "GET", url).status_code == 200
    [jump] = _jumps(told)
    assert jump.seconds == pytest.approx(seconds, abs=5)
    with pytest.raises(errors.OverLimit):
        shell(buyer, "GET", url)
    assert len(_jumps(told)) == 1, "told once"
    assert buyer.spent().units == 2 * PRICE
    monkeypatch.setattr(time, "time", clock)
    with pytest.raises(errors.OverLimit):
        shell(buyer, "GET", url)
    assert [round(event.seconds / DAY) for event in _jumps(told)[1:]] in ([], [-round(seconds / DAY)])
    buyer.close()


class _TimelessTill(Till):
    """Takes what was signed by a clock that is wrong."""

    def _check(self, payment: dict[str, Any]) -> None:
        assert payment["accepted"] == self.offer()


def test_a_clock_that_was_set_between_two_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    clock = time.time
    first = _buyer(tmp_path / "ledger.db", [])
    assert through_requests(first, "GET", server.on("/paid", Till().sells())).status_code == 200
    first.close()
    monkeypatch.setattr(time, "time", lambda: clock() + 40 * DAY)
    told: list[events.Event] = []
    second = _buyer(tmp_path / "ledger.db", told)
    assert second.spent().units == PRICE
    through_requests(second, "GET", server.on("/paid", _TimelessTill().sells()))
    assert [round(event.seconds / DAY) for event in _jumps(told)] == [40]
    second.close()


def test_a_buyer_that_listens_badly_is_not_disturbed(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    clock = time.time
    buyer = new_buyer(ledger=":memory:", on_event=lambda event: 1 / 0)
    monkeypatch.setattr(time, "time", lambda: clock() + DAY)
    assert through_requests(buyer, "GET", server.on("/paid", _TimelessTill().sells())).status_code == 200


def test_a_new_purse_is_told_beside_those_of_people_only(tmp_path: Path) -> None:
    for number, kept in enumerate(([], ["default"])):
        path, told = tmp_path / f"{number}.db", list[events.Event]()
        ledger = SqliteLedger(path)
        for purse in [*kept, f"default{GIVEN_BACK}"]:
            ledger.reserve(order(purchase(purse=purse)), Attempt())
        ledger.close_ledger()
        new_buyer(Policy(per_day="1"), ledger=path, purse="typo", on_event=told.append).close()
        assert [event.problem.partition("Used before there: ")[2].partition(".")[0] for event in told] == [  # type: ignore[attr-defined]
            repr(purse) for purse in kept
        ]


def _buyer(ledger: Any, told: list[events.Event]) -> Buyer:
    return new_buyer(Policy(per_request="0.02", per_day="0.02"), ledger=ledger, on_event=told.append)


def _jumps(told: list[events.Event]) -> list[events.ClockJumped]:
    return [event for event in told if isinstance(event, events.ClockJumped)]
