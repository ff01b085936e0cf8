"""Connections to the server, sync and async. Every failure becomes LedgerUnavailable, with a message of our own.

Idle connections are kept here and not in a library's pool: a failure to connect is told at once, by the call that needs
the connection, and a forked child starts without threads of its parent.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from ...core.asks import Ask
from ...errors import ConfigurationError, LedgerUnavailable
from ...guards.handlers import raise_callers_stop
from ..fair_lock import FairLock, Turn
from ..served import protocol
from . import migrations
from .address import Address
from .exchange import INTERVAL, answer, note_lost, send
from .failures import ABSENT, CONFLICTS, MISSING, RIGHTS, Broken, Crowded, Refused, Silent, connect_code, explain

#: Times that a step is made. One whose connection broke is sent once more: a step that is sent twice is done once.
_TRIES = 3
#: Bytes of a command that is sent without waiting, at most. The buffers of all systems in use hold more.
_LARGEST = 4_096
#: What a schema without a ledger answers, where none is to be made.
_EMPTY = {"exists": False, "purses": [], "frozen": []}


def judge(failure: Exception, ask: Ask[Any], connection: Connection, tries: int) -> Callable[[], Any]:
    """Return what is to be done before a step is made again; raise the failure if nothing can be."""
    address = connection.address
    if isinstance(failure, Refused) and isinstance(ask, protocol.Request) and failure.code in ABSENT:
        if is_empty_answer(failure, ask):
            return partial(migrations.check_absent, failure.code, address)
        if failure.code in MISSING and tries < _TRIES:  # perhaps after a connection that broke
            return partial(connection.make_ledger, ask.knew)
        if failure.code not in MISSING:
            return partial(migrations.tell_absence, failure.code, address, ask.knew)
    elif isinstance(failure, Refused) and failure.code in CONFLICTS and tries < _TRIES:
        return lambda: None  # the server rolled all back
    elif isinstance(failure, Broken) and tries == 1:
        return lambda: None
    raise failure


def is_empty_answer(failure: Exception, ask: Ask[Any]) -> bool:
    """Return True if there may be no ledger, and the question needs none: see ``migrations.check_absent``."""
    missing = isinstance(failure, Refused) and failure.code in (*MISSING, RIGHTS)
    return missing and isinstance(ask, protocol.Request) and ask.op in _EMPTY


def checked(told: Any, address: Address) -> Any:
    """Return an answer. Raise where the server does not work as the ledger needs."""
    if isinstance(told, list) and told[:1] == ["layout"]:
        raise migrations.other_layout(address, told[1] or 0)
    if told == ["isolation"]:
        raise address.other_isolation()
    return told


class Connection:
    """Connections for sync callers. Safe between threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._free = FairLock(address.connections)
        #: One thread at a time makes a ledger; how often one did.
        self._making, self._made = FairLock(), 0
        #: The latest last: the others may be closed by the server as idle.
        self._idle: deque[Any] = deque()

    def send(self, ask: Ask[Any]) -> Any:
        """Send one command and return the server's answer."""
        if isinstance(ask, protocol.Pause):
            return time.sleep(ask.seconds)
        try:
            return checked(self._send(ask), self.address)
        except (LedgerUnavailable, ConfigurationError):
            raise
        except Exception as failure:
            raise_callers_stop(failure)
            problem = explain(failure, self.address)
        raise problem

    def _send(self, ask: Ask[Any]) -> Any:
        for tries in range(1, _TRIES + 2):
            try:
                return self._once(ask)
            except (Refused, Broken) as failure:
                empty = is_empty_answer(failure, ask)
                prepare = judge(failure, ask, self, tries)
            prepare()
            if empty:
                return _EMPTY[ask.op]  # type: ignore[attr-defined]
        raise AssertionError("judge ends this")

    def _once(self, ask: Ask[Any]) -> Any:
        turn = Turn()
        try:
            line = self.take(turn, self.address.timeout)
            try:
                send(line, ask, self.address)
                told = self.read(line)
            except Refused:
                self.give_back(line, turn)
                raise
            except BaseException as failure:  # an answer that is left unread would be taken for the next one's
                note_lost(ask, failure)
                self.drop(line, turn)
                raise
            self.give_back(line, turn)
            return told
        finally:
            self._free.give_back(turn, None)

    def read(self, line: Any) -> Any:
        """Read the answer to the command that was sent on a connection."""
        from psycopg.waiting import wait

        return wait(answer(line, self.address.timeout), line.pgconn.socket, INTERVAL)

    def take(self, turn: Turn, timeout: float) -> Any:
        """Return a connection, in the order of asking. None if there is no idle one and ``timeout`` is 0."""
        if not self._free.acquire(turn, timeout):
            if timeout:
                raise Crowded
            return None
        try:
            with suppress(IndexError):
                return self._idle.pop()
            if timeout:
                return self._connect()
        except BaseException:
            self._leave(turn)
            raise
        self._leave(turn)
        return None

    def give_back(self, line: Any, turn: Turn) -> None:
        """Keep a connection for the next call."""
        self._idle.append(line)
        self._leave(turn)

    def drop(self, line: Any, turn: Turn) -> None:
        """Close a connection that cannot be used again, and the idle ones with it: they may have ended too."""
        self._leave(turn)
        line.pgconn.finish()
        self.close()

    def _leave(self, turn: Turn) -> None:
        self._free.give_back(turn, None)
        self._free.wake_next()

    def make_ledger(self, knew: bool) -> None:
        """Make the ledger where there is none: once for all calls that find none, and not a connection for each."""
        made = self._made

        def make() -> None:
            if made == self._made:
                migrations.migrate(self.address, only_new=True, knew=knew)
                self._made += 1

        self._making.run(make, self.address.timeout, lambda: explain(Silent(), self.address))

    def open_one(self) -> None:
        """Connect, if there is no idle connection: the end of a purchase will be sent on it."""
        if not self._idle:
            turn = Turn()
            with suppress(Exception):  # the step that needs the server says what is wrong with it
                self.give_back(self.take(turn, self.address.timeout), turn)

    def _connect(self) -> Any:
        import psycopg

        from .lines import Line

        try:
            return Line.connect(self.address.url, **self.address.options())
        except psycopg.Error as failure:
            code = connect_code(failure)
        raise Refused(code) if code else OSError

    def close(self) -> None:
        """Close the idle connections. The next use connects again."""
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return
            line.pgconn.finish()


