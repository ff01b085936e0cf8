"""Failures of the server, in our words. Its own words are not used: they may quote what was sent."""

from __future__ import annotations

import re

from ...errors import LedgerUnavailable
from ...model.counts import counted
from .address import Address

#: The first characters of SQLSTATE codes, with what is wrong and what to do. The first that fits decides.
_EXPLAINED = (
    (
        "55P03",
        "made a step wait too long for another program's lock; look at pg_stat_activity, or make fewer calls",
    ),
    ("57014", "cancelled a step: statement_timeout is too short, or an administrator did; see the role's settings"),
    (
        "25006",
        "cannot be written to: it is a standby, or read-only for this role; use the address of the primary, and there "
        "ALTER ROLE the_role SET default_transaction_read_only = off",
    ),
    (
        "42501C",
        "does not let this role connect to the database; let an owner run: GRANT CONNECT ON DATABASE the_database TO "
        "the_role",
    ),
    ("42501", "does not let this role use the ledger in the schema {schema}; let an owner run: {grants}"),
    ("28R", "has no role of this name; make it, or check the user name in the ledger's URL"),
    ("28L", "does not let this role log in; let an administrator run: ALTER ROLE the_role LOGIN; or use another role"),
    (
        "28Q",
        "takes the name of the system's user for the role (peer or ident in its pg_hba.conf), and this program's is "
        "another one; name a host and a password in the ledger's URL, or see pg_hba.conf and pg_ident.conf",
    ),
    (
        "28T",
        "does not let this role in from here without TLS: see its pg_hba.conf; where that says hostssl, write "
        "?sslmode=require in the ledger's URL",
    ),
    (
        "28N",
        "does not let this role in from here with TLS: see its pg_hba.conf; where that says hostnossl, write "
        "?sslmode=disable in the ledger's URL",
    ),
    (
        "TLS",
        "has no TLS, which sslmode in the ledger's URL asks for; turn it on there (ssl = on), or leave sslmode out",
    ),
    (
        "CERT",
        "has a certificate that is not trusted here, or is of another name; name its authority in the ledger's URL: "
        "?sslmode=verify-full&sslrootcert=/path/to/ca.pem",
    ),
    ("28H", "does not let this role in from here: see its pg_hba.conf, and the ledger's URL"),
    (
        "28",
        "refuses the user name or password; check them in the ledger's URL, and that the password has not expired "
        "(the role's VALID UNTIL)",
    ),
    ("3D000", "has no database of this name; make it, or check the ledger's URL"),
    (
        "55D",
        "lets no program into this database; let an administrator run: ALTER DATABASE the_database ALLOW_CONNECTIONS "
        "true; or check the database in the ledger's URL",
    ),
    (
        "53300R",
        "has no free connection for this role: its own limit is reached; raise it (ALTER ROLE the_role CONNECTION "
        "LIMIT 100; -1 is no limit), or run fewer programs, or make fewer calls at once",
    ),
    (
        "53300D",
        "has no free connection to this database: the database's own limit is reached; raise it (ALTER DATABASE "
        "the_database CONNECTION LIMIT 100; -1 is no limit), or run fewer programs, or make fewer calls at once",
    ),
    (
        "53300P",
        "has no free connection in PgBouncer: its max_client_conn is reached; raise that, or run fewer programs, or "
        "make fewer calls at once",
    ),
    ("53300", "has no free connection; raise max_connections, use a pooler, or make fewer calls at once"),
    ("53", "has no room left; free some memory or disk space"),
    ("57P03", "is starting up or shutting down; try again when it is done"),
    ("22003", "cannot count sums above 2**63 millionths; limit prices by per_request in the Policy"),
    ("40", "could not finish a step because of other steps; try again"),
    ("SET", "does not take a setting that the ledger's URL gives it in `options`; correct that, or leave it out"),
    ("STANDBY", "is no standby, which target_session_attrs in the ledger's URL asks for; leave that out"),
    (
        "LOGIN",
        "does not log in as the ledger's URL asks for; see channel_binding and require_auth in it",
    ),
    (
        "REPLICATION",
        "does not take this role for replication, which the ledger's URL asks for; leave `replication` out of it",
    ),
    (
        "LATE",
        "did not let this program in within the time that connecting may take; see whether the address is right, "
        "whether a firewall is in between, and whether the server is overloaded. Of a pooler: its log may say that it "
        "cannot reach the server, or log in there",
    ),
    ("FATAL", "refused the connection; its own log says why"),
)
#: Words in libpq's failures to connect, which have no code. Codes with a letter are ours. The first that fits decides.
#: Some are PgBouncer's.
_WORDS = tuple(
    (re.compile(words), code)
    for words, code in (
        ("server does not support SSL", "TLS"),
        ("root certificate file|certificate verify failed|server certificate for", "CERT"),
        ("(Peer|Ident) authentication failed", "28Q"),
        ("authentication failed|no password supplied", "28P01"),
        (r"pg_hba\.conf", "28H"),
        ("too many connections for role", "53300R"),
        ("too many connections for database", "53300D"),
        ("is not permitted to log in", "28L"),
        ('role ".*" does not exist|no such user', "28R"),
        ("permission denied for database", "42501C"),
        ("permission denied to set|configuration parameter|value for parameter|requires a value", "SET"),
        ("channel binding required|authentication method requirement", "LOGIN"),
        ("not in hot standby mode", "STANDBY"),
        ("to start walsender", "REPLICATION"),
        ("not currently accepting connections", "55D"),
        ("does not exist|no such database", "3D000"),
        ("no more connections allowed", "53300P"),
        ("too many|remaining connection slots", "53300"),
        ("starting up|shutting down|in recovery mode|not (yet )?accepting connections", "57P03"),
        ("read-only|not read-write", "25006"),
        ("timeout expired", "LATE"),
        ("FATAL: ", "FATAL"),
    )
)
#: How a server ends its refusal of a connection by its pg_hba.conf.
_IN_PLAIN, _IN_TLS = (", no encryption", ", SSL off"), (", SSL encryption", ", SSL on")
#: A function, a schema, a table or a type that is not there: the ledger was not made yet, or parts of it are gone.
MISSING = ("42883", "3F000", "42P01", "42704")
#: The role has not the right.
RIGHTS = "42501"
#: With these, too, there may be no ledger.
ABSENT = (*MISSING, RIGHTS, "3D000")
#: Conflicts after which the server rolled all back, so that the step may be made again.
CONFLICTS = ("40001", "40P01")
#: The server ended the connection.
ENDED = ("57P01", "57P02", "08")


