"""The port's contract: for sync callers, for asyncio, for trio, over a socket, in a cluster, with a replica."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from x402_client.ledgers.conformance import LedgerConformance
from x402_client.ledgers.redis import RedisLedger

from .server import Server


class TestSync(LedgerConformance):
    @pytest.fixture(autouse=True)
    def _ledger(self, place: dict[str, Any]) -> Iterator[None]:
        self.sync = RedisLedger(**place)
        self.ledger = self.make()
        yield
        self.end_attempts()
        self.sync.close_ledger()

    @pytest.fixture
    def place(self, server: Server) -> dict[str, Any]:
        return {"url": server.url}

    def setup_method(self) -> None:
        """The fixtures do it."""

    teardown_method = setup_method

    def make(self) -> Any:
        return self.sync


class TestAsyncio(TestSync):
    @pytest.fixture(autouse=True)
    def _ledger(self, place: dict[str, Any]) -> Iterator[None]:
        self.sync = RedisLedger(**place)
        self.ledger = self.sync.asynchronous
        with asyncio.Runner() as self.runner:
            yield
            self.end_attempts()
            self.runner.run(self.ledger.close_ledger())
        self.sync.close_ledger()

    def answer(self, given: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return self.runner.run(given)
        return asyncio.run(self.once(given))

    async def once(self, given: Any) -> Any:
        try:
            return await given
        finally:
            await self.ledger.close_ledger()


@pytest.mark.slow
class TestTrio(TestSync):
    def make(self) -> Any:
        return self.sync.asynchronous

    def answer(self, given: Any) -> Any:
        async def wait() -> Any:
            return await given

        return trio.run(wait)


@pytest.mark.slow
class TestUnixSocket(TestSync):
    @pytest.fixture
    def place(self, start: Callable[..., Server], tmp_path: Path) -> dict[str, Any]:
        start("--unixsocket", str(tmp_path / "s"))
        return {"url": f"unix://{tmp_path / 's'}"}


class TestCluster(TestSync):
    @pytest.fixture
    def place(self, cluster: Server) -> dict[str, Any]:
        cluster.do("FLUSHALL")
        return {"url": cluster.url, "cluster": True}


@pytest.mark.crowd
class TestAsyncCluster(TestAsyncio):
    @pytest.fixture
    def place(self, cluster: Server) -> dict[str, Any]:
        cluster.do("FLUSHALL")
        return {"url": cluster.url, "cluster": True}


class TestReplica(TestSync):
    @pytest.fixture
    def place(self, copied: Server) -> dict[str, Any]:
        copied.do("FLUSHALL")
        return {"url": copied.url, "replicas": 1}


@pytest.mark.slow
class TestAsyncReplica(TestAsyncio):
    @pytest.fixture
    def place(self, copied: Server) -> dict[str, Any]:
        copied.do("FLUSHALL")
        return {"url": copied.url, "replicas": 1}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes")
    server.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    while "cluster_state:ok" not in server.do("CLUSTER", "INFO"):
        pass
    yield server
    server.kill()


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    primary = Server(tmp_path_factory.mktemp("primary"), "--repl-diskless-sync-delay", "0")
    replica = Server(tmp_path_factory.mktemp("replica"), "--replicaof", f"127.0.0.1 {primary.port}")
    while "state=online" not in str(primary.do("INFO", "replication")) and not primary.do("WAIT", 1, 100):
        pass
    yield primary
    replica.kill()
    primary.kill()
