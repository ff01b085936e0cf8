"""What is deleted, and when: what no budget, key or open amount needs any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from x402_client.errors import AlreadyPaid
from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Attempt, Hold, Spending

from .server import Server
from .test_rollback import bought

MONTHS = 62 * 86_400 * 1_000_000


@pytest.fixture
def ledger(server: Server) -> Iterator[PostgresLedger]:
    found = PostgresLedger(server.url())
    yield found
    found.close_ledger()


def test_purchases_go_when_their_longest_window_is_over_and_keys_stay(server: Server, ledger: PostgresLedger) -> None:
    keyed, attempt = order(purchase(key="k")), Attempt()
    hold = ledger.reserve(keyed, attempt)
    assert isinstance(hold, Hold)
    ledger.close(ledger.record(hold, signed()), "spent", RECEIPT)
    bought(ledger, "old")
    server.do(f"UPDATE x402.past SET ended = ended - {MONTHS}")
    for number in range(64):
        bought(ledger, f"{number}")
    assert {past.url[-2:] for past in ledger.history(1_000)}.isdisjoint({"ld", "er"})
    assert len(ledger.history(1_000)) == 64
    with pytest.raises(AlreadyPaid):
        ledger.reserve(keyed, Attempt())
    assert ledger.spent(Spending("", "total", "USD")) == 660_000


def test_steps_that_prove_nothing_any_more_go(server: Server, ledger: PostgresLedger) -> None:
    for number in range(20):
        bought(ledger, f"{number}")
    server.do("UPDATE x402.steps SET made = made - 700000000")
    ledger._beat("default")
    ledger._beat("default")
    assert server.do("SELECT count(*) < 10 FROM x402.steps") == [(True,)]
    bought(ledger, "later")


def test_a_beat_that_deletes_waits_for_its_purse_with_no_other_lock(server: Server, ledger: PostgresLedger) -> None:
    """A step that counts locks its purse and then its program's row. In another order two would wait for each other."""
    for number in range(20):
        bought(ledger, f"{number}")
    server.do("UPDATE x402.steps SET made = 1")
    beat = threading.Thread(target=ledger._beat, args=("default",))
    with server.connect() as payment, payment.transaction():
        payment.execute("SELECT FROM x402.purses FOR UPDATE")
        beat.start()
        until(lambda: server.do("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > [(0,)])
        payment.execute("SET LOCAL lock_timeout = '500ms'")  # before the server ends one of the two
        assert payment.execute("SELECT owner FROM x402.programs FOR UPDATE").fetchall()
    beat.join()
    assert server.do("SELECT count(*) < 10 FROM x402.steps") == [(True,)]


def until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to that")


def test_programs_that_were_silent_for_a_month_go(server: Server, ledger: PostgresLedger) -> None:
    silent = PostgresLedger(server.url())
    bought(silent)
    server.do(f"UPDATE x402.programs SET lease_until = lease_until - {MONTHS}")
    bought(ledger)
    ledger._beat("default")
    assert server.do("SELECT count(*) FROM x402.programs") == [(1,)]
    silent.close_ledger()
