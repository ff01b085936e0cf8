"""The machine itself: a seed is a script, a script is text, and each oracle notices what it is there for."""

from __future__ import annotations

from typing import Any

import pytest

from x402_client.ledgers.memory import MemoryLedger

from .broken import OVER, TWICE
from .events import NAMES, Call, Plan, Script, Setting, Wait
from .generate import script, themes
from .hunt import finds, replays
from .machines import MACHINES

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("ledger", sorted(MACHINES))
def test_a_seed_is_a_script_and_a_script_is_python(ledger: str) -> None:
    for seed in range(50):
        drawn = script(seed, ledger, themes(ledger))
        assert drawn == script(seed, ledger, themes(ledger))
        assert eval(drawn.shown(), dict(NAMES)) == drawn


def _forgets(self: Any, purchase: Any, attempt: Any) -> None:
    """Claim nothing: each call is a purchase of its own."""


@pytest.mark.slow
def test_a_ledger_that_claims_nothing_is_found_and_the_script_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryLedger, "_claim", _forgets)
    found = [failure for seed in range(12) if (failure := finds(seed, "memory", (), shrink=False))]
    assert TWICE in {failure.oracle for failure in found}
    seed = next(failure.seed for failure in found if failure.oracle == TWICE)
    assert seed is not None
    short = finds(seed, "memory", (), shrink=True)
    assert short is not None
    assert len(short.script.events) <= 3, short.script.shown()


def test_a_ledger_that_counts_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryLedger, "_over", lambda *_: [])
    failure = replays(Script(Setting(budget=2), (Call(), Call(1), Call())))
    assert failure is not None
    assert failure.oracle == OVER


def test_a_day_opens_a_budget_again() -> None:
    failing = Call(2, plan=Plan(pays=("500",)))
    assert replays(Script(Setting(budget=2), (Call(), Call(1), failing, Wait(90_000), Call(), Call(1)))) is None
