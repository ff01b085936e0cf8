"""hostile-facilitator 0.2.2 counts our payments in ten ambiguous failures, and that we looked whether they settled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real import environments

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[3]
PAY_ONCE = Path(__file__).with_name("pay_once.py")


def test_the_battery_says_pass(tmp_path: Path) -> None:
    python = environments.needed(environments.environment, "hostile")
    found = tmp_path / "result.json"
    battery = python.with_name("hostile-facilitator")
    done = subprocess.run(
        [battery, "test", "--client-timeout", "3", "--json", found, "--", sys.executable, PAY_ONCE],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert found.exists(), done.stdout + done.stderr
    result = json.loads(found.read_text("utf-8"))
    assert result["summary"]["verdict"] == "PASS", done.stdout
    assert result["summary"]["safe"] == result["summary"]["total"] == 10
    assert [row["distinct"] for row in result["results"]] == [1] * 10
