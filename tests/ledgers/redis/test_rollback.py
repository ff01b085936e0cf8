"""A server that lost its last steps while other programs went on: who saw one of them notices at the next step."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.conformance.ledger import RECEIPT, SECRET, cap, order, purchase, signed
from x402_client.ledgers.redis import RedisLedger
from x402_client.model.holds import Attempt, Hold, Spending

from .rollbacks import copied, no_grace, put_back, short_ring
from .server import Server

pytestmark = pytest.mark.slow

TODAY = Spending("", "day", "USD")


def presented(ledger: RedisLedger, name: str, attempt: Attempt, *caps: Any, key: str | None = None) -> Hold:
    hold = ledger.reserve(order(purchase(name, key=key), *caps), attempt)
    assert isinstance(hold, Hold)
    return ledger.record(hold, signed(name))


def unresolved(ledger: RedisLedger, name: str = "weather") -> Hold:
    attempt = Attempt()
    hold = presented(ledger, name, attempt)
    attempt.end()
    return hold


def bought(ledger: RedisLedger, name: str) -> None:
    attempt = Attempt()
    ledger.close(presented(ledger, name, attempt), "spent", RECEIPT)
    attempt.end()


def bought_elsewhere(server: Server, *caps: Any) -> None:
    """Buy in another program, which ends."""
    program, attempt = quiet(server.url), Attempt()
    program.close(presented(program, "elsewhere", attempt, *caps), "spent", RECEIPT)
    attempt.end()
    program.close_ledger()


def is_refused(ledger: RedisLedger) -> bool:
    try:
        ledger.holds()
    except LedgerUnavailable as failure:
        said = str(failure)
        return "older state" in said and "x402 ledger accept" in said
    return False


def quiet(url: str) -> RedisLedger:
    """Return a ledger without a heart: it makes only the steps that a test makes."""
    ledger = RedisLedger(url)
    ledger._steps._claimed = lambda: None
    return ledger


#: What happens, and how often as compared to the rest.
HAPPENS = {"step": 12, "burst": 4, "lost answer": 2, "copy": 2, "back": 3, "accept": 1}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ring", [1024, 4])
def test_who_saw_a_step_that_was_lost_notices_and_nobody_else(
    server: Server, monkeypatch: pytest.MonkeyPatch, ring: int, seed: int
) -> None:
    chance = random.Random(seed)
    happens = chance.choices(list(HAPPENS), list(HAPPENS.values()), k=120)
    with short_ring(monkeypatch, ring), no_grace(monkeypatch):
        _tell(server, [(what, chance.randrange(4)) for what in happens])


def _tell(server: Server, story: list[tuple[str, int]]) -> None:
    """Play a story, and keep beside it what each program saw last and whether that was lost."""
    programs = [quiet(server.url) for _ in range(4)]
    event, seen, lost = 0, dict.fromkeys(range(4), 0), set[int]()
    for program in programs:
        program.holds()
    taken = (event, copied(server), lost.copy())
    for what, which in story:
        if what == "copy":
            taken = (event, copied(server), lost.copy())
        elif what == "back":
            put_back(server, taken[1])
            lost = taken[2] | {number for number, last in seen.items() if last > taken[0]}
        elif what == "accept":
            before = _accepted(server)
            RedisLedger(server.url).accept()
            lost = lost if _accepted(server) == before else set()
        elif what == "lost answer" and which not in lost:
            event += 1
            _unheard(programs[which])
        else:
            for _ in range(6 if what == "burst" else 1):
                event += 1
                assert is_refused(programs[which]) == (which in lost), (what, which, lost)
                seen[which] = seen[which] if which in lost else event
    for program in programs:
        program._connection.close()


def _accepted(server: Server) -> int:
    return int(server.do("HGET", "{x402:default}:state", "accepted") or 0)


def _unheard(program: RedisLedger) -> None:
    send = program._connection.send

    def cut(ask: Any) -> Any:
        send(ask)
        raise LedgerUnavailable("no answer")

    program._connection.send = cut  # type: ignore[method-assign]
    with pytest.raises(LedgerUnavailable):
        program.holds()
    program._connection.send = send  # type: ignore[method-assign]


def test_a_restart_from_an_older_copy_while_another_program_steps_on(start: Callable[..., Server]) -> None:
    server = start()
    one, other = quiet(server.url), quiet(server.url)
    bought(one, "before")
    other.holds()
    server.do("SAVE")
    for number in range(3):
        bought(one, f"lost {number}")
    server.kill()
    server.start()
    for number in range(30):
        bought(other, f"{number}")
    assert is_refused(one), "the number of steps is past the loss, and still it notices"
    assert is_refused(one)


def test_a_replica_that_takes_over_without_the_last_second(start: Callable[..., Server]) -> None:
    primary = start("--repl-diskless-sync-delay", "0")
    replica = start("--replicaof", f"127.0.0.1 {primary.port}")
    while not primary.do("WAIT", 1, 100):
        time.sleep(0.02)
    one, other = quiet(primary.url), quiet(primary.url)
    bought(one, "before")
    other.holds()
    assert primary.do("WAIT", 1, 5_000) == 1
    replica.do("REPLICAOF", "NO", "ONE")
    bought(one, "lost")
    moved = [quiet(replica.url), quiet(replica.url)]
    for old, new in zip((one, other), moved, strict=True):  # both follow to the new primary
        new._claims.owner = old._claims.owner
        new._steps.server.lives = old._steps.server.lives
    for number in range(20):
        bought(moved[1], f"{number}")
    assert is_refused(moved[0])
    with pytest.raises(LedgerUnavailable, match="older state"):
        moved[1].reserve(order(purchase("more")), Attempt())


def test_no_program_pays_once_one_of_them_knows(server: Server) -> None:
    """A dollar a day: without this, eighty cents that were lost could be spent again."""
    one, other = quiet(server.url), quiet(server.url)
    other.holds()
    data = copied(server)
    bought(one, "lost")
    put_back(server, data)
    unresolved(other)  # it saw nothing that was lost
    assert is_refused(one)
    for refused in (lambda: other.reserve(order(purchase("b")), Attempt()), lambda: other.claim(purchase(), Attempt())):
        with pytest.raises(LedgerUnavailable, match="x402 ledger accept"):
            refused()
    with pytest.raises(LedgerUnavailable, match="older state"):
        RedisLedger(server.url).reserve(order(purchase("c")), Attempt())
    assert len(other.holds()) == 1, "what is there can still be read"


@pytest.mark.parametrize("forgets", [False, True])
def test_a_program_that_joined_after_the_copy_knows_too(
    server: Server, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    """If entries were dropped, a program without one may only have slept long. It is refused, and stops no other."""
    with short_ring(monkeypatch):
        other, one = quiet(server.url), quiet(server.url)
        other.holds()
        if forgets:
            server.do("HSET", "{x402:default}:state", "forgets", "1")
        data = copied(server)
        bought(one, "lost")
        put_back(server, data)
        for _ in range(12):
            other.holds()
        assert is_refused(one)
        paid = other.reserve(order(purchase("b")), Attempt()) if forgets else None
        assert isinstance(paid, Hold) == forgets
        if not forgets:
            with pytest.raises(LedgerUnavailable, match="older state"):
                other.reserve(order(purchase("b")), Attempt())


@pytest.fixture
def ledger(server: Server) -> Iterator[RedisLedger]:
    found = RedisLedger(server.url, lease=1.0)
    yield found
    found.close_ledger()


@pytest.mark.parametrize("emptied", [False, True])
def test_what_living_programs_remember_is_written_back_first(
    server: Server, ledger: RedisLedger, emptied: bool
) -> None:
    other, living = quiet(server.url), Attempt()
    other.holds()
    data = copied(server)
    held, flying = unresolved(ledger), presented(ledger, "flying", living)
    server.do("FLUSHALL") if emptied else put_back(server, data)
    with pytest.raises(LedgerUnavailable, match="x402 ledger accept"):
        ledger.claim(purchase(), Attempt())
    started = time.monotonic()
    assert RedisLedger(server.url).accept()
    assert time.monotonic() - started > 4, "it waits for programs that beat slowly"
    rows = {hold.id: hold for hold in RedisLedger(server.url).holds()}
    assert rows.keys() == {held.id, flying.id}, "the heart of the program wrote them"
    assert RedisLedger(server.url).spent(TODAY) == 20_000
    attempt = Attempt()
    found = RedisLedger(server.url).reserve(order(), attempt)
    assert isinstance(found, Hold)
    assert (found.id, found.authorization and found.authorization.header) == (held.id, ("PAYMENT-SIGNATURE", SECRET))
    assert ledger.claim(purchase("flying"), Attempt()) is None, "it is still in flight"
    ledger.close(flying, "spent", RECEIPT)
    assert len(ledger.holds()) == 1


def test_a_signature_is_written_back_to_a_hold_of_which_only_that_was_lost(
    server: Server, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Attempt()
    hold = ledger.reserve(order(), attempt)
    assert isinstance(hold, Hold)
    data = copied(server)
    ledger.record(hold, signed())
    put_back(server, data)
    assert is_refused(ledger)
    with no_grace(monkeypatch):
        ledger.accept()
    (back,) = ledger.holds()
    assert (back.id, back.state, back.nonce, ledger.spent(TODAY)) == (hold.id, "signed", "0x01", 10_000)


def test_what_is_written_back_counts_in_patterns_that_were_lost_or_begun_anew(
    server: Server, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program's pattern is lost with its payment; then it starts from its hosts, and so does another program's."""
    bought(ledger, "before")
    data = copied(server)
    attempt = Attempt()
    presented(ledger, "lost", attempt, cap(10**9, account="*.example.com"))
    attempt.end()
    put_back(server, data)
    bought_elsewhere(server, cap(10**9, account="*.com"))
    assert is_refused(ledger)
    with no_grace(monkeypatch):
        ledger.accept()
    found = {name: ledger.spent(Spending(name, "day", "USD")) for name in ("", "*.example.com", "*.com")}
    assert found == dict.fromkeys(found, 30_000)
    assert ledger.spent(Spending("*.com", "day", None)) == 3


