"""The smallest buyer on Solana: solders and nothing of ours, so it can judge sellers and library."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from .by_hand import PAYMENT
from .solana import DECIMALS, SOLANA_NETWORK_V1, TOKEN_PROGRAMS, token_account
from .world import Seller

MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
UNIT_LIMIT = 20_000


@dataclass
class Payment:
    """What goes into the transaction. Memos: the seller's or a random one, and none under a plain network name."""

    offer: dict[str, Any]
    buyer: Keypair
    blockhash: str
    amount: int
    memos: list[bytes]
    unit_limit: int
    unit_price: int

    @classmethod
    def of(cls, offer: dict[str, Any], buyer: Keypair, blockhash: str) -> Payment:
        seller_memo = offer["extra"].get("memo", secrets.token_hex(16)).encode()
        memos = [] if offer["network"] == SOLANA_NETWORK_V1 else [seller_memo]
        amount = int(offer.get("amount") or offer["maxAmountRequired"])
        price = 1 + secrets.randbelow(49_999)
        return cls(offer, buyer, offer["extra"].get("recentBlockhash", blockhash), amount, memos, UNIT_LIMIT, price)

    def sign(self) -> VersionedTransaction:
        """The buyer's signature in the second place, and zeros in the fee payer's."""
        fee_payer = Pubkey.from_string(self.offer["extra"]["feePayer"])
        message = MessageV0.try_compile(fee_payer, self.instructions(), [], Hash.from_string(self.blockhash))
        signature = self.buyer.sign_message(to_bytes_versioned(message))
        return VersionedTransaction.populate(message, [Signature.default(), signature])

    def instructions(self) -> list[Instruction]:
        limit, price = set_compute_unit_limit(self.unit_limit), set_compute_unit_price(self.unit_price)
        return [limit, price, self._transfer(), *(Instruction(MEMO_PROGRAM, memo, []) for memo in self.memos)]

    def _transfer(self) -> Instruction:
        mint = self.offer["asset"]
        accounts = [
            AccountMeta(token_account(self.buyer, mint), is_signer=False, is_writable=True),
            AccountMeta(Pubkey.from_string(mint), is_signer=False, is_writable=False),
            AccountMeta(token_account(self.offer["payTo"], mint), is_signer=False, is_writable=True),
            AccountMeta(self.buyer.pubkey(), is_signer=True, is_writable=False),
        ]
        transfer_checked = b"\x0c" + self.amount.to_bytes(8, "little") + bytes([DECIMALS])
        return Instruction(Pubkey.from_string(TOKEN_PROGRAMS[mint]), transfer_checked, accounts)


def encoded(transaction: VersionedTransaction) -> str:
    return base64.b64encode(bytes(transaction)).decode()


def header(seller: Seller, terms: dict[str, Any], payment: Payment) -> dict[str, str]:
    content: dict[str, Any] = {
        "x402Version": seller.version,
        "payload": {"transaction": encoded(payment.sign())},
    }
    if seller.version == 1:
        content |= {name: payment.offer[name] for name in ("scheme", "network")}
    else:
        content |= {"accepted": payment.offer, "resource": terms["resource"]}
    return {PAYMENT[seller.version]: base64.b64encode(json.dumps(content).encode()).decode()}
