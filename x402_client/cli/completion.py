"""Completes words in a shell: holds, freezes, allowances, networks, wallets, faults. A failure completes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

#: A word and what it means.
Word = tuple[str, str]


def holds(ctx: typer.Context, incomplete: str) -> list[Word]:
    """Complete the id of a payment that is not resolved."""
    return _or_nothing(lambda: ((hold.id, f"{hold.price} {hold.host}") for hold in _ask(ctx, "holds")), incomplete)


def freezes(ctx: typer.Context, incomplete: str) -> list[Word]:
    """Complete a host pattern that is frozen."""
    return _or_nothing(lambda: ((pattern, "is frozen") for pattern in _ask(ctx, "freezes")), incomplete)


def allowances(ctx: typer.Context, incomplete: str) -> list[Word]:
    """Complete the name of an allowance that is not closed or over."""

    def found() -> Iterator[Word]:
        for record in _ask(ctx, "allowances"):
            if record.state in ("open", "frozen"):
                yield record.terms.name, record.state

    return _or_nothing(found, incomplete)


def networks(incomplete: str) -> list[Word]:
    """Complete the name of a network on which a token is known."""

    def found() -> Iterator[Word]:
        from ..chains.tokens import KNOWN
        from ..model.networks import short_name

        for network in sorted({token.network for token in KNOWN}, key=short_name):
            yield short_name(network), network.replace(":", " ")

    return _or_nothing(found, incomplete)


def wallets(incomplete: str) -> list[Word]:
    """Complete the name of a wallet."""

    def found() -> Iterator[Word]:
        from .wallets import wallets_directory

        for directory in sorted(one for one in wallets_directory().iterdir() if one.is_dir()):
            yield directory.name, "wallet"

    return _or_nothing(found, incomplete)


def mcp_hosts(incomplete: str) -> list[Word]:
    """Complete the name of a host of MCP servers."""

    def found() -> Iterator[Word]:
        from .mcp_hosts import HOSTS

        for name, host in HOSTS.items():
            yield name, host.title

    return _or_nothing(found, incomplete)


def faults(incomplete: str) -> list[Word]:
    """Complete the name of a fault of the sandbox."""

    def found() -> Iterator[Word]:
        from ..sandbox import FAULTS

        for fault in FAULTS.values():
            yield fault.name, fault.does

    return _or_nothing(found, incomplete)


def _or_nothing(find: Callable[[], Iterable[Word]], incomplete: str) -> list[Word]:
    """Return what was found. A shell shows no errors, so any failure means that nothing was found."""
    try:
        return [word for word in find() if word[0].startswith(incomplete)]
    except Exception:
        return []


def _ask(ctx: typer.Context, question: str) -> Iterable[Any]:
    """Ask the ledger of the line, or of the environment, if it is a file that is there. A server might be slow."""
    from ..buyer import settings
    from ..buyer.ledger_calls import call_ledger
    from ..ledgers.extras import closer_of
    from ..ledgers.sqlite import is_there
    from .buying import ledger_file

    path: Path | None = ledger_file(ctx.params.get("ledger"))
    if path is None or not is_there(path):
        return ()
    ledger = settings.ledger(path)
    try:
        more = (ctx.params.get("purse") or "default",) if question != "freezes" else ()
        return tuple(call_ledger(ledger, lambda port: getattr(port, question)(*more)))
    finally:
        closer_of(ledger)()
