"""Reads the names of networks in options."""

from __future__ import annotations

from ..model.networks import caip2, network_problem
from .exits import Code
from .running import Stop


def network_named(name: str) -> str:
    """Return the CAIP-2 name of a network. A word for several networks, or for none, is refused as in a policy."""
    problem, found = network_problem(name), caip2(name)
    if problem is not None or found is None:
        raise Stop(Code.USAGE, f"--network: {problem}")
    return found
