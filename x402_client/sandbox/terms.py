"""Goods for sale, and the 402 that offers them, in both versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model.money import Money
from ..model.sandbox_settings import MARK
from ..schemes.permits import KEY
from .answers import Answer, page, sealed
from .play_money import EVM, EVM_TOKEN, SOLANA, SOLANA_TOKEN, V1_NAMES

TIMEOUT = 60
PAYMENT = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
RECEIPT = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}


@dataclass(frozen=True, slots=True)
class Goods:
    """Goods as they are offered at one path. Without a price they are free."""

    path: str
    price: Money | None
    content: Any = None
    networks: tuple[str, ...] = (EVM, SOLANA)
    version: int = 2
    #: True if version 1 writes Solana's plain name, False for its CAIP-2 name.
    plain: bool = True
    memo: str | None = None
    redeliver: bool = False
    #: True if the offers say that the money is taken before the goods are made.
    upfront: bool = False
    description: str = ""
    #: True if an account that bought it may sign in to have it again. Without a price, any account may.
    sign_in: bool = False
    #: True if the EVM token is paid by Permit2.
    permit2: bool = False
    #: True if the price is a ceiling, of which ``charge`` is taken; without one, half of it.
    upto: bool = False
    charge: Money | None = None
    #: True if the seller signs its offers and receipts.
    offer_receipt: bool = False
    #: True if the seller takes a permit, where Permit2 has no allowance.
    sponsored: bool = False

    @property
    def units_taken(self) -> int | None:
        """Return the units that are taken of a ceiling. None: it is a fixed price."""
        assert self.price is not None
        if not self.upto:
            return None
        return self.price.units // 2 if self.charge is None else self.charge.units

    def but(self, **changes: Any) -> Goods:
        """Return the same goods, offered in another way."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Seller:
    """Addresses of the seller, and the facilitator's fee payer."""

    evm: str
    solana: Callable[[], str]
    fee_payer: Callable[[], str]
    #: The account that settles ceilings.
    facilitator: str = ""


def offers(goods: Goods, seller: Seller, url: str) -> list[dict[str, Any]]:
    """Return one offer for each network."""
    return list(_offers(goods, seller, url))


def _offers(goods: Goods, seller: Seller, url: str) -> Iterator[dict[str, Any]]:
    for network in goods.networks if goods.price is not None else ():
        on_evm = network == EVM
        if (goods.permit2 or goods.upto) and (not on_evm or goods.version == 1):
            continue
        written = network if goods.version == 2 or not goods.plain else V1_NAMES[network]
        offer: dict[str, Any] = {
            "scheme": "upto" if goods.upto else "exact",
            "network": written,
            "asset": EVM_TOKEN.address if on_evm else SOLANA_TOKEN.address,
            "payTo": seller.evm if on_evm else seller.solana(),
            "maxTimeoutSeconds": TIMEOUT,
            "extra": (_evm_extra(goods, seller) if on_evm else _solana_extra(goods, seller)) | _flow(goods),
        }
        if goods.version == 2:
            yield offer | {"amount": _units(goods)}
        else:
            yield offer | _v1_fields(goods, url)


def _evm_extra(goods: Goods, seller: Seller) -> dict[str, Any]:
    method = {"assetTransferMethod": "permit2"} if goods.permit2 or goods.upto else {}
    facilitator = {"facilitatorAddress": seller.facilitator} if goods.upto else {}
    return {"name": EVM_TOKEN.name, "version": EVM_TOKEN.version, **method, **facilitator}


def sponsoring(asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the extension by which the seller takes a permit; ``asked`` is what a fault asks for in it."""
    said = {"description": "A permit (EIP-2612) is submitted for you, with the payment.", "version": "1"}
    return {KEY: {"info": said | dict(asked or {}), "schema": {"type": "object"}}}


def _flow(goods: Goods) -> dict[str, Any]:
    return {"paymentFlow": "upfront"} if goods.upfront else {}


def _solana_extra(goods: Goods, seller: Seller) -> dict[str, Any]:
    memo = {} if goods.memo is None else {"memo": goods.memo}
    return {"feePayer": seller.fee_payer(), MARK: "x402_client", **memo}


def _units(goods: Goods) -> str:
    assert goods.price is not None
    return str(goods.price.units)


def _v1_fields(goods: Goods, url: str) -> dict[str, Any]:
    return {
        "maxAmountRequired": _units(goods),
        "resource": url,
        "description": goods.description,
        "mimeType": "application/json",
        "outputSchema": None,
    }


def payment_required(
    version: int,
    url: str,
    accepts: Sequence[Mapping[str, Any]],
    error: str = "payment required",
    description: str = "",
    extensions: Mapping[str, Any] | None = None,
) -> Answer:
    """Answer with the 402. Version 2 has its terms in a header, version 1 in the body."""
    terms: dict[str, Any] = {"x402Version": version, "error": error, "accepts": list(accepts)}
    if version == 1:
        return page(terms, 402)
    resource = {"url": url, "description": description, "mimeType": "application/json"}
    return page({}, 402, {"PAYMENT-REQUIRED": sealed({**terms, "resource": resource, "extensions": extensions or {}})})
