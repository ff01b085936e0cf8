"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import signal
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis draws the same examples every time, and no example is too slow on a busy machine.
settings.register_profile(
    "tests", derandomize=True, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

# Where this runs in the background of a shell, Ctrl-C is ignored, and so it would be in the programs that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Programs that tests start compile what they import once, and not at each start, also where a container turns that off.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A client of httpx reads all certificates of the machine's file as it is made, which takes longer than most tests; of a
# folder it reads only those that it needs. pip is the one that goes out, and keeps the file.
if "SSL_CERT_FILE" in os.environ:
    os.environ.setdefault("PIP_CERT", os.environ.pop("SSL_CERT_FILE"))
os.environ.setdefault("SSL_CERT_DIR", ssl.get_default_verify_paths().openssl_capath)

#: Where modules that make a buyer as they are imported keep its ledger; tests have one each.
_IMPORTED = tempfile.TemporaryDirectory()
os.environ.update(XDG_DATA_HOME=_IMPORTED.name, LOCALAPPDATA=_IMPORTED.name)

#: What tests stand on asserts too, and explains itself like any test. Before anything imports it.
HELPERS = (
    "core.scripted_flow",
    "ledgers.twins",
    "adapters.scripted_server",
    "adapters.cash_register",
    "promises.flow_machine",
    "promises.hostile_seller",
)
pytest.register_assert_rewrite(*(f"tests.{name}" for name in HELPERS))

from tests.real.fixtures import own_world, world  # noqa: E402

__all__ = ["own_world", "world"]


def pytest_xdist_auto_num_workers() -> int:
    """Return the workers of ``-n auto``: one more than cores, as many tests wait for time-outs."""
    return (os.cpu_count() or 1) + 1


#: Seconds for a test among real sellers: the first one may install the environments that they run in.
_WORLD_SECONDS = 900


def pytest_configure(config: pytest.Config) -> None:
    """Let the order be ours: xdist would begin with the files that have the most tests, and end with few long ones."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        _begin_with_the_longest(items)
    for item in items:
        if {"world", "own_world"}.intersection(getattr(item, "fixturenames", ())) and not item.get_closest_marker(
            "timeout"
        ):
            item.add_marker(pytest.mark.timeout(_WORLD_SECONDS))


def _begin_with_the_longest(items: list[pytest.Item]) -> None:
    """Sort by files: those that say that they need long, then those with the most tests: none is alone at the end."""
    longest, tests = dict[Path, float](), Counter(item.path for item in items)
    for item in items:
        marker = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), marker.args[0] if marker else 0.0)
    items.sort(key=lambda item: (-longest[item.path], -tests[item.path], item.path))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Set aside what is imported and collected, or each test that collects garbage would look through all of that.

    While it is being made, next to nothing of it is garbage.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _a_data_directory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test a data directory, where buyers keep their ledgers: no test spends from the budgets of its user."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))


@pytest.fixture
def quick_keystores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock keystores with little work. The standard work takes a second, and tests of the command's process do it."""
    from eth_keyfile import keyfile

    made = keyfile.create_keyfile_json

    def quick(secret: bytes, passphrase: bytes, **more: Any) -> dict[str, Any]:
        return made(secret, passphrase, kdf="scrypt", iterations=2)

    monkeypatch.setattr(keyfile, "create_keyfile_json", quick)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process wait for next to nothing before it asks a chain or a seller once more."""
    from x402_client.chains import rpc
    from x402_client.core import present

    monkeypatch.setattr(rpc, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(present, "_PAUSES", (0.01, 0.01))


@pytest.fixture(autouse=True, scope="session")
def public_endpoints() -> Iterator[dict[str, tuple[str, ...]]]:
    """Let no test ask an endpoint on the internet: what a test does not name is not there. Gives what there is else."""
    from x402_client.chains.public_endpoints import PUBLIC

    there = dict(PUBLIC)
    PUBLIC.clear()
    yield there
    PUBLIC.update(there)
