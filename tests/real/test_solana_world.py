"""Solana's part of the world, without the library: real payments, once, and what a node may do to them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair

from . import by_hand
from .by_hand import BODY, ask
from .by_hand_solana import Payment, header
from .solana import PYUSD_DEVNET, USDC_DEVNET, SolanaChain, token_account
from .world import SELLERS_MEMO, SOLANA_SELLERS, Seller, World

pytestmark = pytest.mark.foreign

SIGNATURE_FEES = 10_000


@pytest.fixture(params=SOLANA_SELLERS)
def seller(request: pytest.FixtureRequest, world: World) -> Seller:
    return world.seller(request.param)


@pytest.fixture
def v2(world: World) -> Seller:
    return world.seller("svm-v2")


@pytest.fixture
def buyer(world: World) -> Keypair:
    return world.solana_buyer(1_000_000)


class Deal:
    """Terms asked for and a payment made ready: changed by a test, or not, and then paid."""

    def __init__(
        self, http: httpx.Client, chain: SolanaChain, seller: Seller, buyer: Keypair, path: str, method: str, offer: int
    ) -> None:
        self._http, self._seller, self._chain = http, seller, chain
        self._path, self._method, self._buyer = path, method, buyer
        self.terms = by_hand.quote(ask(http, seller.url(path), method))
        self.offer: dict[str, Any] = self.terms["accepts"][offer]
        self.payment = Payment.of(self.offer, buyer, chain.blockhash())
        self.slot, self._before = chain.slot(), self._read()

    def pay(self) -> httpx.Response:
        """The same bytes each time, unless the payment was changed."""
        carried = header(self._seller, self.terms, self.payment)
        return ask(self._http, self._seller.url(self._path), self._method, carried)

    def receipt(self, response: httpx.Response) -> dict[str, Any]:
        return by_hand.receipt(self._seller, response)

    def moved(self) -> tuple[int, ...]:
        """Tokens of the buyer and the seller, SOL of the buyer and the fee payer: now minus before."""
        return tuple(now - before for now, before in zip(self._read(), self._before, strict=True))

    def _read(self) -> tuple[int, ...]:
        chain, mint = self._chain, self.offer["asset"]
        owners = (self._buyer, self._seller.pay_to)
        purses = (self._buyer, self.offer["extra"]["feePayer"])
        return *(chain.balance(one, mint) for one in owners), *(chain.lamports(one) for one in purses)


@pytest.fixture
def deal(http: httpx.Client, world: World) -> Any:
    def make(
        seller: Seller, buyer: Keypair, path: str = "/paid", method: str = "GET", offer: int = 0, where: World = world
    ) -> Deal:
        return Deal(http, where.solana, seller, buyer, path, method, offer)

    return make


def pays(world: World, deal: Deal, buyer: Keypair, price: int) -> httpx.Response:
    """Pays, and finds on the chain what a payment must leave there."""
    response = deal.pay()
    assert response.status_code == 200, response.text
    receipt = deal.receipt(response)
    assert receipt["success"] is True
    assert receipt["payer"] == str(buyer.pubkey())
    [transfer] = [one for one in world.solana.transfers(deal.slot) if one.signature == receipt["transaction"]]
    assert (transfer.sender, transfer.to) == (str(buyer.pubkey()), deal.offer["payTo"])
    assert (transfer.mint, transfer.amount) == (deal.offer["asset"], price)
    landed = world.solana.transaction(receipt["transaction"])
    assert landed is not None
    assert landed["meta"]["err"] is None
    priority = -(-deal.payment.unit_limit * deal.payment.unit_price // 1_000_000)
    assert landed["meta"]["fee"] == SIGNATURE_FEES + priority
    assert deal.moved() == (-price, price, 0, -landed["meta"]["fee"])
    assert world.solana.lamports(buyer) == 0
    return response


# --- sellers


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pays_exactly_the_price(world: World, deal: Any, seller: Seller, buyer: Keypair, method: str) -> None:
    response = pays(world, deal(seller, buyer, method=method), buyer, seller.price(method))
    if method == "POST":
        digest = hashlib.sha256(BODY).hexdigest()
        assert response.json() == {"sha256": digest, "length": len(BODY), "content_type": "application/x-question"}


def test_pays_in_a_token_of_token_2022(world: World, deal: Any, seller: Seller) -> None:
    buyer = world.solana_buyer(50_000, PYUSD_DEVNET)
    made = deal(seller, buyer, "/token2022")
    assert made.offer["asset"] == PYUSD_DEVNET
    pays(world, made, buyer, 10_000)


def test_the_network_is_named_as_the_version_does(deal: Any, seller: Seller, buyer: Keypair) -> None:
    made = deal(seller, buyer)
    plain = seller.name in ("svm-v1", "svm-v1-own-fees")
    assert made.offer["network"] == ("solana-devnet" if plain else "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1")
    assert len(made.payment.instructions()) == (3 if plain else 4)


def test_the_sellers_memo_is_in_the_transaction(world: World, deal: Any, v2: Seller, buyer: Keypair) -> None:
    made = deal(v2, buyer, "/memo")
    assert made.offer["extra"]["memo"] == SELLERS_MEMO
    receipt = made.receipt(pays(world, made, buyer, 10_000))
    [listed] = signatures(world.solana, buyer)
    assert listed["signature"] == receipt["transaction"]
    assert listed["memo"] == f"[{len(SELLERS_MEMO.encode())}] {SELLERS_MEMO}"


def test_another_memo_than_the_sellers_is_refused(deal: Any, v2: Seller, buyer: Keypair) -> None:
    for memos in ([b"another"], [], [SELLERS_MEMO.encode(), b"another"]):
        made = deal(v2, buyer, "/memo")
        made.payment.memos, made.payment.unit_limit = memos, 90_000
        assert made.pay().status_code == 402
        assert made.moved() == (0, 0, 0, 0)


def test_a_hinted_blockhash_is_a_real_one(world: World, deal: Any, v2: Seller, buyer: Keypair) -> None:
    made = deal(v2, buyer, "/hint")
    assert made.payment.blockhash == made.offer["extra"]["recentBlockhash"]
    assert int(made.offer["extra"]["lastValidBlockHeight"]) > 0
    pays(world, made, buyer, 10_000)


def test_both_offers_of_one_page_can_be_paid(world: World, http: httpx.Client, deal: Any, v2: Seller) -> None:
    on_solana = world.solana_buyer()
    pays(world, deal(v2, on_solana, "/both", offer=1), on_solana, 10_000)

    on_evm, before = world.buyer(), world.chain.balance(v2.evm_pay_to)
    terms = by_hand.quote(ask(http, v2.url("/both")))
    authorization = by_hand.Authorization(terms["accepts"][0], on_evm.address)
    carried = by_hand.header(v2, terms, authorization, authorization.sign(on_evm))
    assert ask(http, v2.url("/both"), payment=carried).status_code == 200
    assert world.chain.balance(v2.evm_pay_to) - before == 10_000


def test_the_free_page_and_the_stream(http: httpx.Client, deal: Any, seller: Seller, buyer: Keypair) -> None:
    made = deal(seller, buyer, "/stream")
    assert ask(http, seller.url("/free")).status_code == 200
    assert made.moved() == (0, 0, 0, 0)
    assert made.pay().content == bytes(range(256)) * 1024


def test_the_same_header_pays_once(deal: Any, seller: Seller, buyer: Keypair) -> None:
    made = deal(seller, buyer)
    assert [made.pay().status_code for _ in range(2)] == [200, 402]
    assert made.moved()[:2] == (-10_000, 10_000)


def test_the_same_header_ten_times_at_once_pays_once(deal: Any, seller: Seller, buyer: Keypair) -> None:
    made = deal(seller, buyer)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: made.pay().status_code, range(10)))
    assert sorted(answers) == [200] + [402] * 9
    assert made.moved()[:2] == (-10_000, 10_000)


def test_many_buy_at_once(deal: Any, seller: Seller, buyer: Keypair) -> None:
    made = [deal(seller, buyer) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda one: one.pay().status_code, made))
    assert answers == [200] * 20
    assert made[0].moved()[:2] == (-200_000, 200_000)


def test_too_little_is_refused(deal: Any, seller: Seller, buyer: Keypair) -> None:
    made = deal(seller, buyer)
    made.payment.amount -= 1
    assert made.pay().status_code == 402
    assert made.moved() == (0, 0, 0, 0)


def test_a_buyer_without_money_is_refused(world: World, deal: Any, seller: Seller) -> None:
    made = deal(seller, world.solana_buyer(9_999))
    assert made.pay().status_code == 402
    assert made.moved() == (0, 0, 0, 0)


def test_a_payment_with_a_forgotten_blockhash_is_refused(own_world: World, deal: Any) -> None:
    seller, buyer = own_world.seller("svm-v1"), own_world.solana_buyer()
    last, late = (deal(seller, buyer, where=own_world) for _ in range(2))
    own_world.solana.jump(130)
    assert last.pay().status_code == 200
    own_world.solana.jump(21)
    assert late.pay().status_code == 402
    assert late.moved()[:2] == (-10_000, 10_000)  # what `last` paid


# --- what the facilitator asks of a transaction


@pytest.mark.parametrize(("memos", "status"), [(0, 200), (3, 200), (4, 402)])
def test_three_to_six_instructions(deal: Any, seller: Seller, buyer: Keypair, memos: int, status: int) -> None:
    made = deal(seller, buyer)
    made.payment.memos, made.payment.unit_limit = [b"short"] * memos, 60_000
    assert made.pay().status_code == status


@pytest.mark.parametrize(("price", "status"), [(5_000_000, 200), (5_000_001, 402)])
def test_the_unit_price_has_a_ceiling(deal: Any, v2: Seller, buyer: Keypair, price: int, status: int) -> None:
    made = deal(v2, buyer)
    made.payment.unit_price = price
    assert made.pay().status_code == status


def test_the_unit_limit_only_has_to_suffice(deal: Any, v2: Seller, buyer: Keypair) -> None:
    for limit, status in ((15_000, 402), (1_400_000, 200)):
        made = deal(v2, buyer)
        made.payment.unit_limit = limit
        assert made.pay().status_code == status


def test_more_than_the_price_is_taken_whole(deal: Any, v2: Seller, buyer: Keypair) -> None:
    made = deal(v2, buyer)
    made.payment.amount = 12_345
    assert made.pay().status_code == 200
    assert made.moved()[:2] == (-12_345, 12_345)


# --- what may go wrong on the way


def signatures(chain: SolanaChain, owner: Keypair, mint: str = USDC_DEVNET, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chain.rpc(
        "getSignaturesForAddress", str(token_account(owner, mint)), {"commitment": "confirmed"} | options
    )
    return found


def test_to_this_facilitator_a_failed_transaction_is_a_success(own_world: World, deal: Any) -> None:
    seller, buyer = own_world.seller("svm-v1"), own_world.solana_buyer()
    made = deal(seller, buyer, where=own_world)
    own_world.solana.fail_sends()

    response = made.pay()

    assert response.status_code == 200
    assert made.receipt(response)["success"] is True
    [failed] = signatures(own_world.solana, buyer)
    assert (failed["signature"], failed["err"]) == (
        made.receipt(response)["transaction"],
        {"InstructionError": [2, {"Custom": 1}]},
    )
    assert made.moved()[:3] == (0, 0, 0)
    assert made.moved()[3] < 0
    assert own_world.solana.transfers(made.slot) == []


@pytest.mark.parametrize(("name", "status"), [("svm-v1", 402), ("svm-v2", 200)])
def test_what_the_facilitator_cannot_read_back_is_paid_all_the_same(
    own_world: World, deal: Any, name: str, status: int
) -> None:
    """In version 2 the seller asks for the settlement once more; in version 1 it asks for money again."""
    seller, buyer = own_world.seller(name), own_world.solana_buyer()
    made = deal(seller, buyer, where=own_world)
    own_world.solana.refuse(1, "getSignatureStatuses", door="facilitator")
    assert made.pay().status_code == status
    assert made.moved()[:2] == (-10_000, 10_000)


def test_a_dropped_transaction_never_lands(own_world: World, deal: Any) -> None:
    seller, buyer = own_world.seller("svm-v1"), own_world.solana_buyer()
    made = deal(seller, buyer, where=own_world)
    own_world.solana.drop_sends()
    assert made.pay().status_code == 402
    own_world.solana.jump(200)
    assert signatures(own_world.solana, buyer) == []
    assert made.moved() == (0, 0, 0, 0)


def test_a_late_transaction_lands_after_the_seller_gave_up(own_world: World, deal: Any) -> None:
    seller, buyer = own_world.seller("svm-v1"), own_world.solana_buyer()
    made = deal(seller, buyer, where=own_world)
    own_world.solana.hold_sends(100)
    assert made.pay().status_code == 402
    assert made.moved() == (0, 0, 0, 0)
    own_world.solana.jump(100)
    assert made.moved()[:3] == (-10_000, 10_000, 0)


def test_a_shared_chain_stays_as_it_is(world: World) -> None:
    with pytest.raises(RuntimeError, match="own_world"):
        world.solana.jump(1)
    with pytest.raises(RuntimeError, match="own_world"):
        world.solana.drop_sends()
