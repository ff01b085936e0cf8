"""SIGKILL at every moment between the 402 and the last byte of the goods, and a restart on the same ledger."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.adapters.aiohttp_driver import Aiohttp
from tests.adapters.cash_register import KEY, PRICE, Then
from tests.adapters.drivers import AsyncHttpx, Driver, Httpx, Httpx2, Requests
from tests.adapters.scripted_server import Server
from tests.ledgers.redis.server import Server as Redis
from tests.real.world import World
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.buyer import ends, pending_ends
from x402_client.ledgers.redis import RedisLedger

from . import children
from .moments import Points, watched
from .settling_seller import GOODS, Shop, busy, in_pieces

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")]

#: Moments that come after the end of the body. At any other, nothing may count as delivered.
ENDED = {
    "after Close",
    "before Tell Delivered",
    "after Tell Delivered",
    f"piece {len(GOODS) - 1}",
    "after the body",
    "",
}
ENDED |= {f"piece {len(GOODS) - 1}"}
#: What a purchase passes; a matrix that misses one of them proves nothing.
EXPECTED = {f"{when} {ask}" for when in ("before", "after") for ask in ("Reserve", "SignTyped", "Send", "Close")}
EXPECTED |= {"before the body"} | {f"piece {number}" for number in range(len(GOODS))}


class Case:
    """One ledger, one shop, and one purchase, made by programs that die until one of them does not."""

    def __init__(
        self, url: str, shop: Shop, driver: type[Driver], ledger: Any, key: str | None = None, tree: bool = False,
        **buyer: Any,
    ):  # fmt: skip
        self.url, self.shop, self.driver, self.key, self.tree = url, shop, driver, key, tree
        self.ledger, self.said = ledger, buyer

    @contextlib.contextmanager
    def buyer(self) -> Iterator[Buyer]:
        """As a program that starts makes it."""
        ledger = self.ledger() if callable(self.ledger) else self.ledger
        buyer = Buyer(Wallet(evm=KEY), Policy(per_request="0.01", per_day="0.03"), ledger=ledger, **self.said)
        yield buyer
        buyer.close()

    def payer(self, buyer: Buyer) -> Any:
        """The buyer, or an allowance inside another one: both are named, so each program goes on with them."""
        if not self.tree:
            return buyer
        return buyer.allowance("0.03", minutes=60, name="run").allowance("0.03", name="step")

    def counted(self, buyer: Buyer) -> list[int]:
        """What counts in each budget: all of them count the same."""
        step = self.payer(buyer)
        above = [step.parent, step] if self.tree else []
        return [one.spent.units for one in above] + [buyer.spent().units]

    def buys(self, buyer: Buyer, points: Points | None = None) -> bytes:
        """Reads the goods piece by piece."""
        points = points or Points()
        scope = buyer.purchase(key=self.key) if self.key else contextlib.nullcontext()
        with self.driver() as shell, scope:
            answer = shell.client(self.payer(buyer)).stream("GET", self.url)
            points("before the body")
            goods = b""
            for number, piece in enumerate(iter(lambda: answer.following() or b"", b"")):
                goods += piece
                points(f"piece {number}")
            points("after the body")
            answer.close()
        return goods

    def dies(self, at: int | str, told: Path, statements: bool = False) -> str:
        """A program that is killed at this moment; which one that was. Empty: it came to its end."""

        def act() -> None:
            told.write_text(points.reached)
            children.die()

        points = Points(at, act)

        def work() -> None:
            with watched(points, statements), self.buyer() as buyer:
                assert self.buys(buyer, points) == b"".join(GOODS)
                told.write_text("")

        assert children.done(work) in (0, -9)
        return told.read_text()

    def recovers(self, moment: str) -> None:
        """The next program makes the same request until it ends. ``moment`` is when the one before it died."""
        with self.buyer() as buyer:
            settled, delivered = len(self.shop.settled), [hold.nonce for hold in buyer.history()]
            signed = [hold.nonce for hold in buyer.holds() if hold.state == "signed"]
            assert min(self.counted(buyer)) >= PRICE * settled, "counted too little after the death"
            assert set(self.shop.settled) <= {*signed, *delivered}, "a payment that the ledger does not know"
            assert len(signed) + len(delivered) <= 1
            assert not delivered or moment in ENDED, "delivered before its end"
            before = len(self.shop.nonces)
            given_up = self.ends(buyer, bool(delivered))
            sent = self.shop.nonces[before:]
            if signed:
                assert sent[0] == signed[0], "it signed another one"
                assert len(set(sent)) == 1 + given_up
            again = given_up or bool(delivered and not self.key)
            assert len(self.shop.settled) == len(set(self.shop.settled)) == 1 + again
            # What a program on another machine reserved before it fell silent counts until its lease runs out.
            leased = [hold.state for hold in buyer.holds()]
            assert leased in ([], ["reserved"] * isinstance(buyer.ledger, RedisLedger))
            assert set(self.counted(buyer)) == {PRICE * (len(self.shop.settled) + len(leased))}

    def ends(self, buyer: Buyer, delivered: bool) -> bool:
        """There is a way out; whether it was to give the purchase up."""
        told: Any = None
        try:
            assert self.buys(buyer) == b"".join(GOODS)
        except (errors.AlreadyPaid, errors.PaymentRejected) as failure:
            told = failure
        if isinstance(told, errors.AlreadyPaid):
            assert delivered, self.key
            assert "Nothing was sent; use a new key" in str(told)
        elif told is not None:
            assert self.shop.forgetful
            assert told.hold.nonce == self.shop.settled[0]
            assert "Make the same request again" in str(told)
            assert "buyer.write_off" in str(told)
            buyer.write_off(told.hold)
            assert self.buys(buyer) == b"".join(GOODS)
            return True
        return False


def cases(
    server: Server, directory: Path, driver: type[Driver], forgetful: bool, thens: list[Then], **said: Any
) -> Any:
    """One for each moment, until somebody stops asking."""
    for number in itertools.count(1):
        shop, place = Shop(forgetful), directory / str(number)
        place.mkdir()
        url = server.on(f"/{number}", shop.sells(*thens))
        yield number, place, Case(url, shop, driver, str(place / "ledger.db"), **said)


MATRIX: dict[str, tuple[type[Driver], bool, list[Then], dict[str, Any]]] = {
    "httpx": (Httpx, False, [], {}),
    "httpx, a forgetful seller": (Httpx, True, [], {}),
    "httpx, under a key": (Httpx, False, [], {"key": "order-42"}),
    "httpx, approved": (Httpx, False, [], {"approve": lambda asked: True, "terms_age": 0}),
    "httpx, settled and busy": (Httpx, False, [busy, in_pieces], {}),
    "httpx, under an allowance": (Httpx, False, [], {"tree": True}),
    "httpx2": (Httpx2, False, [], {}),
    "requests": (Requests, False, [], {}),
    "requests, a forgetful seller": (Requests, True, [], {}),
    "async httpx": (AsyncHttpx, False, [], {}),
    "aiohttp": (Aiohttp, False, [], {}),
}


@pytest.mark.parametrize(("driver", "forgetful", "thens", "said"), MATRIX.values(), ids=MATRIX)
def test_killed_at_any_moment(
    server: Server, tmp_path: Path, driver: type[Driver], forgetful: bool, thens: list[Then], said: dict[str, Any]
) -> None:
    seen = []
    for number, place, case in cases(server, tmp_path, driver, forgetful, thens, **said):
        seen.append(case.dies(number, place / "told"))
        with watched(Points()):
            case.recovers(seen[-1])
        if not seen[-1]:
            break
    # aiohttp tells the end with the last piece or after it: that moment comes at another number each time.
    assert set(seen) >= (EXPECTED - {f"piece {len(GOODS) - 1}"} if driver is Aiohttp else EXPECTED)


@pytest.mark.parametrize("tree", [False, True], ids=["", "under an allowance"])
def test_killed_before_any_statement_of_the_ledger(server: Server, tmp_path: Path, tree: bool) -> None:
    seen = []
    for number, place, case in cases(server, tmp_path, Httpx, False, [], tree=tree):
        seen.append(case.dies(number, place / "told", statements=True))
        if seen[-1] == "before a statement":
            case.recovers("")
        if not seen[-1]:
            break
    assert seen.count("before a statement") > (40 if tree else 20)


def test_killed_again_in_the_next_life(server: Server, tmp_path: Path) -> None:
    """The first program dies with its payment settled; the second one at each moment; the third ends it."""
    seen = []
    for number, place, case in cases(server, tmp_path, Httpx, False, []):
        assert case.dies("after Send", place / "told") == "after Send"
        seen.append(case.dies(number, place / "told"))
        assert len(case.shop.settled) == 1
        case.recovers(seen[-1])
        if not seen[-1]:
            break
    assert set(seen) >= {name for name in EXPECTED if "Sign" not in name}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    (tmp_path / "redis").mkdir()
    server = Redis(tmp_path / "redis")
    yield server
    server.kill()


def test_killed_at_any_moment_with_a_ledger_in_redis(server: Server, tmp_path: Path, redis: Redis) -> None:
    """Each purchase has a purse of its own, so that all of the restarts can wait at once for the dead to be known."""
    every, seen = [], []
    for number, place, case in cases(server, tmp_path, Httpx, False, []):
        case.ledger, case.said = lambda: RedisLedger(redis.url, lease=1.0), {"purse": str(number)}
        seen.append(case.dies(number, place / "told"))
        every.append(case)
        if not seen[-1]:
            break
    with ThreadPoolExecutor(len(every)) as pool:
        for recovered in [pool.submit(case.recovers, moment) for case, moment in zip(every, seen, strict=True)]:
            recovered.result()
    assert set(seen) >= EXPECTED


@pytest.mark.parametrize(
    ("driver", "wide"),
    [(Httpx, False), (Requests, False), (AsyncHttpx, False), (AsyncHttpx, True), (Aiohttp, False), (Aiohttp, True)],
)
def test_an_end_is_sent_to_redis_before_the_caller_has_its_answer(
    server: Server, tmp_path: Path, redis: Redis, driver: type[Driver], wide: bool
) -> None:
    """The program dies with the last byte. The thread that waits for Redis never ran."""
    _, _, case = next(cases(server, tmp_path, driver, False, []))
    ledger = RedisLedger(redis.url)

    def work() -> None:
        case.ledger = ledger.asynchronous if wide else ledger
        with mock.patch.object(ends.EndsWriter, "_run"), case.buyer() as buyer, driver() as shell:
            answer = shell.client(buyer).stream("GET", case.url)
            while ledger._ends._line is None:  # opened by the first beat of the heart, which began with the claim
                time.sleep(0.001)
            while answer.following():
                pass
            assert len(pending_ends.pending) == 1
            children.die()

    assert children.done(work) == -9
    case.ledger = ledger
    with case.buyer() as buyer:
        assert buyer.holds() == ()
        assert [(hold.state, hold.nonce) for hold in buyer.history()] == [("delivered", case.shop.settled[0])]


@pytest.mark.parametrize("moment", ["after SignTyped", "after Record", "after Send", "piece 0"])
def test_killed_on_a_real_chain(world: World, tmp_path: Path, moment: str) -> None:
    """This seller asks for another payment when it is presented one that it settled."""
    seller, account = world.seller("fastapi-v2"), world.buyer()
    block, url = world.chain.block(), seller.url("/paid")
    wallet = Wallet(evm=account)

    def buys(points: Points) -> None:
        buyer = Buyer(wallet, Policy(per_request="0.01", per_day="0.01"), ledger=tmp_path / "ledger.db")
        try:
            with Httpx() as shell, watched(points):
                answer = shell.client(buyer, timeout=60).stream("GET", url)
                while answer.following():
                    points("piece 0")
        finally:
            buyer.close()

    def transfers() -> list[int]:
        return [one.value for one in world.chain.transfers(block) if one.sender == account.address.lower()]

    assert children.done(lambda: buys(Points(moment, children.die))) == -9
    buyer = Buyer(wallet, ledger=tmp_path / "ledger.db")
    settled = transfers()
    assert buyer.spent(currency="USD (test)").units >= sum(settled)
    assert settled == ([PRICE] if moment in ("after Send", "piece 0") else [])
    nonces = [hold.nonce for hold in buyer.holds() if hold.nonce]
    assert len(nonces) == (moment != "after SignTyped")
    if settled:
        with pytest.raises(errors.PaymentRejected) as raised:
            buys(Points())
        assert [raised.value.hold.nonce] == nonces
    else:
        buys(Points())
        assert {hold.nonce for hold in buyer.history()} >= set(nonces)
        assert len(buyer.history()) == 1
    assert transfers() == [PRICE]
    assert buyer.spent(currency="USD (test)").units == PRICE
    buyer.close()
