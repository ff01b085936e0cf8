"""What a ledger may have besides the port's methods: defaults, where it is read, and that ours have all of it."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import x402_client
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.buyer import settings
from x402_client.core import Ledger, LedgerExtras
from x402_client.ledgers import extras
from x402_client.ledgers.conformance import LedgerConformance, order
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.redis import AsyncRedisLedger, RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.holds import Attempt

NAMES = (
    "asynchronous",
    "beside",
    "bought",
    "check",
    "close_ledger",
    "drift",
    "fresh",
    "impatient",
    "must_exist",
    "name",
    "note",
    "owed",
    "purses",
    "send_close",
)


class Plain:
    """A ledger with the port's methods, and nothing else."""

    def __init__(self) -> None:
        ledger = MemoryLedger()
        for name in settings._LEDGER_METHODS:
            setattr(self, name, getattr(ledger, name))


class TestWithoutExtras(LedgerConformance):
    def make(self) -> Any:
        return Plain()


def test_the_methods_are_those_of_the_port() -> None:
    assert set(settings._LEDGER_METHODS) == {name for name in vars(Ledger) if not name.startswith("_")}
    assert len(settings._LEDGER_METHODS) == 16


def test_the_optional_names() -> None:
    assert sorted(name for name in vars(LedgerExtras) if not name.startswith("_")) == list(NAMES)


def test_what_holds_without_them() -> None:
    plain: Any = Plain()
    hold = plain.reserve(order(), Attempt())
    assert not any(hasattr(plain, name) for name in NAMES)
    assert (extras.name_of(plain), extras.is_fresh(plain), extras.drift_of(plain)) == ("Plain", False, 0.0)
    assert not extras.may_begin(plain), "it does not say"
    assert extras.for_async_callers(plain) is plain
    assert extras.closer_of(plain)() is None
    assert extras.send_close(plain, hold, "spent", None) is None
    assert [close() for close in extras.closers_of(plain)] == [None]
    assert list(settings.ledger(plain).holds()) == [hold]


def test_ours_have_all_of_them(tmp_path: Path) -> None:
    file, server = SqliteLedger(tmp_path / "ledger.db"), RedisLedger("redis://127.0.0.1:1/0")
    ours: list[Any] = [MemoryLedger(), file, server, server.asynchronous]
    assert [type(ledger) for ledger in ours] == [MemoryLedger, SqliteLedger, RedisLedger, AsyncRedisLedger]
    for ledger in ours:
        assert isinstance(ledger, LedgerExtras)
        declared = {name for kind in type(ledger).__mro__ for name in vars(kind)} | set(vars(ledger))
        assert set(NAMES) <= declared, f"{type(ledger).__name__} does not declare {set(NAMES) - declared}"
    names = [extras.name_of(ledger) for ledger in ours]
    assert names == [":memory:", str(tmp_path / "ledger.db"), "127.0.0.1:1", "127.0.0.1:1"]
    assert [extras.is_fresh(ledger) for ledger in ours] == [False, True, False, False]
    assert all(map(extras.may_begin, ours))
    assert extras.for_async_callers(server) is server.asynchronous
    assert extras.for_async_callers(file) is not file
    assert extras.for_async_callers(ours[0]) is ours[0]
    file.close_ledger()


class Told(Plain):
    """A ledger with everything, that notes what is asked of it."""

    name, fresh, must_exist, drift, impatient, send_close = "here", True, True, 0.0, None, None

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[str] = []
        self.asynchronous = type("Twin", (Plain,), {"close_ledger": self._closing})()

    async def _closing(self, *_: object) -> None:
        self.closed.append("twin")

    def close_ledger(self) -> None:
        self.closed.append("ledger")


def test_a_buyer_reads_and_closes_what_there_is() -> None:
    told: list[Any] = []
    ledger: Any = Told()
    buyer = Buyer(Wallet(evm="0x" + "46" * 32), Policy(per_day="1"), ledger=ledger, on_event=told.append)
    assert [(type(event).__name__, event.url) for event in told] == [("LedgerStarted", "here, purse 'default'")]
    buyer.close()
    assert ledger.closed == ["ledger"]
    asyncio.run(buyer.aclose())
    assert ledger.closed == ["ledger", "twin", "ledger"]


def test_a_close_that_fails_is_ledger_trouble() -> None:
    ledger: Any = Told()
    ledger.close_ledger = lambda: 1 / 0
    with pytest.raises(errors.LedgerUnavailable, match="ZeroDivisionError"):
        Buyer(Wallet(evm="0x" + "46" * 32), Policy(per_day="1"), ledger=ledger).close()


def test_they_are_read_in_one_place() -> None:
    root = Path(x402_client.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr") and len(node.args) > 1:
                read = getattr(node.args[1], "value", None)
                if read in NAMES and read != "name":  # other things have names, too
                    found.add(path.relative_to(root).as_posix())
    assert found == {"ledgers/extras.py", "ledgers/conformance/extras.py"}


def test_every_optional_attribute_says_its_default_and_its_reader() -> None:
    for name in NAMES:
        value: Any = vars(LedgerExtras)[name]
        said = " ".join(str(value.__doc__).split())
        assert "Default: " in said, name
        assert "Read " in said or "Called " in said, name
        known = {**vars(x402_client.core.ports), **vars(x402_client.model.holds)}
        hints = get_type_hints(value.fget if isinstance(value, property) else value, known)
        assert hints["return"] in (str, bool, float) or get_args(hints["return"])
