"""Ledgers: they keep holds, budgets and history. Every ledger passes the same conformance class.

``ledgers.memory``, ``ledgers.sqlite``, ``ledgers.redis`` and ``ledgers.postgres`` are those that ship;
``ledgers.conformance`` has the tests.
The other names here are what a ledger of your own is made of: see the manual's page "A ledger of your own".
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .accounts import OVERALL, accounts_of, counting_accounts, hosts_of, patterns_of
    from .allowances import AllowanceBook
    from .memory import MemoryLedger
    from .postgres.ledger import AsyncPostgresLedger, PostgresLedger
    from .redis.ledger import AsyncRedisLedger, RedisLedger
    from .refusals import (
        Exceeded,
        already_paid,
        another_wallet,
        check_allowances,
        check_frozen,
        check_key,
        hold_is_gone,
        nothing_to_write_off,
        over_limit,
    )
    from .sqlite.ledger import SqliteLedger
    from .windows import Account

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "Account",
    "AllowanceBook",
    "AsyncPostgresLedger",
    "AsyncRedisLedger",
    "Exceeded",
    "MemoryLedger",
    "OVERALL",
    "PostgresLedger",
    "RedisLedger",
    "SqliteLedger",
    "accounts_of",
    "already_paid",
    "another_wallet",
    "check_allowances",
    "check_frozen",
    "check_key",
    "counting_accounts",
    "hold_is_gone",
    "hosts_of",
    "nothing_to_write_off",
    "over_limit",
    "patterns_of",
]

#: Which module each name lives in. Loaded when it is asked for.
_HOMES = {
    ".accounts": ("OVERALL", "accounts_of", "counting_accounts", "hosts_of", "patterns_of"),
    ".allowances": ("AllowanceBook",),
    ".memory": ("MemoryLedger",),
    ".postgres.ledger": ("AsyncPostgresLedger", "PostgresLedger"),
    ".redis.ledger": ("AsyncRedisLedger", "RedisLedger"),
    ".refusals": (
        "Exceeded",
        "already_paid",
        "another_wallet",
        "check_allowances",
        "check_frozen",
        "check_key",
        "hold_is_gone",
        "nothing_to_write_off",
        "over_limit",
    ),
    ".sqlite.ledger": ("SqliteLedger",),
    ".windows": ("Account",),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(home, __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from importlib.util import find_spec

    # help() loads all that is listed.
    absent = [name for name, needs in (("Redis", "redis"), ("Postgres", "psycopg")) if find_spec(needs) is None]
    return sorted({*globals(), *(name for name in __all__ if not any(kind in name for kind in absent))})
