"""A ledger's server may do a step whose answer is lost: the money is told as it is, and one payment comes of it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account

from tests.adapters.cash_register import KEY, PRICE
from tests.adapters.drivers import AsyncHttpx, Client, Driver, Httpx
from tests.adapters.scripted_server import Server
from tests.ledgers.postgres.server import starting as starting_postgres
from tests.ledgers.redis.server import starting as starting_redis
from tests.ledgers.relay import Loss, Relay
from x402_client import Buyer, Policy, Wallet, errors, outcome
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.ledgers.redis import RedisLedger

from .settling_seller import GOODS, Shop, in_pieces

pytestmark = pytest.mark.slow

WHOLE = b"".join(GOODS)
#: Each test has a purse of its own on the servers of this module.
_PURSES = itertools.count()
#: With a key in the process a payment is signed first, and reserved and recorded in one step. A signer that has to be
#: asked signs after the price was counted, so there is a step of its own that records it.
KEYS: dict[str, Any] = {"reserve": KEY, "record": Account.from_key(KEY)}
steps = pytest.mark.parametrize("step", KEYS)
#: What may have been done and was not answered. Nobody knows of the last one that it reached no server.
lost = pytest.mark.parametrize("loss", ["answer", "end", "step"])
both = pytest.mark.parametrize("driver", [Httpx, AsyncHttpx])

Make = Callable[..., Any]


@pytest.fixture(scope="module", params=["redis", "postgres"])
def ports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with contextlib.ExitStack() as stack:
        if request.param == "redis":
            start: Any = stack.enter_context(starting_redis(tmp_path_factory.mktemp("redis")))
            yield "redis", start().port
        else:
            yield "postgres", stack.enter_context(starting_postgres())("fsync=off").port


class Case:
    """A buyer behind a relay, and a seller."""

    def __init__(self, server: Server, ports: tuple[str, int], shell: Driver, step: str, lease: float = 30.0) -> None:
        self.kind, self.port = ports
        self.relay, self.shop, self.step, self.lease = Relay(self.port), Shop(), step, lease
        self.purse, self.shell = f"purse {next(_PURSES)}", shell
        self.url = server.on("/paid", self.shop.sells(in_pieces))
        self.buyer = self.program(self.relay.port)
        self.client: Client = shell.client(self.buyer)
        assert self.holds() == ()
        if shell.is_async:
            shell.call(self.buyer.aholds)

    def program(self, port: int) -> Buyer:
        policy, wallet = Policy(per_request="0.01", per_day="0.02"), Wallet(evm=KEYS[self.step])
        return Buyer(wallet, policy, ledger=self.ledger(port), purse=self.purse, repeat=())

    def ledger(self, port: int) -> Any:
        if self.kind == "redis":
            return RedisLedger(f"redis://127.0.0.1:{port}/0", timeout=1.0, lease=self.lease)
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable&gssencmode=disable"
        return PostgresLedger(url, timeout=1.0, lease=self.lease)

    def holds(self) -> tuple[Any, ...]:
        return self.buyer.holds()

    def fails(self) -> errors.LedgerUnavailable:
        """Nothing is sent to the seller, and no exception of a driver's comes out."""
        with pytest.raises(errors.LedgerUnavailable) as raised:
            self.client.get(self.url)
        assert self.shop.headers == []
        assert (raised.value.__cause__, raised.value.__context__) == (None, None)
        return raised.value

    def counted(self) -> tuple[int, list[str]]:
        """What the server itself counts, and the payments that it has: asked by another program, past the relay."""
        other = self.program(self.port)
        found = other.spent().units, [hold.nonce or "" for hold in other.holds()]
        other.close()
        return found

    def gets_it(self, client: Client | None = None) -> None:
        assert (client or self.client).get(self.url).content == WHOLE
        assert len(set(self.shop.headers)) == len(self.shop.settled) == 1, "it paid twice"

    def end(self, buyer: Buyer) -> None:
        """Close a buyer, which writes the ends of its purchases."""
        self.shell.call(buyer.aclose) if self.shell.is_async else buyer.close()

    def close(self) -> None:
        self.relay.mend()
        self.end(self.buyer)


