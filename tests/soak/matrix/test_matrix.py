"""The smallest part of the matrix under ``-m foreign``, all of it under ``-m matrix``; and the table itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.one_request import SHELLS, name_of, through_httpx
from tests.real.environments import EnvironmentUnavailable, environment, needed
from x402_client import Buyer

from . import npm
from .cells import Cell, buy, repeat
from .payer import buy_by
from .rows import FASTAPI, NEXT, ROWS
from .run import one
from .services import EVM, PYTHON, SOLANA, Row, Script, Services
from .table import Result, text
from .ways import UPTO_PERMIT, Way

EXPRESS = Script("official", "express.mjs", "@x402/express")
SMALL = [row for row in ROWS if row.seller == EXPRESS and row.facilitator == PYTHON]
[NEXT_JS] = [row for row in ROWS if row.seller == NEXT and row.chain == EVM]
ROW = Row(EXPRESS, 2, EVM)


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """Started by what is first opened on it."""
    with Services() as services:
        yield services


def twice(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    through_httpx(buyer, method, url, **request)
    return through_httpx(buyer, method, url, **request)


@pytest.mark.foreign
@pytest.mark.timeout(900)
def test_a_typescript_seller_on_each_chain(services: Services) -> None:
    needed(npm.installed, "official")
    needed(environment, "v2")
    assert [row.chain for row in SMALL] == [EVM, SOLANA]
    for row in SMALL:
        with closing(services.open(row)) as stand:
            assert buy(services, stand, "GET", "httpx", through_httpx) == Cell("GET", "httpx", "paid")
            assert buy(services, stand, "GET", "httpx", twice).verdict == "wrong", "the chain has two"


def forgetful(buyer: Buyer, method: str, url: str, **request: Any) -> Any:
    """A client that keeps no ledger."""
    anew = Buyer(buyer.wallet, buyer.policy, ledger=":memory:", rpc={}, repeat=())
    return through_httpx(anew, method, url, **request)


@pytest.mark.foreign
@pytest.mark.timeout(900)
def test_a_next_js_site_is_paid_over_a_line_that_breaks(services: Services) -> None:
    needed(npm.installed, "next")
    with closing(services.open(NEXT_JS)) as stand:
        for method in NEXT_JS.methods:
            assert buy(services, stand, method, "httpx", through_httpx) == Cell(method, "httpx", "paid")


@pytest.mark.foreign
@pytest.mark.timeout(900)
def test_a_payment_that_is_signed_anew_after_a_broken_line_is_seen(services: Services) -> None:
    needed(environment, "v2")
    with closing(services.open(Row(FASTAPI, 2, EVM))) as stand:
        assert repeat(services, stand, "httpx", through_httpx).verdict == "paid"
        cell = repeat(services, stand, "httpx", forgetful)
    assert (cell.verdict, cell.words) == ("wrong", "before: Wrong: 2 payments were presented, 2 of them different")


@pytest.mark.foreign
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("way", "ask", "verdict"),
    [
        (UPTO_PERMIT, through_httpx, "paid"),
        (replace(UPTO_PERMIT, charge=6_999), through_httpx, "wrong"),
        (replace(UPTO_PERMIT, left=0), through_httpx, "wrong"),
        (replace(UPTO_PERMIT, permits=2), through_httpx, "wrong"),
        (UPTO_PERMIT, twice, "wrong"),
    ],
)
def test_another_way_is_compared_with_the_chain(services: Services, way: Way, ask: Any, verdict: str) -> None:
    needed(environment, "v2")
    with closing(services.open(Row(FASTAPI, 2, EVM, way=way))) as stand:
        assert buy_by(way, services, stand, "GET", "httpx", ask).verdict == verdict


@pytest.mark.matrix
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace("`", ""))
def test_a_row_is_as_expected(services: Services, row: Row) -> None:
    result = one(services, row)
    if result.left_out:
        pytest.skip(result.left_out)
    assert result.as_expected, text([result], [name_of(shell) for shell in SHELLS])


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ([("GET", "paid"), ("POST", "paid")], "GET POST"),
        ([("GET", "paid"), ("POST", "refused")], "GET (POST refused)"),
        ([("GET", "refused"), ("POST", "refused")], "refused"),
        ([("GET", "wrong"), ("POST", "wrong")], "wrong"),
    ],
)
def test_a_cell_shows_what_happened(cells: list[tuple[str, Any]], shown: str) -> None:
    found = tuple(Cell(method, "httpx", verdict, "a | b") for method, verdict in cells)
    last = text([Result(ROW, found)], ["httpx"]).splitlines()[-1]
    assert last.endswith(f"| {shown} | a / b |")


def test_a_row_that_was_left_out_says_why() -> None:
    assert f"Left out: {ROW.name}: no node" in text([Result(ROW, left_out="no node")], ["httpx"])


@pytest.mark.parametrize(
    ("ends", "cell", "expected"),
    [
        ("paid", Cell("GET", "httpx", "paid", "too dear"), True),
        ("paid", Cell("GET", "httpx", "refused", "too dear"), False),
        ("refused", Cell("GET", "httpx", "refused", "it is too dear"), True),
        ("refused", Cell("GET", "httpx", "refused", "something else"), False),
        ("refused", Cell("GET", "httpx", "paid", "too dear"), False),
        ("rejected", Cell("GET", "httpx", "refused", "too dear"), False),
        ("refused", Cell("GET", "httpx", "wrong", "too dear"), False),
    ],
)
def test_what_is_expected(ends: Any, cell: Cell, expected: bool) -> None:
    assert Result(replace(ROW, ends=ends, says="too dear"), (cell,)).as_expected is expected


def test_without_a_registry_the_reason_is_plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needed(npm.node_version)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retry_mintimeout", "10")
    monkeypatch.setenv("npm_config_fetch_retry_maxtimeout", "10")
    monkeypatch.setattr(npm, "STORE", tmp_path)
    with pytest.raises(EnvironmentUnavailable, match="need an npm registry, and npm said ECONNREFUSED"):
        npm.installed("official")


def test_without_node_the_reason_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    npm.node_version.cache_clear()
    try:
        with pytest.raises(EnvironmentUnavailable, match="need node and npm"):
            npm.installed("official")
    finally:
        npm.node_version.cache_clear()
