"""Says what would allow a price that is too high: whose limit decides, and which other limits stand in the way."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..model.budgets import Cap
from ..model.money import Money

#: What to raise, by whose limit decides. An ending from ``ending`` follows.
RAISE_POLICY = "A higher per_request in the Policy"
RAISE_HOST = "A higher per_request in the hosts entry {!r} of the Policy"
RAISE_OWN = "A higher buyer.purchase(per_request=...) allows it, as far as the Policy does."
RAISE_ALLOWANCE = "Another allowance than {}, with a higher per_request, allows it, as far as the Policy does."
_BY_HOST = RAISE_HOST.replace("{!r}", "'([^']*)'")
#: A cure in a message: the host's entry, if its limit decides, and the ending without its full stop.
CURE = re.compile(rf"(?:{RAISE_POLICY}|{_BY_HOST}) allows it(.*?)\.(?= Nothing was paid)")


def ending(asked: Money, caps: Iterable[Cap]) -> str:
    """Return how a cure ends. A budget that is smaller than the price is named: with it, the cure alone is none."""
    budgets = [cap for cap in caps if cap.currency is not None]
    short = [str(cap) for cap in budgets if cap.most < asked.units]
    if short:
        return f" allows it only together with more than {' and '.join(short)}."
    return " allows it, as far as the other limits do." if budgets else " allows it."
