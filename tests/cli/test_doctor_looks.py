"""``x402 doctor`` looks at a bounded number of accounts, however many offers a seller writes down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from tests.adapters.scripted_server import Server
from tests.chains.scripted_rpc import Answer, Scripted, error, result
from tests.wire.terms import NETWORK, document, entry
from x402_client.model.networks import SOLANA_DEVNET

from .running import Ran, in_process

_MANY = 300
_USDC = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"


def examined(bare: dict[str, str], offers: list[dict[str, Any]], network: str, endpoint: Scripted) -> Ran:
    keys = {"X402_EVM_KEY": "0x" + "1f" * 32, "X402_SOLANA_KEY": str(Keypair())}
    with Server() as seller:
        seller.on("/", lambda one: one.answer(402, json.dumps(document(*offers)).encode()))
        given = bare | keys | {"X402_RPC": f"{network}={endpoint.url}"}
        return in_process(["doctor", "--json", seller.url()], given)


def told(ran: Ran) -> set[str]:
    """The offers of which something was found at the chain."""
    payable = json.loads(ran.out)["examined"][-1]
    return {finding["where"] for finding in payable["findings"] if finding["where"].startswith("offer ")}


@pytest.mark.parametrize("answer", [result("0x" + "00" * 31 + "07"), error(-32000, "busy")])
def test_offers_alike_are_one_look(bare: dict[str, str], answer: Answer) -> None:
    offers = [entry(payTo=f"0x{number:040x}") for number in range(1, _MANY + 1)]
    with Scripted(eth_call=answer, eth_getCode=result("0x")) as endpoint:
        assert told(examined(bare, offers[:1], NETWORK, endpoint)) == {"offer 1"}
        asked = len(endpoint.asked)
        assert len(told(examined(bare, offers, NETWORK, endpoint))) == _MANY
    assert len(endpoint.asked) <= 2 * asked


def test_only_some_sellers_accounts_are_looked_at(bare: dict[str, str]) -> None:
    fees = str(Keypair().pubkey())
    offers = [
        entry(network=SOLANA_DEVNET, asset=_USDC, payTo=str(Keypair().pubkey()), extra={"feePayer": fees})
        for _ in range(_MANY)
    ]
    with Scripted(result({"context": {"slot": 1}, "value": [None]})) as endpoint:
        found = told(examined(bare, offers, SOLANA_DEVNET, endpoint))
    assert "offer 1" in found
    assert len(endpoint.asked) < 100


_SELLER, _FEES = str(Keypair().pubkey()), str(Keypair().pubkey())
DEAD = "http://127.0.0.1:9"
#: Offers on a test network whose chain does not answer, and whether a payment asks it before it is signed.
SILENT = {
    "a token of the table": (entry(), False),
    "Permit2": (entry(extra={"name": "USDC", "version": "2", "assetTransferMethod": "permit2"}), True),
    "a token that the policy vouches for": (entry(asset="0x" + "5e" * 20), True),
    "Solana": (entry(network=SOLANA_DEVNET, asset=_USDC, payTo=_SELLER, extra={"feePayer": _FEES}), True),
}
VOUCHED = """
[[tokens]]
network = "base-sepolia"
address = "0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
symbol = "OWN"
decimals = 6
currency = "USD (test)"
name = "Own"
version = "1"
"""


@pytest.mark.parametrize("name", SILENT)
def test_the_doctor_and_a_payment_judge_a_chain_that_does_not_answer_alike(
    bare: dict[str, str], tmp_path: Path, name: str
) -> None:
    offer, asks = SILENT[name]
    policy = tmp_path / "policy.toml"
    policy.write_text(f'per_request = "1"\nper_day = "5"\n{VOUCHED}', "utf-8")
    keys = {"X402_EVM_KEY": "0x" + "1f" * 32, "X402_SOLANA_KEY": str(Keypair()), "X402_POLICY": str(policy)}
    with Server() as seller:
        seller.on("/", lambda one: one.answer(402, json.dumps(document(offer)).encode()))
        given = bare | keys | {"X402_RPC": f"{NETWORK}={DEAD} {SOLANA_DEVNET}={DEAD}"}
        seen = in_process(["doctor", "--json", seller.url()], given)
        paid = in_process(["get", "--yes", "--json", seller.url()], given)
    findings = json.loads(seen.out)["examined"][-1]["findings"]
    [said] = [one for one in findings if "did not answer" in one["text"]]
    assert said["level"] == ("wrong" if asks else "note"), json.loads(seen.out)["examined"][-1]
    assert (seen.code, "before it is signed" in said["text"]) == (1 if asks else 0, asks), findings
    error = json.loads(paid.err.splitlines()[-1])["error"]
    assert (error["kind"] == "ChainUnavailable") is asks, "a payment that was signed is refused by this seller"
