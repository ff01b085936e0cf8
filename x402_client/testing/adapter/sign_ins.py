"""Tests of sign-ins: they cost nothing, go to one seller alone, and their signature shows nowhere."""

from __future__ import annotations

import base64
import json

from ...errors import PaymentRefused, X402Error
from ...model.sign_in import SIGN_IN
from ...policy.policy import Policy
from ...sandbox.answers import sealed
from ...sandbox.play_money import EVM
from ...sandbox.sign_ins import SignIns as Challenges
from .base import CONTENT, AdapterTestCase
from .gate import Exchange, Script, Seen
from .secrecy import logged, of_answer, of_failure

ALWAYS = Policy(per_request="0.05", per_day="50", sign_in="always")
NEVER = Policy(per_request="0.05", per_day="50", sign_in="never")


class SignIns(AdapterTestCase):
    """Tests of sellers that open for a signature what was bought before, or what costs nothing."""

    def test_what_was_bought_once_is_visited_again_for_nothing(self) -> None:
        url = self.sandbox.sell("/poem", "0.01", content=CONTENT, chains="evm", sign_in=True)
        buyer = self.buyer()
        client = self.paying(buyer)
        answers = [self.get(client, url) for _ in range(3)]
        assert [(answer.status, answer.body) for answer in answers] == [(200, CONTENT)] * 3
        assert self.settled == 1
        found = [self.outcome_of(answer) for answer in answers]
        assert [(one.money, bool(one.signed_in)) for one in found] == [
            ("spent", False), ("untouched", True), ("untouched", True),
        ]  # fmt: skip
        assert self.wallet.evm is not None
        assert found[1].signed_in == self.wallet.evm.address
        self.assert_delivered(buyer)

    def test_a_seller_that_asks_for_no_money_gets_a_sign_in_and_the_whole_body(self) -> None:
        seen: list[Seen] = []
        url = self.gate.page("/job", self.challenging(lambda exchange: seen.append(exchange.seen)))
        client = self.paying(self.buyer())
        answer = self.get(client, url, "POST", body=b"an order")
        assert (answer.status, answer.body) == (200, b"opened")
        assert [one.body for one in seen] == [b"an order"]
        assert self.outcome_of(answer).money == "untouched"
        assert self.settled == 0
        assert isinstance(self.fails(self.paying(self.buyer(NEVER)), url), PaymentRefused)

    def test_a_sign_in_follows_no_redirect_and_shows_nowhere(self) -> None:
        other = self.another_gate()
        goal = other.page("/goal", lambda exchange: exchange.answer(200, CONTENT))
        url = self.gate.page(
            "/start", self.challenging(lambda exchange: exchange.answer(303, b"", [("Location", goal)]))
        )
        client = self.paying(self.buyer(ALWAYS))
        with logged() as records:
            answer = self.get(client, url)
        assert answer.status == (200 if self.follows_redirects else 303)
        assert len(other.at("/goal")) == self.follows_redirects
        assert [one.header(SIGN_IN) for one in other.at("/goal")] == [None] * self.follows_redirects
        texts = [*of_answer(answer), *(("the log", record) for record in records), ("a repr", repr(client))]
        self.assert_hidden("/start", [f"{where}: {text}" for where, text in texts])

    def test_a_sign_in_that_gets_no_answer_costs_nothing_and_shows_nowhere(self) -> None:
        url = self.gate.page("/start", self.challenging(lambda exchange: exchange.reset()))
        buyer = self.buyer(ALWAYS)
        client = self.paying(buyer)
        with logged() as records:
            failure = self.fails(client, url)
        assert not isinstance(failure, X402Error)
        assert isinstance(failure, self.own_errors)
        self.assert_untouched(buyer)
        self.assert_hidden("/start", [*records, *(text for _, text in of_failure(failure))])

    def challenging(self, then: Script) -> Script:
        """Return a script that asks for a sign-in and no money. To a sign-in it does ``then``, and opens."""
        challenges = Challenges()

        def script(exchange: Exchange) -> None:
            if exchange.seen.header(SIGN_IN) is not None:
                answered = then(exchange)
                if answered is None and exchange.seen.method == "POST":
                    exchange.answer(200, b"opened")
                return
            url = self.gate.url + exchange.seen.path
            terms = {"x402Version": 2, "accepts": [], "extensions": challenges.challenge(url, [EVM])}
            exchange.answer(402, b"{}", [("PAYMENT-REQUIRED", sealed(terms))])

        return script

    def assert_hidden(self, path: str, texts: list[str]) -> None:
        """Check that the header and the signature of each sign-in are in none of these texts."""
        headers = [value for one in self.gate.at(path) if (value := one.header(SIGN_IN)) is not None]
        signatures = [json.loads(base64.b64decode(value))["signature"].removeprefix("0x") for value in headers]
        secrets = [*headers, *(value[100:160] for value in headers), *signatures]
        assert len(headers) > 0
        assert len(set(signatures)) == len(headers), "each sign-in has a challenge of its own"
        assert [text[:80] for text in texts if any(secret in text for secret in secrets)] == []
