"""A response, as the flow sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..errors import PaymentRefused
    from ..model.holds import Outcome


class Reply:
    """A response of the HTTP library, in the parts that the flow looks at. ``native`` is the library's own object.

    ``ends_here`` tells whether its connection was seen to end on this machine, at the given port and in no proxy. It is
    asked where plain http leads to a loopback address. None: not looked at, and then not believed.

    Where payment was refused, the 402 can be handed back. It then carries the ``refusal``, for ``errors.find``. It also
    carries the ``body`` that says why, which the caller reads instead of the seller's.
    """

    __slots__ = ("body", "ends_here", "header", "native", "outcome", "refusal", "status")
    ends_here: Callable[[int], bool] | None
    header: Callable[[str], str | None]
    native: Any
    outcome: Outcome | None
    status: int

    def __init__(
        self,
        status: int,
        header: Callable[[str], str | None],
        native: Any,
        outcome: Outcome | None = None,
        ends_here: Callable[[int], bool] | None = None,
    ) -> None:
        self.status, self.header, self.native, self.outcome = status, header, native, outcome
        self.ends_here = ends_here
        self.refusal: PaymentRefused | None = None
        #: The seller's own body, once it was looked at, until a refusal changes it.
        self.body: bytes | None = None
