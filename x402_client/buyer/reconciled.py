"""The result of ``reconcile``: each payment by what the chain said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..core.last_answer import shown_by_chain
from ..model.holds import Hold, Settled
from .settlement_reader import early, failures_of, is_in_flight


@dataclass(frozen=True, slots=True, repr=False)
class Reconciled:
    """The result of ``reconcile``: each payment that was asked about, by the answer, and those not yet expired.

    Attributes:
        released: Payments that did not settle. They were given back to the budgets.
        settled: Payments that settled. They are spent.
        unknown: Payments of which the chain could not be asked, or could not tell. So are those of which one endpoint
            alone tells that they are unused, where its word gives back no more: over a limit, or under a freeze.
        live: Payments that have not expired by the chain's own clock.
        not_expired: Unresolved payments that have not expired by this machine's clock. The chain was asked about
            ceilings alone, and showed nothing of these.
        in_flight: Payments that a call is making at this moment. They count, and the chain was not asked.
        failures: Endpoints that gave no answer about those in ``unknown``, in a sentence each. A payment is given back
            only if every endpoint that was asked says so.
    """

    released: tuple[Hold, ...] = ()
    settled: tuple[Hold, ...] = ()
    unknown: tuple[Hold, ...] = ()
    live: tuple[Hold, ...] = ()
    not_expired: tuple[Hold, ...] = ()
    in_flight: tuple[Hold, ...] = ()
    failures: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = {name: len(getattr(self, name)) for name in ("released", "settled", "unknown", "live")}
        if self.not_expired:
            found["not expired"] = len(self.not_expired)
        if self.in_flight:
            found["in flight"] = len(self.in_flight)
        return f"<Reconciled: {', '.join(f'{count} {name}' for name, count in found.items())}>"

    def with_one(self, hold: Hold, answer: Settled) -> Reconciled:
        """Return a copy with one more hold, filed by its answer.

        Args:
            hold: The payment.
            answer: The chain's answer about it.
        """
        others = tuple(one for one in self.not_expired if one.id != hold.id)
        if answer == "not_settled":
            released = (*self.released, hold.but(state="released", money="untouched"))
            return replace(self, released=released, not_expired=others)
        is_open = answer == "settled" and hold.state == "signed"
        found = shown_by_chain(hold) if is_open else hold.but(money="spent") if answer == "settled" else hold.told
        return replace(self, **{answer: (*getattr(self, answer), found)}, not_expired=others)

    def with_failures(self, reader: Any) -> Reconciled:
        """Return a copy that names the endpoints which gave no answer.

        Args:
            reader: The settlement reader that was asked.
        """
        return replace(self, failures=failures_of(reader, self.unknown))


def not_asked(holds: Iterable[Hold]) -> Reconciled:
    """Return those about which the chain is not asked: they have not expired, or are in flight."""
    listed = list(holds)
    return Reconciled(
        not_expired=tuple(hold.told for hold in listed if early(hold)),
        in_flight=tuple(hold.told for hold in listed if is_in_flight(hold)),
    )
