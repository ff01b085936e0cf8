"""Tells a client that the official SDK has wrapped: it would pay below ours, outside of every limit."""

from __future__ import annotations

from ..errors import ConfigurationError


def refuse_official(part: object) -> None:
    """Refuse a part of a client that pays by the official SDK (x402 1.x and 2.x): it would pay outside of every limit.

    ``part``: a transport, an adapter, or a hook.
    """
    made_by = type(part if (owner := getattr(part, "__self__", None)) is None else owner)
    if any(base.__module__.partition(".")[0] == "x402" for base in made_by.__mro__):
        raise ConfigurationError(
            f"This client pays already, by {made_by.__name__} of the official x402 SDK, below the limits of this "
            "buyer. Wrap one that the SDK has not touched, like wrap(httpx.AsyncClient(), buyer) or "
            "wrap(requests.Session(), buyer)."
        )