class _LoopLines:
    """Connections of one event loop."""

    def __init__(self, count: int) -> None:
        self.free = asyncio.Semaphore(count)
        self.idle: deque[Any] = deque()

    def close(self) -> None:
        """Close the idle connections."""
        while self.idle:
            self.idle.pop().pgconn.finish()


class _ThreadLines(threading.local):
    """Connections of this thread's event loops."""

    def __init__(self) -> None:
        self.loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopLines] = WeakKeyDictionary()


class AsyncConnection:
    """Connections for async callers: some for each event loop of asyncio, and a thread under trio."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.address: Address = connection.address
        self._thread_lines = _ThreadLines()

    async def send(self, ask: Ask[Any]) -> Any:
        """Send one command and return the server's answer."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return await self._in_thread(self._connection.send, ask)
        if isinstance(ask, protocol.Pause):
            return await asyncio.sleep(ask.seconds)
        try:
            return checked(await self._send(ask, self._lines(loop)), self.address)
        except (LedgerUnavailable, ConfigurationError):
            raise
        except Exception as failure:
            raise_callers_stop(failure)
            problem = explain(failure, self.address)
        raise problem

    async def _in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        """Work in a thread: psycopg supports asyncio only."""
        import anyio.to_thread

        return await anyio.to_thread.run_sync(work, *given, abandon_on_cancel=True)

    async def _send(self, ask: Ask[Any], lines: _LoopLines) -> Any:
        for tries in range(1, _TRIES + 2):
            try:
                return await self._once(ask, lines)
            except (Refused, Broken) as failure:
                empty = is_empty_answer(failure, ask)
                prepare = judge(failure, ask, self._connection, tries)
            await self._in_thread(prepare)
            if empty:
                return _EMPTY[ask.op]  # type: ignore[attr-defined]
        raise AssertionError("judge ends this")

    async def _once(self, ask: Ask[Any], lines: _LoopLines) -> Any:
        from psycopg.waiting import wait_async

        try:
            async with asyncio.timeout(self.address.timeout):
                await lines.free.acquire()
        except TimeoutError:
            raise Crowded from None
        try:
            line = lines.idle.pop() if lines.idle else await self._connect()
            try:
                send(line, ask, self.address)
                told = await wait_async(answer(line, self.address.timeout), line.pgconn.socket, INTERVAL)
            except Refused:
                lines.idle.append(line)
                raise
            except BaseException as failure:  # an answer that is left unread would be taken for the next one's
                note_lost(ask, failure)
                line.pgconn.finish()
                lines.close()
                raise
            lines.idle.append(line)
            return told
        finally:
            lines.free.release()

    async def _connect(self) -> Any:
        import psycopg

        from .lines import AsyncLine

        try:
            return await AsyncLine.connect(self.address.url, **self.address.options())
        except psycopg.Error as failure:
            code = connect_code(failure)
        raise Refused(code) if code else OSError

    def _lines(self, loop: asyncio.AbstractEventLoop) -> _LoopLines:
        loops = self._thread_lines.loops
        lines = loops.get(loop)
        if lines is None:
            for old in [other for other in loops if other.is_closed()]:
                loops.pop(old).close()
            lines = loops[loop] = _LoopLines(self.address.connections)
        return lines

    async def close(self) -> None:
        """Close the connections of the running loop. The next use connects again."""
        try:
            lines = self._thread_lines.loops.pop(asyncio.get_running_loop(), None)
        except RuntimeError:
            return  # under trio, commands use the connections of sync callers
        if lines is not None:
            lines.close()


