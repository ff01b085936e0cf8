"""Stores that version 0.1 began, stores of other versions, and stores that must be there."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from x402_client import Buyer, Wallet
from x402_client.errors import AlreadyPaid, LedgerUnavailable, OverLimit, PaymentRefused
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, cap, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger, script
from x402_client.ledgers.served import trust
from x402_client.model.allowances import AllowanceTerms
from x402_client.model.budgets import GIVEN_BACK, PERMITS, WINDOWS
from x402_client.model.holds import Attempt, Hold, Purchase, Spending

from .server import Server

STATE = "{x402:default}:state"
TOTAL = Spending("", "total", "USD")
#: What version 0.1 wrote: an unresolved payment, one under a key, a paid key, an unsigned hold, two deliveries.
OLD = json.loads(Path(__file__).with_name("version_0_1.json").read_text("utf-8"))


def put(server: Server, data: dict[str, Any]) -> None:
    for key, (kind, value) in data.items():
        if kind == "string":
            server.do("SET", key, value)
        elif kind == "hash":
            server.do("HSET", key, *[part for pair in value.items() for part in pair])
        elif kind == "zset":
            server.do("ZADD", key, *[part for member, score in value for part in (score, member)])
        else:
            server.do("RPUSH" if kind == "list" else "SADD", key, *value)


def named_anew(former: Purchase, request: str | None = None) -> Purchase:
    """Return the purchase as this version names it."""
    request = request or f"new {former.request}"
    return replace(former, id=f"new {former.id}", request=request, former=(former.id, former.request))


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = RedisLedger(server.url, lease=1.0)
    yield found
    found.close_ledger()


def test_a_store_of_version_0_1_goes_on(server: Server, ledger: RedisLedger) -> None:
    put(server, OLD)
    assert (ledger.spent(TOTAL), ledger.fresh) == (50_000, False)
    assert len(ledger.history(10)) == 3
    assert {hold.state for hold in ledger.holds()} == {"signed"}
    attempt = Attempt()
    found = ledger.reserve(order(named_anew(purchase("unresolved"))), attempt)
    assert isinstance(found, Hold)
    assert found.authorization is not None
    assert found.authorization.header == ("PAYMENT-SIGNATURE", SECRET)
    assert (found.authorization.kind, dict(found.authorization.evidence), found.payer) == (
        "transfer",
        {"height": 7},
        "",
    )
    ledger.close(found, "spent", RECEIPT)
    with pytest.raises(AlreadyPaid):
        ledger.reserve(order(named_anew(purchase("keyed", key="paid"))), attempt)
    kept = ledger.reserve(order(named_anew(purchase("open", key="open"))), attempt)
    assert isinstance(kept, Hold)
    assert kept.state == "signed"
    with pytest.raises(PaymentRefused, match="another request"):
        ledger.reserve(order(named_anew(purchase("else", key="open"))), attempt)
    assert ledger.spent(TOTAL) == 50_000
    assert ledger.freezes() == ("bad.example",)


def test_version_0_1_stops_at_each_step(server: Server, ledger: RedisLedger) -> None:
    put(server, OLD)
    ledger.holds()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        server.do("HMGET", "{x402:default}:meta", "identity", "seq", "clock")
    RedisLedger(server.url).reserve(order(purchase("a", purse="new")), Attempt())
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        server.do("HMGET", "{x402:new}:meta", "identity", "seq", "clock")


def test_hosts_of_version_0_1_begin_accounts(server: Server, ledger: RedisLedger) -> None:
    put(server, OLD)
    ledger.holds()
    assert server.do("SMEMBERS", "{x402:default}:hosts") == {"api.example.com", "a.example.org", "b.example.org"}
    wide = cap(35_000, "total", "*.example.com")
    with pytest.raises(OverLimit) as refused:
        ledger.reserve(order(purchase("x"), wide), Attempt())
    assert refused.value.spent is not None
    assert str(refused.value.spent) == "0.03 USD"


def test_patterns_of_version_0_1_begin_again_from_their_hosts(server: Server, ledger: RedisLedger) -> None:
    """There a wildcard did not count what a more exact entry let through."""
    put(server, OLD)
    assert server.do("HGET", "{x402:default}:w:total:USD:*.example.org", "t") == "10000"
    for account, counted in (("*.example.org", "0.02 USD"), ("b.example.org:8443", "0.01 USD")):
        port = 8443 if account.endswith("8443") else 443
        narrow = cap(10_000, "total", account)
        with pytest.raises(OverLimit) as refused:
            ledger.reserve(order(purchase("x", host="b.example.org", port=port), narrow), Attempt())
        assert str(refused.value.spent) == counted


def test_rows_of_another_layout_are_left_alone(server: Server, ledger: RedisLedger) -> None:
    ledger.holds()
    server.do("HSET", STATE, "layout", "5")
    for one in (ledger, RedisLedger(server.url)):
        with pytest.raises(LedgerUnavailable, match="another version"):
            one.holds()


@pytest.mark.parametrize("layout", ["2", "3"])
def test_a_store_of_the_layout_before_goes_on_and_its_programs_stop(
    server: Server, ledger: RedisLedger, layout: str
) -> None:
    held = ledger.reserve(order(), attempt := Attempt())
    assert isinstance(held, Hold)
    in_a_list = f"{{x402:default}}:p:{held.purchase.id}"
    server.do("DEL", in_a_list, "{x402:default}:claims")
    server.do("RPUSH", in_a_list, held.id)
    server.do("HSET", STATE, "layout", layout)
    with pytest.raises(LedgerUnavailable, match="another version"):
        ledger.holds()
    later = RedisLedger(server.url)
    assert [hold.id for hold in later.holds()] == [held.id]
    assert server.do("TYPE", in_a_list) == "zset"
    assert later.open_allowance(AllowanceTerms("default", "allowance run", ("1 USD",))).state == "open"
    assert server.do("HGET", STATE, "layout") == "4"
    attempt.end()
    later.close_ledger()


def test_a_new_window_starts_from_a_longer_one(
    server: Server, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def buy(one: RedisLedger, name: str) -> None:
        attempt = Attempt()
        hold = one.reserve(order(purchase(name)), attempt)
        assert isinstance(hold, Hold)
        one.close(one.record(hold, signed(name)), "spent", RECEIPT)

    buy(ledger, "a")
    monkeypatch.setattr(script, "WINDOWS", {**WINDOWS, "week": 7 * 86_400})
    text = script.source.__wrapped__()
    with monkeypatch.context() as newer:
        newer.setattr(script, "source", lambda: text)
        newer.setattr(script, "digest", lambda: "0" * 40)
        later = RedisLedger(server.url)
        buy(later, "b")
        assert later.spent(Spending("", "week", "USD")) == 20_000
        assert later.spent(Spending("api.example.com", "week", "USD")) == 20_000
        assert later.spent(Spending("", "day", "USD")) == 20_000
    with pytest.raises(LedgerUnavailable, match="same version"):
        ledger.reserve(order(purchase("c")), Attempt())
    with pytest.raises(LedgerUnavailable, match="same version"):
        RedisLedger(server.url).holds()


def test_a_purse_that_must_exist(server: Server, ledger: RedisLedger) -> None:
    strict = RedisLedger(server.url, must_exist=True)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="must_exist=True") as refused:
            strict.reserve(order(), Attempt())
        assert "no purse 'default'" in str(refused.value)
        assert "It has none. That is by must_exist=True (or X402_MUST_EXIST=1). Nothing is paid." in str(refused.value)
    assert server.do("DBSIZE") == 0, "nothing was written"
    ledger.holds()
    assert isinstance(strict.reserve(order(), Attempt()), Hold)
    with pytest.raises(LedgerUnavailable, match=r"no purse 'other'.* It has: 'default'\."):
        strict.holds("other")
    assert server.do("EXISTS", "{x402:other}:state") == 0
    strict.close_ledger()


def test_a_purse_that_is_kept_for_counting_only_may_begin(server: Server, ledger: RedisLedger) -> None:
    ledger.holds()
    strict = RedisLedger(server.url, must_exist=True)
    strict.holds()
    for purse in (PERMITS, f"default{GIVEN_BACK}"):
        assert isinstance(strict.reserve(order(purchase(purse=purse)), Attempt()), Hold)
    assert not strict.fresh
    strict.close_ledger()


def test_a_store_of_version_0_1_is_one_that_exists(server: Server) -> None:
    put(server, OLD)
    strict = RedisLedger(server.url, must_exist=True)
    assert strict.spent(TOTAL) == 50_000


def test_a_server_that_begins_to_evict(start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at with each join, and after a minute: a payment under way can end, and none begins."""
    server = start()
    ledger, attempt = RedisLedger(server.url), Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    hold = ledger.record(hold, signed())
    server.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(LedgerUnavailable, match="noeviction"):
        ledger.reserve(order(purchase("a", purse="other")), Attempt())
    monkeypatch.setattr(trust, "_LOOK_AGAIN", 0.0)
    for question in (lambda: ledger.reserve(order(purchase("b")), Attempt()), lambda: ledger._beat("default")):
        with pytest.raises(LedgerUnavailable, match="allkeys-lru"):
            question()
    ledger.close(hold, "spent", RECEIPT)
    server.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert isinstance(ledger.reserve(order(purchase("b")), Attempt()), Hold)
    ledger.close_ledger()


