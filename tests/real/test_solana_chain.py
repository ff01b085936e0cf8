"""The Solana node answers what a real one would, where a buyer or a facilitator could tell the difference."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair
from solders.message import to_bytes_versioned
from solders.rpc import responses
from solders.transaction import VersionedTransaction

from .by_hand_solana import Payment, encoded
from .chain import RpcFailed
from .solana import BLOCKHASH_SLOTS, FINAL_SLOTS, PYUSD_DEVNET, TOKEN, USDC_DEVNET, SolanaChain, token_account
from .world import World

pytestmark = pytest.mark.foreign

BASE64 = {"encoding": "base64"}
NOW = {"preflightCommitment": "confirmed"} | BASE64
AT_ONCE = {"skipPreflight": True} | BASE64


@pytest.fixture
def chain(world: World) -> SolanaChain:
    return world.solana


class Till:
    """A buyer, and a payer of fees who signs all that the buyer signed."""

    def __init__(self, chain: SolanaChain, mint: str = USDC_DEVNET) -> None:
        self.chain, self.buyer, self.payer, self.seller = chain, Keypair(), Keypair(), Keypair()
        chain.mint_to(self.buyer, 1_000, mint)
        chain.mint_to(self.seller, 0, mint)
        chain.fund(self.payer)
        extra = {"feePayer": str(self.payer.pubkey())}
        self.offer: dict[str, Any] = {"network": "solana-devnet", "amount": "10", "asset": mint, "extra": extra}
        self.offer["payTo"] = str(self.seller.pubkey())

    def payment(self, amount: int = 10, commitment: str = "confirmed") -> Payment:
        payment = Payment.of(self.offer, self.buyer, self.chain.blockhash(commitment))
        payment.amount = amount
        return payment

    def signed(self, payment: Payment) -> str:
        half = payment.sign()
        mine = self.payer.sign_message(to_bytes_versioned(half.message))
        return encoded(VersionedTransaction.populate(half.message, [mine, half.signatures[1]]))

    def send(self, text: str, options: dict[str, Any] | None = None) -> str:
        return str(self.chain.rpc("sendTransaction", text, options or NOW))

    def land(self, amount: int = 10) -> str:
        return self.send(self.signed(self.payment(amount)), AT_ONCE)


@pytest.fixture
def till(chain: SolanaChain) -> Till:
    return Till(chain)


def post(chain: SolanaChain, request: Any) -> httpx.Response:
    """Through the buyer's door."""
    return httpx.post(chain.url, json=request, timeout=10, trust_env=False)


