"""The manual's page on other tools says what they do: each order is tried, in an environment that has the tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.real.environments import clean_environ, environment, needed

ROOT = Path(__file__).parents[2]
SAYS = """
cachecontrol_before: [200, 200], settled 1
cachecontrol_after: [200, 200], settled 1
requests_cache_before: [200, 200], settled 1
hishel_above: ([200, 200], False), settled 1
hishel_below: ([200, 200], True), settled 1
mounted_before: 200, settled 1
mounted_after: 200, settled 1
urllib3_by_status: 200, settled 1
httpx_retries_around: 200, settled 1
httpx_retries_under: 200, settled 1
tenacity_on_transport_errors: 200, settled 1
stamina_on_http_errors: 200, settled 1
requests_mock_mocker: 402, settled 0
spans_before: [402, 200], settled 1
spans_after: [200], settled 1
spans_of_requests: [200], settled 1
cassette_filtered: (200, False), settled 1
cassette_played: [200, 'refused', 200], settled 1
"""


@pytest.mark.foreign
@pytest.mark.timeout(600)
def test_every_order_does_what_the_page_says() -> None:
    python = needed(environment, "recipes")
    command = [str(python), "-m", "tests.repo.other_tools"]
    env = clean_environ() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SAYS.split("\n")[1:-1]
