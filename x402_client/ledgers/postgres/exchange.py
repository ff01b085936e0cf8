"""One exchange with the server, written once for sync and async callers: a command, and its answer or failure.

Strategy: libpq is spoken to directly, through psycopg's wrapper. So there is a deadline for each answer, the unnamed
statement alone is used, and neither a query nor its parameters come near an exception.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

from ...core.asks import Ask
from ...guards.handlers import raise_callers_stop
from ..served import protocol
from . import migrations
from .address import Address
from .failures import ENDED, Broken, Closed, Refused, Silent

#: Seconds between two looks at the clock while an answer is awaited.
INTERVAL = 0.25
_SETTINGS = (
    "SELECT json_build_object('standby', pg_is_in_recovery(), "
    "'read_only', current_setting('transaction_read_only') = 'on', "
    "'fsync', current_setting('fsync'), 'full_page_writes', current_setting('full_page_writes'), "
    "'synchronous_commit', current_setting('synchronous_commit'), "
    "'isolation', current_setting('transaction_isolation'))"
)


def command_of(ask: Ask[Any], address: Address) -> tuple[bytes, list[bytes | None]]:
    """Return the text of a command and its parameters. One command is one transaction."""
    if not isinstance(ask, protocol.Request):
        return _SETTINGS.encode(), []
    # Shorter than the wait for the answer: a lock that another program has is told as what it is.
    patience = str(max(1, int(address.timeout * 800))).encode()
    purse = None if ask.purse is None else ask.purse.encode()
    given = [purse, ask.op.encode(), _with_letters(ask.said), migrations.mark().encode(), patience]
    return f'SELECT "{address.schema}".step($1, $2, $3, $4, $5)'.encode(), given


def _with_letters(said: str) -> bytes:
    """Return JSON whose letters are no escapes: a database in SQL_ASCII takes none beyond ASCII."""
    return (json.dumps(json.loads(said), ensure_ascii=False) if "\\u" in said else said).encode(errors="replace")


def send(line: Any, ask: Ask[Any], address: Address) -> None:
    """Give a command to libpq. It may not have left yet: see ``answer``."""
    kind: type[Broken] = Closed
    try:
        line.pgconn.consume_input()  # it fails where the server hung up, as at an idle connection
        kind = Broken
        line.pgconn.send_query_params(*command_of(ask, address))
    except Exception as failure:
        raise_callers_stop(failure)
        problem = type(failure).__name__
    else:
        return
    raise kind(problem)


def note_lost(ask: Ask[Any], failure: BaseException) -> None:
    """Note that a command left and its answer was lost, unless it did not even leave."""
    if isinstance(ask, protocol.Request) and not isinstance(failure, Closed):
        ask.unanswered = True


def answer(line: Any, timeout: float) -> Generator[Any, Any, Any]:
    """Wait for the answer to the command that was sent, and return it. For ``psycopg.waiting``."""
    from psycopg.waiting import Ready, Wait

    pgconn, deadline = line.pgconn, time.monotonic() + timeout
    try:
        while pgconn.flush():
            if (yield Wait.RW) & Ready.R:
                pgconn.consume_input()
            _check_time(deadline)
        results: list[Any] = []
        while not results or results[-1] is not None:  # where it is busy, the next result would block in C
            while pgconn.is_busy():
                if (yield Wait.R):
                    pgconn.consume_input()
                else:
                    _check_time(deadline)
            results.append(pgconn.get_result())
        result = results[0]
    except Silent:
        raise
    except Exception as failure:  # libpq's words may hold the address
        raise_callers_stop(failure)
        problem = type(failure).__name__
    else:
        return _read(pgconn, result)
    raise Broken(problem)


def _check_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Silent


def _read(pgconn: Any, result: Any) -> Any:
    from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

    if result is not None and result.status == ExecStatus.TUPLES_OK:
        return json.loads(result.get_value(0, 0))
    state = None if result is None else result.error_field(DiagnosticField.SQLSTATE)
    code = (state or b"").decode()
    if not code or code.startswith(ENDED) or pgconn.status != ConnStatus.OK:
        raise Broken
    raise Refused(code)
