"""Request for something that has a price, with or without a payment, and the ways to answer it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from . import evm, solana
from .answers import Answer, Request, opened, page, redirect, sealed
from .permits import sponsored_permit
from .play_money import EVM, V1_NAMES
from .records import Settlement
from .sign_ins import SignIns
from .statements import Alter, SellerSignatures
from .terms import PAYMENT, RECEIPT, Goods, Seller, offers, payment_required, sponsoring

_UNCHANGED: Any = object()


class SaleShop(Protocol):
    """Parts of a shop that a sale needs."""

    url: str
    slow: float
    seller: Seller
    sign_ins: SignIns
    signatures: SellerSignatures
    alterations: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]

    def chain(self, network: str) -> evm.EvmChain | solana.SolanaChain: ...
    def settled(self, settlement: Settlement) -> None: ...


class Sale:
    """Sale, made for one request."""

    def __init__(self, shop: SaleShop, goods: Goods, request: Request, plain_path: str) -> None:
        self._shop, self._goods, self._request = shop, goods, request
        #: The path at which the same goods are sold without a fault.
        self.plain_path: str = plain_path
        self.slow: float = shop.slow
        self._offers = offers(goods, shop.seller, shop.url + request.path)
        self._settlement: Settlement | None = None
        header = request.headers.get(PAYMENT[goods.version])
        #: The payment in the header. Empty if the header cannot be read, and None if there is none.
        self.payment: dict[str, Any] | None = None if header is None else (opened(header) or {})
        self.network: str = next((n for n, v1 in V1_NAMES.items() if self._network_name in (n, v1)), EVM)
        self.offer: dict[str, Any] | None = self._matched()
        self.nonce: str | None = None if self.payment is None else self._nonce(header or "")

    @property
    def version(self) -> int:
        """Return the version of the protocol by which it is sold."""
        return self._goods.version

    @property
    def elsewhere(self) -> str:
        """Return this seller's URL under another host's name."""
        return self._shop.url.replace("127.0.0.1", "localhost")

    @property
    def _network_name(self) -> str:
        """Return the network, as the payment or the first offer names it."""
        accepted = (self.payment or {}).get("accepted")
        place = accepted if isinstance(accepted, dict) else self.payment or next(iter(self._offers), {})
        return str(place.get("network"))

    @property
    def account(self) -> str | None:
        """Return the account that signed in, or None."""
        return self._shop.sign_ins.account(self._request.headers, self._shop.url + self._request.path)

    def ask(
        self,
        error: str = "payment required",
        alter: Any = None,
        challenge: Any = None,
        signs: Callable[[list[dict[str, Any]]], dict[str, Any]] | None = None,
        permit: Any = None,
    ) -> Answer:
        """Answer with the 402. A fault may want altered offers, challenge, signed offers, or a ``permit`` asked for."""
        accepts = [alter(offer) for offer in self._offers] if alter else self._offers
        url, goods = self._shop.url + self._request.path, self._goods
        extensions: dict[str, Any] = {}
        if goods.sign_in or challenge is not None:
            extensions |= self._shop.sign_ins.challenge(url, goods.networks, challenge)
        if signs is not None or goods.offer_receipt:
            extensions |= self.signed_offers(accepts) if signs is None else signs(accepts)
        if goods.sponsored or permit:
            extensions |= sponsoring(permit)
        return payment_required(goods.version, url, accepts, error, goods.description, extensions)

    def signed_offers(
        self, accepts: list[dict[str, Any]], alter: Alter | None = None, forged: bool = False
    ) -> dict[str, Any]:
        """Return the extension with the signed offers."""
        return self._shop.signatures.offers(self._shop.url + self._request.path, accepts, alter, forged)

    def refuse(self, error: str, twice: bool = False) -> Answer:
        """Answer a payment with the 402, at the same price or at twice the price."""
        if not twice:
            return self.ask(error)
        assert self._goods.price is not None
        dearer = self._goods.but(price=self._goods.price + self._goods.price)
        return Sale(self._shop, dearer, self._request, self.plain_path).ask(error)

    def settle(self) -> str | None:
        """Take the money, or return the reason if that cannot be done."""
        if self.offer is None:
            return "the payment is for terms that are not on offer"
        done = self._take(self._goods.units_taken)
        if isinstance(done, str):
            return done
        self._settlement = done
        return None

    def take_all(self) -> None:
        """Take the whole ceiling, without regard to the receipt."""
        self._take(None)

    def _take(self, units: int | None) -> Settlement | str:
        assert self.offer is not None
        payload, path = (self.payment or {}).get("payload"), self._goods.path
        chain = self._shop.chain(self.network)
        if isinstance(chain, evm.EvmChain):
            done = chain.settle(payload, self.offer, path, units, sponsored_permit(self.payment))
        else:
            done = chain.settle(payload, self.offer, path)
        if not isinstance(done, str) and done.transaction:
            self._shop.settled(done)
        return done

    def receipt(self) -> dict[str, Any]:
        """Return the seller's claim about the settlement."""
        done = self._settlement
        assert done is not None
        said = {"success": True, "transaction": done.transaction, "network": self._network_name, "payer": done.payer}
        said |= {"amount": str(done.amount)} if self._goods.upto else {}
        return self.signed_receipt(said) if self._goods.offer_receipt else said

    def signed_receipt(self, said: dict[str, Any], alter: Alter | None = None, forged: bool = False) -> dict[str, Any]:
        """Return a receipt with the seller's signature."""
        url = self._shop.url + self._request.path
        return said | {"extensions": self._shop.signatures.receipt(url, said, alter, forged)}

    def pretend(self, amount: int, transaction: str) -> dict[str, Any]:
        """Return a receipt for a payment that was verified and not settled."""
        payer = "" if self._settlement is None else self._settlement.payer
        said = {"success": True, "transaction": transaction, "network": self._network_name, "amount": str(amount)}
        return said | ({"payer": payer} if payer else {})

    def problem(self) -> str | None:
        """Return why the payment would not be settled. None: it would."""
        if self.offer is None:
            return "the payment is for terms that are not on offer"
        chain, payload = self._shop.chain(self.network), (self.payment or {}).get("payload")
        if isinstance(chain, evm.EvmChain):
            return chain.verify(payload, self.offer, sponsored_permit(self.payment))
        return chain.verify(payload, self.offer)

    def execute_permit(self) -> None:
        """Submit the permit that the payment brings along, and take nothing."""
        given, chain = sponsored_permit(self.payment), self._shop.chain(EVM)
        if given is not None and isinstance(chain, evm.EvmChain):
            chain.execute(given)

    def deliver(self, receipt: Mapping[str, Any] | None = None, receipt_text: str | None = _UNCHANGED) -> Answer:
        """Answer with the content, and with the receipt as it is or as a fault wants it."""
        text = sealed(receipt or self.receipt()) if receipt_text is _UNCHANGED else receipt_text
        return page(self._content, headers=None if text is None else {RECEIPT[self._goods.version]: text})

    def open(self) -> Answer:
        """Answer with the content, which was bought before."""
        return page(self._content)

    @property
    def _content(self) -> Any:
        plain = {"paid": str(self._goods.price), "received": len(self._request.body), "content": "worth it"}
        return plain if self._goods.content is None else self._goods.content

    def deliver_again(self, done: Settlement) -> Answer:
        """Answer with the content, for a payment that was settled before."""
        self._settlement = done
        return self.deliver()

    def redirect(self, to: str) -> Answer:
        """Answer with a redirect and a receipt."""
        return redirect(to, 303, {RECEIPT[self._goods.version]: sealed(self.receipt())})

    def buy(self) -> Answer:
        """Settle and deliver, without a fault."""
        problem = self.settle()
        return self.refuse(problem) if problem else self.deliver()

    def _matched(self) -> dict[str, Any] | None:
        """Return the offer that the payment is for. An offer that a fault altered is honoured as altered."""
        if self.payment is None:
            return None
        made = [*self._offers, *(alter(offer) for alter in self._shop.alterations for offer in self._offers)]
        if self._goods.version == 2:
            accepted = self.payment.get("accepted")
            return next((offer for offer in made if offer == accepted), None)
        # In version 1 a payment does not repeat the offer: it is the one that the payment is good for.
        fitting = [offer for offer in made if offer["network"] == self.payment.get("network")]
        payload, chain = self.payment.get("payload"), self._shop.chain(self.network)
        good = (offer for offer in fitting if chain.verify(payload, offer) is None)
        return next(good, None) or next(iter(fitting), None)

    def _nonce(self, header: str) -> str:
        payload = (self.payment or {}).get("payload")
        found = evm.nonce_of(payload) if self.network == EVM else solana.nonce_of(payload, self._goods.memo)
        return found or hashlib.sha256(header.encode()).hexdigest()
