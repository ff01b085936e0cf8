"""A quote under an allowance names no choice that would not be paid under it."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client import Money, Quote
from x402_client.core import asks
from x402_client.core.drive import run
from x402_client.core.flow import inspect
from x402_client.core.left_in_allowances import with_allowances
from x402_client.errors import LedgerUnavailable
from x402_client.model.allowances import AllowanceRecord, AllowanceTerms
from x402_client.policy.allowances import AllowanceRules
from x402_client.policy.choice import Mandate

from .scripted_flow import Ground, asking, called

RUN = AllowanceTerms("default", "allowance run", ("1.00 USD",))
STEP = AllowanceTerms("default", "allowance step", ("0.05 USD",), parent=RUN.account)
PATH = (AllowanceRules.of(RUN), AllowanceRules.of(STEP))


def quoted(answer: Any, path: tuple[AllowanceRules, ...] = PATH, frozen: tuple[str, ...] = ()) -> Quote:
    ground, call = Ground(), called()
    for pattern in frozen:
        ground.ledger.freeze(pattern)
    call.mandate = Mandate(allowances=path)
    ground.scripted[asks.AllowanceRecords] = answer
    quote = run(inspect(call, asking(), ground.rules), ground.answer)
    assert quote is not None
    assert quote.choice is not None
    assert quote.choice.price == Money("0.01 USD (test)")
    return run(with_allowances(call, quote, ground.rules), ground.answer)


def records(state: Any = "open", run_spent: int = 0, step_spent: int = 0) -> Any:
    found = (
        AllowanceRecord(RUN, 1.0, None, state, (("USD (test)", run_spent),)),
        AllowanceRecord(STEP, 1.0, None, "open", (("USD (test)", step_spent),)),
    )
    return lambda ask: found


def test_a_choice_that_fits_into_all_of_them_stays() -> None:
    assert quoted(records(run_spent=990_000, step_spent=40_000)).choice is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (records("closed"), "the allowance 'run' was closed, so nothing new is paid under it"),
        (records("ended"), "the allowance 'run' is over, so nothing new is paid under it"),
        (records("frozen"), "the allowance 'run' is frozen, so nothing new is paid under it"),
        (lambda ask: (), "the ledger knows no allowance 'run', so nothing new is paid under it"),
        (
            records(run_spent=990_001),
            "it costs 0.01 USD (test), and the allowance 'run' of 1.00 USD (test) has 0.009999 USD (test) left",
        ),
        (
            records(step_spent=70_000),
            "it costs 0.01 USD (test), and the allowance 'step' of 0.05 USD (test) has 0.00 USD (test) left",
        ),
    ],
)
def test_a_choice_that_would_be_refused_under_one_is_none(answer: Any, reason: str) -> None:
    quote = quoted(answer)
    assert (quote.choice, quote.offers[0].reason) == (None, reason)


@pytest.mark.parametrize("frozen", [("*",), ("api.example.com",), ("api.example.com", "*"), ("other.example",)])
@pytest.mark.parametrize("state", ["frozen", "closed", "ended"])
def test_a_freeze_is_named_before_the_allowance_that_stops_a_payment_too(state: str, frozen: tuple[str, ...]) -> None:
    reason = quoted(records(state), frozen=frozen).offers[0].reason or ""
    alone = quoted(records(state)).offers[0].reason or ""
    assert reason.endswith(alone)
    named = [pattern for pattern in frozen if f"buyer.unfreeze({pattern!r})" in reason]
    assert named == [pattern for pattern in frozen if pattern != "other.example"]
    assert ("are frozen" in reason) is bool(named)


def test_the_terms_are_shown_where_the_ledger_cannot_be_asked() -> None:
    def fails(ask: asks.AllowanceRecords) -> Any:
        raise LedgerUnavailable("gone")

    assert quoted(fails).choice is not None


def test_the_ledger_is_not_asked_without_an_allowance() -> None:
    ground, call = Ground(), called()
    quote = run(inspect(call, asking(), ground.rules), ground.answer)
    assert quote is not None
    assert run(with_allowances(call, quote, ground.rules), ground.answer) is quote
    assert "AllowanceRecords" not in ground.names
