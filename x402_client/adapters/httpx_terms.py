"""The caller's terms for one request of httpx or httpx2: ``extensions={"x402": {"key": ..., "per_request": ...}}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..buyer.scopes import mandate
from ..errors import ConfigurationError
from ..model.keywords import meant
from ..policy.choice import Mandate

#: What a caller may say of a request.
_TERMS = ("key", "per_request", "quote")
#: Other spellings of our name among a request's extensions. httpx reads none of them, so the key in it would be lost.
_MISSPELT = r"(?i)x[-_ ]?402([-_ ](client|buyer))?"


def terms_of(extensions: Mapping[str, Any], around: Mandate) -> Mandate:
    """Return the terms of a request: its own, and for the rest those of the scopes around it."""
    own = extensions.get("x402")
    for name in extensions:
        if name != "x402" and isinstance(name, str) and re.fullmatch(_MISSPELT, name):
            raise ConfigurationError(f'extensions={{{name!r}: ...}} is not read here; did you mean "x402"?')
    if own is None:
        return around
    if not isinstance(own, Mapping) or not own.keys() <= set(_TERMS):
        raise _not_read(own)
    said = mandate(
        own.get("key", around.key), own.get("per_request", around.per_request), own.get("quote", around.quote)
    )
    return said if around.in_reach else replace(said, in_reach=False)


def _not_read(own: object) -> ConfigurationError:
    """Return the error for terms that are none. Values are not shown: a key of a purchase is private."""
    takes = 'extensions={"x402": {...}} takes "key", "per_request" and "quote"'
    if not isinstance(own, Mapping):
        example = 'extensions={"x402": {"key": "order-42"}}'
        return ConfigurationError(f"{takes}, and not {type(own).__name__}; write {example}.")
    strange = next(str(name) for name in own if name not in _TERMS)
    cure = meant(strange, _TERMS)
    return ConfigurationError(f'{takes}, and not "{strange[:40]}"{f"; {cure}" if cure else "."}')
