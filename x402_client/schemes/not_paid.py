"""Kinds of payment that exist and are not signed here, each with what it is: a reason that can be acted on."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.networks import SOLANA_FAMILY

#: Schemes of the specification, and of sellers in the field.
SCHEMES: Mapping[str, str] = {
    "batch-settlement": "it locks a deposit in an escrow, and the seller draws on it by vouchers that never expire",
    "auth-capture": "it locks the money in an escrow, and an operator whom the seller names takes it later",
    "deferred": "it is a promise to pay later, and nothing on a chain bounds it",
}
#: Schemes that are signed elsewhere, by the family of the chain on which they are not.
_ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("upto", SOLANA_FAMILY): (
        "it locks the whole ceiling in a payment channel, and the seller's own key says how much of it is taken"
    ),
}
#: Ways to move a token, by ``extra.assetTransferMethod``.
METHODS: Mapping[str, str] = {
    "erc7710": "it spends by a delegation that the account granted before, and no signature bounds this payment",
}
#: The name in ``extra`` by which Circle's Gateway looks like ``exact``.
GATEWAY = "GatewayWalletBatched"
GATEWAY_OBJECTION = (
    f"it pays through Circle's Gateway ({GATEWAY}), which is not supported: it draws on a deposit there, by signatures "
    "that are good for a week and that no chain shows"
)


def about_scheme(name: str, family: str = "") -> str:
    """Return what a scheme is that is not signed, to stand at the end of a reason; "" if it is not known."""
    found = SCHEMES.get(name) or _ELSEWHERE.get((name, family))
    return f": {found}" if found else ""


def about_method(name: str) -> str:
    """Return what a transfer method is that is not signed, to stand at the end of a reason."""
    return f": {METHODS[name]}" if name in METHODS else ""
