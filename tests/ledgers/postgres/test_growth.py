"""A step reads the same after any history: each statement's plan tells how many rows and blocks it looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from x402_client.errors import AlreadyPaid, OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.budgets import Cap, request_account
from x402_client.model.holds import Attempt, Hold, LastAnswer, Spending

from .plans import SETTINGS, Reads, reads_of
from .server import Server

#: What many purchases leave, per thousand: the latest ones, those that are open, and what programs left behind.
_HISTORY = """
INSERT INTO x402.steps SELECT 'default', g.owner, -n - {0}, 't', 1, x402.clock_now()
  FROM (SELECT owner FROM x402.programs WHERE asleep IS NULL LIMIT 1) g, generate_series(1, 2000) n;
INSERT INTO x402.steps SELECT 'default', 'other' || n % 50, -n - {0}, 't', 1, x402.clock_now()
  FROM generate_series(1, 2000) n;
INSERT INTO x402.programs SELECT 'default', 'gone' || n + {0}, 'x', x402.clock_now() - 1, x402.clock_now() - 1
  FROM generate_series(1, 500) n;
INSERT INTO x402.voids SELECT 'v' || n + {0}, x402.clock_now() + 3600000000 FROM generate_series(1, 1000) n;
INSERT INTO x402.accounts (purse, name, currency, units, payments, latest, kind)
  SELECT 'default', 'h' || n + {0} || '.example.net', 'USD', 1, 1, x402.clock_now(), 'host'
  FROM generate_series(1, 500) n;
INSERT INTO x402.accounts (purse, name, currency, units, payments, latest, kind)
  SELECT 'default', 'allowance r' || n + {0}, 'USD', 1, 1, x402.clock_now(), 'allowance' FROM generate_series(1, 50) n;
INSERT INTO x402.allowances (purse, account, doc, opened, state)
  SELECT 'default', 'allowance r' || n + {0}, '[]', 1, 'open' FROM generate_series(1, 50) n;
INSERT INTO x402.starts SELECT id, 2, n, 1, 1 FROM x402.accounts, generate_series(1, 3) n ON CONFLICT DO NOTHING;
INSERT INTO x402.past (ended, id, purse, purchase, request, keyed, payer, host, currency, units, created, state, money,
    tries, charged, doc, path, signed, nonce, last, receipt, owed, accounts)
  SELECT ended, 'p' || n + {0}, purse, purchase || n, request, keyed, payer, host, currency, units, created, state,
    money, tries, charged, doc, path, signed, nonce, last, receipt, n % 10 = 0, accounts
  FROM (SELECT * FROM x402.past LIMIT 1) p, generate_series(1, 2000) n;
INSERT INTO x402.holds (id, purse, purchase, request, keyed, payer, host, currency, units, created, state, money, doc,
    path, signed, nonce, owner, claim, header, accounts)
  SELECT 'q' || n + {0}, purse, purchase || n % 2, request, keyed, payer, host, currency, units, created, 'signed',
    'held', doc, path, signed, nonce, '', '', NULL, accounts
  FROM (SELECT * FROM x402.past LIMIT 1) p, generate_series(1, 200) n;
INSERT INTO x402.keyed SELECT purse, 'k' || n + {0}, id, state, request, '{{}}'
  FROM (SELECT * FROM x402.past LIMIT 1) p, generate_series(1, 500) n;
