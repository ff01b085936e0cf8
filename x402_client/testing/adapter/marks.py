"""Search of a native response or an exception for everything that a caller can reach by public names."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ...buyer.buyer import Buyer

#: The most steps that are followed from the start, and the most things that are looked at.
_DEPTH, _MOST = 4, 4_000
#: Not followed: a buyer's own ledger has to keep the payment, and Python's own parts refer to everything.
_NOT_FOLLOWED = (Buyer, ModuleType, type, FunctionType, MethodType, BuiltinFunctionType)
_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None))


def reachable(start: Any) -> Iterator[tuple[str, Any]]:
    """Yield everything that public attributes and containers refer to, each once, with the path to it."""
    seen: set[int] = set()
    kept: list[Any] = []  # so that no id is used twice
    waiting = deque([("it", start, 0)])
    while waiting and len(seen) < _MOST:
        way, thing, depth = waiting.popleft()
        if id(thing) in seen or isinstance(thing, _NOT_FOLLOWED):
            continue
        seen.add(id(thing))
        kept.append(thing)
        yield way, thing
        if depth < _DEPTH and not isinstance(thing, _PLAIN):
            waiting.extend((f"{way}{step}", found, depth + 1) for step, found in _parts(thing))


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of one thing: the items of a container, and the public attributes of anything else."""
    if isinstance(thing, Mapping):
        for key, value in list(thing.items()):
            yield f"[key {_named(key)}]", key
            yield f"[{_named(key)}]", value
    elif isinstance(thing, (list, tuple, Set, deque)):
        yield from ((f"[{number}]", value) for number, value in enumerate(thing))
    yield from _attributes(thing)


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    extra = ("__cause__", "__context__", "__notes__") if isinstance(thing, BaseException) else ()
    for name in (*dir(thing), *extra):
        if name.startswith("_") and name not in extra:
            continue
        try:
            value = getattr(thing, name)
        except BaseException:  # noqa: S112 - a property may raise anything
            continue
        if not callable(value) or hasattr(value, "headers"):
            yield f".{name}", value


def _named(key: object) -> str:
    return repr(key)[:40]


def marks(native: Any) -> list[str]:
    """Return the paths that have this package's name in them: in keys of mappings, or names of attributes."""
    return [way for way, thing in reachable(native) if "x402" in way.lower() and thing is not None]
