"""Limits on one payment, and on all payments of a window."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Never, TypeAlias, get_args

from ..errors import ConfigurationError
from ..model.budgets import BUDGET_WINDOWS, Cap
from ..model.keywords import keywords_only, unexpected
from ..model.money import Amount, Money
from ..model.offers import line
from ..model.sign_in import SignInMode

Amounts: TypeAlias = "Amount | Iterable[Amount]"

_NAMES = [window.name for window in BUDGET_WINDOWS]
_COUNT = re.compile(rf"\s*([0-9]{{1,9}})\s*/\s*({'|'.join(_NAMES)})\s*", re.ASCII)
#: The windows that roll over.
_ROLLING = [window.name for window in BUDGET_WINDOWS if window.seconds is not None]
#: The keyword of each window, in the order of the table.
_KEYWORDS = {window.name: window.keyword for window in BUDGET_WINDOWS}
#: From this whole number on, an amount is probably written in a token's smallest units.
_SUSPECT = range(1_000, 10**24)
#: Types that can be iterated and are not lists of amounts.
_NO_LISTS = (str, bytes, bytearray, memoryview, Mapping, Money)
#: What ``Limit`` can be given, also as fields of a policy file.
LIMIT_KEYWORDS = ("per_request", *_KEYWORDS.values(), "max_payments", "upto")
_DENY, _ALLOW = "deny|denied|block|exclu|ban|black|forbid|never", "allow|white|permit|trust|only|accept"
#: Words that people write for the hosts that are paid and those that are not, and the cure.
HOST_CURES = (
    ("network|chain", 'did you mean networks=["base"]? It lists those that are paid, and no others.'),
    (_DENY, 'did you mean hosts={"bad.example": "deny"}?'),
    (_ALLOW, "did you mean only_listed_hosts=True? Then the hosts with an entry in hosts are paid, and no others."),
)
#: The same in a policy file.
FILE_HOST_CURES = (
    ("network|chain", 'did you mean networks = ["base"]? It lists those that are paid, and no others.'),
    ("network|chain", 'did you mean networks=["base"]? It lists those that are paid, and no others.'),
    (_DENY, 'did you mean "bad.example" = "deny", in a table [hosts]?'),
    (_ALLOW, "did you mean only_listed_hosts = true? Then the hosts with an entry in [hosts] are paid, and no others."),
)


def denies(word: str) -> bool:
    """Return True if a word says that a host is not to be paid."""
    return re.search(_DENY, word.lower()) is not None


_SIGN_IN = ("paid", "always", "never")
#: What terms that are known are paid ahead for: the body that they were asked for, or any one.
PaidAhead: TypeAlias = Literal["same body", "any body"]
_PAID_AHEAD = get_args(PaidAhead)
_COMPARED = ("_per_request", "_upto", "_budgets", "_counts", "sign_in", "pay_ahead")


class Limit:
    """Limits for one host: ``Limit(per_request="0.50", per_hour="2", max_payments="30/minute")``.

    Amounts are US dollars unless they name their currency. Several currencies go in a list: ``per_day=["5", "3 EUR"]``.
    An amount limits the test money of its currency too, in accounts apart; ``"5 USD (test)"`` limits only that.

    Args:
        per_request: The most that one payment may cost. Default: no limit.
        per_minute: The most that may be spent in any minute. Default: no limit.
        per_hour: The most that may be spent in any hour. Default: no limit.
        per_day: The most that may be spent in any 24 hours. Default: no limit.
        per_month: The most that may be spent in any 30 days. Default: no limit.
        total: The most that may ever be spent. Default: no limit.
        max_payments: The most payments in a window, as in ``"30/minute"``, or several of these. Default: no limit.
        upto: The highest ceiling of the scheme ``upto`` that is signed, where the seller says the price after its work.
            Default: none is.
        sign_in: Where a host's sign-in challenge is signed, as ``Policy(sign_in=...)`` has it. Default: as the policy
            says.
        pay_ahead: ``"any body"`` says that a host's price does not go by the body of a request: what one cost at an
            address is paid ahead for every body that is sent there. JSON-RPC stays by tool. It takes
            ``Policy(pay_ahead=True)``. Default: ``"same body"``.
    """

    # A new window in the table works at once, as ``**further``. Its keyword belongs into the signatures of ``Limit``
    # and ``Policy`` too, for editors and type checkers. A test checks that.

    __slots__ = ("_budgets", "_counts", "_per_request", "_upto", "_written", "pay_ahead", "sign_in")

    @keywords_only('Limit(per_request="0.10", per_day="1")')
    def __init__(
        self,
        *,
        per_request: Amounts | None = None,
        per_minute: Amounts | None = None,
        per_hour: Amounts | None = None,
        per_day: Amounts | None = None,
        per_month: Amounts | None = None,
        total: Amounts | None = None,
        max_payments: str | Iterable[str] | None = None,
        upto: Amounts | None = None,
        sign_in: SignInMode | None = None,
        pay_ahead: PaidAhead | None = None,
        **further: Never,
    ) -> None:
        given: dict[str, Amounts | None] = {
            "per_minute": per_minute, "per_hour": per_hour, "per_day": per_day, "per_month": per_month, "total": total,
            **further,
        }  # fmt: skip
        self._written = {"per_request": as_amounts(per_request), "upto": as_amounts(upto)}
        self._per_request = by_currency("per_request", sane_amounts("per_request", self._written["per_request"]))
        self._upto = by_currency("upto", sane_amounts("upto", self._written["upto"]))
        self._budgets: dict[str, dict[str, Money]] = {}
        for window, name in _KEYWORDS.items():
            self._written[name] = as_amounts(given.pop(name, None))
            self._budgets[window] = by_currency(name, self._written[name])
        if given:
            raise unexpected("Limit", given, (*LIMIT_KEYWORDS, "sign_in", "pay_ahead"), HOST_CURES)
        #: Where a host's sign-in challenge is signed. None: the next entry of the policy says so.
        self.sign_in: SignInMode | None = None if sign_in is None else sign_in_mode(sign_in)
        if pay_ahead is not None and pay_ahead not in _PAID_AHEAD:
            raise ConfigurationError(f'A host\'s pay_ahead is "any body" or "same body", not {pay_ahead!r}.')
        #: What a host's terms are paid ahead for. None: the next entry of the policy says so.
        self.pay_ahead: PaidAhead | None = pay_ahead
        self._counts = counts("max_payments", "30/minute", max_payments)

    @property
    def currencies(self) -> frozenset[str]:
        """Return the currencies that are named here. Each stands for its test money too."""
        return frozenset(self._per_request).union(*self._budgets.values())

    def limits_currency(self, currency: str) -> bool:
        """Return True if some amount here limits this currency.

        Args:
            currency: A currency, as in ``"USD"`` or ``"USD (test)"``.
        """
        return any(_in(amounts, currency) is not None for amounts in (self._per_request, *self._budgets.values()))

    @property
    def keywords(self) -> dict[str, Any]:
        """Return the keywords that make this limit again."""
        counts = [f"{most}/{window}" for window, most in self._counts.items()]
        further = {"max_payments": counts, "sign_in": self.sign_in, "pay_ahead": self.pay_ahead}
        found = {name: amounts for name, amounts in self._written.items() if amounts is not None}
        return found | {name: value for name, value in further.items() if value}

    @property
    def remarks(self) -> Iterator[str]:
        """Yield what looks like a mistake and is taken as written: budgets in whole numbers of thousands."""
        for name, amounts in self._written.items():
            yield from (_suspicion(name, amount) for amount in amounts or () if _is_suspect(amount))

    @property
    def empty(self) -> bool:
        """Return True if nothing is limited."""
        return not (self.currencies or self._counts)

    def per_request(self, currency: str) -> Money | None:
        """Return the most that one payment in this currency may cost, or None.

        Args:
            currency: The currency of the payment.
        """
        return _in(self._per_request, currency)

    def upto(self, currency: str) -> Money | None:
        """Return the highest ceiling in this currency that is signed, or None.

        Args:
            currency: The currency of the payment.
        """
        return _in(self._upto, currency)

    def caps(self, account: str, currency: str) -> tuple[Cap, ...]:
        """Return the caps that the ledger has to check for a payment in this currency.

        Args:
            account: The account that they count in: a pattern of hosts, or "" for all.
            currency: The currency of the payment.
        """
        found = ((window, _in(amounts, currency)) for window, amounts in self._budgets.items())
        money = (Cap(account, window, currency, most.units) for window, most in found if most is not None)
        return (*money, *(Cap(account, window, None, most) for window, most in self._counts.items()))

    @property
    def shown(self) -> list[str]:
        """Return the keywords as they are written in Python."""
        amounts = {"per_request": self._per_request, "upto": self._upto} | {
            _KEYWORDS[name]: most for name, most in self._budgets.items()
        }
        written = {name: [str(one) for one in most.values()] for name, most in amounts.items() if most}
        counted = [f"{most}/{window}" for window, most in self._counts.items()]
        written |= {"max_payments": counted} if counted else {}
        written |= {name: [mode] for name in ("sign_in", "pay_ahead") if (mode := getattr(self, name))}
        return [f"{name}={(few[0] if len(few) == 1 else few)!r}" for name, few in written.items()]

    def __repr__(self) -> str:
        if not hasattr(self, "_counts"):
            return "<Limit, half built>"  # for tools that show variables
        return line(f"Limit({', '.join(self.shown)})")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Limit):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    def __hash__(self) -> int:
        return hash(frozenset(self._per_request.items()))


def _in(amounts: Mapping[str, Money], currency: str) -> Money | None:
    """Return the amount that limits a currency: its own, else that of the money it is the test money of."""
    found = amounts.get(currency)
    if found is not None:
        return found
    return next((most for one in amounts.values() if (most := one.as_limit_on(currency)) is not None), None)


def as_amounts(amounts: Amounts | None) -> tuple[Amount, ...] | None:
    """Return one amount or several as a tuple, not looked at."""
    if amounts is None:
        return None
    one = isinstance(amounts, _NO_LISTS) or not isinstance(amounts, Iterable)
    return (amounts,) if one else tuple(amounts)  # type: ignore[arg-type,return-value]


def sign_in_mode(given: SignInMode) -> SignInMode:
    """Return where challenges are signed, checked."""
    if given not in _SIGN_IN:
        raise ConfigurationError(f'sign_in is "paid", "always" or "never", not {given!r}.')
    return given


def sane_amounts(name: str, amounts: tuple[Amount, ...] | None) -> tuple[Amount, ...] | None:
    """Return the amounts of one payment. Refuse a number that was meant in a token's smallest units."""
    for amount in filter(_is_suspect, amounts or ()):
        raise ConfigurationError(_suspicion(name, amount))
    return amounts


