"""The ledger in PostgreSQL: shared by processes on many machines."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigurationError
from ..served.ledger import AsyncServedLedger, ServedLedger
from ..served.lines import AsyncLine, EndsLine, SyncLine
from ..urls import POSTGRES, another_kind, for_postgres, scheme_of
from . import connections, migrations
from .address import Address


class PostgresLedger(ServedLedger):
    """Ledger in a PostgreSQL server (14 or later), shared by every program that uses it.

    The URL begins with ``postgresql://``. ``?schema=...`` names another schema than ``x402``; all other options are
    libpq's, such as ``sslmode=verify-full``, which other machines need. ``ledger.asynchronous`` is the same ledger for
    async callers. It connects when it is first used. Every step is one round trip and one transaction: a call of one
    function. The server's clock is the ledger's clock.

    The schema is made by the first use, if the role may make it; else by ``x402 ledger migrate``. An older one is
    brought to this version's layout by that command alone, and a newer one is refused. A program's own role needs no
    more than USAGE of the schema and EXECUTE of its function ``step``.

    A ledger that is suddenly empty, another one, or older than a running program has seen is refused by every program:
    a backup was restored, or a standby took over that lacked the last commits. That ends when the data is there again,
    or when ``x402 ledger accept`` says to go on.

    A program that falls silent counts as alive for ``lease`` seconds. Until then, or until it gives a sign of life, it
    is unknown if one of its attempts still runs. The same request waits for that.

    Payments of one purse are counted one after the other, because they count in the same rows. Poolers in transaction
    mode are supported: nothing is kept in a session.

    Args:
        url: The server and its database: ``postgresql://user:password@host:5432/database``.
        timeout: The seconds that a step may take, and wait for another's lock. Default: 5.
        lease: The seconds for which a program that fell silent counts as alive. Default: 4.
        connections: The most connections of this process, and of each event loop. Default: 8.
        must_exist: True refuses a purse that was never used. Default: False.
    """

    asynchronous: AsyncPostgresLedger

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        lease: float = 4.0,
        connections: int = 8,
        must_exist: bool = False,
    ) -> None:
        scheme = scheme_of(url) if isinstance(url, str) else ""
        if scheme not in POSTGRES:
            url = ""  # it may hold a password, and tools print the variables of a traceback
            raise another_kind(scheme or "", "PostgresLedger", "a URL like postgresql://host:5432/database")
        if not 0 < timeout <= 60 or not 0.5 <= lease <= 30 or type(connections) is not int or connections < 1:
            url = ""
            raise ConfigurationError(
                f"timeout={timeout!r}, lease={lease!r}, connections={connections!r}: a timeout is up to 60 seconds, a "
                "lease from 0.5 to 30, and connections are a whole number from 1."
            )
        given, url = for_postgres(url), ""
        try:
            self._address = Address.of(given, timeout, connections)
        finally:
            given = ""
        super().__init__(self._address, lease, must_exist)

    def migrate(self) -> tuple[int, int]:
        """Make the schema, or bring it to this version's layout. ``x402 ledger migrate`` does this.

        Return the layout before, 0 if there was none, and the present one. A newer layout is refused.
        """
        return migrations.migrate(self._address)

    def check_can_begin(self) -> None:
        """Refuse a server that has no ledger, and where this role may not make one. Nothing is made."""
        super().check_can_begin()
        migrations.check_can_begin(self._address)

    def _lines(self) -> tuple[SyncLine, AsyncLine, EndsLine]:
        connection = connections.Connection(self._address)
        return connection, connections.AsyncConnection(connection), connections.EndsLine(connection)

    def _twin(self, *parts: Any) -> AsyncPostgresLedger:
        return AsyncPostgresLedger(*parts)


class AsyncPostgresLedger(AsyncServedLedger):
    """Async twin of ``PostgresLedger``: ``PostgresLedger(url).asynchronous``."""
