"""The port through which the flow learns who signed a seller's statement."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..model.statements import Statement
    from .asks import Ask


class StatementChecks(Protocol):
    """The checks of signatures on offers and receipts."""

    def checked(self, statement: Statement, pay_to: str) -> Generator[Ask[Any], Any, Statement]:
        """Return a statement with who signed it. ``pay_to`` is the account that is paid."""
        ...
