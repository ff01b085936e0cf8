"""A purchase scope of another buyer holds where both have one purse of one ledger, and refuses a payment elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from x402_client import Buyer, errors
from x402_client.errors import PaymentRefused, TooExpensive
from x402_client.policy.policy import Policy

from .cash_register import Till, delivered
from .checks import new_buyer
from .drivers import Driver
from .scripted_server import Exchange, Server

ELSEWHERE = "in a purchase scope of another buyer, with another ledger or purse"


def _gives(exchange: Exchange) -> None:
    exchange.answer(200, b"free")


def _hang_up(exchange: Exchange, till: Till) -> None:
    raise ConnectionError


def _refused(client: Any, url: str) -> BaseException | None:
    with pytest.raises(Exception) as refused:
        client.get(url)
    return errors.find(refused.value)


class TestScopesOfOthers:
    @pytest.mark.parametrize("apart", ["ledger", "purse"])
    @pytest.mark.parametrize("terms", [{"per_request": "0.001"}, {"key": "order-42"}])
    def test_a_payment_that_it_cannot_hold_for_is_refused(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, apart: str, terms: dict[str, Any]
    ) -> None:
        other = new_buyer(ledger=":memory:") if apart == "ledger" else new_buyer(ledger=buyer.ledger, purse="other")
        url, free = server.on("/paid", till.sells()), server.on("/free", _gives)
        client = shell.client(buyer)
        with pytest.raises(PaymentRefused, match=ELSEWHERE), other.purchase(**terms):
            assert client.get(free).status_code == 200
            assert ELSEWHERE in client.quote("GET", url).reasons[0]
            found = _refused(client, url)
            assert (till.nonces, buyer.holds()) == ([], ())
            assert found is not None
            raise found
        assert client.get(url).status_code == 200

    def test_the_clients_own_scope_holds_beside_it(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        other, url = new_buyer(ledger=":memory:"), server.on("/paid", till.sells())
        mine, theirs = shell.client(buyer), shell.client(other)
        with buyer.purchase(per_request="0.01"), other.purchase(per_request="0.001"):
            assert mine.get(url).status_code == 200
            assert isinstance(_refused(theirs, url), TooExpensive)
        assert len(till.nonces) == 1

    def test_it_holds_for_another_buyer_of_its_purse(
        self, shell: Driver, server: Server, till: Till, tmp_path: Path
    ) -> None:
        one, other = (new_buyer(ledger=str(tmp_path / at)) for at in ("spend.db", "./spend.db"))
        client, url = shell.client(other), server.on("/paid", till.sells())
        for payer in (one, one.allowance("1")):
            with payer.purchase(per_request="0.001"):
                assert isinstance(_refused(client, url), TooExpensive)
                with other.purchase(per_request="0.01"):
                    assert client.get(url).status_code == 200
        with one.purchase(key="order-42"):
            client.get(url)
            assert isinstance(_refused(client, url), errors.AlreadyPaid)
        assert len(till.nonces) == 3
        for buyer in (one, other):
            buyer.close()

    def test_it_lets_nothing_be_paid_ahead(self, shell: Driver, server: Server, till: Till) -> None:
        buyer = new_buyer(policy=Policy(per_request="1", pay_ahead=True))
        client, url = shell.client(buyer), server.on("/paid", till.sells())
        client.get(url)
        with new_buyer(ledger=":memory:").purchase(per_request="0.001"):
            assert isinstance(_refused(client, url), PaymentRefused)
        assert len(till.nonces) == 1

    def test_an_unresolved_payment_is_presented_inside_of_it(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        client, url = shell.client(buyer), server.on("/paid", till.sells(_hang_up, delivered))
        assert isinstance(_refused(client, url), errors.PaymentOutcomeUnknown)
        with new_buyer(ledger=":memory:").purchase(per_request="0.001"):
            assert client.get(url).status_code == 200
        assert (len(till.nonces), len(set(till.nonces))) == (2, 1)
