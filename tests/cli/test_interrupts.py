"""Ctrl-C: on a line of its own, true about the money, and with exit code 130."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from x402_client.cli import main
from x402_client.cli.approving import Approving
from x402_client.cli.buying import Choices
from x402_client.cli.commands.get import _Fetch
from x402_client.cli.requests_made import CliRequest
from x402_client.events import Delivered, Presented
from x402_client.sandbox import Sandbox

from .running import COMMAND, environment, in_process, terminal
from .test_ledger import hold


class Server:
    """A server that takes connections and says nothing."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/x"


@pytest.fixture
def silent() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Server(listening)


@pytest.mark.parametrize("command", [["get", "--yes"], ["quote"], ["doctor"]], ids=lambda words: words[0])
def test_in_a_script_it_is_one_line(silent: Server, given: dict[str, str], command: list[str]) -> None:
    child = subprocess.Popen(
        [*COMMAND, *command, silent.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(given)
    )
    connected, _ = silent.listening.accept()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    connected.close()
    assert (child.returncode, out) == (130, b"")
    assert err.splitlines()[-1] == b"x402: Interrupted. Nothing was paid."


@pytest.mark.parametrize("command", ["quote", "doctor"])
def test_while_a_server_is_asked_nothing_was_paid(silent: Server, given: dict[str, str], command: str) -> None:
    seen = terminal([command, silent.url], given | {"NO_COLOR": "1"}, [("Asking 127.0.0.1", signal.SIGINT)])
    assert seen.code == 130
    assert "\nx402: Interrupted. Nothing was paid.\n" in seen.screen


def test_at_the_question_nothing_was_paid(seller: Sandbox, given: dict[str, str]) -> None:
    before = len(seller.settlements)
    seen = terminal(["get", f"{seller.url}/weather"], given | {"NO_COLOR": "1"}, [("[y/N]", "\x03")])
    assert seen.code == 130
    assert "\nx402: Interrupted. Nothing was paid.\n" in seen.screen
    assert len(seller.settlements) == before


def test_once_a_payment_left_that_is_said_instead(seller: Sandbox, given: dict[str, str]) -> None:
    url = seller.sell("/silent", "0.01", fault="hang-after-settling")
    given["NO_COLOR"] = "1"
    seen = terminal(["get", url, "--yes"], given, [("waiting for its answer", signal.SIGINT)])
    assert seen.code == 130
    said = " ".join(seen.screen.partition("\nx402: ")[2].split())
    assert said.startswith("Interrupted. A payment of 0.01 USD left for 127.0.0.1, and is unresolved")
    assert "Run the same command again: it presents the same payment, never a second one" in said
    assert "Nothing was paid" not in seen.screen


@pytest.mark.parametrize(
    ("command", "typed", "said"),
    [
        (["demo"], [("1. httpx pays", signal.SIGINT)], "The money of the demo is invented."),
        (
            ["sandbox", "--port", "0"],
            [("In another terminal", signal.SIGINT)],
            "The sandbox earned 0.00 USD of invented money in 0 payments.",
        ),
        (["wallet", "new"], [("New passphrase", "\x03")], "No wallet was made."),
        (["wallet", "new"], [("New passphrase", "correct horse\n"), ("again", "\x03")], "No wallet was made."),
        (["wallet", "import"], [("does not show", "\x03")], "No wallet was made."),
    ],
)
def test_one_line_says_what_did_not_happen(
    bare: dict[str, str], command: list[str], typed: list[tuple[str, str | signal.Signals]], said: str
) -> None:
    """Of payments it speaks only where something might have been paid."""
    seen = terminal(command, bare | {"NO_COLOR": "1"}, typed)
    assert seen.code == 130
    assert seen.screen.endswith(f"\nx402: Interrupted. {said}\n")
    assert seen.screen.count("x402: ") == 1
    assert not Path(bare["HOME"], ".local").exists()


def test_a_write_off_that_is_not_confirmed_is_none(seller: Sandbox, given: dict[str, str]) -> None:
    in_process(["get", f"{seller.url}/fault/drop-before-settling/weather", "-X", "POST", "--yes"], given)
    [hold] = json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"]
    seen = terminal(["ledger", "write-off", hold["hold"]], given | {"NO_COLOR": "1"}, [("[y/N]", "\x03")])
    assert seen.code == 130
    assert seen.screen.endswith("\nx402: Interrupted. Nothing was written off.\n")
    assert seen.screen.count("x402: ") == 1
    assert json.loads(in_process(["ledger", "holds", "--json"], given).out)["holds"] == [hold]


def fetching() -> _Fetch:
    return _Fetch(CliRequest("GET", "https://x.dev/", []), Choices(), Approving(True, None), True, None)


def test_a_delivered_answer_is_no_payment_that_is_open() -> None:
    fetch, paid = fetching(), hold(state="signed")
    assert fetch._interrupted() == "Interrupted. Nothing was paid."
    fetch.watching(Presented("GET", paid.url, paid, False))
    assert fetch._interrupted().startswith("Interrupted. A payment of 0.01 USD left for api.example.com, and is unres")
    fetch.watching(Delivered("GET", paid.url, paid))
    assert fetch._interrupted() == (
        "Interrupted. The payment of 0.01 USD was answered, and all of the answer had arrived."
    )


def test_while_the_command_loads_nothing_was_paid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("x402_client.cli.arguments.secret_among", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["status"])
    assert end.value.code == 130
    assert capsys.readouterr().err == "\nx402: Interrupted. Nothing was paid.\n"
