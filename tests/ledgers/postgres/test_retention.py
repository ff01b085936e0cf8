"""What is deleted, and when: what no budget, key or open amount needs any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from x402_client.errors import AlreadyPaid, X402Error
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


def test_pruning_never_waits_for_a_step_that_waits_for_it(server: Server, ledger: PostgresLedger) -> None:
    """A step that counts locks its purse and then its program's row, and so does one that prunes."""
    bought(ledger)
    server.do(
        "CREATE FUNCTION public.tire() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.lease_until := x402.clock_now() + 100000; RETURN NEW; END'; "
        "CREATE TRIGGER tire BEFORE UPDATE ON x402.programs FOR EACH ROW EXECUTE FUNCTION public.tire()"
    )
    over, beats, failed = threading.Event(), list[None](), list[X402Error]()

    def beat() -> None:
        while not over.is_set():
            try:
                beats.append(ledger._beat("default"))
            except X402Error as failure:
                failed.append(failure)

    threads = [threading.Thread(target=beat) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for number in range(80):
            server.do("UPDATE x402.steps SET made = 0 WHERE number < (SELECT max(number) - 100 FROM x402.steps)")
            bought(ledger, f"{number}")
    finally:
        over.set()
        for thread in threads:
            thread.join()
        server.do("DROP FUNCTION public.tire CASCADE")
    assert (failed, len(beats) > 50) == ([], True)


def test_programs_that_were_silent_for_a_month_go(server: Server, ledger: PostgresLedger) -> None:
    silent = PostgresLedger(server.url())
    bought(silent)
    server.do(f"UPDATE x402.programs SET lease_until = lease_until - {MONTHS}")
    bought(ledger)
    ledger._beat("default")
    assert server.do("SELECT count(*) FROM x402.programs") == [(1,)]
    silent._claims.end_all()
