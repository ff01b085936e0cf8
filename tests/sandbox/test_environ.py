"""Programs that make their buyer of the environment pay the sandbox, as the command does."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest

from tests.cli.running import in_process
from x402_client import Buyer, Policy, errors, outcome
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


@pytest.fixture
def environ(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a user does who has neither our fixture nor our command."""
    monkeypatch.setenv("X402_WALLET", "/of/another/wallet")
    monkeypatch.setenv("X402_PURSE", "another")
    monkeypatch.setenv("X402_MUST_EXIST", "1")
    for name, value in sandbox.environ.items():
        monkeypatch.setenv(name, value)
    return sandbox.environ


def test_a_program_pays_by_it(sandbox: Sandbox, environ: dict[str, str]) -> None:
    buyer = Buyer.from_env()
    with wrap(httpx.Client(), buyer) as client:
        for way in ("evm", "solana"):
            answer = client.get(f"{sandbox.url}/{way}/weather")
            assert (answer.status_code, bool(outcome(answer))) == (200, True)
        with pytest.raises(errors.TooExpensive):
            client.get(f"{sandbox.url}/yacht")
    assert str(buyer.spent()) == "0.02 USD"
    assert len(sandbox.settlements) == 2
    buyer.close()


def test_the_command_spends_from_the_same_ledger(sandbox: Sandbox, environ: dict[str, str]) -> None:
    assert in_process(["get", f"{sandbox.url}/weather", "--yes"], environ).code == 0
    assert str(Buyer.from_env().spent()) == "0.01 USD"


def test_a_policy_of_ones_own_goes_with_it(sandbox: Sandbox, environ: dict[str, str]) -> None:
    buyer = Buyer.from_env(policy=sandbox.policy(Policy(per_request="0.001")))
    with wrap(httpx.Client(), buyer) as client, pytest.raises(errors.TooExpensive, match=r"0\.001"):
        client.get(f"{sandbox.url}/weather")


def test_it_stays_the_same_and_goes_with_the_sandbox() -> None:
    with Sandbox() as sandbox:
        first = sandbox.environ
        place = Path(first["X402_LEDGER"]).parent
        first["X402_EVM_KEY"] = "changed by its reader"
        assert sandbox.environ == {**first, "X402_EVM_KEY": sandbox.environ["X402_EVM_KEY"]}
        assert sandbox.environ["X402_EVM_KEY"].startswith("0x")
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not place.exists()
    assert sandbox.environ["X402_LEDGER"] == first["X402_LEDGER"], "what was asked for before can still be looked at"


def test_of_a_closed_sandbox_there_is_none() -> None:
    with Sandbox() as sandbox:
        pass
    with pytest.raises(errors.ConfigurationError, match="closed"):
        _ = sandbox.environ
