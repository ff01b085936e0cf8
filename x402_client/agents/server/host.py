"""The host of one call, in the few things that a call wants of it. Each generation of mcp has a class for it."""

from __future__ import annotations

from typing import Any, Protocol


class Host(Protocol):
    """The host that made a call.

    Attributes:
        can_ask: True if it can show a form to its user.
        asks_between: True if a question ends the call, and the answer comes with the same call made once more. So it
            is from protocol 2026-07-28 on. False: it answers in the middle of the call.
    """

    can_ask: bool
    asks_between: bool

    async def progress(self, number: int, message: str) -> None:
        """Tell how the call goes, if the host wants to hear it."""
        ...

    async def ask(self, text: str, schema: dict[str, Any]) -> tuple[Any, Any]:
        """Show a form to the user. Return the action, and the content of the form."""
        ...


def shows_forms(capabilities: Any) -> bool:
    """Return True if the capabilities of a client have forms: ``elicitation: {}`` means them, too."""
    found = getattr(capabilities, "elicitation", None)
    return found is not None and (found.form is not None or found.url is None)
