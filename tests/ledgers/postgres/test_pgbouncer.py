"""PgBouncer in transaction mode, with few connections for many callers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ledgers.redis.server import free_port

from .crowds import check_exact, disturbed
from .server import Server
from .test_conformance import TestSync

pytestmark = pytest.mark.slow

_SETTINGS = """
[databases]
postgres = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 1000
server_round_robin = 1
"""


class Bouncer:
    """One pooler in front of a server."""

    def __init__(self, server: Server, pool: int) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip("pgbouncer is not installed (Debian's package: pgbouncer)")
        self.program, self.server, self.port = Path(program), server, free_port()
        self.settings = server.directory / f"pgbouncer-{self.port}.ini"
        self.settings.write_text(_SETTINGS.format(server=server.port, port=self.port, pool=pool))
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        command = [*self.server.user, str(self.program), "-q", str(self.settings)]
        nothing = subprocess.DEVNULL
        self.process = subprocess.Popen(command, cwd=self.server.directory, stdout=nothing, stderr=nothing)
        for _ in range(200):
            with contextlib.suppress(psycopg.Error), psycopg.connect(self.url, prepare_threshold=None):
                return
            time.sleep(0.05)
        raise AssertionError("pgbouncer did not start")

    def stop(self, number: signal.Signals) -> None:
        """Signal the program, and what runs it as another user."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self.process.wait(30)

    def _pids(self) -> list[int]:
        """The process that was started, and those below it."""
        found = [self.process.pid]
        for pid in found:
            told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False).stdout
            found += map(int, told.split())
        return found[::-1]


@pytest.fixture
def through(server: Server) -> Iterator[Callable[[int], Bouncer]]:
    """Start a pooler with so many connections to the server."""
    started: list[Bouncer] = []

    def start(pool: int) -> Bouncer:
        started.append(Bouncer(server, pool))
        return started[-1]

    yield start
    for bouncer in started:
        bouncer.stop(signal.SIGTERM)


class TestPgBouncer(TestSync):
    """The port's contract through a pooler that gives each step the connection that was used longest ago."""

    @pytest.fixture
    def place(self, through: Callable[[int], Bouncer]) -> dict[str, Any]:
        return {"url": through(3).url}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pool", [2, 5])
@pytest.mark.parametrize("end", [None, signal.SIGTERM, signal.SIGKILL])
def test_a_crowd_on_few_connections_spends_a_budget_exactly(
    server: Server, through: Callable[[int], Bouncer], pool: int, end: signal.Signals | None
) -> None:
    """64 tasks in each of 2 processes. In the middle the pooler is started again, three times."""
    bouncer = through(pool)

    def again() -> None:
        bouncer.stop(end or signal.SIGTERM)
        bouncer.start()

    check_exact(server.url(), disturbed(bouncer.url, *[again] * (3 if end else 0)))
