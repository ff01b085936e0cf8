"""Real Redis servers, each on a port and in a directory of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def free_port() -> int:
    """A cluster's nodes speak to each other on the port that is 10,000 higher."""
    while True:
        with socket.socket() as found, socket.socket() as other:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                other.bind(("127.0.0.1", port + 10_000))
                return port


@contextlib.contextmanager
def starting(directory: Path) -> Iterator[Callable[..., Server]]:
    """Start servers, each in a directory of its own below this one, and kill them in the end."""
    servers: list[Server] = []

    def start(*settings: str) -> Server:
        own = directory / str(len(servers))
        own.mkdir()
        servers.append(Server(own, *settings))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


class Server:
    """One redis-server. Further words are its settings."""

    def __init__(self, directory: Path, *settings: str) -> None:
        self.binary = shutil.which("redis-server") or pytest.skip("redis-server is not installed")
        self.directory, self.settings, self.port = directory, settings, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0))

    @property
    def raw(self) -> redis.Redis:
        """A client that leaves bytes as they are."""
        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        plain = ("--port", str(self.port), "--dir", str(self.directory), "--save", "", "--bind", "127.0.0.1")
        self.process = subprocess.Popen([self.binary, *plain, *self.settings], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(redis.RedisError), self.client as client:
                with contextlib.suppress(redis.AuthenticationError):
                    client.ping()
                return
            time.sleep(0.01)
        raise AssertionError("redis-server did not start")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def do(self, *command: Any) -> Any:
        with self.client as client:
            return client.execute_command(*command)

    def calls(self) -> dict[str, int]:
        """How often each command was called, by clients and by scripts."""
        with self.client as client:
            stats = client.info("commandstats")
        return {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}

    def everything(self) -> str:
        """All that is kept, as one text."""
        found: list[str] = []
        read = {"hash": "HGETALL", "zset": "ZRANGE", "list": "LRANGE", "set": "SMEMBERS", "string": "GET"}
        with self.client as client:
            for key in client.scan_iter():
                kind = client.type(key)
                span = (0, -1) if kind in ("zset", "list") else ()
                found.append(f"{key} {client.execute_command(read[kind], key, *span)}")
        return "\n".join(found)
