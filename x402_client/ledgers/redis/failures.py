"""Failures of the server, in our words. redis-py's own words are not used: they may quote what was sent."""

from __future__ import annotations

from ...model.counts import counted
from .address import Address
from .exchanges import NotCopied, Unanswered

#: A script makes its commands by the rights of the user that runs it. Redis refuses a pattern of keys beside ~*.
COMMANDS = "ACL SETUSER the_user +@read +@write +@connection -@dangerous +eval +evalsha +info +keys +time +wait"
KEYS = "ACL SETUSER the_user ~{x402*"
_RIGHTS = (
    f"does not let this user do what the ledger needs; let an administrator run: {COMMANDS}; and, unless its keys are "
    f"~* already: {KEYS}"
)
#: How servers begin the refusal of a command in a script. It has no code of its own.
_IN_SCRIPT = ("The user executing the script", "ACL failure in script")
#: Classes of failures, each with what is wrong and what to do. The first class that fits decides.
_EXPLAINED = (
    ("AuthenticationError", "refuses the user name or password; check them in the ledger's URL"),
    ("AuthenticationWrongNumberOfArgsError", "refuses the user name or password; check them in the ledger's URL"),
    ("AuthorizationError", "does not let this user in; check its ACL"),
    ("NoPermissionError", _RIGHTS),
    ("BusyLoadingError", "is loading its data; try again when it is done"),
    ("MaxConnectionsError", "has no free connection for this call; try again, or make fewer calls at once"),
    ("OutOfMemoryError", "has no memory left; give it more, or remove other data"),
    ("ReadOnlyError", "is a replica, which cannot be written to; use the address of the primary"),
    ("MasterDownError", "is a replica without its primary; use the address of the primary"),
    ("ClusterDownError", "belongs to a cluster that is down; see CLUSTER INFO"),
    ("MovedError", "belongs to a cluster; pass RedisLedger(..., cluster=True)"),
    ("RedisClusterException", "does not answer as a cluster does; see CLUSTER INFO"),
    ("TimeoutError", "did not answer in time; see whether it is overloaded or stopped"),
    ("ConnectionError", "cannot be reached; see whether it runs and the address is right"),
    ("OSError", "cannot be reached; see whether it runs and the address is right"),
)
_NO_TLS = (
    "did not answer in TLS, which rediss:// in the ledger's URL asks for; if its port is without TLS, write redis://, "
    "else see whether it is overloaded or stopped"
)
_TLS = (
    "ended the connection before its first answer; if its port speaks TLS, write rediss:// in the ledger's URL, else "
    "see whether it is starting or stopping, or at its limit of connections (`maxclients`)"
)
_FULL = (
    "has no free connection; raise its setting `maxclients`, run fewer programs, or make fewer calls at once (each "
    "program takes up to ?max_connections= in the ledger's URL)"
)
_NO_DATABASE = (
    "has no database of the number in the ledger's URL; write /0, or another number below its setting `databases`"
)
_UNTRUSTED = (
    "has a certificate that is not trusted here, or is of another name; name its authority in the ledger's URL: "
    "?ssl_ca_certs=/path/to/ca.pem"
)


def explain(failure: Exception, address: Address) -> str:
    """Return what happened and what to do. redis-py's own words are not used: they may quote what was sent."""
    if isinstance(failure, NotCopied):
        return (
            f"The Redis ledger at {address.shown} could not copy a payment to {counted(address.replicas, 'replica')} "
            "in time. Nothing is paid until it can; see whether the replicas run."
        )
    connecting = not isinstance(failure, Unanswered)
    if isinstance(failure, Unanswered) and failure.failure is not None:
        failure = failure.failure
    names = {kind.__name__ for kind in type(failure).__mro__}
    said = next((text for name, text in _EXPLAINED if name in names), None)
    said = (_of_tls(failure, names, address) if connecting else None) or said
    if "DB index is out of range" in str(failure):
        said = _NO_DATABASE
    if "max number of clients" in str(failure):
        said = _FULL
    if said is None and any(words in str(failure) for words in _IN_SCRIPT):
        said = _RIGHTS
    if said is None:
        said = f"failed with {type(failure).__name__} {_code(failure)}".rstrip()
    return f"The Redis server at {address.shown} {said}. Nothing is paid without its ledger."


def _code(failure: Exception) -> str:
    """Return the code at the start of a server's error. What follows it may quote what was sent."""
    first = str(failure).partition(" ")[0]
    return f"({first})" if first.isascii() and first.isupper() and first.isalpha() else ""


def _of_tls(failure: Exception, names: set[str], address: Address) -> str | None:
    """Return what a failure to connect says where one end speaks TLS and the other may not. None: it is no such one."""
    causes = {kind.__name__ for kind in type(failure.__cause__ or failure.__context__).__mro__}
    if "SSLCertVerificationError" in causes:
        return _UNTRUSTED
    if "SSLError" in causes:
        return _NO_TLS
    if address.encrypted:
        return _NO_TLS if "TimeoutError" in names else None
    closed = "ConnectionResetError" in causes or "closed by server" in str(failure)
    return _TLS if "InvalidResponse" in names or ("ConnectionError" in names and closed) else None
