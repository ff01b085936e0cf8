"""Ends that are sent ahead of their answers: in order, without a wait, and the usual way where that is not possible."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.redis.ends_connection import _MOST
from x402_client.model.holds import Attempt, Hold
from x402_client.model.offers import Receipt

from .server import Server


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = opened(server)
    yield found
    found.close_ledger()


def opened(server: Server, timeout: float = 5.0) -> RedisLedger:
    """Return a ledger whose connection for ends is open."""
    ledger = RedisLedger(server.url, timeout=timeout)
    ledger.holds()
    ledger._ends.open()
    return ledger


def presented(ledger: RedisLedger, name: str) -> Hold:
    attempt = Attempt()
    hold = ledger.reserve(order(purchase(name)), attempt)
    assert isinstance(hold, Hold)
    kept.append(attempt)  # it is in flight as long as it lives
    return ledger.record(hold, signed(name))


kept: list[Attempt] = []


def sent(ledger: RedisLedger, name: str, receipt: Receipt = RECEIPT) -> Callable[[], None]:
    wait = ledger.send_close(presented(ledger, name), "spent", receipt)
    assert wait is not None
    return wait


def all_delivered(ledger: RedisLedger, *names: str) -> bool:
    return not ledger.holds() and sorted(hold.url.rpartition("/")[2] for hold in ledger.history(9)) == sorted(names)


def test_the_server_has_it_before_anybody_waits(ledger: RedisLedger) -> None:
    wait = sent(ledger, "a")
    while not all_delivered(ledger, "a"):  # a busy server reads its connections in an order of its own
        time.sleep(0.01)
    wait()
    assert all_delivered(ledger, "a")


def test_answers_are_read_in_any_order_and_by_any_thread(ledger: RedisLedger) -> None:
    waits = [sent(ledger, name) for name in "abc"]
    threads = [threading.Thread(target=wait) for wait in reversed(waits)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all_delivered(ledger, *"abc")
    sent(ledger, "d")()
    assert all_delivered(ledger, *"abcd")
    assert not ledger._ends._unanswered


def test_nothing_is_sent_before_the_connection_is_open(server: Server) -> None:
    ledger = RedisLedger(server.url)
    ledger._steps._claimed = lambda: None  # no heart beats, which opens it
    hold = presented(ledger, "a")
    assert ledger.send_close(hold, "spent", RECEIPT) is None
    ledger._ends.open()
    assert ledger.send_close(hold, "spent", RECEIPT) is not None
    ledger.close_ledger()


def test_no_more_is_sent_than_fits_into_the_buffers(start: Callable[..., Server]) -> None:
    server = start()
    ledger = opened(server, timeout=0.5)
    holds = [presented(ledger, str(number)) for number in range(_MOST + 1)]
    server.signal(signal.SIGSTOP)
    waits = [ledger.send_close(hold, "spent", RECEIPT) for hold in holds]
    assert [wait is not None for wait in waits] == [True] * _MOST + [False]
    first = waits[0]
    assert first is not None
    with pytest.raises(LedgerUnavailable):
        first()
    server.signal(signal.SIGCONT)
    for hold in holds:
        ledger.close(hold, "spent", RECEIPT)
    assert all_delivered(ledger, *map(str, range(_MOST + 1)))
    ledger.close_ledger()


def test_a_receipt_that_is_too_large_goes_the_usual_way(ledger: RedisLedger) -> None:
    wait = sent(ledger, "a", Receipt(True, "0x" + "f" * 5_000, "eip155:8453", None, None, raw={}))
    assert len(ledger.holds()) == 1
    wait()
    assert all_delivered(ledger, "a")
    sent(ledger, "b")()
    assert all_delivered(ledger, *"ab")


def hang_up(server: Server) -> None:
    server.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def test_a_server_that_hung_up_is_asked_the_usual_way(server: Server, ledger: RedisLedger) -> None:
    hold = presented(ledger, "a")
    hang_up(server)
    assert ledger.send_close(hold, "spent", RECEIPT) is None
    ledger._ends.open()
    wait = ledger.send_close(hold, "spent", RECEIPT)
    assert wait is not None
    wait()
    assert all_delivered(ledger, "a")


def test_an_end_whose_answer_is_lost_is_sent_again(server: Server, ledger: RedisLedger) -> None:
    waits = [sent(ledger, name) for name in "ab"]
    hang_up(server)
    waits[1]()
    waits[0]()
    assert all_delivered(ledger, *"ab")
    ledger._ends.open()
    sent(ledger, "c")()
    assert all_delivered(ledger, *"abc")


def test_a_server_that_forgot_the_script_is_told_it_again(server: Server, ledger: RedisLedger) -> None:
    hold = presented(ledger, "a")
    server.do("SCRIPT", "FLUSH")
    wait = ledger.send_close(hold, "spent", RECEIPT)
    assert wait is not None
    wait()
    assert all_delivered(ledger, "a")


def test_a_ledger_that_is_closed_meanwhile(server: Server, ledger: RedisLedger) -> None:
    wait, line = sent(ledger, "a"), ledger._ends._line
    ledger.close_ledger()
    wait()
    assert all_delivered(ledger, "a")
    assert not line.is_connected if hasattr(line, "is_connected") else line._sock is None


def test_an_interrupt_leaves_no_half_command(
    server: Server, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, line = presented(ledger, "a"), ledger._ends._line

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(line, "send_packed_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.send_close(hold, "spent", RECEIPT)
    assert ledger._ends._line is None
    ledger._ends.open()
    wait = ledger.send_close(hold, "spent", RECEIPT)
    assert wait is not None
    wait()
    assert all_delivered(ledger, "a")
