"""A standby that takes over while payments are made: what it has goes on, and what it lacks is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from x402_client.errors import AlreadyPaid, OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Attempt, Hold, Spending

from .crowds import MOST, check_exact, disturbed
from .server import Server
from .test_rollback import bought, refused

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TODAY = Spending("", "day", "USD")
Start = Callable[..., Server]


class Pair:
    """A primary and its standby."""

    def __init__(self, start: Start, level: str) -> None:
        self.primary = start(f"synchronous_commit={level}")
        self.standby = start(standby_of=self.primary)
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        self.url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        if level != "local":  # before there is a standby, each commit would wait for it
            self.primary.do("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.primary.do("SELECT pg_reload_conf()")
            self.until("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")

    def until(self, query: str) -> None:
        """Wait until the primary answers a query with a row."""
        for _ in range(200):
            if self.primary.do(query):
                return
            time.sleep(0.05)
        raise AssertionError(query)

    def catch_up(self) -> None:
        """Wait until the standby has all that was committed so far."""
        [(place,)] = self.primary.do("SELECT pg_current_wal_lsn()::text")
        self.until(f"SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= '{place}'")

    def cut(self) -> None:
        """Let the standby get nothing more."""
        self.standby.do("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.do("SELECT pg_reload_conf()")
        self.until("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_replication)")

    def fail_over(self) -> None:
        self.primary.kill()
        self.standby.promote()


@pytest.fixture
def behind(start: Start) -> Pair:
    """A pair whose standby may lack the last commits."""
    return Pair(start, "local")


@pytest.fixture
def ledger(behind: Pair) -> Iterator[PostgresLedger]:
    found = PostgresLedger(behind.url)
    yield found
    found.close_ledger()


def test_in_the_middle_of_payments_a_synchronous_standby_goes_on_without_a_loss(start: Start) -> None:
    pair = Pair(start, "remote_apply")
    check_exact(pair.url, disturbed(pair.url, pair.fail_over))


def test_in_the_middle_of_payments_an_asynchronous_standby_goes_on_or_is_refused(start: Start) -> None:
    """It has lost the last commits or it has not. Then all programs stop, or all is exact."""
    pair = Pair(start, "local")
    told = disturbed(pair.url, pair.fail_over)
    stopped = [one for one in told if isinstance(one, str)]
    if not stopped:
        return check_exact(pair.url, told)
    ledger = PostgresLedger(pair.url)
    assert all("older state" in one for one in stopped), stopped
    assert "older state" in refused(lambda: ledger.reserve(order(), Attempt())), "new programs are refused, too"
    assert ledger.spent(TODAY) <= MOST
    return ledger.close_ledger()


@pytest.mark.parametrize("what", ["reserved", "signed", "delivered", "released"])
def test_whatever_step_an_asynchronous_standby_lacks_it_is_noticed(
    behind: Pair, ledger: PostgresLedger, what: str
) -> None:
    """By the program that made the step. From then on by all, also by those that know nothing of it."""
    other, attempt = PostgresLedger(behind.url), Attempt()
    bought(other, "before")
    hold = ledger.reserve(order(purchase("lost")), attempt)
    assert isinstance(hold, Hold)
    if what == "delivered":
        hold = ledger.record(hold, signed())
    if what == "reserved":
        ledger.release(hold)
    behind.catch_up()
    behind.cut()
    steps: dict[str, Callable[[], object]] = {
        "reserved": lambda: ledger.reserve(order(purchase("lost")), attempt),
        "signed": lambda: ledger.record(hold, signed()),
        "delivered": lambda: ledger.close(hold, "spent", RECEIPT),
        "released": lambda: ledger.release(hold),
    }
    steps[what]()
    behind.fail_over()
    assert "older state" in refused(lambda: ledger.reserve(order(purchase("next")), Attempt()))
    assert "older state" in refused(lambda: other.reserve(order(), Attempt()))
    assert "older state" in refused(lambda: PostgresLedger(behind.url).reserve(order(), Attempt()))
    other.close_ledger()


def test_what_a_standby_lacked_is_presented_and_counted_once_the_loss_is_accepted(
    behind: Pair, ledger: PostgresLedger
) -> None:
    bought(ledger, "before")
    behind.catch_up()
    behind.cut()
    attempt = Attempt()
    hold = ledger.reserve(order(purchase("lost", key="k")), attempt)
    assert isinstance(hold, Hold)
    ledger.record(hold, signed("lost"))
    behind.fail_over()
    assert "older state" in refused(ledger.holds)
    assert ledger.accept()
    assert ledger.spent(TODAY) == 20_000
    again = ledger.reserve(order(purchase("lost", key="k")), Attempt())
    assert not isinstance(again, Hold), "it is in flight"
    attempt.end()
    mine = Attempt()
    found = ledger.reserve(order(purchase("lost", key="k"), cap(20_000)), mine)
    assert isinstance(found, Hold)
    assert (found.id, found.nonce, found.state) == (hold.id, "lost", "signed")
    ledger.close(found, "spent", RECEIPT)
    with pytest.raises(AlreadyPaid):
        ledger.reserve(order(purchase("lost", key="k")), Attempt())
    with pytest.raises(OverLimit):
        ledger.reserve(order(purchase("more"), cap(20_000)), Attempt())


def test_a_primary_that_comes_back_beside_the_one_that_took_over_is_refused(
    behind: Pair, ledger: PostgresLedger
) -> None:
    """Its address comes first in the URL. A program that made a step with the new one goes back to it at no price."""
    bought(ledger, "before")
    behind.catch_up()
    behind.fail_over()
    bought(ledger, "after")
    behind.primary.start()
    behind.standby.stop()
    assert "older state" in refused(lambda: ledger.reserve(order(purchase("split")), Attempt()))
