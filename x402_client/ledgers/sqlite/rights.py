"""Rights of the files of a ledger: which one refuses this user, whose it is, and whose a new one becomes."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

#: The files of a ledger, by the ending of their names.
_FILES = ("", "-wal", "-shm")
_READ_WRITE = os.R_OK | os.W_OK


def refusal_of(path: Path) -> str:
    """Return which file or directory of a ledger this user may not use, whose it is, and what to do; "" if none.

    It follows the ledger's path in a message.
    """
    for place, needed, done in _places(path):
        if not os.access(place, needed):
            return _refused(path, place, done)
    return ""


def _places(path: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield what a ledger needs, from the root down: each place, the right to it, and that right in words."""
    for directory in reversed(path.parents):
        if not directory.exists():  # it is made in the one before
            yield directory.parent, os.W_OK, "write in"
            return
        yield directory, os.X_OK, "enter"
    for one in (path.with_name(path.name + ending) for ending in _FILES):
        if one.exists():
            yield one, _READ_WRITE, "read and write"
    yield path.parent, os.W_OK, "write in"
    locks = locks_directory(path)
    if locks.is_dir():
        yield locks, _READ_WRITE | os.X_OK, "use"
        # Markers, the other files there, are only looked for and removed.
        yield from ((lock, _READ_WRITE, "read and write") for lock in locks.iterdir() if "-" not in lock.name)


def _refused(path: Path, place: Path, done: str) -> str:
    found, whose = os.stat(place), _name(os.stat(place).st_uid)
    mode = f"mode {stat.S_IMODE(found.st_mode):04o}"
    if sys.platform != "win32" and done != "enter" and os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"cannot be used: {place} is on a disk that is mounted read-only. Name a path on another disk"
    if found.st_uid == _user():
        return (
            f"cannot be used: this user may not {done} {place}, which is this user's own ({mode}). Let this user do so "
            f"(chmod u+rwX {shlex.quote(str(place))})"
        )
    said = f"cannot be used: this user may not {done} {place}, which belongs to {whose} ({mode})."
    locks = locks_directory(path)
    if locks in (place, place.parent):
        return (
            f"{said} A program of that user made it. Give it to this user "
            f"(sudo chown -R {_name(_user())} {shlex.quote(str(locks))})"
        )
    return f"{said} Name a ledger of this user's own, or let the owner give this user that right"


def _name(user: int) -> str:
    """Return the name of a user; its number if it has no name here."""
    try:
        import pwd

        return pwd.getpwuid(user).pw_name
    except (ImportError, KeyError):  # there is no ``pwd`` on Windows
        return str(user)


def _user() -> int:
    return os.geteuid() if sys.platform != "win32" else 0


def locks_directory(path: Path) -> Path:
    """Return the directory of process locks beside a ledger file."""
    return path.with_name(f"{path.name}-owners")


def make_locks_directory(path: Path) -> None:
    """Make the directory of process locks beside a ledger file, if there is none. It belongs to the file's owner.

    Else one payment that root makes would lock the owner out.
    """
    made = locks_directory(path)
    try:
        made.mkdir(mode=0o700)
    except FileExistsError:
        return
    if _is_root():
        # By its handle, and only while it is empty: the owner of the directory around it may put another in its place.
        handle = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if not os.listdir(handle):
                give_to_owner(handle, path)
        finally:
            os.close(handle)


def give_to_owner(handle: int, path: Path) -> None:
    """Give what root has just made beside a ledger file to the owner of that file."""
    if sys.platform != "win32" and _is_root():
        owner = os.stat(path)
        if owner.st_uid:
            os.fchown(handle, owner.st_uid, owner.st_gid)


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
