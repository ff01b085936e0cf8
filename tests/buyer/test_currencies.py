"""What is spent in a currency that does not exist is no zero: the question itself is a mistake."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.adapters.cash_register import KEY
from x402_client import Buyer, Limit, Policy, Token, Wallet
from x402_client.errors import ConfigurationError
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.model.holds import Attempt
from x402_client.model.money import Money

CHF = Token(network="base", address="0x" + "12" * 20, symbol="FRANC", decimals=6, currency="CHF")
POLICIES = {
    "dollars": Policy(per_day="5"),
    "a token": Policy(per_day="5", tokens=[CHF]),
    "a limit": Policy(per_day=["5", "5 CHF"]),
    "a limit of a host": Policy(per_day="5", hosts={"a.example": Limit(per_day="1 CHF")}),
}


def spent(buyer: Buyer, asynchronous: bool, **asked: Any) -> Money:
    async def ask() -> Money:
        return await buyer.aspent(**asked)

    return anyio.run(ask) if asynchronous else buyer.spent(**asked)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("currency", ["XYZ", "CHF", "chf", "CHF (test)", "USD", "USD (test)", "EUR"])
@pytest.mark.parametrize("known_by", POLICIES)
def test_a_currency_that_nothing_counts_in_is_refused(known_by: str, currency: str, asynchronous: bool) -> None:
    buyer = Buyer(Wallet(evm=KEY), POLICIES[known_by], ledger=":memory:")
    if currency == "XYZ" or (known_by == "dollars" and currency[:3].upper() == "CHF"):
        with pytest.raises(ConfigurationError, match=rf"No token that is known counts in {currency.upper()[:3]}.*USD"):
            spent(buyer, asynchronous, currency=currency)
    else:
        assert spent(buyer, asynchronous, currency=currency).units == 0


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("host", "window"), [(None, "day"), ("a.example", "minute"), ("a.example", "total")])
def test_what_was_spent_under_an_earlier_policy_is_told(host: str | None, window: str, asynchronous: bool) -> None:
    buyer = Buyer(Wallet(evm=KEY), ledger=":memory:")
    buyer.ledger.reserve(order(purchase(), price="2 CHF"), Attempt())
    found = spent(buyer, asynchronous, host=host, window=window, currency="CHF")
    assert str(found) == ("2.00 CHF" if host is None else "0.00 CHF")
