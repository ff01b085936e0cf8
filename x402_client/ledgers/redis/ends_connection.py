"""Connection for ends of purchases: they are sent before the caller has its content, without waiting for the server.

Strategy: a separate connection, opened before it is needed. Commands on it are small, and only few may be without an
answer at a time. So they always fit into the buffers of the operating system, and reach the server even if this process
is killed. A thread reads the answers later, in their order. A command that could not be sent like this, or whose answer
was lost, is sent the usual way: a step that is sent twice is done once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...core.asks import Ask
from ...core.drive import run
from ..served import protocol
from ..served.trust import Steps, resumed
from .connections import Connection, commands_of, read_answer

#: Bytes of one command, and commands without an answer, at most. The buffers of all systems in use hold more than that.
_LARGEST, _MOST = 4_096, 3


@dataclass(slots=True, eq=False)
class _Sent:
    """Command that was sent, until its answer is read. ``failed`` is True if none will come."""

    line: Any
    answer: Any = None
    failed: bool = False
    done: bool = False


class EndsConnection:
    """Connection for ends only. Safe between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending, self._reading = threading.Lock(), threading.Lock()
        self._line: Any = None
        #: Commands without an answer yet, oldest first.
        self._unanswered: deque[_Sent] = deque()
        self._closed = False

    def open(self) -> None:
        """Connect, unless it is connected. After a failure the next call tries again."""
        with self._sending:
            self._closed = False
            if self._is_open():
                return
        with suppress(Exception):  # the step that needs the server says what is wrong with it
            line = self._connection.new_line()
            with self._sending:
                if self._line is None and not self._closed:
                    self._line, line = line, None
            if line is not None:
                line.disconnect()

    def start(self, steps: Steps[None]) -> Callable[[], None] | None:
        """Send the first command of ``steps``. Return a function that waits for its answer and does the rest.

        Return None, and start nothing, if sending would have to wait.
        """
        with self._sending:
            if not self._is_open() or len(self._unanswered) >= _MOST:
                return None
            ask = next(steps)
            sent = self._send(ask)
        return lambda: self._finish(steps, ask, sent)

    def close(self) -> None:
        """Close the connection, until it is opened again. Commands without an answer are sent again, the usual way."""
        with self._sending:
            self._closed = True
            self._give_up()

    def _is_open(self) -> bool:
        """Return True if commands can be sent."""
        line = self._line
        if line is None or self._unanswered:
            return line is not None
        with suppress(Exception):
            if not line.can_read():  # a server that hung up has left the end of the connection to be read
                return True
        self._line = None
        line.disconnect()
        return False

    def _send(self, ask: Ask[Any]) -> _Sent | None:
        if not isinstance(ask, protocol.Request):
            return None
        packed = self._line.pack_commands(commands_of(ask, self._connection.address))
        if sum(map(len, packed)) > _LARGEST:
            return None
        try:
            self._line.send_packed_command(packed, check_health=False)
        except BaseException as failure:  # the server may have half a command, and read the next one as its rest
            self._give_up()
            if not isinstance(failure, Exception):
                raise
            return None
        self._unanswered.append(sent := _Sent(self._line))
        return sent

    def _finish(self, steps: Steps[None], ask: Ask[Any], sent: _Sent | None) -> None:
        try:
            run(resumed(steps, ask), self._answering(sent))
        finally:
            if self._closed:  # the usual connection may have been opened again for this step
                self._connection.close()

    def _answering(self, sent: _Sent | None) -> Callable[[Ask[Any]], Any]:
        """Return a function that answers the asks of some steps. Their first ask may have been sent."""
        waiting = [sent] if sent is not None else []

        def answer(ask: Ask[Any]) -> Any:
            if waiting:
                first = waiting.pop()
                self._read_to(first)
                if not first.failed:
                    return first.answer
            return self._connection.send(ask)

        return answer

    def _read_to(self, sent: _Sent) -> None:
        """Read answers, in the order of their commands, up to this one."""
        with self._reading:
            while True:
                with self._sending:
                    if sent.done:
                        return
                    first = self._unanswered[0]
                try:
                    first.answer = read_answer(first.line, self._connection.address)
                except BaseException as failure:  # its answer may still come, and be taken for the next one's
                    with self._sending:
                        self._give_up()
                    if not isinstance(failure, Exception):
                        raise
                else:
                    with self._sending:
                        if not first.done:
                            first.done = True
                            self._unanswered.popleft()

    def _give_up(self) -> None:
        """Close the connection. Commands without an answer get none."""
        line, self._line = self._line, None
        while self._unanswered:
            each = self._unanswered.popleft()
            each.failed = each.done = True
            line = line or each.line
        if line is not None:
            with suppress(Exception):
                line.disconnect()