"""
#: Sets the number of the next step, from the last one that prunes on.
_NEXT_TURN = "SELECT setval('x402.step_numbers', (last_value / 256 + 1) * 256 + {0}) FROM x402.step_numbers"
_CAPS = (cap(10**9), cap(10**9, "hour", "*.example.com"), cap(10**6, "day", currency=None))


class Busy:
    """A program that makes each step. One that plans anew connects again when the server has statistics."""

    def __init__(self, url: str, plans_anew: bool) -> None:
        self.ledger, self.number, self.plans_anew = PostgresLedger(url, timeout=30, lease=30), 0, plans_anew

    def everything(self) -> None:
        for _ in range(4):
            self.buys()
            self.buys(key=f"key {self.number}")
        self.looks()
        for end in ("given back", "written off", "claimed"):
            self.ends_otherwise(end)
        self.uses_an_allowance()
        self.is_refused()
        self.ledger._beat("default")

    def held(self, *caps: Cap, key: str | None = None, path: tuple[str, ...] = ()) -> tuple[Hold, Attempt]:
        self.number += 1
        attempt, bought = Attempt(), purchase(f"{self.number}", key=key)
        hold: Any = self.ledger.reserve(order(bought, *(caps or _CAPS), path=path), attempt)
        return self.ledger.record(hold, signed(f"{self.number}")), attempt

    def buys(self, key: str | None = None) -> None:
        hold, attempt = self.held(key=key)
        self.ledger.close(hold, "spent", RECEIPT)
        attempt.end()

    def ends_otherwise(self, end: str) -> None:
        hold, attempt = self.held()
        attempt.end()
        self.ledger.note(hold, LastAnswer("unknown"))
        if end == "given back":
            assert self.ledger.conclude(hold, False)
        elif end == "written off":
            self.ledger.write_off(hold)
            self.ledger.conclude(hold, True)
        else:
            again = Attempt()
            assert self.ledger.claim(hold.purchase, again) is not None
            self.ledger.close(hold, "spent", RECEIPT)
            again.end()

    def uses_an_allowance(self) -> None:
        path = (allowance_account("run"), allowance_account(f"~{self.number}"))
        self.ledger.open_allowance(AllowanceTerms("default", path[0], ("9 USD",)))
        self.ledger.open_allowance(AllowanceTerms("default", path[1], ("9 USD",), parent=path[0]))
        hold, attempt = self.held(cap(10**9, "total", path[0]), path=path)
        self.ledger.close(hold, "spent", RECEIPT)
        attempt.end()
        assert len(self.ledger.allowances("default", path)) == 2
        self.ledger.mark_allowance("default", path[1], "forgotten")

    def is_refused(self) -> None:
        for caps in ((cap(1), cap(1, "hour", currency=None)), (cap(1, "hour", request_account("r"), None), cap(1))):
            with pytest.raises(OverLimit):
                self.ledger.reserve(order(purchase("more"), *caps), Attempt())

    def looks(self) -> None:
        for key in (None, "new", "key 1"):
            for caps in ((cap(1), cap(1, "hour", currency=None)), _CAPS):
                with suppress(OverLimit, AlreadyPaid):
                    self.ledger.check(order(purchase("2", key=key), *caps))
        for account in ("", "api.example.com", "nobody.example.com"):
            self.ledger.spent(Spending(account, "day", "USD"))


@pytest.fixture(scope="module", params=[False, True], ids=["planned when empty", "planned by statistics"])
def busy(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Busy]]:
    server = Server("fsync=off", "auto_explain.log_buffers=on", *SETTINGS)
    program = Busy(server.url(), request.param)
    yield server, program
    program.ledger.close_ledger()
    server.remove()


@pytest.fixture(scope="module")
def grown(busy: tuple[Server, Busy]) -> tuple[Reads, Reads]:
    """What each step reads after a short history and after one that is ten times as long."""
    server, program = busy
    found = list[Reads]()
    for sizes in (range(1, 2), range(2, 11)):
        program.everything()
        for size in sizes:
            server.do(_HISTORY.format(size * 10_000))
        if program.plans_anew:
            program.ledger.close_ledger()
            server.do("VACUUM ANALYZE")
        program.everything()  # what is new in the tables is looked at for the first time
        server.do(_NEXT_TURN.format(1))
        # A heart may beat meanwhile, and on a busy machine many times: it adds to what is read, and takes nothing away.
        found.append(min((reads_of(server, program.everything) for _ in range(2)), key=lambda reads: reads.blocks))
    return found[0], found[1]


def test_no_statement_reads_more_rows_after_ten_times_the_history(grown: tuple[Reads, Reads]) -> None:
    few, many = grown
    assert len(many.found) > 60, "the server wrote down what it read"
    # Buckets begin as time passes, and an account has up to four of them then.
    more = {
        key: (few.found[key].rows if key in few.found else 0, read.rows)
        for key, read in many.found.items()
        if read.rows > 1.1 * (few.found[key].rows if key in few.found else 0) + 100
    }
    assert not more, str(more)
    assert many.rows < 1.1 * few.rows + 100, (few.rows, many.rows)


def test_no_table_that_grows_is_read_as_a_whole(grown: tuple[Reads, Reads]) -> None:
    scanned = {read.how for read in grown[1].found.values() if read.how.startswith("Seq Scan")}
    assert {how.split()[-1] for how in scanned} <= {"ledger", "windows", "freezes"}


def test_no_index_is_read_as_a_whole(grown: tuple[Reads, Reads]) -> None:
    """Blocks tell what an index scan passed over. An index is a block higher once it has hundreds of pages."""
    few, many = grown
    assert many.blocks < 1.25 * few.blocks, (few.blocks, many.blocks)


def test_a_turn_of_pruning_looks_at_some_accounts(busy: tuple[Server, Busy], grown: object) -> None:
    server, program = busy
    server.do(_NEXT_TURN.format(-1))
    found = reads_of(server, program.buys)
    turn = [read for read in found.found.values() if "swept" in read.statement and "accounts" in read.how]
    assert [read.rows for read in turn] == [512]
    assert sum(read.rows for read in found.found.values() if "starts" in read.how) < 512 * 4 * 4


def test_pruning_reads_what_it_deletes(busy: tuple[Server, Busy], grown: object) -> None:
    server, program = busy
    server.do("UPDATE x402.voids SET until = 1 WHERE token LIKE 'v2____'")
    server.do("UPDATE x402.past SET ended = 1 WHERE number IN (SELECT number FROM x402.past WHERE NOT owed LIMIT 300)")
    server.do("UPDATE x402.programs SET asleep = 1 WHERE owner LIKE 'gone2____'")
    found = reads_of(server, lambda: (program.ledger._beat("default"), [program.buys() for _ in range(64)]))
    read = dict.fromkeys(("voids", "past", "programs_asleep"), 0.0)
    for each in found.found.values():
        for table in read:
            read[table] += each.rows if table in each.how and "WHERE token = t.token" not in each.statement else 0
    detail = [(each.how, each.rows, each.statement[:90]) for each in found.found.values() if each.rows > 50]
    assert read["voids"] <= 2 * 1_000
    assert read["past"] <= 2 * 300, detail
    assert server.do("SELECT count(*) FROM x402.voids WHERE until = 1") == [(0,)]
    [(left,)] = server.do("SELECT count(*) FROM x402.programs WHERE asleep = 1")
    assert left in (400, 300, 200), "a hundred each time; a heart may beat meanwhile"
    assert read["programs_asleep"] <= 500 - left + 50, detail


def test_the_oldest_of_many_identical_purchases_is_found_by_one_look(busy: tuple[Server, Busy], grown: object) -> None:
    server, program = busy
    first, attempt = program.held()
    attempt.end()
    columns = (
        "purse, purchase, request, keyed, payer, host, currency, units, state, money, doc, signed, nonce, accounts"
    )
    program.ledger._beat("default")
    for owner, claim in (("''", "''"), ("(SELECT max(owner) FROM x402.programs WHERE asleep IS NULL)", "'c' || n")):
        server.do(
            f"INSERT INTO x402.holds (id, created, owner, claim, {columns}) "
            f"SELECT 'same' || {claim} || n, created + n, {owner}, {claim}, {columns} FROM x402.holds, "
            f"generate_series(1, 2000) n WHERE id = '{first.id}'"
        )
    again, claimed = Attempt(), list[Any]()
    found = reads_of(server, lambda: claimed.append(program.ledger.claim(first.purchase, again)))
    assert [hold.id for hold in claimed] == [first.id]
    looked = [read for read in found.found.values() if "of holds" in read.how]
    assert sum(read.rows for read in looked) < 10, looked
    again.end()