class Refused(Exception):
    """Error: the server answered with a failure. Its code is all that is kept of it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Broken(Exception):
    """Error: the connection ended before the answer. The step may have been made."""


class Closed(Broken):
    """Error: the server had ended the connection before a command was sent on it."""


class Silent(Exception):
    """Error: no answer came in time. The step may have been made, or may still be."""


class Crowded(Exception):
    """Error: no connection was free in time. Nothing was sent."""


def connect_code(failure: Exception) -> str:
    """Return the code of a failure to connect; "" if there is none."""
    told = str(failure)
    code = getattr(failure, "sqlstate", None) or next((code for words, code in _WORDS if words.search(told)), "")
    # libpq may have tried both ways. Servers before PostgreSQL 14 say "SSL off" and "SSL on".
    in_plain, in_tls = (any(words in told for words in tries) for tries in (_IN_PLAIN, _IN_TLS))
    if code == "28H" and in_plain != in_tls:
        return "28T" if in_plain else "28N"
    return code


def explain(failure: Exception, address: Address) -> LedgerUnavailable:
    """Build the error that callers see: what happened and what to do."""
    said = f"failed with {type(failure).__name__}"
    if isinstance(failure, Refused):
        said = f"failed with SQLSTATE {failure.code}"
        said = next((text for code, text in _EXPLAINED if failure.code.startswith(code)), said)
        said = said.format(schema=address.schema, grants=address.grants)
    elif isinstance(failure, Silent):
        said = "did not answer in time; see whether it is overloaded or stopped"
    elif isinstance(failure, Crowded):
        said = f"was kept busy by {counted(address.connections, 'other call')} of this program; make fewer at once"
    elif isinstance(failure, (Broken, OSError)):
        said = "cannot be reached; see whether it runs and the address is right"
    return unavailable(address, said)


def unavailable(address: Address, said: str) -> LedgerUnavailable:
    """Build LedgerUnavailable. ``said`` follows the address in the message, and says what to do."""
    return LedgerUnavailable(f"The PostgreSQL server at {address.shown} {said}. Nothing is paid without its ledger.")
