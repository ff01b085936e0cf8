"""Files of version 0.1 are brought to the present layout: nothing is forgotten, and nothing is paid again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from x402_client.errors import AlreadyPaid, LedgerUnavailable, PaymentRefused
from x402_client.ledgers.conformance import cap, order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.clock import LedgerClock
from x402_client.ledgers.sqlite.schema import SCHEMA
from x402_client.model.allowances import AllowanceTerms
from x402_client.model.holds import Attempt, Busy, Hold, LastAnswer, Purchase, Spending

from .older import brought_back, restored

#: The moment at which the old files end.
AT = 1_790_006_330.0
EVM, SOLANA = "0xabcdef0000000000000000000000000000000001", "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"


def asked(name: str, *payers: str, key: str | None = None) -> Purchase:
    """Return a purchase as this version names it, with the names that version 0.1 gave it."""
    old = purchase(name, key=key)
    return replace(old, id=f"new {old.id}", request=f"new {old.request}", former=(old.id, old.request), payers=payers)


@pytest.fixture(params=[2, 3])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return restored(tmp_path / "ledger.db", request.param)


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(path, clock=LedgerClock(lambda: AT, lambda: AT, lambda: "boot"))
    yield opened
    opened.close_ledger()


def test_all_that_was_counted_is_still_counted(ledger: SqliteLedger) -> None:
    assert not ledger.fresh
    found = {window: ledger.spent(Spending("", window, "USD")) for window in ("minute", "hour", "day", "total")}
    assert found == {"minute": 30_000, "hour": 80_000, "day": 110_000, "total": 110_000}
    assert ledger.spent(Spending("api.example.com", "day", "USD")) == 100_000
    assert len(ledger.history(100)) == 7
    assert ledger.freezes() == ("bad.example",)


def test_a_pattern_counts_the_hosts_that_had_entries_of_their_own(ledger: SqliteLedger) -> None:
    """Version 0.1 left them out of its sum: one payment was in it, and there were eleven."""
    assert ledger.spent(Spending("*.example.com", "day", "USD")) == 110_000
    assert ledger.spent(Spending("*.example.com", "hour", "USD")) == 80_000


def test_the_payer_of_what_was_signed_is_known_and_that_of_the_rest_may_be_anyone(ledger: SqliteLedger) -> None:
    found = {hold.purchase.id.split()[1]: hold.payer for hold in ledger.holds()}
    assert found == {"open": EVM, "sol": SOLANA, "key": EVM, "unsigned": ""} or found == {
        "open": EVM, "sol": SOLANA, "unsigned": "",
    }  # fmt: skip
    assert {hold.payer for hold in ledger.history(100)} == {EVM}
    signed = [hold.authorization for hold in ledger.holds() if hold.authorization]
    assert {(each.kind, each.ceiling, each.proof) for each in signed} == {("transfer", None, "nonce")}


def test_an_unresolved_purchase_is_found_under_the_name_that_it_had(ledger: SqliteLedger) -> None:
    attempt = Attempt()
    for name, payer, nonce in (("open", EVM, "0x30"), ("sol", SOLANA, "memo31")):
        hold = ledger.reserve(order(asked(name, payer)), attempt)
        assert isinstance(hold, Hold)
        assert (hold.nonce, hold.tries) == (nonce, 1)
        assert hold.authorization is not None
        assert hold.authorization.header == ("PAYMENT-SIGNATURE", f"worth-money-{nonce}")
    assert ledger.spent(Spending("", "day", "USD")) == 100_000, "the unsigned one of the process that died is free"


def test_under_its_old_name_it_is_still_another_wallets(ledger: SqliteLedger) -> None:
    attempt = Attempt()
    assert ledger.claim(asked("open", SOLANA), attempt) is None
    hold = ledger.reserve(order(asked("open", SOLANA)), attempt)
    assert isinstance(hold, Hold)
    assert hold.nonce is None


def test_a_key_that_was_used_is_known_under_both_names(ledger: SqliteLedger) -> None:
    attempt = Attempt()
    with pytest.raises(AlreadyPaid):
        ledger.reserve(order(asked("paid", EVM, key="paid")), attempt)
    hold = ledger.reserve(order(asked("key", EVM, key="open")), attempt)
    assert isinstance(hold, Hold)
    assert hold.nonce == "0x41"
    assert isinstance(ledger.claim(asked("key", EVM, key="open"), Attempt()), Busy)
    ledger.close(hold, "spent", None)
    with pytest.raises(AlreadyPaid):
        ledger.claim(asked("key", EVM, key="open"), attempt)
    for key in ("paid", "open"):
        with pytest.raises(PaymentRefused, match="another request"):
            ledger.claim(asked("something else", EVM, key=key), attempt)


def test_an_unsigned_purchase_of_a_dead_program_is_given_back(ledger: SqliteLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(asked("unsigned", EVM), cap(110_000)), attempt)
    assert isinstance(hold, Hold)
    assert (hold.tries, ledger.spent(Spending("", "day", "USD"))) == (0, 110_000)


def test_the_file_has_then_the_layout_of_a_new_one(path: Path, tmp_path: Path) -> None:
    SqliteLedger(path).close_ledger()
    SqliteLedger(tmp_path / "new.db").close_ledger()
    assert columns(path) == columns(tmp_path / "new.db")


def test_a_program_of_the_older_layout_does_not_go_on(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        before = old.execute("SELECT identity FROM meta").fetchone()
        SqliteLedger(path).close_ledger()
        assert old.execute("SELECT identity FROM meta").fetchone() != before
        assert old.execute("PRAGMA user_version").fetchone() == (7,)


@pytest.mark.parametrize("layout", [4, 5, 6])
def test_a_file_of_a_layout_between_keeps_its_payments(tmp_path: Path, layout: int) -> None:
    path = tmp_path / "ledger.db"
    before, attempt = SqliteLedger(path), Attempt()
    hold = before.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    before.record(hold, signed())
    before.close_ledger()
    now = SqliteLedger(brought_back(path, layout))
    assert [(found.id, found.last, found.path) for found in now.holds()] == [(hold.id, None, ())]
    now.note(hold, LastAnswer("held", 402, "no"))
    assert [found.last for found in now.holds()] == [LastAnswer("held", 402, "no")]
    now.open_allowance(AllowanceTerms("default", "allowance run", ("1 USD",)))
    under = now.reserve(order(purchase("b"), path=("allowance run",)), Attempt())
    assert isinstance(under, Hold)
    assert under.used == (10_000,)
    now.close_ledger()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE owed (in_the_way TEXT)")
        before = columns(path)
    with pytest.raises(LedgerUnavailable, match="owed"):
        SqliteLedger(path)
    assert columns(path) == before


def columns(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Return name, type and constraints of each column, by table."""
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(row[1:] for row in db.execute(f"PRAGMA table_info({table})")) for table in tables}


def test_room_is_kept_for_what_signatures_may_still_take() -> None:
    """Later versions write rows here; a column that is missing then would need a new layout."""
    with closing(sqlite3.connect(":memory:")) as db:
        for statement in SCHEMA:
            db.execute(statement)
        found = {row[1] for row in db.execute("PRAGMA table_info(owed)")}
        assert found >= {"id", "purse", "wallet", "network", "kind", "ceiling", "proof", "expires", "accounts", "units"}
        found = {row[1] for row in db.execute("PRAGMA table_info(accounts)")}
        assert found >= {"kind", "parent", "caps", "until"}
