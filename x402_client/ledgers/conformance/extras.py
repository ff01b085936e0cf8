"""Tests of a ledger's optional attributes, as ``core.LedgerExtras`` describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...core.ports import Ledger
from ...model.holds import Hold, LastAnswer, LedgerBusy, Spending
from ..extras import bought, closer_of, drift_of, is_fresh, name_of, note, purses_of, send_close
from .fixtures import PAYER, RECEIPT, LedgerTestCase, order, purchase

_TODAY = Spending("", "day", "USD")
#: Seconds that two clocks of one machine may be apart.
_TOLERATED = 60.0


class Extras(LedgerTestCase):
    """Tests of optional attributes. A ledger without them passes too."""

    def test_its_name_is_text(self) -> None:
        assert name_of(self.ledger)
        assert isinstance(getattr(self.ledger, "name", ""), str)

    def test_a_ledger_that_is_fresh_has_counted_nothing(self) -> None:
        assert getattr(self.ledger, "fresh", False) in (True, False)
        assert self.spent() == 0
        if is_fresh(self.ledger):
            assert (self.holds(), self.history()) == ((), ())

    def test_its_time_is_that_of_the_machine(self) -> None:
        self.reserve(order(), self.attempt())
        assert abs(drift_of(self.ledger)) < _TOLERATED

    def test_its_async_twin_is_the_same_ledger(self) -> None:
        twin: Any = getattr(self.ledger, "asynchronous", None)
        if twin is None:
            return
        first = self.unresolved(order())

        async def look() -> tuple[Any, ...]:
            try:
                claimed = await twin.reserve(order(), self.attempt())
                other = await twin.reserve(order(purchase("other")), self.attempt())
                return claimed, other, await twin.spent(_TODAY)
            finally:
                closed = closer_of(twin)()
                if closed is not None:
                    await closed

        claimed, other, spent = asyncio.run(look())
        assert (claimed.id, claimed.tries) == (first.id, 1)
        assert spent == self.spent() == 20_000
        assert {hold.id for hold in self.holds()} == {first.id, other.id}

    def test_its_impatient_twin_is_the_same_ledger(self) -> None:
        twin: Any = getattr(self.ledger, "impatient", None)
        if twin is None:
            return
        hold = self._at_once(twin, lambda ledger: ledger.reserve(order(), self.attempt()))
        assert isinstance(hold, Hold)
        assert self.spent() == self._at_once(twin, lambda ledger: ledger.spent(_TODAY)) == 10_000
        self._at_once(twin, lambda ledger: ledger.release(hold))
        assert (self.spent(), self.holds()) == (0, ())

    def test_an_end_that_was_sent_is_written_when_its_answer_is_here(self) -> None:
        if getattr(self.ledger, "send_close", None) is None:
            return
        for number in range(3):
            attempt = self.attempt()
            hold = self.presented(order(purchase(f"{number}")), attempt)
            wait = send_close(self.ledger, hold, "spent", RECEIPT)
            # If it could not be sent, ``close`` is called: the connection may not be open yet.
            wait() if wait is not None else self.answer(self.ledger.close(hold, "spent", RECEIPT))
            attempt.end()
        assert (self.holds(), [past.money for past in self.history()]) == ((), ["spent"] * 3)

    def test_it_keeps_the_last_answer_to_an_open_payment(self) -> None:
        if not hasattr(self.ledger, "note"):
            return
        hold, last = self.unresolved(order()), LastAnswer("spent", 303, 'no "funds" é', "0x1", False, True, "/thanks")
        self.answer(note(self.ledger, hold, LastAnswer("unknown", None, "ReadTimeout")))
        self.answer(note(self.ledger, hold, last))
        assert [(open.last, open.money, open.told.money) for open in self.holds()] == [(last, "held", "spent")]
        assert self.spent() == 10_000
        assert self.reserve(order(), self.attempt()).id == hold.id

    def test_no_later_note_takes_back_that_a_payment_was_paid(self) -> None:
        if not hasattr(self.ledger, "note"):
            return
        late = (LastAnswer("held", 402, 'no "é"'), LastAnswer("unknown"), LastAnswer("spent", 502, "", "0x1"))
        for number, (by_chain, later) in enumerate((chain, one) for chain in (False, True) for one in late):
            hold = self.unresolved(order(purchase(f"{number}")))
            self.answer(note(self.ledger, hold, LastAnswer("unknown", by_chain=False)))
            self.answer(note(self.ledger, hold, LastAnswer("spent", by_chain=by_chain)))
            self.answer(note(self.ledger, hold, later))
            kept = next(one.last for one in self.holds() if one.id == hold.id)
            assert kept == later._replace(money="spent", by_chain=by_chain)
            self.answer(note(self.ledger, hold, later._replace(money="spent", by_chain=True)))
            self.answer(note(self.ledger, hold, later))
            again = later._replace(money="spent", by_chain=True)
            assert next(one.last for one in self.holds() if one.id == hold.id) == again

    def test_what_was_written_off_keeps_its_last_answer(self) -> None:
        if not hasattr(self.ledger, "note"):
            return
        hold, last = self.unresolved(order()), LastAnswer("held", 402, "no")
        self.answer(note(self.ledger, hold, last))
        self.answer(self.ledger.write_off(hold))
        assert [past.last for past in self.history()] == [last]
        self.answer(note(self.ledger, hold, LastAnswer("unknown")))
        assert ([past.last for past in self.history()], self.holds()) == ([last], ())

    def test_it_finds_what_was_bought_of_a_seller(self) -> None:
        one, other, third = purchase("a"), purchase("b"), purchase("c")
        if bought(self.ledger, "default", one.origin, one.url, (PAYER,)) is NotImplemented:
            return

        def found(url: str, *payers: str, purse: str = "default") -> str | None:
            hold = self.answer(bought(self.ledger, purse, one.origin, url, payers or ("a stranger", PAYER)))
            return None if hold is None else str(hold.id)

        assert found(one.url) is None
        first, second = self.delivered(order(one)), self.delivered(order(other))
        self.unresolved(order(third))
        assert [found(bought.url) for bought in (one, other, third)] == [first.id, second.id, second.id]
        assert (found(one.url, "a stranger"), found(one.url, purse="other")) == (None, None)
        self.answer(self.ledger.write_off(self.holds()[0]))
        assert found(third.url) == second.id

    def test_a_list_tells_what_is_in_flight(self) -> None:
        attempt = self.attempt()
        self.presented(order(), attempt)
        assert [hold.in_flight for hold in self.holds()] in ([True], [None])
        attempt.end()
        assert [hold.in_flight for hold in self.holds()] in ([False], [None])

    def test_its_purses_are_those_that_were_used(self) -> None:
        if not hasattr(self.ledger, "purses"):
            return
        self.unresolved(order())
        self.unresolved(order(purchase("there", purse="other")))
        assert self.answer(purses_of(self.ledger)) == ("default", "other")

    def _at_once(self, twin: Ledger, question: Callable[[Ledger], Any]) -> Any:
        try:
            return self.answer(question(twin))
        except LedgerBusy:
            return self.answer(question(self.ledger))

    def test_what_was_closed_opens_again_with_all_that_was_in_it(self) -> None:
        first = self.unresolved(order())
        for _ in range(2):
            self.answer(closer_of(self.ledger)())
        assert self.spent() == 10_000
        assert self.reserve(order(), self.attempt()).id == first.id
