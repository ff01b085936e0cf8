"""Tests of one purchase, from its claim to its end."""

from __future__ import annotations

import gc

from ...errors import AlreadyPaid, Frozen, OverLimit, PaymentRefused
from ...model.holds import Attempt, Busy, Hold
from ...model.offers import Receipt
from ...model.statements import Statement
from .fixtures import (
    OTHER_PAYER,
    PAYER,
    RECEIPT,
    SECRET,
    LedgerTestCase,
    at_once,
    cap,
    expect,
    order,
    purchase,
    signed,
)  # fmt: skip


class Claims(LedgerTestCase):
    """Tests of claims: one attempt at a time presents a hold, and it never signs a second one."""

    def test_an_unresolved_purchase_is_presented_again_by_the_same_header(self) -> None:
        first = self.unresolved(order())
        again = self.reserve(order(), self.attempt())
        assert (again.id, again.state, again.tries) == (first.id, "signed", 1)
        assert again.authorization == first.authorization
        assert again.authorization.header == ("PAYMENT-SIGNATURE", SECRET)
        assert dict(again.authorization.evidence) == {"height": 7}
        assert (again.offer, again.price, again.purchase) == (first.offer, first.price, first.purchase)
        assert self.spent() == 10_000

    def test_an_unresolved_purchase_is_presented_again_though_its_budget_is_full(self) -> None:
        first = self.unresolved(order())
        assert self.reserve(order(None, cap(0)), self.attempt()).id == first.id

    def test_a_claim_ends_with_its_attempt_and_not_before(self) -> None:
        first, attempt = self.unresolved(order()), self.attempt()
        claimed = self.answer(self.ledger.claim(purchase(), attempt))
        assert (claimed.id, claimed.tries) == (first.id, 1)
        assert self.answer(self.ledger.claim(purchase(), self.attempt())) is None
        attempt.end()
        later = self.attempt()
        assert self.answer(self.ledger.claim(purchase(), later)).tries == 2

    def test_an_attempt_that_was_forgotten_is_over(self) -> None:
        attempt = Attempt()
        first = self.presented(order(), attempt)
        del attempt
        gc.collect()
        assert self.reserve(order(), self.attempt()).id == first.id

    def test_what_is_in_flight_is_not_taken_over(self) -> None:
        one, other = self.attempt(), self.attempt()
        first = self.presented(order(), one)
        assert self.answer(self.ledger.claim(purchase(), other)) is None
        assert self.reserve(order(), other).id != first.id
        assert self.spent() == 20_000

    def test_one_attempt_at_a_time_presents_a_hold(self) -> None:
        first, attempts = self.unresolved(order()), [self.attempt() for _ in range(8)]
        found = at_once(8, lambda number: self.reserve(order(), attempts[number]))
        assert [hold.id for hold in found].count(first.id) == 1
        assert len({hold.id for hold in found}) == 8

    def test_a_hold_of_another_wallet_is_not_claimed(self) -> None:
        mine, theirs = order(), order(purchase(payers=(OTHER_PAYER,)), payer=OTHER_PAYER)
        first = self.unresolved(mine)
        assert first.payer == PAYER
        assert self.answer(self.ledger.claim(theirs.purchase, self.attempt())) is None
        second = self.unresolved(theirs, "0x02")
        assert second.id != first.id
        assert (self.spent(), {hold.payer for hold in self.holds()}) == (20_000, {PAYER, OTHER_PAYER})
        assert self.reserve(mine, self.attempt()).id == first.id
        assert self.answer(self.ledger.claim(theirs.purchase, self.attempt())).id == second.id

    def test_a_wallet_with_two_kinds_of_keys_claims_what_either_pays(self) -> None:
        first = self.unresolved(order())
        both = purchase(payers=(OTHER_PAYER, PAYER))
        again = self.reserve(order(both, payer=OTHER_PAYER), self.attempt())
        assert (again.id, again.payer) == (first.id, PAYER)

    def test_nothing_to_claim(self) -> None:
        assert self.answer(self.ledger.claim(purchase(), self.attempt())) is None
        self.delivered(order())
        assert self.answer(self.ledger.claim(purchase(), self.attempt())) is None

    def test_the_terms_that_were_signed_are_kept(self) -> None:
        attempt, cheaper = self.attempt(), order(price="0.005", amount=5_000).offer
        hold = self.reserve(order(), attempt).but(offer=cheaper)
        assert self.answer(self.ledger.record(hold, signed())).offer == cheaper
        attempt.end()
        assert self.reserve(order(), self.attempt()).offer == cheaper


