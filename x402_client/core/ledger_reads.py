"""The questions that a quote asks of the ledger. They are looks: nothing is claimed or counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .asks import Ask

if TYPE_CHECKING:
    from ..model.holds import Busy as Busy
    from ..model.holds import Order


class CheckOrder(Ask["Busy | None"]):
    """The order whose refusal is raised if the ledger would refuse it at this moment; Busy if its key is in use."""

    __slots__ = ("order",)

    def __init__(self, order: Order) -> None:
        self.order: Order = order


class Freezes(Ask["tuple[str, ...]"]):
    """The host patterns to which payments are stopped; ``*`` stops all."""

    __slots__ = ()
