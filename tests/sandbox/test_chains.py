"""The sandbox's chains, read as a buyer reads them: over JSON-RPC, by the library's own readers."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Buyer, Money, Policy, Wallet, errors
from x402_client.chains.evm import token_balance
from x402_client.chains.rpc import Rpc
from x402_client.chains.solana import SolanaChain
from x402_client.sandbox import TEST_SOLANA_KEYS, TOKENS, Sandbox

POLICY = Policy(per_request="0.05")
EVM, SOLANA = TOKENS
WAYS = ["/evm", "/v1/evm", "/solana", "/v1/solana", "/v1-caip2/solana"]
AN_HOUR = 3600


def leave_unresolved(sandbox: Sandbox, fault: str, way: str) -> Buyer:
    buyer = sandbox.buyer(POLICY, repeat=())
    client = x402_client.httpx.wrap(httpx.Client(), buyer)
    with client, pytest.raises(errors.PaymentOutcomeUnknown):
        client.get(f"{sandbox.url}{way}/fault/{fault}/weather")
    return buyer


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("fault", "at_once", "later"),
    [("drop-after-settling", "settled", "settled"), ("drop-before-settling", "live", "not_settled")],
)
def test_the_reader_learns_what_became_of_a_payment(
    sandbox: Sandbox, way: str, fault: str, at_once: str, later: str
) -> None:
    buyer = leave_unresolved(sandbox, fault, way)
    [hold] = buyer.holds()
    assert buyer.reader.read(hold) == at_once
    sandbox.advance(AN_HOUR)
    assert buyer.reader.read(hold) == later


@pytest.mark.parametrize("way", ["/evm", "/solana"])
def test_reconcile_gives_back_what_did_not_settle(sandbox: Sandbox, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buyer = leave_unresolved(sandbox, "drop-before-settling", way)
    assert buyer.spent() != sandbox.earned
    later = time.time() + AN_HOUR
    monkeypatch.setattr(time, "time", lambda: later)  # moving Python's clock moves the chains' with it
    found = buyer.reconcile()
    assert (len(found.released), len(found.settled), len(found.unknown)) == (1, 0, 0)
    assert buyer.spent() == sandbox.earned


@pytest.mark.parametrize("way", WAYS)
def test_what_expired_on_the_chain_does_not_settle(sandbox: Sandbox, way: str) -> None:
    buyer = sandbox.buyer(POLICY, repeat=(), on_event=lambda event: late(sandbox, event))
    client = x402_client.httpx.wrap(httpx.Client(), buyer)
    with client, pytest.raises(errors.PaymentRejected):
        client.get(f"{sandbox.url}{way}/weather")
    assert sandbox.settlements == []
    [hold] = buyer.holds()
    assert buyer.reader.read(hold) == "not_settled"


def late(sandbox: Sandbox, event: Any) -> None:
    if type(event).__name__ == "Presented":
        sandbox.advance(AN_HOUR)


@pytest.mark.parametrize("way", ["/evm", "/solana"])
def test_check_funds_sees_the_sandboxs_balances(sandbox: Sandbox, way: str) -> None:
    poor = sandbox.wallet("0.02")
    buyer = sandbox.buyer(Policy(per_request="0.05", check_funds=True), wallet=poor)
    with x402_client.httpx.wrap(httpx.Client(), buyer) as client:
        with pytest.raises(errors.InsufficientFunds):
            client.get(f"{sandbox.url}{way}/report")
        assert client.get(f"{sandbox.url}{way}/weather").status_code == 200
        sandbox.fund(poor, "0.04")
        assert client.get(f"{sandbox.url}{way}/report").status_code == 200
    assert sandbox.balance(poor) == Money("0.06")
    assert len(sandbox.paid(poor)) == 2


@pytest.mark.parametrize("way", ["/evm", "/solana"])
def test_without_money_nothing_settles(sandbox: Sandbox, way: str) -> None:
    client = x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, wallet=sandbox.wallet("0.005")))
    with client, pytest.raises(errors.PaymentRejected):
        client.get(f"{sandbox.url}{way}/weather")
    assert sandbox.settlements == []


def rpc(sandbox: Sandbox, chain: str) -> Rpc:
    return Rpc("sandbox", [f"{sandbox.url}/rpc/{chain}"])


def test_an_older_block_shows_an_older_balance(sandbox: Sandbox) -> None:
    reader = rpc(sandbox, "evm")
    wallet = sandbox.wallet("1")
    assert wallet.evm is not None
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, wallet=wallet)) as client:
        client.get(sandbox.url + "/evm/weather")
    call = {"to": EVM.address, "data": "0x70a08231" + wallet.evm.address[2:].lower().zfill(64)}
    assert int(reader.call("eth_call", call, "safe"), 16) == 1_000_000
    assert token_balance(reader, EVM.address, wallet.evm.address) == 990_000
    sandbox.advance(AN_HOUR)
    assert int(reader.call("eth_call", call, "safe"), 16) == 990_000
    [done] = sandbox.settlements
    mined = reader.call("eth_getTransactionReceipt", done.transaction)
    block = reader.call("eth_getBlockByNumber", mined["blockNumber"], False)
    assert block["hash"] == mined["blockHash"]
    assert int(block["timestamp"], 16) <= time.time()
    assert reader.call("eth_getTransactionReceipt", "0x" + "1" * 64) is None
    assert reader.call("eth_chainId") == hex(int(EVM.network.split(":")[1]))
    assert reader.call("eth_getBlockByNumber", "0x1", False) is None
    reader.close()


@pytest.mark.parametrize(
    ("chain", "method", "params"),
    [
        ("evm", "eth_sendRawTransaction", ["0x"]),
        ("evm", "eth_call", [{"to": EVM.address, "data": "0x12345678"}, "latest"]),
        ("evm", "eth_call", [{"to": EVM.address, "data": "0x313ce567"}, "0x1"]),
        ("evm", "eth_call", []),
        ("solana", "sendTransaction", ["AAAA"]),
        ("solana", "getAccountInfo", ["not an address"]),
        ("solana", "getTokenAccountBalance", [SOLANA.address]),
        ("solana", "getSlot", [{"minContextSlot": 10**12}]),
        ("solana", None, []),
    ],
)
def test_what_a_node_would_refuse_is_refused(sandbox: Sandbox, chain: str, method: str, params: list[Any]) -> None:
    question = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
    answer = httpx.post(f"{sandbox.url}/rpc/{chain}", json=question).json()
    assert "error" in answer
    assert answer["id"] == 5
    assert "error" in httpx.post(f"{sandbox.url}/rpc/{chain}", content=b"{").json()


def test_the_rest_of_what_solana_is_asked(sandbox: Sandbox) -> None:
    sandbox.fund(Wallet(solana=TEST_SOLANA_KEYS[0]), "0.50")
    reader = rpc(sandbox, "solana")
    chain = SolanaChain(reader)
    mint = chain.fetch_mint(SOLANA.address)
    assert (mint.program, mint.decimals) == (SOLANA.program, 6)
    blockhash = chain.fetch_blockhash()
    assert reader.call("isBlockhashValid", blockhash.value, {"commitment": "processed"})["value"] is True
    sandbox.advance(200)
    assert reader.call("isBlockhashValid", blockhash.value, {"commitment": "processed"})["value"] is False
    assert reader.call("getBlockHeight") > (blockhash.last_valid_height or 0)
    assert reader.call("getGenesisHash")[:32] == SOLANA.network.partition(":")[2]
    assert reader.call("getBlockTime", reader.call("getSlot")) > time.time() + 100
    assert reader.call("getBalance", SOLANA.address)["value"] > 0
    reader.close()


def test_a_memo_that_has_to_be_simulated_is_paid(sandbox: Sandbox) -> None:
    """Letters beyond ASCII cost an amount of compute that only the chain knows."""
    url = sandbox.sell("/order", "0.02", chains="solana", memo="注文番号七")
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY, repeat=())) as client:
        assert client.get(url).status_code == 200
    assert len(sandbox.settlements) == 1
