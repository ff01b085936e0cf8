"""A signed order is recorded in the step that reserves it, and dropped if no program heard of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.model.holds import Attempt, Spending

from .server import Server

TODAY = Spending("", "day", "USD")


def test_the_hold_comes_back_signed(server: Server) -> None:
    ledger, attempt, made = PostgresLedger(server.url()), Attempt(), signed()
    hold: Any = ledger.reserve(order()._replace(signed=made), attempt)
    assert (hold.state, hold.authorization, hold.authorization.header) == ("signed", made, made.header)
    assert [(listed.state, listed.nonce) for listed in ledger.holds()] == [("signed", made.nonce)]
    ledger.close_ledger()


def test_one_whose_answer_never_came_is_given_back(server: Server) -> None:
    ledger, attempt = PostgresLedger(server.url()), Attempt()
    send = ledger._connection.send

    def losing(ask: Any) -> Any:
        answer = send(ask)
        if getattr(ask, "op", "") == "reserve":
            raise LedgerUnavailable("no answer")
        return answer

    ledger.holds()
    ledger._connection.send = losing  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailable):
        ledger.reserve(order()._replace(signed=signed()), attempt)
    assert (ledger.holds(), ledger.spent(TODAY)) == ((), 0)
    ledger.close_ledger()


def test_a_program_whose_ends_are_sent_beside_its_next_payments_keeps_its_name(server: Server) -> None:
    ledger = PostgresLedger(server.url())
    ledger.holds()
    ledger._ends.open()
    name, attempts, waiting = ledger._claims.owner, [Attempt() for _ in range(400)], []
    for number, attempt in enumerate(attempts):
        hold: Any = ledger.reserve(order(purchase(str(number)))._replace(signed=signed()), attempt)
        wait = ledger.send_close(hold, "spent", RECEIPT)
        waiting += [] if wait is None else [threading.Thread(target=wait)]
        if wait is not None:
            waiting[-1].start()
    assert len(waiting) > 200
    for thread in waiting:
        thread.join()
    assert ledger._claims.owner == name
    ledger.close_ledger()
