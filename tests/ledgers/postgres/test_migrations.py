"""The schema: made once, brought from layout to layout in order, and refused if it is newer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from x402_client.ledgers.conformance.ledger import at_once
from x402_client.ledgers.postgres import PostgresLedger, migrations

from .server import Server
from .test_rollback import bought, refused


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    yield server.url(more="?schema=moved")
    server.do("DROP SCHEMA IF EXISTS moved CASCADE")


def test_programs_that_begin_together_make_one_ledger(server: Server, url: str) -> None:
    ledgers = [PostgresLedger(url) for _ in range(4)]
    at_once(4, lambda number: bought(ledgers[number], f"{number}"))
    assert len(ledgers[0].history(9)) == 4
    assert server.do("SELECT layout FROM moved.ledger") == [(len(migrations.LAYOUTS),)]
    for each in ledgers:
        each.close_ledger()


def test_a_schema_may_have_the_name_of_a_word_of_sql(server: Server) -> None:
    bought(PostgresLedger(server.url(more="?schema=user")))
    assert server.do('SELECT count(*) FROM "user".past') == [(1,)]
    server.do('DROP SCHEMA "user" CASCADE')


def test_an_older_layout_is_refused_until_it_is_migrated(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = PostgresLedger(url)
    bought(before)
    text = migrations._text
    monkeypatch.setattr(migrations, "LAYOUTS", (*migrations.LAYOUTS, "next.sql"))
    monkeypatch.setattr(
        migrations, "_text", lambda name: "ALTER TABLE past ADD COLUMN extra text" if name == "next.sql" else text(name)
    )
    migrations.mark.cache_clear()
    later = PostgresLedger(url)
    assert "x402 ledger migrate" in refused(later.holds)
    server.do("CREATE ROLE app; GRANT EXECUTE ON FUNCTION moved.step TO app")
    assert later.migrate() == (1, 2)
    assert later.migrate() == (2, 2)
    assert server.do("SELECT has_function_privilege('app', 'moved.step(text,text,text,text,integer)', 'EXECUTE')") == [
        (True,)
    ]
    server.do("DROP OWNED BY app; DROP ROLE app")
    assert (len(later.history(5)), server.do("SELECT extra FROM moved.past")) == (1, [(None,)])
    monkeypatch.undo()
    migrations.mark.cache_clear()
    assert "newer version" in refused(before.holds), "programs of two layouts never share a schema"
    assert "newer version" in refused(before.migrate)


def test_other_windows_are_refused(server: Server, url: str) -> None:
    ledger = PostgresLedger(url)
    bought(ledger)
    server.do("UPDATE moved.ledger SET mark = mark || ' 9:week=604800'")
    assert "older version" in refused(ledger.holds)


def test_tables_of_another_program_are_left_alone(server: Server, url: str) -> None:
    server.do("CREATE SCHEMA moved; CREATE TABLE moved.other (one integer)")
    assert "another program" in refused(PostgresLedger(url).holds)
    assert server.do("SELECT count(*) FROM moved.other") == [(0,)]


def test_functions_of_another_program_are_left_alone(server: Server, url: str) -> None:
    server.do("CREATE SCHEMA moved; CREATE FUNCTION moved.theirs() RETURNS integer LANGUAGE sql AS 'SELECT 7'")
    for begin in (PostgresLedger(url).holds, PostgresLedger(url).migrate):
        assert "another program" in refused(begin)
    assert server.do("SELECT moved.theirs()") == [(7,)]


@pytest.mark.slow
def test_the_command_makes_and_migrates(url: str) -> None:
    assert "A ledger with layout 1 was made in 127.0.0.1" in said("--ledger", url)
    assert "has layout 1 already" in said("--ledger", url)
    assert "brought up to date when it is opened" in said("--ledger", ":memory:")


def said(*words: str) -> str:
    told = subprocess.run(
        [sys.executable, "-m", "x402_client", "ledger", "migrate", *words], capture_output=True, text=True, check=False
    )
    return " ".join((told.stdout + told.stderr).split())
