"""The place of a ledger file: it is there or made, private, and its log is kept with it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance import order, purchase, signed
from x402_client.ledgers.sqlite import SqliteLedger, place
from x402_client.model.holds import Attempt, Spending

EVER = Spending("", "total", "USD")


def modes(path: Path) -> set[int]:
    found = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    return {stat.S_IMODE(file.stat().st_mode) for file in found if file.exists()}


# There, or made


def test_a_ledger_that_must_exist_is_not_made(path: Path) -> None:
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=r"ledger\.db is not there.*must_exist=True"):
            SqliteLedger(path, must_exist=True)
    assert list(path.parent.iterdir()) == []


def test_not_even_its_directory(path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="is not there"):
        SqliteLedger(path.parent / "missing" / "ledger.db", must_exist=True)
    assert list(path.parent.iterdir()) == []


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "spend").mkdir()
    (tmp_path / "spending").touch()
    for wrong, meant in (
        ("spnd/ledger.db", " Did you mean .*/spend\\?"),
        ("spnd/deep/ledger.db", " Did you mean .*/spend\\?"),
        ("x/ledger.db", ""),
    ):
        missing = re.escape(str((tmp_path / wrong).parent))
        with pytest.raises(LedgerUnavailable) as refused:
            SqliteLedger(tmp_path / wrong)
        said = refused.value.args[0]
        assert re.search(rf"would begin in a directory that is not there: {missing}\.{meant} Correct the path", said), (
            said
        )
        assert f"(mkdir -p {(tmp_path / wrong).parent})" in said
    assert {found.name for found in tmp_path.iterdir()} == {"spend", "spending"}
    (tmp_path / "x").mkdir()
    assert SqliteLedger(tmp_path / "x" / "ledger.db").fresh


@pytest.mark.parametrize("must_exist", [False, True])
def test_a_file_in_place_of_its_directory(tmp_path: Path, must_exist: bool) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    said = "is not there.*must_exist=True" if must_exist else "notes.txt is a file. Name a path in a directory"
    with pytest.raises(LedgerUnavailable, match=said):
        SqliteLedger(tmp_path / "notes.txt" / "ledger.db", must_exist=must_exist)


def test_a_directory_that_cannot_be_looked_into_is_no_reason_for_another_error(tmp_path: Path) -> None:
    assert place._no_directory(Path("/proc/1/task/0/x"))
    found = place._no_directory(tmp_path / "missing")
    assert "Did you mean" not in found


def test_the_directories_of_the_users_own_ledger_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    assert SqliteLedger(place.default_path()).fresh
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_an_empty_file_is_no_ledger_that_exists(path: Path) -> None:
    path.touch(0o600)
    with pytest.raises(LedgerUnavailable, match="is empty"):
        SqliteLedger(path, must_exist=True)
    assert path.read_bytes() == b""


def test_a_ledger_that_exists_is_used(path: Path) -> None:
    SqliteLedger(path).close_ledger()
    ledger = SqliteLedger(path, must_exist=True)
    assert not ledger.fresh
    ledger.reserve(order(), Attempt())
    ledger.close_ledger()


# Private


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps access lists, not modes")
@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o777])
@pytest.mark.parametrize("alive", [False, True])
def test_a_file_that_others_can_use_is_tightened(path: Path, mode: int, alive: bool) -> None:
    first, attempt = SqliteLedger(path), Attempt()
    first.record(first.reserve(order(), attempt), signed())  # type: ignore[arg-type]
    if not alive:
        first.close_ledger()
    for end in ("", "-wal", "-shm") if alive else ("",):
        os.chmod(f"{path}{end}", mode)
    ledger = SqliteLedger(path)
    ledger.holds()
    assert modes(path) <= {0o600, 0o700}
    ledger.close_ledger()
    first.close_ledger()


_OTHER_USER = """
import os, sys, urllib.parse
from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.sqlite import SqliteLedger
os.setgid(65534); os.setuid(65534)
try:
    SqliteLedger(sys.argv[1])
