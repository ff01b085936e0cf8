"""Copies of a server's data, and going back to them while it runs: what a failover does, in a millisecond."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from x402_client.ledgers.redis import RedisLedger, script
from x402_client.ledgers.served import trust
from x402_client.ledgers.served.lives import KnownPurse

from .server import Server


def copied(server: Server) -> dict[bytes, tuple[int, bytes]]:
    """Return every key, with its expiry."""
    with server.raw as client:
        return {key: (max(client.pttl(key), 0), client.dump(key)) for key in client.scan_iter()}


def put_back(server: Server, data: dict[bytes, tuple[int, bytes]]) -> None:
    """Make the server forget all that came after the copy."""
    with server.raw as client, client.pipeline(transaction=True) as pipe:  # no heart beats in between
        pipe.flushall()
        for key, (expiry, value) in data.items():
            pipe.restore(key, expiry, value)
        pipe.execute()


@contextmanager
def short_ring(monkeypatch: pytest.MonkeyPatch, length: int = 4) -> Iterator[None]:
    """Shorten the ring of steps, so that a few steps of others are as a thousand."""
    text = script.source()
    assert text.count("ring = 1024,") == 1
    with monkeypatch.context() as patch:
        shorter = text.replace("ring = 1024,", f"ring = {length},")
        patch.setattr(script, "source", lambda: shorter)
        patch.setattr(script, "digest", lambda: "0" * 40)
        yield


@contextmanager
def no_grace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do not wait for other programs after a loss was accepted."""
    with monkeypatch.context() as patch:
        patch.setattr(trust, "GRACE", 0.0)
        yield


def clone(ledger: Any, url: str, kind: Callable[..., Any] = RedisLedger) -> Any:
    """Return a ledger whose memory is a copy of another's, as on a machine that was resumed twice."""
    twin = kind(url, lease=ledger._lease)
    twin._claims.owner = ledger._claims.owner
    for token, claim in ledger._claims._claims.items():
        twin._claims._claims[token] = copy.copy(claim)
        attempt = ledger._claims._attempts._entries[token].attempt()
        if attempt is not None:
            twin._claims._attempts.take(token, attempt)
    twin._claims._of_hold = copy.deepcopy(ledger._claims._of_hold)
    twin._claims._of_purse = ledger._claims._of_purse.copy()
    twin._claims._void = set(ledger._claims._void)
    twin._claims._unresolved = dict(ledger._claims._unresolved)
    theirs, ours = ledger._steps.server, twin._steps.server
    ours._looked_at = theirs._looked_at
    ours.lives._lives = copy.deepcopy(theirs.lives._lives)
    ours.lives.known = {
        purse: KnownPurse(known.identity, known.seq, known.heard, known.heard_as)
        for purse, known in theirs.lives.known.items()
    }
    return twin
