"""Over TLS: trust and client certificates hold for both legs, through a CONNECT proxy too, and on HTTP/2."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import requests
import trustme

from x402_client import Buyer

from .cash_register import PAYMENT, Till
from .checks import paid, untouched
from .drivers import Driver
from .scripted_server import Exchange, Seen, Server

_AUTHORITY = trustme.CA()
_OWN = _AUTHORITY.issue_cert("127.0.0.1", "localhost")
_CLIENT = _AUTHORITY.issue_cert("buyer@localhost")


def serving(*protocols: str, client_cert: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _OWN.configure_cert(context)
    context.set_alpn_protocols(list(protocols or ("http/1.1",)))
    if client_cert:
        context.verify_mode = ssl.CERT_REQUIRED
        _AUTHORITY.configure_trust(context)
    return context


def connect(exchange: Exchange) -> None:
    assert exchange.seen.method == "CONNECT"
    host, _, port = exchange.seen.target.partition(":")
    exchange.tunnel(host, int(port))


def trusting(shell: Driver, files: dict[str, str], **options: Any) -> dict[str, Any]:
    """Trust in the authority of these tests, said as each library has it."""
    if shell.name == "requests":
        return {"verify": files["ca"], **options}
    context = ssl.create_default_context(cafile=files["ca"])
    if "cert" in options:
        context.load_cert_chain(options.pop("cert"))
    return {"verify": context, **options}


class TestTransportSettings:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, str]:
        _AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        _CLIENT.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
        return {"ca": str(tmp_path / "ca.pem"), "client": str(tmp_path / "client.pem")}

    @pytest.fixture
    def secure(self) -> Iterator[Server]:
        with Server(serving()) as server:
            yield server

    def test_trust_holds(self, shell: Driver, secure: Server, till: Till, buyer: Buyer, files: dict[str, str]) -> None:
        url = secure.on("/paid", till.sells())
        types = []
        for client in (shell.client(), shell.client(buyer)):
            with pytest.raises((shell.errors["connect"], requests.exceptions.SSLError)) as caught:
                client.get(url)
            types.append(caught.type)
        assert types[0] is types[1]
        assert secure.requests == []
        assert untouched(buyer)
        assert shell.client(buyer, **trusting(shell, files)).get(url).content == b"the goods"
        assert paid(buyer)

    def test_client_certificates(self, shell: Driver, till: Till, buyer: Buyer, files: dict[str, str]) -> None:
        with Server(serving(client_cert=True)) as server:
            url = server.on("/paid", till.sells())
            options = trusting(shell, files, cert=files["client"])
            assert shell.client(buyer, **options).get(url).content == b"the goods"
            assert len(server.requests) == 2
        assert paid(buyer)

    def test_a_connect_proxy(
        self, shell: Driver, secure: Server, server: Server, till: Till, buyer: Buyer, files: dict[str, str]
    ) -> None:
        server.fallback = connect
        url = secure.on("/paid", till.sells())
        proxy: Any = {"proxies": {"https": server.url()}} if shell.name == "requests" else {"proxy": server.url()}
        assert shell.client(buyer, **trusting(shell, files, **proxy)).get(url).content == b"the goods"
        assert {seen.method for seen in server.requests} == {"CONNECT"}
        assert not any(seen.header(name) for seen in server.requests for name in PAYMENT.values())
        assert len(secure.requests) == 2
        assert paid(buyer)

    def test_http2(self, shell: Driver, till: Till, buyer: Buyer, files: dict[str, str]) -> None:
        if shell.name == "requests":
            pytest.skip("requests speaks HTTP/1.1")
        with Http2Server(till) as server:
            client = shell.client(buyer, **trusting(shell, files, http2=True))
            for _ in range(3):
                response = client.request("POST", server.url, content=shell.chunks([b"one ", b"shot"]))
                assert (response.http_version, response.content) == ("HTTP/2", b"the goods")
            assert server.connections == 1
            assert [body for _, body in server.seen] == [b"one shot"] * 6
            first, second = server.seen[0][0], server.seen[1][0]
            assert second[:-1] == first
            assert second[-1][0] == PAYMENT[2].lower()
        assert paid(buyer, 3)


class Http2Server:
    """Sells one thing over HTTP/2, to one client."""

    def __init__(self, till: Till) -> None:
        self.till, self.connections, self.troubles = till, 0, list[BaseException]()
        self.seen: list[tuple[list[tuple[str, str]], bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/paid"
        self._context = serving("h2")

    def __enter__(self) -> Http2Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        assert self.troubles == []

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                self.connections += 1
                with self._context.wrap_socket(raw, server_side=True) as sock:
                    self._serve(sock)

    def _serve(self, sock: ssl.SSLSocket) -> None:
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        wire.initiate_connection()
        sock.sendall(wire.data_to_send())
        open_: dict[int, tuple[list[tuple[str, str]], bytearray]] = {}
        while data := sock.recv(65536):
            for event in wire.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    open_[event.stream_id] = ([(str(k), str(v)) for k, v in event.headers], bytearray())
                elif isinstance(event, h2.events.DataReceived):
                    open_[event.stream_id][1].extend(event.data)
                    wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self._answer(wire, event.stream_id, *open_.pop(event.stream_id))
            sock.sendall(wire.data_to_send())

    def _answer(self, wire: Any, stream: int, headers: list[tuple[str, str]], body: bytearray) -> None:
        self.seen.append((headers, bytes(body)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers if not name.startswith(":"))
        try:
            bought = self.till.took(Seen(1, f"POST /paid HTTP/2\r\n{lines}\r\n".encode()))
        except AssertionError as trouble:
            self.troubles.append(trouble)
            raise
        head, said = ([self.till.receipt()], b"the goods") if bought else self.till.terms()
        status = "200" if bought else "402"
        wire.send_headers(stream, [(":status", status), *((name.lower(), value) for name, value in head)])
        wire.send_data(stream, said, end_stream=True)
