"""Whose money a hold is, the accounts that it enters, and what of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from x402_client.errors import OverLimit, PaymentRefused
from x402_client.ledgers.conformance.ledger import RECEIPT, cap, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.allowances import AllowanceTerms, allowance_account
from x402_client.model.budgets import WINDOWS, Cap, request_account
from x402_client.model.holds import Attempt, Busy, Hold, Order, Spending

from .server import Server
from .test_steps import advance

MINE, THEIRS = "0x" + "1" * 40, "0x" + "2" * 40


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = RedisLedger(server.url)
    yield found
    found.close_ledger()


def asked(payer: str, *caps: Cap, name: str = "weather", key: str | None = None, **more: Any) -> Order:
    bought = replace(purchase(name, key=key, **more), payers=(payer,))
    return order(bought, *caps)._replace(payer=payer)


def unresolved(ledger: RedisLedger, what: Order) -> Hold:
    attempt = Attempt()
    hold = ledger.reserve(what, attempt)
    assert isinstance(hold, Hold)
    hold = ledger.record(hold, signed())
    attempt.end()
    return hold


def test_a_hold_is_claimed_by_its_own_wallet_alone(ledger: RedisLedger) -> None:
    first = unresolved(ledger, asked(THEIRS))
    assert first.payer == THEIRS
    assert ledger.claim(asked(MINE).purchase, Attempt()) is None
    mine = ledger.reserve(asked(MINE), Attempt())
    assert isinstance(mine, Hold)
    assert (mine.id != first.id, mine.payer) == (True, MINE)
    attempt = Attempt()
    again = ledger.reserve(asked(THEIRS), attempt)
    assert isinstance(again, Hold)
    assert (again.id, again.payer) == (first.id, THEIRS)
    attempt.end()
    anyones = ledger.claim(purchase(payers=()), Attempt())
    assert isinstance(anyones, Hold), "a caller that names no wallet takes any"


def test_a_key_of_another_wallet_is_neither_presented_nor_paid_again(server: Server, ledger: RedisLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(asked(THEIRS, key="k"), attempt)
    assert isinstance(hold, Hold)
    ledger.record(hold, signed())
    assert isinstance(ledger.reserve(asked(MINE, key="k"), Attempt()), Busy)
    attempt.end()
    for question in (ledger.reserve, lambda order, attempt: ledger.claim(order.purchase, attempt)):
        with pytest.raises(PaymentRefused, match="another wallet") as refused:
            question(asked(MINE, key="k"), Attempt())
        assert THEIRS in str(refused.value)
    assert ledger.spent(Spending("", "day", "USD")) == 10_000


def test_the_whole_record_of_an_authorization_is_kept(ledger: RedisLedger) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    made = replace(signed(), kind="upto", ceiling=10**40, proof="bit")
    ledger.record(hold, made)
    attempt.end()
    claimed = ledger.claim(purchase(), Attempt())
    assert isinstance(claimed, Hold)
    assert claimed.authorization == made
    assert claimed.authorization is not None
    assert claimed.authorization.header == made.header
    ledger.close(claimed, "spent", RECEIPT)
    (past,) = ledger.history(1)
    assert past.authorization is not None
    assert (past.authorization.ceiling, past.authorization.header) == (10**40, ("", ""))


@pytest.mark.parametrize("window", list(WINDOWS))
@pytest.mark.parametrize("account", ["*.example.com", "*.com", "api.example.com:443", "*.example.com:443"])
def test_an_account_starts_from_the_sums_of_its_hosts(
    server: Server, ledger: RedisLedger, account: str, window: str
) -> None:
    hosts = ["api.example.com", "api.example.com", "www.example.com", "example.org"]
    for number, host in enumerate(hosts):
        unresolved(ledger, asked(MINE, name=f"{number}", host=host))
        advance(server, 1.5)
    counted = 10_000 * (2 if account.startswith("api") else 3)
    tight, wide = cap(counted, window, account), cap(counted + 10_000, window, account)
    number = cap(counted // 10_000, window, account, None)
    for refusing in (tight, number):
        with pytest.raises(OverLimit):
            ledger.reserve(asked(MINE, refusing, name="new"), Attempt())
    living = Attempt()
    assert isinstance(ledger.reserve(asked(MINE, wide, name="new"), living), Hold)
    assert ledger.spent(Spending(account, window, "USD")) == counted + 10_000
    length = WINDOWS[window]
    if length:
        advance(server, length * 61 / 60 + 2)
        assert ledger.spent(Spending(account, window, "USD")) == 0


def test_what_is_kept_of_an_allowance_and_of_a_request(server: Server, ledger: RedisLedger) -> None:
    """A named allowance stays, with its total. One without a name goes, and so does what counts one request."""
    named, unnamed = allowance_account("run"), allowance_account("~1")
    for account in (named, unnamed):
        ledger.open_allowance(AllowanceTerms("default", account, ("1 USD",)))
    damped = cap(5, "hour", request_account("x"), None)
    hold = ledger.reserve(asked(MINE, damped)._replace(path=(named, unnamed)), Attempt())
    assert isinstance(hold, Hold)
    assert ledger.mark_allowance("default", unnamed, "forgotten")
    with server.client as client:
        kept = set(client.scan_iter("*"))
        assert not {key for key in kept if unnamed in key}
        assert client.hkeys("{x402:default}:allowances") == [named]
        assert client.ttl(f"{{x402:default}}:w:total:USD:{named}") == -1
        for unit in ("USD", "#"):
            assert 0 < client.ttl(f"{{x402:default}}:w:total:{unit}:{request_account('x')}") < 32 * 86_400


def test_what_is_kept_of_a_thousand_hosts(server: Server, ledger: RedisLedger) -> None:
    """The total of each host stays: a new account starts from it. All else of an idle host goes by itself."""
    for number in range(40):
        attempt = Attempt()
        hold = ledger.reserve(asked(MINE, name=f"{number}", host=f"h{number}.example.com"), attempt)
        assert isinstance(hold, Hold)
        ledger.close(ledger.record(hold, signed()), "spent", RECEIPT)
    with server.client as client:
        lasting = [key for key in client.scan_iter("*:w:*h7.example.com") if client.ttl(key) == -1]
    assert sorted(lasting) == ["{x402:default}:w:total:#:h7.example.com", "{x402:default}:w:total:USD:h7.example.com"]


def test_programs_that_are_gone_are_remembered_up_to_a_number(server: Server, ledger: RedisLedger) -> None:
    ledger.holds()
    owners, entries = "{x402:default}:owners", "{x402:default}:programs"
    words = [part for number in range(16_390) for part in (1 + number, f"gone {number}")]
    with server.client as client:
        client.execute_command("ZADD", owners, *words)
        client.hset(entries, mapping={f"gone {number}": "0 life" for number in range(16_390)})
    ledger._beat("default")
    assert server.do("ZCARD", "{x402:default}:sleeping") == 16_384
    assert server.do("HLEN", entries) == 16_384 + 1
    assert server.do("ZCARD", owners) == 1
    assert server.do("HGET", "{x402:default}:state", "forgets") == "1"
    assert server.do("STRLEN", "{x402:default}:ring") <= 1024 * 16