@pytest.fixture
def make(server: Server, ports: tuple[str, int]) -> Iterator[Make]:
    cases: list[Case] = []
    with contextlib.ExitStack() as stack:

        def make(driver: type[Driver], step: str, **more: Any) -> Case:
            cases.append(Case(server, ports, stack.enter_context(driver()), step, **more))
            return cases[-1]

        yield make
        for case in cases:
            case.close()


@both
@steps
@lost
def test_a_step_without_an_answer_may_be_counted_and_is_paid_once(
    make: Make, driver: type[Driver], step: str, loss: Loss
) -> None:
    case = make(driver, step)
    case.relay.lose(step, loss)
    failure = case.fails()
    assert case.relay.lost.is_set()
    assert failure.money == "held"
    assert "so the amount may be counted" in str(failure)
    assert "Make the same request again" in str(failure)
    counted, nonces = case.counted()
    if loss != "step":
        assert (counted, len(nonces)) == (PRICE, 1), "the error must not say that it is untouched"
    if step == "record":
        assert failure.hold is not None
        assert (failure.hold.money, failure.hold.state) == ("held", "signed")
        assert loss == "step" or nonces == [failure.hold.nonce]
        assert outcome(failure).money == "held"  # type: ignore[union-attr]
    case.relay.mend()
    case.gets_it()
    if step == "record" and loss != "step":
        assert case.shop.settled == nonces, "what the ledger has is presented, and nothing else is signed"
    assert (case.counted(), case.holds()) == ((PRICE, []), ())


@both
@steps
def test_a_repeat_by_another_program_presents_what_was_signed(make: Make, driver: type[Driver], step: str) -> None:
    """The first program hangs behind the relay, and its lease ends. Then it comes back."""
    case = make(driver, step, lease=1.0)
    case.relay.lose(step, "answer")
    assert case.fails().money == "held"
    case.relay.stop()
    _, nonces = case.counted()
    other = case.program(case.port)
    client = case.shell.client(other)
    for _ in range(10):  # until the lease of the first one is over the ledger cannot tell if it presents the payment
        try:
            case.gets_it(client)
            break
        except errors.PaymentOutcomeUnknown:
            assert case.shop.headers == []
    case.end(other)
    assert case.shop.settled == nonces, "one was signed by the first program, and the other one signed nothing"
    case.relay.mend()
    assert (case.holds(), case.buyer.spent().units) == ((), PRICE), "what was presented is not given back"
    assert [hold.nonce for hold in case.buyer.history()] == nonces
    case.shell.call(other.aclose) if case.shell.is_async else other.close()


@both
@steps
def test_what_did_not_reach_the_server_is_untouched(make: Make, driver: type[Driver], step: str) -> None:
    case = make(driver, step)
    case.relay.stop()
    failure = case.fails()
    assert (failure.money, failure.wrote_nothing) == ("untouched", True)
    assert "may be counted" not in str(failure)
    assert case.counted() == (0, [])
    assert case.fails().money == "untouched"
    case.relay.mend()
    case.gets_it()


@both
@steps
def test_a_step_whose_connection_broke_is_done_once(make: Make, driver: type[Driver], step: str) -> None:
    """It is sent again on another connection, and the server knows it."""
    case = make(driver, step)
    case.relay.lose(step, "cut")
    case.gets_it()
    assert case.relay.lost.is_set()
    assert case.counted() == (PRICE, [])


@both
def test_what_nobody_repeats_is_given_back_by_the_program_that_signed_it(make: Make, driver: type[Driver]) -> None:
    """It knows that it sent nothing. So its next step takes the price out of the budgets again."""
    case = make(driver, "reserve")
    case.relay.lose("reserve", "answer")
    assert case.fails().money == "held"
    case.relay.mend()
    for _ in range(100):
        case.holds()
        if case.counted() == (0, []):
            return
        time.sleep(0.05)
    raise AssertionError(case.counted())
