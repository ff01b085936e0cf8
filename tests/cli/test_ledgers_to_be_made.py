"""Commands that look say so where the first payment could not make its ledger. None of them makes one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledgers.postgres.server import Server, starting
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.sandbox import Sandbox

from .running import in_process

#: Commands that say whether something would be paid.
JUDGES = (["status", "--offline"], ["quote", "URL"], ["doctor", "URL"], ["get", "--dry-run", "URL"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with starting() as start:
        yield start("fsync=off")


@pytest.mark.parametrize("look", JUDGES, ids=" ".join)
@pytest.mark.parametrize("schema", ["", "?schema=bare"])
def test_a_server_where_no_ledger_can_be_made_is_told_before_a_payment(
    seller: Sandbox, given: dict[str, str], server: Server, look: list[str], schema: str
) -> None:
    asked = [word.replace("URL", f"{seller.url}/weather") for word in look]
    server.do(
        "DROP SCHEMA IF EXISTS x402 CASCADE; CREATE SCHEMA bare; CREATE ROLE app LOGIN; "
        "GRANT USAGE ON SCHEMA bare TO app"
    )
    try:
        there = {"X402_LEDGER": server.url("app", schema)}
        ran, other = in_process(asked, given | there), in_process(asked, given | {"X402_LEDGER": server.url()})
        assert "this role may not make one" in ran.text + ran.err
        assert ran.code == (1 if look[0] == "doctor" else 4)
        assert "Nothing stands in the way" not in ran.text
        assert "may not make one" not in other.text + other.err
        assert other.code in (0, 1)
        if schema:
            server.do("GRANT CREATE ON SCHEMA bare TO app")
            assert "may not make one" not in in_process(asked, given | there).text
        assert server.do("SELECT count(*) FROM pg_tables WHERE schemaname IN ('x402', 'bare')") == [(0,)]
    finally:
        server.do("DROP SCHEMA bare; DROP OWNED BY app; DROP ROLE app")


@pytest.mark.parametrize("look", JUDGES, ids=" ".join)
def test_a_role_that_makes_steps_only_is_told_nothing_where_the_ledger_is_there(
    seller: Sandbox, given: dict[str, str], server: Server, look: list[str]
) -> None:
    asked = [word.replace("URL", f"{seller.url}/weather") for word in look]
    PostgresLedger(server.url()).migrate()
    server.do("CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA x402 TO app; GRANT EXECUTE ON FUNCTION x402.step TO app")
    try:
        ran = in_process(asked, given | {"X402_LEDGER": server.url("app")})
        assert "may not make" not in ran.text + ran.err
    finally:
        server.do("DROP OWNED BY app; DROP ROLE app")


@pytest.mark.parametrize("look", JUDGES, ids=" ".join)
def test_a_file_whose_directory_is_not_there_is_told_before_a_payment(
    seller: Sandbox, given: dict[str, str], tmp_path: Path, look: list[str]
) -> None:
    asked = [word.replace("URL", f"{seller.url}/weather") for word in look]
    ran = in_process(asked, given | {"X402_LEDGER": str(tmp_path / "not-there" / "spend.db")})
    assert "mkdir -p" in ran.text + ran.err
    assert ran.code == (1 if look[0] == "doctor" else 4)
    assert "Nothing stands in the way" not in ran.text
    assert not (tmp_path / "not-there").exists()


#: Places where nothing was spent, by their names: the ledger's, and further options.
UNUSED = ("a file that is not there", "an empty file", "a new purse", "a server without a purse")


def _made(folder: Path) -> set[str]:
    """Return the names of what is there, but for SQLite's own, which come and go with each connection."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))}


@pytest.mark.parametrize("look", JUDGES, ids=" ".join)
@pytest.mark.parametrize("way", ["--must-exist", "X402_MUST_EXIST=1"])
@pytest.mark.parametrize("place", UNUSED)
def test_a_ledger_that_has_to_exist_is_judged_as_a_payment_would_judge_it(
    seller: Sandbox, given: dict[str, str], server: Server, tmp_path: Path, look: list[str], way: str, place: str
) -> None:
    url, path = f"{seller.url}/weather", tmp_path / "spend.db"
    settings = given | {"X402_LEDGER": str(path)}
    pay, asked = ["get", url, "--yes"], [word.replace("URL", url) for word in look]
    if place == "an empty file":
        path.touch()
    if place == "a new purse":
        assert in_process(pay, settings).code == 0
        settings |= {"X402_PURSE": "bacth"}
    if place == "a server without a purse":
        server.do("DROP SCHEMA IF EXISTS x402 CASCADE")
        PostgresLedger(server.url()).migrate()
        settings |= {"X402_LEDGER": server.url()}
    paid, before = len(seller.settlements), _made(tmp_path)
    strict = [] if way.startswith("X402") else [way]
    settings |= {"X402_MUST_EXIST": "1"} if not strict else {}
    refused, judged = in_process([*pay, *strict], settings), in_process([*asked, *strict], settings)
    assert (refused.code, judged.code) == (4, 1 if look[0] == "doctor" else 4)
    other = ({"--must-exist", "X402_MUST_EXIST"} - {way.partition("=")[0]}).pop()
    for ran in (refused, judged):
        said = " ".join((ran.text + ran.err).split())
        assert way in said
        assert other not in said
    reason = refused.err.removeprefix("x402: ").partition(" More:")[0].strip()
    assert reason in " ".join((judged.text + judged.err).split())
    for silent in ("Nothing stands in the way", "the first payment makes it", "Would pay", "would be paid"):
        assert silent not in judged.text + judged.err
    assert (len(seller.settlements), _made(tmp_path)) == (paid, before)


@pytest.mark.parametrize("look", JUDGES, ids=" ".join)
def test_a_ledger_that_has_to_exist_and_does_is_looked_at_as_ever(
    seller: Sandbox, given: dict[str, str], look: list[str]
) -> None:
    url = f"{seller.url}/weather"
    assert in_process(["get", url, "--yes"], given).code == 0
    asked = [word.replace("URL", url) for word in look]
    for way in (["--must-exist"], []):
        ran = in_process([*asked, *way], given | ({} if way else {"X402_MUST_EXIST": "1"}))
        assert ran.code == in_process(asked, given).code == 0, ran.err


def test_memory_has_not_existed_for_commands_that_look_either(seller: Sandbox, given: dict[str, str]) -> None:
    for look in (*JUDGES, ["get", "--yes", "URL"]):
        asked = [word.replace("URL", f"{seller.url}/weather") for word in look]
        ran = in_process(asked, given | {"X402_LEDGER": ":memory:", "X402_MUST_EXIST": "1"})
        assert (ran.code, "X402_MUST_EXIST=1 needs a ledger that outlives" in ran.err) == (2, True), look
