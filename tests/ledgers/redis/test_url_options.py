"""Options in a Redis ledger's URL: each that is accepted works, and another one is named before anything connects."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x402_client.errors import ConfigurationError
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.redis.url_options import ACCEPTED, COMMON, OF_TLS

from .server import Server

#: A value that each option takes. User and password are those of a server that asks for none.
VALUES = {
    "client_name": "mine", "db": "0", "health_check_interval": "30", "max_connections": "3", "password": "",
    "socket_connect_timeout": "2", "socket_keepalive": "true", "socket_timeout": "2.5", "timeout": "2",
    "username": "default",
}  # fmt: skip
TLS_VALUES = {
    "ssl_ca_certs": "/ca.pem", "ssl_ca_data": "x", "ssl_ca_path": "/ca", "ssl_cert_reqs": "required",
    "ssl_certfile": "/c.pem", "ssl_check_hostname": "true", "ssl_ciphers": "ALL", "ssl_keyfile": "/k.pem",
    "ssl_min_version": "771", "ssl_password": "x",
}  # fmt: skip


def test_each_accepted_option_is_tried_here() -> None:
    assert {*VALUES} == {*ACCEPTED["redis"]}
    assert {*TLS_VALUES} == {*OF_TLS} == {*ACCEPTED["rediss"]} - {*ACCEPTED["redis"]}
    assert {*COMMON} == {*ACCEPTED["unix"]}


@pytest.mark.parametrize("name", VALUES)
def test_each_accepted_option_reaches_the_server(server: Server, name: str) -> None:
    ledger = RedisLedger(f"{server.url}?{name}={VALUES[name]}")
    assert ledger.freezes() == ()
    assert asyncio.run(_freezes(ledger)) == ()
    ledger.close_ledger()


async def _freezes(ledger: RedisLedger) -> tuple[str, ...]:
    try:
        return await ledger.asynchronous.freezes()
    finally:
        await ledger.asynchronous.close_ledger()


@pytest.mark.parametrize("name", TLS_VALUES)
def test_options_of_tls_are_taken_by_tls_alone(name: str) -> None:
    RedisLedger(f"rediss://127.0.0.1:1/0?{name}={TLS_VALUES[name]}")
    for url in ("redis://127.0.0.1:1/0", "unix:///run/redis.sock"):
        with pytest.raises(
            ConfigurationError, match=rf"{name} in the ledger's URL is an option of TLS: begin .* rediss"
        ):
            RedisLedger(f"{url}?{name}={TLS_VALUES[name]}")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///run/redis.sock"])
@given(
    name=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    value=st.from_regex(r"[A-Za-z0-9]{0,9}", fullmatch=True),
)
def test_any_other_option_is_named_with_those_that_are_accepted(url: str, name: str, value: str) -> None:
    if name in ACCEPTED["rediss"]:
        return
    with pytest.raises(ConfigurationError) as refused:
        RedisLedger(f"{url}?db=0&{name}={value}z9z")
    said = str(refused.value)
    assert f"has {name}, which is no option of it." in said
    assert "client_name, db, health_check_interval" in said
    assert "z9z" not in said


@pytest.mark.parametrize(
    "name", ["decode_responses", "retry", "connection_class", "protocol", "maint_notifications_config"]
)
def test_what_the_ledger_decides_itself_is_no_option(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"has {name}, which is no option of it"):
        RedisLedger(f"redis://127.0.0.1:1/0?{name}=1")


def test_a_near_name_is_asked_about() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean socket_timeout"):
        RedisLedger("redis://127.0.0.1:1/0?sockettimeout=3")


@pytest.mark.parametrize("name", ["socket_timeout", "max_connections", "health_check_interval"])
def test_a_value_that_cannot_be_read_is_told_by_its_name(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"{name} in the ledger's URL has a value that cannot be read"
    ) as refused:
        RedisLedger(f"redis://127.0.0.1:1/0?{name}=hunter22")
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://me:1?hunter22=3@127.0.0.1/0", "redis://:1?hunter22@127.0.0.1:6379/0"])
def test_a_question_mark_in_a_password_shows_nothing_of_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RedisLedger(url)
    assert "hunter22" not in str(refused.value)
