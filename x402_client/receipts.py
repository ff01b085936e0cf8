"""Receipt and outcome of a paid response, or of an exception: what happened to the money."""

from __future__ import annotations

from .errors import causes
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
    """Return the outcome that a paid response or an exception carries. None if it carries none.

    If redirects were followed, it is the outcome of the hop that was paid. For an exception, its causes are searched
    too, and a response that one of them has.

    Args:
        response: A response of httpx, httpx2, requests or aiohttp, or an exception.
    """
    found = map(_of_exception, causes(response)) if isinstance(response, BaseException) else [_of_response(response)]
    return next((one for one in found if one is not None), None)


def _of_exception(failure: BaseException) -> Outcome | None:
    facts = vars(failure)  # not getattr: a property of an unknown class may fail
    request = getattr(facts.get("_request"), "extensions", None)  # of httpx, if it gave up following redirects
    hops = request.get("x402_client.hops") if isinstance(request, dict) else None
    own = facts.get("outcome") or getattr(hops, "outcome", None)
    if isinstance(own, Outcome):
        return own
    answers = (facts.get("response"), *reversed(facts.get("history") or ()))
    return next((found for found in map(_of_response, answers) if found is not None), None)


def _of_response(response: object) -> Outcome | None:
    hops = [response, *reversed(getattr(response, "history", None) or [])]
    return next((found for found in map(_attached, hops) if found is not None), None)


def _attached(response: object) -> Outcome | None:
    # httpx's responses have the first, and results of MCP tools the second.
    for name in ("extensions", "__pydantic_private__"):
        facts = getattr(response, name, None)
        if isinstance(facts, dict) and isinstance(found := facts.get("x402"), Outcome):
            return found
    found = getattr(response, "x402", None)
    return found if isinstance(found, Outcome) else None
