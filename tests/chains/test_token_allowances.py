"""What is approved to Permit2, of several tokens: in one call, one after the other, and from what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.terms import BASE_EURC, BASE_USDC, PAYER
from x402_client.chains import rpc as module
from x402_client.chains.rpc import Rpc
from x402_client.chains.token_allowances import permit2_allowance, permit2_allowances
from x402_client.errors import ChainUnavailable

from .scripted_rpc import Answer, Scripted, error, result

NETWORK = "eip155:8453"
TOKENS = (BASE_USDC, BASE_EURC)
REVERTED = error(3, "execution reverted")


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))


def together(*told: int | None) -> Answer:
    """The answer of Multicall3: for each call its success, and its number."""
    parts = [f"{one is not None:064x}{64:064x}" + ("0" * 64 if one is None else f"{32:064x}{one:064x}") for one in told]
    places, at = [], len(told) * 32
    for part in parts:
        places.append(f"{at:064x}")
        at += len(part) // 2
    return result(f"0x{32:064x}{len(told):064x}" + "".join(places) + "".join(parts))


def read(*answers: Answer, tokens: tuple[str, ...] = TOKENS) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """What is read, and the calls that were made for it."""
    with Scripted(*answers) as endpoint:
        found = permit2_allowances(Rpc(NETWORK, [endpoint.url]), tokens, PAYER, 2.0)
        return found, [asked["params"][0] for asked in endpoint.asked]


def word(number: int) -> Answer:
    return result(f"0x{number:064x}")


def test_several_tokens_are_read_in_one_call() -> None:
    found, [asked] = read(together(5, 2**256 - 1))
    assert found == {BASE_USDC: 5, BASE_EURC: 2**256 - 1}
    assert asked["to"] == "0xcA11bde05977b3631167028862bE2a173976CA11"
    assert asked["data"].count("dd62ed3e" + PAYER[2:].lower().zfill(64)) == 2


def test_a_token_that_does_not_tell_is_left_out() -> None:
    assert read(together(None, 7))[0] == {BASE_EURC: 7}
    assert read(result("0x"), REVERTED, word(7))[0] == {BASE_EURC: 7}
    assert read(result("0x"), result("0x"), word(7))[0] == {BASE_EURC: 7}


@pytest.mark.parametrize("no_contract", [result("0x"), REVERTED])
def test_without_multicall_one_is_asked_after_the_other(no_contract: Answer) -> None:
    found, asked = read(no_contract, word(5), word(6))
    assert (found, [one["to"] for one in asked[1:]]) == ({BASE_USDC: 5, BASE_EURC: 6}, list(TOKENS))


def test_one_token_is_asked_itself() -> None:
    found, [asked] = read(word(5), tokens=TOKENS[:1])
    assert (found, asked["to"]) == ({BASE_USDC: 5}, BASE_USDC)


@pytest.mark.parametrize(
    "answer", [result("0x12"), result(None), word(2**255), together(1), together(1, 2, 3), together()]
)
def test_what_makes_no_sense_is_no_answer(answer: Answer) -> None:
    with pytest.raises(ChainUnavailable):
        read(answer)


@pytest.mark.parametrize("answer", [result("0x"), result([]), REVERTED])
def test_of_one_token_a_number_is_needed(answer: Answer) -> None:
    with Scripted(answer) as endpoint, pytest.raises(ChainUnavailable):
        permit2_allowance(Rpc(NETWORK, [endpoint.url]), BASE_USDC, PAYER)
