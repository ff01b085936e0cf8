"""What is taken away from a server that was used: each user is told of a loss as a loss, and of rights as rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.redis.failures import COMMANDS
from x402_client.model.holds import Attempt, Hold

from .server import Server

USER, WORD = "clerk", "s3cr3t-word"
#: The rights of each user.
USERS = {"all rights": ("~*", "+@all"), "no more than needed": ("~{x402*", *COMMANDS.split()[3:])}


def _make(server: Server, who: str) -> None:
    server.do("ACL", "SETUSER", USER, "on", f">{WORD}", *USERS[who])


def _all_keys(server: Server, who: str) -> None:
    server.do("FLUSHALL")


def _keys_and_scripts(server: Server, who: str) -> None:
    server.do("FLUSHALL")
    server.do("SCRIPT", "FLUSH")


def _our_keys(server: Server, who: str) -> None:
    for key in server.client.scan_iter("{x402*"):
        server.do("DEL", key)


def _restart(server: Server, who: str) -> None:
    """Users are lost with it, too: an administrator makes them anew."""
    server.kill()
    server.start()
    _make(server, who)


def _rights(server: Server, who: str) -> None:
    server.do("ACL", "SETUSER", USER, "-@write")


def _scripts(server: Server, who: str) -> None:
    server.do("ACL", "SETUSER", USER, "-@scripting")


def _keys(server: Server, who: str) -> None:
    server.do("ACL", "SETUSER", USER, "resetkeys")


LOSSES = {"all keys": _all_keys, "keys and scripts": _keys_and_scripts, "our keys": _our_keys, "restart": _restart}
RIGHTS = {"to write": _rights, "to run scripts": _scripts, "to the keys": _keys}
Take = Callable[[Server, str], None]


@pytest.fixture
def own(start: Callable[..., Server]) -> Server:
    return start()


def url(server: Server) -> str:
    return server.url.replace("//", f"//{USER}:{WORD}@")


def pay(ledger: RedisLedger, name: str = "weather") -> None:
    attempt = Attempt()  # kept: one that is forgotten ends
    hold = ledger.reserve(order(purchase(name)), attempt)
    assert isinstance(hold, Hold)
    ledger.close(ledger.record(hold, signed(name)), "spent", RECEIPT)


def told(ledger: RedisLedger) -> str:
    with pytest.raises(LedgerUnavailable) as caught:
        pay(ledger, "more")
    return str(caught.value.args[0])


@pytest.fixture(params=USERS)
def who(request: pytest.FixtureRequest, own: Server) -> str:
    _make(own, request.param)
    return str(request.param)


@pytest.fixture
def live(own: Server, who: str) -> Iterator[RedisLedger]:
    ledger = RedisLedger(url(own))
    pay(ledger)
    yield ledger
    ledger.close_ledger()


@pytest.mark.parametrize("take", LOSSES.values(), ids=LOSSES)
def test_a_program_that_used_a_server_tells_of_its_loss(own: Server, who: str, live: RedisLedger, take: Take) -> None:
    take(own, who)
    assert "it was not when this program last used it" in told(live)
    strict = RedisLedger(url(own), must_exist=True)
    assert "or restore the server's data" in told(strict)
    pay(RedisLedger(url(own)), "by another program")
    assert "is another one than this program used before" in told(live)


@pytest.mark.parametrize("take", RIGHTS.values(), ids=RIGHTS)
def test_rights_that_were_taken_are_told_as_rights(own: Server, who: str, live: RedisLedger, take: Take) -> None:
    take(own, who)
    for ledger in (live, RedisLedger(url(own)), RedisLedger(url(own), must_exist=True)):
        said = told(ledger)
        assert "let an administrator run: ACL SETUSER" in said
        assert "last used" not in said
    own.do("FLUSHALL")
    assert "ACL SETUSER" in told(live), "what is there cannot be seen"
    _make(own, who)
    assert "it was not when this program last used it" in told(live)