class Ends(LedgerTestCase):
    """Tests of ends: delivered, written off, or concluded by the chain's answer."""

    def test_a_delivered_purchase_is_resolved_and_stays_counted(self) -> None:
        hold = self.delivered(order())
        assert self.holds() == ()
        (past,) = self.history()
        assert (past.id, past.state, past.money, past.receipt) == (hold.id, "delivered", "spent", RECEIPT)
        assert past.payer == PAYER
        assert (past.offer, past.price, past.nonce, past.url) == (hold.offer, hold.price, hold.nonce, hold.url)
        assert self.reserve(order(), self.attempt()).id != hold.id
        assert self.spent() == 20_000

    def test_a_late_answer_resolves_and_never_opens_again(self) -> None:
        attempt = self.attempt()
        hold = self.presented(order(), attempt)
        attempt.end()
        later = self.attempt()
        again = self.reserve(order(), later)
        self.answer(self.ledger.close(hold, "unknown", None))
        self.answer(self.ledger.close(again, "spent", RECEIPT))
        assert [past.money for past in self.history()] == ["unknown"]
        assert (self.holds(), self.spent()) == ((), 10_000)

    def test_history_is_newest_first_and_bounded(self) -> None:
        for name in "abc":
            self.delivered(order(purchase(name)))
        assert [hold.url[-1] for hold in self.history(2)] == ["c", "b"]

    def test_a_purchase_that_is_written_off_counts_and_is_over(self) -> None:
        hold = self.unresolved(order())
        written = self.answer(self.ledger.write_off(hold))
        assert (written.id, written.state, written.money) == (hold.id, "written_off", "spent")
        assert [past.state for past in self.history()] == ["written_off"]
        assert (self.spent(), self.holds()) == (10_000, ())
        expect(PaymentRefused, lambda: self.answer(self.ledger.write_off(hold)))
        assert self.reserve(order(), self.attempt()).id != hold.id

    def test_only_the_unresolved_is_written_off(self) -> None:
        attempt = self.attempt()
        hold = self.reserve(order(), attempt)
        expect(PaymentRefused, lambda: self.answer(self.ledger.write_off(hold)))
        hold = self.answer(self.ledger.record(hold, signed()))
        expect(PaymentRefused, lambda: self.answer(self.ledger.write_off(hold)))
        expect(PaymentRefused, lambda: self.answer(self.ledger.write_off(hold.but(id="no such hold"))))
        assert len(self.holds()) == 1

    def test_what_the_chain_shows_unused_is_given_back(self) -> None:
        hold = self.unresolved(order())
        self.answer(self.ledger.conclude(hold, False))
        assert (self.spent(), self.holds(), self.history()) == (0, (), ())
        self.answer(self.ledger.conclude(hold, False))
        assert self.spent() == 0

    def test_what_settled_waits_for_its_content(self) -> None:
        hold = self.unresolved(order())
        self.answer(self.ledger.conclude(hold, True))
        assert [(open.id, open.money) for open in self.holds()] == [(hold.id, "spent")]
        assert (self.reserve(order(), self.attempt()).id, self.spent()) == (hold.id, 10_000)

    def test_nothing_is_concluded_while_it_is_in_flight(self) -> None:
        attempt = self.attempt()
        self.answer(self.ledger.conclude(self.presented(order(), attempt), False))
        assert (self.spent(), len(self.holds())) == (10_000, 1)

    def test_strange_holds_are_left_alone(self) -> None:
        attempt = self.attempt()
        hold = self.reserve(order(), attempt)
        for name in ("", "no such hold", "00", hold.id.upper() + "0", "-1", "é"):
            strange = hold.but(id=name)
            self.answer(self.ledger.release(strange))
            self.answer(self.ledger.close(strange, "spent", None))
            self.answer(self.ledger.conclude(strange, False))
        assert (len(self.holds()), self.history(), self.spent()) == (1, (), 10_000)


