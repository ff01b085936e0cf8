"""Payments whose instructions are counted: ``python -m tests.soak.benchmarks.counted COLOUR URL COUNT CASE ...``."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from . import wire
from .counter import Counter

#: Payments before those that count: so that the code has run, and once more so that the connection is open.
_WARM, _AGAIN = 20, 3
SOLANA = ("solana", "hinted")


def requests(how: str, url: str) -> list[wire.Request]:
    """Return what one payment of a case asks for."""
    if how == "bare once":
        return [wire.paid(f"{url}/free")]
    who, _, kind = how.partition(" of ")
    place = f"{url}/{kind or 'evm2'}"
    return wire.by_hand(place) if who == "bare twice" else [wire.paid(place)]


def client(how: str, colour: str, url: str) -> Any:
    """Return a client that pays as a case says: ``floor of solana``, or ``floor``, which is ``floor of evm2``."""
    who, _, kind = how.partition(" of ")
    if who == "official":
        from .official import client as official  # it has an environment of its own

        return official(colour, url)
    from .contenders import client as contender

    return contender(who, colour, rpc=url if kind in SOLANA else "")


def pay(how: str, colour: str, url: str, count: int, counting: AbstractContextManager[None]) -> None:
    """Pay a few times, and then ``count`` times inside a context."""
    asked = requests(how, url)
    if colour not in wire.ASYNC:
        with client(how, colour, url) as made:
            wire.buy(made, asked * _AGAIN)
            _settle()
            with counting:
                wire.buy(made, asked * count)
        return

    async def work() -> None:
        async with client(how, colour, url) as made:
            await wire.abuy(made, asked * _AGAIN)
            _settle()
            with counting:
                await wire.abuy(made, asked * count)

    asyncio.run(work())


def _settle() -> None:
    """Let each count begin with the same garbage, which is none, and leave what is old out of later collections."""
    gc.collect()
    gc.freeze()


def _count_the_clocks() -> None:
    """Let the clocks count how often they are asked.

    On a busy machine more time passes, and what looks at a clock (a budget's minutes, a watch) finds more to do.
    """
    time.time = itertools.count(1.8e9, 1e-4).__next__
    time.monotonic = itertools.count(1e6, 1e-4).__next__
    time.clock_gettime = partial(next, itertools.count(1e6, 1e-4))


def main(colour: str, url: str, count: str, *cases: str) -> None:
    _count_the_clocks()
    for how in cases:
        pay(how, colour, url, _WARM, nullcontext())
    counter = Counter()
    counter.start()
    for how in cases:
        pay(how, colour, url, int(count), counter.counted(how))


if __name__ == "__main__":
    main(*sys.argv[1:])
