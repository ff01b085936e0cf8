"""Tests of what sellers sign: offers, receipts, and what a facilitator says about extensions."""

from __future__ import annotations

from ... import events
from ...errors import NoAcceptableOffer
from ...sandbox.answers import sealed
from .base import CONTENT, AdapterTestCase
from .gate import Exchange, Script


class Statements(AdapterTestCase):
    """Tests of sellers that sign. A receipt is their word: it changes neither the delivery nor the money."""

    def test_what_a_seller_signs_is_checked_and_kept(self) -> None:
        url = self.sandbox.sell("/poem", "0.01", content=CONTENT, chains="evm", offer_receipt=True)
        buyer = self.buyer()
        answer = self.get(self.paying(buyer), url)
        assert (answer.status, answer.body) == (200, CONTENT)
        found = self.outcome_of(answer)
        assert found.receipt is not None
        for signed in (found.offer.signed, found.receipt.signed):
            assert signed is not None
            assert (signed.signed_by, signed.problems) == ("payee", ())
        [kept] = buyer.history()
        assert kept.offer.signed == found.offer.signed
        assert kept.receipt is not None
        assert kept.receipt.signed == found.receipt.signed
        self.assert_delivered(buyer)

    def test_an_offer_that_contradicts_its_terms_is_refused(self) -> None:
        buyer = self.buyer()
        client = self.paying(buyer)
        for fault in ("offer-contradicts", "offer-forged"):
            failure = self.fails(client, self.sandbox.fault_url(fault))
            assert isinstance(failure, NoAcceptableOffer)
            assert all("the 402 was changed on its way" in reason for reason in failure.reasons)
        self.assert_untouched(buyer)

    def test_a_bad_signed_receipt_is_told_of_and_loses_nothing(self) -> None:
        for count, fault in enumerate(("signed-receipt-other-url", "signed-receipt-forged"), start=1):
            told: list[events.Event] = []
            buyer = self.buyer(on_event=told.append)
            answer = self.get(self.paying(buyer), self.sandbox.fault_url(fault))
            found = self.outcome_of(answer)
            assert (answer.status, found.money) == (200, "spent")
            warnings = [str(event) for event in told if isinstance(event, events.Warned)]
            assert len(warnings) == 1
            assert "The seller's signed receipt proves nothing" in warnings[0]
            assert [hold.state for hold in buyer.history()] == ["delivered"]
            assert self.settled == count

    def test_what_is_said_about_extensions_is_told_and_hostile_words_are_not_read(self) -> None:
        said = {"bazaar": {"status": "processing"}}
        for number, text in enumerate((sealed(said), "%%%", sealed([1]), sealed({"a": [[[[[[[[[]]]]]]]]]}))):
            told: list[events.Event] = []
            buyer = self.buyer(on_event=told.append)
            path = f"/listed{number}"
            self.sandbox.sell(path, "0.01", content=CONTENT)
            url = self.gate.page(path, _saying(text))
            answer = self.get(self.paying(buyer), url)
            assert (answer.status, answer.body) == (200, CONTENT)
            assert dict(self.outcome_of(answer).extensions) == ({} if number else said)
            expected = events.Warned if number else events.ExtensionsAnswered
            assert [type(event) for event in told].count(expected) == 1
            assert [hold.state for hold in buyer.history()] == ["delivered"]
        assert self.settled == 4


def _saying(text: str) -> Script:
    def script(exchange: Exchange) -> None:
        found = exchange.forward()
        more = [("EXTENSION-RESPONSES", text)] if exchange.seen.payment else []
        exchange.answer(found.status, found.body, [*found.headers, *more])

    return script
