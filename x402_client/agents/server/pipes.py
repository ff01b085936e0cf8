"""Serves a host over stdin and stdout, which are the protocol's alone. All else that is written goes to stderr."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from typing import Any

from .tool_calls import ToolCalls

_CHUNK = 65_536


async def serve_host(calls: ToolCalls, release: str) -> None:
    """Serve the host at stdin and stdout until it closes stdin, or a signal asks for the end.

    A call under way is cancelled then. Its payment, if one is out, is presented again by the same call later.

    Args:
        calls: The tools.
        release: The version that the server names.
    """
    import anyio
    from mcp.server.stdio import stdio_server

    generation = "mcp_1" if version("mcp").startswith("1.") else "mcp_2"
    server = import_module(f".{generation}", __package__).server_of(calls, release)
    with _taken() as (reading, writing):
        async with anyio.create_task_group() as side:
            side.start_soon(_end_on_signal, side.cancel_scope)
            output = anyio.wrap_file(writing)
            async with _Lines.of(reading) as lines, stdio_server(lines, output) as (read, write):
                await server.run(read, write, server.create_initialization_options())
            side.cancel_scope.cancel()


@contextmanager
def _taken() -> Iterator[tuple[int, Any]]:
    """Take stdin and stdout for the protocol: a stray print, or a program that is started, cannot touch them."""
    sys.stdout.flush()
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        with open(writing, "w", encoding="utf-8", newline="\n", closefd=False) as output:
            yield reading, output
    finally:
        sys.stdout.flush()
        os.dup2(reading, 0)
        os.dup2(writing, 1)


class _Lines:
    """The lines of a pipe, read in a thread that may stay behind: a read cannot be cancelled."""

    def __init__(self, received: Any) -> None:
        self._received = received

    @classmethod
    @asynccontextmanager
    async def of(cls, pipe: int) -> AsyncIterator[Any]:
        """Yield the lines of a pipe."""
        import asyncio

        import anyio

        send, receive = anyio.create_memory_object_stream[str](float("inf"))
        tell = asyncio.get_running_loop().call_soon_threadsafe
        threading.Thread(target=_read, args=(pipe, send, tell), name="x402-stdin", daemon=True).start()
        with receive, send:
            yield cls(receive)

    def __aiter__(self) -> Any:
        return self._received.__aiter__()


def _read(pipe: int, send: Any, tell: Any) -> None:
    """Pass on the lines of a pipe until it ends, or until the loop is closed."""
    rest = b""
    with suppress(RuntimeError, OSError):
        while chunk := os.read(pipe, _CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                tell(_put, send, line.decode("utf-8", "replace"))
    with suppress(RuntimeError):
        tell(send.close)


def _put(send: Any, line: str) -> None:
    import anyio

    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the server has ended
        send.send_nowait(line)


async def _end_on_signal(scope: Any) -> None:
    """End when another program asks for it. Where there are no signals, the end of stdin is the only one."""
    import anyio

    named = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Event loops without signals, as on Windows, raise NotImplementedError when they are asked for some.
    with suppress(NotImplementedError), anyio.open_signal_receiver(*named) as signals:
        async for _ in signals:
            scope.cancel()
            return