class Keys(LedgerTestCase):
    """Tests of keys: a key names one payment."""

    def test_a_key_in_flight_keeps_everybody_else_waiting(self) -> None:
        attempt, bought = self.attempt(), purchase(key="k")
        hold = self.reserve(order(bought), attempt)
        for _ in range(2):
            found = self.reserve(order(bought), self.attempt())
            assert isinstance(found, Busy)
            assert found.hold.id == hold.id
            assert isinstance(self.answer(self.ledger.claim(bought, self.attempt())), Busy)
            hold = hold if hold.authorization else self.answer(self.ledger.record(hold, signed()))
        attempt.end()
        assert self.reserve(order(bought), self.attempt()).id == hold.id

    def test_a_key_is_paid_once(self) -> None:
        bought = purchase(key="k")
        hold = self.delivered(order(bought))
        for _ in range(2):
            paid = expect(AlreadyPaid, lambda: self.reserve(order(bought), self.attempt()))
            assert (paid.money, paid.receipt, paid.hold and paid.hold.id) == ("spent", RECEIPT, hold.id)
            expect(AlreadyPaid, lambda: self.answer(self.ledger.claim(bought, self.attempt())))
        assert self.spent() == 10_000

    def test_a_key_names_one_request(self) -> None:
        attempt = self.attempt()
        self.presented(order(purchase("a", key="k")), attempt)
        for _ in range(2):
            refused = expect(PaymentRefused, lambda: self.reserve(order(purchase("b", key="k")), self.attempt()))
            assert not isinstance(refused, OverLimit)
            attempt.end()

    def test_a_paid_key_names_one_request_too(self) -> None:
        self.delivered(order(purchase("a", key="k")))
        expect(PaymentRefused, lambda: self.reserve(order(purchase("b", key="k")), self.attempt()))

    def test_threads_under_one_key_pay_once(self) -> None:
        attempts = [self.attempt() for _ in range(8)]
        found = at_once(8, lambda number: self.reserve(order(purchase(key="k")), attempts[number]))
        assert [type(answer) for answer in found].count(Hold) == 1
        assert self.spent() == 10_000

    def test_a_key_of_another_wallet_is_neither_presented_nor_paid_again(self) -> None:
        first = self.unresolved(order(purchase(key="k")))
        theirs = purchase(key="k", payers=(OTHER_PAYER,))
        for _ in range(2):
            refused = expect(PaymentRefused, lambda: self.reserve(order(theirs, payer=OTHER_PAYER), self.attempt()))
            assert not isinstance(refused, OverLimit)
            assert refused.hold is not None
            assert (refused.hold.id, refused.money) == (first.id, "unknown"), "that payment is out, by another wallet"
            expect(PaymentRefused, lambda: self.answer(self.ledger.claim(theirs, self.attempt())))
        assert self.spent() == 10_000
        assert self.reserve(order(purchase(key="k")), self.attempt()).id == first.id

    def test_a_key_that_was_written_off_may_be_used_again(self) -> None:
        bought = purchase(key="k")
        self.answer(self.ledger.write_off(self.unresolved(order(bought))))
        assert isinstance(self.reserve(order(bought), self.attempt()), Hold)

    def test_a_key_that_was_written_off_names_its_request_as_before(self) -> None:
        self.answer(self.ledger.write_off(self.unresolved(order(purchase("a", key="k")))))
        refused = expect(PaymentRefused, lambda: self.reserve(order(purchase("b", key="k")), self.attempt()))
        assert not isinstance(refused, (AlreadyPaid, OverLimit))
        self.delivered(order(purchase("a", key="k")))
        expect(AlreadyPaid, lambda: self.reserve(order(purchase("a", key="k")), self.attempt()))

    def test_the_same_key_in_another_purse_is_another_key(self) -> None:
        self.delivered(order(purchase(key="k", purse="a")))
        assert isinstance(self.reserve(order(purchase(key="k", purse="b")), self.attempt()), Hold)


