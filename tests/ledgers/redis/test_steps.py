"""What a purchase costs, what is left of it, and how windows roll."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis.crc import key_slot

from x402_client.errors import AlreadyPaid, Frozen, LedgerUnavailable, OverLimit
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, cap, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger, script
from x402_client.ledgers.served import protocol as redis_script
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.budgets import WINDOWS
from x402_client.model.holds import Attempt, Hold, Purchase, Spending
from x402_client.model.hosts import Origin
from x402_client.model.money import Money

from .server import Server

META = "{x402:default}:state"


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = RedisLedger(server.url)
    yield found
    found.close_ledger()


def buy(ledger: RedisLedger, name: str = "weather", *caps: Any, key: str | None = None) -> Hold:
    attempt = Attempt()
    hold = ledger.reserve(order(purchase(name, key=key), *caps), attempt)
    assert isinstance(hold, Hold)
    hold = ledger.record(hold, signed(name))
    ledger.close(hold, "spent", RECEIPT)
    attempt.end()
    return hold


def test_each_command_of_a_purchase_is_tried_before_the_first(server: Server, ledger: RedisLedger) -> None:
    used = set(re.findall(r'call\("([A-Z]+)"', script.source()))
    server.do("CONFIG", "RESETSTAT")
    ledger.check_can_begin()
    tried = {name.removeprefix("cmdstat_").upper() for name in server.do("INFO", "commandstats")}
    assert used - tried == {"TIME", "KEYS"} - tried, "KEYS: when a layout changes"
    assert server.do("DBSIZE") == 0


def test_a_purchase_is_three_round_trips(server: Server, ledger: RedisLedger) -> None:
    buy(ledger, "first")
    server.do("CONFIG", "RESETSTAT")
    for number in range(10):
        buy(ledger, f"{number}", cap(10**9), cap(10**9, "hour", "*.example.com"))
    calls = server.calls()
    beats = sum(calls.get(name, 0) for name in ("evalsha", "eval")) - 30
    assert calls["evalsha"] >= 30
    assert 0 <= beats <= 2
    assert not {"eval", "info", "wait", "script|load"} & calls.keys()


def test_a_purchase_under_a_tree_of_allowances_is_three_round_trips_too(server: Server, ledger: RedisLedger) -> None:
    path: tuple[str, ...] = ()
    for name in ("run", "step", "call"):
        parent, account = path[-1] if path else None, allowance_account(name)
        ledger.open_allowance(AllowanceTerms("default", account, ("1.00 USD",), parent=parent))
        path = (*path, account)
    server.do("CONFIG", "RESETSTAT")
    for number in range(10):
        attempt = Attempt()
        asked = order(purchase(f"{number}"), *(cap(10**9, "total", account) for account in path), path=path)
        hold = ledger.reserve(asked, attempt)
        assert isinstance(hold, Hold)
        ledger.close(ledger.record(hold, signed(f"{number}")), "spent", RECEIPT)
        attempt.end()
    assert 30 <= server.calls()["evalsha"] <= 32
    assert [record.spent("USD") for record in ledger.allowances()] == [hold.price.units * 10] * 3


def test_patterns_of_other_hosts_cost_nothing(server: Server, ledger: RedisLedger) -> None:
    def calls(host: str) -> int:
        attempt = Attempt()
        ledger.reserve(order(purchase("opens", host=host)), attempt)  # its host's account is new
        server.do("CONFIG", "RESETSTAT")
        hold = ledger.reserve(order(purchase("counts", host=host)), attempt)
        found = sum(server.calls().values())
        assert isinstance(hold, Hold)
        return found

    few = calls("a.example.com")
    with server.client as client, client.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.hset(f"{{x402:default}}:w:total:#:*.h{number}.example.com", "t", "1")
        pipe.execute()
    # A heart may beat meanwhile, of about 25 commands.
    assert min(calls(f"{name}.example.com") for name in "bcd") <= few + 25


def test_the_same_for_async_callers(server: Server, ledger: RedisLedger) -> None:
    async def one(name: str) -> None:
        wide, attempt = ledger.asynchronous, Attempt()
        hold = await wide.reserve(order(purchase(name)), attempt)
        assert isinstance(hold, Hold)
        await wide.close(await wide.record(hold, signed(name)), "spent", RECEIPT)

    async def all_of_them() -> None:
        await one("first")
        server.do("CONFIG", "RESETSTAT")
        for number in range(10):
            await one(f"{number}")
        await ledger.asynchronous.close_ledger()

    asyncio.run(all_of_them())
    assert 30 <= server.calls()["evalsha"] <= 32


def test_a_step_costs_the_same_whatever_the_history(server: Server, ledger: RedisLedger) -> None:
    def commands() -> int:
        server.do("CONFIG", "RESETSTAT")
        buy(ledger, "one", cap(10**12), cap(10**12, "month"))
        return sum(server.calls().values())

    buy(ledger, "first")
    before = commands()
    for number in range(300):
        buy(ledger, f"{number}")
    assert commands() <= before + 40


def test_a_look_costs_the_same_whatever_the_history(server: Server, ledger: RedisLedger) -> None:
    """Also where a budget is exceeded, a number of payments is limited and a key is named. It reads no list."""

    def commands() -> dict[str, int]:
        server.do("CONFIG", "RESETSTAT")
        for asked in (
            order(purchase("a"), cap(1), cap(1, "hour", currency=None)),
            order(purchase("0", key="k"), cap(1)),
        ):
            with pytest.raises((OverLimit, AlreadyPaid)):
                ledger.check(asked)
        return {name: count for name, count in server.calls().items() if name not in ("hget", "hincrby", "hdel")}

    for number in range(3):
        buy(ledger, f"{number}", key="k" if number == 0 else None)
    before = commands()
    for number in range(300):
        buy(ledger, f"a{number}")
    after = commands()
    assert sum(after.values()) <= sum(before.values()) + 2
    assert not {"lrange", "smembers", "keys", "scan"} & set(after)


def test_nothing_worth_money_is_left(server: Server, ledger: RedisLedger) -> None:
    def unresolved(name: str) -> Hold:
        attempt = Attempt()
        hold = ledger.reserve(order(purchase(name)), attempt)
        assert isinstance(hold, Hold)
        return ledger.record(hold, signed(name))

    buy(ledger, "a", key="k")
    ledger.write_off(unresolved("b"))
    ledger.conclude(unresolved("c"), False)
    assert SECRET not in server.everything()
    hold = unresolved("d")
    assert server.everything().count(SECRET) == 1, "until it is resolved it has to be there"
    ledger.close(hold, "unknown", None)
    assert SECRET not in server.everything()
    assert "?" not in server.everything().replace("'?'", "")


def test_what_is_asked_shows_nothing() -> None:
    asked = redis_script.request("p", "record", {"header": SECRET})
    assert SECRET not in repr(asked)


def advance(server: Server, seconds: float) -> None:
    """The ledger's time never goes back, so its high-water mark moves it on."""
    clock = int(server.do("HGET", META, "clock"))
    server.do("HSET", META, "clock", clock + int(seconds * 1_000_000))


