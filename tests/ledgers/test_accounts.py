"""Which accounts a payment enters is said in one place, and every ledger goes by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.ledgers import accounts
from x402_client.ledgers.accounts import OVERALL, accounts_of, counting_accounts, patterns_of
from x402_client.ledgers.conformance import cap, order, purchase
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.served import protocol
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.budgets import Cap
from x402_client.model.holds import Attempt, Spending
from x402_client.model.hosts import Origin, Pattern

_ACCOUNTS = st.sampled_from(["", "api.example.com", "*.example.com", "*.com", "api.example.com:8443"])
_HOSTS = ["example.com", "a.example.com", "b.a.example.com", "b.example.org", "com", "127.0.0.1", "::1"]


def test_a_payment_enters_the_purse_and_its_host() -> None:
    assert accounts_of(order()) == (OVERALL, "api.example.com") == ("", "api.example.com")


@given(st.lists(_ACCOUNTS, max_size=8))
def test_a_payment_enters_each_account_that_has_a_budget_and_each_once(named: list[str]) -> None:
    caps = [cap(10**9, window, name) for name, window in zip(named, ["day", "hour"] * 4, strict=False)]
    found = accounts_of(order(None, *caps))
    assert set(found) == {"", "api.example.com", *named}
    assert len(set(found)) == len(found)
    assert found[:2] == ("", "api.example.com")


@given(st.sampled_from(_HOSTS), st.sampled_from([443, 8443]), st.sampled_from(_HOSTS), st.booleans(), st.booleans())
def test_the_patterns_of_an_origin_are_those_that_match_it(
    host: str, port: int, other: str, wild: bool, with_port: bool
) -> None:
    origin = Origin("https", host, port)
    found = patterns_of(host, port)
    assert all(Pattern.parse(name).matches(origin) and str(Pattern.parse(name)) == name for name in found)
    if ":" not in other or not wild:
        pattern = Pattern(f"*.{other}" if wild else other, 8443 if with_port else None)
        assert pattern.matches(origin) == (str(pattern) in (host, *found))


def test_a_ledger_is_asked_for_the_few_patterns_that_cover_the_origin() -> None:
    asked: list[str] = []

    def has_account(name: str) -> bool:
        asked.append(name)
        return name == "*.com"

    found = counting_accounts(order(None, cap(1, account="*.example.com")), has_account)
    assert found == ("", "api.example.com", "*.example.com", "*.com")
    assert sorted(asked) == ["*.com", "*.com:443", "*.example.com:443", "api.example.com:443"]


def test_every_ledger_counts_in_what_the_one_function_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would be with another kind of budget, one line more: a tree of accounts, say."""
    named = accounts._accounts

    def with_parents(host: str, caps: tuple[Cap, ...], path: tuple[str, ...]) -> tuple[str, ...]:
        return (*named(host, caps, path), "session", "session/team")

    monkeypatch.setattr(accounts, "_accounts", with_parents)
    makers: list[Callable[[], Any]] = [MemoryLedger, lambda: SqliteLedger(tmp_path / "ledger.db")]
    names = (OVERALL, "api.example.com", "session", "session/team")
    for make in makers:
        ledger, attempt = make(), Attempt()
        hold = ledger.reserve(order(purchase()), attempt)
        assert [ledger.spent(Spending(name, "day", "USD")) for name in names] == [10_000] * 4
        ledger.release(hold)
        assert [ledger.spent(Spending(name, "day", "USD")) for name in names] == [0] * 4
        ledger.close_ledger()
    stems = json.loads(protocol.new_row(order(), 1)["stems"])
    assert stems == [protocol.stem(name, currency) for name in names for currency in ("USD", None)]
