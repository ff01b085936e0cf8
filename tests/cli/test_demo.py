"""The first minute: ``x402 demo`` as the README runs it, and ``x402 sandbox`` with a second terminal beside it."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from x402_client.sandbox import FAULTS

from .running import COMMAND, environment, in_process, process

pytestmark = pytest.mark.slow


def test_the_demo_pays_refuses_and_adds_up(bare: dict[str, str]) -> None:
    ran = process(["demo"], bare)
    assert (ran.code, ran.err) == (0, "")
    for words in (
        "0.01 USD in USDC on the EVM chain",
        "0.05 USD in USDC on Solana",
        "2 times, 1 payment: no second one was signed",
        "1 transfer",
        "it costs 250000.00 USD, one payment may cost 0.10 USD",
        "is not a token this buyer knows",
        "0.08 USD spent, 4.92 USD left today",
        "0.08 USD received, in 3 transfers",
        "client = wrap(httpx.Client(), buyer)",
    ):
        assert words in ran.text


def test_the_demo_needs_no_home_and_leaves_nothing_behind(bare: dict[str, str], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert in_process(["demo"], {"HOME": str(tmp_path / "not-there")}).code == 0
    assert in_process(["demo"], bare).code == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("fault", ["swapped", "paid twice", "not paid", "yacht"])
def test_the_demo_notices_when_something_else_happens(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The sandbox misbehaves in ways that it was not told to."""
    from x402_client.sandbox import Sandbox

    if fault == "swapped":
        monkeypatch.setattr(Sandbox, "fault_url", lambda self, name: f"{self.url}/weather")
    elif fault == "paid twice":
        settled = Sandbox.settlements.fget
        assert settled is not None
        twice = property(lambda self: [one for one in settled(self) for _ in range(1 + one.path.endswith("/forecast"))])
        monkeypatch.setattr(Sandbox, "settlements", twice)
    elif fault == "yacht":
        sold = Sandbox.start
        monkeypatch.setattr(Sandbox, "start", lambda self: (self.sell("/yacht", "0.03"), sold(self))[1])
    else:
        sold = Sandbox.start
        monkeypatch.setattr(Sandbox, "start", lambda self: (self.free("/weather"), sold(self))[1])
    ran = in_process(["demo"], bare)
    assert ran.code == 1, ran.text


def test_the_sandbox_sets_up_a_second_terminal(bare: dict[str, str]) -> None:
    child = subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(bare),
    )
    assert child.stdout is not None
    said = "".join(child.stdout.readline() for _ in range(6))
    url = re.search(r"http://\S+?:\d+", said)
    settings = re.search(r"\. (\S+/settings)", said)
    assert url is not None
    assert settings is not None
    path = Path(settings[1])
    assert path.stat().st_mode & 0o777 == 0o600
    shell = f". {path} && {' '.join(COMMAND)} get {url[0]}/weather --yes"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env=environment(bare), timeout=30)
    assert done.returncode == 0, done.stderr
    assert "worth it" in done.stdout
    assert len(httpx.get(f"{url[0]}/settlements").json()) == 1
    child.send_signal(signal.SIGINT)
    rest, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "GET /weather with a payment: answered 200" in rest
    assert said == "x402: Interrupted. The sandbox earned 0.01 USD of invented money in 1 payment.\n"
    assert not path.exists()


def test_the_program_it_shows_pays_as_it_stands_with_the_settings(bare: dict[str, str], tmp_path: Path) -> None:
    example = tmp_path / "pay.py"
    with run_sandbox(bare, "--example", str(example)) as (said, url, settings):
        program = example.read_text()
        assert f"  python {example}\n" in said
        assert f'client.get("{url}/weather")' in program
        assert 10 <= len([line for line in program.splitlines() if line]) <= 16
        assert max(map(len, program.splitlines())) <= 78
        shell = f". {settings} && {sys.executable} {example}"
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env=environment(bare), timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "worth it\nPaid: 0.01 USD\nLeft today: 4.99 USD\n"
        assert len(httpx.get(f"{url}/settlements").json()) == 1
    assert "".join(f"  {line}".rstrip() + "\n" for line in program.splitlines()) in said


def test_the_sandbox_says_what_to_do_about_a_payment_that_it_took(bare: dict[str, str]) -> None:
    with run_sandbox(bare, later=(later := list[str]())) as (said, url, settings):
        assert "with --redeliver. `x402 ledger write-off HOLD` gives up a payment that brought nothing." in said
        shell = f". {settings} && {' '.join(COMMAND)} get {url}/fault/drop-after-settling/weather --yes"
        lost = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env=environment(bare), timeout=30)
        assert lost.returncode == 7
    assert "settled before, so not delivered again: --redeliver would, `x402 ledger write-off` gives it up" in later[0]


