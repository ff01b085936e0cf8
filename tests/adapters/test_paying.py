"""Paying: once, exactly, only where it is asked for in our words; and the outcome that the answer carries."""

from __future__ import annotations

import copy
import gzip
import json
import pickle
from typing import Any

import pytest

from x402_client import Buyer, Policy, errors, receipt
from x402_client.errors import ConfigurationError, NoAcceptableOffer, PaymentRefused, PaymentRejected

from .cash_register import NETWORK, PAY_TO, PAYER, PRICE, Till, delivered, encoded
from .checks import new_buyer, outcome, paid, shows_payment, unresolved, untouched
from .drivers import Client, Driver
from .scripted_server import Exchange, Server

ELSE = {
    "html": (b"<h1>Pay us</h1>", [("Content-Type", "text/html")]),
    "l402": (b"", [("WWW-Authenticate", 'L402 macaroon="AGIA", invoice="lnbc1"')]),
    "problem": (b'{"type":"about:blank","title":"Quota"}', [("Content-Type", "application/problem+json")]),
    "gzip": (gzip.compress(b"<h1>Pay us</h1>", mtime=0), [("Content-Encoding", "gzip")]),
    "not gzip": (b"this is no gzip", [("Content-Encoding", "gzip")]),
    "large": (b"0123456789" * 100_000, [("Content-Type", "text/plain")]),
}


