"""The exchange that all HTTP faces share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..buyer.buyer import Buyer


def check_buyer(given: Buyer) -> None:
    """Refuse what is no buyer. A program with a buyer has imported its module; a face alone does without."""
    from ..buyer.buyer import Buyer

    if not isinstance(given, Buyer):
        raise ConfigurationError(f"buyer is a Buyer, not {type(given).__name__}.")
