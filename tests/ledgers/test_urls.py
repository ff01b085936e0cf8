"""What names a ledger is a path or a URL that is understood; anything else is refused, without its password."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import x402_client
from x402_client import Buyer, Policy, Wallet
from x402_client.buyer import settings
from x402_client.cli.buying import Choices
from x402_client.errors import ConfigurationError
from x402_client.ledgers.postgres import PostgresLedger
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.ledgers.urls import POSTGRES, REDIS, SERVERS, for_redis, scheme_of

SECRET, USER, QUERY = "s3cr3t-word", "the-user", "token=query-word"
AT = f"{USER}:{SECRET}@db.example:5432/x?{QUERY}"
OURS = str(Path(x402_client.__file__).parent)

NOT_UNDERSTOOD = [
    f"\tmysql+pymysql://{AT}",
    f"redis+sentinel://{AT}",
    f"redis-sentinel://{AT}",
    f"rediss+sentinel://{AT}",
    f"sentinel://{AT}",
    f"redis+cluster://{AT}",
    f"http://{AT}",
    f"sqlite:///{SECRET}/spend.db",
    f"sqlite://{SECRET}",
    f"file:///{SECRET}/spend.db",
    f"mongodb:/{AT}",
]
NOT_READ = [
    f"redis://{USER}:{SECRET}@h:port/0?{QUERY}",
    f"REDIS://{USER}:{SECRET}@[h/0",
    f"'redis://{AT}'",
    f"redis:{USER}:{SECRET}@h",
    f"redis:/{AT}",
    f"valkey:{SECRET}",
    f"unix:/{SECRET}",
]
NOT_READ_BY_LIBPQ = [
    f"postgresql://{USER}:{SECRET}@h:5432/x?{QUERY}",
    f"'postgresql://{AT}'",
    f'"postgres://{AT}"',
    f"postgresql:/{AT}",
    f"postgresql:{AT}",
    f"postgres:{SECRET}",
]
#: URLs with a mistake in them, which would be files.
MISTYPED = [
    *(f"{scheme}{slip}:{SECRET}@h/77" for scheme in SERVERS for slip in ("//", ";//", ".//", " //")),
    f"{USER}:{SECRET}@h/x",
    f":{SECRET}@h/0",
    f"//:{SECRET}@h/0",
    f"reds//{USER}:{SECRET}@h",
    f"redis\\:{SECRET}@h",
]
PATHS = [
    "spend.db", "./postgresql:/x.db", "C:\\x\\spend.db", "C:/x", "c://x", "/tmp/a://b.db", "-", "a b:/c.db", "10:/x.db",
    "data-2026:spend.db", ":memory:", "~/spend.db", "..", "",
]  # fmt: skip

Way = Callable[[Any], object]


def _buyer(given: Any) -> object:
    return Buyer(Wallet(evm="0x" + "46" * 32), Policy(per_day="1"), ledger=given)


WAYS: dict[str, Way] = {
    "buyer": _buyer,
    "settings": settings.ledger,
    "a path": lambda given: _buyer(Path(given)),
    "bytes": lambda given: _buyer(os.fsencode(given)),
    "sqlite": SqliteLedger,
    "sqlite, a path": lambda given: SqliteLedger(Path(given)),
}


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames(traceback: TracebackType | None) -> list[FrameType]:
    found = []
    while traceback is not None:
        found.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return found


def refused(way: Way, given: Any) -> str:
    """What is said; neither it nor any variable of ours on the way shows what was given."""
    with pytest.raises(ConfigurationError) as caught:
        way(given)
    failure: BaseException | None = caught.value
    shown = [repr(failure), str(failure)]
    while failure is not None:
        ours = [frame for frame in frames(failure.__traceback__) if frame.f_code.co_filename.startswith(OURS)]
        shown += [repr(value) for frame in ours for value in frame.f_locals.values()]
        failure = failure.__cause__ or failure.__context__
    text = "\n".join(shown)
    assert not [word for word in (SECRET, USER, QUERY, "db.example") if word in text], text
    return str(caught.value)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("url", NOT_UNDERSTOOD)
def test_a_url_that_is_not_understood_is_refused_and_makes_nothing(url: str, way: Way, empty: Path) -> None:
    said = refused(way, url)
    scheme = url.strip(" \t'\"").partition(":")[0].lower()
    assert f"{scheme[:20]}://" in said
    assert all(f"{known}://" in said for known in REDIS)
    assert ("primary" in said) == ("sentinel" in scheme)
    assert ("Write the path" in said) == (scheme in ("sqlite", "file"))
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("url", NOT_READ)
@pytest.mark.parametrize("way", [_buyer, settings.ledger, RedisLedger])
def test_a_url_that_cannot_be_read_is_refused_and_makes_nothing(url: str, way: Way, empty: Path) -> None:
    assert "redis://host:6379/0" in refused(way, url)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("url", NOT_READ_BY_LIBPQ)
@pytest.mark.parametrize("way", [_buyer, settings.ledger, PostgresLedger])
def test_a_url_that_libpq_cannot_read_is_refused_and_makes_nothing(url: str, way: Way, empty: Path) -> None:
    assert "schema" in refused(way, url)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:7/x", "POSTGRES://127.0.0.1:7/x", " postgresql://127.0.0.1:7/x\n"]
)
def test_postgresql_in_any_case(url: str, empty: Path) -> None:
    for made in (settings.ledger(url), PostgresLedger(url), settings.ledger(url.encode())):
        assert isinstance(made, PostgresLedger)
        assert (made.name, repr(made)) == ("127.0.0.1:7/x", "PostgresLedger('127.0.0.1:7/x')")
    named = PostgresLedger(f"postgresql://{USER}:{SECRET}@one,two:6/x?sslmode=disable&schema=money")
    assert named.name == "one:5432,two:6/x, schema money"
    assert list(empty.iterdir()) == []


_TAKES = {SqliteLedger: "the path of a file", RedisLedger: "redis://", PostgresLedger: "postgresql://"}
_KINDS = dict.fromkeys(REDIS, RedisLedger) | dict.fromkeys(POSTGRES, PostgresLedger)


@pytest.mark.parametrize("scheme", SERVERS)
@pytest.mark.parametrize("way", _TAKES)
def test_a_class_names_the_one_that_takes_the_url_of_another(way: Any, scheme: str, empty: Path) -> None:
    """None says that a ledger cannot be at a URL that it then lists."""
    right = _KINDS[scheme]
    if way is right:
        return
    with pytest.raises(ConfigurationError) as refused:
        way(f"{scheme}://{AT}")
    said = str(refused.value.args[0])
    assert said.startswith(f"{way.__name__} takes {'' if way is SqliteLedger else 'a URL like '}{_TAKES[way]}")
    assert f"this begins with {scheme}://; {right.__name__} takes that." in said
    assert "Buyer(ledger=...) takes paths and URLs" in said
    assert SECRET not in said
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("url", [url for url in NOT_UNDERSTOOD if "'" not in url])
def test_redis_refuses_them_too(url: str) -> None:
    assert "://" in refused(RedisLedger, url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:7/0", "REDIS://127.0.0.1:7/0", "valkey://127.0.0.1:7/0", "Valkeys://127.0.0.1:7/0",
        "rediss://127.0.0.1:7/0", " redis://127.0.0.1:7/0\n",
    ],
)  # fmt: skip
def test_redis_and_valkey_in_any_case(url: str, empty: Path) -> None:
    for made in (settings.ledger(url), RedisLedger(url), settings.ledger(url.encode())):
        assert isinstance(made, RedisLedger)
        assert made.name == "127.0.0.1:7/0"
        assert for_redis(url).startswith(("redis://", "rediss://"))
        assert for_redis(url).startswith("rediss://") == ("s://" in url.lower().replace("redis://", ""))
    assert list(empty.iterdir()) == []


def test_a_socket() -> None:
    assert settings.ledger("UNIX:///run/redis.sock").name == "/run/redis.sock"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_stays_a_path(path: str) -> None:
    assert scheme_of(path) is None
    assert scheme_of(path.encode()) is None


@pytest.mark.parametrize("way", ["text", "a path", "bytes"])
@pytest.mark.parametrize("name", ["spend.db", "C:\\x\\spend.db"])
def test_a_path_makes_its_file(name: str, way: str, empty: Path) -> None:
    given: Any = {"text": name, "a path": Path(name), "bytes": os.fsencode(name)}[way]
    ledger = settings.ledger(given)
    assert isinstance(ledger, SqliteLedger)
    assert [path.name for path in empty.glob("*.db")] == [name]
    ledger.close_ledger()


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_a_url(text: str) -> None:
    scheme = scheme_of(text)
    assert scheme is None or (len(scheme) > 1 and scheme == scheme.lower())


ADDRESSES = [
    "localhost:6379", "redis", "Redis", "postgres", "localhost", "redis.internal", "redis.internal:6379",
    "127.0.0.1:6379", "127.0.0.1", "[::1]:6379", "localhost:6379/0", "my-redis", "cache.redis.svc", "money.internal",
    f"{USER}:{SECRET}@cache:6379/1",
]  # fmt: skip


@pytest.mark.parametrize("way", ["buyer", "settings", "bytes", "sqlite"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_servers_address_without_its_scheme_is_no_file(address: str, way: str, empty: Path) -> None:
    said = refused(WAYS[way], address if way != "bytes" else address.encode())
    assert f"redis://{address.removesuffix('/0')}/0" in said or address.count(":") != 1
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", MISTYPED)
def test_a_mistyped_url_is_no_file_and_is_not_shown(url: str, way: str, empty: Path) -> None:
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in refused(WAYS[way], url)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("way", ["buyer", "settings", "bytes", "sqlite"])
@pytest.mark.parametrize("name", ["memory", ":memory", "memory:", ":MEMORY:", " :memory:", "file::memory:"])
def test_a_misspelled_memory_is_no_file(name: str, way: str, empty: Path) -> None:
    assert '":memory:"' in refused(WAYS[way], name if way != "bytes" else name.encode())
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["./memory", "./x:y@z", "a@b", "./redis", "redis.db", "spend", "spend.v2", "localhost.sqlite"]
)
def test_a_file_may_be_called_like_a_server(name: str, empty: Path) -> None:
    ledger = settings.ledger(name)
    assert isinstance(ledger, SqliteLedger)
    assert ledger.path == empty / name
    ledger.close_ledger()


def test_a_path_object_is_a_file(empty: Path) -> None:
    ledger = settings.ledger(Path("redis"))
    assert isinstance(ledger, SqliteLedger)
    assert ledger.path == empty / "redis"
    ledger.close_ledger()


# The command


@pytest.mark.parametrize("words", [("status", "--offline"), ("ledger",), ("get", "http://127.0.0.1:1/x", "--yes")])
def test_the_command_refuses_an_address_without_its_scheme(words: tuple[str, ...], empty: Path) -> None:
    ran = command(*words, X402_LEDGER="redis.internal", X402_EVM_KEY="0x" + "46" * 32, HOME=str(empty))
    assert (ran.returncode, list(empty.iterdir())) == (2, [])
    assert "redis://HOST:6379/0" in ran.stderr


@pytest.mark.parametrize("words", [("status", "--offline"), ("ledger", "freeze"), ("quote", "http://127.0.0.1:1/x")])
@pytest.mark.parametrize("by_variable", [False, True])
def test_the_command_refuses_a_mistyped_url(words: tuple[str, ...], by_variable: bool, empty: Path) -> None:
    url = f"redis//:{SECRET}@h/77"
    named = () if by_variable else ("--ledger", url)
    variables = {"X402_EVM_KEY": "0x" + "46" * 32, "HOME": str(empty), **({"X402_LEDGER": url} if by_variable else {})}
    ran = command(*words, *named, **variables)
    assert ran.returncode
    assert SECRET not in ran.stdout + ran.stderr
    assert "with a mistake in it" in " ".join(ran.stderr.split()) or words[0] == "quote"
    assert list(empty.iterdir()) == []


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "x402_client", *words], env=os.environ | variables, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "words", [("ledger",), ("ledger", "holds"), ("ledger", "freeze"), ("quote", "http://127.0.0.1:1/x")]
)
@pytest.mark.parametrize("by_variable", [False, True])
def test_the_command_refuses_them(words: tuple[str, ...], by_variable: bool, empty: Path) -> None:
    url = f"mysql://{AT}"
    named = () if by_variable else ("--ledger", url)
    if by_variable and words == ("quote", "http://127.0.0.1:1/x"):
        words = ("ledger", "reconcile")
    variables = {"X402_EVM_KEY": "0x" + "46" * 32, "HOME": str(empty)}
    ran = command(*words, *named, **variables, **({"X402_LEDGER": url} if by_variable else {}))
    assert ran.returncode != 0
    assert SECRET not in ran.stdout + ran.stderr
    assert "A ledger cannot be at mysql://" in " ".join(ran.stderr.split()) or words[0] == "quote"
    assert list(empty.iterdir()) == []


def test_the_choices_of_the_command_show_no_url() -> None:
    assert SECRET not in repr(Choices(ledger=f"redis://{AT}"))
