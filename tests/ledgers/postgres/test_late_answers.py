"""A call whose claim was given up pays nothing, though the server's answer comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ledgers.late_answers import WAYS, check_late_answer, check_rest
from x402_client.ledgers.postgres import PostgresLedger

from .server import Server


@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "to be signed"])
@pytest.mark.parametrize("way", WAYS)
def test_a_late_answer(server: Server, way: str, is_signed: bool) -> None:
    ledger = PostgresLedger(server.url())
    check_late_answer(ledger, way, is_signed)
    ledger.close_ledger()


@pytest.mark.parametrize("is_gone", [True, False], ids=["without its server", "with its server"])
def test_a_closed_ledger_rests(start: Callable[..., Server], is_gone: bool) -> None:
    own = start()
    check_rest(PostgresLedger(own.url(), timeout=1), own.remove if is_gone else bool)
