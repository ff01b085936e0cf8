"""Cures of a mistaken ``hosts`` of a ``Policy``: names in a list, a word for a rule. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from ..errors import ConfigurationError
from ..model.hosts import Pattern
from ..model.money import Money
from .limits import LIMIT_KEYWORDS, Limit, denies

_LISTING = "A host that is not listed is paid too, within the overall limits, unless only_listed_hosts=True."


def instead_of_hosts(written: object) -> str:
    """Return what to write where ``hosts`` is no table."""
    if isinstance(written, Limit):
        return f'Write hosts={{"api.example.com": {written!r}}}.'
    if isinstance(written, str) and denies(written):
        return 'Write hosts={"bad.example": "deny"}.'
    return instead_of_flag(written) or 'Write hosts={"api.example.com": Limit(per_day="1")}.'


def instead_of_flag(written: object) -> str:
    """Return what to write for hosts that alone are to be paid; "" if ``written`` names none."""
    names = [written] if isinstance(written, str) else written
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(_is_host(name) for name in names) or not names:
        return ""
    table = ", ".join(f'"{name}": Limit()' for name in sorted(names)[:3])
    return f"To pay these hosts and no others, write only_listed_hosts=True, hosts={{{table}}}."


def _is_host(name: object) -> bool:
    with contextlib.suppress(ConfigurationError):
        return isinstance(name, str) and "." in name and bool(Pattern.parse(name))
    return False


def instead_of_rule(rule: object) -> str:
    """Return what to write where the rule for a host is none."""
    if isinstance(rule, str) and denies(rule):
        return 'Write "deny".'
    if isinstance(rule, Mapping):
        known = {str(name): value for name, value in rule.items() if name in LIMIT_KEYWORDS}
        inside = ", ".join(f"{name}={value!r}" for name, value in known.items()) or 'per_request="0.10"'
        return f"Write Limit({inside}), for example."
    with contextlib.suppress(ConfigurationError):
        return f'Write Limit(per_request="{Money(rule)}"), for example.'  # type: ignore[arg-type]
    with contextlib.suppress(ConfigurationError):
        if isinstance(rule, str):
            return f"Write Limit({Limit(max_payments=rule).shown[0]}), for example."
    if isinstance(rule, float):
        return f'Write Limit(per_request="{abs(rule):.2f}"), for example.'
    return f'{_LISTING} To list it, write Limit(per_day="1"), for example; to pay nothing there, write "deny".'
