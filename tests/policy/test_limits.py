"""Limits as users write them, and the caps that ledgers check."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from x402_client import Limit, Money
from x402_client.errors import ConfigurationError
from x402_client.model.allowances import allowance_account
from x402_client.model.budgets import GIVEN_BACK, WINDOWS, Cap, purses_to_show, request_account


def test_each_amount_becomes_a_cap() -> None:
    limit = Limit(per_request="0.50", per_minute="1", per_hour=2, per_day=Decimal(3), per_month=Money("4"), total="5")
    assert limit.per_request("USD") == Money("0.50")
    assert limit.per_request("EUR") is None
    assert limit.caps("h", "USD") == tuple(
        Cap("h", window, "USD", most * 1_000_000)
        for window, most in [("minute", 1), ("hour", 2), ("day", 3), ("month", 4), ("total", 5)]
    )
    assert limit.caps("h", "EUR") == ()
    assert limit.currencies == {"USD"}


def test_how_long_windows_are() -> None:
    assert dict(WINDOWS) == {"minute": 60, "hour": 3_600, "day": 86_400, "month": 2_592_000, "total": None}


def test_several_currencies_and_counts() -> None:
    limit = Limit(per_day=["5", "3 EUR"], per_request="1 GBP", max_payments=["30/minute", " 5 / total "])
    assert limit.currencies == {"USD", "EUR", "GBP"}
    counts = (Cap("", "minute", None, 30), Cap("", "total", None, 5))
    assert limit.caps("", "EUR") == (Cap("", "day", "EUR", 3_000_000), *counts)
    assert limit.caps("", "GBP") == counts


@pytest.mark.parametrize("several", [["1", "2 EUR"], ("1", "2 EUR"), {"1", "2 EUR"}, iter(["1", "2 EUR"])])
def test_several_come_in_any_iterable(several: Any) -> None:
    limit = Limit(per_day=several)
    assert limit == Limit(per_day=["1", "2 EUR"])
    assert hash(limit) == hash(Limit(per_day=["1", "2 EUR"]))


def test_nothing_set_is_empty() -> None:
    assert Limit().empty
    assert not Limit(per_day="0").empty
    assert not Limit(max_payments="1/day").empty
    assert repr(Limit()) == "Limit()"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"per_day": 0.5}, "per_day: .*floats round"),
        ({"total": "abc"}, "total: 'abc' is not an amount"),
        ({"per_request": "-1"}, "per_request"),
        ({"per_minute": True}, "per_minute"),
        ({"per_hour": [None]}, "per_hour"),
        ({"per_month": Decimal("NaN")}, "per_month"),
        ({"per_day": ["1", "2"]}, "two amounts of USD"),
        ({"per_day": []}, "names no amount"),
        ({"per_day": {"USD": 5}}, "per_day"),
        ({"per_day": object()}, "per_day"),
        ({"per_day": b"1"}, "per_day"),
        ({"max_payments": 30}, "30/minute"),
        ({"max_payments": "30"}, "30/minute"),
        ({"max_payments": "30/week"}, "30/minute"),
        ({"max_payments": "-1/day"}, "30/minute"),
        ({"max_payments": "1.5/day"}, "30/minute"),
        ({"max_payments": "٣/day"}, "30/minute"),
        ({"max_payments": b"1/day"}, "30/minute"),
        ({"max_payments": [30]}, "30/minute"),
        ({"max_payments": []}, "names no number"),
        ({"max_payments": ["1/day", "2/day"]}, "day twice"),
    ],
)
def test_mistakes_are_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Limit(**wrong)


def test_limits_show_and_compare() -> None:
    limit = Limit(per_request="1", total="5", per_day=["2", "3 EUR"], max_payments="30/minute")
    assert repr(limit) == (
        "Limit(per_request='1.00 USD', per_day=['2.00 USD', '3.00 EUR'], total='5.00 USD', max_payments='30/minute')"
    )
    same = Limit(per_request=1, total="5.0", per_day=["3 EUR", "2"], max_payments="30/minute")
    assert limit == same
    assert hash(limit) == hash(same)
    assert limit != Limit(per_request="1")
    assert limit != "Limit"


@pytest.mark.parametrize(
    ("cap", "shown"),
    [
        (Cap("", "day", "USD", 5_000_000), "5.00 USD per day"),
        (Cap("a.example", "total", "EUR", 1), "0.000001 EUR in total for a.example"),
        (Cap("", "minute", None, 30), "30 payments per minute"),
        (Cap("", "day", None, 1), "1 payment per day"),
    ],
)
def test_a_cap_reads_like_a_sentence(cap: Cap, shown: str) -> None:
    assert str(cap) == shown


def test_a_cap_names_the_host_that_it_is_for() -> None:
    accounts = {
        "": None,
        "*.example.dev": "*.example.dev",
        request_account("p"): None,
        allowance_account("run-42"): None,
    }
    assert {account: Cap(account, "day", "USD", 1).host for account in accounts} == accounts


def test_purses_that_are_kept_for_counting_only_are_not_shown() -> None:
    assert purses_to_show(["a", f"a{GIVEN_BACK}", "b"]) == ("a", "b")
