"""Address of a PostgreSQL server, and the settings that are looked at. The URL may hold a password."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ...errors import ConfigurationError, LedgerUnavailable
from ...model.keywords import near

log: logging.Logger = logging.getLogger("x402_client")

#: The schema of a ledger whose URL names none.
SCHEMA = "x402"
_SCHEMA = re.compile("[a-z_][a-z0-9_]{0,62}", re.ASCII)
#: The part of a URL that names a schema. libpq does not know it.
_NAMED = re.compile(r"(?<=[?&])schema=([^&#]*)(&|$)", re.ASCII)
#: Settings of the server, each with the value that may lose payments, and what may lose them then.
_LOSES = (
    ("fsync", "off", "a crash of the machine may lose payments and damage the database"),
    ("full_page_writes", "off", "a crash of the machine may damage the database"),
    ("synchronous_commit", "off", "a crash of the server loses the payments of its last moments"),
)

#: What psycopg says of an option that libpq does not know.
_STRANGE = re.compile(r'invalid URI query parameter: "(\w{1,40})"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """Address of the server, and the settings of its connections."""

    url: str = field(repr=False)
    schema: str
    timeout: float
    connections: int

    @classmethod
    def of(cls, given: str, timeout: float, connections: int) -> Address:
        """Read a URL. ConfigurationError if psycopg is not installed or cannot read it."""
        try:
            from psycopg.conninfo import make_conninfo
        except ImportError:
            raise ConfigurationError(
                "A PostgreSQL ledger needs psycopg, which is not installed: "
                'pip install "x402-buyer[postgres]" (in a clone: pip install ".[postgres]").'
            ) from None
        found = _NAMED.search(given)
        schema, strange = unquote(found[1]) if found else SCHEMA, ""
        try:
            url = make_conninfo(_NAMED.sub("", given).rstrip("?&"))
        except Exception as failure:  # its text may quote the URL, and the URL may hold a password
            url, strange = "", _strange_option(str(failure), given)
        given, found = "", None
        if strange:
            raise ConfigurationError(strange)
        if not url:
            raise ConfigurationError(
                "The ledger's URL cannot be read; write postgresql://user:password@host:5432/database, and "
                "?schema=... for another schema than x402."
            )
        if not _SCHEMA.fullmatch(schema):
            raise ConfigurationError(
                "The schema in the ledger's URL cannot be used: a name has small letters, digits and _, up to 63."
            )
        return cls(url, schema, timeout, connections)

    @property
    def kind(self) -> str:
        """Return the server's name in messages."""
        return "PostgreSQL"

    @property
    def beginning(self) -> str:
        """Return who can make the ledger where this role may not."""
        return (
            f" If there is no schema {self.schema} yet, and this role may not make it, let its owner run "
            f"{self.migrate} first."
        )

    @property
    def migrate(self) -> str:
        """Return the command that makes the ledger, or brings it up to date, without user and password."""
        url = "postgresql://..." if self.schema == SCHEMA else f"'postgresql://...?schema={self.schema}'"
        return f"`x402 ledger migrate --ledger {url}`"

    @property
    def grants(self) -> str:
        """Return the rights that a program's role needs."""
        return (
            f"GRANT USAGE ON SCHEMA {self.schema} TO the_role; GRANT EXECUTE ON FUNCTION {self.schema}.step TO the_role"
        )

    @property
    def reads_alone(self) -> bool:
        """Return True: a step that only reads writes no proof."""
        return True

    @property
    def shown(self) -> str:
        """Return host, port and database, and the schema if it is another one, without user and password."""
        from psycopg.conninfo import conninfo_to_dict

        known = conninfo_to_dict(self.url)
        hosts = str(known.get("host") or known.get("hostaddr") or "localhost").split(",")
        ports = str(known.get("port") or "5432").split(",")
        ports += ports[-1:] * len(hosts)
        named = [
            host if host[:1] in "/@" else f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False)
        ]
        schema = "" if self.schema == SCHEMA else f", schema {self.schema}"
        return f"{','.join(named)}/{known.get('dbname') or known.get('user') or ''}{schema}"

    def options(self) -> dict[str, Any]:
        """Return the options of every connection. Of several hosts, the one that can be written to is used."""
        from psycopg.conninfo import conninfo_to_dict

        known = conninfo_to_dict(self.url)
        # No prepared statements and no settings of a session: a pooler may give each transaction another connection.
        wanted: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
        for name, value in (
            ("connect_timeout", max(2, round(self.timeout / 2))),
            ("application_name", "x402"),
            ("client_encoding", "UTF8"),
            ("target_session_attrs", "read-write" if "," in str(known.get("host")) else "any"),
        ):
            if name not in known:
                wanted[name] = value
        return wanted

    def check(self, facts: dict[str, Any], first: bool) -> None:
        """Refuse a server that cannot be written to, or that reads what is no longer true. Warn of what it may lose."""
        if facts["standby"]:
            raise LedgerUnavailable(
                f"The PostgreSQL server at {self.shown} cannot be written to: it is a standby. Use the address of the "
                "primary. Nothing is paid without its ledger."
            )
        if facts["read_only"]:
            raise self.read_only()
        if facts["isolation"] != "read committed":
            raise self.other_isolation()
        for name, value, loss in _LOSES if first else ():
            if facts[name] == value:
                log.warning("The PostgreSQL server at %s has %s = %s: %s.", self.shown, name, value, loss)

    def read_only(self) -> LedgerUnavailable:
        """Build the refusal of a role whose transactions write nothing, on a server that is no standby."""
        return LedgerUnavailable(
            f"The PostgreSQL server at {self.shown} lets this role write nothing: default_transaction_read_only is on, "
            "for the role, the database or the server. Set it off: ALTER ROLE ... SET default_transaction_read_only = "
            "off. Nothing is paid without its ledger."
        )

    def other_isolation(self) -> LedgerUnavailable:
        """Build the refusal of a role whose transactions do not see what others committed."""
        return LedgerUnavailable(
            f"The PostgreSQL server at {self.shown} gives this role another isolation than read committed; set it: "
            "ALTER ROLE ... SET default_transaction_isolation = 'read committed'. Nothing is paid without its ledger."
        )


def _strange_option(said: str, given: str) -> str:
    """Return what is said of an option that libpq does not know, in psycopg's words; "" for any other mistake.

    Behind a question mark in a password, its rest looks like an option: then there is an @ after it.
    """
    found = _STRANGE.search(said)
    if found is None or "@" in given.partition("?")[2]:
        return ""
    from psycopg.pq import Conninfo

    known = [option.keyword.decode() for option in Conninfo.get_defaults()]
    meant = near(found[1], [*known, "schema"])
    cure = f"Did you mean {meant}? " if meant else ""
    return (
        f"The ledger's URL cannot be used; psycopg says: {found[0]}. {cure}Accepted are schema and the options of "
        "libpq, such as sslmode, sslrootcert, connect_timeout, target_session_attrs."
    )
