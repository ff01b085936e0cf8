"""Tells of an unresolved payment of the same request, before a tool says that the money is untouched.

A call may fail before it comes to the payment of an earlier one: the seller is down, or answers without asking for
money. What that payment is worth is in the ledger, which is looked at only then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..buyer.scopes import mandate_around
from ..core.call import HttpRequest
from ..core.digests import body_digest
from ..core.purchase_name import is_key_of, is_request_of
from ..model.holds import Hold, Outcome, Purchase
from .advice import Next, next_after_break, next_after_status
from .results import Result, failure_of

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer
    from .asking import Request

_UNPAID = " Nothing was paid."


def told(buyer: Buyer, request: Request | None, found: Result) -> Result:
    """Return a result, with the earlier payment of the same request where it said that nothing was paid."""
    if request is None or found.get("money") != "untouched":
        return found
    try:
        return among(buyer.holds(), buyer, request, found)
    except Exception:  # the ledger cannot be asked: the result says what is known of its own call
        return found


async def atold(buyer: Buyer, request: Request | None, found: Result) -> Result:
    """Async twin of ``told``."""
    if request is None or found.get("money") != "untouched":
        return found
    try:
        return among(await buyer.aholds(), buyer, request, found)
    except Exception:
        return found


def among(holds: Iterable[Hold], buyer: Buyer, request: Request, found: Result) -> Result:
    """Return a result with the first of the holds that the same call would present again, or as it is."""
    hold = next((one for one in holds if _is_out(buyer, one) and _is_same(buyer, request, one.purchase)), None)
    if hold is None:
        return found
    advice = _advice(hold, found)
    then = f"Tell the user: it is the payment {hold.id} in the ledger."
    if advice == "repeat":
        then = "Make the same call again later: it presents the same payment."
    said = str(found["says"]).removesuffix(_UNPAID).replace(f"{_UNPAID} ", " ")
    known = "paid" if hold.money == "spent" else "made a payment of"
    says = f"{said} An earlier call {known} {hold.price} to {hold.host} for this request. {then}"
    return found | failure_of(found["error"], hold.money, says, advice)


def _advice(hold: Hold, found: Result) -> Next:
    if "status" in found:
        return next_after_status(found["status"], Outcome(hold.money, hold, hold.offer))
    if found["next"] != "repeat":
        return "ask a person"
    return next_after_break(Outcome(hold.money, hold, hold.offer))


def _is_out(buyer: Buyer, hold: Hold) -> bool:
    """Return True for a payment that left, that no call presents at this moment, and that this wallet made."""
    payers = buyer.rules.means.payers
    mine = not hold.payer or not payers or hold.payer in payers
    return mine and hold.state == "signed" and not hold.in_flight


def _is_same(buyer: Buyer, request: Request, known: Purchase) -> bool:
    if not is_key_of(known, mandate_around(buyer).key):
        return False
    asked = HttpRequest.of(request.method, request.url, request.headers)
    if is_request_of(known, asked, body_digest(request.content or b"", request.content_type)):
        return True
    # The values of identity headers are the client's, and not known here.
    return bool(buyer.identity_headers) and (known.method, known.url) == (asked.method, asked.shown)
