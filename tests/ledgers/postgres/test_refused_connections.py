"""A server may refuse a connection for many reasons. Each is told as what it is, with what to do."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from x402_client.ledgers.postgres import PostgresLedger

from . import test_pgbouncer
from .server import Server
from .test_rollback import refused

#: How many connections the server takes from roles that are no superuser.
PLACES = 10
TRUSTED = "local all all trust\nhost all postgres all trust\n"


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    found = Server("fsync=off", f"max_connections={PLACES + 2}", "superuser_reserved_connections=2")
    found.do("CREATE ROLE app PASSWORD 's3cret'")
    yield found
    found.remove()


@pytest.fixture
def server(small: Server) -> Iterator[Server]:
    """With a role "app" that may log in, and a database "own"."""
    small.do("ALTER ROLE app LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'")
    small.do("CREATE DATABASE own")
    rules = (small.data / "pg_hba.conf").read_text()
    yield small
    if (small.data / "pg_hba.conf").read_text() != rules:
        let_in(small, rules, plain=False)
    small.do("DROP DATABASE own WITH (FORCE)")


def let_in(server: Server, rules: str, plain: bool = True) -> None:
    """Give the server other rules of who may connect, and wait until it follows them."""
    (server.data / "pg_hba.conf").write_text((TRUSTED if plain else "") + rules)
    before = server.do("SELECT pg_conf_load_time()")
    server.do("SELECT pg_reload_conf()")
    while server.do("SELECT pg_conf_load_time()") == before:
        time.sleep(0.02)


def fill(server: Server, stack: ExitStack) -> None:
    """Take every connection. One that was closed just before still counts for a moment, so it is tried again."""
    for _ in range(5):
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(server.url("app")))
        time.sleep(0.1)


#: Each reason: what is done at the server (a statement, or rules of pg_hba.conf), user, database, and what is told.
REFUSALS: dict[str, tuple[str, str, str, str, tuple[str, ...]]] = {
    "no such role": ("", "", "other", "own", ("has no role of this name; make it",)),
    "no such database": ("", "", "app", "none", ("has no database of this name; make it",)),
    "a role's limit of 0": (
        "ALTER ROLE app CONNECTION LIMIT 0", "", "app", "own",
        ("no free connection for this role", "ALTER ROLE the_role CONNECTION LIMIT 100"),
    ),
    "a database's limit of 0": (
        "ALTER DATABASE own CONNECTION LIMIT 0", "", "app", "own",
        ("no free connection to this database", "ALTER DATABASE the_database CONNECTION LIMIT 100"),
    ),
    "a role without login": (
        "ALTER ROLE app NOLOGIN", "", "app", "own", ("let this role log in", "ALTER ROLE the_role LOGIN"),
    ),
    "a database that is closed": (
        "ALTER DATABASE own ALLOW_CONNECTIONS false", "", "app", "own",
        ("lets no program into this database", "ALTER DATABASE the_database ALLOW_CONNECTIONS true"),
    ),
    "no right to connect": (
        "REVOKE CONNECT ON DATABASE own FROM PUBLIC", "", "app", "own", ("GRANT CONNECT ON DATABASE",),
    ),
    "a wrong password": ("", "host all app all scram-sha-256", "app:wr0ng", "own", ("user name or password",)),
    "no password": ("", "host all app all scram-sha-256", "app", "own", ("user name or password",)),
    "a password that expired": (
        "ALTER ROLE app VALID UNTIL '2001-01-01'", "host all app all scram-sha-256", "app:s3cret", "own",
        ("user name or password", "VALID UNTIL"),
    ),
    "another user of the system": ("", "host all app all ident", "app", "own", ("peer or ident", "pg_ident.conf")),
    "a rule that rejects": ("", "host all app all reject", "app", "own", ("let this role in from here",)),
    "no rule": ("", "", "app", "own", ("let this role in from here",)),
    "a setting that is none": ("", "", "app", "own?options=-c%20x402%3D1", ("a setting that the ledger's URL gives",)),
    "a setting without a value": ("", "", "app", "own?options=-c%20jit", ("a setting that the ledger's URL gives",)),
    "a setting's wrong value": (
        "", "", "app", "own?options=-c%20work_mem%3Dx", ("a setting that the ledger's URL gives",),
    ),
    "an administrator's setting": (
        "", "", "app", "own?options=-c%20log_statement%3Dall", ("a setting that the ledger's URL gives",),
    ),
    "replication": ("", "", "app", "own?replication=database", ("leave `replication` out of it",)),
    "a standby that is asked for": ("", "", "app", "own?target_session_attrs=standby", ("is no standby",)),
    "another login": ("", "", "app", "own?channel_binding=require", ("as the ledger's URL asks for",)),
}  # fmt: skip


def told(url: str, asynchronous: bool) -> str:
    ledger = PostgresLedger(url)
    return refused(lambda: asyncio.run(ledger.asynchronous.holds())) if asynchronous else refused(ledger.holds)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("done", "rules", "user", "database", "says"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_of_a_connection_is_told_as_what_it_is(
    server: Server,
    done: str,
    rules: str,
    user: str,
    database: str,
    says: tuple[str, ...],
    asynchronous: bool,
    request: pytest.FixtureRequest,
) -> None:
    if done:
        server.do(done)
    if rules or "no rule" in request.node.name:
        let_in(server, rules)
    said = told(server.url(user).removesuffix("postgres") + database, asynchronous)
    for words in says:
        assert words in said
    for name, others in ((name, case[4]) for name, case in REFUSALS.items()):
        assert says[0] in others[0] or others[0] not in said, f"that is what is told of {name}"
    assert "cannot be reached" not in said
    assert "s3cret" not in said
    assert "wr0ng" not in said


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ("ALTER ROLE app CONNECTION LIMIT 2", "no free connection for this role"),
        ("ALTER DATABASE postgres CONNECTION LIMIT 2", "no free connection to this database"),
        ("SELECT 1", "has no free connection; raise max_connections"),
    ],
)
def test_a_limit_that_others_have_reached_is_told_as_whose_it_is(
    server: Server, limit: str, says: str, asynchronous: bool
) -> None:
    server.do(limit)
    try:
        with ExitStack() as stack:
            fill(server, stack)
            assert says in told(server.url("app"), asynchronous)
    finally:
        server.do("ALTER DATABASE postgres CONNECTION LIMIT -1")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_that_takes_a_connection_and_says_nothing_is_told_so(asynchronous: bool) -> None:
    """A pooler that cannot log in at the server does so, too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = told(f"postgresql://app@127.0.0.1:{silent.getsockname()[1]}/own?connect_timeout=2", asynchronous)
    assert "did not let this program in" in said
    assert "Of a pooler: its log" in said


