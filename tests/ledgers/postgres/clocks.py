"""A server whose clock a test turns: for windows that are too long to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from x402_client.ledgers.postgres import PostgresLedger

from .server import Server

START = 1_700_000_000_000_000
_TURNED = """
    DROP TABLE IF EXISTS public.clock;
    CREATE TABLE public.clock AS SELECT {0}::bigint AS at;
    CREATE OR REPLACE FUNCTION x402.clock_now() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT at FROM public.clock'
"""


@contextmanager
def turned(server: Server) -> Iterator[None]:
    """Let the row of ``public.clock`` be the server's clock, in microseconds. Give it its own clock back in the end."""
    PostgresLedger(server.url()).migrate()
    server.do(_TURNED.format(START))
    try:
        yield
    finally:
        server.do("DROP SCHEMA x402 CASCADE; DROP TABLE public.clock")
