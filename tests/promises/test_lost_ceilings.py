"""Ceilings whose answer was lost: what the chain shows of them counts at once, once, and never less than was taken.

Real is the chain, with x402's own proxy and facilitator, and the ledger. The seller's terms are those of the official
one; what becomes of its answers, and when it settles for how much, is drawn.
"""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import x402_client.httpx
from tests.ledgers.postgres.server import Server as Postgres
from tests.ledgers.redis.server import Server as Redis
from tests.real.environments import environment, needed
from tests.real.world import CEILING, World
from x402_client import Buyer, Policy, Wallet, errors, outcome
from x402_client.model.holds import MARGIN

NETWORK, TEST = "eip155:84532", "USD (test)"
POLICY = Policy(per_request="0.09", per_day="0.09", upto="0.05", http_hosts=["127.0.0.1"])
LEDGERS = ("memory", "sqlite", "redis", pytest.param("postgres", marks=pytest.mark.slow))

#: A case takes a second, and a failure tells what was drawn: none is made smaller.
PHASES = (Phase.explicit, Phase.generate)
SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)


@pytest.fixture(scope="module")
def mine() -> Iterator[World]:
    """A world whose chain's clock may be moved, as often as there are cases."""
    needed(environment, "v2")
    with World() as own:
        yield own


@pytest.fixture
def open_ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return what gives the place of a new, empty ledger of a kind."""
    servers: list[Any] = []

    def place(kind: str) -> Any:
        if kind == "memory":
            return ":memory:"
        if kind == "sqlite":
            return tmp_path_factory.mktemp("ledger") / "ledger.db"
        if not servers:
            servers.append(Redis(tmp_path_factory.mktemp("redis")) if kind == "redis" else Postgres("fsync=off"))
        if kind == "redis":
            servers[0].do("FLUSHALL")
            return servers[0].url
        servers[0].empty()
        return servers[0].url()

    yield place
    for server in servers:
        server.kill() if isinstance(server, Redis) else server.remove()


class Clock:
    """This machine's clock, which goes with the chain's."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world, self._ahead, real = world, _ahead.get(id(world), 0), time.time
        monkeypatch.setattr(time, "time", lambda: real() + self._ahead)

    def pass_by(self, seconds: int) -> None:
        self._world.chain.advance(seconds)
        self._world.chain.mine(2)
        self._ahead += seconds
        _ahead[id(self._world)] = self._ahead


#: The seconds by which the clocks of worlds are ahead: there is no way back.
_ahead: dict[int, int] = {}


