"""Every example runs as its reader would run it, in a process of its own, and pays where it says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SAYS = {
    "pay_with_httpx.py": ["It would cost 0.01 USD", "Got worth it", "0.99 USD is left", "The money is untouched"],
    "pay_with_async_httpx.py": ["Paid 5 times, spent 0.05 USD"],
    "pay_with_httpx2.py": ["Got worth it and spent 0.01 USD"],
    "pay_with_requests.py": ["Got worth it", "Mounted: 0.01 USD", "Spent 0.06 USD"],
    "openai_sdk.py": ["Paid 0.02 USD for: Forty-two.", "Refused: ", "The money is untouched"],
}


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_example(name: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("X402_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    for words in SAYS[name]:
        assert words in done.stdout
