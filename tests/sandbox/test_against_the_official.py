"""The sandbox's engine and the official facilitator judge the same payments: where they differ, the table says so."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from tests.real.by_hand import Authorization
from tests.real.by_hand_solana import Payment, encoded
from tests.real.chain import USDC
from tests.real.solana import PYUSD_DEVNET, SOLANA_NETWORK, SOLANA_NETWORK_V1, USDC_DEVNET
from tests.real.world import NETWORK, NETWORK_V1, World
from x402_client import Token
from x402_client.sandbox.evm import EvmChain
from x402_client.sandbox.records import Clock
from x402_client.sandbox.solana import SolanaChain

pytestmark = pytest.mark.foreign
HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PRICE, FUNDS = 10_000, 1_000_000


@dataclass
class Facilitator:
    """The official one, asked over HTTP."""

    url: str
    version: int

    @property
    def kinds(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(self.url + "/supported", trust_env=False).json()["kinds"]
        return found

    def ask(self, path: str, payload: Any, offer: dict[str, Any]) -> dict[str, Any]:
        payment: dict[str, Any] = {"x402Version": self.version, "payload": payload}
        payment |= {"accepted": offer} if self.version == 2 else {k: offer[k] for k in ("scheme", "network")}
        question = {"x402Version": self.version, "paymentPayload": payment, "paymentRequirements": offer}
        found: dict[str, Any] = httpx.post(self.url + path, json=question, timeout=30, trust_env=False).json()
        return found

    def takes(self, payload: Any, offer: dict[str, Any]) -> bool:
        return self.ask("/verify", payload, offer).get("isValid") is True


def offer_of(version: int, **fields: Any) -> dict[str, Any]:
    offer = {"scheme": "exact", "maxTimeoutSeconds": 60, **fields}
    if version == 2:
        return offer | {"amount": str(PRICE)}
    described = {"resource": "http://a.example/", "description": "", "mimeType": "", "outputSchema": None}
    return offer | {"maxAmountRequired": str(PRICE)} | described


# --- EVM


def evm_payload(signed: Authorization, signature: str) -> dict[str, Any]:
    return {"signature": signature, "authorization": signed.message()}


def tampered(signed: Authorization, buyer: LocalAccount) -> dict[str, Any]:
    return evm_payload(replace(signed, nonce="0x" + secrets.token_hex(32)), signed.sign(buyer))


def for_amount(amount: int) -> Callable[[Authorization, LocalAccount], dict[str, Any]]:
    def make(signed: Authorization, buyer: LocalAccount) -> dict[str, Any]:
        other = replace(signed, offer={**signed.offer, "amount": str(amount), "maxAmountRequired": str(amount)})
        return evm_payload(other, other.sign(buyer))

    return make


def with_offer(**changes: Any) -> Callable[[Authorization, LocalAccount], dict[str, Any]]:
    def make(signed: Authorization, buyer: LocalAccount) -> dict[str, Any]:
        other = replace(signed, offer={**signed.offer, **changes})
        return evm_payload(other, other.sign(buyer))

    return make


def with_times(after: int, before: int) -> Callable[[Authorization, LocalAccount], dict[str, Any]]:
    def make(signed: Authorization, buyer: LocalAccount) -> dict[str, Any]:
        now = int(time.time())
        other = replace(signed, valid_after=now + after, valid_before=now + before)
        return evm_payload(other, other.sign(buyer))

    return make


def other_form(signed: Authorization, buyer: LocalAccount) -> dict[str, Any]:
    """The same signature with the larger s, which the token refuses."""
    raw = bytes.fromhex(signed.sign(buyer)[2:])
    s, v = HALF_ORDER - int.from_bytes(raw[32:64]), 55 - raw[64]
    return evm_payload(signed, "0x" + (raw[:32] + s.to_bytes(32) + bytes([v])).hex())


def by_a_stranger(signed: Authorization, buyer: LocalAccount) -> dict[str, Any]:
    return evm_payload(signed, signed.sign(Account.create()))


EVM_CASES: dict[str, tuple[Callable[[Authorization, LocalAccount], Any], bool]] = {
    "good": (lambda signed, buyer: evm_payload(signed, signed.sign(buyer)), True),
    "another nonce": (tampered, False),
    "a unit less": (for_amount(PRICE - 1), False),
    "a unit more": (for_amount(PRICE + 1), False),
    "to somebody else": (with_offer(payTo="0x" + "7" * 40), False),
    "another domain": (with_offer(extra={"name": "USD Coin", "version": "2"}), False),
    "expired": (with_times(-600, -1), False),
    "about to expire": (with_times(-600, 4), False),
    "not yet valid": (with_times(100, 200), False),
    "signed by a stranger": (by_a_stranger, False),
    "the other form of the signature": (other_form, False),
    "no signature": (lambda signed, buyer: evm_payload(signed, "0x"), False),
    "no signature at all": (lambda signed, buyer: evm_payload(signed, "0x" + "00" * 65), False),
    "nothing": (lambda signed, buyer: {}, False),
}


class EvmGround:
    """One buyer and one seller, on the official chain and on the sandbox's."""

    def __init__(self, world: World, version: int, funds: int = FUNDS) -> None:
        self.buyer = world.buyer(funds)
        pay_to = str(Account.create().address)
        network = NETWORK if version == 2 else NETWORK_V1
        extra = {"name": "USDC", "version": "2"}
        self.offer = offer_of(version, network=network, asset=USDC, payTo=pay_to, extra=extra)
        self.official = Facilitator(world.facilitator_url, version)
        self.ours = EvmChain(Token(NETWORK, USDC, "USDC", 6, "USDC", "2"), Clock(), lambda address: True)
        self.ours.fund(self.buyer.address, funds)

    def signed(self) -> Authorization:
        return Authorization(self.offer, self.buyer.address)


