"""The rights of a user of Redis, as the manual has them: with them programs pay, with less they refuse."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources import files
from typing import Any

import pytest
import redis

from tests.ledgers.redis.server import Server, starting
from x402_client.buyer import settings
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.fixtures import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.holds import Attempt, Spending
from x402_client.sandbox import Sandbox

from .running import in_process

PAGE = (files("x402_client") / "manual" / "ledgers.md").read_text(encoding="utf-8")
_LINE = re.search(r"^redis-cli (ACL SETUSER shop(?:[^\n]*\\\n)+[^\n]*)$", PAGE, re.MULTILINE)
assert _LINE is not None
SETUSER = shlex.split(_LINE[1].replace("\\\n", " "))
RIGHTS = [word for word in SETUSER if word.startswith("+")]
#: Needed by a script that counts what an older version wrote, and by nothing else.
_AFTER_AN_UPGRADE = "+keys"
#: What the page says besides: how a ledger is used, and the right that it needs.
MORE = {"another database": ["+select"], "client_name": ["+client|setname"], "health_check_interval": ["+ping"]}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    with starting(tmp_path_factory.mktemp("rights")) as start:
        yield start


@pytest.fixture(scope="module")
def shared(start: Callable[..., Server]) -> Server:
    return start()


def _user(server: Server, *words: str) -> str:
    """Make the user of the page, with these changes, on a server with nothing in it."""
    server.do("FLUSHALL")
    server.do("SCRIPT", "FLUSH")
    server.do("ACL", "DELUSER", "shop")
    server.do(*SETUSER, *words)
    return server.url.replace("//", "//shop:PASSWORD@")


def _use(ledger: Any) -> None:
    """Do all that a program and the command do."""
    ledger.check_can_begin()
    for key in (None, "k"):
        attempt = Attempt()
        hold = ledger.reserve(order(purchase("a", key=key), cap(10**9, "day")), attempt)
        ledger.close(ledger.record(hold, signed(f"n{key}")), "spent", RECEIPT)
        attempt.end()
    attempt = Attempt()
    ledger.record(ledger.reserve(order(purchase("b")), attempt), signed("left"))
    attempt.end()
    ledger.write_off(ledger.holds()[0])
    ledger.freeze("*")
    ledger.unfreeze("*")
    run = allowance_account("run")
    ledger.open_allowance(AllowanceTerms("default", run, ("1 USD",)))
    ledger.mark_allowance("default", run, "frozen")
    assert (len(ledger.history(9)), ledger.freezes(), ledger.purses()) == (3, (), ("default",))
    assert len(ledger.allowances()) == 1
    assert ledger.spent(Spending("", "total", "USD")) == 30_000
    ledger._beat("default")
    ledger.accept()


def test_a_user_with_these_rights_pays_looks_and_stops(seller: Sandbox, given: dict[str, str], shared: Server) -> None:
    url = _user(shared)
    for words in (
        ["status", "--offline"], ["get", "--yes", f"{seller.url}/weather"], ["ledger"], ["ledger", "list"],
        ["ledger", "freeze"], ["ledger", "unfreeze"], ["ledger", "reconcile"], ["ledger", "export", "--csv"],
        ["ledger", "accept", "--yes"], ["status", "--offline", "--must-exist"],
    ):  # fmt: skip
        ran = in_process([*words, "--ledger", url], given)
        assert ran.code == 0, (words, ran.err)


def test_it_does_all_that_a_ledger_does_and_nothing_else(shared: Server) -> None:
    ledger = RedisLedger(_user(shared))
    _use(ledger)
    ledger.close_ledger()
    shared.do("SET", "another", "program's")
    with redis.Redis(port=shared.port, username="shop", password="PASSWORD") as user:
        for words in (
            ["GET", "another"], ["DEL", "another"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["FUNCTION", "FLUSH"],
            ["SHUTDOWN"], ["ACL", "LIST"], ["CLIENT", "LIST"], ["EVAL", "return redis.call('GET', 'another')", "0"],
        ):  # fmt: skip
            with pytest.raises(redis.ResponseError, match=r"(?i)permission|ACL failure|user executing the script"):
                user.execute_command(*words)


@pytest.mark.parametrize("right", [right for right in RIGHTS if right != _AFTER_AN_UPGRADE])
def test_none_of_them_can_be_left_out(shared: Server, right: str) -> None:
    ledger = RedisLedger(_user(shared, right.replace("+", "-")))
    with pytest.raises(LedgerUnavailable, match="ACL SETUSER"):
        _use(ledger)
    ledger.close_ledger()


@pytest.mark.parametrize("use", MORE)
def test_what_needs_more_is_named(shared: Server, use: str) -> None:
    for more in ([], MORE[use]):
        plain = _user(shared, *more)
        url = plain.removesuffix("0") + "3" if use == "another database" else f"{plain}?{use}=1"
        ledger: Any = settings.ledger(url)
        with suppress(LedgerUnavailable):
            _use(ledger)
            if use == "health_check_interval":
                time.sleep(1.2)
                ledger.spent(Spending("", "total", "USD"))
            assert more, f"{use} needs {MORE[use]}"
            break
        assert not more
        ledger.close_ledger()
    assert all(right in PAGE for right in MORE[use])


def test_a_cluster_needs_two_more(start: Callable[..., Server]) -> None:
    server = start("--cluster-enabled", "yes")
    server.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    while "cluster_state:ok" not in server.do("CLUSTER", "INFO"):
        time.sleep(0.01)
    ledger = RedisLedger(_user(server, "+cluster|slots", "+command").removesuffix("/0"), cluster=True)
    _use(ledger)
    ledger.close_ledger()
    assert "`+cluster|slots +command`" in PAGE


def test_replicas_need_one_more(start: Callable[..., Server]) -> None:
    primary = start("--repl-diskless-sync-delay", "0")
    start("--replicaof", f"127.0.0.1 {primary.port}")
    while not primary.do("WAIT", 1, 100):
        pass
    for more in ([], ["+wait"]):
        ledger = RedisLedger(_user(primary, *more), replicas=1)
        with suppress(LedgerUnavailable):
            _use(ledger)
            assert more
        ledger.close_ledger()