@pytest.mark.parametrize(("window", "length"), [(name, length) for name, length in WINDOWS.items() if length])
def test_a_window_counts_its_length_and_hardly_longer(
    server: Server, ledger: RedisLedger, window: str, length: int
) -> None:
    buy(ledger)
    advance(server, length - 2)
    assert ledger.spent(Spending("", window, "USD")) == 10_000
    advance(server, 2 + length / 60)
    assert ledger.spent(Spending("", window, "USD")) == 0
    assert ledger.spent(Spending("", "total", "USD")) == 10_000
    assert isinstance(ledger.reserve(order(purchase("b"), cap(10_000, window)), Attempt()), Hold)


def test_windows_do_not_grow(server: Server, ledger: RedisLedger) -> None:
    for _ in range(150):
        buy(ledger, "a", cap(10**9, "minute"))
        advance(server, 1)
    fields = server.do("HGETALL", "{x402:default}:w:minute:USD:")
    assert len(fields) / (1 if isinstance(fields, dict) else 2) <= 63
    assert ledger.spent(Spending("", "minute", "USD")) in (610_000, 600_000)
    advance(server, 10**7)
    assert ledger.spent(Spending("", "minute", "USD")) == 0
    assert ledger.spent(Spending("", "total", "USD")) == 1_500_000


def test_only_what_lasts_has_no_expiry(server: Server, ledger: RedisLedger) -> None:
    buy(ledger, key="k")
    with server.client as client:
        for key in client.scan_iter("*:w:*"):
            name = key.split(":w:")[1].split(":")[0]
            length = WINDOWS[name]
            left = client.ttl(key)
            assert left == -1 if length is None else length < left <= length * 62 / 60 + 1
        assert client.ttl("{x402:default}:paid") == -1


