"""What mcp would log of a payment is hidden; what it logs of the rest stays."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from x402_client.guards.mcp_log import hide_payments

hide_payments()
hide_payments()
CANARY = "0xcanary"
PAYMENT = {"x402/payment": {"payload": {"signature": CANARY}}}


@pytest.mark.parametrize(
    ("message", "args", "shown"),
    [
        (f"Sending client message: root={PAYMENT}", (), "Sending client message: (hidden"),
        (f"Sending client message: {{'x402.payment': '{CANARY}'}}", (), "Sending client message: (hidden"),
        (f'{{"x402.org/payment": "{CANARY}"}}', (), "(hidden"),
        ("SSE message: %s", (f"eyJ4NDAyVmVyc2lvbiI6{CANARY}",), "SSE message: (hidden"),
        (f"SSE message: you sent signature={CANARY} validBefore=5", (), "SSE message: (hidden"),
        ("SSE message: %s", ({"x402/payment-response": {"success": True}},), "success"),
        ("Received session ID: 5", (), "Received session ID: 5"),
    ],
)
def test_hidden(message: str, args: tuple[Any, ...], shown: str, caplog: pytest.LogCaptureFixture) -> None:
    name = "mcp.client.streamable_http"
    caplog.set_level(logging.DEBUG, logger=name)
    logging.getLogger(name).debug(message, *args)
    [record] = caplog.records
    assert shown in record.getMessage()
    assert CANARY not in record.getMessage()


def test_a_wrong_format_is_left_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("mcp.client.sse")
    record = logger.makeRecord(logger.name, logging.DEBUG, "", 0, "%d", ("x",), None)
    assert logger.filters[0](record)  # type: ignore[operator]
    assert record.msg == "%d"


def test_the_filter_is_there_once() -> None:
    assert len(logging.getLogger("client").filters) == 1