@pytest.mark.parametrize("version", [1, 2])
def test_both_judge_evm_payments_alike(world: World, version: int) -> None:
    ground = EvmGround(world, version)
    found = {}
    for name, (make, _) in EVM_CASES.items():
        payload = make(ground.signed(), ground.buyer)
        ours = ground.ours.verify(payload, ground.offer) is None
        found[name] = (ours, ground.official.takes(payload, ground.offer))
    assert found == {name: (good, good) for name, (_, good) in EVM_CASES.items()}


@pytest.mark.parametrize("version", [1, 2])
def test_both_settle_an_evm_payment_once(world: World, version: int) -> None:
    ground = EvmGround(world, version)
    signed = ground.signed()
    payload = evm_payload(signed, signed.sign(ground.buyer))
    assert not isinstance(ground.ours.settle(payload, ground.offer), str)
    assert ground.official.ask("/settle", payload, ground.offer)["success"] is True
    assert ground.ours.balance(ground.buyer.address) == world.chain.balance(ground.buyer.address) == FUNDS - PRICE
    assert ground.ours.settle(payload, ground.offer) == "invalid_exact_evm_nonce_already_used"
    assert ground.official.takes(payload, ground.offer) is False


def test_both_refuse_a_buyer_without_funds(world: World) -> None:
    ground = EvmGround(world, 2, funds=PRICE - 1)
    signed = ground.signed()
    payload = evm_payload(signed, signed.sign(ground.buyer))
    assert ground.ours.verify(payload, ground.offer) == "invalid_exact_evm_insufficient_balance"
    assert ground.official.takes(payload, ground.offer) is False


# --- Solana

SolanaMake = Callable[[Payment], Any]


def solana_payload(payment: Payment) -> dict[str, str]:
    return {"transaction": encoded(payment.sign())}


def but(**changes: Any) -> SolanaMake:
    return lambda payment: solana_payload(replace(payment, **changes))


def paying(**changes: Any) -> SolanaMake:
    return lambda payment: solana_payload(replace(payment, offer={**payment.offer, **changes}))


