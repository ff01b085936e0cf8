"""The machines that ledgers live on: what a program opens, and what may be taken back behind its back."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg

from tests.ledgers.postgres import rollbacks as postgres_rollbacks
from tests.ledgers.postgres.server import Server as PostgresServer
from tests.ledgers.redis.rollbacks import clone
from tests.ledgers.redis.server import Server
from x402_client.ledgers.memory import MemoryLedger
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.ledgers.redis import RedisLedger, script

from .clock import Clock

#: Steps the clock of each purse: the time of its latest payment. A bucket begins there, as at a payment: the function
#: begins none where the latest payment seems to lie in it already.
_LATER = """
    INSERT INTO x402.starts (account, span, number, units, payments)
      SELECT a.id, w.span, (a.latest + {0}) / (w.length / 60), a.units, a.payments
      FROM x402.accounts a CROSS JOIN x402.windows w WHERE a.name = '' AND a.latest > 0 AND w.length > 0
      ON CONFLICT DO NOTHING;
    UPDATE x402.accounts SET latest = latest + {0} WHERE name = '' AND latest > 0
"""

#: For how long a ledger is kept busy, in real seconds, unless its caller has what it wanted before.
BUSY = 2.5
#: Steps that a Redis server remembers here.
RING = 64


class Machine:
    """A place for one ledger. ``shared``: programs have objects of their own."""

    shared = True
    #: Events that mean something here.
    knows: frozenset[str] = frozenset()

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def open(self, must: bool = False) -> Any:
        """Return what a program gives to its buyers. ``must``: it has to be there."""
        raise NotImplementedError

    def reset(self) -> None:
        """Begin a script with nothing."""

    def passed(self, seconds: float) -> None:
        """Have the store's own clock go on."""

    def busy(self) -> None:
        """Keep the store busy, until ``idle``."""

    def idle(self) -> None:
        """Let the store work again."""

    def keep(self) -> None:
        """Copy what is there."""

    def put_back(self) -> None:
        """Put the copy in the place of what is there."""

    def close(self) -> None:
        """Leave nothing."""


class Memory(Machine):
    """One process."""

    shared = False

    def reset(self) -> None:
        self._ledger = MemoryLedger()

    def open(self, must: bool = False) -> Any:
        return self._ledger


