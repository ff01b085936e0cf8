"""The ledger in Redis: shared by processes on many machines."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigurationError
from ..served import protocol
from ..served.ledger import AsyncServedLedger, ServedLedger
from ..served.lines import AsyncLine, EndsLine, SyncLine
from ..urls import REDIS, another_kind, for_redis, scheme_of
from . import script
from .address import Address, check
from .connections import AsyncConnection, Connection
from .ends_connection import EndsConnection


class RedisLedger(ServedLedger):
    """Ledger in a Redis server (5 or later; Valkey too), shared by every program that uses it.

    The URL begins with ``redis://`` or ``valkey://``; with TLS, which other machines need, with ``rediss://`` or
    ``valkeys://``; or with ``unix://``. ``ledger.asynchronous`` is the same ledger for async callers. It connects when
    it is first used. Every step is one atomic round trip. The server's clock is the ledger's clock.

    The server must not lose data. ``maxmemory-policy noeviction`` is required. ``appendonly yes`` is strongly advised:
    without it, a server that stops loses the payments since its last snapshot. If a ledger is suddenly empty, another
    one, or older than a running program has seen, every program refuses it. That ends when its data is restored, or
    when ``x402 ledger accept`` says to go on. A program that starts after everything was lost cannot know of it. Then
    ``fresh`` tells that a purse was used for the first time, and ``must_exist=True`` refuses such a purse.

    Redis copies to replicas after it answered, so a failover may lose the last moments. With ``replicas=2``, each step
    waits until two replicas have it, and fails if they do not. A step that failed like that may count all the same.

    A program that falls silent counts as alive for ``lease`` seconds. Until then, or until it gives a sign of life, it
    is unknown if one of its attempts still runs. The same request waits for that.

    A freeze is written to every purse that exists, one after the other. Later purses take it over. ``history`` shows
    the latest thousand purchases of a purse. Budgets and keys remember all of them, for ever.

    Each step proves what this program saw last, and that no copy of its memory uses its name (a machine may be resumed
    twice from one snapshot). The first copy that makes a step keeps the name and its claims. The other takes a new one.

    Args:
        url: The server: ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://``.
        timeout: The seconds that a step may take. Default: 5.
        lease: The seconds for which a program that fell silent counts as alive. Default: 4.
        replicas: The number of replicas that must have each step. Default: 0.
        cluster: True for a Redis cluster. Default: False.
        must_exist: True refuses a purse that was never used. Default: False.
    """

    asynchronous: AsyncRedisLedger

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        lease: float = 4.0,
        replicas: int = 0,
        cluster: bool = False,
        must_exist: bool = False,
    ) -> None:
        scheme = scheme_of(url) if isinstance(url, str) else ""
        self._address = Address(for_redis(url) if scheme in REDIS else "", timeout, replicas, cluster)
        url = ""  # it may hold a password, and tools print the variables of a traceback
        if scheme not in REDIS:
            raise another_kind(scheme or "", "RedisLedger", "a URL like redis://host:6379/0")
        if not 0 < timeout <= 60 or not 0.5 <= lease <= 30:
            raise ConfigurationError(
                f"timeout={timeout!r}, lease={lease!r}: a timeout is up to 60 seconds, and a lease from 0.5 to 30."
            )
        if type(replicas) is not int or replicas < 0 or (replicas and cluster):
            raise ConfigurationError(
                f"replicas={replicas!r}: give a whole number of replicas to wait for. For a cluster, leave it out."
            )
        check(self._address)
        script.digest()  # read now: in a child that is forked amid a first step, the lock of an import may stay taken
        super().__init__(self._address, lease, must_exist)

    def check_can_begin(self) -> None:
        """Refuse a server where no payment could be counted. Nothing is kept there."""
        super().check_can_begin()
        self._connection.send(protocol.everywhere("try", {}))

    def _lines(self) -> tuple[SyncLine, AsyncLine, EndsLine]:
        connection = Connection(self._address)
        return connection, AsyncConnection(connection), EndsConnection(connection)

    def _twin(self, *parts: Any) -> AsyncRedisLedger:
        return AsyncRedisLedger(*parts)


class AsyncRedisLedger(AsyncServedLedger):
    """Async twin of ``RedisLedger``: ``RedisLedger(url).asynchronous``."""
