"""Finds a ``with`` block around a ``yield`` whose generator is stepped in a context of its own each time.

Strategy: what a block sets in a context is there after a ``yield`` only if the next step runs in the same context.
Frameworks run the steps of a plain generator in worker threads, and those of an async one in tasks, each in a copy.
Both show in the stack when the block is entered: the generator, and outside of it nothing but what makes one step.
"""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR, CO_ITERABLE_COROUTINE
from types import CodeType, FrameType
from typing import Any

#: What makes one step of a generator, or enters what it is given, and returns with the block still open.
_ONE_STEP = {
    ("contextlib", "__enter__"), ("contextlib", "__aenter__"), ("contextlib", "enter_context"),
    ("contextlib", "enter_async_context"), ("starlette.concurrency", "_next"), ("asyncio.tasks", "_wrap_awaitable"),
}  # fmt: skip
#: What calls a function in a worker thread.
_WORKERS = {
    ("anyio._backends._asyncio", "run"), ("concurrent.futures.thread", "run"), ("threading", "run"),
    ("trio._threads", "worker_fn"),
}  # fmt: skip
#: What runs a task, and nothing else in its context.
_TASKS = {
    ("asyncio.events", "_run"), ("anyio._core._tasks", "_run_coro"), ("trio._core._run", "python_wrapper"),
    ("trio._core._run", "unrolled_run"),
}  # fmt: skip
#: What serves an application's start and end, apart from all of its requests.
_LIFESPANS = {("starlette.routing", "lifespan"), ("uvicorn.lifespan.on", "main")}
_AWAITING = {
    "SEND", "YIELD_VALUE", "RESUME", "JUMP_BACKWARD_NO_INTERRUPT", "END_SEND", "LOAD_CONST", "CLEANUP_THROW", "CACHE",
}  # fmt: skip


def entering_frame() -> FrameType | None:
    """Return the frame that enters a block, for its ``__enter__``. None: this Python shows no frames."""
    look = getattr(sys, "_getframe", None)
    return look(2) if look else None


def lost_block(frame: FrameType | None) -> str | None:
    """Return why a block is lost: it is around the ``yield`` of a generator, or another call leaves it.

    None: the block may hold. It is known to be lost only if each frame is of a kind that is known.

    Args:
        frame: The frame that enters the block.
    """
    generator: FrameType | None = None
    called = True  # what this frame runs is a call that returns, and no step of a generator
    while frame is not None:
        place = _place(frame)
        if place in _ONE_STEP:
            called = True
        elif _is_generator(frame):
            if not (_yields_in_block if called else _yields_each)(frame.f_code, frame.f_lasti):
                return None
            generator, called = frame, False
        elif place in _WORKERS:
            return _said(generator, "worker thread") if called or _makes_a_step(frame) else None
        elif place in _TASKS:
            if generator is not None and not called and not generator.f_code.co_flags & CO_ASYNC_GENERATOR:
                return _said(generator, "callback") if _makes_a_step(frame) else None
            return None if _in_the_runners_own(frame) else _said(generator, "task")
        else:
            return None
        frame = frame.f_back
    return None


def in_a_lifespan(frame: FrameType | None) -> bool:
    """Return True if a block around the ``yield`` of an application's lifespan is entered here.

    Args:
        frame: The frame that enters the block.
    """
    if frame is None or not (_is_generator(frame) and _yields_in_block(frame.f_code, frame.f_lasti)):
        return False
    found: FrameType | None = frame
    while found is not None:
        if _place(found) in _LIFESPANS:
            return True
        found = found.f_back
    return False


def _place(frame: FrameType) -> tuple[Any, str]:
    return frame.f_globals.get("__name__"), frame.f_code.co_name


def _said(generator: FrameType | None, runner: str) -> str:
    if generator is None:
        return f"it is entered by a call of its own in a {runner}"
    return f"the steps of {generator.f_code.co_qualname} run in {runner}s, each in a context of its own"


