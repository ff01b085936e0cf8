"""Running the command: in a process of its own, on a terminal, or in this process where a process is not the point."""

from __future__ import annotations

import io
import logging
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from x402_client.cli.app import run

COMMAND = [sys.executable, "-m", "x402_client"]
#: What a process needs of the surroundings, and nothing that would change what the command does.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "COVERAGE_PROCESS_START", "PYTHONPATH", "SSL_CERT_DIR")
_PATIENCE = 40.0


@dataclass(frozen=True)
class Ran:
    """How it ended, and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


def environment(given: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(given)


def in_process(arguments: Sequence[str], given: Mapping[str, str], stdin: bytes = b"") -> Ran:
    """The whole command but for the process: its own stdin, stdout, stderr and environment."""
    streams = sys.stdin, sys.stdout, sys.stderr
    before = dict(os.environ)
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    sys.stdout, sys.stderr = io.TextIOWrapper(out, "utf-8"), io.TextIOWrapper(err, "utf-8")
    for name in [name for name in before if name not in _KEPT]:
        del os.environ[name]
    os.environ.update(given)
    try:
        with log_put_back():
            code = run(list(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
        return Ran(code, out.getvalue(), err.getvalue().decode())
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def log_put_back() -> Iterator[None]:
    """Put the package's log back as it was. The command sets it up for its own process."""
    log = logging.getLogger("x402_client")
    propagates, level, handlers = log.propagate, log.level, log.handlers[:]
    try:
        yield
    finally:
        log.propagate, log.handlers[:] = propagates, handlers
        log.setLevel(level)


def process(
    arguments: Sequence[str],
    given: Mapping[str, str],
    stdin: bytes = b"",
    program: Sequence[str] = COMMAND,
    cwd: Path | None = None,
) -> Ran:
    """As a script runs it."""
    done = subprocess.run(
        [*program, *arguments], input=stdin, capture_output=True, timeout=_PATIENCE, env=environment(given), cwd=cwd
    )
    return Ran(done.returncode, done.stdout, done.stderr.decode())


@dataclass(frozen=True)
class Seen:
    """What stood on a terminal."""

    code: int
    screen: str


def terminal(
    arguments: Sequence[str],
    given: Mapping[str, str],
    answers: Sequence[tuple[str, str | signal.Signals]] = (),
    stdout: int | None = None,
    columns: int = 100,
) -> Seen:
    """As somebody at a terminal runs it: whenever the words appear, the answer is typed, or the signal sent."""
    own = {"TERM": "xterm", "COLUMNS": str(columns)} | environment(given)
    child, handle = pty.fork()
    if child == 0:
        os.environ.clear()
        os.environ.update(own)
        if stdout is not None:
            os.dup2(stdout, 1)
        os.execv(sys.executable, [*COMMAND, *arguments])
    shown, waiting, start = b"", list(answers), 0
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if not select.select([handle], [], [], 1)[0]:
            continue
        try:
            got = os.read(handle, 65_536)
        except OSError:
            break
        if not got:
            break
        shown += got
        while waiting and (at := shown.find(waiting[0][0].encode(), start)) >= 0:
            start = at + len(waiting[0][0])
            answer = waiting.pop(0)[1]
            if isinstance(answer, signal.Signals):
                os.kill(child, answer)
            else:
                os.write(handle, answer.encode())
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(handle)
    assert not waiting, f"{waiting[0][0]!r} did not appear in: {shown.decode(errors='replace')}"
    return Seen(os.waitstatus_to_exitcode(status), shown.decode(errors="replace").replace("\r\n", "\n"))
