"""What somebody at a terminal sees, is asked, and answers."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from x402_client import errors
from x402_client.cli.new_ledger import NewLedger
from x402_client.ledgers.conformance.fixtures import cap, order, signed
from x402_client.model.holds import Attempt, Hold, Spending
from x402_client.sandbox import Sandbox
from x402_client.signers import keystore

from .running import in_process, terminal

pytestmark = pytest.mark.usefixtures("quick_keystores")


def test_it_asks_before_it_pays_and_says_what(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    seen = terminal(["get", f"{seller.url}/evm/weather"], given, [("Pay 0.01 USD? [y/N]", "y\n")])
    assert seen.code == 0
    price = "0.01 USD, in USDC on sandbox"
    for words in (price, "named by 127.0.0.1", seller.settlements[-1].pay_to, "4.99 USD of the day's budget"):
        assert words in seen.screen
    assert '"content": "worth it"' in seen.screen
    assert len(seller.settlements) == before + 1


def test_it_says_what_is_paid_before_delivery(seller: Sandbox, given: dict[str, str]) -> None:
    command = ["get", f"{seller.url}/upfront/weather"]
    seen = terminal(command, given, [("Pay 0.01 USD? [y/N]", "n\n")])
    assert "it is paid before delivery: the money is spent also if nothing comes" in " ".join(seen.screen.split())


@pytest.mark.parametrize("answer", ["n\n", "\n", "yess\n", "\x04"])
def test_only_a_yes_is_a_yes(seller: Sandbox, given: dict[str, str], answer: str) -> None:
    before = len(seller.settlements)
    seen = terminal(["get", f"{seller.url}/weather"], given, [("[y/N]", answer)])
    assert seen.code == 3
    assert "You said no. Nothing was paid." in seen.screen
    assert len(seller.settlements) == before


def test_ctrl_c_at_the_question_pays_nothing(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    seen = terminal(["get", f"{seller.url}/weather"], given, [("[y/N]", signal.SIGINT)])
    assert seen.code == 130
    assert "Fatal" not in seen.screen
    assert "Traceback" not in seen.screen
    assert len(seller.settlements) == before


def test_a_policy_with_a_threshold_is_asked_about_above_it_only(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "asking.toml"
    policy.write_text('approve_above = "0.02"\n' + Path(given["X402_POLICY"]).read_text())
    asking = given | {"X402_POLICY": str(policy)}
    assert terminal(["get", f"{seller.url}/weather"], asking).code == 0
    assert terminal(["get", f"{seller.url}/report"], asking, [("Pay 0.05 USD? [y/N]", "n\n")]).code == 3


def test_what_is_asked_does_not_go_where_the_body_goes(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "out"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT)
    seen = terminal(["get", f"{seller.url}/weather"], given, [("[y/N]", "yes\n")], stdout=handle)
    os.close(handle)
    assert seen.code == 0
    assert json.loads(file.read_text())["content"] == "worth it"


def test_colours_and_signs_of_life_are_for_terminals_and_not_under_no_color(
    seller: Sandbox, given: dict[str, str]
) -> None:
    command = ["get", f"{seller.url}/fault/slow/weather", "--yes"]
    assert "\x1b[32m" in terminal(command, given).screen
    plain = terminal(command, given | {"NO_COLOR": "1"}).screen
    assert not re.search(r"\x1b\[[0-9;]*m", plain)
    assert "waiting for its answer" in plain
    nobody = in_process(command, given)
    assert "\x1b" not in nobody.err
    assert "waiting" not in nobody.err


def test_a_wallet_is_made_with_a_passphrase_that_is_asked_for_twice(bare: dict[str, str]) -> None:
    answers = [
        ("New passphrase", "short\n"),
        ("too short", ""),
        ("New passphrase", "correct horse\n"),
        ("The same again", "correct mule\n"),
        ("New passphrase", "correct horse\n"),
        ("The same again", "correct horse\n"),
    ]
    seen = terminal(["wallet", "new", "--evm"], bare, answers)
    assert seen.code == 0
    assert "horse" not in seen.screen
    directory = Path(bare["HOME"], ".local", "share", "x402_client", "wallets", "default")
    assert [path.name for path in directory.iterdir()] == ["evm.json"]


def test_a_passphrase_is_asked_for_when_something_is_signed_and_not_before(
    seller: Sandbox, given: dict[str, str]
) -> None:
    del given["X402_EVM_KEY"]
    del given["X402_SOLANA_KEY"]
    key = seller.key("evm")
    answers = [("does not show", f"{key}\n"), ("New passphrase", "correct horse\n"), ("again", "correct horse\n")]
    made = terminal(["wallet", "import"], given, answers)
    assert made.code == 0
    assert key[2:] not in made.screen
    assert terminal(["get", f"{seller.url}/free"], given).code == 0
    asked = [("[y/N]", "y\n"), ("Passphrase of", "wrong\n"), ("Try again", ""), ("Passphrase of", "correct horse\n")]
    seen = terminal(["get", f"{seller.url}/evm/weather"], given, asked)
    assert seen.code == 0
    assert "worth it" in seen.screen
    assert "horse" not in seen.screen


@pytest.mark.parametrize(
    ("typed", "wrong", "said"),
    [
        ("\x04", {}, "Nothing was typed."),
        ("correct horse\n", {"crypto": {}}, "its crypto part cannot be read (KeyError)"),
        ("correct horse\n", {"address": "11" * 20}, "names the address 0x1111111111111111111111111111111111111111"),
    ],
)
def test_the_passphrase_is_asked_for_again_only_if_it_was_wrong(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, typed: str, wrong: dict[str, Any], said: str
) -> None:
    path = tmp_path / "evm.json"
    secret = bytes.fromhex(seller.key("evm")[2:])
    path.write_text(json.dumps(keystore.seal("evm", secret, "correct horse") | wrong))
    command = ["get", f"{seller.url}/evm/weather", "--yes", "--wallet", str(path)]
    seen = terminal(command, given | {"NO_COLOR": "1"}, [("Passphrase of", typed)])
    assert seen.code == 2
    assert said in " ".join(seen.screen.split())
    assert "Try again" not in seen.screen


def test_a_write_off_asks(seller: Sandbox, given: dict[str, str]) -> None:
    in_process(["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"], given)
    [hold] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    assert terminal(["ledger", "write-off", hold["hold"]], given, [("[y/N]", "n\n")]).code == 3
    assert terminal(["ledger", "write-off", hold["hold"][:6]], given, [("[y/N]", "y\n")]).code == 0
    assert json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"] == []


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["wrong\n", "\x03"], 130),
        (["correct horse\n"], 0),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [(["wrong\n"] * 3, 2), (["\x03"], 130), (["\x04"], 2)]),
    ],
)
def test_a_passphrase_that_is_wrong_or_given_up_leaves_no_ledger_behind(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, typed: list[str], code: int
) -> None:
    path, place = tmp_path / "evm.json", tmp_path / "books"
    path.write_text(json.dumps(keystore.seal("evm", bytes.fromhex(seller.key("evm")[2:]), "correct horse")))
    place.mkdir()
    settings = given | {"X402_LEDGER": str(place / "new.db"), "NO_COLOR": "1"}
    before, command = len(seller.settlements), ["get", f"{seller.url}/evm/weather", "--wallet", str(path)]
    answers = [("[y/N]", "y\n"), *(("Passphrase of", one) for one in typed)]
    for one in range(len(typed) - 1, 0, -1):
        answers.insert(1 + one, ("Try again", ""))
    assert terminal(command, settings, answers).code == code
    paid = code == 0
    assert len(seller.settlements) - before == paid
    assert ([one.name for one in place.iterdir()] != []) is paid
    if paid:
        listed = json.loads(in_process(["ledger", "list", "--json"], settings).out)["payments"]
        assert [one["state"] for one in listed] == ["delivered"]
        counted = json.loads(in_process(["ledger", "--json"], settings).out)["counted"]["day"]
        assert counted == ["0.01 USD"]


def test_a_ledger_that_is_made_while_the_passphrase_is_typed_is_kept_to(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    """Another program makes the file and uses the budget up: nothing is paid beyond it."""
    book, policy = tmp_path / "new.db", tmp_path / "little.toml"
    policy.write_text(Path(given["X402_POLICY"]).read_text().replace('per_day = "5"', 'per_day = "0.01"'))
    command = ["get", f"{seller.url}/evm/weather", "--yes", "--policy", str(policy)]
    settings, before = given | {"X402_LEDGER": str(book)}, len(seller.settlements)
    ledger, attempt, today = NewLedger(book), Attempt(), Spending("", "day", "USD")
    hold = ledger.reserve(order(None, cap(10_000)), attempt)
    assert isinstance(hold, Hold)
    assert not book.exists()
    assert (ledger.spent(today), len(ledger.holds())) == (10_000, 1)
    assert in_process(command, settings).code == 0
    with pytest.raises(errors.OverLimit):
        ledger.record(hold, signed("0x01"))
    assert len(seller.settlements) - before == 1
    assert (ledger.spent(today), ledger.holds()) == (10_000, ())
    ledger.close_ledger()
