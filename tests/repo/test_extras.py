"""Without an extra, what needs it says in one sentence what to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
_WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nowhere())
{program}
"""
BUYER = "from x402_client import Buyer, Wallet; Buyer(Wallet(evm='46' * 32), ledger={ledger!r})"
#: By extra: the packages that are missing, and a program that needs them.
NEED = {
    "aiohttp": (["aiohttp"], "import x402_client.aiohttp"),
    "httpx2": (["httpx2"], "import x402_client.httpx2"),
    "mcp": (["mcp"], "import x402_client.mcp"),
    "redis": (["redis"], BUYER.format(ledger="redis://localhost")),
    "postgres": (["psycopg", "psycopg_binary"], BUYER.format(ledger="postgresql://localhost/x")),
    "cli": (["typer", "rich"], "from x402_client.cli import main; main(['--version'])"),
    "keyring": (["keyring"], "from x402_client.signers.keystore import keep_in_keyring; keep_in_keyring('0x', 'word')"),
    "otel": (["opentelemetry"], "from x402_client.otel import listener; listener()"),
}


@pytest.mark.parametrize(("extra", "missing", "program"), [(extra, *need) for extra, need in NEED.items()], ids=NEED)
def test_a_missing_extra_is_named(extra: str, missing: list[str], program: str) -> None:
    code = _WITHOUT.format(missing=missing, program=program)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    last = ran.stderr.splitlines()[-1]
    assert ran.returncode != 0
    assert re.search(rf"pip install ['\"]x402-buyer\[{extra}\]['\"]", last), last
    assert re.search(rf"\(in a clone: pip install ['\"]\.\[{extra}\]['\"]\)", last), last
    assert "During handling" not in ran.stderr


def test_every_extra_of_users_is_tried() -> None:
    extras = set(PROJECT["optional-dependencies"]) - {"test", "check"}
    assert extras == NEED.keys()
    assert PROJECT["name"] == "x402-buyer"
