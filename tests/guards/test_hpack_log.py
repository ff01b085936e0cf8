"""What hpack would log of a payment is hidden; what it logs of the rest stays."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from x402_client.guards.hpack_log import hide_payments

hide_payments()
hide_payments()
CANARY = b"eyJjYW5hcnkiOjF9"


@pytest.mark.parametrize(
    ("name", "message", "args", "shown"),
    [
        ("hpack.hpack", "Adding %s=%s, %s, %s", (b"payment-signature", CANARY, False, True), "b'payment-signature'="),
        ("hpack.hpack", "Adding %s=%s, %s, %s", (b"x-payment", CANARY, False, True), "False, True"),
        ("hpack.hpack", "Adding %s, %s", ((b"payment-signature", CANARY), True), "(hidden"),
        ("hpack.table", "Evicting %s: %s", (b"PAYMENT-SIGNATURE", CANARY), "(hidden"),
        ("hpack.hpack", "Adding %s=%s, %s, %s", (b"sign-in-with-x", CANARY, False, True), "b'sign-in-with-x'="),
        ("hpack.hpack", "Encoded header block to %s", (CANARY,), "(16 bytes)"),
        ("hpack.hpack", "Adding %s=%s, %s, %s", (b"accept", b"*/*", False, True), "b'*/*'"),
        ("hpack.hpack", "Decoded %d, consumed %d bytes", (7, 8), "Decoded 7, consumed 8 bytes"),
        ("hpack.hpack", "nothing", (), "nothing"),
    ],
)
def test_hidden(name: str, message: str, args: tuple[Any, ...], shown: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=name)
    logging.getLogger(name).debug(message, *args)
    [record] = caplog.records
    assert shown in record.getMessage()
    assert CANARY.decode() not in record.getMessage()


def test_the_filter_is_there_once() -> None:
    assert len(logging.getLogger("hpack.hpack").filters) == 1
