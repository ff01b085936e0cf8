"""Real PostgreSQL servers, each on a port and in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ledgers.redis.server import free_port

#: A server refuses to run as root.
_IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
#: In some containers only root may use /dev/null, and PostgreSQL's programs need it: they see another one there.
_PRIVATE = 'mknod -m 666 "$0/null" c 1 3 2> /dev/zero; mount --bind "$0/null" /dev/null && exec "$@"'
#: The settings of every server here. Some tests turn one of them.
_SETTINGS = ("max_connections=500", "shared_buffers=32MB", "log_min_messages=fatal", "autovacuum_naptime=5s")


def programs() -> Path:
    """The directory of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    named = shutil.which("initdb")
    if not found and named is None:
        pytest.skip("PostgreSQL's server programs are not installed (Debian's package: postgresql)")
    return found[-1].parent if found else Path(str(named)).parent


@contextlib.contextmanager
def starting() -> Iterator[Callable[..., Server]]:
    """Start servers, and kill them in the end."""
    servers: list[Server] = []

    def start(*settings: str, standby_of: Server | None = None) -> Server:
        servers.append(Server(*settings, standby_of=standby_of))
        return servers[-1]

    yield start
    for server in servers:
        server.remove()


class Server:
    """One server, empty or the standby of another one. Further words are its settings."""

    def __init__(self, *settings: str, standby_of: Server | None = None) -> None:
        self.programs, self.settings, self.port = programs(), settings, free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="x402-postgres-"))  # pytest's are closed to other users
        if _IS_ROOT:
            shutil.chown(self.directory, "postgres", "postgres")
        self.data = self.directory / "data"
        if standby_of is None:
            made = ("--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8", "-U", "postgres")
            self.run("initdb", *made, "-D", str(self.data))
        else:
            place = ("-h", "127.0.0.1", "-p", str(standby_of.port), "-U", "postgres")
            self.run("pg_basebackup", *place, "-R", "-c", "fast", "--no-sync", "-D", str(self.data))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def own(self) -> None:
        """Let the server have its files again, after they were copied."""
        if _IS_ROOT:
            for path in (self.data, *self.data.rglob("*")):
                shutil.chown(path, "postgres", "postgres")

    def url(self, user: str = "postgres", more: str = "") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/postgres{more}"

    @property
    def user(self) -> tuple[str, ...]:
        """The words before a command that is not run as root."""
        if not _IS_ROOT:
            return ()
        open_to_all = os.stat("/dev/null").st_mode & 0o006 == 0o006
        private = () if open_to_all else ("unshare", "-m", "sh", "-c", _PRIVATE, str(self.directory))
        return (*private, "runuser", "-u", "postgres", "--")

    def run(self, program: str, *words: str) -> str:
        told = subprocess.run(
            [*self.user, str(self.programs / program), *words],
            cwd=self.directory,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert told.returncode == 0, told.stderr.decode()
        return told.stdout.decode()

    def start(self) -> None:
        settings = [word for each in (*_SETTINGS, *self.settings) for word in ("-c", each)]
        place = ("-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.directory))
        log = (self.directory / "log").open("ab")
        self.process = subprocess.Popen(
            [*self.user, str(self.programs / "postgres"), *place, *settings], cwd=self.directory, stdout=log, stderr=log
        )
        log.close()
        for _ in range(600):
            with contextlib.suppress(psycopg.Error):
                self.do("SELECT 1")
                return
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.log()}")

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "immediate" is a crash."""
        self.run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w")
        assert self.process is not None
        self.process.wait(60)

    def kill(self) -> None:
        """Kill every process of it at once, as when its machine is gone."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(60)

    def promote(self) -> None:
        """Let a standby take over, and wait until it has."""
        self.run("pg_ctl", "promote", "-D", str(self.data), "-w")

    def signal(self, number: signal.Signals) -> None:
        """Signal the server, and every process of it."""
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, check=False).stdout
        assert self.process is not None
        # runuser stops when the server does, and goes on only when it is told to.
        above = [self.process.pid] if number == signal.SIGCONT else []
        for pid in (*above, self.pid, *map(int, found.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self) -> None:
        with contextlib.suppress(AssertionError, OSError, ValueError):
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(), autocommit=True, connect_timeout=5)

    def do(self, query: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self.connect() as connection:
            told = connection.execute(query.encode(), values or None)
            return told.fetchall() if told.description else []

    def empty(self) -> None:
        """Delete all rows, and leave the tables."""
        if not self.do("SELECT 1 FROM pg_namespace WHERE nspname = 'x402'"):
            return
        kept = "tablename NOT IN ('ledger', 'windows')"
        names = self.do(f"SELECT tablename FROM pg_tables WHERE schemaname = 'x402' AND {kept}")
        self.do("; ".join(f"DELETE FROM x402.{name}" for (name,) in names))

    def log(self) -> str:
        return (self.directory / "log").read_text("utf-8", "replace")

    def everything(self) -> str:
        """All that is kept, as one text."""
        return self.run("pg_dump", "-h", str(self.directory), "-p", str(self.port), "-U", "postgres", "postgres")
