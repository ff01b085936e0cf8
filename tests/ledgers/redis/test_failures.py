"""Servers that fail, come back, or cannot be trusted: never a guess, never an exception of redis-py, never a secret."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import pytest
import redis.connection
from hypothesis import example, given
from hypothesis import strategies as st

from x402_client.errors import ConfigurationError, LedgerUnavailable
from x402_client.ledgers.conformance import at_once
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.redis import connections as redis_links
from x402_client.ledgers.redis.address import Address
from x402_client.model.holds import Attempt, Hold, Spending

from .server import Server, free_port

TODAY = Spending("", "day", "USD")
PASSWORD = "correct-horse"


def presented(ledger: RedisLedger, attempt: Attempt, name: str = "weather") -> Hold:
    hold = ledger.reserve(order(purchase(name)), attempt)
    assert isinstance(hold, Hold)
    return ledger.record(hold, signed(name))


def refused(question: Callable[[], Any]) -> str:
    """What is said; and nothing else can be found behind it."""
    with pytest.raises(LedgerUnavailable) as caught:
        question()
    failure = caught.value
    assert (failure.money, failure.__cause__, failure.__context__) == ("untouched", None, None)
    told = "".join(traceback.format_exception(failure)) + repr(failure)
    assert PASSWORD not in told
    assert SECRET not in told
    return str(failure)


def test_nobody_listens() -> None:
    ledger = RedisLedger(f"redis://me:{PASSWORD}@127.0.0.1:{free_port()}/0")
    assert "cannot be reached" in refused(lambda: ledger.reserve(order(), Attempt()))
    assert "cannot be reached" in refused(lambda: asyncio.run(ledger.asynchronous.holds()))
    assert PASSWORD not in repr(ledger) + repr(ledger.asynchronous) + repr(ledger._address)
    ledger.close_ledger()


@pytest.mark.parametrize(
    "url", ["http://h", "redis", f"redis://:{PASSWORD}@h:port/0", f"redis://:{PASSWORD}@[h/0", 7, b"redis://h"]
)
def test_urls_that_cannot_be_read(url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisLedger(url)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@given(
    st.sampled_from(["redis", "rediss", "valkey"]),
    st.text("0123456789abc/-+.²%20 ", min_size=1, max_size=4).filter(lambda name: name.strip("/ ")),
)
@example("redis", "abc")
@example("redis", "1/2")
def test_a_database_is_the_number_that_is_written_or_refused(scheme: str, named: str) -> None:
    with contextlib.suppress(ConfigurationError):
        ledger = RedisLedger(f"{scheme}://h/{named}")
        assert redis.connection.parse_url(ledger._address.url).get("db", 0) == int(unquote(named).strip() or 0)
        return
    assert not re.fullmatch("[0-9]+", named)


def test_a_database_that_the_server_does_not_have(start: Callable[..., Server]) -> None:
    url = start("--databases", "2").url.removesuffix("0")
    assert RedisLedger(f"{url}1").holds() == ()
    for ask in (RedisLedger(f"{url}2").holds, lambda: asyncio.run(RedisLedger(f"{url}2").asynchronous.holds())):
        assert "its setting `databases`" in refused(ask)


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"lease": 0.1}, {"replicas": -1}, {"replicas": True}, {"replicas": 1, "cluster": True}]
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RedisLedger("redis://h", **wrong)


def test_a_password(start: Callable[..., Server]) -> None:
    server = start("--requirepass", PASSWORD)
    assert "password" in refused(RedisLedger(server.url).holds)
    assert "password" in refused(RedisLedger(server.url.replace("//", "//:wrong@")).holds)
    ledger = RedisLedger(server.url.replace("//", f"//:{PASSWORD}@"))
    assert ledger.holds() == ()
    ledger.close_ledger()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_forgets(start: Callable[..., Server], policy: str) -> None:
    server = start("--maxmemory-policy", policy)
    ledger = RedisLedger(server.url)
    assert "noeviction" in refused(ledger.holds)
    assert server.do("DBSIZE") == 0
    server.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert ledger.holds() == ()
    ledger.close_ledger()


def test_a_server_without_memory(start: Callable[..., Server]) -> None:
    server = start()
    ledger, attempt = RedisLedger(server.url), Attempt()
    hold = presented(ledger, attempt)
    server.do("CONFIG", "SET", "maxmemory", 1)
    before = server.everything()
    assert "memory" in refused(lambda: ledger.reserve(order(purchase("b")), attempt))
    assert "memory" in refused(lambda: ledger.close(hold, "spent", RECEIPT))
    assert server.everything() == before
    server.do("CONFIG", "SET", "maxmemory", 0)
    assert ledger.spent(TODAY) == 10_000
    assert [open.id for open in ledger.holds()] == [hold.id]
    ledger.close(hold, "spent", RECEIPT)
    assert [past.id for past in ledger.history(5)] == [hold.id]
    ledger.close_ledger()


def test_threads_that_connect_together_share_one_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, made, closed = redis_links._connect, [], []

    def slowly(address: Address) -> Any:
        time.sleep(0.05)
        client = connect(address)
        close = client.close
        monkeypatch.setattr(client, "close", lambda: (closed.append(client), close()))
        made.append(client)
        return client

    monkeypatch.setattr(redis_links, "_connect", slowly)
    ledger = RedisLedger(server.url)
    at_once(8, lambda number: ledger.holds())
    kept = [client for client in made if client not in closed]
    assert len(kept) == 1, "redis-py closes what a client that was replaced still uses"
    ledger.close_ledger()
    assert closed[-1] is kept[0]


@pytest.mark.parametrize("replicas", [0, 1])
def test_no_command_takes_the_answer_that_an_interrupt_left_on_its_way(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, replicas: int
) -> None:
    server = start()
    for _ in range(replicas):
        start("--replicaof", f"127.0.0.1 {server.port}")
    ledger = RedisLedger(server.url, replicas=replicas, timeout=20)
    presented(ledger, Attempt())
    send, sent, main = redis.connection.AbstractConnection.send_packed_command, threading.Event(), threading.get_ident()

    def interrupted(*arguments: Any, **options: Any) -> None:
        send(*arguments, **options)
        if threading.get_ident() == main:
            raise KeyboardInterrupt
        sent.set()

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", interrupted)
    server.signal(signal.SIGSTOP)  # so that no answer is here yet when the next command looks for one
    with pytest.raises(KeyboardInterrupt):
        ledger.spent(TODAY)
    with ThreadPoolExecutor(1) as thread:
        holds = thread.submit(ledger.holds)
        sent.wait()
        server.signal(signal.SIGCONT)
        assert [hold.state for hold in holds.result()] == ["signed"]
    monkeypatch.undo()
    ledger.close_ledger()


def test_a_replica(start: Callable[..., Server]) -> None:
    server = start()
    replica = start("--replicaof", f"127.0.0.1 {server.port}")
    while "master_link_status:up" not in str(replica.do("INFO", "replication")).replace("': '", ":"):
        time.sleep(0.05)
    assert "replica" in refused(RedisLedger(replica.url).holds)


def test_too_few_replicas(start: Callable[..., Server]) -> None:
    server = start()
    ledger = RedisLedger(server.url, replicas=1, timeout=0.5)
    assert "copy" in refused(lambda: ledger.reserve(order(), Attempt()))
    assert "copy" in refused(lambda: asyncio.run(closing(ledger)))


async def closing(ledger: RedisLedger) -> Any:
    try:
        return await ledger.asynchronous.reserve(order(), Attempt())
    finally:
        await ledger.asynchronous.close_ledger()


def test_a_cluster_that_is_down(start: Callable[..., Server]) -> None:
    server = start("--cluster-enabled", "yes")
    assert "cluster" in refused(RedisLedger(server.url).holds)
    assert "CLUSTER INFO" in refused(RedisLedger(server.url, cluster=True).holds)


@pytest.mark.parametrize("made", [None, signed("0x02")], ids=["to be signed", "signed"])
def test_a_server_that_stopped_answering(start: Callable[..., Server], made: Any) -> None:
    server = start()
    ledger = RedisLedger(server.url, timeout=0.5, lease=0.5)
    attempt = Attempt()
    hold = presented(ledger, attempt)
    lost = Attempt()
    server.signal(signal.SIGSTOP)
    started = time.monotonic()
    assert "in time" in refused(lambda: ledger.reserve(order(purchase("b"))._replace(signed=made), lost))
    assert "in time" in refused(lambda: ledger.close(hold, "spent", RECEIPT))
    assert "in time" in refused(lambda: asyncio.run(closing(ledger)))
    assert time.monotonic() - started < 4
    server.signal(signal.SIGCONT)
    ledger.close(hold, "spent", RECEIPT)
    settled(ledger, lambda: ledger.holds() == () and len(ledger.history(5)) == 1)
    assert ledger.spent(TODAY) == 10_000, "what the server did after nobody waited for it was undone"
    ledger.close_ledger()


def settled(ledger: RedisLedger, question: Callable[[], bool]) -> None:
    for _ in range(100):
        if question():
            return
        time.sleep(0.05)
    raise AssertionError((ledger.holds(), ledger.history(5)))


def test_a_command_that_arrives_after_it_was_given_up(server: Server) -> None:
    ledger, attempt, late = RedisLedger(server.url), Attempt(), []
    send = ledger._connection.send

    def failing(ask: Any) -> Any:
        if getattr(ask, "op", "") == "reserve":
            late.append(ask)
            raise LedgerUnavailable("no answer")
        return send(ask)

    ledger.holds()
    ledger._connection.send = failing  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailable):
        ledger.reserve(order(), attempt)
    ledger.holds()
    assert send(late[0])[0] in ("void", "twin"), "it is refused, by its claim or by the life that it proves"
    assert (ledger.holds(), ledger.spent(TODAY)) == ((), 0)
    ledger.close_ledger()


def test_every_step_may_be_repeated(server: Server) -> None:
    ledger, attempt = RedisLedger(server.url), Attempt()
    send = ledger._connection.send
    ledger._connection.send = lambda ask: [send(ask), send(ask)][1]  # type: ignore[method-assign]
    hold = presented(ledger, attempt)
    attempt.end()
    again = Attempt()
    first = ledger.reserve(order(purchase("b"))._replace(signed=signed("0x02")), Attempt())
    assert isinstance(first, Hold)
    assert (first.tries, first.nonce, ledger.spent(TODAY)) == (0, "0x02", 20_000)
    ledger.close(first, "spent", RECEIPT)
    claimed = ledger.reserve(order(), again)
    assert isinstance(claimed, Hold)
    assert (claimed.id, claimed.tries, ledger.spent(TODAY)) == (hold.id, 1, 20_000)
    ledger.close(claimed, "spent", RECEIPT)
    assert (ledger.holds(), len(ledger.history(5)), ledger.spent(TODAY)) == ((), 2, 20_000)
    hold = ledger.reserve(order(), again)  # type: ignore[assignment]
    ledger.release(hold)
    assert (ledger.holds(), ledger.spent(TODAY)) == ((), 20_000)
    ledger.close_ledger()


def test_a_server_that_kept_its_data_goes_on(start: Callable[..., Server]) -> None:
    server = start("--appendonly", "yes", "--appendfsync", "always")
    ledger, attempt = RedisLedger(server.url), Attempt()
    hold = presented(ledger, attempt)
    server.kill()
    assert "cannot be reached" in refused(ledger.holds)
    server.start()
    assert [open.id for open in ledger.holds()] == [hold.id]
    ledger.close(hold, "spent", RECEIPT)
    assert ledger.spent(TODAY) == 10_000
    ledger.close_ledger()


def test_a_server_that_came_back_empty_is_refused(start: Callable[..., Server]) -> None:
    server = start()
    ledger, attempt = RedisLedger(server.url), Attempt()
    assert (ledger.holds(), ledger.fresh) == ((), True)
    presented(ledger, attempt)
    server.kill()
    server.start()
    said = refused(lambda: ledger.reserve(order(purchase("b")), attempt))
    assert "is empty" in said
    assert "A program that starts now begins anew there, unless it has must_exist=True." in said
    other = RedisLedger(server.url)
    assert (other.holds(), other.fresh) == ((), True)
    assert "another one" in refused(lambda: ledger.reserve(order(purchase("b")), attempt))
    again = RedisLedger(server.url)
    assert (again.holds(), again.fresh) == ((), False)
    for one in (ledger, other, again):
        one.close_ledger()


def test_an_older_state_is_refused(start: Callable[..., Server]) -> None:
    server = start()
    ledger, attempt = RedisLedger(server.url), Attempt()
    presented(ledger, attempt)
    server.do("SAVE")
    attempt.end()
    for name in "abc":
        presented(ledger, Attempt(), name)
    gc.collect()
    server.kill()
    server.start()
    assert "older" in refused(ledger.holds)
    ledger.close_ledger()


def test_a_flushed_script_cache(server: Server) -> None:
    ledger, attempt = RedisLedger(server.url), Attempt()
    hold = presented(ledger, attempt)
    server.do("SCRIPT", "FLUSH")
    ledger.close(hold, "spent", RECEIPT)

    async def one() -> int:
        found = await ledger.asynchronous.spent(TODAY)
        server.do("SCRIPT", "FLUSH")
        found = await ledger.asynchronous.spent(TODAY)
        await ledger.asynchronous.close_ledger()
        return found

    assert asyncio.run(one()) == 10_000
    ledger.close_ledger()


def test_rows_of_another_version(server: Server) -> None:
    ledger, attempt = RedisLedger(server.url), Attempt()
    hold = presented(ledger, attempt)
    server.do("HSET", f"{{x402:default}}:h:{hold.id}", "doc", '["something else"]')
    assert "cannot be read" in refused(ledger.holds)
    ledger.close_ledger()


def test_a_user_who_may_not_do_it(start: Callable[..., Server]) -> None:
    server = start()
    server.do("ACL", "SETUSER", "weak", "on", f">{PASSWORD}", "~{x402*", "+info")
    assert "does not let this user" in refused(RedisLedger(server.url.replace("//", f"//weak:{PASSWORD}@")).holds)
    server.do("ACL", "SETUSER", "weak", "+@all", "-@dangerous", "+info")
    ledger = RedisLedger(server.url.replace("//", f"//weak:{PASSWORD}@"))
    assert ledger.holds() == ()
    ledger.close_ledger()


#: Users before an administrator follows what is said, and whether they may use all keys.
USERS = {
    "no keys": ((), False),
    "all keys": (("~*",), True),
    "all keys, all but scripts": (("allkeys", "+@all", "-@scripting"), True),
    "our keys": (("~{x402*",), False),
    "other keys": (("~app:*", "+get"), False),
}


@pytest.mark.parametrize(("rights", "all_keys"), USERS.values(), ids=USERS)
def test_what_is_said_of_rights_can_be_followed(server: Server, rights: tuple[str, ...], all_keys: bool) -> None:
    server.do("ACL", "DELUSER", "weak")
    server.do("ACL", "SETUSER", "weak", "on", f">{PASSWORD}", *rights)
    ledger = RedisLedger(server.url.replace("//", f"//weak:{PASSWORD}@"))
    said = refused(ledger.holds)
    commands, keys = said.partition("run: ")[2].partition("~* already: ")[::2]
    server.do(*commands.partition(";")[0].replace("the_user", "weak").split())
    if not all_keys:
        server.do(*keys.partition(". ")[0].replace("the_user", "weak").split())
    presented(ledger, Attempt())
    assert len(ledger.holds()) == 1
    kept = {"~app:*", "~*"} & set(rights)
    assert kept <= set(str(server.do("ACL", "GETUSER", "weak")).replace("'", " ").split())
    ledger.close_ledger()
    server.do("ACL", "DELUSER", "weak")
