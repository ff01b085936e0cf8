"""``upto`` on EVM chains: the buyer signs a ceiling, and the seller says after its work what it takes of it.

Only the facilitator that the offer names can settle it, once. A charge of zero never touches the chain: the signature
then lives until its deadline. So the ceiling counts until the chain shows what was taken, or the deadline has passed.
"""

from __future__ import annotations

from ..model.offers import Offer, quoted
from .by_permit2 import METHOD, contract_objection, facilitator_objection
from .exact_evm import ExactEvm
from .not_paid import about_method
from .payment_flow import PAID
from .permits import permit_objection


class UptoEvm(ExactEvm):
    """Scheme ``upto`` on EVM chains: ceilings by Permit2."""

    name = "upto"

    def objection(self, offer: Offer) -> str | None:
        """Return why this offer must not be signed, or None. ``Policy(upto=...)`` says which ceilings may be."""
        return (
            _kind_objection(offer)
            or contract_objection(offer)
            or permit_objection(offer)
            or facilitator_objection(offer, self.payer)
            or self._recipient_objection(offer)
        )

    def remark(self, offer: Offer) -> str | None:
        """Return None: nothing that a seller writes about a token is signed."""
        return None


def _kind_objection(offer: Offer) -> str | None:
    method, flow = (offer.extra.get(name) for name in ("assetTransferMethod", "paymentFlow"))
    if method not in (None, METHOD):
        why = about_method(str(method)) or f"; {METHOD} is, for a ceiling"
        return f"transfer method {quoted(str(method), 40)} is not supported{why}"
    if flow not in (None, PAID[0]):
        return f"payment flow {quoted(str(flow), 40)} is not supported for a ceiling; {PAID[0]} is"
    return None
