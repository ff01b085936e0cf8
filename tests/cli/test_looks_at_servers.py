"""Commands that look at a ledger on a server: none of them makes a purse there, and each serves a new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ledgers.postgres.server import starting as starting_postgres
from tests.ledgers.redis.server import starting as starting_redis
from x402_client import Buyer, Wallet
from x402_client.buyer import settings
from x402_client.ledgers.conformance.fixtures import order, purchase
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
