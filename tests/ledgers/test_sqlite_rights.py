"""Rights: what root makes beside a user's ledger is the user's, and a refusal names what refuses and whose it is."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.sqlite.rights import make_locks_directory
from x402_client.model.holds import Attempt

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can be two users")

USER = 65534
#: Another user pays once, and says what came of it.
_PAY = f"""
import os, sys, urllib.parse, pwd  # some are imported late, where the interpreter may be another user's
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.ledgers.sqlite import SqliteLedger, check_usable
from x402_client.model.holds import Attempt
os.setgid({USER}); os.setuid({USER})
for use in (lambda path: SqliteLedger(path).reserve(order(purchase("theirs")), Attempt()), check_usable):
    try:
        use(sys.argv[1])
        print("paid")
    except LedgerUnavailable as failure:
        print(failure)
"""


@pytest.fixture
def path() -> Iterator[Path]:
    """A ledger of another user, who paid from it once. pytest's own directories are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="x402-rights-"))
    os.chown(directory, USER, USER)
    assert pays(directory / "ledger.db") == ["paid", "paid"]
    yield directory / "ledger.db"
    shutil.rmtree(directory)


def pays(path: Path) -> list[str]:
    ran = subprocess.run([sys.executable, "-c", _PAY, str(path)], capture_output=True, text=True, check=False)
    return ran.stdout.splitlines() or [ran.stderr]


def owners(path: Path) -> set[int]:
    return {one.stat().st_uid for one in (path.parent, *path.parent.rglob("*"))}


def test_a_payment_by_root_locks_nobody_out(path: Path) -> None:
    locks = path.with_name("ledger.db-owners")
    shutil.rmtree(locks)
    ledger = SqliteLedger(path)
    ledger.reserve(order(purchase("root's")), Attempt())
    assert (owners(path), locks.stat().st_mode & 0o777) == ({USER}, 0o700)
    assert pays(path) == ["paid", "paid"], "while root's program runs"
    ledger.close_ledger()
    assert pays(path) == ["paid", "paid"]


def test_root_gives_away_nothing_that_it_did_not_make(path: Path, tmp_path: Path) -> None:
    locks = path.with_name("ledger.db-owners")
    shutil.rmtree(locks)
    locks.symlink_to(tmp_path)
    (tmp_path / "other").touch()
    ledger = SqliteLedger(path)
    ledger.reserve(order(purchase("root's")), Attempt())
    assert {tmp_path.stat().st_uid, (tmp_path / "other").stat().st_uid} == {0}
    ledger.close_ledger()


def test_root_gives_away_no_directory_that_was_put_in_the_place_of_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of the directory around it may exchange it at any moment: what is in it is not root's to give."""
    make = Path.mkdir

    def exchanged(made: Path, mode: int = 0o777, **more: bool) -> None:
        make(made, mode, **more)
        (made / "secret").touch()

    locks = path.with_name("ledger.db-owners")
    shutil.rmtree(locks)
    monkeypatch.setattr(Path, "mkdir", exchanged)
    make_locks_directory(path)
    assert {locks.stat().st_uid, (locks / "secret").stat().st_uid} == {0}


@pytest.mark.parametrize(
    ("name", "mode", "done"),
    [
        (".", 0o700, "enter"),
        (".", 0o755, "write in"),
        ("ledger.db", 0o600, "read and write"),
        ("ledger.db-wal", 0o600, "read and write"),
        ("ledger.db-owners", 0o700, "use"),
    ],
)
def test_a_refusal_names_what_refuses_and_whose_it_is(path: Path, name: str, mode: int, done: str) -> None:
    place = path.parent / name
    place.touch()
    os.chown(place, 0, 0)
    place.chmod(mode)
    said = f"this user may not {done} {place}, which belongs to root (mode {mode:04o})."
    for one in pays(path):
        assert f"The ledger {path} cannot be used: {said}" in one
        assert (f"chown -R {pwd.getpwuid(USER).pw_name} {place}" in one) is name.endswith("-owners")


def test_a_lock_of_root_that_is_left_is_named(path: Path) -> None:
    lock = path.with_name("ledger.db-owners") / "0123456789abcdef"
    ledger = SqliteLedger(path)
    ledger.reserve(order(purchase("root's")), Attempt())
    [own] = [one for one in lock.parent.iterdir() if one.name in {str(ledger._claims.process_lock.name)}]
    os.chown(own, 0, 0)
    assert all(f"read and write {own}, which belongs to root" in one for one in pays(path))
    ledger.close_ledger()


def test_a_directory_of_this_user_says_so(path: Path) -> None:
    path.parent.chmod(0o500)
    assert all(f"{path.parent}, which is this user's own (mode 0500)" in one for one in pays(path))