class Freezing(LedgerTestCase):
    """Tests of freezes: the user stops payments to one host, or all of them."""

    def test_freezing_stops_all_payments(self) -> None:
        attempt = self.attempt()
        hold = self.reserve(order(purchase("before")), attempt)
        self.answer(self.ledger.freeze("*"))
        expect(Frozen, lambda: self.reserve(order(purchase(purse="other")), self.attempt()))
        expect(Frozen, lambda: self.answer(self.ledger.claim(purchase(), self.attempt())))
        expect(Frozen, lambda: self.answer(self.ledger.record(hold, signed())))
        self.answer(self.ledger.release(hold))
        assert self.spent() == 0
        self.answer(self.ledger.unfreeze("*"))
        assert isinstance(self.reserve(order(), self.attempt()), Hold)

    def test_what_left_is_delivered_though_it_is_frozen(self) -> None:
        attempt = self.attempt()
        hold = self.presented(order(), attempt)
        self.answer(self.ledger.freeze("*"))
        self.answer(self.ledger.close(hold, "spent", RECEIPT))
        assert len(self.history()) == 1

    def test_freezing_one_host_stops_that_one(self) -> None:
        self.answer(self.ledger.freeze("*.example.com"))
        self.answer(self.ledger.freeze("bad.example"))
        self.answer(self.ledger.freeze("bad.example"))
        expect(Frozen, lambda: self.reserve(order(), self.attempt()))
        expect(Frozen, lambda: self.reserve(order(purchase(host="bad.example")), self.attempt()))
        assert isinstance(self.reserve(order(purchase(host="good.example")), self.attempt()), Hold)
        assert self.answer(self.ledger.freezes()) == ("*.example.com", "bad.example")
        self.answer(self.ledger.unfreeze("bad.example"))
        self.answer(self.ledger.unfreeze("never.example"))
        assert isinstance(self.reserve(order(purchase(host="bad.example")), self.attempt()), Hold)
        assert self.answer(self.ledger.freezes()) == ("*.example.com",)


class Evidence(LedgerTestCase):
    """Tests of what a seller signed: it is kept whole, for others to check, after the purchase is resolved, too."""

    def test_a_signed_offer_and_a_signed_receipt_are_kept_whole(self) -> None:
        asked = order()
        offered = Statement("eip712", {"amount": "10000", "validUntil": 2**255}, "0x" + "ab" * 65, "payee", "0xpayee")
        proof = Statement("jws", {"payer": PAYER}, "e30.e30." + "x" * 2_000, "unchecked", "", ("it is unknown", "ü"))
        receipt = Receipt(True, "0xfeed", raw={"success": True, "long": "x" * 5_000}, signed=proof)
        attempt = self.attempt()
        hold = self.presented(asked._replace(offer=asked.offer.but(signed=offered)), attempt)
        [open_yet] = self.holds()
        assert open_yet.offer.signed == offered
        self.answer(self.ledger.close(hold, "spent", receipt))
        attempt.end()
        [kept] = self.history()
        assert kept.receipt is not None
        assert (kept.offer.signed, kept.receipt.signed) == (offered, proof)
        assert kept.receipt.transaction == "0xfeed"
