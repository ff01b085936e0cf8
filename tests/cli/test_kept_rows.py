"""Totals that count more than the payments that a ledger keeps one by one: lists say what is missing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers.postgres.server import starting as starting_postgres
from tests.ledgers.redis.server import starting as starting_redis
from x402_client.buyer import settings
from x402_client.cli.kept_rows import KeptRows, kept_rows
from x402_client.ledgers import MemoryLedger
from x402_client.ledgers.conformance.fixtures import RECEIPT, order, purchase, signed
from x402_client.ledgers.sqlite import holds as sqlite_holds
from x402_client.model.holds import Attempt, Spending

from .running import Ran, in_process

MONTHS = 62 * 86_400 * 1_000_000


class Used:
    """A ledger, where the command finds it, and how its oldest rows go."""

    def __init__(self, ledger: Any, url: str, age: Callable[[], object], until_they_go: int) -> None:
        self.ledger, self.url, self.age, self.until_they_go = ledger, url, age, until_they_go
        self.bought = 0

    def buy(self, price: str = "0.01", *, purse: str = "default", is_left_open: bool = False) -> None:
        self.bought += 1
        attempt = Attempt()
        hold = self.ledger.reserve(order(purchase(f"{self.bought}", purse=purse), price=price), attempt)
        kept = self.ledger.record(hold, signed(f"{self.bought}"))
        if not is_left_open:
            self.ledger.close(kept, "spent", RECEIPT)
        attempt.end()

    def lose_the_oldest(self, *prices: str) -> None:
        """Buy what goes, and then as much as the ledger keeps."""
        self.buy("0.05", is_left_open=True)
        for price in prices:
            self.buy(price)
        self.age()
        for _ in range(self.until_they_go):
            self.buy()

    def total(self, currency: str = "USD") -> int:
        return int(self.ledger.spent(Spending("", "total", currency)))

    def ask(self, given: dict[str, str], *words: str) -> Ran:
        ran = in_process([*words, "--ledger", self.url], given)
        assert ran.code == 0, ran.err
        return ran


@contextmanager
def _memory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Used]:
    yield Used(MemoryLedger(), "", bool, 500)


@contextmanager
def _file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Used]:
    monkeypatch.setattr(sqlite_holds, "HISTORY", 200)  # a hundred thousand would take minutes
    path = str(directory / "used.db")
    yield Used(settings.ledger(path), path, bool, 600)


@contextmanager
def _redis(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Used]:
    with starting_redis(directory) as start:
        url = start().url
        yield Used(settings.ledger(url), url, bool, 1_000)


@contextmanager
def _postgres(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Used]:
    with starting_postgres() as start:
        server = start("fsync=off")
        age = lambda: server.do(f"UPDATE x402.past SET ended = ended - {MONTHS}")  # noqa: E731
        yield Used(settings.ledger(server.url()), server.url(), age, 130)


LEDGERS = {"memory": _memory, "file": _file, "redis": _redis, "postgres": _postgres}


#: The ledgers that the command can open: one in memory ends with its program.
SEEN = pytest.mark.parametrize("used", ["file", "redis", "postgres"], indirect=True)


@pytest.fixture(params=LEDGERS)
def used(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Used]:
    with LEDGERS[request.param](tmp_path, monkeypatch) as found:
        yield found
        if found.url:
            found.ledger.close_ledger()


def _sum(rows: KeptRows, currency: str = "USD") -> int:
    return sum(hold.price.units for hold in (*rows.open, *rows.past) if hold.price.currency == currency)


def test_where_every_row_is_kept_nothing_is_said(used: Used, given: dict[str, str]) -> None:
    used.buy(is_left_open=True)
    used.buy("0.02")
    used.buy("0.30 EUR")
    rows = kept_rows(used.ledger, "default")
    assert (rows.gone, rows.since, rows.remark, _sum(rows)) == ((), None, "", used.total())
    if not used.url:
        return
    for words in (["ledger"], ["ledger", "list"], ["ledger", "export", "--csv"], ["status", "--offline"]):
        ran = used.ask(given, *words)
        assert " kept" not in ran.text + ran.err
    told = json.loads(used.ask(given, "ledger", "--json").text)
    assert (told["kept_since"], told["no_longer_kept"]) == (None, [])


def test_what_the_totals_count_of_rows_that_are_gone_is_said_by_each_list(used: Used, given: dict[str, str]) -> None:
    used.lose_the_oldest("1.00", "0.50 EUR", "2.00")
    used.buy("0.10 EUR")
    rows = kept_rows(used.ledger, "default")
    missing = {amount.currency: amount.units for amount in rows.gone}
    assert missing["EUR"] == 500_000 == used.total("EUR") - _sum(rows, "EUR")
    assert missing["USD"] == used.total() - _sum(rows) >= 3_000_000
    assert rows.since == min(hold.created for hold in rows.past)
    if used.url:
        _tells(used, given, rows)


def _tells(used: Used, given: dict[str, str], rows: KeptRows) -> None:
    """Look at each list, and add up what it shows."""
    gone = f"{' and '.join(map(str, rows.gone))} of the totals are theirs."
    for words in (["ledger"], ["ledger", "list", "--limit", "1"], ["status", "--offline"]):
        ran = used.ask(given, *words)
        told = " ".join((ran.text + ran.err).split())
        assert ("Payments are kept here from 20" in told, gone in told) == (True, True), told
    exported = used.ask(given, "ledger", "export", "--csv")
    assert gone in exported.err
    amounts = [Decimal(row["price"]) for row in csv.DictReader(io.StringIO(exported.text)) if row["currency"] == "USD"]
    [dollars] = [amount for amount in rows.gone if amount.currency == "USD"]
    assert sum(amounts) * 1_000_000 + dollars.units == used.total()
    status = json.loads(used.ask(given, "status", "--offline", "--json").text)["ledger"]
    for told in (json.loads(used.ask(given, "ledger", *more, "--json").text) for more in ([], ["list"])):
        assert told["no_longer_kept"] == status["no_longer_kept"] == [str(amount) for amount in rows.gone]
        assert told["kept_since"] == status["kept_since"]
    assert status["kept_since"] is not None
    missing = in_process(["ledger", "show", "ffffffff", "--ledger", used.url], given)
    assert (missing.code, "Payments are kept here from" in missing.err) == (2, True)


@SEEN
def test_a_list_of_the_latest_hour_lacks_nothing(used: Used, given: dict[str, str]) -> None:
    used.lose_the_oldest("1.00")
    rows = kept_rows(used.ledger, "default")
    assert rows.since is not None
    assert (rows.lacks_some_since(rows.since - 1), rows.lacks_some_since(rows.since + 1)) == (True, False)
    assert "kept" not in used.ask(given, "ledger", "list", "--since", "9999-01-01").err


@pytest.mark.parametrize("used", ["memory", "file", "postgres"], indirect=True)
def test_a_purse_of_which_no_row_is_left_did_pay(used: Used, given: dict[str, str]) -> None:
    """All but Redis keep the latest payments of all purses: a busy purse takes the rows of a quiet one."""
    used.buy("0.25", purse="quiet")
    used.lose_the_oldest()
    rows = kept_rows(used.ledger, "quiet")
    assert (rows.all, rows.since, [str(amount) for amount in rows.gone]) == ((), None, ["0.25 USD"])
    if not used.url:
        return
    said = "No resolved payment is kept here any more; 0.25 USD of the totals is theirs."
    for words in (["ledger"], ["ledger", "list"], ["ledger", "export", "--csv"], ["status", "--offline"]):
        ran = used.ask(given, *words, "--purse", "quiet")
        told = " ".join((ran.text + ran.err).split())
        assert (said in told, "no payment" in told) == (True, False), told


@SEEN
def test_budgets_of_numbers_are_no_more_than_an_upper_bound(used: Used, given: dict[str, str], tmp_path: Path) -> None:
    """A ledger tells sums, and no numbers of payments: those are counted from the rows."""
    policy = tmp_path / "numbers.toml"
    policy.write_text('per_day = "1000"\nmax_payments = ["5000/total", "4000/minute"]\n')
    used.buy()
    look = ["status", "--offline", "--policy", str(policy)]
    assert "at most" not in used.ask(given, *look).text
    used.lose_the_oldest("1.00")
    for line in used.ask(given, *look).text.splitlines():
        assert ("at most" in line) is (" payments" in line and "5000" in line) or "4000" in line, line
    exact = {one["limit"]: one["exact"] for one in json.loads(used.ask(given, *look, "--json").text)["budgets"]}
    assert (exact["5000 payments"], exact["1000.00 USD"]) == (False, True)


def test_payments_that_are_made_while_the_rows_are_read_are_not_taken_for_missing(used: Used) -> None:
    """The totals and the rows are read one after the other. Each reading meets another payment."""

    class Busy:
        def __getattr__(self, name: str) -> Any:
            used.buy()
            if name == "history":
                held = used.ledger.reserve(order(purchase("given back")), Attempt())
                used.ledger.release(held)
            return getattr(used.ledger, name)

    assert kept_rows(Busy(), "default").gone == ()
