"""Every failure there is, with keys that stand out: none of key, signature or payment header shows anywhere.

Looked at: every log record at every level, warnings, events, and of everything that is raised or returned its text,
its repr, its pickle, its chain of causes and the variables of every frame of it; and the ledger's file at the end.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import sqlite3
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from tests.adapters.drivers import Driver
from tests.adapters.scripted_server import Exchange, Server
from tests.adapters.test_failures import Holding, cut_body, cut_chunks, garbage, leave, reset
from tests.adapters.test_transport_settings import Http2Server, trusting
from x402_client import Buyer, Limit, Policy, Wallet, errors
from x402_client.events import Event
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.wire import Bounds

from .hostile_seller import GOODS, Till402, asking, offer, opened, terms

pytestmark = pytest.mark.slow

KEY = "ca9a51" * 10 + "7e57"
SEED = b"canary in the coal mine, thirty2"
POLICY = Policy(per_request="0.05", per_day="50")
TESTS = str(Path(__file__).parents[1])


class Sweep:
    """All that may be seen of a call, as text."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.handler = logging.Handler(0)
        self.handler.emit = self._record  # type: ignore[method-assign]
        self.handler.setFormatter(logging.Formatter())

    def add(self, where: str, thing: Any) -> None:
        self.seen.append((where, f"{thing!r} {thing}"))

    def event(self, event: Event) -> None:
        self.add("event", event)
        self.pickled("event", event)

    def _record(self, record: logging.LogRecord) -> None:
        self.seen.append((f"log {record.name}", f"{self.handler.format(record)} {record.__dict__!r}"))

    def pickled(self, where: str, thing: Any) -> None:
        with contextlib.suppress(Exception):  # what cannot be pickled shows nothing
            self.seen.append((f"pickle of {where}", repr(pickle.dumps(thing))))

    def raised(self, failure: BaseException) -> None:
        known: set[int] = set()
        waiting: list[BaseException | None] = [failure]
        while waiting:
            current = waiting.pop()
            if current is None or id(current) in known:
                continue
            known.add(id(current))
            self.add("error", current)
            self.seen.append(("error's variables", repr(getattr(current, "__dict__", ""))))
            self.pickled("error", current)
            self._frames(current)
            waiting += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]
        self.seen.append(("traceback", "".join(traceback.format_exception(failure))))

    def _frames(self, failure: BaseException) -> None:
        for frame, line in traceback.walk_tb(failure.__traceback__):
            if frame.f_code.co_filename.startswith(TESTS):
                continue  # these know the secrets
            for name, value in frame.f_locals.items():
                with contextlib.suppress(Exception):
                    where = f"{name} in {frame.f_code.co_filename}:{line}, of {type(failure).__name__}"
                    self.seen.append((where, repr(value)))

    def finds(self, *secrets: str) -> list[str]:
        found = [(where, secret) for where, text in self.seen for secret in secrets if secret.lower() in text.lower()]
        return sorted({f"{secret[:12]}… in {where}" for where, secret in found})


@pytest.fixture
def sweep() -> Iterator[Sweep]:
    found = Sweep()
    root = logging.getLogger()
    before = root.level
    root.setLevel(0)
    root.addHandler(found.handler)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield found
    root.removeHandler(found.handler)
    root.setLevel(before)
    assert not [warning for warning in warned if "x402" in str(warning.filename)]


def payment_secrets(headers: list[str]) -> list[str]:
    """What must not show of these payments: the header, and the signature in it."""
    found = [KEY, SEED.decode(), SEED.hex(), repr(SEED)[2:-1], str(Keypair.from_seed(SEED))]
    for header in headers:
        found += [header, header[200:260], signed_part(header).removeprefix("0x")]
    return found


def signed_part(header: str) -> str:
    """What a facilitator could settle by."""
    payload = opened(header)["payload"]
    return str(payload.get("signature") or payload["transaction"])


class Breaking(SqliteLedger):
    """A ledger whose disk fails at one step."""

    def __init__(self, path: Path, step: str) -> None:
        super().__init__(path)
        self.step = step

    def reserve(self, order: Any, attempt: Any) -> Any:
        if self.step == "reserve":
            raise OSError(28, "No space left on device")
        if self.step == "record":  # as a ledger that does not record in the same step
            order = order._replace(signed=None)
        return super().reserve(order, attempt)

    def record(self, hold: Any, authorization: Any) -> Any:
        if self.step == "record":
            raise OSError(28, "No space left on device")
        return super().record(hold, authorization)

    def close(self, hold: Any, money: Any, receipt: Any) -> Any:
        if self.step == "close":
            raise OSError(28, "No space left on device")
        return super().close(hold, money, receipt)

    @property
    def impatient(self) -> Any:
        return self


