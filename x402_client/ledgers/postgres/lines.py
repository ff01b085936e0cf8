"""Connections as psycopg makes them, which end with their ledger without a warning. Imported when one is opened."""

from __future__ import annotations

from typing import Any

import psycopg


class Line(psycopg.Connection[Any]):
    """Connection for sync callers."""

    def __del__(self, *_: Any) -> None:
        """Say nothing: a ledger need not be closed. psycopg closes what this process opened, and not its parent's."""


class AsyncLine(psycopg.AsyncConnection[Any]):
    """Connection for async callers."""

    def __del__(self, *_: Any) -> None:
        """Say nothing, as in ``Line``."""
