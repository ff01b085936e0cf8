"""What the doctor says of the account that pays: a key's own, a delegated one, a contract, and where it is."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.chains.scripted_rpc import Answer, Scripted, result
from tests.chains.test_contract_accounts import YES
from tests.schemes.test_evm_payer import CODE, CONTRACT, DELEGATED, MADE, NO, NONE, SILENT
from tests.wire.terms import KEY, NETWORK
from x402_client import Buyer, Policy, Wallet
from x402_client.cli.account_kinds import account_kind


@pytest.mark.parametrize(
    ("signer", "code", "says", "told", "sound"),
    [
        (KEY, NONE, NO, "a key's own; no code is there", True),
        (KEY, SILENT, NO, "did not say if it is delegated", True),
        (KEY, DELEGATED, result(YES), "(EIP-7702), which takes the key's signatures", True),
        (KEY, DELEGATED, NO, "(EIP-7702), which refuses the key's signatures", False),
        (KEY, DELEGATED, SILENT, "was not heard", True),
        (KEY, CODE, NO, "with code, which refuses", False),
        (CONTRACT, CODE, NO, "a contract, which is there", True),
        (CONTRACT, NONE, NO, "deploy it on this network first", False),
        (MADE, NONE, NO, "its first payment makes it", True),
        (CONTRACT, SILENT, NO, "did not say if it is there", True),
    ],
    ids=range(10),
)
def test_an_account_is_named(signer: Any, code: Answer, says: Answer, told: str, sound: bool) -> None:
    with Scripted(eth_getCode=code, eth_call=says) as endpoint:
        rpc = {NETWORK: endpoint.url}
        with closing(Buyer(Wallet(evm=signer), Policy(per_day="1"), ledger=":memory:", rpc=rpc)) as buyer:
            said, good = account_kind(buyer, NETWORK)
    assert told in said
    assert good is sound
