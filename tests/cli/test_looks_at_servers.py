"""Commands that look at a ledger on a server: none of them makes a purse there, and each serves a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers.postgres.server import starting as starting_postgres
from tests.ledgers.redis.server import starting as starting_redis
from x402_client import Buyer, Wallet
from x402_client.buyer import settings
from x402_client.ledgers.conformance.fixtures import order, purchase
from x402_client.ledgers.redis.failures import COMMANDS
from x402_client.model.holds import Attempt
from x402_client.sandbox import Sandbox

from .running import in_process

LOOKS = (
    ["status", "--offline"],
    ["quote", "URL"],
    ["doctor", "URL"],
    ["get", "--dry-run", "URL"],
    *(["ledger", about] for about in ("list", "holds", "spent", "freezes", "allowances", "reconcile")),
)


@pytest.fixture(scope="module", params=["redis", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "redis":
        with starting_redis(tmp_path_factory.mktemp("redis")) as start:
            yield start()
    else:
        with starting_postgres() as start:
            yield start("fsync=off")


@pytest.fixture
def url(server: Any) -> str:
    """The address of a server with nothing in it."""
    if isinstance(server.url, str):
        server.do("FLUSHALL")
        return server.url
    server.empty()
    return str(server.url())


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_a_look_makes_no_purse(seller: Sandbox, given: dict[str, str], url: str, look: list[str]) -> None:
    ledger: Any = settings.ledger(url)
    for kept in ((), ("team",)):
        for purse in kept:
            ledger.reserve(order(purchase(purse=purse)), Attempt())
        about = [f"{seller.url}/weather" if word == "URL" else word for word in look]
        in_process([*about, "--ledger", url, "--purse", "teemB"], given)
        assert ledger.purses() == kept
    ledger.close_ledger()


def test_the_status_of_a_new_purse_names_the_others(given: dict[str, str], url: str) -> None:
    look = ["status", "--offline", "--ledger", url, "--purse"]
    empty = in_process([*look, "teemB"], given)
    assert (empty.code, "not there yet" in empty.text, "is new" in empty.err) == (0, True, False)
    ledger: Any = settings.ledger(url)
    ledger.reserve(order(purchase(purse="team")), Attempt())
    ledger.freeze("evil.example")
    new = in_process([*look, "teemB"], given)
    assert "Used before there: 'team'." in " ".join(new.err.split())
    assert "evil.example" in new.text, "a freeze stops every purse"
    used = in_process([*look, "team"], given)
    assert ("is new" in used.err, "evil.example" in used.text) == (False, True)
    ledger.close_ledger()


def test_a_payment_from_a_new_purse_names_the_others(seller: Sandbox, given: dict[str, str], url: str) -> None:
    pay = ["get", "--yes", f"{seller.url}/weather", "--ledger", url, "--purse"]
    assert "Used before there" not in in_process([*pay, "team"], given).err
    for said in (True, False):
        ran = in_process([*pay, "teem"], given)
        assert ran.code == 0
        assert ("A new purse begins" in ran.err) is said
        assert "A new ledger begins" not in ran.err
        assert ("Did you mean 'team'? Used before there: 'team'." in " ".join(ran.err.split())) is said


def test_the_status_of_a_server_that_may_not_be_trusted_is_a_page_with_a_problem(
    given: dict[str, str], tmp_path: Path
) -> None:
    with starting_redis(tmp_path) as start:
        evicting = start()
        ledger: Any = settings.ledger(evicting.url)
        ledger.reserve(order(), Attempt())
        evicting.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        ran = in_process(["status", "--offline", "--ledger", evicting.url], given)
        ledger.close_ledger()
    assert ran.code == 4
    assert "Policy" in ran.text
    assert "noeviction" in ran.text.partition("problem")[2]


def _redis(*settings: str) -> Callable[[ExitStack, Path], str]:
    return lambda stack, directory: stack.enter_context(starting_redis(directory))(*settings).url


def _replica(stack: ExitStack, directory: Path) -> str:
    start = stack.enter_context(starting_redis(directory))
    primary, replica = start(), start()
    replica.do("REPLICAOF", "127.0.0.1", str(primary.port))
    return str(replica.url)


def _user(*rights: str) -> Callable[[ExitStack, Path], str]:
    def start(stack: ExitStack, directory: Path) -> str:
        server = stack.enter_context(starting_redis(directory))()
        server.do("ACL", "SETUSER", "app", "on", ">word", "~{x402*", *rights)
        return str(server.url.replace("//", "//app:word@"))

    return start


def _role(*settings: str) -> Callable[[ExitStack, Path], str]:
    def start(stack: ExitStack, directory: Path) -> str:
        server = stack.enter_context(starting_postgres())("fsync=off")
        server.do("CREATE ROLE app LOGIN")
        for setting in settings:
            server.do(setting)
        return server.url("app")

    return start


def _standby(stack: ExitStack, directory: Path) -> str:
    start = stack.enter_context(starting_postgres())
    standby: str = start(standby_of=start("fsync=off")).url()
    return standby


_OFF = "ALTER ROLE ... SET default_transaction_read_only = off"
_MAY_CREATE = "GRANT CREATE ON DATABASE postgres TO app"
#: Servers where no payment can be counted, and what all commands say of them.
OBSTACLES = {
    "evicts": (_redis("--maxmemory-policy", "allkeys-lru"), "noeviction"),
    "replica": (_replica, "use the address of the primary"),
    "no-scripts": (_user("+@all", "-eval", "-evalsha"), "ACL SETUSER"),
    "no-writes": (_user("+eval", "+evalsha", "+info", "+wait", "+@read"), "ACL SETUSER"),
    "one-command-missing": (_user("+@all", "-setrange"), "ACL SETUSER"),
    "no-memory": (_redis("--maxmemory", "1mb"), "has no memory left"),
    "standby": (_standby, "it is a standby. Use the address of the primary"),
    "read-only": (_role(_MAY_CREATE, "ALTER ROLE app SET default_transaction_read_only = on"), _OFF),
    "read-only database": (_role(_MAY_CREATE, "ALTER DATABASE postgres SET default_transaction_read_only = on"), _OFF),
    "serializable": (
        _role(_MAY_CREATE, "ALTER ROLE app SET default_transaction_isolation = serializable"),
        "read committed",
    ),
    "no-right": (_role(), "may not make one"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_refuses_the_first_payment_is_told_by_each_look(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, obstacle: str
) -> None:
    start, cure = OBSTACLES[obstacle]
    with ExitStack() as stack:
        about = [f"{seller.url}/weather", "--ledger", start(stack, tmp_path)]
        for look in (["get", "--yes"], ["get", "--dry-run"], ["quote"], ["doctor"], ["status", "--offline"]):
            ran = in_process([*look, *about[1 if look[0] == "status" else 0 :]], given)
            told = " ".join((ran.text + ran.err).split())
            assert (look, ran.code) == (look, 1 if look[0] == "doctor" else 4), told
            assert cure in told, look


def test_a_user_with_the_rights_that_are_named_pays(seller: Sandbox, given: dict[str, str], tmp_path: Path) -> None:
    named = COMMANDS.partition("the_user ")[2].split()
    with ExitStack() as stack:
        ran = in_process(["get", "--yes", f"{seller.url}/weather", "--ledger", _user(*named)(stack, tmp_path)], given)
    assert ran.code == 0, ran.err


def test_python_shows_the_others_where_nothing_listens(url: str) -> None:
    ledger: Any = settings.ledger(url)
    ledger.reserve(order(purchase(purse="team")), Attempt())
    buyer = Buyer(Wallet(evm="0x" + "46" * 32), ledger=settings.ledger(url), purse="teem")
    assert buyer.holds() == ()
    said = "Purse 'teem' is new in the ledger .* Did you mean 'team'. Used before there: 'team'."
    with pytest.warns(UserWarning, match=said) as shown:
        buyer.services.tell_news()
    assert len(shown) == 1
    buyer.close()
    ledger.close_ledger()