def one_bit_off(payment: Payment) -> dict[str, str]:
    """In the buyer's signature, which comes second."""
    raw = bytearray(bytes(payment.sign()))
    raw[1 + 64] ^= 1
    return {"transaction": base64.b64encode(raw).decode()}


def from_nobody(payment: Payment) -> dict[str, str]:
    return solana_payload(replace(payment, buyer=Keypair()))


def with_other_fee_payer(payment: Payment) -> dict[str, str]:
    extra = {**payment.offer["extra"], "feePayer": str(Keypair().pubkey())}
    return solana_payload(replace(payment, offer={**payment.offer, "extra": extra}))


def rebuilt(change: Callable[[list[Instruction]], list[Instruction]]) -> SolanaMake:
    def make(payment: Payment) -> dict[str, str]:
        fee_payer = Pubkey.from_string(payment.offer["extra"]["feePayer"])
        instructions = change(payment.instructions())
        message = MessageV0.try_compile(fee_payer, instructions, [], Hash.from_string(payment.blockhash))
        signature = payment.buyer.sign_message(to_bytes_versioned(message))
        return {"transaction": encoded(VersionedTransaction.populate(message, [Signature.default(), signature]))}

    return make


def unchecked(instructions: list[Instruction]) -> list[Instruction]:
    """The older Transfer: without mint and decimals."""
    limit, price, transfer, *memos = instructions
    source, _, target, owner = transfer.accounts
    return [
        limit,
        price,
        Instruction(transfer.program_id, b"\x03" + transfer.data[1:9], [source, target, owner]),
        *memos,
    ]


def with_data(at: int, data: bytes) -> SolanaMake:
    def change(instructions: list[Instruction]) -> list[Instruction]:
        old = instructions[at]
        return [*instructions[:at], Instruction(old.program_id, data, old.accounts), *instructions[at + 1 :]]

    return rebuilt(change)


#: What ours makes of each payment of version 2, of version 1 under a plain name, and what the official one does.
SOLANA_CASES: dict[str, tuple[SolanaMake, bool, bool, bool]] = {
    "with a memo": (but(memos=[b"0123456789abcdef"]), True, False, True),
    "without a memo": (but(memos=[]), False, True, True),
    "with two memos": (but(memos=[b"one", b"two"]), False, False, True),
    "with four memos": (but(memos=[b"1", b"2", b"3", b"4"]), False, False, False),
    "a unit less": (but(amount=PRICE - 1), False, False, False),
    "a unit more": (but(amount=PRICE + 1), False, False, True),
    "at the highest unit price of all": (but(unit_price=1_000_000), True, True, True),
    "above what some take for a unit": (but(unit_price=1_000_001), False, False, True),
    "above what anybody takes for a unit": (but(unit_price=5_000_001), False, False, False),
    "with more units than some take": (but(unit_limit=100_000), False, False, True),
    "with too few units": (but(unit_limit=200), False, False, False),
    "to somebody else": (paying(payTo=str(Keypair().pubkey())), False, False, False),
    "under a blockhash of nobody": (but(blockhash=str(Keypair().pubkey())), False, False, False),
    "with a bit of the signature turned": (one_bit_off, False, False, False),
    "of an account without money": (from_nobody, False, False, False),
    "with a fee payer of its own": (with_other_fee_payer, False, False, False),
    "in another token": (paying(asset=PYUSD_DEVNET), False, False, False),
    "by an unchecked transfer": (rebuilt(unchecked), False, False, False),
    "with the price before the limit": (rebuilt(lambda found: [found[1], found[0], *found[2:]]), False, False, False),
    "with two transfers": (rebuilt(lambda found: [*found[:3], found[2]]), False, False, False),
    "with a heap for a limit": (with_data(0, b"\x01\x00\x00\x01\x00"), False, False, False),
    "with half a price": (with_data(1, b"\x03\x01"), False, False, False),
    "not in base64": (lambda payment: {"transaction": "%"}, False, False, False),
    "no transaction": (lambda payment: {"transaction": "AAAA"}, False, False, False),
    "nothing": (lambda payment: {}, False, False, False),
}


