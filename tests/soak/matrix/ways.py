"""The ways to pay besides the plain one, each with what the chain has to show after one purchase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tests.real.world import CEILING

PRICE, CHARGE, APPROVED = 10_000, 7_000, 200_000


@dataclass(frozen=True)
class Way:
    """What is bought, by whom, and what it leaves behind.

    `approved` and `left` are the allowance to Permit2 before and after it; `permits` is the number that the token took.
    """

    title: str
    path: str
    charge: int = PRICE
    approved: int = 0
    left: int = 0
    permits: int = 0
    payer: Literal["key", "safe", "undeployed account"] = "key"
    then: Literal["repeat", "visit"] = "repeat"

    @property
    def reserved(self) -> int:
        """What counts until the chain has told the charge."""
        return CEILING if "upto" in self.path else PRICE


PERMIT2 = Way("`exact` by Permit2", "/permit2", approved=APPROVED, left=APPROVED - PRICE)
UPTO = Way("`upto` by Permit2", f"/upto?charge={CHARGE}", CHARGE, APPROVED, APPROVED - CHARGE)
PERMIT = Way("`exact` by Permit2, with a permit", "/sponsored/permit2", permits=1)
UPTO_PERMIT = Way(
    "`upto` by Permit2, with a permit", f"/sponsored/upto?charge={CHARGE}", CHARGE, left=CEILING - CHARGE, permits=1
)
SAFE = Way("`exact` from a Safe with two owners of three", "/paid", payer="safe")
UNDEPLOYED = Way("`exact` from an ERC-4337 account that it deploys", "/paid", payer="undeployed account")
PERMIT2_SAFE = replace(PERMIT2, title=f"{PERMIT2.title} from such a Safe", payer="safe")
UPTO_SAFE = replace(UPTO, title=f"{UPTO.title} from such a Safe", payer="safe")
SIGN_IN = Way("`exact`, then sign-in-with-x", "/poem", then="visit")
WAYS = (SIGN_IN, PERMIT2, UPTO, PERMIT, UPTO_PERMIT, SAFE, UNDEPLOYED, PERMIT2_SAFE, UPTO_SAFE)
