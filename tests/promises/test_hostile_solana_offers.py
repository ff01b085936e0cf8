"""The same list for Solana: what would cost fees, go astray or never settle is refused before it is signed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction

from tests.adapters.drivers import Driver
from tests.adapters.scripted_server import Server
from x402_client import Policy, errors
from x402_client.model.networks import SOLANA_DEVNET

from .hostile_seller import GOODS, Case, Till402, asking, opened, terms

KEY = Keypair.from_seed(b"\x42" * 32)
OURS, SELLER, FEES = (
    str(KEY.pubkey()),
    str(Keypair.from_seed(b"\1" * 32).pubkey()),
    str(Keypair.from_seed(b"\2" * 32).pubkey()),
)
MINT = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
HINT = str(Keypair.from_seed(b"\3" * 32).pubkey())
TOKEN, SYSTEM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "1" * 32
EXTRA = {"feePayer": FEES, "recentBlockhash": HINT}


def solana_offer(**changes: Any) -> dict[str, Any]:
    sound = {"scheme": "exact", "network": SOLANA_DEVNET, "amount": "10000", "asset": MINT, "payTo": SELLER}
    return sound | {"maxTimeoutSeconds": 60, "extra": EXTRA} | changes


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no fee payer": ({"extra": {}}, "extra.feePayer 'None' is not an address"),
    "a fee payer that is no address": ({"extra": {"feePayer": "0" * 44}}, "is not an address"),
    "a fee payer that is no text": ({"extra": {"feePayer": 7}}, "is not an address"),
    "we as the fee payer": ({"extra": EXTRA | {"feePayer": OURS}}, "the fee payer is the buyer itself"),
    "the token as the fee payer": ({"extra": EXTRA | {"feePayer": MINT}}, "the fee payer is a program or the token's"),
    "a program as the fee payer": ({"extra": EXTRA | {"feePayer": TOKEN}}, "the fee payer is a program or the token's"),
    "payTo ourselves": ({"payTo": OURS}, "payTo is the buyer itself"),
    "payTo the mint": ({"payTo": MINT}, "payTo is the token's own mint"),
    "payTo a program": ({"payTo": TOKEN}, "payTo is a program"),
    "payTo the system": ({"payTo": SYSTEM}, "payTo is a program"),
    "payTo on another chain": ({"payTo": "0x" + "ab" * 20}, "is not an address"),
    "payTo of 31 bytes": ({"payTo": "2" * 42}, "is not an address"),
    "an unknown mint": ({"asset": SELLER}, "is not a token this buyer knows"),
    "a mint of mainnet": ({"asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"}, "is not a token this buyer knows"),
    "more than the chain can hold": ({"amount": str(2**64)}, "above what the chain can hold"),
    "a memo of 257 bytes": ({"extra": EXTRA | {"memo": "x" * 257}}, "extra.memo has 257 bytes; 256 are allowed"),
    "a memo that is no text": ({"extra": EXTRA | {"memo": {"a": 1}}}, "extra.memo is not text"),
    "escrow": ({"extra": EXTRA | {"paymentFlow": "escrow"}}, "flow 'escrow' is not supported: it locks money away"),
    "an unknown flow": ({"extra": EXTRA | {"paymentFlow": "later"}}, "'later' is not supported; authorization and"),
    "a flow that is no text": ({"extra": EXTRA | {"paymentFlow": ["upfront"]}}, "payment flow"),
    "nothing": ({"amount": "0"}, "asks for nothing"),
}


def case_of(shell: Driver, server: Server) -> Case:
    return Case(shell, server, policy=Policy(per_request="99999999999999", per_day="99999999999999"), solana=KEY)


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(shell: Driver, server: Server, changes: dict[str, Any], reason: str) -> None:
    till = Till402(asking(2, terms(2, solana_offer(**changes))))
    case = case_of(shell, server)
    with pytest.raises(errors.NoAcceptableOffer, match=reason):
        case.get(server.on("/case", till))
    case.nothing_left(till)


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({}, 10_000),
        ({"extra": EXTRA | {"feePayer": SELLER}}, 10_000),
        ({"amount": str(2**64 - 1)}, 2**64 - 1),
        ({"extra": EXTRA | {"memo": "order 7"}}, 10_000),
        ({"extra": EXTRA | {"paymentFlow": "upfront"}}, 10_000),
        ({"extra": EXTRA | {"memo": "x" * 256}}, 10_000),
        ({"extra": EXTRA | {"computeUnitPrice": 10**12, "decimals": 0, "instructions": ["more"]}}, 10_000),
    ],
)
def test_paid_exactly_once(shell: Driver, server: Server, changes: dict[str, Any], amount: int) -> None:
    till = Till402(asking(2, terms(2, solana_offer(**changes))))
    case = case_of(shell, server)
    assert case.get(server.on("/case", till)).content == GOODS
    [header] = till.handed
    signed = VersionedTransaction.from_bytes(base64.b64decode(opened(header)["payload"]["transaction"]))
    message = signed.message
    keys = [str(key) for key in message.account_keys]
    assert keys[:2] == [changes.get("extra", EXTRA)["feePayer"], OURS]
    assert message.header.num_required_signatures == 2
    limit, price, transfer, memo = message.instructions
    assert limit.data[0] == 2
    assert int.from_bytes(limit.data[1:], "little") < 100_000
    assert price.data[0] == 3
    assert int.from_bytes(price.data[1:], "little") < 50_000
    assert keys[transfer.program_id_index] == TOKEN
    assert bytes(transfer.data) == bytes([12]) + amount.to_bytes(8, "little") + bytes([6])
    assert keys[transfer.accounts[3]] == OURS
    assert bytes(memo.data).decode() == changes.get("extra", {}).get("memo", bytes(memo.data).decode())
    assert str(message.recent_blockhash) == HINT
    assert case.signer.documents == []
    assert len(case.buyer.history()) == 1
