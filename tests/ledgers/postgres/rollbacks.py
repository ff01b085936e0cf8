"""Ways to take a server back to an older state, and to copy a program's memory."""

from __future__ import annotations

from .server import Server

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'x402' AND tablename NOT IN ('ledger', 'windows')"


def keep(server: Server) -> None:
    """Copy every row, as a backup does."""
    names = [name for (name,) in server.do(_TABLES)]
    copies = "; ".join(f"CREATE TABLE kept.{name} AS SELECT * FROM x402.{name}" for name in names)
    server.do(
        f"DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept; {copies}; "
        "CREATE TABLE kept.step_numbers AS SELECT last_value FROM x402.step_numbers"
    )


def put_back(server: Server) -> None:
    """Make the server forget all that came after the copy, in one transaction."""
    names = [name for (name,) in server.do(_TABLES)]
    steps = [
        f"DELETE FROM x402.{name}; INSERT INTO x402.{name} OVERRIDING SYSTEM VALUE SELECT * FROM kept.{name}"
        for name in names
    ]
    locks = ", ".join(f"x402.{name}" for name in names)
    number = "SELECT setval('x402.step_numbers', last_value) FROM kept.step_numbers"
    server.do(f"BEGIN; LOCK TABLE {locks}; {'; '.join(steps)}; {number}; COMMIT")
