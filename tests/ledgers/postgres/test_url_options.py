"""Options in a PostgreSQL ledger's URL that libpq does not know are named, in psycopg's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.pq import Conninfo

from x402_client.errors import ConfigurationError
from x402_client.ledgers.postgres import PostgresLedger

URL = "postgresql://me@127.0.0.1:1/x"
KNOWN = {option.keyword.decode() for option in Conninfo.get_defaults()}


@given(
    name=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    value=st.from_regex(r"[A-Za-z0-9]{0,9}", fullmatch=True),
)
def test_any_option_that_libpq_does_not_know_is_named(name: str, value: str) -> None:
    if name in {*KNOWN, "schema", "ssl"}:  # libpq takes ssl=true from other programs' URLs
        return
    with pytest.raises(ConfigurationError) as refused:
        PostgresLedger(f"{URL}?sslmode=prefer&{name}={value}z9z")
    said = str(refused.value)
    assert f'psycopg says: invalid URI query parameter: "{name}".' in said
    assert "Accepted are schema and the options of libpq" in said
    assert "z9z" not in said


def test_a_near_name_is_asked_about() -> None:
    for written, meant in (("sslmod", "sslmode"), ("shema", "schema")):
        with pytest.raises(ConfigurationError, match=f"Did you mean {meant}"):
            PostgresLedger(f"{URL}?{written}=require")


@pytest.mark.parametrize("url", ["postgresql://me/1?hunter22=3@127.0.0.1/x", "postgresql://me/1?hunter22@127.0.0.1/x"])
def test_a_question_mark_in_a_password_shows_nothing_of_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        PostgresLedger(url)
    assert "hunter22" not in str(refused.value)
