"""The official SDK's own signers, as they are, in our wallet: they pay, and a mistake with them is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import environments

pytestmark = pytest.mark.foreign
ROOT = Path(__file__).parents[2]
PROGRAM = """
import httpx
from eth_account import Account
from solders.keypair import Keypair
from x402.mechanisms.evm.signers import EthAccountSigner
from x402.mechanisms.svm.signers import KeypairSigner

from x402_client import Policy, Wallet, errors, outcome
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

with Sandbox(port=0) as seller:
    evm = EthAccountSigner(Account.from_key(seller.key("evm")))
    solana = KeypairSigner(Keypair.from_base58_string(seller.key("solana")))
    for wallet in (Wallet(evm=evm), Wallet(solana=solana)):
        with wrap(httpx.Client(), seller.buyer(Policy(per_request="1"), wallet=wallet)) as client:
            paid = outcome(client.get(seller.url + "/weather"))
        print(paid.money, *wallet.addresses)
    for swapped in ({"evm": solana}, {"solana": evm}):
        try:
            Wallet(**swapped)
        except errors.ConfigurationError as problem:
            print(problem.args[0])
"""


def test_they_pay() -> None:
    python = environments.needed(environments.environment, "v2")
    surroundings = environments.clean_environ() | {"PYTHONPATH": str(ROOT)}
    command = [str(python), "-c", PROGRAM]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, env=surroundings)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "spent eip155",
        "spent solana",
        "KeypairSigner signs for Solana, not for EVM chains; give it as Wallet(solana=...).",
        "EthAccountSigner signs for EVM chains, not for Solana; give it as Wallet(evm=...).",
    ]
