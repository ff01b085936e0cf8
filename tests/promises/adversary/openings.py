"""The books of sign-ins: what one opened, which open payment it delivered, and what is said of the money then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .broken import SIGNED, UNTRUE, Broken
from .callers import End
from .chain import Chain
from .events import Setting

if TYPE_CHECKING:
    from .books import Made


class Openings:
    """What sign-ins may do: they move no money, and a 2xx to one delivers the open payment of the same purchase.

    A thing is judged while all its calls were plain ones, one after the other: then it is known what is open of it.
    """

    def __init__(self, chain: Chain, setting: Setting) -> None:
        self._chain, self._setting = chain, setting
        self._made: list[Made] = []
        #: By thing, the payment that is open of it.
        self._open: dict[tuple[int, int], str] = {}
        self._unsure: set[tuple[int, int]] = set()
        self._all_unsure = setting.loss != "0"
        #: Payments that a sign-in delivered, and in which call.
        self._delivered: dict[str, int] = {}

    def begin(self, made: list[Made]) -> None:
        """Enter calls that start at once."""
        things = [one.visit.thing for one in made]
        running = {one.visit.thing for one in self._made if one.end is None or one.end.how == "running"}
        self._unsure |= {thing for thing in things if things.count(thing) > 1 or thing in running}
        self._made += made

    def lost(self) -> None:
        """The ledger is another one from now on."""
        self._all_unsure = True

    def given_up(self, nonce: str | None) -> None:
        """A payment is open no more."""
        self._open = {thing: known for thing, known in self._open.items() if known != nonce}

    def is_free(self, made: Made, end: End) -> bool:
        """Return True if a call brought its content by a sign-in alone, and it is known what was open of its thing."""
        by_sign_in = made.visit.opened and not made.visit.presented
        return by_sign_in and end.whole and end.how == "content" and self._is_sure(made.visit.thing)

    def _is_sure(self, thing: tuple[int, int]) -> bool:
        return not self._all_unsure and thing not in self._unsure

    def finish(self, made: Made, end: End) -> None:
        """Enter an end, and hold it to what sign-ins may do."""
        thing, presented = made.visit.thing, dict.fromkeys(made.visit.presented)
        again = next(
            (one for one in presented if self._delivered.get(one, made.visit.number) < made.visit.number), None
        )
        if again is not None:
            raise Broken(SIGNED, f"call {made.visit.number} presents {again}, which a sign-in delivered")
        plan = made.call.plan
        leads = plan.lead or any("to" in one.split() or one == "302" for one in (*plan.pays, *made.visit.answered))
        told = end.how in ("content", "answer", "raised") and made.call.stop in ("read", "stream")
        if leads or not told or len(presented) > 1 or (made.visit.odd and not end.whole):
            self._unsure.add(thing)
        if self.is_free(made, end):
            self._judge(made, end)
        elif end.whole or (presented and end.how != "raised" and end.status is not None and end.status < 300):
            self._open.pop(thing, None)
        elif presented:
            self._open[thing] = next(iter(presented))

    def _judge(self, made: Made, end: End) -> None:
        known = self._open.pop(made.visit.thing, None)
        payment = self._chain.payments.get(known or "")
        now = max(self._chain.clock.chain(), self._chain.clock.wall())
        if payment is None:
            if end.money not in (None, "untouched"):
                raise Broken(UNTRUE, f"call {made.visit.number} signed in and paid nothing, and says: {end}")
        elif now < payment.expires:
            if end.nonce != known or end.money not in ("unknown", "spent"):
                raise Broken(UNTRUE, f"call {made.visit.number} signed in for what {known} paid, and says: {end}")
            self._delivered[payment.nonce] = made.visit.number
