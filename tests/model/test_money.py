"""Money counts whole millionths, never rounds down, and never sees a float."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client import Limit, Money, Policy, Token
from x402_client.errors import ConfigurationError

units = st.integers(0, 10**30)


@pytest.mark.parametrize(
    ("written", "counted", "shown"),
    [
        ("0.10", 100_000, "0.10 USD"),
        ("0.10 EUR", 100_000, "0.10 EUR"),
        ("5", 5_000_000, "5.00 USD"),
        (" $1.50 ", 1_500_000, "1.50 USD"),
        ("$1.50 usd", 1_500_000, "1.50 USD"),
        ("3eur", 3_000_000, "3.00 EUR"),
        ("0", 0, "0.00 USD"),
        ("0.000001", 1, "0.000001 USD"),
        ("1.123456", 1_123_456, "1.123456 USD"),
        ("0.1000000000", 100_000, "0.10 USD"),
        ("0." + "1" + "0" * 100, 100_000, "0.10 USD"),
        ("007", 7_000_000, "7.00 USD"),
        ("1" + "0" * 24, 10**30, "1" + "0" * 24 + ".00 USD"),
        (2, 2_000_000, "2.00 USD"),
        (Decimal("1.5"), 1_500_000, "1.50 USD"),
        (Decimal("-0"), 0, "0.00 USD"),
        (Decimal("1E+3"), 10**9, "1000.00 USD"),
        (Decimal("0E-30"), 0, "0.00 USD"),
        (Money("2 EUR"), 2_000_000, "2.00 EUR"),
    ],
)
def test_what_is_money(written: Any, counted: int, shown: str) -> None:
    money = Money(written)
    assert (money.units, str(money), repr(money)) == (counted, shown, f"Money('{shown}')")


@pytest.mark.parametrize(
    "wrong",
    [
        0.1, 1.0, float("nan"), True, False, None, b"1", [1], {"a": 1}, object(), 1j, Fraction(1, 2),
        "", " ", "abc", "-1", "+1", "1.", ".5", "1,5", "1 000", "1e3", "0x1", "NaN", "Infinity", "1 US", "1 EURO",
        "1 €", "$1 EUR", "1$", "١", "1_0", "1.0000001", "1\n2", "USD 1",
        "1." + "0" * 60 + "1", "9" * 5000, 10**25, -(10**5000), 10**5000, -1,
        Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("-0.01"),
        Decimal("0.0000001"), Decimal("1e-999999"), Decimal("1e999999"), Decimal("-1e999999"),
    ],
    ids=lambda wrong: type(wrong).__name__,
)  # fmt: skip
def test_what_is_not_money(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        Money(wrong)
    with pytest.raises(ConfigurationError, match="per_day"):
        Limit(per_day=[wrong])


@pytest.mark.parametrize(
    ("wrong", "advice"), [(0.1, 'write "0.10"'), ("abc", '"0.10 EUR"'), ("1.0000001", "millionth")]
)
def test_the_message_says_what_to_write(wrong: Any, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        Money(wrong)


def test_no_float_is_taken_anywhere() -> None:
    for build in (
        lambda: Money(0.1),
        lambda: Limit(per_request=0.1),
        lambda: Limit(total=["1", 0.5]),
        lambda: Policy(per_day=5.0),
        lambda: Policy(per_day="1", approve_above=0.1),
        lambda: Policy(per_day="1", accept_loss=0.0),
        lambda: Policy(per_day="1", validity=60.0),
        lambda: Token("base", "0x", decimals=6.0),
    ):
        with pytest.raises(ConfigurationError):
            build()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("currency", ["", "US", "USDT", "U$D", 5, "ΑΒΓ", " USD"])
def test_a_currency_is_three_letters(currency: Any) -> None:
    with pytest.raises(ConfigurationError, match="three letters"):
        Money("1", currency)
    with pytest.raises(ConfigurationError, match="three letters"):
        Token("base", "0x", currency=currency)


def test_a_currency_is_named_once() -> None:
    assert Money("1", "eur") == Money("1 EUR") == Money("1 eur", "EUR")
    with pytest.raises(ConfigurationError, match="name one of them"):
        Money("1 EUR", "USD")
    with pytest.raises(ConfigurationError, match="name one of them"):
        Money(Money("1 EUR"), "USD")


@given(units, st.sampled_from(["USD", "EUR"]))
def test_what_is_shown_reads_back(count: int, currency: str) -> None:
    money = Money.of_units(count, currency)
    assert Money(str(money)) == money == Money(money) == Money(money.amount, currency)
    assert eval(repr(money)) == money
    assert pickle.loads(pickle.dumps(money)) == money == copy.deepcopy(money)


@given(st.integers(-(10**80), 10**80))
def test_the_amount_is_exact_whatever_the_callers_precision(count: int) -> None:
    with localcontext() as context:
        context.prec = 3
        amount = Money.of_units(count).amount
        assert Fraction(amount) == Fraction(count, 10**6)
        if 0 <= count <= 10**30:
            assert Money(amount).units == count


@given(units, units)
def test_arithmetic_and_order(one: int, two: int) -> None:
    a, b = Money.of_units(one), Money.of_units(two)
    assert (a + b).units == one + two
    assert (a - b).units == one - two
    assert (a < b, a <= b, a == b, a > b) == (one < two, one <= two, one == two, one > two)
    assert (hash(a) == hash(b)) or a != b
    assert bool(a) is bool(one)


def test_a_difference_may_be_negative() -> None:
    assert str(Money("1") - Money("2.50")) == "-1.50 USD"


def test_currencies_do_not_mix() -> None:
    dollars, euros = Money("1"), Money("1 EUR")
    assert dollars != euros
    for mix in (lambda: dollars + euros, lambda: dollars - euros, lambda: dollars < euros, lambda: dollars >= euros):
        with pytest.raises(ValueError, match="different currencies"):
            mix()


def test_money_and_numbers_do_not_mix() -> None:
    money = Money("1")
    assert money != 1
    assert money != "1.00 USD"
    for mix in (lambda: money + 1, lambda: money - 1, lambda: money < 1, lambda: 1 + money, lambda: sum([money])):
        with pytest.raises(TypeError):
            mix()  # type: ignore[no-untyped-call]


def test_money_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Money("1").units = 5


@given(st.integers(0, 2**256 - 1), st.sampled_from([0, 6, 7, 15, 18, 36]))
def test_a_price_counts_what_it_costs_or_up_to_a_millionth_more(amount: int, decimals: int) -> None:
    counted = Fraction(Token("base", "0x", decimals=decimals).price(amount).units, 10**6)
    exact = Fraction(amount, 10**decimals)
    assert exact <= counted < exact + Fraction(1, 10**6)


@pytest.mark.parametrize(
    ("amount", "decimals", "counted"),
    [(10_000, 6, 10_000), (1, 7, 1), (10, 7, 1), (11, 7, 2), (1, 15, 1), (1, 18, 1), (10**18, 18, 10**6),
     (10**18 + 1, 18, 10**6 + 1), (3, 0, 3_000_000), (0, 18, 0)],
)  # fmt: skip
def test_prices_round_up(amount: int, decimals: int, counted: int) -> None:
    assert Token("base", "0x", decimals=decimals, currency="eur").price(amount) == Money.of_units(counted, "EUR")


@pytest.mark.parametrize("decimals", [-1, 37, 6.0, "6", None, True])
def test_decimals_are_a_whole_number(decimals: Any) -> None:
    with pytest.raises(ConfigurationError, match="decimals"):
        Token("base", "0x", decimals=decimals)


@pytest.mark.parametrize("part", ["network", "address", "symbol", "name", "version", "program"])
def test_the_parts_of_a_token_are_text(part: str) -> None:
    given: dict[str, Any] = {"network": "base", "address": "0x", part: 8453}
    with pytest.raises(ConfigurationError, match=f"Token's {part} is a str"):
        Token(**given)
