"""Remembers what cut paid answers short, as long as the process lives: the errors of later calls name it."""

from __future__ import annotations

from collections import OrderedDict

from ..model.holds import Hold

#: The most answers that are remembered.
_MOST = 1_000
_interrupted: OrderedDict[tuple[str, str], str] = OrderedDict()


def note(hold: Hold, failure: BaseException) -> None:
    """Remember what was raised before the end of an answer."""
    _keep(hold, f"because of {type(failure).__name__}")


def note_closing(hold: Hold) -> None:
    """Remember that a client was closed before the end of an answer."""
    _keep(hold, "because its client was closed")


def _keep(hold: Hold, why: str) -> None:
    _interrupted[_key(hold)] = why
    if len(_interrupted) > _MOST:
        _interrupted.popitem(last=False)


def forget(hold: Hold) -> None:
    """Forget a purchase that is resolved."""
    _interrupted.pop(_key(hold), None)


def remark(hold: Hold) -> str:
    """Return a sentence for an error's message about this hold. "" if no answer was cut short."""
    why = _interrupted.get(_key(hold))
    if why is None:
        return ""
    return (
        f" An earlier answer to this payment was left before its end {why}, so it counts as not delivered; "
        "a caller who has all that is needed says so with outcome(response).accept()."
    )


def _key(hold: Hold) -> tuple[str, str]:
    # Ids are one ledger's own: with the purchase they are told apart.
    return hold.id, hold.purchase.id
