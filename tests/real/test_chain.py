"""The chain and its token behave like Base and USDC where a buyer or a facilitator could tell the difference."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from .by_hand import sign_typed
from .chain import CHAIN_ID, TRANSFER_TOPIC, USDC, Chain, RpcFailed
from .world import World

pytestmark = pytest.mark.foreign

DOLLAR = {"name": "USDC", "version": "2"}
FIELDS = ["address", "address", "uint256", "uint256", "uint256", "bytes32"]
NEVER = 2**256 - 1
SOMEBODY = "0x1111111111111111111111111111111111111111"
# A contract wallet that takes every signature: it answers any call with EIP-1271's magic value.
AGREEABLE = "0x7f1626ba7e" + "00" * 28 + "60005260206000f3"


@pytest.fixture
def chain(world: World) -> Chain:
    return world.chain


@pytest.fixture
def owner(chain: Chain) -> LocalAccount:
    """Has a dollar, and gas."""
    account: LocalAccount = Account.create()
    chain.mint(account.address, 1_000_000)
    chain.fund(account.address)
    return account


def data(signature: str, *arguments: Any) -> str:
    types = signature[signature.index("(") + 1 : -1]
    return "0x" + (keccak(text=signature)[:4] + encode(types.split(",") if types else [], arguments)).hex()


def call(chain: Chain, payload: str, tag: str = "latest", sender: str = SOMEBODY) -> int:
    return int(chain.rpc("eth_call", {"from": sender, "to": USDC, "data": payload}, tag), 16)


def signed(sender: LocalAccount, payload: str, nonce: int = 0) -> str:
    fields: dict[str, Any] = {"to": USDC, "data": payload, "nonce": nonce, "chainId": CHAIN_ID, "type": 2, "value": 0}
    fees = {"gas": 300_000, "maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 1}
    return "0x" + bytes(sender.sign_transaction(fields | fees).raw_transaction).hex()


def send(chain: Chain, sender: LocalAccount, payload: str, nonce: int = 0) -> dict[str, Any]:
    receipt = chain.receipt(chain.rpc("eth_sendRawTransaction", signed(sender, payload, nonce)))
    assert receipt is not None
    return receipt


def transfer(to: str, value: int) -> str:
    return data("transfer(address,uint256)", to, value)


def authorize(owner: LocalAccount, kind: str, to: str, value: int, after: int = 0, before: int = NEVER) -> str:
    """Call data of kind + "WithAuthorization", in the overload that takes the signature as bytes."""
    nonce = secrets.token_bytes(32)
    names = ("from", "to", "value", "validAfter", "validBefore", "nonce")
    values = (owner.address, to, value, after, before, nonce)
    message = dict(zip(names, values, strict=True))
    signature = sign_typed(owner, USDC, DOLLAR, f"{kind.capitalize()}WithAuthorization", message)
    return data(f"{kind}WithAuthorization({','.join(FIELDS)},bytes)", *values, signature)


# --- the node


def test_a_revert_reads_as_it_does_in_geth(chain: Chain) -> None:
    with pytest.raises(RpcFailed, match="execution reverted: ERC20: transfer amount exceeds balance") as caught:
        call(chain, transfer(SOMEBODY, 10**9), sender=Account.create().address)
    assert caught.value.code == 3
    assert str(caught.value.data).startswith("0x08c379a0")


def test_a_failed_transaction_is_mined_and_paid_for(chain: Chain, owner: LocalAccount) -> None:
    receipt = send(chain, owner, transfer(SOMEBODY, 10**9))
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert chain.balance(owner.address) == 1_000_000
    assert chain.rpc("eth_getTransactionCount", owner.address, "latest") == "0x1"
    assert int(chain.rpc("eth_getBalance", owner.address, "latest"), 16) < 10**18


def test_nonces_are_taken_in_order(chain: Chain, owner: LocalAccount) -> None:
    early = chain.rpc("eth_sendRawTransaction", signed(owner, transfer(SOMEBODY, 1), nonce=1))
    assert chain.receipt(early) is None
    assert chain.rpc("eth_getTransactionByHash", early)["blockNumber"] is None
    assert chain.rpc("eth_getTransactionCount", owner.address, "pending") == "0x0"
    send(chain, owner, transfer(SOMEBODY, 2), nonce=0)
    assert (chain.receipt(early) or {})["status"] == "0x1"
    with pytest.raises(RpcFailed, match="nonce too low"):
        send(chain, owner, transfer(SOMEBODY, 3), nonce=1)


def test_who_has_no_gas_sends_nothing(chain: Chain) -> None:
    with pytest.raises(RpcFailed, match="insufficient funds for gas"):
        send(chain, Account.create(), transfer(SOMEBODY, 1))


def test_older_blocks_keep_their_state(chain: Chain, owner: LocalAccount) -> None:
    asked = data("balanceOf(address)", owner.address)
    moments = []
    for nonce in range(3):
        moments.append((hex(chain.block()), 1_000_000 - nonce))
        send(chain, owner, transfer(SOMEBODY, 1), nonce)
    assert call(chain, asked) == 999_997
    for block, balance in [*moments, *reversed(moments)]:
        assert call(chain, asked, block) == balance


def test_blocks_come_with_time(own_world: World) -> None:
    chain = own_world.chain
    before, moment = chain.block(), chain.timestamp()
    assert abs(moment - time.time()) < 4
    chain.advance(3600)
    assert chain.timestamp() - moment >= 3598
    assert chain.block() - before >= 60  # a transaction gets deeper as well
    final, head = (chain.rpc("eth_getBlockByNumber", tag, False) for tag in ("finalized", "latest"))
    assert int(final["number"], 16) < int(head["number"], 16)
    assert moment + 3000 < int(final["timestamp"], 16) < int(head["timestamp"], 16)
    parent = chain.rpc("eth_getBlockByHash", head["parentHash"], False)
    assert int(parent["number"], 16) == int(head["number"], 16) - 1
    with pytest.raises(RpcFailed, match="header not found"):
        call(chain, data("name()"), hex(chain.block() + 100))


def test_batches_and_errors(chain: Chain) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_nonsense", "params": []},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_getBalance", "params": ["0x12"]},
        7,
    ]
    answers = httpx.post(chain.url, json=batch, trust_env=False).json()
    assert [answer["id"] for answer in answers] == ["a", 2, 3, None]
    assert answers[0]["result"] == hex(CHAIN_ID)
    assert [answer["error"]["code"] for answer in answers[1:]] == [-32601, -32602, -32600]
    assert httpx.post(chain.url, content=b"{", trust_env=False).json()["error"]["code"] == -32700


def test_logs_are_found_by_topic(chain: Chain, owner: LocalAccount) -> None:
    start = chain.block()
    send(chain, owner, transfer(SOMEBODY, 5))
    sender = "0x" + owner.address[2:].lower().zfill(64)
    asked = {"address": [USDC], "fromBlock": hex(start), "topics": [[TRANSFER_TOPIC], sender]}
    assert [int(log["data"], 16) for log in chain.rpc("eth_getLogs", asked)] == [5]
    assert chain.rpc("eth_getLogs", asked | {"topics": [None, None, sender]}) == []
    assert [one.value for one in chain.transfers(start) if one.sender == owner.address.lower()] == [5]


# --- the token


def test_the_artefact_was_made_from_this_source() -> None:
    folder = Path(__file__).parent / "token"
    for name in ("Token", "Multicall"):
        artefact = json.loads((folder / f"{name}.json").read_text("utf-8"))
        assert artefact["sourceSha256"] == hashlib.sha256((folder / f"{name}.sol").read_bytes()).hexdigest()


def test_an_authorization_moves_money_once(chain: Chain, owner: LocalAccount) -> None:
    to, payload = Account.create().address, authorize(owner, "transfer", SOMEBODY, 7)
    assert send(chain, owner, authorize(owner, "transfer", to, 9), nonce=0)["status"] == "0x1"
    assert chain.balance(to) == 9
    assert send(chain, owner, payload, nonce=1)["status"] == "0x1"
    with pytest.raises(RpcFailed, match="FiatTokenV2: authorization is used or canceled"):
        call(chain, payload)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"after": 2**40}, "FiatTokenV2: authorization is not yet valid"),
        ({"before": 1_700_000_000}, "FiatTokenV2: authorization is expired"),
    ],
)
def test_an_authorization_has_its_time(chain: Chain, owner: LocalAccount, bounds: dict[str, int], words: str) -> None:
    with pytest.raises(RpcFailed, match=words):
        call(chain, authorize(owner, "transfer", SOMEBODY, 1, **bounds))


def test_only_the_payee_receives_with_authorization(chain: Chain, owner: LocalAccount) -> None:
    payload = authorize(owner, "receive", SOMEBODY, 1)
    with pytest.raises(RpcFailed, match="FiatTokenV2: caller must be the payee"):
        call(chain, payload, sender=owner.address)
    chain.rpc("eth_call", {"from": SOMEBODY, "to": USDC, "data": payload}, "latest")


def test_a_foreign_signature_is_refused(chain: Chain, owner: LocalAccount) -> None:
    payload = authorize(Account.create(), "transfer", SOMEBODY, 1)
    stolen = payload[:10] + owner.address[2:].lower().zfill(64) + payload[74:]
    with pytest.raises(RpcFailed, match="FiatTokenV2: invalid signature"):
        call(chain, stolen)


def test_a_canceled_authorization_is_dead(chain: Chain, owner: LocalAccount) -> None:
    payload = authorize(owner, "transfer", SOMEBODY, 1)
    nonce = bytes.fromhex(payload[10 + 5 * 64 : 10 + 6 * 64])
    message = {"authorizer": owner.address, "nonce": nonce}
    signature = sign_typed(owner, USDC, DOLLAR, "CancelAuthorization", message)
    cancel = data("cancelAuthorization(address,bytes32,bytes)", owner.address, nonce, signature)
    assert send(chain, owner, cancel)["status"] == "0x1"
    assert chain.authorization_used(owner.address, nonce.hex())
    with pytest.raises(RpcFailed, match="FiatTokenV2: authorization is used or canceled"):
        call(chain, payload)


def test_a_permit_sets_an_allowance(chain: Chain, owner: LocalAccount) -> None:
    names = ("owner", "spender", "value", "nonce", "deadline")
    message = dict(zip(names, (owner.address, SOMEBODY, 5, 0, NEVER), strict=True))
    signature = sign_typed(owner, USDC, DOLLAR, "Permit", message)
    permit = data("permit(address,address,uint256,uint256,bytes)", owner.address, SOMEBODY, 5, NEVER, signature)
    assert send(chain, owner, permit)["status"] == "0x1"
    assert call(chain, data("allowance(address,address)", owner.address, SOMEBODY)) == 5
    with pytest.raises(RpcFailed, match="EIP2612: invalid signature"):  # the nonce has moved on
        call(chain, permit)
    take = data("transferFrom(address,address,uint256)", owner.address, SOMEBODY, 6)
    with pytest.raises(RpcFailed, match="ERC20: transfer amount exceeds allowance"):
        call(chain, take)


def test_a_contract_signs_for_itself(chain: Chain, owner: LocalAccount) -> None:
    wallet, to = Account.create().address, Account.create().address
    chain.rpc("test_placeCode", wallet, AGREEABLE)
    chain.mint(wallet, 10)
    types = f"transferWithAuthorization({','.join(FIELDS)},bytes)"
    payload = data(types, wallet, to, 10, 0, NEVER, b"\1" * 32, b"whatever")
    assert send(chain, owner, payload)["status"] == "0x1"
    assert chain.balance(to) == 10


def test_a_further_token_has_its_own_decimals(chain: Chain) -> None:
    token = Account.create().address
    chain.place_token(token, "Eighteen", "3", 18)
    chain.mint(SOMEBODY, 10**18, token)
    assert chain.balance(SOMEBODY, token) == 10**18
    assert int(chain.rpc("eth_call", {"to": token, "data": data("decimals()")}, "latest"), 16) == 18
