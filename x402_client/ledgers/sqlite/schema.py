"""The layout of a ledger file, and the marks that tell it from any other file."""

from __future__ import annotations

#: "x402", at the place where SQLite files say whose they are.
APPLICATION = 0x78343032
VERSION = 6
#: The layouts of version 0.1, without and with a table of windows. ``migrations`` brings them to this one.
WITHOUT_WINDOWS, WITHOUT_WALLETS = 2, 3
#: The layout before ``LAST``, and the one before ``PATH``.
WITHOUT_LAST, WITHOUT_ALLOWANCES = 4, 5

#: What layout 4 knows besides of a payment: whose money it is, from the reservation on, and what was signed. A ceiling
#: is text, for it may have 256 bits.
SIGNED = (
    "wallet TEXT NOT NULL DEFAULT ''",
    "kind TEXT NOT NULL DEFAULT 'transfer'",
    "ceiling TEXT",
    "proof TEXT NOT NULL DEFAULT 'nonce'",
)
#: What layout 5 knows besides of a payment: the last answer that brought no content, as JSON.
LAST = "last TEXT"
#: What layout 6 knows besides of a payment: the accounts of the allowances in which it counts, as JSON.
PATH = "path TEXT"
_PURCHASE = f"""
    purse TEXT NOT NULL, purchase TEXT NOT NULL, request TEXT NOT NULL, keyed INTEGER NOT NULL,
    method TEXT NOT NULL, url TEXT NOT NULL, scheme TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
    offer TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    state TEXT NOT NULL, money TEXT NOT NULL, tries INTEGER NOT NULL,
    nonce TEXT, payer TEXT, expires INTEGER, evidence TEXT, {", ".join(SIGNED)},
    {LAST}, {PATH}
"""
#: And of an account: what it stands for ("purse", "host", "pattern", "allowance", "request"; "forgotten" is about to be
#: deleted), the account above it in a tree, and of an allowance its terms (JSON) and its end. These stand in its row
#: without a currency.
TREE = ("kind TEXT NOT NULL DEFAULT 'host'", "parent TEXT", "caps TEXT", "until REAL")
#: And in that row, from layout 6 on: when it was opened, and if it is open, frozen or closed.
ALLOWANCE = ("opened REAL", "state TEXT")
#: And of the file: the word of ``log_mark``.
LOG = "log TEXT NOT NULL DEFAULT 'here'"
#: And the place where ``lineage`` stands, with the moment of the last ``accept``.
PLACE = (
    "step INTEGER NOT NULL DEFAULT 0",
    "opening INTEGER NOT NULL DEFAULT 0",
    "accepted REAL NOT NULL DEFAULT 0.0",
)
#: Connections that wrote, with the step at which each began: what tells two futures of one file apart.
OPENINGS = "CREATE TABLE openings (number INTEGER PRIMARY KEY, step INTEGER NOT NULL)"
#: What signatures can still take after their delivery, each with an end of its own; ``id`` is the hold's, and the
#: price was taken from ``accounts`` at ``created``. Kept until it ends, however long the history is.
OWED = """CREATE TABLE owed (id INTEGER PRIMARY KEY, purse TEXT NOT NULL, wallet TEXT NOT NULL, network TEXT NOT NULL,
    kind TEXT NOT NULL, ceiling TEXT NOT NULL, proof TEXT NOT NULL, nonce TEXT NOT NULL, expires INTEGER NOT NULL,
    evidence TEXT NOT NULL, currency TEXT NOT NULL, units INTEGER NOT NULL, created REAL NOT NULL,
    accounts TEXT NOT NULL)"""

#: The windows that the file counts, under the numbers that ``starts`` calls spans. A program that knows others must
#: not write here: it would leave payments out of theirs.
WINDOWS = """CREATE TABLE windows (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seconds INTEGER)"""

#: ``holds`` are open purchases, ``past`` the resolved ones, ``keyed`` what was delivered under keys: for ever.
#: ``header`` is worth money; only open holds have the column. Their ``accounts`` are those that they were counted in.
#: ``starts`` keeps what an account had counted as a bucket began, of no more than 62 buckets of each window.
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
    f"CREATE TABLE keyed (key TEXT PRIMARY KEY, id INTEGER NOT NULL, {_PURCHASE}, receipt TEXT)",
    WINDOWS,
    OWED,
    OPENINGS,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
