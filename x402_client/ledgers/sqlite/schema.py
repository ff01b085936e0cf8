"""Layout of a ledger file, and the ids that tell it from any other file."""

from __future__ import annotations

import sqlite3

#: "x402" in ASCII, as SQLite's ``application_id``.
APPLICATION = 0x78343032
VERSION = 7
#: The layouts of version 0.1, without and with a table of windows. ``migrations`` brings them to this one.
WITHOUT_WINDOWS, WITHOUT_WALLETS = 2, 3
#: The layout before ``LAST``, the one before ``PATH``, and the one before ``CLAIMS``.
WITHOUT_LAST, WITHOUT_ALLOWANCES, WITHOUT_CLAIMS = 4, 5, 6

#: Columns of a payment since layout 4: its payer, known from the reservation on, and what was signed. A ceiling is
#: text because it may have 256 bits.
SIGNED = (
    "wallet TEXT NOT NULL DEFAULT ''",
    "kind TEXT NOT NULL DEFAULT 'transfer'",
    "ceiling TEXT",
    "proof TEXT NOT NULL DEFAULT 'nonce'",
)
#: Column of a payment since layout 5: the last answer that brought no content, as JSON.
LAST = "last TEXT"
#: Column of a payment since layout 6: the accounts of the allowances in which it counts, as JSON.
PATH = "path TEXT"
_PURCHASE = f"""
    purse TEXT NOT NULL, purchase TEXT NOT NULL, request TEXT NOT NULL, keyed INTEGER NOT NULL,
    method TEXT NOT NULL, url TEXT NOT NULL, scheme TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
    offer TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    state TEXT NOT NULL, money TEXT NOT NULL, tries INTEGER NOT NULL,
    nonce TEXT, payer TEXT, expires INTEGER, evidence TEXT, {", ".join(SIGNED)},
    {LAST}, {PATH}
"""
#: Columns of an account since layout 4: its parent, and what it stands for ("purse", "host", "pattern", "allowance",
#: "request"; "forgotten" is about to be deleted). An allowance's terms and its end are in its row without a currency.
TREE = ("kind TEXT NOT NULL DEFAULT 'host'", "parent TEXT", "caps TEXT", "until REAL")
#: Columns of that row since layout 6: when the allowance was opened, and if it is open, frozen or closed.
ALLOWANCE = ("opened REAL", "state TEXT")
#: Column of ``meta`` since layout 4: the word of ``log_mark``.
LOG = "log TEXT NOT NULL DEFAULT 'here'"
#: Columns of ``meta`` since layout 4: the place of the file in its ``lineage``, and the time of the last ``accept``.
PLACE = (
    "step INTEGER NOT NULL DEFAULT 0",
    "opening INTEGER NOT NULL DEFAULT 0",
    "accepted REAL NOT NULL DEFAULT 0.0",
)
#: Openings, each with the step at which it began. They tell two histories of one file apart: see ``lineage``.
OPENINGS = "CREATE TABLE openings (number INTEGER PRIMARY KEY, step INTEGER NOT NULL)"
#: Open amounts: what signatures can still take after their delivery, each until an end of its own. ``id`` is the
#: hold's. The price was counted in ``accounts`` at ``created``. A row is kept until its end, even if ``past`` has lost
#: the hold.
OWED = """CREATE TABLE owed (id INTEGER PRIMARY KEY, purse TEXT NOT NULL, wallet TEXT NOT NULL, network TEXT NOT NULL,
    kind TEXT NOT NULL, ceiling TEXT NOT NULL, proof TEXT NOT NULL, nonce TEXT NOT NULL, expires INTEGER NOT NULL,
    evidence TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    accounts TEXT NOT NULL)"""

#: Since layout 7: the holds that nothing presents, and the names of the processes that have claims. An owner that dies
#: writes nothing: see ``claimable``. And the resolved ceilings, among which the open amounts are.
CLAIMS = (
    "CREATE INDEX claims ON holds (purchase, created) WHERE owner IS NULL",
    "CREATE TABLE owners (name TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE INDEX ceilings ON past (id) WHERE kind = 'ceiling'",
)

#: The windows that the file counts. Their ``number`` is the ``span`` of ``starts``. A program with other windows must
#: not write here: its payments would be missing in some.
WINDOWS = """CREATE TABLE windows (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seconds INTEGER)"""

#: ``holds`` has the open purchases, ``past`` the resolved ones, and ``keyed`` the last end under each key, for ever.
#: Only open holds have a ``header``, which is worth money. They are counted in their ``accounts``. ``starts`` has the
#: sums of an account at the start of a bucket: of at most 62 buckets for each window.
SCHEMA = (
    f"""CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL,
       frozen TEXT NOT NULL, boot TEXT NOT NULL, steady REAL NOT NULL, at REAL NOT NULL, {LOG},
       {", ".join(PLACE)})""",
    f"""CREATE TABLE accounts (id INTEGER PRIMARY KEY, purse TEXT NOT NULL, name TEXT NOT NULL,
       currency TEXT NOT NULL, units INTEGER NOT NULL CHECK (typeof(units) = 'integer' AND units >= 0),
       payments INTEGER NOT NULL CHECK (payments >= 0), latest REAL NOT NULL, {", ".join((*TREE, *ALLOWANCE))},
       UNIQUE (purse, name, currency))""",
    """CREATE TABLE starts (account INTEGER NOT NULL, span INTEGER NOT NULL, number INTEGER NOT NULL,
       units INTEGER NOT NULL, payments INTEGER NOT NULL, PRIMARY KEY (account, span, number)) WITHOUT ROWID""",
    f"""CREATE TABLE holds (id INTEGER PRIMARY KEY, {_PURCHASE},
       header TEXT, accounts TEXT NOT NULL, owner TEXT)""",
    f"CREATE TABLE past (number INTEGER PRIMARY KEY, id INTEGER NOT NULL, {_PURCHASE}, receipt TEXT)",
    *CLAIMS,
    f"CREATE TABLE keyed (key TEXT PRIMARY KEY, id INTEGER NOT NULL, {_PURCHASE}, receipt TEXT)",
    WINDOWS,
    OWED,
    OPENINGS,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


def marks_of(db: sqlite3.Connection) -> tuple[int, int, bool]:
    """Return the id of the application, the number of the layout, and True if the file is empty."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return application, version, tables == 0
