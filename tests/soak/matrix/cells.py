"""One purchase, and what the chain says about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tests.adapters.one_request import Ask
from tests.real.world import Seller
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.receipts import outcome

from .services import EVM, Services, Stand

POLICY = Policy(per_request="0.05", per_day="1")
BODY = b'{"n": 1, "name": "caf\xc3\xa9"}'
OWNS = 1_000_000
Verdict = Literal["paid", "refused", "rejected", "wrong"]


@dataclass(frozen=True)
class Cell:
    """`paid`: the price, once, from the buyer to the seller, and the goods.

    `refused`: nothing was signed. `rejected`: the seller did not take what was signed, and nothing moved.
    """

    method: str
    shell: str
    verdict: Verdict
    words: str = ""


@dataclass(frozen=True)
class Purse:
    """A new buyer, and the chain's own word on what left it."""

    buyer: Buyer
    transfers: Callable[[], list[tuple[str, str, int, str]]]
    left: Callable[[], int]
    owner: str


def buy(services: Services, stand: Stand, method: str, shell: str, ask: Ask) -> Cell:
    purse = (_on_evm if stand.row.chain == EVM else _on_solana)(services, stand.seller)
    request = {"content": BODY} if "httpx" in shell else {"data": BODY}
    extra = request | {"headers": {"content-type": "application/json"}} if method == "POST" else {}
    finish = partial(Cell, method, shell)
    try:
        response = ask(purse.buyer, method, stand.seller.url("/paid"), timeout=60, **extra)
    except errors.X402Error as error:
        return finish(_why_not(purse, error), f"{type(error).__name__}: {error}")
    except Exception as error:
        return finish("wrong", f"{type(error).__name__}: {error}")
    if trouble := _trouble(stand.seller, purse, method, response):
        return finish("wrong", trouble)
    return finish("paid", _remark(purse, response))


def _why_not(purse: Purse, error: errors.X402Error) -> Verdict:
    if purse.transfers() or purse.left() != OWNS:
        return "wrong"
    if error.money == "untouched":
        return "refused"
    return "rejected" if error.money == "held" and len(purse.buyer.holds()) == 1 else "wrong"


def _trouble(seller: Seller, purse: Purse, method: str, response: Any) -> str:
    if response.status_code != 200:
        return f"status {response.status_code}: {response.text[:200]}"
    price = seller.price(method)
    moved = [one[:3] for one in purse.transfers()]
    if moved != [(purse.owner, _plain(seller.pay_to), price)] or purse.left() != OWNS - price:
        return f"the chain has {moved}, and {purse.left()} left of {OWNS}"
    if (goods := response.json()) != (wanted := _goods(method)) and not wanted.items() <= goods.items():
        return f"not the goods: {response.text[:200]}"
    spent = purse.buyer.spent(currency="USD (test)")
    if spent.units != price or purse.buyer.holds():
        return f"the ledger has {spent} and holds {purse.buyer.holds()}"
    return ""


def _goods(method: str) -> dict[str, Any]:
    if method == "GET":
        return {"goods": "paid"}
    return {"sha256": hashlib.sha256(BODY).hexdigest(), "length": len(BODY)}


def _remark(purse: Purse, response: Any) -> str:
    """What the seller's receipt falls short of."""
    found = outcome(response)
    if found is None or found.receipt is None:
        return "sends no receipt"
    if found.mismatches:
        return "; ".join(found.mismatches)
    [(*_, transaction)] = purse.transfers()
    return "" if found.receipt.transaction == transaction else "its receipt names another transaction"


def _plain(address: str) -> str:
    return address.lower() if address.startswith("0x") else address


def _on_evm(services: Services, seller: Seller) -> Purse:
    chain, account = services.world.chain, services.world.buyer(OWNS)
    since, mine = chain.block(), {account.address.lower(), seller.pay_to.lower()}

    def transfers() -> list[tuple[str, str, int, str]]:
        found = [(one.sender, one.to, one.value, one.tx_hash) for one in chain.transfers(since)]
        return [one for one in found if mine & {one[0], one[1]}]

    buyer = Buyer(Wallet(evm=account), POLICY, ledger=":memory:", rpc={"base-sepolia": chain.url})
    return Purse(buyer, transfers, lambda: chain.balance(account.address), account.address.lower())


def _on_solana(services: Services, seller: Seller) -> Purse:
    chain, keypair = services.world.solana, services.world.solana_buyer(OWNS)
    owner, since = str(keypair.pubkey()), chain.slot()

    def transfers() -> list[tuple[str, str, int, str]]:
        """By the buyer alone: a slot is long, and the purchase before this one may be in it too."""
        found = chain.transfers(since)
        return [(one.sender, one.to, one.amount, one.signature) for one in found if one.sender == owner]

    buyer = Buyer(Wallet(solana=keypair), POLICY, ledger=":memory:", rpc={"solana-devnet": chain.url})
    return Purse(buyer, transfers, lambda: chain.balance(keypair), owner)
