"""Tests of open amounts: what a resolved ceiling can still take. A ledger without ``owed`` passes too."""

from __future__ import annotations

import time

from ...errors import OverLimit
from ...model.budgets import Cap
from ...model.holds import CEILING, CHARGED, Attempt, Authorization, Hold, Order
from ..extras import keeps_owed, owed_in
from .fixtures import PAYER, RECEIPT, SECRET, LedgerTestCase, cap, order, purchase

#: What is signed, and what is taken of it, in millionths: the token has six decimals.
_CEILING, _CHARGE = 50_000, 7_000


class OpenAmounts(LedgerTestCase):
    """Tests of ceilings, from their signature to what the chain shows of them."""

    def test_a_ceiling_counts_whole_after_its_delivery(self) -> None:
        hold = self._ceiling(delivered=True)
        assert self.spent() == self.spent(window="total") == _CEILING
        if self._keeps_them:
            [owed] = self._owed()
            assert (owed.id, owed.state, owed.price, owed.receipt) == (hold.id, "delivered", hold.price, RECEIPT)
            assert owed.authorization is not None
            assert (owed.authorization.kind, owed.authorization.ceiling) == (CEILING, _CEILING)
            assert (owed.authorization.proof, owed.authorization.header[1]) == ("bit", "")
            assert dict(owed.authorization.evidence) == {"first_block": 7}

    def test_what_moves_an_exact_amount_owes_nothing(self) -> None:
        hold = self.delivered(order())
        assert self._owed() == ()
        assert self.answer(self.ledger.conclude(hold.but(charged=1), True)) is False
        assert self.spent() == 10_000

    def test_a_charge_frees_the_rest_in_every_account_and_window(self) -> None:
        if not self._keeps_them:
            return
        wide = cap(10**9, "hour", "*.example.com")
        hold = self._ceiling(wide, delivered=True)
        assert self._conclude(hold.but(charged=_CHARGE), settled=True)
        for account in ("", "api.example.com", "*.example.com"):
            for window in ("minute", "hour", "day", "total"):
                assert self.spent(account, window) == _CHARGE
        assert self._owed() == ()
        [past] = self.history()
        assert (past.id, past.price.units, past.money) == (hold.id, _CHARGE, "spent")
        assert past.authorization is not None
        assert past.authorization.kind == CHARGED
        assert (past.is_ceiling, past.is_open_ceiling) == (True, False)
        assert (past.charged, past.charge) == (_CHARGE, past.price)

    def test_a_charge_is_taken_off_once(self) -> None:
        if not self._keeps_them:
            return
        hold = self._ceiling(delivered=True)
        assert self._conclude(hold.but(charged=_CHARGE), settled=True)
        assert not self._conclude(hold.but(charged=0), settled=True)
        assert not self._conclude(hold, settled=False)
        assert self.spent() == _CHARGE

    def test_without_a_charge_it_stays_open(self) -> None:
        hold = self._ceiling(delivered=True)
        assert not self._conclude(hold, settled=True)
        assert self.spent() == _CEILING
        assert len(self._owed()) == int(self._keeps_them)

    def test_a_charge_above_the_ceiling_frees_nothing(self) -> None:
        hold = self._ceiling(delivered=True)
        self._conclude(hold.but(charged=2 * _CEILING), settled=True)
        assert self.spent() == _CEILING

    def test_one_that_died_unused_counts_nothing_and_stays_a_payment(self) -> None:
        if not self._keeps_them:
            return
        few = cap(1, "day", "", None)
        hold = self._ceiling(few, delivered=True)
        assert self._conclude(hold, settled=False)
        assert self.spent() == 0
        [past] = self.history()
        assert (past.state, past.money, past.price.units) == ("delivered", "untouched", 0)
        refused = self._refused(order(purchase("another"), few))
        assert refused, "the delivered purchase still counts as one payment"

    def test_a_charge_that_is_seen_before_the_delivery(self) -> None:
        if not self._keeps_them:
            return
        hold = self._ceiling()
        assert self._conclude(hold.but(charged=_CHARGE), settled=True)
        assert self.spent() == _CHARGE
        attempt = Attempt()
        again = self.reserve(self._order(), attempt)
        assert (again.id, again.money, again.price.units) == (hold.id, "spent", _CHARGE)
        assert (again.is_ceiling, again.is_open_ceiling, again.charged) == (True, False, _CHARGE)
        assert again.authorization.header == ("PAYMENT-SIGNATURE", SECRET)
        self.answer(self.ledger.close(again, "spent", RECEIPT))
        attempt.end()
        assert self._owed() == ()
        assert self.spent() == _CHARGE

    def test_a_charge_that_two_programs_see_before_the_delivery_is_taken_off_once(self) -> None:
        if not self._keeps_them:
            return
        self.delivered(order(purchase("another"), price="0.05", amount=_CEILING))
        hold = self._ceiling()
        for charge in (_CHARGE, _CHARGE, 0):
            self._conclude(hold.but(charged=charge), settled=True)
        assert self.spent() == _CEILING + _CHARGE

    def test_an_unresolved_ceiling_that_died_is_given_back_whole(self) -> None:
        hold = self._ceiling()
        assert self._conclude(hold, settled=False)
        assert self.spent() == 0
        assert self.holds() == self._owed() == ()

    def test_one_that_settled_for_an_unknown_charge_owes_until_it_is_known(self) -> None:
        hold = self._ceiling()
        assert self._conclude(hold, settled=True)
        assert self.spent() == _CEILING
        attempt = Attempt()
        again = self.reserve(self._order(), attempt)
        self.answer(self.ledger.close(again, "spent", RECEIPT))
        attempt.end()
        if self._keeps_them:
            assert self._conclude(again.but(charged=_CHARGE), settled=True)
            assert self.spent() == _CHARGE

    def test_what_is_written_off_counts_whole_until_the_chain_tells(self) -> None:
        wide = cap(10**9, "hour", "*.example.com")
        hold = self._ceiling(wide)
        self.answer(self.ledger.write_off(hold))
        assert self.spent() == self.spent("*.example.com", "hour") == _CEILING
        assert not self._conclude(hold, settled=True), "it settled, and the chain does not show for how much"
        if not self._keeps_them:
            return
        [owed] = self._owed()
        assert (owed.id, owed.state, owed.money, owed.is_open_ceiling) == (hold.id, "written_off", "spent", True)
        assert self._conclude(owed.but(charged=_CHARGE), settled=True)
        for account in ("", "api.example.com", "*.example.com"):
            for window in ("minute", "hour", "day", "total"):
                assert self.spent(account, window) == _CHARGE
        assert self._owed() == ()
        [past] = self.history()
        assert (past.id, past.state, past.price.units, past.money) == (hold.id, "written_off", _CHARGE, "spent")

    def test_what_was_written_off_and_died_unused_counts_nothing(self) -> None:
        if not self._keeps_them:
            return
        hold = self._ceiling()
        self.answer(self.ledger.write_off(hold))
        assert self._conclude(hold, settled=False)
        assert self.spent() == 0
        [past] = self.history()
        assert (past.state, past.money, past.price.units) == ("written_off", "untouched", 0)
        assert not self._conclude(hold, settled=False)

    def test_what_was_charged_before_it_was_written_off_owes_nothing(self) -> None:
        if not self._keeps_them:
            return
        hold = self._ceiling()
        assert self._conclude(hold.but(charged=_CHARGE), settled=True)
        self.answer(self.ledger.write_off(hold))
        assert self._owed() == ()
        assert self.spent() == _CHARGE

    def test_an_exact_amount_that_is_written_off_counts_for_good(self) -> None:
        hold = self.unresolved(order())
        self.answer(self.ledger.write_off(hold))
        assert not self._conclude(hold, settled=False)
        assert self.spent() == 10_000
        assert self._owed() == ()

    def test_the_open_amounts_of_a_purse_are_its_own(self) -> None:
        self._ceiling(delivered=True)
        assert self._owed("another") == ()

    @property
    def _keeps_them(self) -> bool:
        return keeps_owed(self.ledger)

    def _owed(self, purse: str = "default") -> tuple[Hold, ...]:
        found: tuple[Hold, ...] = self.answer(owed_in(self.ledger, purse)) if self._keeps_them else ()
        return found

    def _conclude(self, hold: Hold, *, settled: bool) -> bool:
        done: bool = self.answer(self.ledger.conclude(hold, settled))
        return done

    def _order(self, *caps: Cap) -> Order:
        return order(None, *caps, price="0.05", amount=_CEILING)

    def _refused(self, asked: Order) -> bool:
        try:
            self.reserve(asked, self.attempt())
        except OverLimit:
            return True
        return False

    def _ceiling(self, *caps: Cap, delivered: bool = False) -> Hold:
        """Return a hold whose signature lets the seller take any part of its price."""
        attempt, expires = Attempt(), int(time.time()) + 600
        header, evidence = ("PAYMENT-SIGNATURE", SECRET), {"first_block": 7}
        made = Authorization("7", PAYER, expires, header, evidence, CEILING, _CEILING, "bit")
        reserved = self.reserve(self._order(*caps), attempt)
        hold: Hold = self.answer(self.ledger.record(reserved, made))
        if delivered:
            self.answer(self.ledger.close(hold.shown, "spent", RECEIPT))
        attempt.end()
        return hold.shown
