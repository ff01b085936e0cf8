"""What a chain or a receipt showed paid stays paid, whatever answers come later and wherever it is asked."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import in_process
from tests.ledgers.postgres.server import Server as Postgres
from tests.ledgers.redis.server import Server as Redis
from x402_client import Buyer, errors, outcome
from x402_client.agents import tools
from x402_client.core.last_answer import is_by_receipt
from x402_client.httpx import quote, wrap
from x402_client.ledgers import MemoryLedger
from x402_client.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("short_pauses")

#: Ends after which a payment is known as paid, and who says so where the chain could be asked then.
FIRST = {
    "drop-after-settling": "chain",
    "402-after-settling": "chain",
    "error-after-settling": "chain",
    "work-says-no": "chain",
    "work-fails": "receipt",
    "redirect-after-paying": "receipt",
    "truncated-body": "receipt",
}
#: What the same payment meets the next time, without the content.
SECOND = ("402-again", "error-before-settling", "drop-before-settling")
#: An endpoint at which nothing listens.
_NOWHERE = "http://127.0.0.1:9/"
_number = itertools.count()


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    """Return a seller of each test's own: its chain's clock is put forward."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres("fsync=off")
    yield server
    server.remove()


@dataclass
class Case:
    """One payment that was shown paid, in a ledger of some kind, and a clock that can be put forward."""

    seller: Sandbox
    ledger: str
    env: dict[str, str]
    monkeypatch: pytest.MonkeyPatch
    rpc: dict[str, Any]
    url: str = ""

    def __post_init__(self) -> None:
        self.wallet = self.seller.wallet(solana=False)
        self.memory, self.purse = MemoryLedger(), f"case {next(_number)}"
        self.buyer = self.made()
        self.url = self.seller.sell(f"/{self.purse.replace(' ', '')}", "0.01")
        keys = {"X402_EVM_KEY": self.seller.key("evm"), "X402_PURSE": self.purse, "X402_LEDGER": self.ledger}
        self.env |= self.seller.environ | keys

    def made(self) -> Buyer:
        ledger: Any = self.memory if self.ledger == ":memory:" else self.ledger
        return self.seller.buyer(wallet=self.wallet, ledger=ledger, purse=self.purse, rpc=self.rpc, breaker_after=None)

    def without_a_chain(self, chain: str) -> None:
        """Go on in a new program whose endpoints do not answer, or that names none."""
        self.rpc = {} if chain == "none" else dict.fromkeys(self.rpc, _NOWHERE)
        self.env["X402_RPC"] = " ".join(f"{network}={place}" for network, place in self.rpc.items())
        self.buyer.close()
        self.buyer = self.made()

    def later(self, seconds: float) -> None:
        self.seller.advance(seconds)
        now, real = time.time() + seconds, time.monotonic()
        self.monkeypatch.setattr(time, "time", lambda: now + time.monotonic() - real)

    def ask(self, fault: str) -> tuple[str, str]:
        """Ask once. Return the money as the call's end tells it, and what it says."""
        self.seller.order(fault)
        with wrap(httpx.Client(timeout=5), self.buyer) as client:
            try:
                ended: Any = client.post(self.url)
            except Exception as failure:
                ended = errors.find(failure) or failure
        said = ended if isinstance(ended, errors.X402Error) else outcome(ended)
        assert said is not None
        assert said.hold is not None
        assert said.hold.money == said.money
        assert self.buyer.services.ends.flush(), "a break amid the body is noted without waiting for a server"
        return said.money, str(ended)

    def told(self) -> Iterator[tuple[str, str, str]]:
        """Give what each place says of the money, with its advice or state."""
        [hold] = self.buyer.holds()
        yield "holds", hold.money, repr(hold)
        with wrap(httpx.Client(), self.buyer) as client:
            asked = quote(client, "POST", self.url)
            assert asked.unresolved == hold.id
            budget: Any = tools(client, self.buyer, hosts=["127.0.0.1"]).budget()
            [one] = budget["unresolved"]
            yield "tools", one["money"], one["next"]
        if self.ledger == ":memory:":
            return
        for command in (["ledger", "holds"], ["ledger", "show", hold.id, "--offline"], ["ledger", "list"]):
            found = json.loads(in_process([*command, "--json"], self.env).out)
            one = next((found[name][0] for name in ("holds", "payments") if name in found), found)
            yield " ".join(command), one["money"], f"{one} {in_process(command, self.env).text}"
        status = json.loads(in_process(["status", "--offline", "--json"], self.env).out)
        [one] = status["unresolved"]
        yield "status", one["money"], json.dumps(one)


