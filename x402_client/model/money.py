"""Money, the unit of every limit: a whole number of millionths of one currency. Never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from functools import total_ordering
from typing import TypeAlias

from ..errors import ConfigurationError
from .keyword_hints import hints_of
from .networks import TEST_NETWORKS, caip2

UNITS_PER_ONE = 1_000_000
_MOST = Decimal(10**24)
#: Our own context: the caller's precision has no effect. It refuses what it cannot hold exactly.
_EXACT = Context(prec=60, traps=[Inexact])
_WRITTEN = re.compile(
    r"\s*\$?\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<currency>[A-Za-z]{3}(?:\s*\(test\))?)?\s*",
    re.ASCII | re.IGNORECASE,
)
_CODE = re.compile(r"([A-Za-z]{3})(\s*\(test\))?", re.ASCII | re.IGNORECASE)
#: An amount with the name of a token after it, as people speak of stablecoins: each is a dollar or a euro.
_WITH_TOKEN = re.compile(
    r"\s*\$?\s*(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<token>(?P<euro>EUR[A-Z])"
    r"|(?:USD[A-Z]|PYUSD|CASH|MEGAUSD|MUSD|SBC)[A-Z0-9.]{0,3})\s*",
    re.ASCII | re.IGNORECASE,
)
#: Commas that can only part thousands: ``1,000,000`` and ``1,000.50``.
_THOUSANDS = re.compile(r"\s*[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,}(?:\.[0-9]+)?|,[0-9]{3}\.[0-9]+)\s*", re.ASCII)
_WITH_COMMA = re.compile(r"\s*([0-9]+),([0-9]+)\s*", re.ASCII)
#: Follows the code of a currency that is play money. Tokens of test networks count in `USD (test)`.
_TEST = " (test)"
#: Stands for a token's currency that was not named.
_BY_NETWORK = "by network"


Amount: TypeAlias = "str | int | Decimal | Money"


@total_ordering
class Money:
    """An amount of one currency: ``Money("0.10")``, ``Money("0.10 EUR")``, ``Money(Decimal("1.5"))``, ``Money(2)``.

    The currency is US dollars unless one is named. ``units`` counts millionths, so sums never round.

    Args:
        amount: A str, an int or a Decimal in whole units of the currency, or Money. A float is refused: it rounds.
        currency: Three letters, or ``"USD (test)"``. Default: the one in ``amount``, else US dollars.
    """

    __slots__ = ("currency", "units")
    units: int
    currency: str

    def __init__(self, amount: str | int | Decimal | Money, currency: str | None = None) -> None:
        number, written = _read(amount)
        named = written if currency is None else currency_code(currency)
        if written and named != written:
            raise ConfigurationError(f"{amount!r} names one currency and {currency!r} is another; name one of them.")
        object.__setattr__(self, "units", _whole_units(number, amount))
        object.__setattr__(self, "currency", named or "USD")

    @classmethod
    def of_units(cls, units: int, currency: str = "USD") -> Money:
        """Return the money of that many millionths: ``Money.of_units(100_000)`` is ten cents.

        Args:
            units: The number of millionths.
            currency: The currency. Default: ``"USD"``.
        """
        money = cls.__new__(cls)
        object.__setattr__(money, "units", units)
        object.__setattr__(money, "currency", currency)
        return money

    @property
    def amount(self) -> Decimal:
        """Return the amount in whole units of the currency, exactly."""
        sign, digits, _ = Decimal(self.units).as_tuple()
        return Decimal((sign, digits, -6))

    def as_limit_on(self, currency: str) -> Money | None:
        """Return what this amount, as a limit, allows of a currency; None if it says nothing about it.

        Args:
            currency: The currency that is asked about.
        """
        # "An amount in dollars limits `USD (test)` too, [...] an amount that names `USD (test)` limits only that."
        return Money.of_units(self.units, currency) if currency in (self.currency, self.currency + _TEST) else None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Money does not change; make a new one.")

    def __reduce__(self) -> tuple[object, tuple[int, str]]:
        return (Money.of_units, (self.units, self.currency))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.units == other.units and self.currency == other.currency

    def __lt__(self, other: Money) -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return self.units < other.units

    def __hash__(self) -> int:
        return hash((self.units, self.currency))

    def __add__(self, other: Money) -> Money:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return Money.of_units(self.units + other.units, self.currency)

    def __sub__(self, other: Money) -> Money:
        if not isinstance(other, Money):
            return NotImplemented
        self._same(other)
        return Money.of_units(self.units - other.units, self.currency)

    def __bool__(self) -> bool:
        return self.units != 0

    def __str__(self) -> str:
        sign, units = ("-", -self.units) if self.units < 0 else ("", self.units)
        whole, millionths = divmod(units, UNITS_PER_ONE)
        return f"{sign}{whole}.{_cents(millionths)} {self.currency}"

    def __repr__(self) -> str:
        shown = str(self)
        return f"Money('{shown}')" if len(shown) <= 120 else f"<Money of {len(shown)} digits, {self.currency}>"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self} and {other} are different currencies; there is no rate between them here.")


def _cents(millionths: int) -> str:
    digits = f"{millionths:06d}".rstrip("0")
    return digits.ljust(2, "0")


def _read(amount: object) -> tuple[Decimal, str | None]:
    if isinstance(amount, Money):
        return amount.amount, amount.currency
    if isinstance(amount, bool) or not isinstance(amount, (str, int, Decimal)):
        raise ConfigurationError(
            f"An amount of money is a str, an int or a Decimal, not {amount!r} ({type(amount).__name__}); "
            'floats round, so write "0.10" or Decimal("0.10").'
        )
    if not isinstance(amount, str):
        return Decimal(amount), None
    written = _WRITTEN.fullmatch(amount)
    if written is None or ("$" in amount and (written["currency"] or "USD").upper() != "USD"):
        raise ConfigurationError(_not_money(amount))
    return Decimal(written["number"]), currency_code(written["currency"]) if written["currency"] else None


def _not_money(text: str) -> str:
    """Say what is wrong with a text that is no amount, and how it is written."""
    token = _WITH_TOKEN.fullmatch(text)
    if token is not None:
        written, name = token["number"] + (" EUR" if token["euro"] else ""), token["token"]
        return (
            f'{text!r} names a token, and amounts are in a currency: write "{written}". '
            f'Policy(assets=["{name}"]) says which tokens may be paid.'
        )
    comma = _WITH_COMMA.fullmatch(text)
    if comma is not None:
        if len(comma[2]) == 3 and comma[1][0] != "0":  # never guessed: they are a thousand times apart
            number = f'"{comma[1]}{comma[2]}", or "{comma[1]}.{comma[2]}" if the comma stands for a point'
            return f"{text!r} is not an amount of money: the comma may mean either. Write {number}."
        return f'{text!r} is not an amount of money; write it with a point, like "{comma[1]}.{comma[2]}".'
    if _THOUSANDS.fullmatch(text):
        return f'{text!r} is not an amount of money; write it without commas, like "{text.strip().replace(",", "")}".'
    return f'{text!r} is not an amount of money; write it like "0.10" or "0.10 EUR".'


def _whole_units(number: Decimal, amount: object) -> int:
    if not number.is_finite():
        raise ConfigurationError(f"{amount!r} is not a finite amount of money.")
    if number.copy_abs() > _MOST:
        raise ConfigurationError(f"An amount of money of more than {_MOST:e} is a mistake.")
    if number < 0:
        raise ConfigurationError(f"{amount!r} is not an amount of money; it must be zero or more.")
    try:
        units = number.scaleb(6, _EXACT)
        whole = units.to_integral_exact(context=_EXACT)
    except Inexact:
        raise ConfigurationError(f"{amount!r} is finer than a millionth; six decimals are kept.") from None
    return int(whole)


def currency_code(code: str) -> str:
    """Return the one spelling of a currency: ``USD``, or ``USD (test)`` for the money of test networks."""
    written = _CODE.fullmatch(code) if isinstance(code, str) else None
    if written is None:
        raise ConfigurationError(
            f'{code!r} is not a currency; use its three letters, like "USD" or "EUR", or "USD (test)" for test money.'
        )
    return written[1].upper() + (_TEST if written[2] else "")


def currency_on(network: str, currency: str) -> str:
    """Return the currency that a token of a network counts in: test money is kept apart."""
    return currency + _TEST if caip2(network) in TEST_NETWORKS else currency


@hints_of
@dataclass(frozen=True, slots=True)
class Token:
    """A token the buyer knows: its worth, and the way its transfers are signed.

    The table that ships with the package covers the usual stablecoins. ``Policy(tokens=...)`` adds tokens that the user
    vouches for. One whole token counts as one unit of its currency.

    Args:
        network: Its network, by any of its names: ``"base"``, ``"eip155:8453"``.
        address: The address of its contract, or its mint on Solana.
        symbol: Its symbol, as ``Policy(assets=...)`` names it. Default: none.
        decimals: Its decimals. Default: 6.
        name: The name in its EIP-712 domain, on EVM chains. Default: none, and it cannot be signed there.
        version: The version in its EIP-712 domain, on EVM chains. Default: none, and it cannot be signed there.
        currency: The currency it counts as. Default: US dollars; ``USD (test)`` on a test network.
        program: The token program of a Solana mint. Default: it is read from the chain.
    """

    network: str
    address: str
    symbol: str = ""
    decimals: int = 6
    name: str | None = None
    version: str | None = None
    currency: str = _BY_NETWORK
    program: str | None = None

    def __post_init__(self) -> None:
        needed = {"network": self.network, "address": self.address, "symbol": self.symbol}
        optional = {"name": self.name, "version": self.version, "program": self.program}
        for part, value in (needed | {k: v for k, v in optional.items() if v is not None}).items():
            if not isinstance(value, str):
                raise ConfigurationError(f"A Token's {part} is a str, not {value!r}.")
        if type(self.decimals) is not int or not 0 <= self.decimals <= 36:
            raise ConfigurationError(f"Token decimals are a whole number from 0 to 36, not {self.decimals!r}.")
        by_network = self.currency is _BY_NETWORK
        currency = currency_on(self.network, "USD") if by_network else currency_code(self.currency)
        object.__setattr__(self, "currency", currency)

    def price(self, amount: int) -> Money:
        """Return the price of ``amount`` of the token's smallest units, rounded up to a millionth.

        Args:
            amount: A number of the token's smallest units.
        """
        return Money.of_units(-(-amount * UNITS_PER_ONE // 10**self.decimals), self.currency)

    def whole(self, units: int) -> str:
        """Return an amount of the token's smallest units in whole tokens, exactly.

        Args:
            units: A number of the token's smallest units.
        """
        digits = f"{Decimal(units).scaleb(-self.decimals):f}"
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
