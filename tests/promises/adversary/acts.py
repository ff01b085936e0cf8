"""What users do beside calling: with allowances, with purchases, and with a look at what could still be taken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from x402_client import errors
from x402_client.model.allowances import allowance_account

from . import events
from .broken import TERMS, Broken

if TYPE_CHECKING:
    from .play import World


def _mark(world: World, event: events.Mark) -> None:
    with contextlib.suppress(errors.X402Error):
        allowance = world.programs[event.program].allowance(0, event.place)
        getattr(allowance, event.how)()
        world.books.allowed.marked(allowance_account(allowance.name), event.how)


def _open_otherwise(world: World, event: events.OpenOtherwise) -> None:
    program = world.programs[event.program]
    with contextlib.suppress(errors.X402Error):
        if world.setting.tree[event.place - 1].lasts:
            program.allowance(0, event.place)
            program.open_otherwise(event.place, event.term)
            raise Broken(TERMS, f"allowance {event.place} was opened with another one of these: {event.term}")


def _write_off(world: World, event: events.WriteOff) -> None:
    world.books.user_gives_up = True
    try:
        buyer = world.programs[0].buyer(0)
        for hold in buyer.holds():
            with contextlib.suppress(errors.X402Error):
                buyer.write_off(hold)
    except errors.X402Error:
        pass
    finally:
        world.books.user_gives_up = False


def _look(world: World, event: events.Look) -> None:
    """Look while nothing runs, or what is shown is over before it is judged."""
    world.let_go()
    with contextlib.suppress(errors.X402Error):
        buyer = world.programs[event.program if world.machine.shared else 0].buyer(0)
        world.books.exposed.look(buyer.exposures(), 0)


def _reconcile(world: World, event: events.Reconcile) -> None:
    world.let_go()
    with contextlib.suppress(errors.X402Error):
        world.programs[event.program if world.machine.shared else 0].buyer(0).reconcile()


ACTS: dict[type[events.Event], Callable[[World, Any], None]] = {
    events.Mark: _mark, events.OpenOtherwise: _open_otherwise, events.WriteOff: _write_off, events.Look: _look,
    events.Reconcile: _reconcile,
}  # fmt: skip