def test_the_clock_may_be_set_back(server: Server, ledger: RedisLedger) -> None:
    buy(ledger)
    advance(server, 3 * 86_400)
    assert ledger.spent(Spending("", "day", "USD")) == 0
    buy(ledger)
    assert ledger.spent(Spending("", "day", "USD")) == 10_000
    hold = ledger.reserve(order(), Attempt())
    assert isinstance(hold, Hold)
    assert hold.created > time.time() + 2 * 86_400


def test_a_lease_from_before_the_clock_was_set_back_runs_out(server: Server, ledger: RedisLedger) -> None:
    other = RedisLedger(server.url)
    other._steps._claimed = lambda: None
    attempt, mine = Attempt(), Attempt()
    hold = other.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    other.record(hold, signed())
    server.do("ZADD", "{x402:default}:owners", (time.time() + 86_400) * 1e6, other._claims.owner)
    ledger.reserve(order(), mine)
    time.sleep(4.2)
    found = ledger.reserve(order(), mine)
    assert isinstance(found, Hold)
    assert found.id == hold.id


@pytest.mark.parametrize("price", [2**53 - 1, 2**53 + 1, 2**60 + 1])
def test_amounts_beyond_doubles_are_exact(ledger: RedisLedger, price: int) -> None:
    money, attempt = Money.of_units(price), Attempt()
    ledger.reserve(order(purchase("a"), cap(price), price=str(money.amount)), attempt)
    one = order(purchase("b"), cap(price), price="0.000001")
    with pytest.raises(OverLimit) as refused:
        ledger.reserve(one, attempt)
    assert refused.value.spent == money
    assert isinstance(ledger.reserve(order(purchase("b"), cap(price + 1), price="0.000001"), attempt), Hold)
    assert ledger.spent(Spending("", "day", "USD")) == price + 1


def test_sums_beyond_what_redis_adds_up_are_refused(server: Server, ledger: RedisLedger) -> None:
    most, attempt = str(Money.of_units(2**63 - 1).amount), Attempt()
    ledger.reserve(order(purchase("a"), price=most), attempt)
    before = {line for line in server.everything().splitlines() if ":w:" in line}
    for price in ("0.000001", most, str(Money.of_units(2**63).amount)):
        with pytest.raises(LedgerUnavailable, match="larger"):
            ledger.reserve(order(purchase("b"), cap(10**30), price=price), attempt)
    assert {line for line in server.everything().splitlines() if ":w:" in line} == before
    assert ledger.spent(Spending("", "day", "USD")) == 2**63 - 1


def test_a_freeze_reaches_purses_that_come_later(server: Server, ledger: RedisLedger) -> None:
    buy(ledger)
    RedisLedger(server.url).freeze("API.example.com")
    for purse in ("default", "later", "with space } and {brace}"):
        with pytest.raises(Frozen, match=r"api\.example\.com"):
            ledger.reserve(order(purchase(purse=purse)), Attempt())
    RedisLedger(server.url).unfreeze("api.example.com")
    assert isinstance(ledger.reserve(order(purchase(purse="later")), Attempt()), Hold)


@pytest.mark.parametrize("host", ["[::1]:8402", "::1", "*.example.com:8402", "127.1:8402"])
def test_a_freeze_stops_what_it_names_in_every_spelling(ledger: RedisLedger, host: str) -> None:
    ledger.freeze(host)
    named = {"[": "::1", ":": "::1", "*": "a.example.com", "1": "127.0.0.1"}[host[0]]
    origin = Origin.of("https", named, 8402)
    with pytest.raises(Frozen):
        ledger.reserve(order(Purchase("1", "1", False, "GET", f"{origin}/", origin)), Attempt())


def test_every_key_of_a_purse_is_in_its_slot(server: Server, ledger: RedisLedger) -> None:
    buy(ledger, key="k")
    ledger.reserve(order(), Attempt())
    with server.client as client:
        assert len({key_slot(key.encode()) for key in client.scan_iter("{x402:*")}) == 1


def test_history_is_bounded(server: Server, ledger: RedisLedger) -> None:
    for number in range(1_005):
        buy(ledger, f"{number}")
    assert len(ledger.history(5_000)) == 1_000
    assert ledger.history(0) == ledger.history(-1) == ()
    assert server.do("LLEN", "{x402:default}:history") == 1_000


def test_the_thread_ends_with_the_claims(server: Server, ledger: RedisLedger) -> None:
    buy(ledger)
    for _ in range(100):
        if ledger._lease_thread._thread is None:
            break
        time.sleep(0.05)
    assert ledger._lease_thread._thread is None
    buy(ledger)
    assert ledger._lease_thread._thread is not None
