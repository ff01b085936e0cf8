"""What ``x402 decode`` and the command's balances say of chains of a family that is not known."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.wire.terms import KEY, document, encoded, entry
from x402_client import Token, Wallet
from x402_client.chains.rpc import Endpoints
from x402_client.cli.balances import balance, owner_of
from x402_client.cli.commands.decode import read_text
from x402_client.cli.decoding.findings import Reading
from x402_client.errors import ChainUnavailable

STELLAR = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"


def read(value: Any) -> Reading:
    return read_text(encoded(value), "a header", "", ())


def terms(**changes: Any) -> Reading:
    return read(
        document(entry(network="stellar:pubnet", asset="CCW6", payTo=STELLAR, **changes), resource={"url": "u"})
    )


def levels(reading: Reading, where: str) -> set[str]:
    return {finding.level for finding in reading.findings if where in finding.where}


def test_an_address_of_an_unknown_family_is_not_called_wrong() -> None:
    assert levels(terms(), "payTo") == {"note"}
    assert terms(extra={}).sound
    assert terms(extra={"feePayer": 7, "assetTransferMethod": 7}).sound


def test_a_payment_on_an_unknown_family_is_not_read_as_one_of_ours() -> None:
    for payload in ({"transaction": base64.b64encode(b"XDR").decode()}, {"authorization": {}}):
        accepted = entry(network="stellar:pubnet", asset="CCW6", payTo=STELLAR)
        reading = read({"x402Version": 2, "accepted": accepted, "payload": payload})
        assert reading.sound
        assert levels(reading, "payload") == {"note"}


def test_a_payment_of_one_family_is_not_read_as_one_of_the_other() -> None:
    for network, payload in (("solana", {"authorization": {}}), ("base", {"transaction": "AAAA"})):
        reading = read({"x402Version": 1, "scheme": "exact", "network": network, "payload": payload})
        assert levels(reading, "payload") == {"note"}


def test_no_key_of_ours_owns_a_token_of_an_unknown_family() -> None:
    token = Token("stellar:pubnet", "CCW6", "USDC")
    assert owner_of(Wallet(evm=KEY), token) is None
    with pytest.raises(ChainUnavailable, match="balances on stellar:pubnet cannot be read"):
        balance(Endpoints({}), STELLAR, token)
