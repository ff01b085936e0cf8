"""Migrations of the ledger's schema: layouts in order, and the functions of the present one. All in one transaction."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

from ...errors import LedgerUnavailable
from ...model.budgets import BUDGET_WINDOWS
from ..served.protocol import MICROSECONDS
from .address import Address
from .failures import RIGHTS, Broken, Refused, connect_code, explain, unavailable

#: Each brings the layout before it to its own. Layouts are never changed: a new one is one more file.
LAYOUTS = ("layout1.sql",)
#: The functions, which every migration makes anew. "steps.sql" has the one that programs call.
FUNCTIONS = ("sums.sql", "programs.sql", "holds.sql", "allowances.sql", "steps.sql")
#: Drops the functions of the layout before. "step" is replaced instead, so that roles keep the right to call it.
_DROP = """
DO $$
DECLARE
  each regprocedure;
BEGIN
  FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname <> 'step' LOOP
    EXECUTE 'DROP FUNCTION ' || each || ' CASCADE';
  END LOOP;
END $$
"""


#: What "step" takes.
_TAKEN = "text, text, text, text, integer"
_LOST = "Payments it had counted may be missing, so nothing is paid from it here."
_TABLE = re.compile(r"(?m)^CREATE TABLE (\w+)")


@cache
def mark() -> str:
    """Return the name of this version's layout and windows. Programs with another one never share a schema."""
    windows = [f"{window.number}:{window.name}={window.seconds or 0}" for window in BUDGET_WINDOWS]
    return " ".join([str(len(LAYOUTS)), *windows])


def _text(name: str) -> str:
    return files(__name__.rpartition(".")[0]).joinpath("sql", name).read_text("utf-8")


def migrate(address: Address, only_new: bool = False, knew: bool = False) -> tuple[int, int]:
    """Bring the schema to the present layout. Return the layout before, 0 if there was none, and the present one.

    It makes the schema if there is none. A newer layout is refused. With ``only_new`` a ledger that is there is left as
    it is: programs may be using it. A program that ``knew`` a ledger there is told of its loss if it may make none.
    """
    import psycopg

    try:
        with psycopg.connect(address.url, **address.options()) as connection, connection.transaction():
            return _migrate(connection, address, only_new, knew)
    except psycopg.Error as failure:
        code = connect_code(failure)
        problem = explain(Refused(code) if code else Broken(), address)
        if problem_of_rights(failure):
            problem = unavailable(address, _not_ours(address, knew))
    raise problem


def tell_absence(code: str, address: Address, knew: bool) -> NoReturn:
    """Raise what is wrong where a role has no right, or there is no database: there may be no ledger either.

    A program that ``knew`` a ledger there is told of its loss.
    """
    if code == RIGHTS:
        check_absent(code, address)
        raise unavailable(address, _not_ours(address, knew))
    if knew:
        gone = "has no database of this name any more, and its ledger was there when this program last used it"
        raise unavailable(
            address,
            f"{gone}. {_LOST} Restore the database from a backup, or check the address: it may be another server's",
        )
    raise explain(Refused(code), address)


def check_absent(code: str, address: Address) -> None:
    """Refuse a schema where a ledger is, or parts of it, although a step met this failure. Nothing is made."""
    check_whole(address)
    if code == RIGHTS and _owner(address) is not None:
        raise explain(Refused(code), address)


def check_whole(address: Address) -> None:
    """Refuse a schema where parts of a ledger are gone. One where there is none is not refused. Nothing is made."""
    import psycopg

    try:
        with psycopg.connect(address.url, **address.options()) as connection:
            return _check_whole(connection, address)
    except psycopg.Error as failure:
        code = connect_code(failure)
    raise explain(Refused(code) if code else Broken(), address)


