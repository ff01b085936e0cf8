"""``x402 get``: what goes to stdout, what is paid, and every exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import x402_client.httpx
from x402_client import errors
from x402_client.cli.exits import code_of
from x402_client.cli.requests_made import redirect_of
from x402_client.sandbox import Sandbox

from .running import COMMAND, environment, in_process, process, terminal

CONTENT = {"paid": "0.01 USD", "received": 0, "content": "worth it"}


def test_the_body_and_nothing_else_goes_to_stdout(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    ran = process(["get", f"{seller.url}/weather", "--yes"], given)
    assert ran.code == 0
    assert json.loads(ran.out) == CONTENT
    assert re.search(r"^Paid 0\.01 USD \(USDC on \S+, test money\) to ", ran.err, re.MULTILINE)
    assert "4.99 USD of the day's budget" in ran.err
    assert seller.settlements[-1].transaction in ran.err
    assert len(seller.settlements) == before + 1


@pytest.mark.parametrize("path", ["/solana/weather", "/v1/weather", "/v1/solana/weather", "/evm/weather"])
def test_it_pays_on_both_chains_in_both_versions(seller: Sandbox, given: dict[str, str], path: str) -> None:
    before = len(seller.settlements)
    ran = in_process(["get", seller.url + path, "--yes"], given)
    assert (ran.code, json.loads(ran.out)) == (0, CONTENT)
    assert len(seller.settlements) == before + 1


#: What is bought, with which options, the exit code, what stderr says, and how many transfers the chain saw.
ENDS = {
    "free": ("/free", (), 0, "", 0),
    "paid": ("/weather", ("--max", "0.05"), 0, "Paid 0.01 USD", 1),
    "paid upfront": ("/upfront/weather", ("--yes",), 0, ", before it delivered. Left:", 1),
    "upfront, and its work failed": ("/upfront/fault/work-fails/weather", ("--yes",), 8, "took the payment of 0.01", 1),
    "not a terminal": ("/weather", (), 3, "There is no terminal to ask on; --yes pays", 0),
    "above --max": ("/report", ("--max", "0.01"), 3, "one payment may cost 0.01 USD", 0),
    "above --max, and below the policy": ("/report", ("--max", "0.01"), 3, "--max decides; --max 0.05 allows", 0),
    "above the policy": ("/yacht", ("--yes",), 3, "policy.toml decides; a higher per_request there", 0),
    "above the policy, with --max": ("/yacht", ("--max", "1"), 3, "decides, for --max only narrows it; a higher", 0),
    "a lookalike of the token": ("/fault/swapped-token/weather", ("--yes",), 3, "not a token this buyer knows", 0),
    "nonsense": ("/fault/garbage-402/weather", ("--yes",), 5, "cannot be read", 0),
    "another version": ("/fault/version-3/weather", ("--yes",), 5, "version 3", 0),
    "rejected": ("/fault/402-again/weather", ("-X", "POST", "--yes"), 6, "asked for payment again", 0),
    "dropped": ("/fault/drop-after-settling/weather", ("-X", "POST", "--yes"), 7, "never a second one", 1),
    "broken off": ("/fault/truncated-body/weather", ("--yes",), 7, "paid by the seller's receipt. The", 1),
    "an error after paying": (
        "/fault/error-after-settling/weather",
        ("-X", "POST", "--yes"),
        8,
        "answered 502, and took the",
        1,
    ),
    "another 402": ("/fault/not-x402/weather", ("--yes",), 22, "does not speak x402", 0),
    "not found": ("/nothing", ("--yes",), 22, "answered 404. Nothing was paid.", 0),
    "a redirect": ("/fault/redirect-after-paying/weather", ("--yes", "-L"), 0, "Paid 0.01 USD", 1),
    "a redirect that is not followed": (
        "/fault/redirect-before-paying/weather",
        ("--yes",),
        22,
        "/sound/weather; -L follows it. Nothing was paid.",
        0,
    ),
    "a redirect that is not followed after paying": (
        "/fault/redirect-after-paying/weather",
        ("--yes",),
        8,
        "/thanks. Ask there first, by itself: the content may be there, free. If it is, `x402 ledger write-off ",
        1,
    ),
    "no amount": ("/weather", ("--max", "much"), 2, "'much' is not an amount of money", 0),
    "a header of nothing": ("/weather", ("-H", "nothing"), 2, 'like -H "Name: value"', 0),
    "a file that is not there": ("/weather", ("-d", "@{missing}"), 2, "{missing} cannot be read", 0),
    "a policy that is not there": ("/weather", ("--policy", "{missing}"), 2, "cannot be read: No such file", 0),
    "a place that cannot be written": ("/weather", ("--yes", "-o", "{missing}/x"), 2, "cannot be written", 0),
    "a ledger that cannot be": ("/weather", ("--yes", "--ledger", "/dev/null/x"), 4, "ledger", 0),
    "no such option": ("/weather", ("--frobnicate",), 2, "--frobnicate", 0),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_has_its_exit_code(seller: Sandbox, given: dict[str, str], tmp_path: Path, name: str) -> None:
    path, options, code, said, transfers = ENDS[name]
    before = len(seller.settlements)
    missing = str(tmp_path / "not-there")
    ran = in_process(["get", seller.url + path, *(option.replace("{missing}", missing) for option in options)], given)
    assert said.replace("{missing}", missing) in ran.err.replace("\n", " ")
    assert ran.code == code, ran.err
    assert len(seller.settlements) == before + transfers


@pytest.mark.parametrize("limit", ["per_day", "per_hour", "total"])
@pytest.mark.parametrize("named", ["127.0.0.1", "127.0.0.1:PORT"])
def test_what_is_left_is_what_the_host_s_own_entry_leaves(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, named: str, limit: str
) -> None:
    before, tokens, rest = Path(given["X402_POLICY"]).read_text("utf-8").partition("[[tokens]]")
    host = named.replace("PORT", seller.url.rpartition(":")[2])
    policy = tmp_path / "policy.toml"
    policy.write_text(f'{before}[hosts."{host}"]\n{limit} = "0.01"\n\n{tokens}{rest}', "utf-8")
    command = ["--policy", str(policy), f"{seller.url}/weather"]
    window = {"total": "the total budget"}.get(limit, f"the {limit.removeprefix('per_')}'s budget")
    assert f"0.01 USD of {window}" in in_process(["quote", *command], given).text
    assert f"0.00 USD of {window}" in in_process(["get", "--yes", *command], given).err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError, 2), (errors.PaymentRefused, 3), (errors.OverLimit, 3), (errors.Frozen, 3),
        (errors.PaymentNotSent, 4), (errors.LedgerUnavailable, 4), (errors.QuoteError, 5), (errors.PaymentRejected, 6),
        (errors.PaymentOutcomeUnknown, 7), (errors.PaidNotDelivered, 8), (errors.AlreadyPaid, 9),
        (errors.X402Error, 1),
    ],
)  # fmt: skip
def test_every_error_has_its_exit_code(error: type[errors.X402Error], code: int) -> None:
    assert code_of(error("said")) == code


def test_no_server_is_its_own_code(given: dict[str, str]) -> None:
    ran = in_process(["get", "http://127.0.0.1:9/x", "--yes"], given)
    assert ran.code == 10
    assert "did not answer" in ran.err
    assert "Nothing was paid." in ran.err


def test_a_key_is_paid_once(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    command = ["get", f"{seller.url}/weather", "--yes", "--key", "order-42"]
    assert in_process(command, given).code == 0
    again = in_process(command, given)
    assert again.code == 9
    assert again.out == b""
    assert len(seller.settlements) == before + 1


def test_the_same_command_presents_the_same_payment(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    command = ["get", f"{seller.url}/redeliver/fault/drop-after-settling/weather", "-X", "POST", "--yes"]
    assert process(command, given).code == 7
    again = process(command, given)
    assert "Presenting an earlier payment of 0.01 USD again" in again.err
    assert (again.code, json.loads(again.out)) == (0, CONTENT)
    assert len(seller.settlements) == before + 1


def test_json_says_where_a_redirect_leads(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/fault/redirect-before-paying/weather", "--yes", "--json"], given)
    said = json.loads(ran.err)
    assert (ran.code, said["status"], said["location"]) == (22, 307, f"{seller.url}/sound/weather")


def test_a_place_that_a_redirect_leads_to_is_shown_without_secrets() -> None:
    location = {"location": "https://user:hunter22@x.example/a?token=abc"}
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(302, headers=location))) as client:
        assert redirect_of(client.get("https://y.example/")) == "https://x.example/a?..."
        assert redirect_of(httpx.Response(304)) == ""


def test_without_a_wallet_nothing_is_made(seller: Sandbox, bare: dict[str, str], given: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/evm/weather", "--yes"], bare)
    assert ran.code == 3  # the sandbox's token is not known without its settings
    ran = in_process(["get", f"{seller.url}/solana/weather", "--yes"], bare | {"X402_POLICY": given["X402_POLICY"]})
    assert (ran.code, "There is no wallet to pay with." in ran.err) == (2, True)
    assert in_process(["get", f"{seller.url}/free", "--yes"], bare).code == 0
    assert list(Path(bare["HOME"]).iterdir()) == []


def test_json_is_one_object_on_the_last_line_of_stderr(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/weather?secret=1", "--yes", "--json"], given)
    said = json.loads(ran.err)
    assert json.loads(ran.out) == CONTENT
    assert (said["exit"], said["status"], said["money"], said["error"]) == (0, 200, "spent", None)
    assert said["payment"]["price"] == "0.01"
    assert said["receipt"]["transaction"] == seller.settlements[-1].transaction
    assert said["left"] == {"day": "4.99 USD"}
    assert "secret" not in ran.err


def test_json_of_a_refusal_says_what_and_that_the_money_is_untouched(seller: Sandbox, given: dict[str, str]) -> None:
    ran = in_process(["get", f"{seller.url}/yacht", "--yes", "--json"], given)
    said = json.loads(ran.err)
    assert (ran.code, ran.out) == (3, b"")
    assert (said["exit"], said["money"], said["payment"]) == (3, "untouched", None)
    assert said["error"]["kind"] == "TooExpensive"
    assert (said["error"]["limit"], said["error"]["asked"]) == ("0.10 USD", "250000.00 USD")


def test_json_of_a_refusal_by_a_budget_has_its_facts(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "hourly.toml"
    file.write_text(f'{Path(given["X402_POLICY"]).read_text()}\n[hosts."127.0.0.1"]\nper_hour = "0.01"\n')
    asked = ["get", f"{seller.url}/weather", "--yes", "--json", "--policy", str(file)]
    assert json.loads(in_process(asked, given).err)["error"] is None
    error = json.loads(in_process(asked, given).err)["error"]
    facts = {name: error[name] for name in ("kind", "limit", "asked", "spent", "host", "window", "allowance")}
    assert facts == {
        "kind": "OverLimit", "limit": "0.01 USD", "asked": "0.01 USD", "spent": "0.01 USD", "host": "127.0.0.1",
        "window": "hour", "allowance": None,
    }  # fmt: skip
    assert datetime.now(UTC) < datetime.fromisoformat(error["resets_at"]) < datetime.now(UTC) + timedelta(minutes=62)


def test_a_dry_run_pays_nothing_and_prints_no_body(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    ran = in_process(["get", f"{seller.url}/weather", "--dry-run", "--yes"], given)
    assert (ran.code, ran.out) == (0, b"")
    assert "Would pay 0.01 USD" in ran.err
    assert in_process(["get", f"{seller.url}/yacht", "--dry-run"], given).code == 3
    assert in_process(["get", f"{seller.url}/free", "--dry-run"], given).code == 0
    assert json.loads(in_process(["get", f"{seller.url}/weather", "--dry-run", "--json"], given).err)["dry_run"] is True
    assert len(seller.settlements) == before


def test_a_budget_that_is_spent_is_refused(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    policy = tmp_path / "little.toml"
    policy.write_text(Path(given["X402_POLICY"]).read_text().replace('per_day = "5"', 'per_day = "0.01"'))
    command = ["get", f"{seller.url}/weather", "--yes", "--policy", str(policy)]
    assert in_process(command, given).code == 0
    assert in_process(command, given).code == 3
    quoted = in_process(["quote", f"{seller.url}/weather", "--policy", str(policy)], given)
    assert quoted.code == 3
    said = quoted.err.partition("x402: ")[2].strip()
    assert "would exceed the limit of 0.01 USD per day: 0.01 USD of it is counted. It fits again at " in said
    assert re.search(r"UTC, in 1 day( 1 hour)?; a higher limit in the policy file", said)
    paid = in_process(command, given).err
    assert re.sub(r"at .*?;", "", said) in re.sub(r"at .*?;", "", paid), "the refusal itself says the same"
    examined = in_process(["doctor", f"{seller.url}/weather", "--policy", str(policy)], given)
    assert "It fits again at" in examined.text


def test_a_number_of_payments_that_is_used_up_is_told_before(
    seller: Sandbox, given: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "few.toml"
    policy.write_text(f'max_payments = "1/hour"\n{Path(given["X402_POLICY"]).read_text()}')
    command = ["get", f"{seller.url}/weather", "--yes", "--policy", str(policy)]
    assert in_process(command, given).code == 0
    quoted = in_process(["quote", f"{seller.url}/weather", "--policy", str(policy)], given)
    assert quoted.code == 3
    assert "would exceed the limit of 1 payment per hour: 1 is counted. It fits again at " in quoted.err
    assert in_process(command, given).code == 3


@pytest.mark.parametrize("more", ["", 'approve_above = "0.05"\n'])
def test_the_same_request_that_would_be_refused_is_told_before_with_the_way_out(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, more: str
) -> None:
    policy = tmp_path / "damped.toml"
    policy.write_text(f'same_request = "1/hour"\n{more}{Path(given["X402_POLICY"]).read_text()}')
    about = [f"{seller.url}/weather", "--policy", str(policy)]
    assert in_process(["get", *about, "--yes"], given).code == 0
    for command, code in ((["quote"], 3), (["get", "--dry-run"], 3), (["doctor"], 1)):
        told = in_process([*command, *about], given)
        said = " ".join(f"{told.text} {told.err}".split())
        assert (command, told.code) == (command, code)
        assert "1 payment per hour for the same request: 1 is counted" in said
        assert "a --key of its own for each purchase" in said
    for options in ([], ["--yes"], ["--max", "0.01"]):
        refused = " ".join(in_process(["get", *about, *options], given).err.split())
        assert "a --key of its own for each purchase does, or a higher same_request in" in refused
    assert in_process(["get", *about, "--yes", "--key", "another"], given).code == 0


def test_a_key_in_flight_is_told_before(seller: Sandbox, given: dict[str, str]) -> None:
    url, buyer = f"{seller.url}/fault/hang-before-settling/weather", seller.buyer(ledger=given["X402_LEDGER"])

    def hang() -> None:
        with (
            suppress(Exception),
            x402_client.httpx.wrap(httpx.Client(timeout=60), buyer) as client,
            buyer.purchase(key="job-7"),
        ):
            client.get(url)

    threading.Thread(target=hang, daemon=True).start()
    while not any(hold.state == "signed" for hold in buyer.holds()):
        time.sleep(0.02)
    for command in (["quote"], ["get", "--dry-run"]):
        told = in_process([*command, url, "--key", "job-7"], given)
        said = told.text + told.err
        assert (told.code, "may still be running" in said, "of its own" in said) == (7, True, False), said
    refused = in_process(["get", url, "--yes", "--key", "job-7"], given)
    assert (refused.code, "may still be running" in refused.err) == (7, True)
    assert in_process(["quote", url, "--key", "job-8"], given).code == 0


@pytest.mark.parametrize(
    ("options", "stdin", "received"),
    [
        (("-d", "a=1"), b"", 3),
        (("-d", "a=1", "-d", "b=2"), b"", 7),
        (("-d", '{"a": 1}'), b"", 8),
        (("-d", "-"), b"x" * 3_000_000, 3_000_000),
        (("-X", "PUT", "-d", "@FILE"), b"", 2_000_000),
    ],
)
def test_bodies_are_sent_whole_a_second_time_with_the_payment(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, options: tuple[str, ...], stdin: bytes, received: int
) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"y" * 2_000_000)
    command = [option.replace("FILE", str(file)) for option in options]
    ran = in_process(["get", f"{seller.url}/weather", "--yes", *command], given, stdin)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["received"] == received
    assert seller.visits[-1].method == ("PUT" if "-X" in options else "POST")


def test_a_file_appears_whole_or_not_at_all(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "weather.json"
    ran = in_process(["get", f"{seller.url}/weather", "--yes", "-o", str(file)], given)
    assert (ran.code, ran.out) == (0, b"")
    assert json.loads(file.read_text()) == CONTENT
    kept = file.read_bytes()
    command = ["get", f"{seller.url}/fault/truncated-body/weather", "--yes", "-o", str(file)]
    assert in_process(command, given).code == 7
    assert file.read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir() if "weather" in path.name] == ["weather.json"]


@pytest.mark.parametrize("old", [None, b"old"], ids=["no file", "a file"])
@pytest.mark.parametrize("name", [name for name, end in ENDS.items() if end[0].startswith("/") and "-o" not in end[1]])
def test_a_file_is_written_by_a_whole_answer_and_by_nothing_else(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, name: str, old: bytes | None
) -> None:
    path, options, _, said, _ = ENDS[name]
    file = tmp_path / "content"
    if old is not None:
        file.write_bytes(old)
    missing = str(tmp_path / "not-there")
    options = tuple(option.replace("{missing}", missing) for option in options)
    ran = in_process(["get", seller.url + path, *options, "-o", str(file)], given)
    answered = ran.code in (0, 8, 22)  # also by an error page
    if answered and "not followed" not in name:
        assert file.read_bytes() != old
    else:
        assert (file.read_bytes() if file.exists() else None) == old, said
    assert [one.name for one in tmp_path.glob(".content*")] == []


def test_ctrl_c_says_that_a_payment_left(seller: Sandbox, given: dict[str, str]) -> None:
    url = seller.sell("/hanging", "0.01", fault="hang-after-settling")
    before = len(seller.settlements)
    child = subprocess.Popen(
        [*COMMAND, "get", url, "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(given)
    )
    while len(seller.settlements) == before and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, b"")
    assert "A payment of 0.01 USD left for 127.0.0.1, and is unresolved, can settle until" in err.decode()
    assert "Run the same command again: it presents the same payment" in err.decode()


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_body_without_a_last_newline_does_not_run_into_what_follows(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    command = [*COMMAND, "get", seller.sell("/line", "0.01", content="no newline"), "--yes", *as_json]
    both = tmp_path / "both"
    with both.open("wb") as file:
        subprocess.run(command, stdout=file, stderr=file, env=environment(given), timeout=30, check=True)
    lines = both.read_text().splitlines()
    assert "no newline" in lines
    assert lines[-1].startswith('{"exit": 0,' if as_json else "Receipt: ")
    apart = process(command[len(COMMAND) :], given)
    assert apart.out == b"no newline"
    assert not apart.err.startswith("\n")


def test_what_broke_off_does_not_run_into_the_message_either(seller: Sandbox, given: dict[str, str]) -> None:
    url = seller.sell("/cut", "0.01", content="z" * 200_000, fault="truncated-body")
    seen = terminal(["get", url, "--yes"], given | {"NO_COLOR": "1"})
    assert seen.code == 7
    assert "zz\nx402: The answer broke off" in seen.screen


def test_a_reader_that_goes_away_is_no_failure_of_ours(seller: Sandbox, given: dict[str, str]) -> None:
    url = seller.sell("/long", "0.01", content=b"z" * 4_000_000)
    read, write = os.pipe()
    child = subprocess.Popen(
        [*COMMAND, "get", url, "--yes"], stdout=write, stderr=subprocess.PIPE, env=environment(given)
    )
    os.close(write)
    assert os.read(read, 10) == b"z" * 10
    os.close(read)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 141
    assert "Traceback" not in err.decode()
    assert "BrokenPipe" not in err.decode()
    assert "Paid 0.01 USD" in err.decode()


@pytest.mark.parametrize("command", [["decode", "{}"], ["sandbox", "--list-faults"], ["--version"]])
def test_the_same_goes_for_every_command(bare: dict[str, str], command: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [*COMMAND, *command], stdout=write, stderr=subprocess.PIPE, env=environment(bare), timeout=30, check=False
    )
    os.close(write)
    assert child.returncode == 141
    assert child.stderr == b""


def test_a_body_is_streamed_in_bounded_memory(seller: Sandbox, given: dict[str, str]) -> None:
    seller.sell("/short", "0.01", content=b"z")
    seller.sell("/huge", "0.01", content=b"z" * 120_000_000)
    program = (
        "import resource, sys\nfrom x402_client.cli import main\n"
        "try: main()\nfinally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for path, size in (("/short", 1), ("/huge", 120_000_000)):
        ran = process(["get", seller.url + path, "--yes"], given, program=[sys.executable, "-c", program])
        assert (ran.code, len(ran.out)) == (0, size)
        peaks.append(int(ran.err.rpartition("peak ")[2]))
    assert peaks[1] - peaks[0] < 20_000


#: Faults that end in an error of ours which is an error of httpx, too, or in one of httpx alone: the public name, and
#: httpx's.
JOINED = {
    "drop-before-settling": ("PaymentOutcomeUnknown", "httpx.RemoteProtocolError"),
    "drop-after-settling": ("PaymentOutcomeUnknown", "httpx.RemoteProtocolError"),
    "truncated-body": (None, "httpx.RemoteProtocolError"),
    "402-again": ("PaymentRejected", None),
}


@pytest.mark.parametrize("fault", JOINED)
def test_json_names_the_public_class_of_an_error_and_the_librarys_apart(
    seller: Sandbox, given: dict[str, str], fault: str
) -> None:
    url = seller.fault_url(fault, "/evm/weather")
    ran = in_process(["get", url, "-X", "POST", "--yes", "--json"], given)
    error = json.loads(ran.err.splitlines()[-1])["error"]
    assert (error["kind"], error["library_error"]) == JOINED[fault]
    assert error["kind"] is None or error["kind"] in errors.__all__


def test_json_names_the_librarys_class_where_nobody_answers(given: dict[str, str]) -> None:
    error = json.loads(in_process(["get", "http://127.0.0.1:9/x", "--yes", "--json"], given).err)["error"]
    assert (error["kind"], error["library_error"]) == (None, "httpx.ConnectError")
