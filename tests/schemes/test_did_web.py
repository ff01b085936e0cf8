"""Documents of ``did:web``: their address, their keys, and a fetch that reaches public hosts alone."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from x402_client.schemes.did_web import DidDocuments, address_of_document, fetch_document, key_in

JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
NAME = "did:web:keys.example"


@pytest.mark.parametrize(
    ("did", "url"),
    [
        (NAME, "https://keys.example/.well-known/did.json"),
        (f"{NAME}#k", "https://keys.example/.well-known/did.json"),
        (f"{NAME}%3A8443", "https://keys.example:8443/.well-known/did.json"),
        (f"{NAME}:sellers:one", "https://keys.example/sellers/one/did.json"),
    ],
)
def test_a_name_leads_to_a_document(did: str, url: str) -> None:
    assert address_of_document(did) == url


@pytest.mark.parametrize(
    "rest", ["", "a b", "a/b", "user@host", "a:..", "a:%2e%2e", "a:b%2Fc", "a::b", "a%2Fb", "a?b", "x" * 600, "[::1]"]
)
def test_a_name_leads_nowhere_else(rest: str) -> None:
    with pytest.raises(ValueError, match=r"it is no did:web|its path leads elsewhere"):
        address_of_document(f"did:web:{rest}")


@given(st.text(max_size=50))
def test_every_name_leads_to_a_document_or_nowhere(rest: str) -> None:
    try:
        url = address_of_document(f"did:web:{rest}")
    except ValueError:
        return
    assert url.startswith("https://")
    assert url.endswith("/did.json")
    assert "@" not in url


@pytest.mark.parametrize(
    ("kid", "document", "why"),
    [
        (NAME, {}, "another name"),
        (NAME, {"id": NAME}, "lists no such key"),
        (NAME, {"id": NAME, "verificationMethod": [7, {"id": f"{NAME}#k"}]}, "its key is none of"),
        (f"{NAME}#x", {"id": NAME, "verificationMethod": [{"id": f"{NAME}#k", "publicKeyJwk": JWK}]}, "lists no such"),
    ],
)
def test_a_document_may_be_of_no_use(kid: str, document: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        key_in(document, kid)


def test_the_key_is_the_one_that_is_named_or_the_first_for_assertions() -> None:
    other = {**JWK, "x": "60" * 21 + "8"}
    methods = [{"id": f"{NAME}#a", "publicKeyJwk": other}, {"id": "#b", "publicKeyJwk": JWK}]
    document = {"id": NAME, "verificationMethod": methods}
    assert key_in(document, f"{NAME}#b").public.hex().startswith("d75a98")
    assert key_in({**document, "assertionMethod": ["#b"]}, NAME) == key_in(document, f"{NAME}#b")
    assert key_in(document, NAME) == key_in(document, f"{NAME}#a")


def test_a_document_is_kept_for_an_hour_and_a_failure_for_a_minute() -> None:
    now, asked = [0.0], list[str]()
    answers: list[bytes] = [
        b"{",
        json.dumps({"id": NAME, "verificationMethod": [{"publicKeyJwk": JWK}]}).encode(),
        b"[]",
    ]

    def fetch(url: str) -> bytes:
        asked.append(url)
        return answers[len(asked) - 1]

    documents = DidDocuments(fetch, lambda: now[0])
    for at, count, works in (
        (0.0, 1, False),
        (59.0, 1, False),
        (61.0, 2, True),
        (3_600.0, 2, True),
        (3_700.0, 3, False),
    ):
        now[0] = at
        if works:
            assert documents.key(NAME).curve == "Ed25519"
        else:
            with pytest.raises(ValueError, match="its document is no"):
                documents.key(NAME)
        assert len(asked) == count


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A server over https on this machine, and what trusts it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    authority = trustme.CA()
    inside, outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(inside)
    authority.configure_trust(outside)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = inside.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/did.json", outside
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def says(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def anywhere(address: str) -> bool:
    return True


def test_a_document_is_read_over_https() -> None:
    with served(says(b'{"id": 1}')) as (url, trust):
        assert fetch_document(url, anywhere, trust) == b'{"id": 1}'


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(b"x" * 70_000), "more than 65536 bytes"),
        (says(b"", 302, Location="https://other.example/"), "answered with 302"),
        (says(b"", 404), "answered with 404"),
        (says(b"{}", **{"Content-Encoding": "gzip"}), "answered with 200"),
    ],
)
def test_other_answers_are_no_document(answer: Callable[[BaseHTTPRequestHandler], None], why: str) -> None:
    with served(answer) as (url, trust), pytest.raises(ValueError, match=why):
        fetch_document(url, anywhere, trust)


def test_a_private_address_is_not_read_even_behind_a_public_name() -> None:
    with served(says(b"{}")) as (url, trust):
        with pytest.raises(ValueError, match="its host is at a private address"):
            fetch_document(url, lambda address: address != "127.0.0.1", trust)
        with pytest.raises(ValueError, match="localhost is this machine itself"):
            fetch_document(url)
    for host in ("10.1.2.3", "[::1]", "169.254.169.254", "printer", "db.internal"):
        with pytest.raises(ValueError, match="its document is not fetched"):
            fetch_document(f"https://{host}/did.json")


def test_a_host_that_is_not_there_is_a_reason() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(ValueError, match="could not be fetched: ConnectError"):
            fetch_document(f"https://127.0.0.1:{closed.getsockname()[1]}/did.json", anywhere)
