"""A TLS address at a plain port, a plain address at a TLS port, a strange certificate: each is told as what it is."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from x402_client.errors import LedgerUnavailable
from x402_client.ledgers.redis import RedisLedger

from .server import Server, free_port

#: redis-py leaves the socket of a handshake that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

SYNC: Callable[[RedisLedger], object] = lambda ledger: ledger.freezes()  # noqa: E731
ASYNC: Callable[[RedisLedger], object] = lambda ledger: asyncio.run(ledger.asynchronous.freezes())  # noqa: E731


class Secured:
    """A server with a port in TLS beside its plain one, and the authority that its certificate is of."""

    def __init__(self, directory: Path) -> None:
        authority, self.port = trustme.CA(), free_port()
        certificate = authority.issue_cert("127.0.0.1")
        self.authority, files = directory / "ca.pem", (directory / "cert.pem", directory / "key.pem")
        authority.cert_pem.write_to_path(self.authority)
        certificate.cert_chain_pems[0].write_to_path(files[0])
        certificate.private_key_pem.write_to_path(files[1])
        self.server = Server(
            directory, "--tls-port", str(self.port), "--tls-cert-file", str(files[0]), "--tls-key-file", str(files[1]),
            "--tls-auth-clients", "no",
        )  # fmt: skip


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("tls"))
    yield made
    made.server.kill()


SLIPS: dict[str, tuple[Callable[[Secured], str], str]] = {
    "TLS at a plain port": (lambda at: f"rediss://127.0.0.1:{at.server.port}/0", "without TLS, write redis://"),
    "plain at a TLS port": (lambda at: f"redis://127.0.0.1:{at.port}/0", "speaks TLS, write rediss://"),
    "an unknown authority": (lambda at: f"rediss://127.0.0.1:{at.port}/0", "?ssl_ca_certs=/path/to/ca.pem"),
    "another name": (
        lambda at: f"rediss://localhost:{at.port}/0?ssl_ca_certs={at.authority}&ssl_check_hostname=true",
        "of another name",
    ),
}


@pytest.mark.parametrize("ask", [SYNC, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize(("url", "words"), SLIPS.values(), ids=SLIPS)
def test_the_likely_cause_is_named(
    secured: Secured, url: Callable[[Secured], str], words: str, ask: Callable[[RedisLedger], object]
) -> None:
    ledger = RedisLedger(url(secured), timeout=1)
    with pytest.raises(LedgerUnavailable) as raised:
        ask(ledger)
    assert words in str(raised.value)
    del raised, ledger
    gc.collect()


@pytest.mark.parametrize("ask", [SYNC, ASYNC], ids=["sync", "async"])
def test_both_ports_are_taken_by_their_own_address(secured: Secured, ask: Callable[[RedisLedger], object]) -> None:
    for url in (f"redis://127.0.0.1:{secured.server.port}/0", _trusting(secured)):
        ledger = RedisLedger(url)
        assert ask(ledger) == ()
        ledger.close_ledger()


def test_a_server_that_is_not_there_is_no_matter_of_tls() -> None:
    for scheme in ("redis", "rediss"):
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            RedisLedger(f"{scheme}://127.0.0.1:{free_port()}/0").freezes()


def _trusting(secured: Secured) -> str:
    return f"rediss://127.0.0.1:{secured.port}/0?ssl_ca_certs={secured.authority}"
