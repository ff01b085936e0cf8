"""The report on one request: its receipt, its warnings, and the commands that it names."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from x402_client import Money
from x402_client.cli import reporting
from x402_client.cli.exits import Code
from x402_client.cli.reporting import Report, Watching
from x402_client.cli.requests_made import CliRequest
from x402_client.errors import MoneyState
from x402_client.events import Concluded, Presented
from x402_client.model.holds import Hold, Outcome, Purchase
from x402_client.model.hosts import Origin
from x402_client.model.offers import Offer
from x402_client.sandbox import Sandbox
from x402_client.sandbox.play_money import SOLANA
from x402_client.wire.bounds import DEFAULT
from x402_client.wire.read import read_receipt

from .conftest import shell_settings
from .running import in_process
from .test_get import CONTENT
from .test_ledger import hold


@pytest.mark.parametrize("status", [200, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 500])
def test_a_free_answer_went_well_unless_it_is_an_error_or_leads_elsewhere(status: int) -> None:
    report = Report(CliRequest("GET", "http://x.example/", []), as_json=True)
    report.answered(httpx.Response(status))
    assert report.code() == (0 if status < 300 or status == 304 else 22)


@pytest.mark.parametrize(
    ("status", "money", "code"),
    [
        (200, "spent", 0),
        (200, "unknown", 0),
        (304, "spent", 8),
        (500, "spent", 8),
        (500, "unknown", 7),
        (404, "held", 7),
    ],
)
def test_an_error_after_a_payment_goes_by_the_money(status: int, money: MoneyState, code: int) -> None:
    purchase = Purchase("p", "r", False, "GET", "http://x.example/", Origin("http", "x.example", 80))
    offer = Offer(1, 2, "exact", "eip155:8453", 10_000, "0x", "0x")
    hold = Hold("1", purchase, offer, Money("0.01"), 0.0)
    report = Report(CliRequest("GET", "http://user:secret@x.example/a?b=c", []), as_json=True)
    report.answered(httpx.Response(status, extensions={"x402": Outcome(money, hold, offer)}))
    assert report.code() == code
    assert report.document(report.code(), "said")["url"] == "http://x.example/a"


def test_an_error_after_a_payment_names_it_and_what_can_be_done(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    book = tmp_path / "book.db"
    url = f"{seller.url}/fault/work-fails/weather"
    ran = in_process(["get", url, "--yes", "--ledger", str(book), "--purse", "ops"], given)
    assert ran.code == 8
    named = f"--ledger {shlex.quote(str(book))} --purse ops`"
    found = re.search(r"`x402 ledger show ([0-9a-f]{16}) ", ran.err)
    assert found is not None
    assert ran.err.count(f"`x402 ledger show {found[1]} {named} ") == 1
    assert f"`x402 ledger write-off {found[1]} {named} gives the purchase up" in ran.err
    assert ran.err.rstrip().endswith("More: x402 manual when-something-goes-wrong")


def test_only_a_payment_of_an_earlier_call_is_called_one(seller: Sandbox, given: dict[str, str]) -> None:
    command = ["get", f"{seller.url}/fault/drop-after-settling/weather", "--yes"]
    first, second = in_process(command, given), in_process(command, given)
    assert "Presenting an earlier payment" not in first.err
    assert first.err.count("No content came. Presenting the same payment of 0.01 USD again; nothing more is paid.") == 1
    assert second.err.count("Presenting an earlier payment of 0.01 USD again; nothing more is paid.") == 1
    for ran in (first, second):  # the chain showed it, so no time is waited for
        assert "The chain shows that it was paid" in ran.err
        assert "after that time" not in ran.err


#: What a receipt that proves nothing is said to be.
RECEIPTS = {
    "receipt-failed": 'The seller\'s receipt says that the payment failed: "settle_error".',
    "receipt-garbage": "The seller's receipt cannot be read.",
    "receipt-missing": "The seller sent no receipt.",
    "receipt-wrong-amount": "The receipt does not fit what was signed: it names an amount of 1; 10000 was signed.",
    "receipt-wrong-payer": "The receipt does not fit what was signed: it names payer",
}


@pytest.mark.parametrize("fault", RECEIPTS)
def test_what_no_receipt_proves_is_not_said_to_be_paid(seller: Sandbox, given: dict[str, str], fault: str) -> None:
    command = ["get", f"{seller.url}/fault/{fault}/weather", "--yes"]
    ran = in_process(command, given)
    assert (ran.code, json.loads(ran.out)) == (0, CONTENT)
    assert RECEIPTS[fault] in ran.err
    assert "Paid" not in ran.err
    assert "It is not known whether 0.01 USD (USDC on " in ran.err
    assert "was paid, so it stays counted. Left: 4.99 USD of the day's budget." in ran.err
    shown = re.search(r"`x402 (ledger show \w+)` shows the payment", ran.err)
    assert shown is not None
    assert "unknown: counted; no receipt proves that it was taken" in in_process(shown[1].split(), given).text
    said = json.loads(in_process([*command, "--json"], given).err)
    assert (said["money"], len(said["doubts"])) == ("unknown", 1)
    assert said["doubts"][0].startswith(RECEIPTS[fault])


def test_a_receipt_of_a_payment_that_is_on_its_way_does_not_say_that_it_failed() -> None:
    raw = {"success": False, "errorReason": "settlement_pending", "transaction": "0x1"}
    text = base64.b64encode(json.dumps(raw).encode()).decode()
    held = hold()
    found = Outcome("unknown", held, held.offer, read_receipt({"payment-response": text}.get, DEFAULT))
    report = Report(CliRequest("GET", "https://x.example/", []), as_json=False)
    report.answered(httpx.Response(200, headers={"PAYMENT-RESPONSE": text}, extensions={"x402": found}))
    assert report.doubts() == ["The seller's receipt says that the payment is on its way."]


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("/fault/version-3/weather", (), "The 402 speaks version 3 of x402"),
        ("/weather", ("--ledger", "redis://127.0.0.1:9/0"), "The Redis server at 127.0.0.1:9/0 cannot be reached"),
        ("/solana/weather", ("--rpc", f"{SOLANA}=http://127.0.0.1:9"), "solana-devnet did not answer getAccountInfo"),
    ],
)
def test_trouble_is_told_once(
    seller: Sandbox, given: dict[str, str], path: str, options: tuple[str, ...], said: str
) -> None:
    ran = in_process(["get", seller.url + path, "--yes", *options], given)
    [line] = [line for line in ran.err.splitlines() if not line.startswith("A new ledger begins")]
    assert ran.code == (5 if "version" in path else 4)
    assert line.startswith(f"x402: {said}")
    assert "Nothing " in line


def test_a_ledger_that_is_lost_while_the_answer_comes_hides_no_payment(bare: dict[str, str], tmp_path: Path) -> None:
    with Sandbox(slow=1.0) as own:
        given = bare | shell_settings(own, tmp_path)

        def lose() -> None:
            while not own.settlements:
                time.sleep(0.01)
            shutil.rmtree(Path(given["X402_LEDGER"]).parent)

        given["X402_LEDGER"] = str(tmp_path / "books" / "ledger.db")
        Path(given["X402_LEDGER"]).parent.mkdir()
        losing = threading.Thread(target=lose)
        losing.start()
        ran = in_process(["get", f"{own.url}/fault/slow/evm/weather", "--yes", "--json"], given)
        losing.join()
    told = json.loads(ran.err.splitlines()[-1])
    assert (ran.code, told["money"], told["left"]) == (0, "spent", None)
    assert b"worth it" in ran.out


def test_a_warning_that_is_no_error_is_said_before_the_payment(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/fault/forged-domain/evm/weather", "--yes"], given)
    assert ran.code == 0
    assert ran.err.count("EIP-712") == 1
    assert ran.err.index("EIP-712") < ran.err.index("Paid 0.01 USD")
    quiet = in_process(["get", f"{seller.url}/fault/forged-domain/evm/weather", "--yes", "--json"], given)
    assert len(quiet.err.splitlines()) == 1


def test_a_server_that_stays_silent_is_told_with_the_option(given: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and answers none
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        for command in (["get", "--yes"], ["quote"], ["doctor"]):
            ran = in_process([*command, url, "--timeout", "0.2"], given)
            assert ran.code == 10
            assert "127.0.0.1 did not answer in the time of --timeout (ReadTimeout: timed out)." in ran.err


@pytest.mark.parametrize("kind", ["slow", "slow, --json", "quick"])
def test_a_seller_that_was_paid_and_stays_silent_is_told_of_without_a_terminal(
    bare: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(reporting, "_SILENT", 0.5)
    with Sandbox(slow=2) as seller:
        place = "/weather" if kind == "quick" else "/fault/slow/weather"
        options = ["--json"] if "json" in kind else []
        ran = in_process(["get", "--yes", seller.url + place, *options], bare | shell_settings(seller, tmp_path))
    assert ran.code == 0, ran.err
    said = "0.01 USD presented to 127.0.0.1; waiting for its answer"
    assert ran.err.splitlines().count(said) == (kind == "slow")
    if kind == "slow":
        assert ran.err.index(said) < ran.err.index("Paid 0.01 USD")


def test_a_chain_that_does_not_answer_leaves_the_money_alone_and_says_what_to_set(
    seller: Sandbox, given: dict[str, str]
) -> None:
    ran = in_process(["get", f"{seller.url}/solana/weather", "--yes", "--rpc", f"{SOLANA}=http://127.0.0.1:9"], given)
    assert "name another endpoint with --rpc solana-devnet=https://... (or X402_RPC). Nothing was paid." in ran.err
    assert json.loads(in_process(["ledger", "--json"], given).out)["counted"]["total"] == ["0.00 USD"]


def test_a_command_to_type_next_names_the_ledger(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    named = ["--ledger", str(tmp_path / "own.db"), "--purse", "mine"]
    command = ["get", f"{seller.url}/fault/drop-before-settling/evm/weather", "-X", "POST", "--yes", *named]
    lost = in_process(command, given)
    write_off = re.search(r"`x402 (ledger write-off [^`]*)`", lost.err)
    assert write_off is not None
    assert write_off[1].endswith(f" --ledger {named[1]} --purse mine")
    assert in_process(["ledger", "freeze", *named[:2]], given).code == 0
    frozen = in_process(command, given)
    assert f"All payments are frozen; `x402 ledger unfreeze '*' --ledger {named[1]}` lifts it." in frozen.err
    unfreeze = re.search(r"`x402 (ledger unfreeze [^`]*)`", frozen.err)
    assert unfreeze is not None
    assert in_process(shlex.split(unfreeze[1]), given).code == 0
    assert in_process([*write_off[1].split(), "--yes"], given).code == 0


def test_what_is_left_is_null_where_nothing_was_looked_up() -> None:
    report = Report(CliRequest("GET", "https://x.dev/", []), as_json=True)
    assert report.document(Code.OK, "")["left"] is None
    report.left = {"day": Money("4.99")}
    assert report.document(Code.OK, "")["left"] == {"day": "4.99 USD"}


def test_a_new_payment_in_place_of_an_expired_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = hold(), hold(id="00000000000000bb")
    watching = Watching(quiet=False)
    watching(Concluded("GET", old.url, old, settled=False))
    watching(Presented("GET", new.url, new, again=False))
    watching.stop()
    said = " ".join(capsys.readouterr().err.split())
    assert f"An earlier payment of {old.price} for {old.url} expired unused, and was given back." in said
    assert f"Presenting a new payment of {new.price}." in said
    quiet = Watching(quiet=True)
    quiet(Concluded("GET", old.url, old, settled=False))
    assert capsys.readouterr().err == ""
