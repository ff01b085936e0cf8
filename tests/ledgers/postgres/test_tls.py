"""TLS that is asked for where there is none, the reverse, and a strange certificate: each is told as what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from x402_client.ledgers.postgres import PostgresLedger

from .server import Server, starting
from .test_rollback import refused

#: What the server is, the end of the ledger's URL, and what is to be told. "": it works.
SLIPS: dict[str, tuple[str, str, str]] = {
    "TLS is asked for where there is none": ("plain", "?sslmode=require", "has no TLS"),
    "a trusted certificate where there is no TLS": ("plain", "?sslmode=verify-full", "has no TLS"),
    "plain where only TLS is let in": ("hostssl", "?sslmode=disable", "write ?sslmode=require"),
    "TLS where only TLS is let in": ("hostssl", "?sslmode=require", ""),
    "TLS where only plain is let in": ("hostnossl", "?sslmode=require", "write ?sslmode=disable"),
    "either where only plain is let in": ("hostnossl", "", ""),
    "no authority": ("hostssl", "?sslmode=verify-ca&sslrootcert=/not/there", "sslrootcert=/path/to/ca.pem"),
    "another authority": ("hostssl", "?sslmode=verify-ca&sslrootcert={other}", "not trusted here"),
    "another name": ("hostssl", "?sslmode=verify-full&sslrootcert={authority}", "of another name"),
    "the right authority": ("hostssl", "?sslmode=verify-ca&sslrootcert={authority}", ""),
}


class Secured:
    """Servers without TLS, with nothing else, and with nothing of it let in."""

    def __init__(self, start: Callable[..., Server], directory: Path) -> None:
        self.files = {"authority": directory / "ca.pem", "other": directory / "other.pem"}
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.files["authority"])
        trustme.CA().cert_pem.write_to_path(self.files["other"])
        certificate = authority.issue_cert("ledger.example")
        self.servers = {"plain": start()}
        for kind in ("hostssl", "hostnossl"):
            found = self.servers[kind] = start()
            certificate.cert_chain_pems[0].write_to_path(found.data / "server.crt")
            certificate.private_key_pem.write_to_path(found.data / "server.key")
            (found.data / "server.key").chmod(0o600)
            (found.data / "pg_hba.conf").write_text(f"local all all trust\n{kind} all all 127.0.0.1/32 trust\n")
            found.settings = (*found.settings, "ssl=on")
            found.own()
            found.stop()
            found.start()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with starting() as start:
        yield Secured(start, tmp_path_factory.mktemp("tls"))


WAYS: dict[str, Callable[[PostgresLedger], object]] = {
    "sync": lambda ledger: ledger.freezes(),
    "async": lambda ledger: asyncio.run(ledger.asynchronous.freezes()),
    "migrate": lambda ledger: ledger.migrate(),
}


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("kind", "more", "said"), SLIPS.values(), ids=SLIPS)
def test_tls_that_one_end_alone_speaks_is_told(
    secured: Secured, kind: str, more: str, said: str, ask: Callable[[PostgresLedger], object]
) -> None:
    files = {name: str(path) for name, path in secured.files.items()}
    ledger = PostgresLedger(secured.servers[kind].url(more=more.format(**files)))
    if said:
        assert said in refused(lambda: ask(ledger))
    else:
        ask(ledger)
    ledger.close_ledger()