@pytest.fixture
def start(
    seller: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[str], Case]:
    def started(kind: str) -> Case:
        place = ":memory:" if kind == "memory" else str(tmp_path / "ledger.db")
        if kind in ("redis", "postgres"):
            url = request.getfixturevalue(kind).url
            place = url() if kind == "postgres" else url
        return Case(seller, place, {"HOME": str(tmp_path)}, monkeypatch, dict(seller.rpc))

    return started


def _cases() -> Iterator[Any]:
    """Give the whole family. Those of which each fact occurs once are quick; endpoints that are tried take seconds."""
    ledgers = ("memory", "file", "redis", "postgres")
    for facts in itertools.product(FIRST, SECOND, ("there", "none", "unreachable"), ("open", "expired"), ledgers):
        first, second, chain, _, ledger = facts
        quick = (second, chain) == ("402-again", "none") and (ledger == "file" or first.startswith(("drop", "work-f")))
        yield pytest.param(*facts, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("first", "second", "chain", "when", "ledger"), [*_cases()])
def test_what_was_shown_paid_stays_paid_everywhere(
    start: Callable[[str], Case], first: str, second: str, chain: str, when: str, ledger: str
) -> None:
    case = start(ledger)
    assert case.ask(first)[0] == "spent"
    [hold] = case.buyer.holds()
    assert is_by_receipt(hold) is (FIRST[first] == "receipt")
    if chain != "there":
        case.without_a_chain(chain)
    if when == "expired":
        case.later(5_000)
    for _ in range(2):
        money, said = case.ask(second)
        assert money == "spent", said
        assert "has not shown" not in said
    [hold] = case.buyer.holds()
    by_receipt = is_by_receipt(hold)
    assert by_receipt <= (FIRST[first] == "receipt")
    for place, known, words in case.told():
        assert known == "spent", place
        for wrong in ("not shown that the money", "given back", "money: held", "money: unknown"):
            assert wrong not in words, place
        if "advice" in words:
            assert ("The chain shows that it was paid" in words) is not by_receipt, (place, words)


class _Reader:
    """A chain that says what it is told to."""

    def __init__(self) -> None:
        self.says = "settled"

    def read(self, hold: Any) -> str:
        return self.says


@pytest.mark.parametrize("says", ["not_settled", "live", "unknown"])
@pytest.mark.parametrize("first", ["drop-after-settling", "work-fails"])
def test_only_the_chain_itself_takes_it_back_once_it_expired(
    seller: Sandbox, monkeypatch: pytest.MonkeyPatch, first: str, says: str
) -> None:
    reader = _Reader()
    case = Case(seller, ":memory:", {}, monkeypatch, dict(seller.rpc))
    case.buyer = seller.buyer(
        wallet=case.wallet, ledger=case.memory, purse=case.purse, reader=reader, breaker_after=None
    )
    assert case.ask(first)[0] == "spent"
    [hold] = case.buyer.holds()
    reader.says = says
    assert case.ask("402-again")[0] == "spent"  # before it expired, no word of the chain gives anything back
    assert [one.money for one in case.buyer.holds()] == ["spent"]
    case.later(5_000)
    money, _ = case.ask("402-again")
    left = [one.id for one in case.buyer.holds()]
    assert (hold.id in left, money) == ((False, "held") if says == "not_settled" else (True, "spent"))
    if says != "not_settled":
        found = case.buyer.reconcile()
        assert [one.money for one in (*found.unknown, *found.live)] == ["spent"]