def _check_whole(connection: Any, address: Address, functions: bool = True) -> None:
    """Refuse a ledger whose tables, or ``functions``, are gone. It takes no right to see that."""
    _check_encoding(connection, address)
    tables = [name for layout in LAYOUTS for name in _TABLE.findall(_text(layout))]
    gone = _gone(connection, address, tables)
    if len(gone) == len(tables):
        # With no table, a function of ours tells that there was a ledger.
        if not _has_step(connection, address, "AND oidvectortypes(proargtypes) = %s", _TAKEN):
            return
        gone = _gone(connection, address, tables)  # another program may have made it between the two looks
    if gone:
        names = ", ".join(gone) if len(gone) < len(tables) else "all of them"
        may = connection.execute("SELECT has_database_privilege(current_database(), 'CREATE')").fetchone()[0]
        anew = (
            "drop the schema: then a ledger begins anew in it"
            if may
            else f"let an owner drop the schema and run {address.migrate}, and then: {address.grants}"
        )
        raise unavailable(
            address,
            f"has a ledger in the schema {address.schema} of which tables are gone: {names}. What was paid "
            f"is not known there. Restore its data from a backup; or, once you know what was paid, {anew}",
        )
    if functions and not _has_step(connection, address):
        raise unavailable(
            address,
            f"has a ledger in the schema {address.schema} whose functions are gone; its payments are there. Let its "
            f"owner run {address.migrate}, which makes them anew, and then: {address.grants}",
        )


def _gone(connection: Any, address: Address, tables: list[str]) -> list[str]:
    """Return those of the tables that are not there."""
    asked = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s)::oid AND relkind = 'r'"
    found = {row[0] for row in connection.execute(asked, (_quoted(address),)).fetchall()}
    return [name for name in tables if name not in found]


def _check_encoding(connection: Any, address: Address) -> None:
    """Refuse a database that cannot keep every text. A seller's words would be a failure amid a purchase."""
    encoding = connection.execute("SHOW server_encoding").fetchone()[0]
    if encoding not in ("UTF8", "SQL_ASCII"):
        raise unavailable(
            address,
            f"keeps text in {encoding}, and a ledger takes UTF8; name another database in the ledger's URL, made by: "
            "CREATE DATABASE ledger ENCODING 'UTF8' TEMPLATE template0",
        )


def _has_step(connection: Any, address: Address, more: str = "", *given: str) -> bool:
    """Return True if the schema has a function "step"."""
    asked = "SELECT EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace(%s)::oid AND proname = 'step' "
    return bool(connection.execute(f"{asked}{more})", (_quoted(address), *given)).fetchone()[0])


def _quoted(address: Address) -> str:
    """Return the schema's name as an identifier."""
    return '"' + address.schema.replace('"', '""') + '"'


def check_can_begin(address: Address) -> None:
    """Refuse a server that has no ledger, and where this role may not make one. Nothing is made."""
    import psycopg

    check_whole(address)
    if _owner(address) is not None:
        return
    may = False
    with suppress(psycopg.Error), psycopg.connect(address.url, **address.options()) as connection:
        found = connection.execute(
            "SELECT coalesce(has_schema_privilege(n, 'USAGE') AND has_schema_privilege(n, 'CREATE'), "
            "has_database_privilege(current_database(), 'CREATE')) FROM (SELECT to_regnamespace(%s)::oid) AS its (n)",
            (address.schema,),
        ).fetchone()
        may = bool(found and found[0])
    if not may:
        raise unavailable(address, _not_ours(address))


def _not_ours(address: Address, knew: bool = False) -> str:
    """Return what is said to a role that may not migrate: there is a ledger of another role, none, or none any more."""
    owner = _owner(address)
    if owner is not None:
        return (
            f"has a ledger in the schema {address.schema}, which is the role {owner}'s: no other role may migrate it. "
            f"Let that one run {address.migrate}. A role that pays needs only: {address.grants}"
        )
    if knew:
        return (
            f"has no ledger in the schema {address.schema} any more, and there was one when this program last used it: "
            f"the schema was dropped, or the database was made anew. {_LOST} Restore its data from a backup; or, once "
            f"you know what was paid, let an owner run {address.migrate}, and then: {address.grants}. A program that "
            "starts then begins with whole budgets, unless it has must_exist=True. This one will refuse the new "
            "ledger, and say how to go on"
        )
    return (
        f"has no ledger in the schema {address.schema} that this version can use, and this role may not make one: that "
        f"takes the right CREATE on the database, or the schema as its own. Let an owner run {address.migrate}, and "
        f"then: {address.grants}"
    )