def call(method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def listed(till: Till, **options: Any) -> list[str]:
    account = str(token_account(till.buyer, till.offer["asset"]))
    found = till.chain.rpc("getSignaturesForAddress", account, {"commitment": "confirmed"} | options)
    return [one["signature"] for one in found]


# --- sending


def test_a_transaction_lands_once(till: Till) -> None:
    text = till.signed(till.payment())
    signature = till.send(text)
    with pytest.raises(RpcFailed, match="already been processed") as caught:
        till.send(text)
    assert (caught.value.code, caught.value.data["err"]) == (-32002, "AlreadyProcessed")
    assert till.send(text, AT_ONCE) == signature  # without a preflight there is no word of it, and nothing happens
    assert till.chain.balance(till.seller) == 10
    assert listed(till) == [signature]


def test_a_blockhash_lives_for_150_slots(own_world: World) -> None:
    till = Till(own_world.solana)
    first, second = (till.payment() for _ in range(2))
    valid = ("isBlockhashValid", first.blockhash, {"commitment": "processed"})
    own_world.solana.jump(BLOCKHASH_SLOTS - 20)
    assert own_world.solana.rpc(*valid)["value"] is True
    till.send(till.signed(first))
    own_world.solana.jump(21)
    assert own_world.solana.rpc(*valid)["value"] is False
    with pytest.raises(RpcFailed, match="Blockhash not found") as caught:
        till.send(till.signed(second))
    assert caught.value.data["err"] == "BlockhashNotFound"
    till.send(till.signed(second), AT_ONCE)
    assert own_world.solana.balance(till.seller) == 10


def test_a_preflight_at_finalized_does_not_know_a_new_blockhash(till: Till) -> None:
    text = till.signed(till.payment(commitment="confirmed"))
    with pytest.raises(RpcFailed, match="Blockhash not found"):
        till.send(text, BASE64)
    assert till.send(till.signed(till.payment(commitment="finalized")), BASE64)


def test_half_a_signature_is_refused(till: Till) -> None:
    half = encoded(till.payment().sign())
    with pytest.raises(RpcFailed, match="signature verification failure"):
        till.send(half)
    till.send(half, AT_ONCE)
    assert till.chain.balance(till.seller) == 0


def test_a_failed_transaction_is_listed_and_paid_for(till: Till) -> None:
    with pytest.raises(RpcFailed, match="custom program error: 0x1"):
        till.send(till.signed(till.payment(10**6)))
    lamports = till.chain.lamports(till.payer)
    slot, signature = till.chain.slot(), till.land(10**6)
    landed = till.chain.transaction(signature)
    assert landed is not None
    assert landed["meta"]["err"] == {"InstructionError": [2, {"Custom": 1}]}
    assert till.chain.lamports(till.payer) == lamports - landed["meta"]["fee"]
    assert till.chain.balance(till.buyer) == 1_000
    assert [one for one in till.chain.transfers(slot) if one.signature == signature] == []
    [status] = till.chain.rpc("getSignatureStatuses", [signature])["value"]
    assert status["err"] == landed["meta"]["err"]
    assert listed(till) == [signature]


def test_a_simulation_changes_nothing(till: Till) -> None:
    half = encoded(till.payment().sign())
    accounts = {"encoding": "base64", "addresses": [str(token_account(till.seller))]}
    options = BASE64 | {"commitment": "confirmed", "accounts": accounts}
    value = till.chain.rpc("simulateTransaction", half, options)["value"]
    assert value["err"] is None
    assert 0 < value["unitsConsumed"] < 20_000
    assert int.from_bytes(base64.b64decode(value["accounts"][0]["data"][0])[64:72], "little") == 10
    assert till.chain.balance(till.seller) == 0
    with pytest.raises(RpcFailed, match="signature verification failure"):
        till.chain.rpc("simulateTransaction", half, options | {"sigVerify": True})


def test_a_simulation_may_take_another_blockhash(till: Till) -> None:
    payment = till.payment()
    payment.blockhash = "11111111111111111111111111111111"
    options = BASE64 | {"commitment": "confirmed"}
    half = encoded(payment.sign())
    assert till.chain.rpc("simulateTransaction", half, options)["value"]["err"] == "BlockhashNotFound"
    value = till.chain.rpc("simulateTransaction", half, options | {"replaceRecentBlockhash": True})["value"]
    assert value["err"] is None
    assert value["replacementBlockhash"]["blockhash"] != payment.blockhash


# --- reading


def test_signatures_come_newest_first_and_in_parts(till: Till) -> None:
    sent = [till.land() for _ in range(5)][::-1]
    assert listed(till) == sent
    assert listed(till, limit=2) == sent[:2]
    assert listed(till, before=sent[1]) == sent[2:]
    assert listed(till, until=sent[3]) == sent[:3]
    assert listed(till, before=sent[0], until=sent[4], limit=2) == sent[1:3]


def test_what_is_confirmed_becomes_final_after_32_slots(own_world: World) -> None:
    till = Till(own_world.solana)
    own_world.solana.confirm_after(10)
    signature = till.land()

    def seen() -> tuple[str, int, int]:
        [status] = own_world.solana.rpc("getSignatureStatuses", [signature])["value"]
        confirmed, final = (len(listed(till, commitment=level)) for level in ("confirmed", "finalized"))
        return status["confirmationStatus"], confirmed, final

    assert seen() == ("processed", 0, 0)
    own_world.solana.jump(10)
    assert seen() == ("confirmed", 1, 0)
    own_world.solana.jump(FINAL_SLOTS - 10)
    assert seen() == ("finalized", 1, 1)
    own_world.solana.jump(BLOCKHASH_SLOTS)
    assert own_world.solana.rpc("getSignatureStatuses", [signature])["value"] == [None]
    history = {"searchTransactionHistory": True}
    assert own_world.solana.rpc("getSignatureStatuses", [signature], history)["value"][0]["err"] is None


@pytest.mark.parametrize("mint", [USDC_DEVNET, PYUSD_DEVNET])
def test_solders_reads_the_answers(chain: SolanaChain, mint: str) -> None:
    """Solana's own clients read it: an answer that misses a field or spells it wrongly does not pass."""
    till = Till(chain, mint)
    signature, account, owner = till.land(), str(token_account(till.buyer, mint)), str(till.buyer.pubkey())
    at = {"commitment": "confirmed"}
    parsed, raw = at | {"encoding": "jsonParsed"}, at | BASE64
    newest = {"maxSupportedTransactionVersion": 0} | at
    asked: list[tuple[Any, ...]] = [
        (responses.GetTransactionResp, "getTransaction", signature, newest | {"encoding": "jsonParsed"}),
        (responses.GetTransactionResp, "getTransaction", signature, newest | {"encoding": "json"}),
        (responses.GetTransactionResp, "getTransaction", signature, newest | BASE64),
        (responses.GetSignaturesForAddressResp, "getSignaturesForAddress", account, at),
        (responses.GetSignatureStatusesResp, "getSignatureStatuses", [signature]),
        (responses.GetAccountInfoResp, "getAccountInfo", account, raw),
        (responses.GetAccountInfoJsonParsedResp, "getAccountInfo", account, parsed),
        (responses.GetAccountInfoJsonParsedResp, "getAccountInfo", mint, parsed),
        (responses.GetMultipleAccountsResp, "getMultipleAccounts", [account, mint, owner], raw),
        (responses.GetTokenAccountBalanceResp, "getTokenAccountBalance", account, at),
        (responses.GetTokenAccountsByOwnerResp, "getTokenAccountsByOwner", owner, {"mint": mint}, raw),
        (responses.GetTokenAccountsByOwnerJsonParsedResp, "getTokenAccountsByOwner", owner, {"mint": mint}, parsed),
        (responses.GetTokenSupplyResp, "getTokenSupply", mint, at),
        (responses.GetBalanceResp, "getBalance", owner, at),
        (responses.GetLatestBlockhashResp, "getLatestBlockhash", at),
        (responses.SimulateTransactionResp, "simulateTransaction", till.signed(till.payment()), raw),
        (responses.GetEpochInfoResp, "getEpochInfo"),
        (responses.GetVersionResp, "getVersion"),
        (responses.GetGenesisHashResp, "getGenesisHash"),
        (responses.GetRecentPrioritizationFeesResp, "getRecentPrioritizationFees"),
        (responses.GetMinimumBalanceForRentExemptionResp, "getMinimumBalanceForRentExemption", 165),
        (responses.GetSlotResp, "getSlot"),
        (responses.GetBlockHeightResp, "getBlockHeight"),
        (responses.GetHealthResp, "getHealth"),
    ]
    for reader, method, *params in asked:
        answer = post(chain, call(method, *params)).text
        assert isinstance(reader.from_json(answer), reader), (method, answer)


def test_a_landed_transaction_tells_who_paid_whom(till: Till) -> None:
    landed = till.chain.transaction(till.land())
    assert landed is not None
    before, after = (
        {one["owner"]: int(one["uiTokenAmount"]["amount"]) for one in landed["meta"][side]}
        for side in ("preTokenBalances", "postTokenBalances")
    )
    buyer, seller = str(till.buyer.pubkey()), str(till.seller.pubkey())
    assert (before, after) == ({buyer: 1_000, seller: 0}, {buyer: 990, seller: 10})
    keys = landed["transaction"]["message"]["accountKeys"]
    assert [(one["signer"], one["writable"]) for one in keys[:2]] == [(True, True), (True, False)]
    transfer = landed["transaction"]["message"]["instructions"][2]["parsed"]
    assert (transfer["type"], transfer["info"]["tokenAmount"]["amount"]) == ("transferChecked", "10")


def test_a_version_0_transaction_must_be_asked_for_as_such(till: Till) -> None:
    with pytest.raises(RpcFailed, match="maxSupportedTransactionVersion") as caught:
        till.chain.rpc("getTransaction", till.land(), {"commitment": "confirmed"})
    assert caught.value.code == -32015


def test_the_fee_of_a_message_is_known_before(till: Till) -> None:
    payment = till.payment()
    payment.unit_price = 1_000_000
    message = base64.b64encode(to_bytes_versioned(payment.sign().message)).decode()
    assert till.chain.rpc("getFeeForMessage", message, {"commitment": "confirmed"})["value"] == 10_000 + 20_000
    landed = till.chain.transaction(till.send(till.signed(payment)))
    assert landed is not None
    assert landed["meta"]["fee"] == 30_000


def test_nobody_and_nothing(chain: SolanaChain) -> None:
    nobody = str(Keypair().pubkey())
    assert chain.rpc("getAccountInfo", nobody, BASE64)["value"] is None
    assert chain.rpc("getSignaturesForAddress", nobody) == []
    assert chain.rpc("getTokenAccountsByOwner", nobody, {"programId": TOKEN}, BASE64)["value"] == []
    for method, params in (("getTokenAccountBalance", [nobody]), ("getBalance", ["nonsense"]), ("getNothing", [])):
        with pytest.raises(RpcFailed):
            chain.rpc(method, *params)


# --- what a test may break


def test_calls_are_counted_at_the_buyers_door(own_world: World) -> None:
    chain = own_world.solana
    own_world.seller("svm-v1")
    assert chain.calls() == {}
    answers = post(chain, [call("getSlot"), call("getSlot"), call("getHealth")]).json()
    assert [one["jsonrpc"] for one in answers] == ["2.0"] * 3
    assert chain.calls() == {"getSlot": 2, "getHealth": 1}
    chain.reset_calls()
    assert chain.calls() == {}


def test_faults_come_when_ordered_and_go(own_world: World) -> None:
    chain = own_world.solana
    chain.refuse(2, "getSlot")
    assert [post(chain, call("getSlot")).status_code for _ in range(3)] == [429, 429, 200]
    chain.spoil(1)
    with pytest.raises(json.JSONDecodeError):
        post(chain, call("getHealth")).json()
    chain.delay(150, "getHealth")
    started = time.monotonic()
    assert post(chain, call("getHealth")).json()["result"] == "ok"
    assert time.monotonic() - started > 0.15
    chain.refuse(100)
    chain.mend()
    assert post(chain, call("getSlot")).status_code == 200


def test_a_node_that_is_behind(own_world: World) -> None:
    till, chain = Till(own_world.solana), own_world.solana
    chain.jump(5)
    signature = till.land()
    account, at = str(token_account(till.seller)), {"commitment": "confirmed"}
    questions = [call("getTokenAccountBalance", account, at), call("getSignaturesForAddress", account, at)]
    questions += [call("getSignatureStatuses", [signature]), call("isBlockhashValid", chain.blockhash(), at)]

    def seen() -> list[Any]:
        balance, listed, statuses, valid = (one["result"] for one in post(chain, questions).json())
        return [balance["value"]["amount"], len(listed), statuses["value"][0] is not None, valid["value"]]

    assert seen() == ["10", 1, True, True]
    chain.lag(40)
    assert seen() == ["0", 0, False, False]
    assert chain.balance(till.seller) == 10  # the test's own view is not behind
    chain.lag(200)
    assert post(chain, call("getHealth")).json()["error"]["code"] == -32005
