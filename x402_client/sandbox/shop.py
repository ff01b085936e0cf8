"""Seller behind the socket: the goods at each path, the faults that were ordered, and the visits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..buyer.wallet import Wallet
from ..errors import ConfigurationError
from ..signers.evm import LocalEvmSigner
from . import evm_rpc
from .answers import Answer, Request, page
from .catalogue import PATHS, catalogue
from .evm import EvmChain
from .faults import FAULTS, Fault
from .index import about, index
from .jsonrpc import answer
from .play_money import CHAINS, EVM, EVM_TOKEN, Keyring
from .records import Clock, Settlement, Visit
from .sale import Sale
from .sign_ins import SignIns
from .solana import SolanaChain
from .statements import SellerSignatures
from .terms import Goods, Seller

#: First parts of a path that say how the goods are sold. Paths of goods may have them too.
_PREFIXES: Mapping[str, Mapping[str, Any]] = {
    "v1": {"version": 1},
    "v1-caip2": {"version": 1, "plain": False},
    "redeliver": {"redeliver": True},
    "upfront": {"upfront": True},
    "sign-in": {"sign_in": True},
    "permit2": {"permit2": True},
    "upto": {"upto": True},
    "offer-receipt": {"offer_receipt": True},
    "sponsored": {"sponsored": True},
    "sound": {},
    "fault": {},
    **{name: {"networks": (network,)} for name, network in CHAINS.items()},
}
_RESERVED = ("fault", "sound", "rpc", "about", "settlements", "wallet", "discovery")
#: Units of each token in a wallet that ``POST /wallet`` makes: a hundred dollars.
_GIFT = 100_000_000
#: Units of its EVM token that a wallet made here has approved to Permit2: a dollar.
APPROVED = 1_000_000
_DEFAULT = "/weather"


@dataclass(slots=True)
class Shelf:
    """Goods for sale, and the faults that are ordered for them."""

    goods: Goods
    always: Fault | None = None
    orders: deque[Fault | None] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Route:
    """Goods that a request asks for, as its path offers them."""

    shelf: Shelf
    goods: Goods
    path: str
    fault: Fault | None = None
    sound: bool = False


class Shop:
    """Shop with its chains, goods and records. Safe between threads."""

    clock: Clock
    keys: Keyring
    redeliver: bool
    slow: float

    def __init__(self, slow: float, redeliver: bool) -> None:
        self.clock, self.keys = Clock(), Keyring()
        self.evm: EvmChain = EvmChain(EVM_TOKEN, self.clock, self.keys.knows)
        self.solana: SolanaChain = SolanaChain(self.clock, self.keys.knows)
        self.signatures: SellerSignatures = SellerSignatures()
        self.seller: Seller = Seller(
            self.signatures.address, lambda: self.solana.seller, lambda: self.solana.fee_payer,
            LocalEvmSigner.generate().address,
        )  # fmt: skip
        self.sign_ins: SignIns = SignIns()
        self.slow, self.redeliver = slow, redeliver
        self.url = ""
        self.alterations: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = tuple(
            fault.terms for fault in FAULTS.values() if fault.terms is not None
        )
        self.settlements: list[Settlement] = []
        self.visits: list[Visit] = []
        self._lock = threading.Lock()
        self._shelves: dict[str, Shelf] = {}
        self._orders: deque[Fault | None] = deque()
        #: Faults that happened, each with the payment that met it.
        self._done: set[tuple[str, str]] = set()

    def chain(self, network: str) -> EvmChain | SolanaChain:
        """Return the chain of a network."""
        return self.evm if network == EVM else self.solana

    def put(self, goods: Goods, fault: str | Iterable[str | None] | None) -> None:
        """Offer something, or change its offer."""
        parts = goods.path.split("/")
        if not goods.path.startswith("/") or len(parts[1]) == 0 or parts[1] in _RESERVED or "?" in goods.path:
            raise ConfigurationError(
                f"{goods.path!r} cannot be sold: a path starts with a slash and has no query, and "
                f"{', '.join(_RESERVED)} are the sandbox's own."
            )
        always = fault_named(fault) if isinstance(fault, str) else None
        orders = () if fault is None or isinstance(fault, str) else fault
        with self._lock:
            self._shelves[goods.path] = Shelf(goods, always, deque(map(fault_named, orders)))

    def order(self, faults: Iterable[str | None]) -> None:
        """Order the faults of the next requests, for any goods."""
        self._orders.extend([fault_named(fault) for fault in faults])

    def settled(self, settlement: Settlement) -> None:
        """Record a transfer."""
        with self._lock:
            self.settlements.append(settlement)

    def answer(self, request: Request) -> Answer:
        """Answer any request."""
        path = request.path.partition("?")[0]
        own = self._own_page(path, request)
        if own is not None:
            return own
        route = self._route(path)
        if route is None:
            return page(f"There is nothing at {path}; {self.url}/ lists what there is.\n", 404)
        if route.goods.price is None and not route.goods.sign_in:
            return page({"free": True} if route.goods.content is None else route.goods.content)
        return self._sell(route, request)

    def _sell(self, route: Route, request: Request) -> Answer:
        sale = Sale(self, route.goods, request, route.path)
        before = self._delivered_before(route, sale)
        fault = None if before or route.sound else self._next_fault(route, sale)
        if before is not None:
            given = sale.deliver_again(before)
        elif fault is None and sale.payment is None and self._opens(route.goods, sale):
            given = sale.open()
        elif fault is not None:
            given = _go_wrong(fault, sale)
        else:
            given = sale.ask() if sale.payment is None else sale.buy()
        name = fault.name if fault else None
        self.visits.append(Visit(request.method, request.path.partition("?")[0], sale.nonce, given.status, name))
        return given

    def _opens(self, goods: Goods, sale: Sale) -> bool:
        """Return True if an account signed in that bought this; or any account, where it has no price."""
        account = sale.account if goods.sign_in else None
        if account is None or goods.price is None:
            return account is not None
        with self._lock:
            return any((one.payer, one.path) == (account, goods.path) for one in self.settlements)

    def _delivered_before(self, route: Route, sale: Sale) -> Settlement | None:
        """Return the settlement of a payment that was settled before, if the seller delivers again."""
        if sale.nonce is None or not route.goods.redeliver:
            return None
        done = (one for one in self.settlements if one.nonce == sale.nonce and one.path == route.goods.path)
        return next(done, None)

    def _next_fault(self, route: Route, sale: Sale) -> Fault | None:
        """Return the fault of this request, or None.

        One payment meets a fault once, unless the fault is sticky.
        """
        with self._lock:
            single = route.fault or route.shelf.always
            if single is None:
                return _next(route.shelf.orders or self._orders, sale)
            if single.on_payment != (sale.payment is not None):
                return None
            if not single.on_payment or single.sticky:
                return single
            mark = (single.name, sale.nonce or "")
            if mark in self._done:
                return None
            self._done.add(mark)
            return single

    def _route(self, path: str) -> Route | None:
        """Read a path like ``/v1/solana/fault/slow/report``: first how the goods are sold, then the goods."""
        parts, changes = path.strip("/").split("/"), dict[str, Any]()
        kept: list[str] = []
        fault: Fault | None = None
        sound = False
        while (shelf := self._shelf(parts)) is None:
            word = parts.pop(0)
            if word == "fault":
                fault = FAULTS.get(parts.pop(0)) if parts else None
            if word not in _PREFIXES or (word == "fault" and fault is None):
                return None
            sound = sound or word == "sound"
            changes |= _PREFIXES[word]
            kept += [] if word in ("sound", "fault") else [word]
        plain = "/" + "/".join(["sound", *kept, *(parts or [_DEFAULT[1:]])])
        return Route(shelf, replace(shelf.goods, **changes), plain, fault, sound)

    def _shelf(self, parts: list[str]) -> Shelf | None:
        """Return the shelf at these parts of a path. Without parts it is the default one."""
        with self._lock:
            return self._shelves.get("/" + "/".join(parts) if parts else _DEFAULT)

    def _own_page(self, path: str, request: Request) -> Answer | None:
        if path in ("/rpc/evm", "/rpc/solana"):
            return Answer(200, self._rpc(path, request.body), {"Content-Type": "application/json"})
        if path == "/":
            return page(index(self.url, self._goods()))
        if path in PATHS:
            return catalogue(request.path, self._goods(), self.seller, self.url, self.clock.now())
        if path == "/about":
            return page(about(self.url))
        if path == "/settlements":
            return page([_shown(one) for one in self.settlements])
        if path == "/wallet" and request.method == "POST":
            return page(self._new_wallet())
        return None

    def _goods(self) -> list[Goods]:
        with self._lock:
            return [shelf.goods for shelf in self._shelves.values()]

    def _new_wallet(self) -> dict[str, Any]:
        """Make throw-away keys with invented money, for programs that are not in this process."""
        keys = {"evm": self.keys.evm_key(), "solana": self.keys.solana_key()}
        wallet = Wallet(keys["evm"], keys["solana"])
        assert wallet.evm is not None
        assert wallet.solana is not None
        addresses = {"evm": wallet.evm.address, "solana": wallet.solana.address}
        for name, address in addresses.items():
            self.chain(CHAINS[name]).fund(address, _GIFT)
        self.evm.permit2.approve(addresses["evm"], APPROVED)
        return {name: {"address": addresses[name], "key": key} for name, key in keys.items()}

    def _rpc(self, path: str, body: bytes) -> bytes:
        if path == "/rpc/evm":
            return answer(evm_rpc.methods(self.evm), body)
        from . import solana_rpc

        return answer(solana_rpc.methods(self.solana), body)


def fault_named(name: str | None) -> Fault | None:
    """Return a fault by its name. None stays None."""
    if name is not None and name not in FAULTS:
        raise ConfigurationError(f"There is no fault {name!r}; there are {', '.join(FAULTS)}.")
    return None if name is None else FAULTS[name]


def _next(orders: deque[Fault | None], sale: Sale) -> Fault | None:
    """Take the next ordered fault, if it is for this kind of request. None is a payment that goes well."""
    if not orders:
        return None
    first = orders[0]
    if (first is None or first.on_payment) != (sale.payment is not None):
        return None
    return orders.popleft()


def _go_wrong(fault: Fault, sale: Sale) -> Answer:
    if fault.pay is not None:
        return fault.pay(sale)
    return fault.ask(sale) if fault.ask is not None else sale.ask(alter=fault.terms)


def _shown(done: Settlement) -> dict[str, Any]:
    return {
        "network": done.network,
        "transaction": done.transaction,
        "payer": done.payer,
        "payTo": done.pay_to,
        "amount": str(done.amount),
        "nonce": done.nonce,
        "path": done.path,
    }
