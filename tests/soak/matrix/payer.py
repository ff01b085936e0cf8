"""One purchase in a way besides the plain one, on the EVM chain, and what chain and ledger say about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from eth_account import Account

from tests.adapters.one_request import Ask
from tests.real.chain import PERMIT2, USDC
from tests.real.wallets import Deployment, account_signature
from tests.real.world import NETWORK
from x402_client import Buyer, Policy, Wallet
from x402_client.receipts import outcome
from x402_client.signers import ContractSigner, SafeSigner

from .cells import OWNS, Cell
from .line import BREAKS, Line, Wrong, call_twice
from .services import Services, Stand
from .ways import Way

POLICY = Policy(per_request="0.05", per_day="1", upto="0.05")
GOODS = {"goods": "paid"}
_NONCES = "0x7ecebe00"
_APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"


def buy_by(way: Way, services: Services, stand: Stand, method: str, shell: str, ask: Ask) -> Cell:
    """Make the purchase of one cell: "GET", "repeat" after a broken line, or "visit" of what was bought."""
    finish = partial(Cell, method, shell)
    steps = {"GET": buy, "repeat": repeat, "visit": visit}[method]
    try:
        steps(way, services, stand, partial(ask, timeout=60))
    except Wrong as wrong:
        return finish("wrong", str(wrong))
    except Exception as error:
        return finish("wrong", f"{type(error).__name__}: {error}")
    return finish("paid")


class Payer:
    """A new wallet with money, its buyer, and what there is of both."""

    def __init__(self, way: Way, services: Services, stand: Stand) -> None:
        self.way, self.stand, self.chain = way, stand, services.world.chain
        signer, self.address, wallet = _signer(way, services)
        self.chain.mint(self.address, OWNS)
        if way.approved:
            self.chain.approve(self.address, way.approved)
        if wallet is not None:  # the chain lets no code send transactions: what was approved was so before
            services.wallets.deploy(wallet)
        self.since = self.chain.block()
        rpc = {NETWORK: self.chain.url}
        self.buyer = Buyer(Wallet(evm=signer), POLICY, ledger=":memory:", rpc=rpc, repeat=())
        self.expect("before", nothing=True)

    @property
    def counted(self) -> int:
        return self.buyer.spent(currency="USD (test)").units

    def expect(self, when: str, *, nothing: bool = False, counted: int | None = None) -> None:
        """Compare the chain and the ledger with what the way says, or with nothing having been paid."""
        way, mine = self.way, self.address.lower()
        parties = {mine, self.stand.seller.pay_to.lower()}
        moved = [
            (one.sender, one.to, one.value)
            for one in self.chain.transfers(self.since)
            if parties & {one.sender, one.to}
        ]
        charge = 0 if nothing else way.charge
        wanted = {
            "moved": [] if nothing else [(mine, self.stand.seller.pay_to.lower(), charge)],
            "owns": OWNS - charge,
            "allowance": way.approved if nothing else way.left,
            "permits": 0 if nothing else way.permits,
            "approved to": [] if nothing else [PERMIT2.lower()] * way.permits,
            "counted": charge if counted is None else counted,
        }
        found = {
            "moved": moved,
            "owns": self.chain.balance(self.address),
            "allowance": self.chain.allowance(self.address),
            "permits": self._permits(),
            "approved to": self._approved_to(),
            "counted": self.counted,
        }
        if found != wanted:
            raise Wrong(f"{when}: found {found}, expected {wanted}")

    def between(self, line: Line) -> Callable[[], None]:
        """Return what looks at a payment that did not arrive."""
        if line.breaks == "after":
            return lambda: None
        return partial(self.expect, "before the repeat", nothing=True, counted=self.way.reserved)

    def _approved_to(self) -> list[str]:
        """Return whom the token let take from the wallet since, each time."""
        if self.chain.block() <= self.since:
            return []
        topics = [_APPROVAL, "0x" + self.address[2:].lower().zfill(64)]
        wanted = {"address": USDC, "fromBlock": hex(self.since + 1), "topics": topics}
        return ["0x" + log["topics"][2][-40:] for log in self.chain.rpc("eth_getLogs", wanted)]

    def _permits(self) -> int:
        data = _NONCES + self.address[2:].lower().zfill(64)
        return int(self.chain.rpc("eth_call", {"to": USDC, "data": data}, "latest"), 16)


def buy(way: Way, services: Services, stand: Stand, ask: Ask) -> Payer:
    payer = Payer(way, services, stand)
    _delivered(ask(payer.buyer, "GET", stand.seller.url(way.path)))
    _settled(payer)
    return payer


def visit(way: Way, services: Services, stand: Stand, ask: Ask) -> None:
    """Buy once, and ask twice more: a sign-in opens it, and nothing is paid."""
    payer = buy(way, services, stand, ask)
    for _ in range(2):
        response = ask(payer.buyer, "GET", stand.seller.url(way.path))
        _delivered(response, "untouched")
        payer.expect("after a sign-in")


def repeat(way: Way, services: Services, stand: Stand, ask: Ask) -> None:
    """Break the line around the payment, and make the same call again: it presents the same payment."""
    for breaks in BREAKS:
        payer = Payer(way, services, stand)
        with Line(stand.seller.base_url, breaks) as line:
            response = call_twice(
                line, payer.buyer, lambda buyer, url: ask(buyer, "GET", url + way.path), payer.between(line)
            )
        if response is not None:
            _delivered(response)
        _settled(payer, is_open=response is None)


def _delivered(response: Any, money: str = "spent") -> None:
    found = outcome(response)
    if response.status_code != 200 or response.json() != GOODS:
        raise Wrong(f"status {response.status_code}: {response.text[:200]}")
    if found is None or found.money != money or found.mismatches:
        raise Wrong(f"the outcome is {found}")


def _settled(payer: Payer, *, is_open: bool = False) -> None:
    """See the price or charge once, and the same in the ledger once the chain was asked: also if no content came."""
    payer.buyer.reconcile()
    payer.expect("after")
    if bool(holds := payer.buyer.holds()) != is_open:
        raise Wrong(f"the ledger holds {holds}")


def _signer(way: Way, services: Services) -> tuple[Any, str, Deployment | None]:
    """Return the signer, its address, and the wallet that has to be deployed first."""
    owners = [Account.create() for _ in range(3)]
    if way.payer == "key":
        return owners[0], owners[0].address, None
    if way.payer == "safe":
        safe = services.wallets.safe([owner.address for owner in owners], 2)
        return SafeSigner(safe.address, owners[:2]), safe.address, safe
    later = services.wallets.account(owners[0].address)
    address, deploy = later.address, (later.factory, later.calldata)
    sign = partial(account_signature, address, owners[0])
    return ContractSigner(address, sign_digest=sign, deploy=deploy), address, None