class Line(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The line to a seller that asks for a ceiling. Of each payment it does what is said next."""

    def __init__(self, terms: httpx.Response) -> None:
        self._terms = terms
        self.payments: list[str] = []
        self.then: list[str] = []
        #: Called with a payment when it arrives.
        self.arrived: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        payment = request.headers.get("payment-signature")
        if payment is None:
            return self._again(402)
        self.payments.append(payment)
        if self.arrived is not None:
            self.arrived()
        kind = self.then.pop(0) if self.then else "drop"
        if kind == "drop":
            raise httpx.ReadError("The line broke")
        if kind == "late":
            raise httpx.ReadTimeout("Nothing came")
        if kind == "cut":
            return httpx.Response(200, stream=_Cut())
        return httpx.Response(200, content=b"goods") if kind == "goods" else self._again(int(kind))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)

    def _again(self, status: int) -> httpx.Response:
        said = {name: value for name, value in self._terms.headers.items() if name == "payment-required"}
        return httpx.Response(status, headers=said if status == 402 else {}, content=b"{}")


class _Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"go"
        raise httpx.ReadError("The line broke")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"go"
        raise httpx.ReadError("The line broke")


@dataclass
class Case:
    """One purchase of a ceiling, and what is known of it."""

    world: World
    clock: Clock
    place: Any
    is_async: bool = False
    taken: int = 0
    policy: Policy = POLICY

    def __post_init__(self) -> None:
        self.account = self.world.buyer()
        self.world.chain.approve(self.account.address, 200_000)
        seller = needed(self.world.seller, "fastapi-v2")
        self.url, self.block = seller.url("/upto?charge=7000"), self.world.chain.block()
        self.line = Line(httpx.get(self.url))
        self.buyer, self._loop = self.another(), asyncio.Runner()

    def close(self) -> None:
        """End as a program does."""
        self._loop.run(self.buyer.aclose())
        self._loop.close()

    def restart(self) -> None:
        self._loop.run(self.buyer.aclose())
        self.buyer = self.another()

    def another(self, witnesses: int = 2) -> Buyer:
        urls = [self.world.chain.url, self.world.chain.url.replace("127.0.0.1", "localhost")]
        return Buyer(
            Wallet(evm=self.account), self.policy, ledger=self.place, rpc={NETWORK: urls[:witnesses]}, repeat=()
        )

    def ask(self, then: str, path: str = "") -> httpx.Response | Exception:
        """Make the request, and return the answer or the failure."""
        self.line.then = [then]
        try:
            return self._loop.run(self._aask(path)) if self.is_async else self._ask(path)
        except (errors.X402Error, httpx.HTTPError) as failure:
            return failure

    def _ask(self, path: str) -> httpx.Response:
        with x402_client.httpx.wrap(httpx.Client(transport=self.line), self.buyer) as client:
            return client.get(self.url + path)

    async def _aask(self, path: str) -> httpx.Response:
        async with x402_client.httpx.wrap(httpx.AsyncClient(transport=self.line), self.buyer) as client:
            return await client.get(self.url + path)

    def settle(self, charge: int) -> None:
        """Take a part of the ceiling, by the facilitator and the proxy. It can be taken once."""
        payment = json.loads(base64.b64decode(self.line.payments[0]))
        terms = payment["accepted"] | {"amount": str(charge)}
        orders = {"x402Version": 2, "paymentPayload": payment, "paymentRequirements": terms}
        done = httpx.post(f"{self.world.facilitator_of('fastapi-v2')}/settle", json=orders, timeout=30).json()
        if done["success"] and charge:
            assert self.taken == 0
            self.taken = charge
        assert self.moved == ([self.taken] if self.taken else [])

    @property
    def moved(self) -> list[int]:
        mine = self.account.address.lower()
        return [one.value for one in self.world.chain.transfers(self.block) if one.sender == mine]

    def counted(self) -> set[int]:
        """What counts, in every window and account: the same in each."""
        return {
            self.buyer.spent(host, window, TEST).units
            for host in (None, "127.0.0.1")
            for window in ("minute", "day", "total")
        }

    def expire(self) -> None:
        [hold] = self.buyer.holds() or self.buyer.history(1)
        assert hold.authorization is not None
        self.clock.pass_by(max(0, int(hold.authorization.expires - time.time())) + MARGIN + 1)


def is_told(failure: Any) -> Any:
    """Return what a failure or an answer tells of the payment."""
    return failure if isinstance(failure, errors.X402Error) else outcome(failure)


@pytest.mark.parametrize("kind", LEDGERS)
@settings(max_examples=14, suppress_health_check=SLOW, phases=PHASES)
@given(
    lost=st.sampled_from(["drop", "late", "402", "500", "cut"]),
    moment=st.sampled_from(["before", "after", "expired", "never"]),
    charge=st.sampled_from([0, 1, 7_000, CEILING - 1, CEILING]),
    look=st.sampled_from(["none", "reconcile", "restart", "over limit"]),
    again=st.lists(st.sampled_from(["drop", "402", "500"]), max_size=2),
    over=st.booleans(),
    is_async=st.booleans(),
)
def test_it_counts_what_was_taken_and_is_bought_once(
    mine: World,
    open_ledger: Any,
    kind: str,
    lost: str,
    moment: str,
    charge: int,
    look: str,
    again: list[str],
    over: bool,
    is_async: bool,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        case = Case(mine, Clock(mine, patch), open_ledger(kind), is_async)
        if moment == "before":
            case.line.arrived = lambda: case.settle(charge)
        first = case.ask(lost)
        case.line.arrived = None
        told: Any = is_told(first)
        seen = bool(case.taken) and lost != "cut"  # a broken body is looked at in the background
        assert told.money == ("spent" if seen else told.money) != "untouched", told
        if seen:
            charged: Any = told.hold.charge if isinstance(first, errors.X402Error) else told.charged
            assert (charged.units, case.counted()) == (case.taken, {case.taken})
        else:
            assert case.counted() <= {CEILING, case.taken or CEILING}
        if moment == "after":
            case.settle(charge)
        _look(case, look, kind)
        if look != "none" and not (kind == "memory" and look == "restart"):
            assert case.counted() == {case.taken or CEILING}
        assert len(case.buyer.holds()) == 1
        for then in again:
            failure = case.ask(then)
            assert not isinstance(failure, errors.PaidNotDelivered)
            assert case.counted() == {case.taken or CEILING}
        if over:
            case.expire()
            _is_over(case)
        if case.buyer.holds():
            assert getattr(case.ask("goods"), "status_code", None) == 200
            assert len(set(case.line.payments)) == 1
        case.buyer.reconcile()
        assert case.buyer.holds() == ()
        assert len(set(case.line.payments)) == 1
        assert case.counted() == {case.taken if case.taken or over else CEILING}
        assert case.moved == ([case.taken] if case.taken else [])
        case.close()


def _look(case: Case, look: str, kind: str) -> None:
    if look == "restart" and kind != "memory":
        case.restart()
        case.buyer.reconcile()
    elif look == "reconcile":
        found = case.buyer.reconcile()
        assert [hold.charge.units for hold in found.settled if hold.charge] in ([], [case.taken])
    elif look == "over limit":  # another ceiling fits beside the charge, and not beside the ceiling
        fits = case.taken + CEILING <= 90_000 and case.taken
        answer = _beside(case)
        assert isinstance(answer, httpx.Response if fits else errors.OverLimit)
        if fits:
            _forget(case)


def _beside(case: Case) -> Any:
    payments, case.line.payments = case.line.payments, []
    answer = case.ask("goods", "&another=1")
    case.line.payments = payments
    return answer


def _forget(case: Case) -> None:
    """Take the other purchase off the books: the case is about one."""
    assert case.buyer.services.ends.flush()  # its end is sent on another connection, and may be under way
    [hold] = case.buyer.history(1)
    released: Any = case.buyer.ledger
    assert released.conclude(hold, False)


def _is_over(case: Case) -> None:
    """After the expiry: settled it is owed, on every repeat; unused it is given back."""
    if not case.taken:
        assert [hold.state for hold in case.buyer.reconcile().released] == ["released"]
        assert (case.buyer.holds(), case.counted()) == ((), {0})
        return
    for then in ("402", "drop"):
        failure = case.ask(then)
        assert isinstance(failure, errors.PaidNotDelivered)
        assert (failure.money, case.counted()) == ("spent", {case.taken})


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("written", [False, True])
def test_killed_beside_the_look_it_counts_never_less_than_was_taken(
    mine: World, open_ledger: Any, monkeypatch: pytest.MonkeyPatch, kind: str, written: bool
) -> None:
    case = Case(mine, Clock(mine, monkeypatch), open_ledger(kind))
    child = multiprocessing.get_context("fork").Process(target=_dies_at_the_look, args=(case, written))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    case.buyer = case.another()
    case.taken = 7_000
    assert case.moved == [7_000]
    assert case.counted() == {7_000 if written else CEILING}
    until = time.monotonic() + 30
    while case.counted() != {7_000} and time.monotonic() < until:  # a server gives the dead a moment
        case.buyer.reconcile()
        time.sleep(0.2)
    assert case.counted() == {7_000}
    [hold] = case.buyer.holds()
    answer: Any = case.ask("goods")
    assert (answer.status_code, case.buyer.holds(), case.counted()) == (200, (), {7_000})
    paid: Any = outcome(answer)
    assert paid.hold.nonce == hold.nonce
    case.close()


def _dies_at_the_look(case: Case, written: bool) -> None:
    buyer = case.buyer = case.another()
    conclude = type(buyer.ledger).conclude

    def die(*given: Any) -> None:
        if written:
            conclude(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    type(buyer.ledger).conclude = die  # type: ignore[method-assign, assignment]
    case.line.arrived = lambda: case.settle(7_000)
    case.ask("drop")


def test_a_repeat_that_brings_nothing_is_no_loss_before_the_deadline(
    mine: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule: "accept_loss writes off by itself up to that amount, in (3) and (4) only"."""
    case = Case(mine, Clock(mine, monkeypatch), ":memory:", policy=POLICY.but(accept_loss="0.01"))
    case.line.arrived = lambda: case.settle(7_000)
    assert isinstance(case.ask("drop"), errors.PaymentOutcomeUnknown)
    case.line.arrived = None
    rejected = case.ask("402")
    assert isinstance(rejected, errors.PaymentRejected)
    assert "At most 0.007 USD (test) of it was taken." in str(rejected)
    assert len(set(case.line.payments)) == 1
    case.expire()
    case.line.arrived = lambda: None
    case.line.then = ["402", "goods"]
    with x402_client.httpx.wrap(httpx.Client(transport=case.line), case.buyer) as client:
        assert client.get(case.url).status_code == 200, "a charge below what may be lost, and a new purchase"
    assert len(set(case.line.payments)) == 2
    assert case.counted() == {7_000 + CEILING}
    assert [hold.state for hold in case.buyer.history(2)] == ["delivered", "written_off"]
    case.close()


def test_a_written_off_one_counts_as_much_as_was_taken(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(mine, Clock(mine, monkeypatch), ":memory:")
    case.line.arrived = lambda: case.settle(7_000)
    assert isinstance(case.ask("drop"), errors.PaymentOutcomeUnknown)
    [hold] = case.buyer.holds()
    case.buyer.write_off(hold)
    case.buyer.reconcile()
    assert (case.counted(), case.buyer.holds(), case.buyer.history(1)[0].state) == ({7_000}, (), "written_off")
    case.close()


def test_the_look_in_the_background_sees_what_is_settled_a_moment_later(
    mine: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(mine, Clock(mine, monkeypatch), ":memory:")
    assert isinstance(case.ask("drop"), errors.PaymentOutcomeUnknown)
    assert case.counted() == {CEILING}
    case.settle(7_000)
    until = time.monotonic() + 30
    while case.counted() != {7_000} and time.monotonic() < until:
        time.sleep(0.1)
    assert (case.counted(), len(case.buyer.holds())) == ({7_000}, 1)
    case.close()


class TellsNoCharge:
    """A reader of the user's own that tells of a payment what the chain's does, and nothing of a charge."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def read(self, hold: object) -> str:
        return self._answer


def told_by(case: Case, reader: Any) -> Buyer:
    """Return another buyer of the same ledger, whose reader is this one."""
    said: Any = {"ledger": case.buyer.ledger, "rpc": {NETWORK: case.world.chain.url}, "repeat": ()}
    return Buyer(Wallet(evm=case.account), case.policy, reader=reader, **said)


@pytest.mark.parametrize("kind", LEDGERS)
@pytest.mark.parametrize("first", ["retry", "reconcile"])
@pytest.mark.parametrize("by", ["unknown", "settled", "the chain", "one witness"])
def test_after_the_expiry_the_order_of_a_retry_and_a_look_is_the_same(
    mine: World, open_ledger: Any, monkeypatch: pytest.MonkeyPatch, kind: str, first: str, by: str
) -> None:
    case = Case(mine, Clock(mine, monkeypatch), open_ledger(kind))
    usual = case.buyer
    case.buyer = told_by(case, TellsNoCharge("unknown"))
    assert isinstance(case.ask("drop"), errors.PaymentOutcomeUnknown)
    case.settle(7_000)
    case.expire()
    of_the_chain = {"the chain": usual.reader, "one witness": case.another(1).reader}
    case.buyer = told_by(case, of_the_chain.get(by) or TellsNoCharge(by))
    for _ in range(2):
        if first == "retry":
            assert isinstance(case.ask("402"), (errors.PaidNotDelivered, errors.PaymentOutcomeUnknown))
        else:
            case.buyer.reconcile()
    case.buyer = usual
    case.buyer.reconcile()
    assert case.counted() == {7_000}
    assert isinstance(case.ask("402"), errors.PaidNotDelivered)
    case.close()
