"""The benchmarks' own machinery, in a few rounds. What it measures is no matter of a test."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from solders.transaction import VersionedTransaction

from x402_client.schemes.exact_evm import _document

from . import floor, ledger_history, ledgers, profile, terms
from .crew import Worker, interleaved
from .report import Row, at_least, at_most, table


def sent(kind: str) -> dict[str, Any]:
    floor.retry(kind, 1, "sync")
    ((_, value),) = floor.last_header()
    return dict(json.loads(base64.b64decode(value)))


@pytest.mark.parametrize("kind", ["evm1", "evm2"])
def test_the_floor_signs_correctly_on_evm(kind: str) -> None:
    payload = sent(kind)["payload"]
    whole = _document(("USDC", "2", terms.CHAIN_ID, terms.USDC), payload["authorization"])
    signer = Account.recover_message(encode_typed_data(full_message=whole), signature=payload["signature"])
    assert signer == terms.PAYER


def test_the_floor_signs_correctly_on_solana() -> None:
    found = VersionedTransaction.from_bytes(base64.b64decode(sent("solana")["payload"]["transaction"]))
    assert found.verify_with_results() == [False, True]  # the fee payer's is still to come
    assert str(found.message.account_keys[1]) == terms.SOLANA_PAYER


def test_contenders_take_turns_and_pay() -> None:
    with Worker("ours") as ours, Worker("seller") as seller:
        url = seller.ask("start", 0.0)
        asked = {
            how: lambda how=how: ours.ask("spend", how, "async", url + "/evm2", 2, 1)
            for how in ("memory", "floor", "bare twice")
        }
        found = interleaved(2, asked)
        assert seller.ask("counts") == {"/evm2": 3 * 2 * 2 * (2 + 2) - 2 * 2}
    assert all(each["cpu"] > 0 for taken in found.values() for each in taken)


def test_each_step_of_a_payment_is_timed() -> None:
    with Worker("profile") as worker:
        taken = worker.ask("steps", 5)
    assert taken.keys() == profile._STEPS.keys()
    assert all(each > 0 for each in taken.values())


def test_figures_are_judged_by_their_targets() -> None:
    rows = [at_most("a", 2.5, 2.5), at_most("b", 3, 2.5), at_least("c", 0.9, 0.9), at_least("d", 0.8, 0.9)]
    assert [row.met for row in rows] == [True, False, True, False]
    assert table([*rows, Row("e", "f")]).splitlines()[4:] == [
        "| a | 2.50 × | ≤ 2.5 × | yes |",
        "| b | 3.00 × | ≤ 2.5 × | **no** |",
        "| c | 0.90 × | ≥ 0.9 × | yes |",
        "| d | 0.80 × | ≥ 0.9 × | **no** |",
        "| e | f |  |  |",
    ]


def test_old_ledgers_are_measured_beside_young_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ledger_history, "ROUNDS", 2)
    ledger_history.main(100)
    assert [name for name, *_ in ledgers._HISTORY.findall(capsys.readouterr().out)] == ["memory", "SQLite", "Redis"]