def test_a_row_remembers_the_patterns_of_other_policies(
    server: Server, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought_elsewhere(server, cap(10**9, account="*.example.com"))
    data = copied(server)
    unresolved(ledger)
    put_back(server, data)
    assert is_refused(ledger)
    with no_grace(monkeypatch):
        ledger.accept()
    assert ledger.spent(Spending("*.example.com", "day", "USD")) == 20_000


def test_what_was_resolved_meanwhile_is_not_written_back(
    server: Server, ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = unresolved(ledger)
    other = quiet(server.url)
    again = Attempt()
    time.sleep(0.1)
    claimed = other.reserve(order(), again)
    assert isinstance(claimed, Hold)
    other.close(claimed, "spent", RECEIPT)
    ledger._claims._unresolved.setdefault(held.id, ("default", {"id": held.id}))
    data = copied(server)
    bought(ledger, "lost")
    put_back(server, data)
    with no_grace(monkeypatch):
        ledger.accept()
    assert (ledger.holds(), ledger.spent(TODAY)) == ((), 10_000)


def test_one_accepted_loss_is_enough_for_programs_that_notice_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, late, other = quiet(server.url), quiet(server.url), quiet(server.url)
    other.holds()
    data = copied(server)
    bought(one, "a")
    held = unresolved(late, "b")
    put_back(server, data)
    assert is_refused(one)
    with no_grace(monkeypatch):
        other.accept()
        other.accept()
    assert [hold.id for hold in late.holds()] == [held.id]
    assert not is_refused(one)
    with pytest.raises(LedgerUnavailable, match="Try again in 5 seconds"):
        other.reserve(order(purchase("c")), Attempt())
    server.do("HDEL", "{x402:default}:state", "opens")
    assert isinstance(other.reserve(order(purchase("c"), cap(20_000)), Attempt()), Hold)
    data = copied(server)
    bought(one, "d")
    put_back(server, data)
    assert is_refused(one), "another loss is another"


def test_nothing_to_accept_is_done_at_once(ledger: RedisLedger) -> None:
    held = unresolved(ledger)
    started = time.monotonic()
    assert not ledger.accept()

    async def both() -> None:
        assert not await ledger.asynchronous.accept()
        await ledger.asynchronous.close_ledger()

    asyncio.run(both())
    assert time.monotonic() - started < 4
    assert [hold.id for hold in ledger.holds()] == [held.id]


def test_an_idle_program_is_not_refused_for_what_others_did(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with short_ring(monkeypatch):
        idle, forked = quiet(server.url), quiet(server.url)
        bought(idle, "a")
        forked._steps.server.inherit(idle._steps.server)
        busy = quiet(server.url)
        for number in range(8):
            bought(busy, f"{number}")
        server.do("ZADD", "{x402:default}:owners", 1, idle._claims.owner)
        busy._beat("default")
        assert not is_refused(idle)
        assert not is_refused(forked)