@pytest.mark.slow
def test_what_a_pooler_refuses_is_told_as_what_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    users = server.directory / "users.txt"
    users.write_text('"app" ""\n"postgres" ""\n')
    settings = test_pgbouncer._SETTINGS.replace("auth_type = any", f"auth_type = trust\nauth_file = {users}")
    settings = settings.replace(" user=postgres", "").replace("max_client_conn = 1000", "max_client_conn = 1")
    monkeypatch.setattr(test_pgbouncer, "_SETTINGS", settings)
    bouncer = test_pgbouncer.Bouncer(server, pool=2)
    try:
        assert "has no database of this name" in told(bouncer.url.removesuffix("postgres") + "none", asynchronous=False)
        assert "user name or password" in told(bouncer.url.replace("postgres@", "other@"), asynchronous=False)
        server.do("ALTER ROLE app NOLOGIN")
        said = told(bouncer.url.replace("postgres@", "app@"), asynchronous=False)
        assert "let this role log in" in said or "did not let this program in" in said
        with psycopg.connect(bouncer.url):
            assert "no free connection in PgBouncer" in told(bouncer.url, asynchronous=False)
    finally:
        bouncer.stop(signal.SIGTERM)


@pytest.mark.parametrize("gone", ["holds", "holds, purses"])
@pytest.mark.parametrize("may", [False, True])
def test_who_may_not_make_a_ledger_is_not_told_to_drop_one(server: Server, may: bool, gone: str) -> None:
    place = server.url("app").removesuffix("postgres") + "own"
    PostgresLedger(place.replace("app", "postgres", 1)).freeze("none.example")
    with psycopg.connect(place.replace("app", "postgres", 1), autocommit=True) as connection:
        connection.execute("GRANT USAGE ON SCHEMA x402 TO app; GRANT EXECUTE ON FUNCTION x402.step TO app")
        connection.execute(f"DROP TABLE {', '.join(f'x402.{name}' for name in gone.split(', '))} CASCADE".encode())
        if may:
            connection.execute("GRANT CREATE ON DATABASE own TO app")
    said = told(place, asynchronous=False)
    assert "of which tables are gone" in said
    assert ("drop the schema: then a ledger begins anew in it" in said) == may
    assert ("let an owner drop the schema and run `x402 ledger migrate" in said) != may