class TestPaying:
    @pytest.mark.parametrize("version", [1, 2])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "BREW"])
    def test_pays_once(self, shell: Driver, server: Server, buyer: Buyer, version: int, method: str) -> None:
        till = Till(version)
        response = shell.client(buyer).request(method, server.on("/paid", till.sells()))
        assert (response.status_code, response.content) == (200, b"the goods")
        assert len(till.nonces) == 1
        assert len(server.requests) == 2
        assert paid(buyer)
        found = receipt(response)
        assert found is not None
        assert (found.success, found.payer, found.transaction) == (True, PAYER, "0x" + "ab" * 32)
        assert not shows_payment(response.request)

    def test_buys_again_what_was_delivered(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        url = server.on("/paid", till.sells())
        for _ in range(3):
            assert client.get(url).status_code == 200
        assert len(set(till.nonces)) == 3
        assert paid(buyer, 3)

    def test_what_is_free_costs_nothing(self, client: Client, shell: Driver, server: Server, buyer: Buyer) -> None:
        response = client.get(server.on("/free", lambda ex: ex.answer(200, b"free")))
        assert (response.status_code, response.content) == (200, b"free")
        assert shell.outcome(response) is None
        assert len(server.requests) == 1
        assert untouched(buyer)

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
    def test_questions_are_not_paid(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, method: str
    ) -> None:
        response = client.request(method, server.on("/paid", till.sells()))
        bare = shell.client().request(method, server.url("/paid"))
        assert response.status_code == 402
        assert (response.content, list(response.headers)) == (bare.content, list(bare.headers))
        assert till.nonces == []
        assert untouched(buyer)

    @pytest.mark.parametrize("name", ["X-PAYMENT", "payment-signature"])
    def test_who_pays_by_himself_is_left_alone(
        self, client: Client, server: Server, till: Till, buyer: Buyer, name: str
    ) -> None:
        response = client.get(server.on("/paid", till.challenge), headers={name: "mine"})
        assert response.status_code == 402
        assert [seen.header(name) for seen in server.requests] == ["mine"]
        assert untouched(buyer)

    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize("name", ELSE)
    def test_a_402_of_another_kind_comes_back_as_it_is(
        self, shell: Driver, client: Client, server: Server, buyer: Buyer, name: str, chunked: bool
    ) -> None:
        body, headers = ELSE[name]

        def script(exchange: Exchange) -> None:
            if chunked:
                exchange.chunks(402, *(body[i : i + 70_000] for i in range(0, len(body), 70_000)), headers=headers)
            else:
                exchange.answer(402, body, headers)

        url = server.on("/else", script)
        one, bare = client.stream("GET", url), shell.client().stream("GET", url)
        assert one.native.status_code == bare.native.status_code == 402
        assert list(one.native.headers.items()) == list(bare.native.headers.items())
        assert one.rest() == bare.rest() == body
        one.close(), bare.close()
        if name != "not gzip":
            assert client.get(url).content == shell.client().get(url).content
        else:
            with pytest.raises(shell.errors["decoding"]):
                client.get(url)
        assert untouched(buyer)

    def test_a_client_wrapped_twice_pays_once(self, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        client = shell.client(buyer)
        assert shell.shell.wrap(client.native, buyer) is client.native
        assert client.get(server.on("/paid", till.sells())).status_code == 200
        assert len(till.nonces) == 1
        with pytest.raises(ConfigurationError, match="another buyer"):
            shell.shell.wrap(client.native, new_buyer())
        assert client.get(server.url("/paid")).status_code == 200
        assert paid(buyer, 2)

    def test_a_transport_in_a_transport_pays_once(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        twice = shell.paying(buyer, shell.paying(buyer))
        client = shell.client(transport=twice)
        assert client.get(server.on("/paid", till.sells())).status_code == 200
        assert len(till.nonces) == 1
        with pytest.raises(ConfigurationError, match="another buyer"):
            shell.paying(new_buyer(), twice)

    @pytest.mark.parametrize("thing", [None, "https://example.com", object(), int])
    def test_only_clients_can_be_wrapped(self, shell: Driver, buyer: Buyer, thing: Any) -> None:
        with pytest.raises(ConfigurationError, match="wrap takes"):
            shell.shell.wrap(thing, buyer)

    def test_a_refusal_raises_and_lets_the_402_be_read(self, shell: Driver, server: Server, till: Till) -> None:
        buyer = new_buyer(Policy(per_request="0.001"))
        with pytest.raises(NoAcceptableOffer) as caught:
            shell.client(buyer).get(server.on("/paid", till.sells()))
        assert caught.value.money == "untouched"
        assert caught.value.response.status_code == 402
        assert caught.value.response.content == b"{}"
        assert untouched(buyer)
        assert till.nonces == []

    def test_a_refusal_can_be_returned(self, shell: Driver, server: Server, till: Till) -> None:
        buyer = new_buyer(Policy(per_request="0.001"), on_refusal="return")
        response = shell.client(buyer).get(server.on("/paid", till.sells()))
        assert response.status_code == 402
        assert response.headers["PAYMENT-REQUIRED"] == encoded_terms(till)
        why = json.loads(response.content)["error"]["message"]
        assert "one payment may cost 0.001 USD" in why
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Content-Length"] == str(len(response.content))
        assert shell.outcome(response) is None
        assert untouched(buyer)

    @pytest.mark.parametrize("on_refusal", ["raise", "return"])
    def test_terms_that_rose_while_somebody_was_asked(
        self, shell: Driver, server: Server, till: Till, on_refusal: Any
    ) -> None:
        dear = Till(price=2 * PRICE)
        buyer = new_buyer(approve=lambda asked: True, on_refusal=on_refusal)
        object.__setattr__(buyer.rules, "terms_age", 0.0)
        url = server.on("/paid", till.sells(), dear.sells())
        if on_refusal == "raise":
            with pytest.raises(PaymentRefused):
                shell.client(buyer).get(url)
        else:
            response = shell.client(buyer).get(url)
            assert response.status_code == 402
            assert b"and the seller changed its terms meanwhile" in response.content
        assert len(server.requests) == 2
        assert untouched(buyer)
        assert till.nonces == dear.nonces == []

    def test_terms_that_fell_away_while_somebody_was_asked(self, shell: Driver, server: Server, till: Till) -> None:
        buyer = new_buyer(approve=lambda asked: True)
        object.__setattr__(buyer.rules, "terms_age", 0.0)
        response = shell.client(buyer).get(server.on("/paid", till.sells(), lambda ex: ex.answer(200, b"free now")))
        assert response.content == b"free now"
        assert untouched(buyer)

    def test_a_402_whose_body_cannot_be_decoded_hides_no_error(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def broken(exchange: Exchange) -> None:
            till.took(exchange.seen)
            exchange.answer(402, b"no gzip", [*till.terms()[0], ("Content-Encoding", "gzip")])

        url = server.on("/paid", broken)
        with pytest.raises(NoAcceptableOffer):
            shell.client(new_buyer(Policy(per_request="0.001"))).get(url)
        with pytest.raises(PaymentRejected) as caught:
            shell.client(buyer).get(url)
        assert caught.value.money == "held"
        assert unresolved(buyer, till.nonces[0])

    def test_a_second_402_is_a_rejection(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: till.challenge(ex)))
        with pytest.raises(PaymentRejected) as caught:
            client.get(url)
        error = caught.value
        assert (error.money, error.response.status_code, error.response.content) == ("held", 402, b"{}")
        assert not shows_payment(error.response.request)
        assert error.hold is not None
        assert error.hold.authorization.header == ("", "")
        assert unresolved(buyer, till.nonces[0])
        assert till.headers[0] not in f"{error} {error!r} {error.hold!r} {vars(error)!r}"
        assert errors.find(error) is error
        with pytest.raises(PaymentRejected):
            client.get(url)
        assert len(set(till.nonces)) == 1
        assert len(till.nonces) == 2


class TestOutcomes:
    @pytest.mark.parametrize(
        ("changes", "money"),
        [
            ({}, "spent"),
            ({"payer": PAY_TO}, "unknown"),
            ({"payer": None}, "spent"),
            ({"network": "eip155:1"}, "unknown"),
            ({"network": "base"}, "spent"),
            ({"amount": str(PRICE + 1)}, "unknown"),
            ({"amount": str(PRICE)}, "spent"),
            ({"transaction": ""}, "unknown"),
            ({"success": False, "errorReason": "insufficient_funds"}, "unknown"),
        ],
    )
    def test_a_receipt_is_compared_with_what_was_signed(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, changes: Any, money: str
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(200, b"x", [till.receipt(**changes)])))
        found = outcome(shell, client.get(url))
        assert found.money == money
        assert found.hold.nonce == till.nonces[0]
        assert (found.offer.pay_to, found.offer.network) == (PAY_TO, NETWORK[2])
        assert found.hold.authorization is not None
        assert found.hold.authorization.header == ("", "")
        assert bool(found.mismatches) == (money == "unknown" and changes.get("success", True))
        # Delivered and counted, with any receipt.
        assert paid(buyer)
        assert [hold.money for hold in buyer.history()] == [money]

    @pytest.mark.parametrize("headers", [[], [("PAYMENT-RESPONSE", "?!")], [("PAYMENT-RESPONSE", encoded([1]))]])
    def test_without_a_usable_receipt_the_money_is_unknown(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, headers: Any
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(200, b"x", headers)))
        response = client.get(url)
        assert response.content == b"x"
        assert (outcome(shell, response).money, receipt(response)) == ("unknown", None)
        assert paid(buyer)

    @pytest.mark.parametrize(("status", "money"), [(400, "held"), (404, "held"), (500, "unknown"), (503, "unknown")])
    def test_a_failure_after_paying_comes_back_and_stays_open(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer, status: int, money: str
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(status, b"sorry")))
        response = client.get(url)
        assert (response.status_code, response.content) == (status, b"sorry")
        assert outcome(shell, response).money == money
        assert not shows_payment(response.request)
        assert unresolved(buyer, till.nonces[0])
        server.on("/paid", till.sells())
        assert client.get(url).status_code == 200
        assert len(set(till.headers)) == 1
        assert len(till.headers) == 2
        assert paid(buyer)

    def test_a_failure_with_a_good_receipt_is_spent_and_open(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(500, b"sorry", [till.receipt()])))
        assert outcome(shell, client.get(url)).money == "spent"
        assert unresolved(buyer, till.nonces[0])

    def test_an_answer_without_a_body_is_delivered(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def empty(exchange: Exchange, till: Till) -> None:
            exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")

        assert client.get(server.on("/paid", till.sells(empty))).status_code == 204
        assert paid(buyer)

    def test_pickled_and_copied_as_ever(self, client: Client, shell: Driver, server: Server, till: Till) -> None:
        response = client.request("POST", server.on("/paid", till.sells()), content=b"abc", headers={"A": "b"})
        bare = shell.client().request("POST", server.on("/free", lambda ex: ex.answer(200, b"x")), content=b"abc")
        for thing, other in ((response, bare), (response.request, bare.request)):
            for way in (lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy):
                made, expected = way(thing), way(other)
                assert type(made) is type(expected)
                assert vars(made).keys() - {"x402"} == vars(expected).keys()
                assert till.headers[0] not in repr(vars(made))
        again = pickle.loads(pickle.dumps(response))
        assert (again.status_code, again.content) == (200, b"the goods")

    def test_a_copy_of_a_paid_request_is_a_call_of_its_own(
        self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        response = client.get(server.on("/paid", till.sells()))
        first = response.request
        assert resend(client, shell, first).status_code == 200
        assert resend(client, shell, first).status_code == 200
        assert len(set(till.nonces)) == 3
        server.on("/paid", till.sells(lambda ex, till: ex.cut(), delivered))
        with pytest.raises(errors.PaymentOutcomeUnknown):
            resend(client, shell, first)
        assert resend(client, shell, first).status_code == 200
        assert len(set(till.nonces)) == 4
        assert paid(buyer, 4)
        assert not any("x402" in str(key) for key in (*getattr(first, "extensions", ()), *getattr(first, "hooks", ())))


class TestQuotes:
    def test_tells_the_price_and_never_pays(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        quote = client.quote("GET", server.on("/paid", till.sells()) + "?secret=1")
        assert [str(offer.price) for offer in quote.offers] == ["0.01 USD"]
        assert quote.choice == quote.offers[0]
        assert (quote.free, quote.status, quote.url) == (False, 402, server.url("/paid"))
        assert till.nonces == []
        assert untouched(buyer)
        assert client.get(server.url("/paid")).status_code == 200

    def test_names_the_payment_that_the_same_request_presents_again(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells(lambda ex, till: ex.cut(), delivered))
        with pytest.raises(errors.PaymentOutcomeUnknown):
            client.get(url)
        [hold] = buyer.holds()
        assert client.quote("GET", url).unresolved == hold.id
        assert client.quote("GET", f"{url}?page=2").unresolved == ""
        assert client.get(url).status_code == 200
        assert set(till.nonces) == {hold.nonce}
        assert client.quote("GET", url).unresolved == ""

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
    def test_any_method_may_ask(self, client: Client, server: Server, till: Till, method: str) -> None:
        assert client.quote(method, server.on("/paid", till.sells())).choice is not None
        assert till.nonces == []

    def test_a_hook_that_raises_for_the_status_hides_no_quote(
        self, shell: Driver, server: Server, till: Till, buyer: Buyer
    ) -> None:
        def strict(response: Any, *_: Any, **__: Any) -> None:
            response.raise_for_status()

        async def awaited(response: Any) -> None:
            strict(response)

        hook = awaited if shell.is_async else strict
        name = "hooks" if shell.name == "requests" else "event_hooks"
        client = shell.client(buyer, **{name: {"response": [hook]}})
        quote = client.quote("GET", server.on("/paid", till.sells()))
        assert [str(offer.price) for offer in quote.offers] == ["0.01 USD"]
        for status in (402, 500):
            with pytest.raises(Exception, match=str(status)) as caught:
                client.quote("GET", server.on("/else", lambda ex, status=status: ex.answer(status)))
            assert errors.find(caught.value) is None
            if shell.name == "requests":
                caught.value.response.close()  # type: ignore[attr-defined]
        assert untouched(buyer)

    def test_gives_the_reasons(self, shell: Driver, server: Server, till: Till) -> None:
        buyer = new_buyer(Policy(per_request="0.001"))
        quote = shell.client(buyer).quote("GET", server.on("/paid", till.sells()))
        assert quote.choice is None
        assert len(quote.reasons) == 1
        assert "0.001 USD" in quote.reasons[0]
        denied = new_buyer(Policy(per_request="1", hosts={"127.0.0.1": "deny"}))
        assert "denied" in shell.client(denied).quote("GET", server.url("/paid")).reasons[0]

    def test_what_is_free_has_no_offers(self, client: Client, server: Server) -> None:
        quote = client.quote("GET", server.on("/free", lambda ex: ex.answer(200, b"free")))
        assert (quote.free, quote.offers, quote.choice) == (True, (), None)

    @pytest.mark.parametrize("status", [404, 500, 304, 300])
    def test_what_failed_or_leads_on_is_not_free(self, client: Client, server: Server, status: int) -> None:
        quote = client.quote("GET", server.on("/gone", lambda ex: ex.answer(status, b"")))
        assert (quote.free, quote.status, quote.offers) == (False, status, ())
        assert f"it answered {status} and asked for no payment" in repr(quote)

    def test_a_402_of_another_kind_is_not_free(self, client: Client, server: Server) -> None:
        quote = client.quote("GET", server.on("/else", lambda ex: ex.answer(402, b"<h1>")))
        assert (quote.free, quote.offers) == (False, ())

    def test_follows_as_the_client_does(self, client: Client, shell: Driver, server: Server, till: Till) -> None:
        server.on("/paid", till.sells())
        url = server.on("/from", lambda ex: ex.answer(302, b"", [("Location", "/paid")]))
        quote = client.quote("GET", url, **shell.keywords({"follow": True}))
        assert quote.choice is not None
        assert till.nonces == []

    def test_terms_that_make_no_sense(self, client: Client, server: Server, buyer: Buyer) -> None:
        url = server.on("/odd", lambda ex: ex.answer(402, b"", [("PAYMENT-REQUIRED", encoded({"x402Version": 9}))]))
        with pytest.raises(errors.QuoteError):
            client.quote("GET", url)
        assert untouched(buyer)

    def test_a_client_that_does_not_pay_has_none(self, shell: Driver, server: Server, till: Till) -> None:
        with pytest.raises(ConfigurationError, match="wrap"):
            shell.client().quote("GET", server.on("/paid", till.sells()))

    def test_terms_can_be_frozen(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        quote = client.quote("GET", server.on("/paid", till.sells()))
        till.price = PRICE * 2
        with buyer.purchase(quote=quote), pytest.raises(PaymentRefused):
            client.get(server.url("/paid"))
        assert till.nonces == []


def resend(client: Client, shell: Driver, request: Any) -> Any:
    """The request once more, through a copy made as applications make one."""
    if shell.name == "requests":
        return client.native.send(request.copy(), timeout=5)
    made = shell.library.Request(request.method, request.url, headers=request.headers, extensions=request.extensions)
    return shell.call(client.native.send, made)


def encoded_terms(till: Till) -> str:
    return dict(till.terms()[0])["PAYMENT-REQUIRED"]
