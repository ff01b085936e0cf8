"""Connections to the server, sync and async. Every failure becomes LedgerUnavailable, with a message of our own."""

from __future__ import annotations

import asyncio
import threading
import time
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


class Connection:
    """Connection for sync callers. Safe between threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        #: Empty until the first use; then one client, under the name "client".
        self._clients: dict[str, Any] = {}

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
        client = self._connected()
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
        pool = self._connected().connection_pool
        line = pool.connection_class(**pool.connection_kwargs)
        line.connect()
        return line

    def _connected(self) -> Any:
        client = self._clients.get("client")
        if client is not None:
            return client
        made = _connect(self.address)  # it talks to a cluster, so no lock is held here
        # redis-py closes the connections of a client without references, even those that a pipeline still uses. So of
        # threads that connect at the same time, none may replace the client of another.
        client = self._clients.setdefault("client", made)
        if client is not made:
            made.close()
        return client

    def _run(self, command: tuple[Any, ...], client: Any) -> Any:
        if not self.address.replicas:
            return client.execute_command(*command)
        with client.pipeline(transaction=False) as pipe:
            pipe.execute_command(*command)
            pipe.execute_command(*_wait(self.address))
            pipe._execute_pipeline = careful(pipe._execute_pipeline)
            return _copied(pipe.execute(raise_on_error=False), self.address)

    def close(self) -> None:
        """Close the client. The next use connects again."""
        client = self._clients.pop("client", None)
        if client is not None:
            client.close()


class _ThreadClients(threading.local):
    """Clients of this thread's event loops."""

    def __init__(self) -> None:
        self.clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()


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
        try:
            return await self._send(ask, self._client(loop))
        except Exception as failure:
            raise_callers_stop(failure)
            problem = explain(failure, self._connection.address)
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

    def _client(self, loop: asyncio.AbstractEventLoop) -> Any:
        clients = self._thread_clients.clients
        client = clients.get(loop)
        if client is None:
            # A client refers to its loop, so the weak dictionary alone would keep both for ever.
            for old in [other for other in clients if other.is_closed()]:
                del clients[old]
            client = clients[loop] = _connect_async(self._connection.address)
        return client

    async def close(self) -> None:
        """Close the connections of the running loop. The next use connects again."""
        try:
            client = self._thread_clients.clients.pop(asyncio.get_running_loop(), None)
        except RuntimeError:
            return  # under trio, commands use the connections of sync callers
        if client is not None:
            await client.aclose()


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
