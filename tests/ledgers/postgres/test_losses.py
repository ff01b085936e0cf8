"""What is taken away from a ledger that was used: each role is told of a loss as a loss, and of rights as rights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import order, purchase
from x402_client.ledgers.postgres import PostgresLedger, migrations
from x402_client.model.holds import Attempt

from .server import Server
from .test_rollback import bought, refused

_TABLES = ", ".join(
    f"their.{name}" for each in migrations.LAYOUTS for name in migrations._TABLE.findall(migrations._text(each))
)
_MADE = "CREATE DATABASE shop OWNER boss"
_GRANTS = "GRANT USAGE ON SCHEMA their TO clerk; GRANT EXECUTE ON FUNCTION their.step TO clerk"
_OFF = "REVOKE ALL ON {} FROM boss, clerk, PUBLIC"
#: What is taken away: statements in the ledger's database, and at the server.
LOSSES: dict[str, tuple[str, str]] = {
    "schema": ("DROP SCHEMA their CASCADE", ""),
    "schema, one without rights in its place": ("DROP SCHEMA their CASCADE; CREATE SCHEMA their", ""),
    "schema, an empty one in its place": (
        "DROP SCHEMA their CASCADE; CREATE SCHEMA their; GRANT USAGE ON SCHEMA their TO clerk, boss",
        "",
    ),
    "tables": (f"DROP TABLE {_TABLES} CASCADE", ""),
    "tables and rights": (f"DROP TABLE {_TABLES} CASCADE; {_OFF.format('SCHEMA their')}", ""),
    "one table": ("DROP TABLE their.holds CASCADE", ""),
    "rows": ("TRUNCATE their.purses, their.programs, their.holds CASCADE", ""),
    "database": ("", "DROP DATABASE shop WITH (FORCE)"),
    "database, a new one in its place": ("", f"DROP DATABASE shop WITH (FORCE); {_MADE}"),
}
RIGHTS: dict[str, tuple[str, str]] = {
    "step": (_OFF.format("FUNCTION their.step"), ""),
    "schema": (_OFF.format("SCHEMA their"), ""),
    "database": ("", _OFF.format("DATABASE shop")),
}
#: How a program that used the ledger is told of a loss.
LOST = ("this program last used it", "of which tables are gone")


class Shop:
    """A database with a ledger that was used, its owner "boss", and "clerk", who may only make steps."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def url(self, user: str) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.server.port}/shop?schema=their"

    def do(self, statements: tuple[str, str]) -> None:
        """Run statements in the database, and at the server, each by itself."""
        for place, text in zip(("shop", "postgres"), statements, strict=True):
            url = f"postgresql://postgres@127.0.0.1:{self.server.port}/{place}"
            for each in filter(None, text.split("; ")):
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(each.encode())


@pytest.fixture
def shop(server: Server) -> Iterator[Shop]:
    found = Shop(server)
    found.do(("", f"CREATE ROLE boss LOGIN; CREATE ROLE clerk LOGIN; {_MADE}"))
    ledger = PostgresLedger(found.url("boss"))
    bought(ledger, "first")
    ledger.close_ledger()
    found.do((_GRANTS, ""))
    yield found
    found.do(("", "DROP DATABASE IF EXISTS shop WITH (FORCE); DROP ROLE boss; DROP ROLE clerk"))


def told(ledger: PostgresLedger) -> str:
    """Ask for a payment, sync and async. Return what refuses both."""
    said = refused(lambda: ledger.reserve(order(purchase("more")), Attempt()))
    with pytest.raises(LedgerUnavailable) as caught:
        asyncio.run(ledger.asynchronous.reserve(order(purchase("more")), Attempt()))
    assert " is another one " in str(caught.value) or str(caught.value.args[0]) == said
    return said


@pytest.mark.parametrize("who", ["boss", "clerk"])
@pytest.mark.parametrize("taken", LOSSES)
def test_a_program_that_used_a_ledger_tells_of_its_loss(shop: Shop, taken: str, who: str) -> None:
    live = PostgresLedger(shop.url(who))
    bought(live)
    shop.do(LOSSES[taken])
    said = told(live)
    assert any(words in said for words in LOST), said
    assert "estore" in said
    live.close_ledger()


@pytest.mark.parametrize("who", ["boss", "clerk"])
@pytest.mark.parametrize("taken", LOSSES)
def test_a_program_that_begins_after_a_loss_begins_nothing_where_a_ledger_must_exist(
    shop: Shop, taken: str, who: str
) -> None:
    shop.do(LOSSES[taken])
    said = told(PostgresLedger(shop.url(who), must_exist=True))
    assert "estore" in said or taken == "database", said


@pytest.mark.parametrize("taken", [name for name, _ in LOSSES.items() if "tables" not in name and name != "one table"])
def test_what_is_said_of_a_loss_can_be_followed_and_the_loss_is_told_still(shop: Shop, taken: str) -> None:
    live = PostgresLedger(shop.url("clerk"))
    bought(live)
    shop.do(LOSSES[taken])
    told(live)
    if taken == "database":
        shop.do(("", _MADE))
    shop.do(("ALTER SCHEMA their OWNER TO boss", "")) if "in its place" in taken and "schema" in taken else None
    PostgresLedger(shop.url("boss")).migrate()
    shop.do((_GRANTS, ""))
    assert any(words in told(live) for words in LOST)
    assert "x402 ledger accept" in told(live)
    bought(PostgresLedger(shop.url("clerk")), "by another program")
    assert "another one than this program used before" in told(live)
    live.close_ledger()


@pytest.mark.parametrize("kind", ["live", "new", "new, strict"])
@pytest.mark.parametrize("who", ["boss", "clerk"])
@pytest.mark.parametrize("taken", RIGHTS)
def test_rights_that_were_taken_are_told_as_rights(shop: Shop, taken: str, who: str, kind: str) -> None:
    ledger: Any = PostgresLedger(shop.url(who), must_exist=kind == "new, strict")
    if kind == "live":
        bought(ledger)
    shop.do(RIGHTS[taken])
    if taken == "database":
        shop.do(("", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'"))
    said = told(ledger)
    assert "let an owner run: GRANT" in said, said
    assert not any(words in said for words in LOST)
    ledger.close_ledger()
