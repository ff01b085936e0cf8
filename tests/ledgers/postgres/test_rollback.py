"""Servers that lost something: every program refuses them, until the loss is accepted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.ledgers.redis.rollbacks import no_grace
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Attempt, Hold, Spending

from .rollbacks import keep, put_back
from .server import Server

TODAY = Spending("", "day", "USD")


def presented(ledger: PostgresLedger, attempt: Attempt, name: str = "weather") -> Hold:
    hold = ledger.reserve(order(purchase(name)), attempt)
    assert isinstance(hold, Hold)
    return ledger.record(hold, signed(name))


def bought(ledger: PostgresLedger, name: str = "weather") -> None:
    attempt = Attempt()
    ledger.close(presented(ledger, attempt, name), "spent", RECEIPT)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(LedgerUnavailable) as caught:
        work()
    return str(caught.value.args[0])


@pytest.fixture
def ledger(server: Server) -> Iterator[PostgresLedger]:
    found = PostgresLedger(server.url())
    yield found
    found.close_ledger()


def test_a_restored_backup_is_refused_by_all_until_it_is_accepted(
    server: Server, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, attempt = PostgresLedger(server.url()), Attempt()
    bought(ledger, "before")
    other.holds()
    keep(server)
    hold = presented(ledger, attempt, "after")
    put_back(server)
    assert "older state" in refused(lambda: ledger.reserve(order(), Attempt()))
    assert "older state" in refused(lambda: other.reserve(order(), Attempt())), "no program pays once one of them knows"
    with no_grace(monkeypatch):
        assert ledger.accept()
    assert [(open.id, open.state) for open in ledger.holds()] == [(hold.id, "signed")]
    assert ledger.spent(TODAY) == 20_000
    ledger.close(hold, "spent", RECEIPT)
    assert (ledger.holds(), len(ledger.history(10))) == ((), 2)
    other.close_ledger()


def test_an_emptied_server_is_refused(server: Server, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    bought(ledger)
    server.empty()
    assert "is empty" in refused(lambda: ledger.reserve(order(), Attempt()))
    fresh = PostgresLedger(server.url())
    assert fresh.spent(TODAY) == 0
    assert fresh.fresh
    assert "another one" in refused(lambda: ledger.reserve(order(), Attempt()))
    with no_grace(monkeypatch):
        assert ledger.accept()
        assert not fresh.accept()
    fresh.close_ledger()


def test_a_schema_that_was_dropped_is_made_anew_and_refused_by_who_knew_it(server: Server) -> None:
    url = server.url(more="?schema=dropped")
    ledger = PostgresLedger(url)
    bought(ledger)
    server.do("DROP SCHEMA dropped CASCADE")
    assert "is empty" in refused(lambda: ledger.reserve(order(), Attempt()))
    ledger.close_ledger()
    server.do("DROP SCHEMA dropped CASCADE")


def test_a_ledger_that_must_exist_is_not_made(server: Server) -> None:
    ledger = PostgresLedger(server.url(more="?schema=absent"), must_exist=True)
    assert "no purse 'default'" in refused(lambda: ledger.reserve(order(), Attempt()))
    assert ledger.freezes() == ()
    assert server.do("SELECT 1 FROM pg_namespace WHERE nspname = 'absent'") == []
    there = PostgresLedger(server.url(), must_exist=True)
    refused(lambda: there.reserve(order(), Attempt()))
    bought(PostgresLedger(server.url()))
    bought(there, "b")


@pytest.mark.slow
def test_a_crash_that_loses_commits_is_noticed(start: Callable[..., Server]) -> None:
    server = start("synchronous_commit=off", "wal_writer_delay=10s")
    ledger = PostgresLedger(server.url())
    bought(ledger, "a")
    server.do("CHECKPOINT")
    bought(ledger, "b")
    server.stop("immediate")
    server.start()
    assert "older state" in refused(lambda: ledger.reserve(order(), Attempt()))
    ledger.close_ledger()


@pytest.mark.slow
def test_a_crash_loses_no_commit_that_was_flushed(start: Callable[..., Server]) -> None:
    server = start()
    ledger, attempt = PostgresLedger(server.url()), Attempt()
    bought(ledger, "a")
    hold = presented(ledger, attempt, "b")
    server.stop("immediate")
    with suppress(LedgerUnavailable):
        ledger.reserve(order(purchase("down")), Attempt())
    server.start()
    ledger.close(hold, "spent", RECEIPT)
    bought(ledger, "c")
    assert (ledger.spent(TODAY), len(ledger.history(10)), ledger.holds()) == (30_000, 3, ())
    ledger.close_ledger()


@pytest.mark.slow
def test_files_of_a_backup_that_are_put_back_are_refused(start: Callable[..., Server]) -> None:
    server = start()
    ledger = PostgresLedger(server.url())
    bought(ledger, "a")
    server.stop()
    backup = server.directory / "backup"
    shutil.copytree(server.data, backup, copy_function=shutil.copy2)
    server.start()
    bought(ledger, "b")
    server.stop()
    shutil.rmtree(server.data)
    backup.rename(server.data)
    server.own()
    server.start()
    assert "older state" in refused(lambda: ledger.reserve(order(), Attempt()))
    ledger.close_ledger()
