"""Returns the outcome and the receipt that a paid response carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model.holds import Outcome
from .model.offers import Receipt

if TYPE_CHECKING:
    pass


def receipt(response: Any) -> Receipt | None:
    """Return the receipt of a paid response of any of the HTTP libraries.

    None if nothing was paid or no receipt came.
    """
    found = outcome(response)
    return found.receipt if found else None


def outcome(response: Any) -> Outcome | None:
    """Return the outcome that a paid response carries.

    Where redirects were followed, it is that of the hop that was paid.
    """
    hops = [response, *reversed(getattr(response, "history", None) or [])]
    return next((found for found in map(_attached, hops) if found is not None), None)


def _attached(response: Any) -> Outcome | None:
    extensions = getattr(response, "extensions", None)
    found = extensions.get("x402") if isinstance(extensions, dict) else getattr(response, "x402", None)
    return found if isinstance(found, Outcome) else None