def resets_in_the_body(exchange: Exchange, *_: Any) -> None:
    exchange.read_some(10)
    exchange.cut()


def large() -> Iterator[bytes]:
    yield from [b"x" * 65536] * 100


def rejects(exchange: Exchange, *_: Any) -> None:
    """The seller's own words are the payment that it was handed."""
    header = exchange.seen.header("payment-signature") or ""
    document = terms(2, offer()) | {"error": signed_part(header) + header}
    exchange.answer(402, b"{}", [("PAYMENT-REQUIRED", encoded_of(document))])


def echoes(exchange: Exchange, *_: Any) -> None:
    """The receipt is made of the payment."""
    header = exchange.seen.header("payment-signature") or ""
    signature = signed_part(header)
    said = {"success": False, "transaction": signature, "errorReason": header, "network": header, "payer": signature}
    exchange.answer(200, GOODS, [("PAYMENT-RESPONSE", encoded_of(said))])


def encoded_of(value: Any) -> str:
    from tests.adapters.cash_register import encoded

    return encoded(value)


ANSWERS: dict[str, Callable[..., Any]] = {
    "no answer": leave,
    "a reset": reset,
    "no HTTP": garbage,
    "a body cut short": cut_body,
    "chunks cut short": cut_chunks,
    "a refusal": lambda ex, *_: asking(2, terms(2, offer()))(ex),
    "a refusal with our own payment in it": rejects,
    "an error": lambda ex, *_: ex.answer(500, b"sorry"),
    "a receipt with our own payment in it": echoes,
    "a redirect": lambda ex, *_: ex.answer(302, b"", [("Location", "/elsewhere")]),
    "an encoding that lies": lambda ex, *_: ex.answer(200, b"no gzip", [("Content-Encoding", "gzip")]),
    "garbage for a receipt": lambda ex, *_: ex.answer(200, GOODS, [("PAYMENT-RESPONSE", "%%%")]),
    "the goods": lambda ex, *_: ex.answer(200, GOODS),
}


def call(shell: Driver, buyer: Buyer, sweep: Sweep, url: str, method: str = "GET", **said: Any) -> None:
    client = shell.client(buyer)
    try:
        response = client.request(method, url, **said)
    except Exception as failure:
        sweep.raised(failure)
        for name in ("hold", "offer", "response"):
            thing = getattr(failure, name, None)
            sweep.add(name, thing)
            sweep.pickled(name, thing)
    else:
        sweep.add("response", response)
        sweep.add("response's request", [*response.request.headers.items()])
        for past in (response, *response.history):
            sweep.add("outcome", shell.outcome(past))
            sweep.pickled("outcome", shell.outcome(past))
    for thing in (buyer, buyer.wallet, buyer.rules, client.native, buyer.holds(), buyer.history()):
        sweep.add(type(thing).__name__, thing)
        sweep.pickled(type(thing).__name__, thing)
    client.close()


def rows(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump())


def wallet() -> Wallet:
    return Wallet(evm="0x" + KEY, solana=SEED)


