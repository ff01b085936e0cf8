"""An allowance stands wherever a buyer may stand, and no wrapping takes a limit away."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import x402_client.requests
from x402_client import Buyer, errors
from x402_client.errors import ConfigurationError, OverLimit, PaymentRefused
from x402_client.requests import PaymentAdapter

from .cash_register import Till, delivered
from .checks import new_buyer, outcome
from .drivers import Driver
from .scripted_server import Exchange, Server


def _hang_up(exchange: Exchange, till: Till) -> None:
    raise ConnectionError


def _gives(exchange: Exchange) -> None:
    exchange.answer(200, b"free")


class TestAllowances:
    def test_a_client_that_is_wrapped_again_keeps_its_limits(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        run, other = buyer.allowance("0.02"), buyer.allowance("1")
        client, url = shell.client(run), server.on("/paid", till.sells())
        for payer in (buyer, other, run):
            assert shell.shell.wrap(client.native, payer) is client.native
        assert outcome(shell, client.get(url)).hold.path == (f"allowance {run.name}", f"allowance {other.name}")
        client.get(url)
        with pytest.raises(Exception) as refused:
            client.get(url)
        assert isinstance(errors.find(refused.value), OverLimit)
        assert (run.spent.units, other.spent.units, len(till.nonces)) == (20_000, 20_000, 2)
        with pytest.raises(ConfigurationError, match="another buyer"):
            shell.shell.wrap(client.native, new_buyer().allowance("1"))

    def test_a_quote_says_what_an_allowance_would_refuse(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        found = shell.client(buyer.allowance("1", hosts=["other.example"])).quote("GET", url)
        assert "not among the hosts of the allowance" in found.offers[0].reason
        found = shell.client(buyer.allowance("1 EUR")).quote("GET", url)
        assert "the allowance without a name is of 1.00 EUR, so it pays nothing in USD" in found.offers[0].reason
        assert shell.client(buyer.allowance("1")).quote("GET", url).choice is not None
        assert till.nonces == []

    def test_a_quote_names_no_choice_where_nothing_would_be_paid_under_it(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        run = buyer.allowance("0.025")
        step = run.allowance("0.01")
        client = shell.client(step)
        assert client.quote("GET", url).choice is not None
        client.get(url)

        def refused(quoted: Any) -> str:
            assert quoted.choice is None
            return str(quoted.offers[0].reason)

        assert refused(client.quote("GET", url)) == (
            "it costs 0.01 USD, and the allowance without a name of 0.01 USD has 0.00 USD left"
        )
        other = shell.client(run)
        assert other.quote("GET", url).choice is not None
        with buyer.allowance("1"), step:
            assert "has 0.00 USD left" in refused(other.quote("GET", url))
        run.freeze()
        for one in (client, other):
            assert refused(one.quote("GET", url)) == (
                "the allowance without a name is frozen, so nothing new is paid under it"
            )
        run.unfreeze()
        run.close()
        assert "the allowance without a name was closed" in refused(other.quote("GET", url))
        assert "was closed" in refused(client.quote("GET", url))
        assert shell.client(buyer).quote("GET", url).choice is not None
        assert len(till.nonces) == 1

    def test_a_quote_under_a_closed_allowance_still_names_the_payment_that_would_be_presented(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        run = buyer.allowance("1")
        client, url = shell.client(run), server.on("/paid", till.sells(_hang_up, delivered))
        with pytest.raises(Exception) as lost:
            client.get(url)
        assert isinstance(errors.find(lost.value), errors.PaymentOutcomeUnknown)
        run.close()
        [hold] = run.holds()
        quoted = client.quote("GET", url)
        assert (quoted.choice, quoted.unresolved) == (None, hold.id)

    def test_it_counts_what_another_buyer_of_its_purse_pays_in_its_block(
        self, shell: Driver, server: Server, till: Till, tmp_path: Path
    ) -> None:
        ledgers = [str(tmp_path / "spend.db"), str(tmp_path / "." / "spend.db")]
        one, other = new_buyer(ledger=ledgers[0]), new_buyer(ledger=ledgers[1])
        run, client = one.allowance("0.02"), shell.client(other)
        url = server.on("/paid", till.sells())
        with run:
            assert outcome(shell, client.get(url)).hold.path == (f"allowance {run.name}",)
            client.get(url)
            with pytest.raises(Exception) as refused:
                client.get(url)
        assert isinstance(errors.find(refused.value), OverLimit)
        client.get(url)
        assert (run.spent.units, len(till.nonces)) == (20_000, 3)
        for buyer in (one, other):
            buyer.close()

    @pytest.mark.parametrize("apart", ["ledger", "purse", "purse, same name"])
    def test_a_payment_that_cannot_count_in_it_is_refused(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer, apart: str
    ) -> None:
        other = new_buyer(ledger=":memory:") if apart == "ledger" else new_buyer(ledger=buyer.ledger, purse="other")
        name = "run-42" if "name" in apart else None
        run, own = other.allowance("1", name=name), buyer.allowance("1", name=name)
        client, url, free = shell.client(own), server.on("/paid", till.sells()), server.on("/free", _gives)
        with run:
            assert client.get(free).status_code == 200
            with pytest.raises(Exception, match=r"inside the allowance .* of another buyer") as refused:
                client.get(url)
            assert "inside the allowance" in client.quote("GET", url).reasons[0]
        assert isinstance(errors.find(refused.value), PaymentRefused)
        assert till.nonces == []
        assert (run.spent.units, own.spent.units) == (0, 0)

    def test_an_unresolved_payment_is_presented_inside_an_allowance_that_it_cannot_count_in(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        client, url = shell.client(buyer), server.on("/paid", till.sells(_hang_up, delivered))
        with pytest.raises(Exception) as lost:
            client.get(url)
        assert isinstance(errors.find(lost.value), errors.PaymentOutcomeUnknown)
        with new_buyer(ledger=":memory:").allowance("1"):
            assert client.get(url).status_code == 200
        assert (len(till.nonces), len(set(till.nonces))) == (2, 1)

    @pytest.mark.parametrize("thing", [5, "run-42", object()])
    def test_only_a_buyer_or_an_allowance_pays(self, shell: Driver, thing: Any) -> None:
        with pytest.raises(ConfigurationError, match="buyer is a Buyer or an Allowance, not"):
            shell.client(thing)


def test_a_session_of_requests_keeps_its_allowance_when_it_is_copied_and_mounted(
    server: Server, till: Till, buyer: Buyer
) -> None:
    run, other = buyer.allowance("1"), buyer.allowance("1")
    url = server.on("/paid", till.sells())
    session = x402_client.requests.wrap(x402_client.requests.wrap(requests.Session(), run), other)
    copied = copy.deepcopy(session)
    session.mount("http://", HTTPAdapter())
    for each in (session, copied):
        assert each.get(url).status_code == 200
    session.mount("http://", PaymentAdapter(buyer))
    assert session.get(url).status_code == 200
    assert (run.spent.units, other.spent.units) == (30_000, 30_000)
    session.close(), copied.close()
