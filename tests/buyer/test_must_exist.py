"""First use is said aloud; and ``must_exist=True`` refuses a ledger whose budgets would start at zero."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.cash_register import KEY
from x402_client import Buyer, Wallet, errors, events
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt


def buyer(ledger: Any, **settings: Any) -> Buyer:
    return Buyer(Wallet(evm=KEY), ledger=ledger, **settings)


def test_a_first_use_is_a_warning_and_a_second_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[events.Event] = []
    for _ in range(2):
        buyer(tmp_path / "ledger.db", on_event=told.append).close()
    assert [type(event) for event in told] == [events.LedgerStarted]
    [record] = [one for one in caplog.records if one.name == "x402_client"]
    assert record.levelno == logging.WARNING
    assert str(tmp_path / "ledger.db") in record.getMessage()
    assert "nothing is spent in it" in record.getMessage()


def test_memory_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    buyer(":memory:").close()
    assert caplog.records == []


@pytest.mark.parametrize("kind", [str, Path])
def test_a_ledger_that_must_exist(tmp_path: Path, kind: Any) -> None:
    path = kind(tmp_path / "deep" / "ledger.db")
    with pytest.raises(errors.X402Error, match="must_exist"):
        buyer(path, must_exist=True)
    assert list(tmp_path.iterdir()) == [], "what is refused is not made, or the next start would find it"
    (tmp_path / "deep").mkdir()
    buyer(path).close()
    told: list[events.Event] = []
    buyer(path, must_exist=True, on_event=told.append).close()
    assert told == []


@pytest.mark.parametrize("start", range(2))
def test_a_ledger_object_that_begins_anew_is_refused_at_each_start(tmp_path: Path, start: int) -> None:
    server = RedisLedger("redis://127.0.0.1:1/0")
    for one in (SqliteLedger(tmp_path / "ledger.db"), MemoryLedger(), server, server.asynchronous):
        for _ in range(start + 1):
            with pytest.raises(errors.ConfigurationError, match="made without must_exist=True") as refused:
                buyer(one, must_exist=True)
            assert type(one).__name__ in str(refused.value)


def test_a_ledger_object_that_says_so_itself(tmp_path: Path) -> None:
    with pytest.raises(errors.LedgerUnavailable, match="is not there"):
        SqliteLedger(tmp_path / "ledger.db", must_exist=True)
    SqliteLedger(tmp_path / "ledger.db").close_ledger()
    buyer(SqliteLedger(tmp_path / "ledger.db", must_exist=True), must_exist=True).close()
    assert RedisLedger("redis://127.0.0.1:1/0", must_exist=True).asynchronous.must_exist


def _pay(ledger: Any, purse: str) -> None:
    one = buyer(ledger, purse=purse, on_event=[].append)
    one.ledger.reserve(order(purchase(purse=purse)), Attempt())
    one.close()


def test_a_purse_that_must_exist_is_one_that_was_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "ledger.db"
    buyer(path).close()
    buyer(path, must_exist=True, purse="first").close()  # a ledger that nothing was paid from
    for purse in ("batch", "default"):
        _pay(path, purse)
        buyer(path, must_exist=True, purse=purse).close()
    strict = SqliteLedger(path, must_exist=True)
    for ledger in (path, strict):
        with pytest.raises(errors.LedgerUnavailable, match="Purse 'bacth' was never used in the ledger") as refused:
            buyer(ledger, must_exist=True, purse="bacth")
        assert "Did you mean 'batch'? Used there: 'batch', 'default'. Correct the name;" in str(refused.value)
    assert strict.purses() == ("batch", "default"), "what is refused is not made"
    strict.close_ledger()


def test_a_new_purse_beside_others_is_shown_by_a_program_that_sets_up_no_logging(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    _pay(path, "batch")
    # Python 3.13 shows the line of a program in its warnings, so the key is not in one.
    program = (
        "import os; from x402_client import Buyer, Wallet; "
        f"Buyer(Wallet(evm=os.environ['KEY']), ledger={str(path)!r}, purse='bacth')"
    )
    env = os.environ | {"KEY": KEY}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=env)
    assert ran.returncode == 0
    assert f"UserWarning: Purse 'bacth' is new in the ledger {path}: its budgets begin at zero." in ran.stderr
    assert "Did you mean 'batch'? Used before there: 'batch'." in ran.stderr
    assert "must_exist=True refuses one" in ran.stderr
    assert KEY.removeprefix("0x") not in ran.stderr
    told: list[events.Event] = []
    buyer(path, purse="bacth", on_event=told.append).close()
    assert [type(event) for event in told] == [events.Warned], "who listens is told once, and by the event"


class Stranger(MemoryLedger):
    """A ledger by somebody else, which tells that it is new and not that it may begin."""

    fresh, must_exist = True, None  # type: ignore[assignment]


def test_a_ledger_by_somebody_else_is_asked_if_it_is_new() -> None:
    with pytest.raises(errors.LedgerUnavailable, match="its budgets would start at zero"):
        buyer(Stranger(), must_exist=True)


def test_memory_never_existed() -> None:
    with pytest.raises(errors.ConfigurationError, match="outlives the program"):
        buyer(":memory:", must_exist=True)


def test_only_true_and_false(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="must_exist is True or False"):
        buyer(tmp_path / "ledger.db", must_exist="yes")