def _owner(address: Address) -> str | None:
    """Return the role that owns the ledger's table; None if there is no ledger. It takes no right to see that."""
    import psycopg

    with suppress(psycopg.Error), psycopg.connect(address.url, **address.options()) as connection:
        found = connection.execute(
            "SELECT tableowner FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'ledger'",
            (address.schema,),
        ).fetchone()
        return str(found[0]) if found else None
    return None


def problem_of_rights(failure: Exception) -> bool:
    """Return True if the role may not do something."""
    return connect_code(failure) == RIGHTS


def _migrate(connection: Any, address: Address, only_new: bool, knew: bool) -> tuple[int, int]:
    from psycopg import sql

    schema, present = sql.Identifier(address.schema), len(LAYOUTS)
    # Ends with the transaction: a pooler may give the session to another program.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 402))", (f"x402 {address.schema}",))
    found = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (address.schema,)).fetchone()
    if not found[0]:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    connection.execute(sql.SQL("SET LOCAL search_path = {}, pg_catalog").format(schema))
    # A schema that may not be used is left out of the search path, as if it were not there.
    if not connection.execute("SELECT has_schema_privilege(%s, 'USAGE')", (address.schema,)).fetchone()[0]:
        raise unavailable(address, _not_ours(address, knew))
    _check_whole(connection, address, only_new)
    before = _layout(connection, address)
    if before > present:
        raise _newer(address, before)
    if before and only_new:
        return before, present
    for name in LAYOUTS[before:]:
        connection.execute(_text(name))
    connection.execute(_DROP)
    for name in FUNCTIONS:
        made = _text(name).replace("CREATE FUNCTION step(", "CREATE OR REPLACE FUNCTION step(")
        connection.execute(made.replace("{schema}", address.schema))
    connection.execute(sql.SQL("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {} FROM PUBLIC").format(schema))
    _keep(connection, present)
    return before, present


def _layout(connection: Any, address: Address) -> int:
    """Return the number of the layout that is there; 0 for an empty schema.

    What is another program's is refused. The functions of a schema are dropped before ours are made.
    """
    if connection.execute("SELECT to_regclass('ledger') IS NOT NULL").fetchone()[0]:
        return int(connection.execute("SELECT layout FROM ledger").fetchone()[0])
    others = (
        "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace) "
        "OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = current_schema()::regnamespace)"
    )
    if connection.execute(others).fetchone()[0]:
        raise unavailable(
            address,
            f"has tables or functions of another program in the schema {address.schema}; name one with ?schema= in the "
            "URL",
        )
    return 0


def _keep(connection: Any, present: int) -> None:
    """Write down the layout and the windows."""
    for window in BUDGET_WINDOWS:
        connection.execute(
            "INSERT INTO windows VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (window.number, window.name, (window.seconds or 0) * MICROSECONDS),
        )
    connection.execute(
        "INSERT INTO ledger (layout, mark) VALUES (%s, %s) "
        "ON CONFLICT (one) DO UPDATE SET layout = excluded.layout, mark = excluded.mark",
        (present, mark()),
    )


def other_layout(address: Address, found: int) -> LedgerUnavailable:
    """Build the refusal of a schema that has not the present layout and windows."""
    if found > len(LAYOUTS):
        return _newer(address, found)
    return unavailable(
        address,
        f"has a ledger of an older version in the schema {address.schema} (layout {found}). End the programs that use "
        f"it, run {address.migrate}, and use this version in all of them",
    )


def _newer(address: Address, found: int) -> LedgerUnavailable:
    return unavailable(
        address,
        f"has a ledger of a newer version in the schema {address.schema} (layout {found}; this version knows up to "
        f"{len(LAYOUTS)}). Use the version that wrote it",
    )