def test_the_sandbox_says_what_redeliver_does_and_does_it(bare: dict[str, str]) -> None:
    with run_sandbox(bare, "--redeliver") as (said, url, settings):
        told = " ".join(said.split())
        assert "With --redeliver a payment that was settled brings its content again" in told
        assert "unless the sandbox runs" not in told
        get = f". {settings} && {' '.join(COMMAND)} get {url}/fault/drop-after-settling/weather -X POST --yes"
        ran = [
            subprocess.run(["sh", "-c", get], capture_output=True, text=True, env=environment(bare), timeout=30)
            for _ in range(2)
        ]
    assert [one.returncode for one in ran] == [7, 0]
    assert "worth it" in ran[1].stdout


def test_an_example_is_written_over_an_older_one_and_over_nothing_else(bare: dict[str, str], tmp_path: Path) -> None:
    mine, example = tmp_path / "mine.py", tmp_path / "pay.py"
    mine.write_text("print('mine')\n")
    refused = process(["sandbox", "--port", "0", "--example", str(mine)], bare)
    assert refused.code == 2
    assert f"{mine} is there already" in refused.err
    assert mine.read_text() == "print('mine')\n"
    assert process(["sandbox", "--port", "0", "--example", str(tmp_path / "no" / "pay.py")], bare).code == 2
    programs = set()
    for _ in range(2):
        with run_sandbox(bare, "--example", str(example)):
            programs.add(example.read_text())
    assert len(programs) == 2  # each names its own port


def test_the_settings_of_a_sandbox_that_has_ended_are_told_as_that(bare: dict[str, str]) -> None:
    with run_sandbox(bare) as (_, _, settings):
        lines = Path(settings).read_text().splitlines()
    set_there = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
    given = bare | set_there
    for command in (
        ["get", "https://x.example"], ["quote", "https://x.example"], ["status"], ["tokens"], ["wallet", "balance"],
        ["ledger"], ["ledger", "freeze"], ["ledger", "accept"],
    ):  # fmt: skip
        ran = in_process(command, given)
        assert ran.code == 2
        assert "it was a file of a sandbox, and that sandbox is not running any more. Start `x402 sandbox`" in ran.err
        _, _, forgets = ran.err.partition("open a new terminal, which has your own again, or `unset ")
        assert {*forgets.partition("`")[0].split()} == {name for name in set_there if name.startswith("X402_")}
    assert in_process(["wallet", "show"], given).code == 0
    program = subprocess.run(
        [sys.executable, "-c", "import x402_client; x402_client.Buyer.from_env()"],
        capture_output=True,
        text=True,
        env=environment(given),
        timeout=30,
    )
    assert f"{given['X402_POLICY']} is not there: it was a file of a sandbox" in program.stderr


@contextmanager
def run_sandbox(bare: dict[str, str], *options: str, later: list[str] | None = None) -> Iterator[tuple[str, str, str]]:
    """Run a sandbox; give what it said, its address and its settings. What it says then goes to ``later``."""
    command = [*COMMAND, "sandbox", "--port", "0", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(bare))
    assert child.stdout is not None
    try:
        said = "".join(iter(child.stdout.readline, '  print("Left today:", buyer.remaining())\n'))
        said += '  print("Left today:", buyer.remaining())\n'
        url, settings = re.search(r"http://\S+?:\d+", said), re.search(r"\. (\S+/settings)", said)
        assert url is not None
        assert settings is not None
        yield said, url[0], settings[1]
    finally:
        child.terminate()
        rest, _ = child.communicate(timeout=30)
        if later is not None:
            later.append(rest)
    assert child.returncode == 0


def test_the_sandbox_says_which_port_is_taken(bare: dict[str, str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = process(["sandbox", "--port", str(taken.getsockname()[1])], bare)
    assert ran.code == 2
    assert "--port 0 takes a free one" in ran.err


def test_the_sandbox_lists_what_can_go_wrong(bare: dict[str, str]) -> None:
    said = in_process(["sandbox", "--list-faults"], bare).text
    assert [line.partition(":")[0] for line in said.splitlines()] == list(FAULTS)
    assert in_process(["sandbox", "--port", "0", "--fault", "nonsense"], bare).code == 2