def _is_suspect(amount: Amount) -> bool:
    return isinstance(amount, int) and not isinstance(amount, bool) and int(amount) in _SUSPECT


def _suspicion(name: str, amount: Amount) -> str:
    assert isinstance(amount, int)
    return (
        f"{name}={amount:d} means {amount:d} US dollars. Amounts are whole dollars, not a token's smallest units: "
        f'{amount:d} of those are "{str(Money.of_units(amount)).removesuffix(" USD")}" with six decimals. '
        f'If you mean the dollars, write a string: {name}="{amount:d}".'
    )


def by_currency(name: str, amounts: tuple[Amount, ...] | None) -> dict[str, Money]:
    """Return the amounts by their currencies, checked. Errors call them ``name``."""
    if amounts is None:
        return {}
    found: dict[str, Money] = {}
    for amount in amounts:
        try:
            money = Money(amount)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{name}: {problem}") from None
        if money.currency in found:
            raise ConfigurationError(f"{name} has two amounts of {money.currency}; keep one.")
        found[money.currency] = money
    if not found:
        raise ConfigurationError(f"{name} names no amount; leave it out to set no limit.")
    return found


def same_request_limits(written: str | Iterable[str] | None) -> dict[str, int]:
    """Return how often the same request may be bought, by window. The window that never rolls over is none."""
    found = counts("same_request", "5/hour", written)
    lasting = [f"{most}/{window}" for window, most in found.items() if window not in _ROLLING]
    if lasting:
        raise ConfigurationError(
            f"same_request is for loops, in a window that rolls over ({_listed(_ROLLING)}), not {lasting[0]!r}; a key "
            "of its own names a purchase that is made once: buyer.purchase(key=...)."
        )
    return found


def counts(name: str, example: str, written: str | Iterable[str] | None) -> dict[str, int]:
    """Return numbers of payments by window, checked. Errors call them ``name``."""
    if written is None:
        return {}
    found: dict[str, int] = {}
    several = isinstance(written, Iterable) and not isinstance(written, str)
    for text in written if several else [written]:
        match = _COUNT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ConfigurationError(f'{name} is written like "{example}" ({_listed(_NAMES)}), not {text!r}.')
        if match[2] in found:
            raise ConfigurationError(f"{name} names {match[2]} twice; keep one.")
        found[match[2]] = int(match[1])
    if not found:
        raise ConfigurationError(f"{name} names no number; leave it out to set no limit.")
    return found


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
