"""The word of one witness gives back no more than a window's limit, over restarts too; that of two, all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from x402_client import Policy
from x402_client.core import asks
from x402_client.core.drive import run
from x402_client.core.reclaim import may_give_back, reclaim
from x402_client.errors import Frozen, LedgerUnavailable, OverLimit, PaymentOutcomeUnknown, X402Error
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.sqlite.ledger import SqliteLedger
from x402_client.model.holds import Busy, Hold

from .scripted_flow import Ground, asking, called, paid

PRICE = 10_000
DROP = OSError("reset")


@pytest.fixture(params=["memory", "a file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    made = MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.db")
    yield made
    made.close_ledger()


def unresolved(ground: Ground, name: str = "one") -> Hold:
    """One payment whose answer never came."""
    with pytest.raises(PaymentOutcomeUnknown):
        ground.pay(called(name), Send=DROP)
    return next(hold for hold in ground.ledger.holds() if hold.state == "signed")


def drained(ground: Ground, fate: str, tries: int = 60) -> int:
    """Return how many payments a seller gets signed that never answers, while an endpoint says ``fate``."""
    signed = 0
    for _ in range(tries):
        with pytest.raises(X402Error):
            ground.pay(called(), Send=DROP, Settlement=lambda ask: fate)
        signed += len(ground.all(asks.SignTyped))
    return signed


@pytest.mark.parametrize(
    ("policy", "given_back"),
    [
        (Policy(per_request="0.05", per_day="0.05"), 5),
        (Policy(per_request="0.05", per_day="1", per_hour="0.03"), 3),
        (Policy(per_request="0.05", per_day="0.07", total="0.04"), 4),
        (Policy(per_request="0.05", max_payments="2/hour"), 2),
        (Policy(per_request="0.05"), 10),
    ],
)
def test_one_witness_gives_back_no_more_than_a_windows_limit(ledger: Any, policy: Policy, given_back: int) -> None:
    ground = Ground(policy, ledger)
    assert drained(ground, "one_says_not") == 1 + given_back
    assert ground.spent == PRICE
    error: Any
    with pytest.raises(PaymentOutcomeUnknown) as error:
        ground.pay(called(), Send=DROP)
    assert error.value.wait_until is None


def test_several_witnesses_give_back_all(ledger: Any) -> None:
    assert drained(Ground(Policy(per_request="0.05", per_day="0.05"), ledger), "not_settled", 30) == 30


def test_it_is_counted_over_a_restart(tmp_path: Path) -> None:
    signed = 0
    for _ in range(4):
        opened = SqliteLedger(tmp_path / "ledger.db")
        signed += drained(Ground(Policy(per_request="0.05", per_day="0.05"), opened), "one_says_not", 4)  # type: ignore[arg-type]
        opened.close_ledger()
    assert signed == 1 + 5


def test_over_the_limit_it_gives_back_no_more_either(ledger: Any) -> None:
    ground = Ground(Policy(per_day="0.02"), ledger)
    ground.scripted[asks.Expired] = lambda ask: [
        (hold, "one_says_not") for hold in ground.ledger.holds() if hold.state == "signed"
    ]
    bought = 0
    for number in range(20):
        try:
            ground.pay(called(f"{number}"), Send=DROP)
        except OverLimit:
            continue
        except PaymentOutcomeUnknown:
            bought += 1
    assert bought == 2 + 2


def test_each_payment_counts_once(ledger: Any) -> None:
    """A conclusion that the ledger did not take is tried again, and takes nothing more."""
    policy = Policy(per_day="0.01")
    ground = Ground(policy, ledger)
    hold = unresolved(ground)
    ground.scripted[asks.Conclude] = False
    for _ in range(3):
        assert run(reclaim(hold, "one_says_not", policy), ground.answer) == "unknown"
    del ground.scripted[asks.Conclude]
    assert run(reclaim(hold, "one_says_not", policy), ground.answer) == "not_settled"
    assert ground.spent == 0
    assert ledger.holds() == ledger.history(9) == ()


def test_a_crash_between_the_steps_counts_it_once_and_for_good(ledger: Any) -> None:
    policy = Policy(per_day="0.01")
    ground = Ground(policy, ledger)
    hold = unresolved(ground)
    for step in (asks.Record, asks.Close):
        ground.scripted[step] = LedgerUnavailable("gone")
        assert run(may_give_back(hold, policy), ground.answer) is False
        del ground.scripted[step]
    assert run(may_give_back(hold, policy), ground.answer) is True
    other = hold.but(id="other")
    assert run(may_give_back(other, policy), ground.answer) is False


@pytest.mark.parametrize("trouble", [LedgerUnavailable("disk"), Frozen("frozen"), OverLimit("full")])
def test_what_cannot_be_counted_is_not_given_back(trouble: X402Error) -> None:
    ground = Ground(Policy(per_day="1"))
    hold = unresolved(ground)
    ground.scripted[asks.Reserve] = trouble
    assert run(reclaim(hold, "one_says_not", None), ground.answer) == "unknown"
    assert ground.spent == PRICE


def test_what_another_one_is_counting_is_not_given_back() -> None:
    ground = Ground(Policy(per_day="1"))
    hold = unresolved(ground)
    ground.scripted[asks.Reserve] = Busy(hold)
    assert run(reclaim(hold, "one_says_not", None), ground.answer) == "unknown"


def test_what_was_never_signed_is_not_given_back() -> None:
    ground = Ground(Policy(per_day="1"))
    hold = unresolved(ground).but(authorization=None)
    assert run(may_give_back(hold, None), ground.answer) is False


@pytest.mark.parametrize(
    ("fate", "says", "spent"),
    [("live", "live", PRICE), ("unknown", "unknown", PRICE), ("early", "unknown", PRICE), ("open", "unknown", PRICE),
     ("settled", "settled", PRICE), ("not_settled", "not_settled", 0), ("one_says_not", "not_settled", 0)],
)  # fmt: skip
def test_only_a_proof_gives_anything_back(fate: Any, says: str, spent: int) -> None:
    ground = Ground(Policy(per_day="1"))
    hold = unresolved(ground)
    assert run(reclaim(hold, fate, Policy(per_day="1")), ground.answer) == says
    assert ground.spent == spent


def test_what_is_counted_names_no_header_and_shows_in_no_purse_of_the_users(ledger: Any) -> None:
    ground = Ground(Policy(per_day="1"), ledger)
    hold = unresolved(ground)
    run(may_give_back(hold, None), ground.answer)
    [record] = ground.all(asks.Record)[-1:]
    assert record.authorization.header == ("", "")
    assert [one.id for one in ledger.holds()] == [hold.id]
    assert ledger.history(9) == ()


# --- what lives by the chain's own clock


@pytest.mark.parametrize("accept_loss", ["0", "1"])
def test_no_loss_is_accepted_on_what_lives_by_the_chains_clock(accept_loss: str) -> None:
    """A clock of ours that is fast says that it expired; the seller can still take the money."""
    ground = Ground(Policy(per_request="0.05", per_day="1", accept_loss=accept_loss))
    unresolved(ground)
    for _ in range(3):
        with pytest.raises(X402Error) as raised:
            ground.pay(called("one"), Send=lambda ask: asking(), Settlement="live")
        assert raised.value.money == "held"
        assert "by the chain's clock, which is behind this machine's" in str(raised.value)
        assert ground.all(asks.SignTyped) == []
    assert len(ground.ledger.holds()) == 1
    answer = ground.pay(called("one"), Send=paid(), Settlement="live")
    assert answer.outcome is not None
    assert answer.outcome.money == "spent"


def test_where_a_currency_has_no_limit_ten_payments_an_hour_are_given_back() -> None:
    ground = Ground(Policy(per_day="1"))
    hold = unresolved(ground)
    assert run(may_give_back(hold, Policy(per_day="5 EUR")), ground.answer) is True
