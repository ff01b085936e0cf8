"""The log under ``x402_client``: one line per decision, useful at INFO, nothing secret at DEBUG."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Money, Policy, errors, events
from x402_client.sandbox import FAULTS, Sandbox
from x402_client.wire import Bounds

POLICY = Policy(per_request="0.05")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(slow=0.1) as sandbox:
        yield sandbox


class Sees(httpx.HTTPTransport):
    """What really leaves, below the part that pays."""

    def __init__(self) -> None:
        super().__init__()
        self.payments: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for name in ("payment-signature", "x-payment"):
            self.payments += request.headers.get_list(name)
        return super().handle_request(request)


def buy(sandbox: Sandbox, path: str, line: httpx.BaseTransport | None = None, **settings: Any) -> None:
    buyer = sandbox.buyer(POLICY, bounds=Bounds(terms_time=0.2), **settings)
    with x402_client.httpx.wrap(httpx.Client(transport=line), buyer) as client:
        try:
            client.get(sandbox.url + path)
        except (errors.X402Error, httpx.HTTPError):
            return


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{one.levelname} {one.getMessage()}" for one in caplog.records if one.name.startswith("x402_client")]


def test_a_payment_is_three_lines(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[events.Event] = []
    with caplog.at_level(logging.INFO, "x402_client"):
        buy(sandbox, "/evm/weather?secret=1", on_event=heard.append)
    url, name = sandbox.url + "/evm/weather", "sandbox"
    [presented, *_] = heard
    assert isinstance(presented, events.Presented)
    hold = f"hold={presented.hold.id}"
    assert lines(caplog) == [
        f"INFO presented GET {url} exact on {name}, 0.01 USD {hold}",
        f"INFO answered GET {url} 200 money=spent 0.01 USD {hold}",
        f"INFO delivered GET {url} 0.01 USD {hold}",
    ]
    assert [str(event) for event in heard] == [line.removeprefix("INFO ") for line in lines(caplog)]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/yacht", ["INFO refused GET", "one payment may cost 0.05 USD"]),
        ("/fault/drop-after-settling", ["WARNING unknown GET", "RemoteProtocolError 0.01 USD hold="]),
        ("/fault/work-fails", ["WARNING not delivered GET", "500 after 0.01 USD was presented: money=spent hold="]),
        ("/fault/402-again", ["INFO answered GET", "402 money=held 0.01 USD hold=", "; as far as this answer"]),
        ("/fault/receipt-wrong-network", ["WARNING answered GET", "money=unknown", "; it names network eip155:1"]),
        (
            "/fault/receipt-failed",
            ["WARNING answered GET", "money=unknown", "; the receipt does not say that it was paid"],
        ),
        ("/fault/forged-domain/weather", ["WARNING warned GET", "The seller names the token's EIP-712 domain"]),
    ],
)
def test_what_went_wrong_can_be_read(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, path: str, words: list[str]
) -> None:
    with caplog.at_level(logging.INFO, "x402_client"):
        buy(sandbox, path)
    assert [line for line in lines(caplog) if all(word in line for word in words)], lines(caplog)


def test_presenting_again_is_told_from_presenting(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "x402_client"):
        buyer = sandbox.buyer(POLICY)
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            assert client.get(sandbox.fault_url("error-before-settling")).status_code == 200
    said = [line.split(" GET ")[0] for line in lines(caplog)]
    assert said == ["INFO presented", "INFO answered", "INFO presented again", "INFO answered", "INFO delivered"]


@pytest.mark.parametrize(
    "way", ["/evm", *(pytest.param(way, marks=pytest.mark.slow) for way in ("/solana", "/v1/evm"))]
)
def test_nothing_secret_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture, way: str) -> None:
    """Check that nothing that goes wrong logs a key, a header that pays, or a query."""
    line = Sees()
    with caplog.at_level(logging.DEBUG, "x402_client"):
        for fault in [name for name in FAULTS if not name.startswith("hang")]:
            buy(sandbox, f"{way}/fault/{fault}/weather?api_key=hush", line)
    logged = "\n".join(str(vars(one)) + one.getMessage() for one in caplog.records if one.name == "x402_client")
    assert len(line.payments) > 10
    assert "presented" in logged
    assert "hush" not in logged
    for header in line.payments:
        assert header[:200] not in logged
        assert header[-200:] not in logged


def test_a_ledgers_first_use_is_said() -> None:
    assert str(events.LedgerStarted("", "/tmp/ledger.db")) == "ledger started /tmp/ledger.db"


def test_every_event_makes_a_line(sandbox: Sandbox) -> None:
    heard: list[events.Event] = []
    buy(sandbox, "/weather", on_event=heard.append)
    [answered] = [event for event in heard if isinstance(event, events.Answered)]
    facts = {"method": "GET", "url": "https://a.example/b", "hold": answered.outcome.hold, "again": True, "status": 200}
    facts |= {"outcome": answered.outcome, "reason": "too dear", "problem": "odd", "seconds": 5.0, "settled": True}
    facts |= {"percent": 80, "allowance": "run", "left": Money("0.20"), "amount": Money("1")}
    facts |= {"account": "0xab", "network": "eip155:8453", "extensions": {"bazaar": {"status": "success"}}}
    kinds = [kind for name in events.__all__ if issubclass(kind := getattr(events, name), events.Event)]
    for kind in kinds:
        line = str(kind(**{field.name: facts[field.name] for field in fields(kind) if field.default is MISSING}))
        words, _, rest = line.partition(" GET https://a.example/b")
        assert words.replace(" ", "").islower(), line
        assert rest or kind in (events.Event, events.LedgerStarted), line
        assert "\n" not in line


def test_every_event_is_exported() -> None:
    assert set(events.__all__) == {name for name, kind in vars(events).items() if isinstance(kind, type)}


class Broken(logging.Handler):
    """A handler that raises at one of the records, against the custom of logging."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.seen, self.at = 0, at

    def emit(self, record: logging.LogRecord) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise RuntimeError("the handler is broken")


@pytest.mark.parametrize("at", range(1, 7))
def test_a_handler_that_raises_changes_no_payment(sandbox: Sandbox, at: int) -> None:
    """Two purchases are six lines. One of them fails, of the log and of the listener alike."""
    log, handler = logging.getLogger("x402_client"), Broken(at)
    told: list[events.Event] = []

    def listener(event: events.Event) -> None:
        told.append(event)
        if len(told) == at:
            raise RuntimeError("the listener is broken")

    buyer, level, paths = sandbox.buyer(POLICY, on_event=listener), log.level, ("/evm/weather", "/evm/report")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
            answers = [client.get(sandbox.url + path).status_code for path in paths]
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    assert handler.seen >= 6
    assert answers == [200, 200]
    assert (len(sandbox.settlements), buyer.holds(), len(buyer.history())) == (2, (), 2)
