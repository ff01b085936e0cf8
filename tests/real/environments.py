"""The virtual environments the sellers run in, made once and kept in /.environments (delete it at any time)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

HERE = Path(__file__).resolve().parent
STORE = HERE.parent.parent / ".environments"
PYTHONS = ("3.12", "3.11")
BUILD_SECONDS = 900
_VERSION = "import platform; print(platform.python_version())"


class EnvironmentUnavailable(Exception):
    """This machine cannot run the sellers at all; the message is a reason to skip with."""


class EnvironmentBroken(Exception):
    """The installation failed; the message ends with what pip said."""


def environment(name: str) -> Path:
    """The Python of the environment made from requirements-<name>.txt; the first call installs it."""
    interpreter, version = _interpreter()
    requirements = requirements_of(name)
    digest = hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()[:12]
    folder = STORE / f"{name}-{digest}"
    python = folder / "bin" / "python"
    # An environment does not survive being renamed, so it is built in place and only counts once it is marked.
    complete = folder / "complete"
    if complete.exists():
        return python
    with only_one(f"{name}-{digest}"):
        if not complete.exists():
            _build(interpreter, folder, python, requirements)
            complete.touch()
    return python


def needed(make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``make``. If this machine lacks what the environment takes, skip the test and say what is missing.

    A failed installation is an error, not a reason to skip: where packages can be had, these tests run.
    """
    import pytest  # programs without it use the rest of this file

    try:
        return make(*args, **kwargs)
    except EnvironmentUnavailable as reason:
        pytest.skip(str(reason))


def requirements_of(name: str) -> Path:
    return HERE / f"requirements-{name}.txt"


def _build(interpreter: str, folder: Path, python: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    """Make it without a pip of its own. Its programs compile what they import, which is a part of it."""
    _run(interpreter, "-m", "venv", "--without-pip", str(folder))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input"]
    _run(*pip, "install", "--no-compile", "-r", str(requirements))


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode:
        raise EnvironmentBroken(f"{' '.join(command[1:4])} failed:\n{done.stdout[-6000:]}")


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Between processes; the lock goes with its holder, however that ends."""
    try:
        import fcntl
    except ImportError as error:
        raise EnvironmentUnavailable("the real sellers need a POSIX system") from error
    STORE.mkdir(exist_ok=True)
    (STORE / ".gitignore").write_text("*\n", "utf-8")
    with (STORE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@lru_cache(maxsize=1)
def _interpreter() -> tuple[str, str]:
    """pyrevm, the chain's engine, has wheels for few versions of CPython."""
    candidates = [sys.executable, *(f"python{version}" for version in PYTHONS)]
    for candidate in candidates:
        version = _version(candidate)
        if version.startswith(tuple(f"{wanted}." for wanted in PYTHONS)):
            return candidate, version
    raise EnvironmentUnavailable(f"the real sellers need CPython {' or '.join(PYTHONS)}, and none was found on PATH")


def _version(python: str) -> str:
    """Empty if it does not run: a version manager's shim can be on PATH with nothing behind it."""
    try:
        done = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def clean_environ() -> dict[str, str]:
    """Ours without what would lead a process astray: another Python's path, or a proxy for the loopback."""
    foreign = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and not name.lower().endswith("_proxy") and not name.startswith("COV_")
    }
    return kept | {"PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
