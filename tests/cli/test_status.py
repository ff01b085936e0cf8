"""``x402 status``: all that stands, each with the next command; offline too, and in bounded time."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from x402_client import Wallet
from x402_client.cli.standing import Budget
from x402_client.model.budgets import Cap
from x402_client.sandbox import Sandbox

from .running import in_process, terminal


def status(given: dict[str, str], *options: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(in_process(["status", "--json", *options], given).out)
    return found


def test_with_nothing_at_all_it_names_the_first_command(bare: dict[str, str]) -> None:
    ran = in_process(["status"], bare)
    assert ran.code == 0
    lines = ran.text.splitlines()
    assert lines[lines.index("Wallet") + 1 :][:2] == ["  there is none", "  next: x402 wallet new"]
    assert "x402 get" not in ran.text, "without a wallet nothing can be paid"
    assert "up to 0.10 USD a request, 5.00 USD per day" in ran.text
    assert "not there yet: the first payment makes it" in ran.text
    assert lines[-6:] == ["Frozen", "  nothing", "In flight", "  none", "Unresolved payments", "  none"]
    assert not list(Path(bare["HOME"]).iterdir())  # looking writes nothing


def test_it_shows_addresses_balances_and_budgets(seller: Sandbox, given: dict[str, str]) -> None:
    assert in_process(["get", f"{seller.url}/evm/report", "--yes"], given).code == 0
    ran = in_process(["status"], given)
    assert ran.code == 0
    wallet = Wallet(evm=given["X402_EVM_KEY"], solana=given["X402_SOLANA_KEY"])
    for address in wallet.addresses.values():
        assert address in ran.text
    lines = [" ".join(line.split()) for line in ran.text.splitlines()]
    assert "sandbox, test money 99.95 USDC" in lines
    assert "solana-devnet, test money 100 USDC" in lines
    assert "per day 4.95 USD 5.00 USD ████████████" in lines
    assert "Anybody may know these keys, a sandbox's or a tool's: never send them real money." in lines
    assert any(line.startswith("payments 1, the first at ") for line in lines)
    assert any(line.startswith("size ") and line.endswith(" kB") for line in lines)
    assert given["X402_EVM_KEY"][2:] not in ran.text


def test_as_json_it_has_the_same(seller: Sandbox, given: dict[str, str]) -> None:
    command = ["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"]
    assert in_process(command, given).code == 7
    assert in_process(["ledger", "freeze", "*.example.com"], given).code == 0
    said = json.loads(in_process(["status", "--json"], given).out)
    assert [one["balance"] for one in said["balances"] if one["token"] == "USDC"] == ["100", "100"]
    whose = {"host": None, "window": "day", "currency": "USD", "exact": True}
    assert said["budgets"] == [whose | {"limit": "5.00 USD", "used": "0.01 USD", "left": "4.99 USD"}]
    assert said["frozen"] == ["*.example.com"]
    [hold] = said["unresolved"]
    assert (hold["price"], hold["method"]) == ("0.01", "POST")
    assert said["next"] == ["x402 ledger unfreeze '*.example.com'", "x402 ledger holds"]
    assert (said["ledger"]["payments"], said["ledger"]["problem"]) == (1, None)
    text = in_process(["status"], given).text
    for words in (
        hold["hold"],
        hold["advice"],
        "next: x402 ledger holds",
        "next: x402 ledger unfreeze '*.example.com'",
    ):
        assert words in text


def test_test_money_has_budgets_of_its_own_once_it_was_paid(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "test-money.toml"
    text = Path(given["X402_POLICY"]).read_text().replace('currency = "USD"', 'currency = "USD (test)"')
    policy.write_text(text.replace('per_day = "5"', 'per_day = "5"\nmax_payments = "30/hour"'))
    given["X402_POLICY"] = str(policy)
    assert [one["currency"] for one in status(given, "--offline")["budgets"]] == ["USD", None]  # type: ignore[attr-defined]
    assert in_process(["get", f"{seller.url}/weather", "--yes"], given).code == 0
    budgets = status(given, "--offline")["budgets"]
    assert [(one["currency"], one["used"], one["left"]) for one in budgets] == [  # type: ignore[attr-defined]
        ("USD", "0.00 USD", "5.00 USD"),
        (None, "1 payment", "29 payments"),
        ("USD (test)", "0.01 USD (test)", "4.99 USD (test)"),
    ]


def test_hosts_have_their_budgets_and_what_is_resolved_counts(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "hosts.toml"
    hosts = '[hosts."127.0.0.1"]\nper_hour = "2"\nmax_payments = "3/day"\n[hosts."*.example.com"]\ntotal = "7"\n'
    policy.write_text(Path(given["X402_POLICY"]).read_text() + hosts + '[hosts]\n"bad.example" = "deny"\n')
    given["X402_POLICY"] = str(policy)
    for _ in range(2):
        assert in_process(["get", f"{seller.url}/weather", "--yes"], given).code == 0
    budgets = status(given, "--offline")["budgets"]
    assert [(one["host"], one["window"], one["left"]) for one in budgets] == [  # type: ignore[attr-defined]
        (None, "day", "4.98 USD"),
        ("127.0.0.1", "hour", "1.98 USD"),
        ("127.0.0.1", "day", "1 payment"),
        ("*.example.com", "total", "7.00 USD"),
    ]
    assert "per hour at 127.0.0.1" in in_process(["status", "--offline"], given).text


#: A program that is killed as it asks its approver: its payment is reserved, and was never signed.
KILLED = """
import os, sys, httpx
from x402_client import Buyer, Policy
from x402_client.httpx import wrap
policy = Policy.from_env().but(approve_above="0")
client = wrap(httpx.Client(), Buyer.from_env(policy=policy, approve=lambda asked: os._exit(7)))
client.get(sys.argv[1])
"""


def test_what_a_killed_program_reserved_is_given_back_before_it_is_shown(
    seller: Sandbox, given: dict[str, str]
) -> None:
    url = f"{seller.url}/weather"
    assert subprocess.run([sys.executable, "-c", KILLED, url], env=given, check=False).returncode == 7
    shown = " ".join(in_process(["status", "--offline"], given).text.split())
    assert ("5.00 USD 5.00 USD" in shown, "before it signed" in shown) == (True, False), shown
    assert status(given, "--offline")["never_signed"] == []


def test_what_cannot_be_given_back_now_is_explained_beside_the_budgets_it_counts_in(
    seller: Sandbox, given: dict[str, str]
) -> None:
    """Another program writes to the ledger at this moment."""
    url = f"{seller.url}/weather"
    assert subprocess.run([sys.executable, "-c", KILLED, url], env=given, check=False).returncode == 7
    said = "0.01 USD is counted for 1 call that ended before it signed: nothing left, and the next payment that "
    with contextlib.closing(sqlite3.connect(given["X402_LEDGER"], isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        shown = " ".join(in_process(["status", "--offline"], given).text.split())
        assert ("4.99 USD 5.00 USD" in shown, f"{said}needs it gets it." in shown) == (True, True), shown
        spent = in_process(["ledger"], given)
        assert said in " ".join((spent.text + spent.err).split())
        [never] = status(given, "--offline")["never_signed"]  # type: ignore[misc]
        writer.execute("ROLLBACK")
    assert (never["step"], never["price"]) == ("nothing", "0.01")
    assert in_process(["get", url, "--yes"], given).code == 0
    assert status(given, "--offline")["never_signed"] == []
    assert "before it signed" not in in_process(["status", "--offline"], given).text


def test_offline_no_chain_is_asked(given: dict[str, str]) -> None:
    given["X402_RPC"] = "eip155:402402402402=http://127.0.0.1:9"
    ran = in_process(["status", "--offline"], given)
    assert ran.code == 0
    assert "not asked for: --offline" in ran.text
    assert status(given, "--offline")["balances"] is None


def test_a_chain_that_is_silent_is_named_and_does_not_hold_it_up(given: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"http://127.0.0.1:{silent.getsockname()[1]}"
        given["X402_RPC"] = f"{given['X402_RPC'].split()[0]} solana-devnet={at}"
        started = time.monotonic()
        ran = in_process(["status", "--timeout", "1.5"], given)
    assert time.monotonic() - started < 20  # an endpoint by itself has thirty seconds
    assert ran.code == 0
    assert "not known: solana-devnet did not answer within 1.5 seconds." in ran.text
    assert "100 USDC" in ran.text  # the other chain is shown
    assert "next: x402 wallet balance, or name an endpoint with --rpc" in ran.text


def test_balances_and_exposures_have_the_time_together(given: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        ran = in_process(["status", "--timeout", "4", "--rpc", f"base-sepolia={at}", "--rpc", f"base={at}"], given)
    assert time.monotonic() - started < 7
    assert "not known: base-sepolia did not answer within 4 seconds." in ran.text


def test_a_policy_names_the_networks_that_are_looked_at(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    policy = tmp_path / "networks.toml"
    policy.write_text('networks = ["solana-devnet"]\nassets = ["USDC"]\n' + Path(given["X402_POLICY"]).read_text())
    balances = status(given | {"X402_POLICY": str(policy)})["balances"]
    assert [one["network"] for one in balances] == ["solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("network", "known"), [("eip155:402402402402", True), ("base", False)])
def test_an_empty_wallet_is_told_how_to_be_filled(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, network: str, known: bool
) -> None:
    """An endpoint of another chain tells nothing of base, so there no advice is given."""
    policy = tmp_path / "networks.toml"
    policy.write_text(f'networks = ["{network}"]\n' + Path(given["X402_POLICY"]).read_text())
    del given["X402_SOLANA_KEY"]
    rpc = f"{network}={seller.rpc['eip155:402402402402']}"
    poor = given | {"X402_EVM_KEY": "0x" + "46" * 32, "X402_POLICY": str(policy), "X402_RPC": rpc}
    text = in_process(["status"], poor).text
    assert ("next: x402 wallet fund" in text) is known
    assert ("it is an endpoint of" in text) is not known


def test_a_ledger_that_cannot_be_used_is_said_and_the_rest_is_shown(given: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no ledger at all" * 1_000)
    broken.chmod(0o600)
    ran = in_process(["status", "--offline", "--ledger", str(broken)], given)
    assert ran.code == 4
    assert str(broken) in ran.text
    assert "problem" in ran.text
    assert "up to 0.10 USD a request" in ran.text
    lines = ran.text.splitlines()
    for title in ("Budgets", "Frozen", "Unresolved payments"):
        assert lines[lines.index(title) + 1] == "  not known", "an empty ledger stands in, and says nothing"
    said = in_process(["status", "--offline", "--json", "--ledger", "redis://127.0.0.1:9"], given)
    assert said.code == 4
    told = json.loads(said.out)
    assert told["ledger"]["problem"]
    assert [told[name] for name in ("budgets", "frozen", "unresolved", "allowances", "open_amounts")] == [None] * 5


def test_a_ledger_whose_directory_is_not_there_is_said_as_a_payment_would(
    given: dict[str, str], tmp_path: Path
) -> None:
    missing = given | {"X402_LEDGER": str(tmp_path / "nope" / "x.db")}
    ran = in_process(["status", "--offline"], missing)
    assert ran.code == 4
    assert "would begin in a directory that is not there" in " ".join(ran.text.split())
    assert "the first payment makes it" not in ran.text
    assert json.loads(in_process(["status", "--offline", "--json"], missing).out)["ledger"]["exists"] is False


@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_wider_than_the_terminal(seller: Sandbox, given: dict[str, str], columns: int) -> None:
    command = ["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"]
    assert in_process(command, given).code == 7
    seen = terminal(["status"], given | {"NO_COLOR": "1"}, columns=columns)
    assert seen.code == 0
    assert max(map(len, seen.screen.splitlines())) <= columns
    wallet = Wallet(evm=given["X402_EVM_KEY"]).evm
    assert wallet is not None
    assert wallet.address in seen.screen  # in one piece, to be copied


def test_a_budget_that_is_overdrawn_has_nothing_left() -> None:
    assert Budget(Cap("", "day", "USD", 5), 9).left == 0


def test_a_key_of_another_program_is_named_as_get_names_it(bare: dict[str, str]) -> None:
    ran = in_process(["status"], bare | {"PRIVATE_KEY": "0x" + "12" * 32})
    assert "PRIVATE_KEY is set, and keys of other programs are not used unasked" in ran.text
    assert 'write export X402_EVM_KEY="$PRIVATE_KEY"' in ran.text


def test_commands_to_type_next_name_the_ledger_and_the_purse(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    options = ["--ledger", str(tmp_path / "a.db"), "--purse", "mine"]
    lost = f"{seller.url}/fault/drop-after-settling/weather"
    assert in_process(["get", lost, "-X", "POST", "--yes", *options], given).code == 7
    assert in_process(["ledger", "freeze", "x.dev", *options[:2]], given).code == 0
    hold = json.loads(in_process(["ledger", "holds", "--json", *options], given).text)["holds"][0]["hold"]
    typed = " ".join(options)
    assert f"`x402 ledger retry {hold} {typed}`" in in_process(["ledger", "holds", *options], given).text
    assert f"`x402 ledger retry {hold} {typed}`" in in_process(["ledger", "show", hold, *options], given).text
    text = in_process(["status", "--offline", *options], given).text
    assert f"`x402 ledger retry {hold} {typed}`" in text
    assert f"next: x402 ledger holds {typed}" in text
    assert f"next: x402 ledger unfreeze x.dev --ledger {tmp_path / 'a.db'}\n" in text
    ran = in_process(["ledger", "retry", hold, "-X", "GET", *options], given)
    assert f"{typed}" in ran.err
