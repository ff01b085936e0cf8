"""One purchase, and what the chain says about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from tests.adapters.one_request import Ask
from tests.real.world import PRICES, Seller
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.receipts import outcome

from .line import BREAKS, Line, Wrong, call_twice
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
    """Make the purchase of one cell."""
    if method == "repeat":
        return repeat(services, stand, shell, ask)
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


def repeat(services: Services, stand: Stand, shell: str, ask: Ask) -> Cell:
    """Break the line around a payment, before it arrives and after it was settled, and make the same call again."""
    finish = partial(Cell, "repeat", shell)
    for breaks in BREAKS:
        # Alone the buyer would present a payment again within the first call.
        purse = (_on_evm if stand.row.chain == EVM else _on_solana)(services, stand.seller, repeat=())
        call = partial(_paid_over, ask)
        try:
            with Line(stand.seller.base_url, breaks) as line:
                response = call_twice(line, purse.buyer, call, partial(_unmoved, purse, line))
        except Exception as error:
            return finish("wrong", f"{breaks}: {type(error).__name__}: {error}")
        if trouble := _moved(stand.seller, purse, "GET") or _open(purse, response):
            return finish("wrong", f"{breaks}: {trouble}")
    return finish("paid")


def _paid_over(ask: Ask, buyer: Buyer, url: str) -> Any:
    return ask(buyer, "GET", url + "/paid", timeout=60)


def _unmoved(purse: Purse, line: Line) -> None:
    if line.breaks == "before" and (purse.transfers() or purse.left() != OWNS):
        raise Wrong(f"the chain has {purse.transfers()}")


def _open(purse: Purse, response: Any) -> str:
    """Return what is not as it has to be in the ledger, or in the goods that the repeat brought."""
    if response is not None and (response.status_code != 200 or not _goods("GET").items() <= response.json().items()):
        return f"status {response.status_code}: {response.text[:200]}"
    spent, holds = purse.buyer.spent(currency="USD (test)"), purse.buyer.holds()
    if spent.units != PRICES["GET"] or len(holds) != (response is None):
        return f"the ledger has {spent} and holds {holds}"
    return ""


def _why_not(purse: Purse, error: errors.X402Error) -> Verdict:
    if purse.transfers() or purse.left() != OWNS:
        return "wrong"
    if error.money == "untouched":
        return "refused"
    return "rejected" if error.money == "held" and len(purse.buyer.holds()) == 1 else "wrong"


def _trouble(seller: Seller, purse: Purse, method: str, response: Any) -> str:
    if response.status_code != 200:
        return f"status {response.status_code}: {response.text[:200]}"
    if trouble := _moved(seller, purse, method):
        return trouble
    if (goods := response.json()) != (wanted := _goods(method)) and not wanted.items() <= goods.items():
        return f"not the goods: {response.text[:200]}"
    spent = purse.buyer.spent(currency="USD (test)")
    if spent.units != seller.price(method) or purse.buyer.holds():
        return f"the ledger has {spent} and holds {purse.buyer.holds()}"
    return ""


def _moved(seller: Seller, purse: Purse, method: str) -> str:
    """Return what the chain has besides the price, once, or instead of it."""
    price, moved = seller.price(method), [one[:3] for one in purse.transfers()]
    if moved == [(purse.owner, _plain(seller.pay_to), price)] and purse.left() == OWNS - price:
        return ""
    return f"the chain has {moved}, and {purse.left()} left of {OWNS}"


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
    same = found.receipt.transaction.removeprefix("0x") == transaction.removeprefix("0x")
    return "" if same else "its receipt names another transaction"


def _plain(address: str) -> str:
    return address.lower() if address.startswith("0x") else address


def _on_evm(services: Services, seller: Seller, **more: Any) -> Purse:
    chain, account = services.world.chain, services.world.buyer(OWNS)
    since, mine = chain.block(), {account.address.lower(), seller.pay_to.lower()}

    def transfers() -> list[tuple[str, str, int, str]]:
        found = [(one.sender, one.to, one.value, one.tx_hash) for one in chain.transfers(since)]
        return [one for one in found if mine & {one[0], one[1]}]

    buyer = Buyer(Wallet(evm=account), POLICY, ledger=":memory:", rpc={"base-sepolia": chain.url}, **more)
    return Purse(buyer, transfers, lambda: chain.balance(account.address), account.address.lower())


def _on_solana(services: Services, seller: Seller, **more: Any) -> Purse:
    chain, keypair = services.world.solana, services.world.solana_buyer(OWNS)
    owner, since = str(keypair.pubkey()), chain.slot()

    def transfers() -> list[tuple[str, str, int, str]]:
        """By the buyer alone: a slot is long, and the purchase before this one may be in it too."""
        found = chain.transfers(since)
        return [(one.sender, one.to, one.amount, one.signature) for one in found if one.sender == owner]

    buyer = Buyer(Wallet(solana=keypair), POLICY, ledger=":memory:", rpc={"solana-devnet": chain.url}, **more)
    return Purse(buyer, transfers, lambda: chain.balance(keypair), owner)