@pytest.mark.parametrize("kind", ["file", "server"])
def test_a_first_use_is_an_event_and_a_warning_in_the_log_of_every_ledger_and_no_more(
    server: Server, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning that Python shows would be an error here."""
    ledger = server.url if kind == "server" else tmp_path / "ledger.db"
    for first in (True, False):
        caplog.clear()
        buyer = Buyer(Wallet(evm="0x" + "46" * 32), ledger=ledger)
        buyer.spent()
        buyer.services.tell_news()
        buyer.close()
        lines = [record for record in caplog.records if "Right at the first use" in record.getMessage()]
        assert [record.levelname for record in lines] == ["WARNING"] * first


@pytest.mark.parametrize("action", ["error", "default"])
def test_a_new_purse_beside_others_is_shown_where_no_logging_is_set_up(
    server: Server, ledger: RedisLedger, action: Any
) -> None:
    """It is found out while a payment is under way, so it is no error where warnings are."""
    ledger.reserve(order(purchase("a")), Attempt())
    for shown in (True, False):
        buyer = Buyer(Wallet(evm="0x" + "46" * 32), ledger=server.url, purse="batch")
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter(action)
            buyer.spent()
            buyer.services.tell_news()
        buyer.close()
        said = [str(one.message) for one in found]
        assert bool(said) is (shown and action == "default")
        assert all("Purse 'batch' is new in the ledger" in one for one in said)
