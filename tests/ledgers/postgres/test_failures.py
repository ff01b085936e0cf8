"""What the server may do to a step: refuse it, lose it, be late, be gone. Each is told, and no secret with it."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, at_once, cap, order, purchase, signed
from x402_client.ledgers.fair_lock import Turn
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Attempt, Hold, Spending

from .server import Server
from .test_rollback import bought, presented, refused

TODAY = Spending("", "day", "USD")
PASSWORD = "s3cr3t-word"


@pytest.fixture
def ledger(server: Server) -> Iterator[PostgresLedger]:
    found = PostgresLedger(server.url())
    yield found
    found.close_ledger()


@pytest.fixture
def role(server: Server) -> Iterator[Callable[..., str]]:
    """Make a role with these settings; return its URL."""
    PostgresLedger(server.url()).freeze("none.example")

    def make(*settings: str, rights: bool = True) -> str:
        server.do("CREATE ROLE app LOGIN")
        if rights:
            server.do("GRANT USAGE ON SCHEMA x402 TO app; GRANT EXECUTE ON FUNCTION x402.step TO app")
        for setting in settings:
            server.do(f"ALTER ROLE app SET {setting}")
        return server.url("app")

    yield make
    server.do("DROP OWNED BY app; DROP ROLE app")


def kill_connections(server: Server) -> None:
    server.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'x402'")


def test_no_server() -> None:
    ledger = PostgresLedger(f"postgresql://app:{PASSWORD}@127.0.0.1:1/x")
    said = refused(ledger.holds)
    assert said.startswith("The PostgreSQL server at 127.0.0.1:1/x cannot be reached")
    assert PASSWORD not in said + repr(ledger) + repr(vars(ledger)) + ledger.name
    assert "cannot be reached" in refused(lambda: asyncio.run(ledger.asynchronous.holds()))  # type: ignore[arg-type]
    assert "cannot be reached" in refused(ledger.migrate)


def test_a_role_needs_no_more_than_to_make_steps(server: Server, role: Callable[..., str]) -> None:
    ledger = PostgresLedger(role())
    bought(ledger)
    assert len(ledger.history(5)) == 1
    ledger.close_ledger()
    with pytest.raises(Exception, match="permission denied"):
        server.do("SET ROLE app; SELECT * FROM x402.holds")


#: What the role lacks: the statements that lead there, the rest of the URL, and what is to be told.
_GRANTS = "GRANT USAGE ON SCHEMA {0} TO the_role; GRANT EXECUTE ON FUNCTION {0}.step TO the_role"
_MIGRATE = r"Let an owner run `x402 ledger migrate --ledger 'postgresql://\.\.\.\?schema={0}'`, and then: " + _GRANTS
LACKING: dict[str, tuple[str, str, str, str]] = {
    "USAGE of the schema": ("SELECT 1", "", _GRANTS.format("x402"), _GRANTS.format("x402")),
    "EXECUTE of the function": (
        "GRANT USAGE ON SCHEMA x402 TO app", "", _GRANTS.format("x402"), _GRANTS.format("x402"),
    ),
    "CREATE on the database": (
        "SELECT 1", "?schema=not_there", f"may not make one.*{_MIGRATE.format('not_there')}",
        "no schema not_there yet, and this role may not make it, let its owner run `x402 ledger migrate",
    ),
    "CREATE in a schema that is empty": (
        "CREATE SCHEMA IF NOT EXISTS bare; GRANT USAGE ON SCHEMA bare TO app", "?schema=bare",
        f"may not make one.*{_MIGRATE.format('bare')}", "no schema bare yet, and this role may not make it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("must_exist", [False, True])
@pytest.mark.parametrize(("given", "more", "said", "said_strictly"), LACKING.values(), ids=LACKING)
def test_a_right_that_is_missing_is_named_at_once(
    server: Server,
    role: Callable[..., str],
    given: str,
    more: str,
    said: str,
    said_strictly: str,
    must_exist: bool,
    asynchronous: bool,
) -> None:
    url = role(rights=False) + more
    server.do(given)
    ledger = PostgresLedger(url, must_exist=must_exist)
    told = refused(lambda: asyncio.run(ledger.asynchronous.holds())) if asynchronous else refused(ledger.holds)  # type: ignore[arg-type]
    assert re.search(said_strictly if must_exist else said, told), told
    ledger.close_ledger()


@pytest.mark.parametrize("rights", [False, True])
def test_a_role_that_may_not_migrate_is_told_whose_the_ledger_is(role: Callable[..., str], rights: bool) -> None:
    ledger = PostgresLedger(role(rights=rights))
    told = refused(ledger.migrate)
    assert "has a ledger in the schema x402, which is the role postgres's" in told
    assert _GRANTS.format("x402") in told
    assert not rights or ledger.holds() == ()
    ledger.close_ledger()


def test_a_role_that_may_not_connect_is_told_so(server: Server, role: Callable[..., str]) -> None:
    url = role()
    server.do("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    try:
        assert "let an owner run: GRANT CONNECT ON DATABASE" in refused(PostgresLedger(url).holds)
    finally:
        server.do("GRANT CONNECT ON DATABASE postgres TO PUBLIC")


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_another_isolation_is_refused(role: Callable[..., str], isolation: str) -> None:
    ledger = PostgresLedger(role(f"default_transaction_isolation = '{isolation}'"))
    assert "read committed" in refused(lambda: ledger.reserve(order(), Attempt()))


def test_a_server_that_cannot_be_written_to_is_refused(role: Callable[..., str]) -> None:
    ledger = PostgresLedger(role("default_transaction_read_only = on"))
    assert "Set it off: ALTER ROLE ... SET default_transaction_read_only = off." in refused(
        lambda: ledger.reserve(order(), Attempt())
    )


def test_a_statement_timeout_is_told(server: Server, role: Callable[..., str]) -> None:
    ledger = PostgresLedger(role("statement_timeout = 200"))
    ledger.holds()
    with server.connect() as other, other.transaction():
        other.execute("SELECT FROM x402.purses FOR UPDATE")
        assert "statement_timeout" in refused(lambda: ledger.reserve(order(), Attempt()))
    bought(ledger)
    ledger.close_ledger()


def test_a_lock_that_another_program_keeps_is_told(server: Server) -> None:
    ledger = PostgresLedger(server.url(), timeout=0.5)
    ledger.holds()
    with server.connect() as other, other.transaction():
        other.execute("SELECT FROM x402.purses FOR UPDATE")
        assert "another program's lock" in refused(lambda: ledger.reserve(order(), Attempt()))
    bought(ledger)
    assert ledger.spent(TODAY) == 10_000
    ledger.close_ledger()


def test_what_the_server_may_lose_is_said_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    ledger = PostgresLedger(server.url())
    with caplog.at_level(logging.WARNING):
        bought(ledger)
        bought(ledger, "b")
    assert [record.getMessage().count("fsync = off") for record in caplog.records].count(1) == 1
    ledger.close_ledger()


def test_a_first_use_is_known(server: Server, ledger: PostgresLedger) -> None:
    ledger.holds()
    again = PostgresLedger(server.url())
    again.holds()
    assert (ledger.fresh, again.fresh) == (True, False)
    again.close_ledger()


def test_connections_that_were_ended_are_replaced(server: Server, ledger: PostgresLedger) -> None:
    attempt = Attempt()
    at_once(4, lambda number: ledger.holds())
    kill_connections(server)
    hold = presented(ledger, attempt)
    kill_connections(server)
    end = ledger.send_close(hold, "spent", RECEIPT)
    end() if end else ledger.close(hold, "spent", RECEIPT)
    kill_connections(server)
    assert (ledger.spent(TODAY), ledger.holds(), len(ledger.history(9))) == (10_000, (), 1)


@pytest.mark.parametrize("step", ["reserve", "record", "close"])
def test_a_step_whose_answer_was_lost_is_made_once(server: Server, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from x402_client.ledgers.postgres import exchange
    from x402_client.ledgers.postgres.failures import Broken

    ledger, lost, read = PostgresLedger(server.url()), [0], exchange._read
    attempt, asked = Attempt(), order(purchase("once"), cap(10_000))
    ledger.holds()

    def lose(pgconn: Any, result: Any) -> Any:
        lost[0] += 1
        if lost[0] == 1:
            read(pgconn, result)
            raise Broken
        return read(pgconn, result)

    def losing(work: Callable[[], Any], name: str) -> Any:
        with monkeypatch.context() as patch:
            if name == step:
                patch.setattr(exchange, "_read", lose)
            return work()

    ledger._steps._claimed = lambda: None
    hold = losing(lambda: ledger.reserve(asked, attempt), "reserve")
    assert isinstance(hold, Hold)
    hold = losing(lambda: ledger.record(hold, signed()), "record")
    losing(lambda: ledger.close(hold, "spent", RECEIPT), "close")
    assert lost[0] > 1
    assert (ledger.spent(TODAY), ledger.holds(), len(ledger.history(9))) == (10_000, (), 1)
    ledger.close_ledger()


def test_a_deadlock_is_tried_again(server: Server, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    from x402_client.ledgers.postgres import exchange
    from x402_client.ledgers.postgres.failures import Refused

    ledger.holds()
    read, left = exchange._read, [2]

    def deadlock(pgconn: Any, result: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise Refused("40P01")
        return read(pgconn, result)

    monkeypatch.setattr(exchange, "_read", deadlock)
    assert ledger.holds() == ()
    left[0] = 3
    assert "other steps" in refused(ledger.holds)


def test_secrets_are_in_no_error_and_leave_the_server_in_the_end(
    server: Server, ledger: PostgresLedger, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = Attempt()
    hold = presented(ledger, attempt)
    assert SECRET in server.everything(), "a header is kept until the purchase is resolved"
    with caplog.at_level(logging.DEBUG), server.connect() as other, other.transaction():
        other.execute("LOCK TABLE x402.holds")
        slow = PostgresLedger(server.url(), timeout=0.3)
        refused(slow.holds)
    assert SECRET not in caplog.text + repr(ledger.holds())
    assert all(open.authorization and open.authorization.header[1] == "" for open in ledger.holds())
    ledger.close(hold, "spent", RECEIPT)
    assert SECRET not in server.everything()
    assert SECRET not in server.log()


@pytest.mark.slow
def test_a_password(start: Callable[..., Server]) -> None:
    server = start()
    server.do(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE postgres TO app")
    hba = server.data / "pg_hba.conf"
    hba.write_text("host all app all scram-sha-256\n" + hba.read_text())
    server.do("SELECT pg_reload_conf()")
    address = f"127.0.0.1:{server.port}/postgres"
    bought(ledger := PostgresLedger(f"postgresql://app:{PASSWORD}@{address}"))
    wrong = PostgresLedger(f"postgresql://app:wrong-{PASSWORD}@{address}")
    said = refused(wrong.holds)
    assert "refuses the user name or password" in said
    assert PASSWORD not in said + repr(ledger) + repr(vars(ledger)) + server.log()
    assert "no database" in refused(PostgresLedger(server.url() + "_not_there").holds)
    assert "no role" in refused(PostgresLedger(f"postgresql://stranger@{address}").holds)
    hba.write_text("host all app all reject\n" + hba.read_text())
    server.do("SELECT pg_reload_conf()")
    assert "see its pg_hba.conf" in refused(PostgresLedger(f"postgresql://app:{PASSWORD}@{address}").holds)
    ledger.close_ledger()


@pytest.mark.slow
def test_a_server_that_stands_still_is_told_in_time_and_counts_nothing_twice(start: Callable[..., Server]) -> None:
    server = start()
    ledger = PostgresLedger(server.url(), timeout=1.0)
    bought(ledger, "a")
    server.signal(signal.SIGSTOP)
    assert "did not answer in time" in refused(lambda: ledger.reserve(order(purchase("b")), Attempt()))
    server.signal(signal.SIGCONT)
    bought(ledger, "c")
    for _ in range(100):
        if ledger.spent(TODAY) == 20_000:
            break
        time.sleep(0.05)
    assert (ledger.spent(TODAY), ledger.holds()) == (20_000, ())
    ledger.close_ledger()


def test_a_cancelled_call_leaves_no_answer_unread(server: Server, ledger: PostgresLedger) -> None:
    async def work() -> int:
        wide = ledger.asynchronous
        await wide.holds()
        with server.connect() as other, other.transaction():
            other.execute("SELECT FROM x402.purses FOR UPDATE")
            attempt = Attempt()
            task = asyncio.ensure_future(wide.reserve(order(), attempt))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            attempt.end()
        kept = Attempt()
        assert isinstance(await wide.reserve(order(purchase("b")), kept), Hold)
        for _ in range(100):
            if await wide.spent(TODAY) == 10_000:
                break
            await asyncio.sleep(0.05)
        found = await wide.spent(TODAY)
        kept.end()
        await wide.close_ledger()
        return found

    assert asyncio.run(work()) == 10_000


def test_more_calls_than_connections_wait_for_their_turn(server: Server) -> None:
    ledger = PostgresLedger(server.url(), connections=1)
    at_once(8, lambda number: bought(ledger, f"{number}"))
    assert ledger.spent(TODAY) == 80_000
    ledger.close_ledger()
    with pytest.raises(LedgerUnavailable, match="1 other call of"):
        _crowded(server)


def _crowded(server: Server) -> None:
    ledger = PostgresLedger(server.url(), connections=1, timeout=0.3)
    ledger._connection.take(Turn(), 1)  # type: ignore[attr-defined]
    ledger.holds()
