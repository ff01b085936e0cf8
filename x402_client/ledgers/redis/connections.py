"""Connections to the server, sync and async. Every failure becomes LedgerUnavailable, with a message of our own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from ...core.asks import Ask
from ...errors import LedgerUnavailable
from ...guards.handlers import raise_callers_stop
from ..served import protocol
from . import script
from .address import Address
from .exchanges import (
    NotCopied,
    Unanswered,
    acareful,
    anothing_to_close,
    careful,
    is_sent_again,
    nothing_to_close,
)
from .failures import explain

#: Connections of one process, or of one event loop.
_CONNECTIONS = 50


class _Used:
    """A client, and the number of commands that use it. One that was let go is closed by the last of them."""

    __slots__ = ("client", "commands", "gone")

    def __init__(self, client: Any) -> None:
        self.client, self.commands, self.gone = client, 0, False

    @property
    def is_over(self) -> bool:
        """Return True if nothing uses it, and nothing will."""
        return self.gone and not self.commands


class Connection:
    """Connection for sync callers. Safe between threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        #: None until the first use.
        self._used: _Used | None = None

    def send(self, ask: Ask[Any]) -> Any:
        """Send one command and return the server's answer."""
        try:
            return self._send(ask)
        except Exception as failure:
            raise_callers_stop(failure)
            problem = explain(failure, self.address)
        raise LedgerUnavailable(problem)

    def _send(self, ask: Ask[Any], tries: int = 1) -> Any:
        try:
            return self._once(ask)
        except Unanswered as lost:
            if not is_sent_again(ask, lost, tries):
                raise
        return self._send(ask, tries + 1)

    def _once(self, ask: Ask[Any]) -> Any:
        from redis.exceptions import NoScriptError

        if isinstance(ask, protocol.Pause):
            return time.sleep(ask.seconds)
        with self._client() as client:
            if not isinstance(ask, protocol.Request):
                return _facts(client.info())
            try:
                return self._run(_evalsha(ask), client)
            except NoScriptError:
                return self._run(_eval(ask), client)

    def new_line(self) -> Any:
        """Return a new connection to the server. None for a cluster: each step may need another node."""
        if self.address.cluster:
            return None
        with self._client() as client:
            pool = client.connection_pool
            line = pool.connection_class(**pool.connection_kwargs)
            line.connect()
            return line

    @contextmanager
    def _client(self) -> Iterator[Any]:
        used = self._taken()
        try:
            yield used.client
        finally:
            with self._lock:
                used.commands -= 1
            if used.is_over:
                used.client.close()

    def _taken(self) -> _Used:
        """Return the client for one more command. The first one connects."""
        made = _Used(_connect(self.address)) if self._used is None else None  # it talks to a cluster: no lock is held
        with self._lock:
            if self._used is None:  # none, or it was let go meanwhile
                self._used, made = made or _Used(_connect(self.address)), None
            used = self._used
            used.commands += 1
        if made is not None:  # another thread connected at the same time
            made.client.close()
        return used

    def _run(self, command: tuple[Any, ...], client: Any) -> Any:
        if not self.address.replicas:
            return client.execute_command(*command)
        with client.pipeline(transaction=False) as pipe:
            pipe.execute_command(*command)
            pipe.execute_command(*_wait(self.address))
            pipe._execute_pipeline = careful(pipe._execute_pipeline)
            return _copied(pipe.execute(raise_on_error=False), self.address)

    def close(self) -> None:
        """Close the client, once no thread uses it. The next use connects again."""
        with self._lock:
            used, self._used = self._used, None
            if used is not None:
                used.gone = True
        if used is not None and used.is_over:
            used.client.close()


class _ThreadClients(threading.local):
    """Clients of this thread's event loops."""

    def __init__(self) -> None:
        self.clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Used] = WeakKeyDictionary()


