"""The pytest plugin, in test runs of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

USES = """
import httpx
import pytest
from x402_client import Buyer, Policy, errors
from x402_client.httpx import wrap


def my_agent(client, url):
    return client.get(url).json()


def test_pays_once(x402_sandbox, x402_buyer):
    with wrap(httpx.Client(), x402_buyer) as client:
        assert my_agent(client, x402_sandbox.url + "/weather")["content"] == "worth it"
    assert len(x402_sandbox.settlements) == 1


def test_each_test_has_its_own(x402_sandbox, x402_buyer):
    assert x402_sandbox.settlements == []


def test_a_program_that_reads_the_environment(x402_sandbox, x402_environ):
    buyer = Buyer.from_env()
    with wrap(httpx.Client(), buyer) as client:
        my_agent(client, x402_sandbox.url + "/weather")
    assert str(buyer.spent()) == str(x402_sandbox.earned) == "0.01 USD"
    assert x402_environ["X402_POLICY"]
    buyer.close()


class TestMine:
    @pytest.fixture
    def x402_policy(self):
        return Policy(per_request="0.001")

    def test_under_my_policy(self, x402_sandbox, x402_buyer):
        with wrap(httpx.Client(), x402_buyer) as client, pytest.raises(errors.TooExpensive):
            my_agent(client, x402_sandbox.url + "/weather")
"""
UNUSED = """
import sys


def test_nothing_of_ours_is_loaded():
    assert "x402_client.pytest_plugin" in sys.modules
    ours = {name for name in sys.modules if name.partition(".")[0] in ("x402_client", "httpx", "solders")}
    assert ours == {"x402_client", "x402_client.pytest_plugin"}
"""


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    # Others' plugins load httpx, used or not.
    without = [word for name in ("cacheprovider", "respx", "pytest_httpx") for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", *without, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, check=False)


def test_the_fixtures(tmp_path: Path) -> None:
    ran = run(tmp_path, USES)
    assert "4 passed" in ran.stdout, ran.stdout


def test_a_run_that_pays_for_nothing_loads_nothing(tmp_path: Path) -> None:
    ran = run(tmp_path, UNUSED)
    assert "1 passed" in ran.stdout, ran.stdout
