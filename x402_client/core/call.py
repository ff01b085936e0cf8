"""One call of the application, and the rules that hold for every call of a buyer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import (
    X402Error,
)
from ..model.holds import Attempt, Hold
from ..model.hosts import Origin
from ..policy.choice import Mandate, Means
from ..policy.policy import Policy
from ..wire.bounds import Bounds
from .known_terms import Memory, Terms
from .ports import Scheme


@dataclass(slots=True)
class Call:
    """One call of the application: what it asks for, and what happened to it so far."""

    method: str
    origin: Origin
    #: As it may be shown: without query.
    url: str
    #: All that tells this request from another, but for its body.
    identity: str = field(repr=False)
    mandate: Mandate = field(default_factory=Mandate)
    came_from: Origin | None = None
    #: The hold that an earlier hop of the same call presented: one call pays at most once.
    paid: Hold | None = None
    attempt: Attempt = field(default_factory=Attempt)
    #: Whether a signature was asked for: from then on every failure is raised.
    signing: bool = False
    #: What an earlier payment of this purchase ended in, if the policy accepted its loss: once in a call.
    lost: X402Error | None = None
    #: Whether the payment at hand expired so lately that the chain may yet prove it unused.
    early: bool = False
    #: Where the terms of a delivery are remembered, if they are, and those that this call was signed under.
    memory: Memory | None = None
    terms: Terms | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """What terms are remembered by. Queries differ from request to request, and prices rarely go by them."""
        return f"{self.method} {self.url}"

    def disappointed(self) -> None:
        """What was paid under remembered terms brought no content: nothing of this seller is remembered any more."""
        if self.memory is not None and self.paid is not None:
            self.memory.refused(self.place, str(self.origin))
            self.memory = None  # a redirect may still deliver; it teaches nothing


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for every call of a buyer."""

    policy: Policy
    means: Means
    schemes: Mapping[tuple[str, str], Scheme]
    bounds: Bounds
    purse: str = "default"
    on_refusal: Literal["raise", "return"] = "raise"
    #: Whether payments of any size are approved by somebody: an approver without a threshold.
    approve_all: bool = False
    #: Terms older than this many seconds are looked at again before they are signed.
    terms_age: float = 30.0
    #: Methods whose payment is presented once more within one call.
    repeat: frozenset[str] = frozenset({"GET", "PUT", "DELETE"})