class EndsLine:
    """Sender of ends: they leave before the caller has its content, and a thread reads their answers later.

    An idle connection of sync callers is used. A command is small enough for the buffers of the operating system, so it
    reaches the server even if this process is killed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self) -> None:
        """Connect, unless there is an idle connection."""
        self._connection.open_one()

    def start(self, steps: Any) -> Callable[[], None] | None:
        """Send the first command of ``steps``. Return a function that waits for its answer and does the rest.

        Return None, and start nothing, if sending would have to wait.
        """
        turn = Turn()
        line = self._connection.take(turn, 0)
        if line is None:
            return None
        ask = next(steps)
        try:
            sent = self._send(line, turn, ask)
        except BaseException as failure:
            self._connection.drop(line, turn)
            if not isinstance(failure, Exception):
                raise
            sent = None
        return lambda: self._finish(steps, ask, sent, turn)

    def _send(self, line: Any, turn: Turn, ask: Ask[Any]) -> Any:
        """Return the connection if the command left on it; None if it must be sent the usual way."""
        if not isinstance(ask, protocol.Request) or len(ask.said) > _LARGEST:
            self._connection.give_back(line, turn)
            return None
        send(line, ask, self._connection.address)
        if line.pgconn.flush():
            raise Broken
        return line

    def _finish(self, steps: Any, ask: Ask[Any], line: Any, turn: Turn) -> None:
        from ...core.drive import run
        from ..served.trust import resumed

        run(resumed(steps, ask), self._answering(line, turn))

    def _answering(self, line: Any, turn: Turn) -> Callable[[Ask[Any]], Any]:
        waiting = [line] if line is not None else []

        def answering(ask: Ask[Any]) -> Any:
            if waiting:
                sent = waiting.pop()
                try:
                    told = self._connection.read(sent)
                except BaseException as failure:
                    self._connection.drop(sent, turn)
                    if not isinstance(failure, Exception):
                        raise
                else:
                    self._connection.give_back(sent, turn)
                    return checked(told, self._connection.address)
            return self._connection.send(ask)

        return answering

    def close(self) -> None:
        """Do nothing: the connections are those of sync callers."""
