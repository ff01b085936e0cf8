"""What every seller sells, so that the same test can be run against each of them."""

from __future__ import annotations

import hashlib
from typing import Any

GET_PRICE = "$0.01"
POST_PRICE = "$0.02"
CEILING = "$0.05"
STREAM = bytes(range(256)) * 1024
STREAM_PIECE = 16 * 1024
VALID_SECONDS = 60


def goods() -> dict[str, Any]:
    return {"goods": "paid"}


def sample() -> dict[str, Any]:
    return {"goods": "free"}


def echo(body: bytes, content_type: str | None) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body), "content_type": content_type}


def pieces() -> list[bytes]:
    return [STREAM[start : start + STREAM_PIECE] for start in range(0, len(STREAM), STREAM_PIECE)]
