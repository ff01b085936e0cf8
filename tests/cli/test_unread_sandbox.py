"""A sandbox whose settings were not read in this terminal is named, before a wallet or a public chain is blamed."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.adapters.cash_register import KEY
from x402_client import Buyer, Policy, Wallet, errors
from x402_client.httpx import wrap
from x402_client.model.sandbox_settings import NOT_READ
from x402_client.sandbox import TEST_SOLANA_KEYS, Sandbox

from .running import Ran, in_process

SAID = (
    "This seller is a sandbox, and the policy in use does not know its tokens. Where its settings were not read yet, "
    "type the line that `x402 sandbox` shows"
)
#: Nothing listens there.
DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _nothing_is_paid(seller: Sandbox):  # type: ignore[no-untyped-def]
    before = len(seller.settlements)
    yield
    assert len(seller.settlements) == before


def told(ran: Ran) -> bool:
    return SAID in ran.text + ran.err


def test_without_a_wallet_the_sandbox_is_named_and_no_wallet_is_asked_for(
    seller: Sandbox, bare: dict[str, str]
) -> None:
    ran = in_process(["get", f"{seller.url}/weather"], bare)
    assert (ran.code, told(ran)) == (2, True)
    assert "x402 wallet new" not in ran.err
    assert "sandbox.buyer" not in ran.err, "that is for programs"


@pytest.mark.parametrize("path", ["/weather", "/v1/weather", "/evm/weather", "/solana/weather", "/v1/solana/weather"])
@pytest.mark.parametrize("command", ["quote", "doctor"])
def test_looking_names_it(seller: Sandbox, bare: dict[str, str], command: str, path: str) -> None:
    ran = in_process([command, seller.url + path], bare)
    assert told(ran)
    assert "x402 wallet new" not in ran.text + ran.err, "its settings bring one"
    assert "vouches" not in ran.text, "nobody has to vouch for invented money"


def test_a_wallet_of_ones_own_for_evm_alone(seller: Sandbox, bare: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/weather", "--yes"], bare | {"X402_EVM_KEY": KEY})
    assert (ran.code, told(ran)) == (3, True)
    assert "is a token of a sandbox, and the policy in its settings knows it" in ran.err
    assert "vouches" not in ran.err


def test_what_is_too_dear_names_it_too(seller: Sandbox, bare: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/yacht", "--yes"], bare)
    assert (ran.code, told(ran)) == (3, True)


def test_a_wallet_of_ones_own_for_solana(seller: Sandbox, bare: dict[str, str]) -> None:
    wallet = Wallet(solana=TEST_SOLANA_KEYS[0])
    keys = {"X402_SOLANA_KEY": seller.key("solana")}
    ran = in_process(["get", f"{seller.url}/solana/weather", "--yes", "--rpc", f"solana-devnet={DEAD}"], bare | keys)
    assert ran.code == 4
    assert f"x402: {SAID}" in ran.err, "before the chain that did not answer"
    buyer = Buyer(wallet, ledger=":memory:", rpc={"solana-devnet": DEAD})
    with wrap(httpx.Client(), buyer) as client, pytest.raises(errors.ChainUnavailable) as raised:
        client.get(f"{seller.url}/weather")
    assert raised.value.args[0].startswith(f"{NOT_READ} solana-devnet did not answer")


def test_with_its_settings_it_is_not_named(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    for command in (["quote"], ["doctor"], ["get", "--yes", "--rpc", f"solana-devnet={DEAD}"]):
        for path in ("/solana/yacht", "/solana/weather", "/fault/swapped-token/weather"):
            ran = in_process([*command, seller.url + path], given)
            assert not told(ran), ran


@pytest.mark.parametrize("networks", [None, ["base"], ["base", "polygon"], ["base", "sandbox"]])
def test_a_policy_whose_networks_leave_it_out_is_told_to_add_it(seller: Sandbox, networks: list[str] | None) -> None:
    buyer = Buyer(Wallet(evm=KEY), Policy(per_day="1", networks=networks), ledger=":memory:")
    with wrap(httpx.Client(), buyer) as client, pytest.raises(errors.NoAcceptableOffer) as raised:
        client.get(f"{seller.url}/evm/weather")
    assert SAID in raised.value.args[0]
    left_out = networks is not None and "sandbox" not in networks
    assert ('add "sandbox" to them' in raised.value.args[0]) == left_out
