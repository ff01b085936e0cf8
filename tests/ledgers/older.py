"""Ledger files of older layouts: as version 0.1 left them, or a new one brought back to an older layout."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from x402_client.ledgers.sqlite.schema import ALLOWANCE, LAST, LOG, PATH, PLACE, SIGNED, TREE

#: Written by the code of that time, with a process that died while a payment was unsigned.
DUMPS = Path(__file__).with_name("old_files")


def restored(path: Path, layout: int) -> Path:
    """Write the file that a program of this layout left behind."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(DUMPS.joinpath(f"layout{layout}.sql").read_text("utf-8"))
    return path


def brought_back(path: Path, layout: int) -> Path:
    """Take from a file what an older layout does not know."""
    payments = ("holds", "past", "keyed")
    tables = {"meta": (LOG, *PLACE), "accounts": (*TREE, *ALLOWANCE), **dict.fromkeys(payments, (*SIGNED, LAST, PATH))}
    if layout == 6:
        tables = {}
    elif layout >= 4:
        tables = {"accounts": ALLOWANCE, **dict.fromkeys(payments, (PATH,) if layout == 5 else (LAST, PATH))}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP INDEX claims")
        db.execute("DROP INDEX ceilings")
        db.execute("DROP TABLE owners")
        for table, columns in tables.items():
            for column in columns:
                db.execute(f"ALTER TABLE {table} DROP COLUMN {column.split()[0]}")
        if layout < 4:
            db.execute("DROP TABLE owed")
            db.execute("DROP TABLE openings")
        if layout == 2:
            db.execute("DROP TABLE windows")
        db.execute(f"PRAGMA user_version = {layout}")
    return path
