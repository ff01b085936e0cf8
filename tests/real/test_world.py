"""The world itself, without the library: real sellers take real payments, once, and only good ones."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from eth_account.signers.local import LocalAccount

from . import by_hand
from .by_hand import BODY, Authorization, ask
from .chain import Chain
from .world import SELLERS, Seller, World

pytestmark = pytest.mark.foreign


@pytest.fixture(params=SELLERS)
def seller(request: pytest.FixtureRequest, world: World) -> Seller:
    return world.seller(request.param)


@pytest.fixture
def buyer(world: World) -> LocalAccount:
    return world.buyer(1_000_000)


def agree(
    http: httpx.Client, seller: Seller, buyer: LocalAccount, method: str = "GET", path: str = "/paid", offer: int = 0
) -> tuple[Authorization, dict[str, str]]:
    """Asks for the terms and signs one offer: the authorization and the header that carries it."""
    terms = by_hand.quote(ask(http, seller.url(path), method))
    authorization = Authorization(terms["accepts"][offer], buyer.address)
    return authorization, by_hand.header(seller, terms, authorization, authorization.sign(buyer))


class Purses:
    """What a buyer and a seller have now, and what changed since."""

    def __init__(self, chain: Chain, buyer: LocalAccount, seller: Seller) -> None:
        self._chain, self._addresses = chain, (buyer.address, seller.pay_to)
        self._before, self.block = self._read(), chain.block()

    def _read(self) -> tuple[int, ...]:
        return tuple(self._chain.balance(address) for address in self._addresses)

    def moved(self) -> tuple[int, ...]:
        return tuple(now - before for now, before in zip(self._read(), self._before, strict=True))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pays_exactly_the_price(
    world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount, method: str
) -> None:
    purses, price = Purses(world.chain, buyer, seller), seller.price(method)
    authorization, payment = agree(http, seller, buyer, method)
    assert not world.chain.authorization_used(buyer.address, authorization.nonce)

    response = ask(http, seller.url("/paid"), method, payment)

    assert response.status_code == 200, response.text
    if method == "POST":
        digest = hashlib.sha256(BODY).hexdigest()
        assert response.json() == {"sha256": digest, "length": len(BODY), "content_type": "application/x-question"}
    assert purses.moved() == (-price, price)
    assert world.chain.authorization_used(buyer.address, authorization.nonce)
    receipt = by_hand.receipt(seller, response)
    assert receipt["success"] is True
    [transfer] = [one for one in world.chain.transfers(purses.block) if one.tx_hash == receipt["transaction"]]
    assert (transfer.sender, transfer.to, transfer.value) == (buyer.address.lower(), seller.pay_to.lower(), price)
    mined = world.chain.receipt(receipt["transaction"])
    assert mined is not None
    assert (mined["status"], int(mined["blockNumber"], 16)) == ("0x1", transfer.block)


def test_the_same_header_pays_once(world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount) -> None:
    _, payment = agree(http, seller, buyer)
    assert ask(http, seller.url("/paid"), payment=payment).status_code == 200
    purses = Purses(world.chain, buyer, seller)

    again = ask(http, seller.url("/paid"), payment=payment)

    assert again.status_code == 402
    assert purses.moved() == (0, 0)


def test_the_same_header_ten_times_at_once_pays_once(
    world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount
) -> None:
    purses, price = Purses(world.chain, buyer, seller), seller.price("GET")
    _, payment = agree(http, seller, buyer)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ask(http, seller.url("/paid"), payment=payment).status_code, range(10)))
    assert sorted(answers) == [200] + [402] * 9
    assert purses.moved() == (-price, price)


def test_many_buy_at_once(world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount) -> None:
    purses, price = Purses(world.chain, buyer, seller), seller.price("GET")
    payments = [agree(http, seller, buyer)[1] for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda payment: ask(http, seller.url("/paid"), payment=payment).status_code, payments))
    assert answers == [200] * 20
    assert purses.moved() == (-20 * price, 20 * price)


def test_an_expired_authorization_is_refused(
    world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount
) -> None:
    purses = Purses(world.chain, buyer, seller)
    terms = by_hand.quote(ask(http, seller.url("/paid")))
    late = Authorization(terms["accepts"][0], buyer.address, valid_before=int(time.time()) - 10)

    refused = ask(http, seller.url("/paid"), payment=by_hand.header(seller, terms, late, late.sign(buyer)))

    assert refused.status_code == 402
    assert purses.moved() == (0, 0)


def test_a_tampered_authorization_is_refused(
    world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount
) -> None:
    purses = Purses(world.chain, buyer, seller)
    terms = by_hand.quote(ask(http, seller.url("/paid")))
    signed, other = (Authorization(terms["accepts"][0], buyer.address) for _ in range(2))

    refused = ask(http, seller.url("/paid"), payment=by_hand.header(seller, terms, other, signed.sign(buyer)))

    assert refused.status_code == 402
    assert purses.moved() == (0, 0)


def test_a_buyer_without_money_is_refused(world: World, http: httpx.Client, seller: Seller) -> None:
    poor = world.buyer(seller.price("GET") - 1)
    purses = Purses(world.chain, poor, seller)
    _, payment = agree(http, seller, poor)
    assert ask(http, seller.url("/paid"), payment=payment).status_code == 402
    assert purses.moved() == (0, 0)


def test_the_free_page_and_the_question_cost_nothing(
    world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount
) -> None:
    purses = Purses(world.chain, buyer, seller)
    assert ask(http, seller.url("/free")).status_code == 200
    assert ask(http, seller.url("/paid")).status_code == 402
    assert purses.moved() == (0, 0)


def test_the_stream_arrives_whole(world: World, http: httpx.Client, seller: Seller, buyer: LocalAccount) -> None:
    _, payment = agree(http, seller, buyer, path="/stream")
    response = ask(http, seller.url("/stream"), payment=payment)
    assert response.status_code == 200
    assert response.content == bytes(range(256)) * 1024


@pytest.mark.parametrize("name", ["fastapi-v2", "flask-v2"])
@pytest.mark.parametrize(("offer", "price"), [(1, 40_000), (2, 30_000)])
def test_any_dollar_offer_can_be_chosen(
    world: World, http: httpx.Client, buyer: LocalAccount, name: str, offer: int, price: int
) -> None:
    seller = world.seller(name)
    purses = Purses(world.chain, buyer, seller)
    _, payment = agree(http, seller, buyer, path="/choice", offer=offer)
    assert ask(http, seller.url("/choice"), payment=payment).status_code == 200
    assert purses.moved() == (-price, price)


@pytest.mark.parametrize("name", ["fastapi-v2", "flask-v2"])
def test_the_strange_token_can_be_paid_with_too(world: World, http: httpx.Client, name: str) -> None:
    seller, price = world.seller(name), 2 * 10**16
    offer = by_hand.quote(ask(http, seller.url("/choice")))["accepts"][0]
    buyer = world.buyer(10**18, offer["asset"])
    _, payment = agree(http, seller, buyer, path="/choice")
    assert ask(http, seller.url("/choice"), payment=payment).status_code == 200
    assert world.chain.balance(seller.pay_to, offer["asset"]) % price == 0
    assert world.chain.balance(buyer.address, offer["asset"]) == 10**18 - price


def test_what_expired_on_the_chain_cannot_settle(own_world: World, http: httpx.Client) -> None:
    seller, buyer = own_world.seller("fastapi-v2"), own_world.buyer()
    authorization, payment = agree(http, seller, buyer)
    purses = Purses(own_world.chain, buyer, seller)
    own_world.chain.advance(120)

    refused = ask(http, seller.url("/paid"), payment=payment)

    assert refused.status_code == 402
    assert purses.moved() == (0, 0)
    assert not own_world.chain.authorization_used(buyer.address, authorization.nonce)
    assert own_world.chain.timestamp() > authorization.valid_before


def test_the_clock_of_a_shared_chain_stays(world: World) -> None:
    with pytest.raises(RuntimeError, match="own_world"):
        world.chain.advance(1)
