"""Makes a failing script shorter: leaves out what it fails without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from .clock import real
from .events import Call, LoseLog, Plan, Script, Setting, Together
from .play import World

#: Real seconds that this may take.
MOST = 90.0


def shrunk(world: World, script: Script, oracle: str, alphabet: frozenset[str]) -> Script:
    """Return a shorter script that breaks the same promise."""
    until = real() + MOST

    def fails(one: Script) -> bool:
        for _ in range(2):
            found = world.play(one, alphabet)
            if found is not None and found.oracle == oracle:
                return True
        return False

    better = True
    while better and real() < until:
        better = False
        for candidate in _shorter(script):
            if real() > until:
                break
            if fails(candidate):
                script, better = candidate, True
                break
    return script


def _shorter(script: Script) -> Iterator[Script]:
    events = script.events
    for size in (8, 4, 2, 1):
        if size < len(events):
            for at in range(len(events) - size, -1, -1):
                yield replace(script, events=events[:at] + events[at + size :])
    for at, event in enumerate(events):
        for simpler in _simpler(event):
            yield replace(script, events=(*events[:at], simpler, *events[at + 1 :]))
    # Events name places of the tree, so it stays.
    for setting in _plainer(script.setting, Setting(ledger=script.setting.ledger, budget=20, tree=script.setting.tree)):
        yield replace(script, setting=setting)


def _simpler(event: Any) -> Iterator[Any]:
    if isinstance(event, Together):
        for at in range(len(event.calls)):
            yield Together(event.calls[:at] + event.calls[at + 1 :])
        if len(event.calls) == 1:
            yield event.calls[0]
    if isinstance(event, LoseLog):
        for call in _simpler(event.call):
            yield replace(event, call=call)
    if isinstance(event, Call):
        for plan in _plainer(event.plan, Plan()):
            yield replace(event, plan=plan)
        if len(event.plan.pays) > 1:
            yield replace(event, plan=replace(event.plan, pays=event.plan.pays[:1]))
        if len(event.plan.lead) > 1:
            yield replace(event, plan=replace(event.plan, lead=event.plan.lead[:1]))
        yield from _plainer(event, Call(at=event.at if event.stop != "read" else 0))


def _plainer(given: Any, usual: Any) -> Iterator[Any]:
    """Yield copies with one more thing as usual."""
    for place in fields(given):
        value = getattr(usual, place.name)
        if getattr(given, place.name) != value:
            yield replace(given, **{place.name: value})