except LedgerUnavailable as failure:
    print(failure)
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can be two users")
def test_a_file_of_somebody_else_that_many_can_use_is_refused() -> None:
    directory = Path("/tmp") / f"x402-{os.getpid()}"
    directory.mkdir(mode=0o777)
    try:
        directory.chmod(0o777)
        SqliteLedger(directory / "ledger.db").close_ledger()
        (directory / "ledger.db").chmod(0o666)
        run = [sys.executable, "-c", _OTHER_USER, str(directory / "ledger.db")]
        ran = subprocess.run(run, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(directory)
    assert "can be used by others than its owner (mode 0666)" in ran.stdout, ran.stderr
    assert "chmod 600" in ran.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps access lists, not modes")
def test_a_disk_that_keeps_no_modes_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteLedger(path).close_ledger()
    path.chmod(0o644)
    monkeypatch.setattr(os, "chmod", lambda *arguments: None)
    with pytest.raises(LedgerUnavailable, match=r"mode 0644.*on a disk that keeps modes"):
        SqliteLedger(path)


# With its log


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A ledger that is mounted as a single file, as ``-v ./ledger.db:/app/ledger.db`` does."""
    outside, inside = tmp_path / "outside.db", tmp_path / "app" / "a ledger.db"
    SqliteLedger(outside).close_ledger()
    inside.parent.mkdir()
    inside.touch(0o600)
    run = subprocess.run(["mount", "--bind", outside, inside], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"nothing can be mounted here: {run.stderr.strip()}")
    yield inside
    subprocess.run(["umount", inside], check=True)


def test_a_file_that_is_mounted_by_itself_is_refused(mounted: Path) -> None:
    for must_exist in (False, True):
        with pytest.raises(LedgerUnavailable, match=r"mounted as a single file\..*Mount the directory"):
            SqliteLedger(mounted, must_exist=must_exist)
    assert [found.name for found in mounted.parent.iterdir()] == [mounted.name]


def test_also_through_a_link(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(mounted)
    with pytest.raises(LedgerUnavailable, match="mounted as a single file"):
        SqliteLedger(tmp_path / "link.db")


def test_a_directory_that_is_mounted_is_used(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir(mode=0o700)
    inside.mkdir(mode=0o700)
    run = subprocess.run(["mount", "--bind", outside, inside], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"nothing can be mounted here: {run.stderr.strip()}")
    try:
        ledger = SqliteLedger(inside / "ledger.db")
        ledger.reserve(order(), Attempt())
        ledger.close_ledger()
        assert (outside / "ledger.db").exists()
    finally:
        subprocess.run(["umount", inside], check=True)


def test_the_places_of_mounts_are_read_with_their_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_bytes(rb"36 35 98:0 /mnt1 /app/my\040ledger.db rw,noatime master:1 - ext3 /dev/root rw" + b"\n")
    monkeypatch.setattr(place, "_MOUNTS", listed)
    assert place._mounted() == {b"/app/my ledger.db"}
    monkeypatch.setattr(place, "_MOUNTS", tmp_path / "there is none")
    assert place._mounted() == set()


def test_a_linked_ledger_is_one_ledger(tmp_path: Path) -> None:
    """Its log and its locks are beside the file itself, whatever name it was opened under."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "ledger.db")
    one, other = SqliteLedger(tmp_path / "link.db"), SqliteLedger(tmp_path / "real" / "ledger.db")
    attempt = Attempt()
    one.reserve(order(), attempt)
    other.reserve(order(purchase("other")), attempt)
    assert one.spent(EVER) == other.spent(EVER) == 20_000
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith("link")] == ["link.db"]
    one.close_ledger()
    other.close_ledger()


@pytest.mark.parametrize("content", [b"root:x:0:0:root:/root:/bin/bash\n" * 40, b"SQLite format 3\0" + bytes(200)])
def test_a_file_that_is_no_ledger_keeps_its_mode(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "of another program"
    other.write_bytes(content)
    other.chmod(0o644)
    with pytest.raises(LedgerUnavailable):
        SqliteLedger(other)
    assert stat.S_IMODE(other.stat().st_mode) == 0o644
    assert other.read_bytes() == content