class File(Machine):
    """A file in a directory of its own for each script."""

    knows = frozenset({"restart", "child", "keep", "lose log", "busy", "empty"})

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._writer: sqlite3.Connection | None = None
        self._all = Path(tempfile.mkdtemp(prefix="adversary"))
        self._number = 0

    def reset(self) -> None:
        shutil.rmtree(self._all / str(self._number), ignore_errors=True)
        self._number += 1
        self.path = self._all / str(self._number) / "ledger.db"
        self.path.parent.mkdir()
        self._copies: dict[str, bytes] | None = None

    def open(self, must: bool = False) -> Any:
        return str(self.path)

    def busy(self) -> None:
        self._writer = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=0.3)
        with contextlib.suppress(sqlite3.OperationalError):
            self._writer.execute("BEGIN IMMEDIATE")

    def idle(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _files(self) -> list[Path]:
        return [path for path in self.path.parent.glob("ledger.db*") if path.is_file()]

    def keep(self) -> None:
        self._copies = {path.name: path.read_bytes() for path in self._files()}

    def put_back(self) -> None:
        """Put an older file in its place. Programs have closed it."""
        if self._copies is not None:
            for path in self._files():
                path.unlink()
            for name, data in self._copies.items():
                if not name.endswith("-shm"):
                    self.path.with_name(name).write_bytes(data)

    def empty(self) -> None:
        """Lose all. Programs have closed it."""
        for path in self._files():
            path.unlink()

    def fold(self) -> None:
        """Move the log into the file, as other programs do that open it."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def lose_log(self) -> None:
        """Lose the log, as where only the file itself lies on a volume."""
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def close(self) -> None:
        shutil.rmtree(self._all, ignore_errors=True)


class Redis(Machine):
    """A server of its own."""

    knows = frozenset({"restart", "child", "keep", "keep long", "clone", "evict", "empty", "busy"})

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._directory = Path(tempfile.mkdtemp(prefix="adversary"))
        self.server = Server(self._directory)
        self.client = self.server.client

    def reset(self) -> None:
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.flushall()
        self._copies: dict[bytes, tuple[int, bytes]] | None = None

    def open(self, must: bool = False) -> Any:
        return RedisLedger(self.server.url, lease=4.0, must_exist=must)

    def passed(self, seconds: float) -> None:
        """Step the clock that the purse keeps: it never goes back."""
        for key, clock in self._times().items():
            self.client.hset(key, "clock", clock + int(seconds * 1e6))

    def _times(self) -> dict[Any, int]:
        hashes = [key for key in self.client.scan_iter() if self.client.type(key) == "hash"]
        found = {key: self.client.hget(key, "clock") for key in hashes}
        return {key: int(clock) for key, clock in found.items() if clock is not None}

    def busy(self) -> None:
        self.client.client_pause(int(BUSY * 1000), all=False)  # of what writes: else it could not be ended

    def idle(self) -> None:
        self.client.client_unpause()

    def keep(self) -> None:
        raw = self._raw()
        found = {key: (max(raw.pttl(key), 0), raw.dump(key)) for key in raw.scan_iter()}
        self._copies = {key: kept for key, kept in found.items() if kept[1] is not None}  # one may expire meanwhile
        raw.close()

    def put_back(self) -> None:
        """Lose all since the copy, as a failover does; the clock has gone on."""
        if self._copies is None:
            return
        times, raw = self._times(), self._raw()
        with raw.pipeline() as steps:
            steps.flushall()
            for key, (ttl, data) in self._copies.items():
                steps.restore(key, ttl, data)
            steps.execute()
        raw.close()
        for key, clock in times.items():
            if self.client.exists(key):
                self.client.hset(key, "clock", clock)
        self.client.client_kill_filter(_type="normal", skipme=True)

    def clone(self, ledger: Any) -> Any:
        """Return a copy of a program's memory of the ledger."""
        return clone(ledger, self.server.url)

    def evicts(self) -> None:
        """Set a policy under which keys are thrown away."""
        self.client.config_set("maxmemory-policy", "allkeys-lru")

    def evict(self, which: int) -> None:
        """Have the server throw a key away, as it does when its memory is full."""
        keys = sorted(self.client.scan_iter())
        if keys:
            self.client.delete(keys[which % len(keys)])

    def empty(self) -> None:
        """Lose all."""
        self.client.flushall()

    def _raw(self) -> Any:
        import redis

        return redis.Redis(port=self.server.port)

    def close(self) -> None:
        self.client.close()
        self.server.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


class Postgres(Machine):
    """A server of its own."""

    knows = frozenset({"restart", "child", "keep", "clone", "empty", "busy"})

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.server = PostgresServer("fsync=off")
        self._locked: Any = None

    def reset(self) -> None:
        self.server.empty()
        self._has_copy = False

    def open(self, must: bool = False) -> Any:
        return PostgresLedger(self.server.url(), lease=4.0, must_exist=must)

    def passed(self, seconds: float) -> None:
        """Step the clock that each purse keeps: that of its latest payment, which never goes back."""
        if self.server.do("SELECT 1 FROM pg_namespace WHERE nspname = 'x402'"):
            self.server.do(_LATER.format(int(seconds * 1e6)))

    def busy(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._locked = self.server.connect()
            self._locked.execute("BEGIN; SET LOCAL lock_timeout = 300; LOCK TABLE x402.purses")

    def idle(self) -> None:
        if self._locked is not None:
            self._locked.close()
            self._locked = None

    def keep(self) -> None:
        if self.server.do("SELECT 1 FROM pg_namespace WHERE nspname = 'x402'"):
            postgres_rollbacks.keep(self.server)
            self._has_copy = True

    def put_back(self) -> None:
        """Lose all since the copy, as a failover does; the clock has gone on."""
        if self._has_copy:
            postgres_rollbacks.put_back(self.server)
            self.server.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'x402'")

    def clone(self, ledger: Any) -> Any:
        """Return a copy of a program's memory of the ledger."""
        return clone(ledger, self.server.url(), PostgresLedger)

    def empty(self) -> None:
        """Lose all."""
        self.server.empty()

    def close(self) -> None:
        self.idle()
        self.server.remove()


@contextlib.contextmanager
def short_ring() -> Iterator[None]:
    """Have Redis remember few steps, so that a few of another program are as a thousand."""
    text = script.source()
    assert text.count("ring = 1024,") == 1
    text = text.replace("ring = 1024,", f"ring = {RING},")
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    with mock.patch.multiple(script, source=partial(str, text), digest=partial(str, digest)):
        yield


MACHINES: dict[str, Callable[[Clock], Machine]] = {
    "memory": Memory,
    "sqlite": File,
    "redis": Redis,
    "postgres": Postgres,
}


def die() -> None:
    """End at once, as from a power switch."""
    os.kill(os.getpid(), 9)
