"""The first minute: ``x402 demo`` as the README runs it, and ``x402 sandbox`` with a second terminal beside it."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from x402_client.sandbox import FAULTS

from .running import COMMAND, environment, in_process, process


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
        [*COMMAND, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment(bare)
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
    rest, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "GET /weather with a payment: answered 200" in rest
    assert "It earned 0.01 USD of invented money in 1 payment." in rest
    assert not path.exists()


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
