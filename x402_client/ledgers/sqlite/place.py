"""Place of a ledger file: readable by its user only, and in a directory that keeps its log too."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

from ...errors import LedgerUnavailable
from ...model.sandbox_settings import ended_sandbox
from ..urls import SERVERS, another_kind, check_is_file, check_is_path, refusal, scheme_of
from .errors import explained, unavailable
from .rights import refusal_of

_MOUNTS = Path("/proc/self/mountinfo")
#: Mode bits of everybody except the owner.
_OTHERS = 0o077
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def default_path() -> Path:
    """Return the path of this user's ledger. It is the default."""
    place = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME", "")
    if os.path.isabs(place):
        return Path(place, "x402_client", "ledger.db")
    try:
        home = Path.home()
    except RuntimeError:
        home = Path()
    if not home.is_absolute() or not home.is_dir():
        raise LedgerUnavailable(
            "This user has no home directory to keep the ledger in; pass ledger=PATH. Nothing is paid without it."
        )
    return home.joinpath(*_DATA.get(sys.platform, (".local", "share")), "x402_client", "ledger.db")


_DATA = {"darwin": ("Library", "Application Support"), "win32": ("AppData", "Local")}


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path, without links: the working directory may change later. Refuse a URL."""
    scheme = scheme_of(path)
    if scheme is not None:
        path = ""
        raise another_kind(scheme, "SqliteLedger", "the path of a file") if scheme in SERVERS else refusal(scheme)
    try:
        check_is_path(path)
        if isinstance(path, (str, bytes)):
            check_is_file(path)
        found = Path(os.fsdecode(path)).expanduser().resolve()
        if not found.name:
            raise ValueError("it is the root directory")
        return found
    except (OSError, RuntimeError, ValueError) as failure:
        raise LedgerUnavailable(f"The ledger's path cannot be used: {failure}. Name another one.") from failure
    finally:
        path = ""  # it may be an address with a password


def check_not_mounted(path: Path) -> None:
    """Refuse a file that is mounted by itself. Its log, in the same directory, would not be kept with it."""
    if os.fsencode(path) in _mounted():
        raise unavailable(
            path,
            "is mounted as a single file. The files beside it, with the latest payments, would be lost with the "
            "container. Mount the directory that holds the ledger instead, for example -v ./ledger:/app/ledger",
        )


def check_not_lost(path: Path, log: str) -> None:
    """Refuse a log whose main file is gone or empty. SQLite would begin a new file, and delete the log.

    The log is checked first: a new file has its first page before its log begins.
    """
    if _size(log) and not _size(path):
        raise unavailable(
            path,
            f"is not there, or is empty, but its log {log} is there, with the latest payments. Put the file back "
            "beside its log; or move the log away, and accept that the budgets and unresolved payments of both are "
            "forgotten",
        )


#: What tells one file from another: its device and its number there. Empty: there is no file.
Number = tuple[int, ...]
#: Of a ledger's main file and its log.
Numbers = tuple[Number, Number]


def in_place(path: str, log: str) -> tuple[Numbers, int]:
    """Return the numbers of the file and its log that are in place, and when the main file changed last."""
    try:
        file = os.stat(path)
    except FileNotFoundError:
        raise unavailable(
            Path(path),
            "was deleted while it was in use. Put it back; or restart the program, and accept that its budgets and "
            "unresolved payments are forgotten",
        ) from None
    return ((file.st_dev, file.st_ino), _number(log)), file.st_mtime_ns


def _number(path: str) -> Number:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ()
    return found.st_dev, found.st_ino


def _size(path: str | Path) -> int:
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _mounted() -> set[bytes]:
    """Return every mount point. Device numbers would not do: the file systems of containers mix them."""
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:  # not on Linux
        return set()
    return {_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4]) for line in lines}


def make_private(*paths: str | Path) -> None:
    """Make those of these files that exist private to their owner. Refuse if that fails."""
    if sys.platform == "win32":  # it has access lists, not modes
        return
    for path in paths:
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
            if mode & _OTHERS:
                _tighten(path, mode)
        except FileNotFoundError:
            continue


def _tighten(path: str | Path, mode: int) -> None:
    failed: OSError | None = None
    try:
        os.chmod(path, mode & ~_OTHERS)
    except PermissionError as failure:
        failed = failure
    if failed or os.stat(path).st_mode & _OTHERS:  # some disks keep no modes, without an error
        raise unavailable(
            Path(path),
            f"can be used by others than its owner (mode {mode:04o}), and that cannot be changed here. Until it is "
            "resolved, a payment in it is worth money. Name a file of your own, on a disk that keeps modes, or let its "
            "owner make it readable and writable for this user alone (chmod 600)",
        ) from failed


def need_directory(path: Path) -> None:
    """Refuse a ledger in a directory that does not exist: a mistyped path would start with nothing spent.

    The directories of the default ledger are made, because its path was not typed. They are private.
    """
    if path.parent.is_dir():
        return
    if not _is_default(path):
        ended = ended_sandbox(str(path))
        if ended:
            raise LedgerUnavailable(f"{ended} Nothing is paid.", wrote_nothing=True)
        raise unavailable(path, _no_directory(path.parent))
    # ``Path.mkdir`` gives its mode only to the last one.
    missing = [found for found in (path.parent, *path.parent.parents) if not found.exists()]
    for found in reversed(missing):
        found.mkdir(mode=0o700, exist_ok=True)


def is_there(given: str | os.PathLike[str]) -> bool:
    """Return True if there is a ledger file. Refuse one in a directory that this user may not enter."""
    path = absolute(given)
    try:
        return path.exists()
    except PermissionError as failure:
        raise explained(failure, path, committing=False) from None


def check_usable(given: str | os.PathLike[str]) -> None:
    """Refuse a ledger to which no payment could be written. Nothing is made or opened."""
    path = absolute(given)
    if not is_there(path) and not _is_default(path):
        need_directory(path)
    refused = refusal_of(path)
    if refused:
        raise unavailable(path, refused)


def _is_default(path: Path) -> bool:
    try:
        return path == default_path().resolve()
    except LedgerUnavailable:
        return False


def _no_directory(directory: Path) -> str:
    """Return the message for a directory that does not exist, with the one that may have been meant."""
    import difflib
    import shlex

    if directory.exists():
        return f"cannot be there: {directory} is a file. Name a path in a directory"
    first = next(one for one in (directory, *directory.parents) if one.parent.is_dir())
    try:
        near = difflib.get_close_matches(first.name, [one.name for one in first.parent.iterdir() if one.is_dir()], n=1)
    except OSError:
        near = []
    meant = f" Did you mean {first.with_name(near[0])}?" if near else ""
    return (
        f"would begin in a directory that is not there: {directory}.{meant} Correct the path; or, if it is right, make "
        f"the directory first (mkdir -p {shlex.quote(str(directory))})"
    )
