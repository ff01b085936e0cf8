"""Receipt and outcome of a paid response, or of an exception: what happened to the money."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence

from .errors import X402Error, causes
from .model.holds import Outcome
from .model.offers import Receipt


def receipt(response: object) -> Receipt | None:
    """Return the receipt of a paid response of any HTTP library. None if nothing was paid or no receipt came.

    Args:
        response: A response of httpx, httpx2, requests or aiohttp.
    """
    found = outcome(response)
    return found.receipt if found else None


def outcome(response: object) -> Outcome | None:
    """Return the outcome of a paid response, or of an exception. None if nothing was signed for it.

    If redirects were followed, it is the outcome of the hop that was paid. For an exception, its causes are searched
    too, and a response that one of them has. One of our errors has an outcome if a payment of its call is out: its
    ``money``, its ``hold`` and its ``offer``, and the receipt if one is known.

    Args:
        response: A response of httpx, httpx2, requests or aiohttp, or an exception.

    Raises:
        TypeError: It is a coroutine that was not awaited, a buyer, a client, a session, or a body, such as
            ``response.json()``.
    """
    if not isinstance(response, BaseException):
        _check(response)
        return _of_response(response)
    for failure in causes(response):
        found = _of_exception(failure)
        if found is not None or isinstance(failure, X402Error):  # what caused one of ours may be about another call
            return found
    return None


#: What bodies are read as. They know of no payment.
_BODIES = (str, bytes, bytearray, bool, int, float, dict, list, tuple)


def _check(response: object) -> None:
    """Raise if it is a clear mistake. What is not known may be the response of some library, and has no outcome."""
    kind = type(response)  # not the instance: a property of an unknown class may fail
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind in _BODIES:  # None would say of a payment that there was none
        raise TypeError(
            f"a {kind.__name__} is neither a response nor an exception: give the response itself, not its body, its "
            ".json() or its URL."
        )
    if isinstance(response, Coroutine):
        raise TypeError(f"{name} is not awaited yet: await it, and give the response, as in outcome(await ...).")
    methods = {each for each in ("get", "request", "call_tool", "write_off") if callable(getattr(kind, each, None))}
    if methods >= {"get", "request"} or methods & {"call_tool", "write_off"}:
        raise TypeError(f"{name} is neither a response nor an exception: give what one of its requests returned.")


def _of_error(error: X402Error) -> Outcome | None:
    hold = error.hold
    if hold is None or hold.authorization is None or error.money == "untouched":
        return None
    return Outcome(error.money, hold, error.offer or hold.offer, hold.receipt)


def _of_exception(failure: BaseException) -> Outcome | None:
    if isinstance(failure, X402Error) and (told := _of_error(failure)) is not None:
        return told
    facts = vars(failure)  # not getattr: a property of an unknown class may fail
    request = getattr(facts.get("_request"), "extensions", None)  # of httpx, if it gave up following redirects
    hops = request.get("x402_client.hops") if isinstance(request, dict) else None
    own = facts.get("outcome") or getattr(hops, "outcome", None)
    if isinstance(own, Outcome):
        return own
    answers = (facts.get("response"), *_latest_first(facts.get("history")))
    return next((found for found in map(_of_response, answers) if found is not None), None)


def _of_response(response: object) -> Outcome | None:
    hops = (response, *_latest_first(getattr(response, "history", None)))
    return next((found for found in map(_attached, hops) if found is not None), None)


def _latest_first(history: object) -> Sequence[object]:
    return history[::-1] if isinstance(history, (list, tuple)) else ()


def _attached(response: object) -> Outcome | None:
    # httpx's responses have the first, and results of MCP tools the second.
    for name in ("extensions", "__pydantic_private__"):
        facts = getattr(response, name, None)
        if isinstance(facts, dict) and isinstance(found := facts.get("x402"), Outcome):
            return found
    found = getattr(response, "x402", None)
    return found if isinstance(found, Outcome) else None
