"""Judges a challenge of sign-in-with-x: it is about the seller that asked, and about now. Pure: the time is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ..model.hosts import MCP, Origin
from ..model.offers import SignIn, quoted

#: A challenge is made for the 402 that it came in. Servers take it for five minutes.
_AGE = timedelta(minutes=5)
#: By this much a seller's clock may be ahead of ours, or ours behind.
_SKEW = timedelta(minutes=1)


def challenge_objection(challenge: SignIn, origin: Origin, now: float) -> str | None:
    """Return why a challenge that ``origin`` made is not signed at this time, or None.

    A signature is a login: one about another place would open that place to this seller.
    """
    return challenge.reason or _place(challenge, origin) or _time(challenge, datetime.fromtimestamp(now, UTC))


def _place(challenge: SignIn, origin: Origin) -> str | None:
    if origin.scheme == MCP:
        return "an MCP server without an address has no host that it could name"
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    # Older servers leave the port out. The uri has it.
    if challenge.domain.lower() not in (host, f"{host}:{origin.port}"):
        return f"it is for {quoted(challenge.domain, 60)}, and {origin} asked"
    for name, url in (("uri", challenge.uri), *(("resources", one) for one in challenge.resources)):
        if _origin(url) != origin:
            return f"its {name} leads to another place than {origin}, which asked"
    return None


def _origin(url: str) -> Origin | None:
    """Return the origin of a URL. None: it has none, or a name or password in front of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc or "\\" in url:
        return None
    return Origin.of(parts.scheme, parts.hostname, port)


def _time(challenge: SignIn, now: datetime) -> str | None:
    issued, ends, begins = map(_moment, (challenge.issued, challenge.expires, challenge.not_before))
    if issued is None or (challenge.expires and ends is None) or (challenge.not_before and begins is None):
        return "it names a time that no calendar has"
    if now - issued > _AGE:
        return f"it was made at {_shown(issued)}, more than five minutes ago; an old one may be used already"
    if issued - now > _SKEW:
        return f"it was made at {_shown(issued)}, which is still to come; is this machine's clock right?"
    if ends is not None and ends <= now:
        return f"it ended at {_shown(ends)}"
    if begins is not None and begins - now > _SKEW:
        return f"it begins at {_shown(begins)} only"
    return None


def _moment(text: str) -> datetime | None:
    """Return a time as the wire writes it. None: there is none, or no calendar has it."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
