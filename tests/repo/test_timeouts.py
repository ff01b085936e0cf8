"""A test that hangs is ended, and the others run."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SETTINGS = Path(__file__).parents[2] / "pyproject.toml"
HANGING = """
import asyncio
import queue
import subprocess
import sys
import threading
import time

import pytest


def test_that_sleeps():
    time.sleep(60)


def test_that_waits_for_a_thread():
    thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)
    thread.start()
    thread.join()


def test_that_waits_for_a_queue():
    queue.Queue().get()


def test_that_waits_in_a_loop():
    asyncio.run(asyncio.sleep(60))


def test_that_waits_for_a_process():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])


@pytest.fixture
def stuck():
    yield
    time.sleep(60)


def test_whose_fixture_hangs(stuck):
    pass


def test_that_is_quick():
    pass
"""


def test_there_is_a_time_out_by_default() -> None:
    settings = tomllib.loads(SETTINGS.read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    assert 0 < settings["timeout"] <= 300
    assert not settings.keys() & {"timeout_method", "timeout_func_only"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="without SIGALRM the first test that hangs ends the process")
@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["here", "in a worker"])
def test_a_test_that_hangs_is_ended_and_the_next_one_runs(tmp_path: Path, workers: list[str]) -> None:
    file = tmp_path / "test_hanging.py"
    file.write_text(HANGING)
    command = [sys.executable, "-m", "pytest", "-c", str(SETTINGS), "--rootdir", str(tmp_path), "-o", "timeout=1"]
    command += ["-q", "-p", "no:cacheprovider", *workers, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "5 failed, 2 passed, 1 error" in done.stdout, done.stdout[-3000:]
    assert done.stdout.count("Failed: Timeout (>1.0s) from pytest-timeout.") >= 6
