"""Every seller, through every shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial

from tests.adapters.one_request import SHELLS, Ask, name_of
from tests.real.environments import EnvironmentUnavailable

from .cells import Cell, buy
from .payer import buy_by
from .services import Row, Services, Stand
from .table import Result


def run(rows: Iterable[Row], tell: Callable[[str], None], shells: Iterable[Ask] = SHELLS) -> list[Result]:
    shells = list(shells)
    with Services() as services:
        return [one(services, row, tell, shells) for row in rows]


def one(services: Services, row: Row, tell: Callable[[str], None] = print, shells: Iterable[Ask] = SHELLS) -> Result:
    try:
        stand = services.open(row)
    except EnvironmentUnavailable as reason:
        tell(f"{row.name}: left out: {reason}")
        return Result(row, left_out=str(reason))
    with closing(stand):
        result = Result(row, tuple(_cells(services, stand, shells)))
    tell(f"{row.name}: {'as expected' if result.as_expected else 'NOT AS EXPECTED'}")
    return result


def _cells(services: Services, stand: Stand, shells: Iterable[Ask]) -> Iterator[Cell]:
    for shell in shells:
        for method in stand.row.methods:
            make = partial(buy_by, stand.row.way) if stand.row.way else buy
            yield make(services, stand, method, name_of(shell), shell)
