"""The schema: made once, brought from layout to layout in order, and refused if it is newer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import at_once, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger, migrations
from x402_client.model.holds import Attempt, Hold
from x402_client.model.last_answers import LastAnswer

from .server import Server
from .test_rollback import bought, refused


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    yield server.url(more="?schema=moved")
    server.do("DROP SCHEMA IF EXISTS moved CASCADE")
    if server.do("SELECT 1 FROM pg_roles WHERE rolname = 'few'"):
        server.do("DROP OWNED BY few CASCADE; DROP ROLE few")


def test_programs_that_begin_together_make_one_ledger(server: Server, url: str) -> None:
    ledgers = [PostgresLedger(url) for _ in range(4)]
    at_once(4, lambda number: bought(ledgers[number], f"{number}"))
    assert len(ledgers[0].history(9)) == 4
    assert server.do("SELECT layout FROM moved.ledger") == [(len(migrations.LAYOUTS),)]
    for each in ledgers:
        each.close_ledger()


@pytest.mark.parametrize("loops", [0, 1, 4])
def test_a_first_use_by_many_takes_few_connections(server: Server, url: str, loops: int) -> None:
    """Calls that find no ledger at once: those of a thread or loop share its connections, and one makes the ledger."""
    most = 3 * max(loops, 1) + 4  # a session that was closed counts for a moment longer
    server.do(f"CREATE ROLE few LOGIN CONNECTION LIMIT {most}; GRANT CREATE ON DATABASE postgres TO few")
    ledger = PostgresLedger(url.replace("postgres@", "few@"), connections=3)

    async def reserves(name: str) -> Any:
        return await ledger.asynchronous.reserve(order(purchase(name)), Attempt())

    async def all_of_them(thread: int) -> list[Any]:
        return await asyncio.gather(*(reserves(f"{thread} {turn}") for turn in range(32)))

    if loops:
        found = [each for told in at_once(loops, lambda number: asyncio.run(all_of_them(number))) for each in told]
    else:
        found = at_once(32, lambda number: ledger.reserve(order(purchase(f"{number}")), Attempt()))
    assert all(isinstance(each, Hold) for each in found)
    ledger.close_ledger()


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII", "LATIN1", "EUC_JP"])
def test_the_encoding_of_a_database(server: Server, encoding: str) -> None:
    """Where a name in any letters could not be kept, nothing is begun; elsewhere every place finds the ledger."""
    server.do("DROP DATABASE IF EXISTS letters")
    server.do(f"CREATE DATABASE letters ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    url = f"postgresql://postgres@127.0.0.1:{server.port}/letters"
    ledger, asked = PostgresLedger(url), order(purchase())
    asked = asked._replace(purchase=replace(asked.purchase, purse="Кошелёк 日本"))
    if encoding not in ("UTF8", "SQL_ASCII"):
        assert f"keeps text in {encoding}" in refused(lambda: ledger.reserve(asked, Attempt()))
        assert f"keeps text in {encoding}" in refused(ledger.check_can_begin)
    else:
        attempt = Attempt()
        hold = ledger.reserve(asked, attempt)
        assert isinstance(hold, Hold)
        hold = ledger.record(hold, signed())
        ledger.note(hold, LastAnswer("held", 402, "zu spät – 期限切れ"))
        [kept] = ledger.holds(asked.purchase.purse)
        assert kept.last is not None
        assert kept.last.said == "zu spät – 期限切れ"
        ledger.check_can_begin()
    ledger.close_ledger()


def test_a_ledger_that_is_made_amid_a_look_is_not_told_as_gone(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = PostgresLedger(url)._address
    looked = migrations._has_step

    def made_meanwhile(*given: Any) -> bool:
        monkeypatch.setattr(migrations, "_has_step", looked)
        migrations.migrate(address)
        return looked(*given)

    monkeypatch.setattr(migrations, "_has_step", made_meanwhile)
    migrations.check_whole(address)


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


#: Parts of a ledger that may be dropped, and what is said to do about it.
PARTS = {
    "step": ("DROP FUNCTION moved.step CASCADE", "x402 ledger migrate --ledger"),
    "all functions": (None, "x402 ledger migrate --ledger"),
    **{
        table: (f"DROP TABLE moved.{table} CASCADE", f"of which tables are gone: {table}")
        for layout in migrations.LAYOUTS
        for table in migrations._TABLE.findall(migrations._text(layout))
    },
}


@pytest.mark.parametrize("by", ["owner", "role"])
@pytest.mark.parametrize("part", PARTS)
def test_a_ledger_of_which_a_part_is_gone_is_never_told_as_none(server: Server, url: str, part: str, by: str) -> None:
    drop, cure = PARTS[part]
    ledger = PostgresLedger(url)
    bought(ledger)
    ledger.close_ledger()
    server.do("CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA moved TO app; GRANT EXECUTE ON FUNCTION moved.step TO app")
    server.do(drop or migrations._DROP.replace("current_schema()", "'moved'").replace("AND proname <> 'step'", ""))
    try:
        asked = PostgresLedger(url if by == "owner" else url.replace("//postgres@", "//app@"))
        assert cure in refused(asked.check_can_begin)
        for look in (asked.purses, lambda: asyncio.run(asked.asynchronous.purses())):
            with suppress(LedgerUnavailable):  # a step reads some of the tables, and tells the truth of those
                assert look() == ("default",)
                continue
            assert cure in refused(look)
        for step in (asked.holds, asked.freezes, lambda: asked.freeze("*")):
            with suppress(LedgerUnavailable):
                step()
                continue
            assert cure in refused(step)
        if "migrate" not in cure:
            assert cure in refused(PostgresLedger(url).migrate)
            return
        assert PostgresLedger(url).migrate() == (1, 1)
        assert len(PostgresLedger(url).history(5)) == 1
    finally:
        server.do("DROP OWNED BY app; DROP ROLE app")