def _is_generator(frame: FrameType) -> bool:
    flags = frame.f_code.co_flags
    return bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR)) and not flags & CO_ITERABLE_COROUTINE


@lru_cache(maxsize=256)
def _yields_in_block(code: CodeType, at: int) -> bool:
    """Return True if there is a ``yield`` in the ``with`` or ``try`` block that goes on after this instruction."""
    after = (each for each in dis.get_instructions(code) if each.offset > at and each.opname not in _AWAITING)
    following = next(after, None)
    home = None if following is None else _handler(code, following.offset)
    if home is None or any(each.opname == "CALL_INTRINSIC_1" for each in _first(code, home)):
        return False  # the last one is around all of a generator, and no block
    return any(_is_inside(code, offset, home) for offset in _yields(code))


@lru_cache(maxsize=256)
def _yields_each(code: CodeType, at: int) -> bool:
    """Return True if what is at this instruction steps another generator, and yields at each step: a delegate."""
    found = [each for each in dis.get_instructions(code) if each.opname != "CACHE"]
    place = next((number for number, each in enumerate(found) if each.offset >= at), 0)
    if found[place].opname in ("SEND", "YIELD_VALUE") and not code.co_flags & CO_ASYNC_GENERATOR:
        return True  # yield from
    heads = [each.offset for each in found[max(0, place - 4) : place + 1] if each.opname in ("FOR_ITER", "GET_ANEXT")]
    if not heads:
        return False
    jumps = [each for each in found if each.opname == "JUMP_BACKWARD" and heads[-1] - 6 <= each.argval <= heads[-1]]
    return any(heads[-1] < offset < jumps[-1].offset for offset in _yields(code) if jumps)


def _yields(code: CodeType) -> list[int]:
    """Return where a generator goes on after its ``yield`` and ``yield from``, apart from its ``await``."""
    return [
        each.offset for each in dis.get_instructions(code) if each.opname == "RESUME" and (each.arg or 0) & 3 in (1, 2)
    ]


def _handler(code: CodeType, offset: int) -> int | None:
    """Return where an exception of this instruction is handled."""
    entries: Any = getattr(dis.Bytecode(code), "exception_entries", ())
    return next((entry.target for entry in entries if entry.start <= offset < entry.end), None)


def _is_inside(code: CodeType, offset: int | None, home: int) -> bool:
    """Return True if an exception of this instruction comes to that handler, at once or by way of others."""
    passed: set[int] = set()
    while offset is not None and offset not in passed:
        passed.add(offset)
        offset = _handler(code, offset)
        if offset == home:
            return True
    return False


def _first(code: CodeType, offset: int) -> list[dis.Instruction]:
    return [each for each in dis.get_instructions(code) if each.offset >= offset][:1]


def _makes_a_step(frame: FrameType) -> bool:
    """Return True if a worker was given ``next``, ``__next__`` or ``send`` to call, and not ``list`` or ``sum``."""
    waiting, passed = list(frame.f_locals.values()), 0
    while waiting and passed < 50:
        value, passed = waiting.pop(), passed + 1
        if value is next or getattr(value, "__name__", None) in ("__next__", "send"):
            return True
        if isinstance(value, tuple):
            waiting.extend(value)
        else:  # of a partial, a work item, a thread
            parts = ("func", "args", "fn", "task", "_target", "_args", "_callback")
            waiting.extend(part for name in parts if (part := getattr(value, name, None)) is not None)
    return False


def _in_the_runners_own(frame: FrameType) -> bool:
    """Return True if a task runs in the context of an ``asyncio.Runner``, which is that of all its runs."""
    own, found = getattr(frame.f_locals.get("self"), "_context", None), frame.f_back
    while found is not None:
        if _place(found) == ("asyncio.runners", "run"):
            return own is not None and getattr(found.f_locals.get("self"), "_context", None) is own
        found = found.f_back
    return False