#: A Solana payment's blockhash is the seller's here, so that no chain has to be asked.
OFFERS = {
    "evm": {},
    "solana": {
        "network": "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
        "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
        "payTo": str(Keypair.from_seed(b"s" * 32).pubkey()),
        "extra": {
            "feePayer": str(Keypair.from_seed(b"f" * 32).pubkey()),
            "recentBlockhash": str(Keypair.from_seed(b"h" * 32).pubkey()),
        },
    },
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("changes", OFFERS.values(), ids=OFFERS)
def test_whatever_answers_a_payment(
    shell: Driver,
    server: Server,
    sweep: Sweep,
    tmp_path: Path,
    changes: dict[str, Any],
    answer: Callable[..., Any],
) -> None:
    buyer = Buyer(wallet(), POLICY, ledger=tmp_path / "l.db", on_event=sweep.event)
    till = Till402(asking(2, terms(2, offer(**changes))), answer)
    server.on("/elsewhere", lambda ex: ex.answer(200, b"here"))
    call(shell, buyer, sweep, server.on("/case", till) + "?token=query-canary")
    assert len(set(till.handed)) == 1
    assert sweep.finds(*payment_secrets(till.handed)) == []
    ours = [text for where, text in sweep.seen if where in ("log x402_client", "event")]
    assert "query-canary" not in "".join(ours)
    for hold in buyer.holds():
        buyer.write_off(hold)
    assert not [secret for secret in payment_secrets(till.handed) if secret in rows(tmp_path / "l.db")]
    assert "query-canary" not in rows(tmp_path / "l.db")


def test_a_payment_that_cannot_be_written(shell: Driver, server: Server, sweep: Sweep) -> None:
    buyer = Buyer(wallet(), POLICY, ledger=":memory:", on_event=sweep.event)
    handed: list[str] = []

    def script(exchange: Exchange) -> None:
        found = exchange.seen.header("payment-signature")
        if found is None:
            exchange.read_body()
            asking(2, terms(2, offer()))(exchange)
        else:
            handed.append(found)
            resets_in_the_body(exchange)

    call(shell, buyer, sweep, server.on("/case", script), "POST", content=b"x" * 20_000_000)
    assert handed
    assert sweep.finds(*payment_secrets(handed)) == []


def test_a_seller_that_is_gone(shell: Driver, server: Server, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from x402_client.core import authorizing

    buyer = Buyer(wallet(), POLICY, ledger=":memory:", on_event=sweep.event)
    made: list[str] = []
    monkeypatch.setattr(authorizing, "payment_header", noting(authorizing.payment_header, made))

    def last_words(exchange: Exchange) -> None:
        server.stop_listening()
        exchange.keep = False
        exchange.answer(402, b"{}", [("PAYMENT-REQUIRED", encoded_of(terms(2, offer()))), ("Connection", "close")])

    call(shell, buyer, sweep, server.on("/case", last_words))
    assert len(made) == 1
    assert sweep.finds(*payment_secrets(made)) == []


def test_a_slow_seller(shell: Driver, server: Server, sweep: Sweep) -> None:
    buyer = Buyer(wallet(), POLICY, ledger=":memory:", on_event=sweep.event, settle_timeout=0.5)
    holding = Holding()
    till = Till402(asking(2, terms(2, offer())), holding)
    call(shell, buyer, sweep, server.on("/case", till), timeout=0.5)
    holding.over.set()
    assert len(till.handed) == 1
    assert sweep.finds(*payment_secrets(till.handed)) == []


@pytest.mark.parametrize("step", ["reserve", "record", "close"])
def test_a_ledger_that_fails(
    shell: Driver, server: Server, sweep: Sweep, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x402_client.core import authorizing

    made: list[str] = []
    monkeypatch.setattr(authorizing, "payment_header", noting(authorizing.payment_header, made))
    ledger = Breaking(tmp_path / "l.db", step)
    buyer = Buyer(wallet(), POLICY, ledger=ledger, on_event=sweep.event)
    till = Till402(asking(2, terms(2, offer())))
    call(shell, buyer, sweep, server.on("/case", till))
    assert len(made) == 1
    assert len(till.handed) == (step == "close")
    assert sweep.finds(*payment_secrets(made)) == []
    ledger.step = ""
    buyer.close()


def test_a_file_that_fails_under_the_ledger(
    shell: Driver, server: Server, sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement that keeps the payment is the one that fails: its values are in SQLite's hands by then."""
    from x402_client.core import authorizing
    from x402_client.ledgers.sqlite import holds as sqlite_holds

    made: list[str] = []
    monkeypatch.setattr(authorizing, "payment_header", noting(authorizing.payment_header, made))
    monkeypatch.setattr(sqlite_holds, "_ADMIT", "UPDATE nowhere SET a = ?, b = ?, c = ?, d = ?, e = ?, f = ?, g = ?")
    buyer = Buyer(wallet(), POLICY, ledger=tmp_path / "l.db", on_event=sweep.event)
    till = Till402(asking(2, terms(2, offer())))
    call(shell, buyer, sweep, server.on("/case", till))
    assert len(made) == 1
    assert till.handed == []
    assert sweep.finds(*payment_secrets(made)) == []


def test_a_payment_too_large_to_send(
    shell: Driver, server: Server, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x402_client.wire import write

    made: list[str] = []
    monkeypatch.setattr(write, "_header", noting(write._header, made))
    monkeypatch.setattr(write, "_PAYLOAD", 0)
    bounds = Bounds(payment_header=700)
    buyer = Buyer(wallet(), POLICY, ledger=":memory:", on_event=sweep.event, bounds=bounds)
    till = Till402(asking(2, terms(2, offer())))
    call(shell, buyer, sweep, server.on("/case", till))
    assert till.handed == []
    assert made, "it has to be signed before it is too large"
    assert sweep.finds(*payment_secrets(made)) == []


@pytest.mark.parametrize(
    "said",
    [
        {"policy": Policy(per_request="0.001")},
        {"policy": Policy(per_day="0.001")},
        {"policy": Policy(per_request="1", approve_above="0"), "approve": lambda approval: 1 / 0},
        {"policy": Policy(per_request="1", hosts={"127.0.0.1": "deny"})},
        {"policy": Policy(per_request="1", hosts={"a.example": Limit(per_day="1")}, only_listed_hosts=True)},
    ],
    ids=["too dear", "over a limit", "an approver that fails", "denied", "not listed"],
)
def test_a_refusal(shell: Driver, server: Server, sweep: Sweep, said: dict[str, Any]) -> None:
    buyer = Buyer(wallet(), ledger=":memory:", on_event=sweep.event, **said)
    call(shell, buyer, sweep, server.on("/case", Till402(asking(2, terms(2, offer())))))
    assert sweep.finds(*payment_secrets([])) == []


def test_a_listener_that_fails(shell: Driver, server: Server, sweep: Sweep) -> None:
    def listen(event: Event) -> None:
        sweep.event(event)
        raise ValueError("mine")

    buyer = Buyer(wallet(), POLICY, ledger=":memory:", on_event=listen)
    till = Till402(asking(2, terms(2, offer())))
    call(shell, buyer, sweep, server.on("/case", till))
    assert len(till.handed) == 1
    assert sweep.finds(*payment_secrets(till.handed)) == []


WRONG_KEYS = {
    "too short": {"evm": "0x" + KEY[:-2]},
    "too long": {"evm": KEY + "00"},
    "no hex": {"evm": KEY[:-1] + "g"},
    "31 bytes": {"evm": bytes.fromhex(KEY)[:-1]},
    "beyond the curve": {"evm": "0x" + "f" * 40 + KEY[:24]},
    "good, beside a bad one": {"evm": KEY, "solana": SEED + b"x"},
    "a bad one, beside a good one": {"evm": KEY[:-2], "solana": SEED},
    "no base58": {"evm": KEY, "solana": str(Keypair.from_seed(SEED)) + "0"},
    "halves that do not fit": {"solana": SEED + b"x" * 32},
    "a list": {"solana": list(SEED)},
    "an object": {"evm": KEY, "solana": object()},
}


@pytest.mark.parametrize("keys", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_wrong_key(sweep: Sweep, keys: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Wallet(**keys)
    sweep.raised(caught.value)
    secrets = [
        KEY[:24],
        SEED.decode(),
        SEED.hex(),
        repr(SEED)[2:-1],
        str(Keypair.from_seed(SEED)),
        str(list(SEED))[1:20],
    ]
    assert sweep.finds(*secrets) == []


def test_http2_in_every_detail(server: Server, shell: Driver, sweep: Sweep, tmp_path: Path) -> None:
    """hpack writes every header that it packs to its log, at DEBUG."""
    if shell.name in ("requests", "aiohttp"):
        pytest.skip(f"{shell.name} speaks HTTP/1.1")
    from tests.adapters.cash_register import Till
    from tests.adapters.checks import new_buyer
    from tests.adapters.test_transport_settings import _AUTHORITY

    _AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    till = Till(2)
    with Http2Server(till) as http2:
        options = trusting(shell, {"ca": str(tmp_path / "ca.pem")}, http2=True)
        client = shell.client(new_buyer(ledger=":memory:"), **options)
        for _ in range(3):
            assert client.get(http2.url).content == GOODS
        client.close()
    assert [where for where, _ in sweep.seen if where.startswith("log hpack")], "nobody logs here any more"
    assert sweep.finds(*payment_secrets(till.headers)) == []


def noting(function: Callable[..., Any], made: list[str]) -> Callable[..., Any]:
    """Notes the header that is made, with its name or without."""

    def noted(*args: Any) -> Any:
        found = function(*args)
        made.append(found if isinstance(found, str) else found[1])
        return found

    return noted
