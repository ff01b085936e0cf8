"""The rules that hold for every call of a buyer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..policy.choice import Means
    from ..policy.policy import Policy
    from ..wire.bounds import Bounds
    from .ports import Scheme
    from .sign_in_scheme import SignInScheme
    from .statement_checks import StatementChecks


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rules:
    """The policy, the schemes and the switches of one buyer."""

    policy: Policy
    means: Means
    schemes: Mapping[tuple[str, str], Scheme]
    bounds: Bounds
    sign_in: SignInScheme
    statements: StatementChecks
    purse: str = "default"
    on_refusal: Literal["raise", "return"] = "raise"
    #: True if every payment needs approval: there is an approver and no threshold.
    approve_all: bool = False
    #: True if there is an approver to ask.
    can_ask: bool = False
    #: Returns why that one can ask no person now, as the end of a sentence. "": it can.
    cannot_ask: Callable[[], str] = str
    #: Terms older than this many seconds are looked at again before they are signed.
    terms_age: float = 30.0
    #: Seconds that the answer to a payment may take at least. None: as long as the client says.
    settle_timeout: float | None = None
    #: Methods whose payment is presented once more within one call.
    repeat: frozenset[str] = frozenset({"GET", "PUT", "DELETE"})
