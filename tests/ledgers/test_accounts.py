"""Which accounts a payment enters is said in one place, and every ledger goes by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.ledgers import accounts, memory
from x402_client.ledgers.accounts import OVERALL, accounts_of
from x402_client.ledgers.conformance import cap, order, purchase
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import script
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite import ledger as sqlite
from x402_client.model.holds import Attempt, Order, Spending

_ACCOUNTS = st.sampled_from(["", "api.example.com", "*.example.com", "*.com", "api.example.com:8443"])


def test_a_payment_enters_the_purse_and_its_host() -> None:
    assert accounts_of(order()) == (OVERALL, "api.example.com") == ("", "api.example.com")


@given(st.lists(_ACCOUNTS, max_size=8))
def test_a_payment_enters_each_account_that_has_a_budget_and_each_once(named: list[str]) -> None:
    caps = [cap(10**9, window, name) for name, window in zip(named, ["day", "hour"] * 4, strict=False)]
    found = accounts_of(order(None, *caps))
    assert set(found) == {"", "api.example.com", *named}
    assert len(set(found)) == len(found)
    assert found[:2] == ("", "api.example.com")


def test_every_ledger_counts_in_what_the_one_function_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would be with another kind of budget: a tree of accounts, say."""
    parents = {"session/team": ("session", "session/team")}

    def with_parents(asked: Order) -> tuple[str, ...]:
        return (*accounts_of(asked), *parents["session/team"])

    for module in (memory, sqlite, script):
        assert module.accounts_of is accounts_of is accounts.accounts_of
        monkeypatch.setattr(module, "accounts_of", with_parents)
    makers: list[Callable[[], Any]] = [MemoryLedger, lambda: SqliteLedger(tmp_path / "ledger.db")]
    names = (OVERALL, "api.example.com", "session", "session/team")
    for make in makers:
        ledger, attempt = make(), Attempt()
        hold = ledger.reserve(order(purchase()), attempt)
        assert [ledger.spent(Spending(name, "day", "USD")) for name in names] == [10_000] * 4
        ledger.release(hold)
        assert [ledger.spent(Spending(name, "day", "USD")) for name in names] == [0] * 4
        ledger.close_ledger()
    stems = json.loads(script.new_row(order(), 1)["stems"])
    assert stems == [script.stem(name, currency) for name in names for currency in ("USD", None)]
