"""Names a purchase: what the caller asked for, and not where a seller leads. A quote is bound to that name, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import BodyNotReplayable, PaymentRefused, X402Error
from ..model.holds import Purchase
from .asks import Digest
from .call import tool_identity
from .drive import Flow

if TYPE_CHECKING:
    from .call import Call, HttpRequest
    from .digests import BodyDigest
    from .rules import Rules


#: What terms hold for where the user says that no price goes by the body.
_ANY_BODY = b"any body"


class PaidByItself(X402Error):
    """The error for a request whose body carries its payment already. It reaches no caller."""


def purchase_of(call: Call, rules: Rules) -> Flow[Purchase]:
    """Return the purchase of this call: its name and the request it stands for.

    The rule: "A purchase is what the caller asked for. Its name is ... of the first request of the call that we see,
    wherever a seller's redirects lead before the 402, or the caller's own key".
    """
    if isinstance(call.body, BodyNotReplayable):
        raise call.body
    here = yield from Digest()
    call.tool, call.number, call.product = here.tool, here.number, here.product
    if not here.is_message and rules.policy.pays_any_body_ahead(call.origin):
        call.product = _ANY_BODY
    if here.hands_off:
        raise PaidByItself("This tool call carries its payment in its own _meta, so none is made here.")
    request = request_name(*_request_of(call, call.body or here, here.tool))
    moved = call.hop or here.former != here.digest
    former = request_name(call.hop or call.identity, here.former) if moved else request
    kind, what = ("request", request) if call.mandate.key is None else ("key", call.mandate.key)
    name = _name(rules.purse, kind, what)
    was = None if former == request else (name if kind == "key" else _name(rules.purse, kind, former), former)
    payers = rules.means.payers
    return Purchase(name, request, kind == "key", call.method, call.url, call.origin, rules.purse, payers, was)


def _request_of(call: Call, body: BodyDigest, is_tool: bool) -> tuple[str, bytes]:
    """Return the identity of the request and the digest of its body.

    The rule: "A JSON-RPC tools/call has one name on HTTP and in MCP alike: endpoint, tool, canonical arguments". Over
    the older transport of MCP a session posts elsewhere than to its endpoint, and to a new place at each connection.
    """
    if not is_tool:
        return call.identity, body.digest
    return tool_identity(call.identity, call.endpoint), body.digest


def is_request_of(known: Purchase, request: HttpRequest, body: BodyDigest, headers: Iterable[str] = ()) -> bool:
    """Return True if a purchase in a ledger stands for this request, by its name now or by that of version 0.1.

    ``headers`` are those that tell requests of this buyer apart.
    """
    identity = request.identity(headers)
    names = (tool_identity(identity) if body.tool else identity, body.digest), (request.former_identity(), body.former)
    return known.request in [request_name(*name) for name in names]


def is_key_of(known: Purchase, key: str | None) -> bool:
    """Return True if a purchase in a ledger was made under this key. None: it was made under none."""
    return not known.keyed if key is None else known.id == _name(known.purse, "key", key)


def known_purchase(call: Call, rules: Rules) -> Flow[Purchase]:
    """Return the purchase of this call. It is named once."""
    if call.purchase is None:
        call.purchase = yield from purchase_of(call, rules)
    return call.purchase


def request_name(identity: str, body: bytes) -> str:
    """Return the name of a request in every purse, of its identity and the digest of its body."""
    return hashlib.sha256(b"\0".join((identity.encode(), body))).hexdigest()


def _name(purse: str, kind: str, what: str) -> str:
    return hashlib.sha256(f"{kind} {len(purse)} {purse} {what}".encode()).hexdigest()


def check_quoted(call: Call) -> None:
    """Refuse another request than the one that the caller's quote was asked for."""
    quote = call.mandate.quote
    if quote is None or (quote.request == call.asked if quote.request else quote.url == call.url):
        return
    raise PaymentRefused(
        f"This purchase is bound to a quote that was asked for another request ({quote.url}) than {call.method} "
        f"{call.url}. Quote this request, method and query included, or leave quote= out. Nothing was paid."
    )