class AsyncConnection:
    """Connection for async callers: a client for each event loop of asyncio, and a thread under trio."""

    address: Address

    def __init__(self, connection: Connection) -> None:
        self._connection, self.address = connection, connection.address
        self._thread_clients = _ThreadClients()

    async def send(self, ask: Ask[Any]) -> Any:
        """Send one command and return the server's answer."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return await self._in_thread(ask)
        used = self._used(loop)
        used.commands += 1
        try:
            return await self._send(ask, used.client)
        except Exception as failure:
            raise_callers_stop(failure)
            problem = explain(failure, self._connection.address)
        finally:
            used.commands -= 1
            if used.is_over:
                await used.client.aclose()
        raise LedgerUnavailable(problem)

    async def _in_thread(self, ask: Ask[Any]) -> Any:
        """Send a command from a thread: redis-py supports asyncio only."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(self._connection.send, ask, abandon_on_cancel=True)

    async def _send(self, ask: Ask[Any], client: Any, tries: int = 1) -> Any:
        try:
            return await self._once(ask, client)
        except Unanswered as lost:
            if not is_sent_again(ask, lost, tries):
                raise
        return await self._send(ask, client, tries + 1)

    async def _once(self, ask: Ask[Any], client: Any) -> Any:
        from redis.exceptions import NoScriptError

        if isinstance(ask, protocol.Pause):
            return await asyncio.sleep(ask.seconds)
        if not isinstance(ask, protocol.Request):
            return _facts(await client.info())
        try:
            return await self._run(_evalsha(ask), client)
        except NoScriptError:
            return await self._run(_eval(ask), client)

    async def _run(self, command: tuple[Any, ...], client: Any) -> Any:
        address = self._connection.address
        if not address.replicas:
            return await client.execute_command(*command)
        async with client.pipeline(transaction=False) as pipe:
            pipe.execute_command(*command)
            pipe.execute_command(*_wait(address))
            pipe._execute_pipeline = acareful(pipe._execute_pipeline)
            return _copied(await pipe.execute(raise_on_error=False), address)

    def _used(self, loop: asyncio.AbstractEventLoop) -> _Used:
        clients = self._thread_clients.clients
        used = clients.get(loop)
        if used is None:
            # A client refers to its loop, so the weak dictionary alone would keep both for ever.
            for old in [other for other in clients if other.is_closed()]:
                del clients[old]
            used = clients[loop] = _Used(_connect_async(self._connection.address))
        return used

    async def close(self) -> None:
        """Close the client of the running loop, once no task uses it. The next use connects again."""
        try:
            used = self._thread_clients.clients.pop(asyncio.get_running_loop(), None)
        except RuntimeError:
            return  # under trio, commands use the connections of sync callers
        if used is None:
            return
        used.gone = True
        if used.is_over:
            await used.client.aclose()


def _pool_options(address: Address) -> dict[str, Any]:
    """Return the options of a pool. With notices of maintenance redis-py lends out connections that have ended."""
    from redis.maint_notifications import MaintNotificationsConfig

    noticed = MaintNotificationsConfig(enabled=False)
    return {"max_connections": _CONNECTIONS, "timeout": address.timeout, "maint_notifications_config": noticed}


def commands_of(ask: protocol.Request, address: Address) -> list[tuple[Any, ...]]:
    """Return the commands of one step, for a caller that reads the answers with ``read_answer``."""
    return [_evalsha(ask), *([_wait(address)] if address.replicas else [])]


def read_answer(line: Any, address: Address) -> Any:
    """Read the answer to a step. If that fails, the caller closes the connection."""
    answer = line.read_response(disconnect_on_error=False)
    return _copied([answer, line.read_response(disconnect_on_error=False)], address) if address.replicas else answer


def _wait(address: Address) -> tuple[Any, ...]:
    return ("WAIT", address.replicas, int(address.timeout * 500))


def _evalsha(ask: protocol.Request) -> tuple[Any, ...]:
    return ("EVALSHA", script.digest(), 1, script.key_of(ask), ask.op, ask.said)


def _eval(ask: protocol.Request) -> tuple[Any, ...]:
    return ("EVAL", script.source(), 1, script.key_of(ask), ask.op, ask.said)


def _copied(answers: list[Any], address: Address) -> Any:
    """Return the answer to a step. Raise NotCopied if too few replicas have it."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    if answers[1] < address.replicas:
        raise NotCopied
    return answers[0]


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that matter. In a cluster the weakest node counts."""
    nodes = [node for node in told.values() if isinstance(node, dict) and "redis_version" in node] or [told]
    policies = [str(node.get("maxmemory_policy")) for node in nodes]
    worst = next((policy for policy in policies if policy != "noeviction"), "noeviction")
    return {"maxmemory_policy": worst, "aof_enabled": all(node.get("aof_enabled") for node in nodes)}


def _connect(address: Address) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    retry = Retry(NoBackoff(), 1, (redis.ConnectionError,))  # of connecting: ``_send`` sends a command once more
    if address.cluster:
        cluster = redis.RedisCluster.from_url(address.url, **address.options())
        cluster.execute_command = careful(cluster.execute_command, nothing_to_close)  # type: ignore[method-assign]
        return cluster
    pool = redis.BlockingConnectionPool.from_url(
        address.url, retry=retry, **_pool_options(address), **address.options()
    )
    client = redis.Redis.from_pool(pool)
    client._send_command_parse_response = careful(client._send_command_parse_response)  # type: ignore[method-assign]
    return client


def _connect_async(address: Address) -> Any:
    import redis.asyncio
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    retry = Retry(NoBackoff(), 1, (redis.ConnectionError,))
    if address.cluster:
        cluster = redis.asyncio.RedisCluster.from_url(address.url, **address.options())
        cluster.execute_command = acareful(cluster.execute_command, anothing_to_close)  # type: ignore[method-assign]
        return cluster
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        address.url, retry=retry, **_pool_options(address), **address.options()
    )
    client = redis.asyncio.Redis.from_pool(pool)
    client._send_command_parse_response = acareful(client._send_command_parse_response)  # type: ignore[method-assign]
    return client