class SolanaGround:
    """One buyer and one seller, on the official chain and on the sandbox's."""

    def __init__(self, world: World, version: int, ours: SolanaChain) -> None:
        self.world, self.chain = world, ours
        self.buyer, pay_to = world.solana_buyer(FUNDS), str(Keypair().pubkey())
        world.solana.mint_to(pay_to, 0)
        ours.fund(str(self.buyer.pubkey()), FUNDS)
        ours.fund(pay_to, 0)
        network = SOLANA_NETWORK if version == 2 else SOLANA_NETWORK_V1
        self.official = Facilitator(world.solana_facilitator_url, version)
        official = next(one["extra"]["feePayer"] for one in self.official.kinds if one["x402Version"] == version)
        common = {"network": network, "asset": USDC_DEVNET, "payTo": pay_to}
        self.official_offer = offer_of(version, **common, extra={"feePayer": official})
        self.our_offer = offer_of(version, **common, extra={"feePayer": ours.fee_payer})

    def our_payment(self, amount: int = PRICE) -> Payment:
        blockhash = self.chain.on_machine(lambda machine: machine.slots.blockhash(machine.slots.now()))
        return replace(Payment.of(self.our_offer, self.buyer, blockhash), amount=amount)

    def official_payment(self) -> Payment:
        return Payment.of(self.official_offer, self.buyer, self.world.solana.blockhash())


@pytest.fixture
def ours() -> Iterator[SolanaChain]:
    chain = SolanaChain(Clock(), lambda address: True)
    yield chain
    chain.close()


@pytest.mark.parametrize("version", [1, 2])
def test_both_judge_solana_payments_alike_but_ours_is_stricter(world: World, version: int, ours: SolanaChain) -> None:
    ground = SolanaGround(world, version, ours)
    found, expected = {}, {}
    for name, (make, good, good_v1, officially) in SOLANA_CASES.items():
        expected[name] = (good if version == 2 else good_v1, officially)
        mine = ours.verify(make(ground.our_payment()), ground.our_offer) is None
        found[name] = (mine, ground.official.takes(make(ground.official_payment()), ground.official_offer))
    assert found == expected
    assert all(officially for ours, officially in found.values() if ours), "what ours takes, every facilitator takes"


@pytest.mark.parametrize("version", [1, 2])
def test_a_solana_payment_settles_once(world: World, version: int, ours: SolanaChain) -> None:
    ground = SolanaGround(world, version, ours)
    payload = solana_payload(ground.our_payment())
    assert not isinstance(ours.settle(payload, ground.our_offer), str)
    assert ours.balance(str(ground.buyer.pubkey())) == FUNDS - PRICE
    assert ours.balance(ground.our_offer["payTo"]) == PRICE
    assert ours.settle(payload, ground.our_offer) == "transaction_already_processed"
    assert ours.balance(ground.our_offer["payTo"]) == PRICE


@pytest.mark.parametrize(
    ("memos", "good"), [([b"order 7"], True), ([b"order 8"], False), ([], False), ([b"order 7", b"order 7"], False)]
)
def test_both_want_the_sellers_memo(world: World, ours: SolanaChain, memos: list[bytes], good: bool) -> None:
    ground = SolanaGround(world, 2, ours)
    payments = [ground.our_payment(), ground.official_payment()]
    for payment in payments:
        payment.offer["extra"] |= {"memo": "order 7"}
        payment.memos = memos
    mine, theirs = (solana_payload(payment) for payment in payments)
    assert (ours.verify(mine, ground.our_offer) is None) is good
    assert ground.official.takes(theirs, ground.official_offer) is good


def test_a_solana_payment_of_more_than_there_is_does_not_settle(world: World, ours: SolanaChain) -> None:
    ground = SolanaGround(world, 2, ours)
    dear = {**ground.our_offer, "amount": str(FUNDS + 1)}
    problem = ours.settle(solana_payload(ground.our_payment(FUNDS + 1)), dear)
    assert isinstance(problem, str)
    assert problem.startswith("transaction_simulation_failed")
