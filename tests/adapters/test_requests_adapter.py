"""What only requests has: its ways to say a timeout, Retry, raw reads, adapters of all kinds."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from x402_client import Buyer
from x402_client.adapters.requests_adapter import PaymentAdapter
from x402_client.errors import PaymentOutcomeUnknown
from x402_client.requests import receipt, wrap

from .cash_register import PAYMENT, Till, delivered
from .checks import outcome, paid, unresolved
from .drivers import Client, Driver, Requests, only
from .scripted_server import Exchange, Server
from .test_bodies import TEXT, TextPipe
from .test_client_settings import MemoryAdapter


class Inner(BaseAdapter):
    """An adapter of the user's own."""

    def __init__(self, till: Till, raw: Any = None) -> None:
        super().__init__()
        self.till, self.raw = till, raw
        self.timeouts: list[Any] = []

    def send(self, request: Any, stream: Any = False, timeout: Any = None, **_: Any) -> requests.Response:
        self.timeouts.append(timeout)
        response = requests.Response()
        response.request, response.url = request, request.url
        if any(name in request.headers for name in PAYMENT.values()):
            response.status_code = 200
            response.raw = self.raw() if self.raw else io.BytesIO(b"the goods")
        else:
            head, body = self.till.terms()
            response.status_code, response.raw = 402, io.BytesIO(body)
            response.headers.update(head)
        return response

    def close(self) -> None:
        pass


def over(shell: Requests, buyer: Buyer, inner: BaseAdapter) -> requests.Session:
    return shell.make(transport=PaymentAdapter(buyer, inner))


@only(Requests)
class TestRequestsAdapter:
    @pytest.mark.parametrize(
        ("said", "sent"),
        [
            (None, (None, None)),
            (5, (5, 60)),
            ((3, 5), (3, 60)),
            ((3, None), (3, None)),
            ((3, 90), (3, 90)),
            (urllib3.Timeout(connect=3, read=5), (3, 60)),
            (urllib3.Timeout(connect=3, read=None), (3, None)),
        ],
    )
    def test_every_way_to_say_a_timeout(self, shell: Requests, till: Till, buyer: Buyer, said: Any, sent: Any) -> None:
        inner = MemoryAdapter(lambda headers: answer(till, headers), [])
        over(shell, buyer, inner).get("https://localhost/", timeout=said)
        assert inner.asked[1] == (sent[1], sent[0])

    def test_a_total_timeout(self, shell: Requests, till: Till, buyer: Buyer) -> None:
        inner, said = Inner(till), urllib3.Timeout(total=5)
        assert over(shell, buyer, inner).get("https://localhost/", timeout=said).content == b"the goods"
        first, second = inner.timeouts
        assert first is said
        assert (said.total, second.total) == (5, 60)

    def test_no_timeout_leaves_an_adapters_own_default(self, shell: Requests, till: Till, buyer: Buyer) -> None:
        inner = Inner(till)
        over(shell, buyer, inner).get("https://localhost/")
        assert inner.timeouts == [None, None]

    def test_a_timeout_by_place(self, shell: Requests, till: Till, buyer: Buyer) -> None:
        inner = Inner(till)
        request = requests.Request("GET", "https://localhost/").prepare()
        PaymentAdapter(buyer, inner).send(request, True, 5)
        assert inner.timeouts == [5, (5, 60)]

    @pytest.mark.parametrize("raw", [None, lambda: None, lambda: response_of(b"the goods")])
    def test_raw_answers_of_all_kinds(self, shell: Requests, till: Till, buyer: Buyer, raw: Any) -> None:
        response = over(shell, buyer, Inner(till, raw)).get("https://localhost/")
        assert response.content == (b"the goods" if raw is None or raw() else None)
        assert outcome(shell, response).money == "unknown"
        assert paid(buyer)

    def test_a_raw_answer_of_an_own_class(self, shell: Requests, till: Till, buyer: Buyer) -> None:
        class Own(urllib3.HTTPResponse):
            pass

        raw = Own(io.BytesIO(b"the goods"), status=200, preload_content=False)
        response = over(shell, buyer, Inner(till, lambda: raw)).get("https://localhost/", stream=True)
        assert response.raw is raw
        assert isinstance(response.raw, Own)
        assert not paid(buyer)
        assert response.content == b"the goods"
        assert paid(buyer)

    @pytest.mark.parametrize("chunked", [True, False])
    @pytest.mark.parametrize(
        "way",
        [
            lambda r: r.raw.read(),
            lambda r: b"".join(iter(lambda: r.raw.read(3), b"")),
            lambda r: b"".join(iter(lambda: r.raw.read1(3), b"")),
            lambda r: b"".join(r.raw.stream(3)),
            lambda r: b"".join(r.raw),
            lambda r: b"".join(r.iter_content(3)),
            lambda r: b"".join(r.iter_content(None)),
            lambda r: b"\n".join(r.iter_lines()),
            lambda r: io.BufferedReader(r.raw).read(),
            lambda r: copied(r.raw),
            lambda r: r.content,
            lambda r: r.text.encode(),
        ],
    )
    def test_every_way_to_read(
        self, client: Client, server: Server, till: Till, buyer: Buyer, way: Any, chunked: bool
    ) -> None:
        def then(exchange: Exchange, till: Till) -> None:
            if chunked:
                exchange.chunks(200, b"the", b" goods", headers=[till.receipt()])
            else:
                exchange.answer(200, b"the goods", [till.receipt()])

        response = client.native.get(server.on("/paid", till.sells(then)), stream=True)
        assert isinstance(response.raw, urllib3.HTTPResponse)
        assert unresolved(buyer, till.nonces[0])
        assert way(response) == b"the goods"
        assert paid(buyer)

    def test_half_a_read_is_no_delivery(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        response = client.native.get(server.on("/paid", till.sells()), stream=True)
        assert response.raw.read(0) == b""
        assert response.raw.read(3) == b"the"
        assert next(response.iter_content(3)) == b" go"
        assert unresolved(buyer, till.nonces[0])
        response.close()
        assert paid(buyer)

    def test_retry_presents_the_same_payment(self, shell: Requests, server: Server, till: Till, buyer: Buyer) -> None:
        retries = urllib3.Retry(2, backoff_factor=0, status_forcelist=[503], allowed_methods=None)
        session = shell.make(pool={"max_retries": retries})
        wrap(session, buyer)
        url = server.on("/paid", till.sells(lambda ex, till: ex.answer(503), lambda ex, till: ex.cut(), delivered))
        assert session.get(url, timeout=5).content == b"the goods"
        assert len(till.headers) == 3
        assert len(set(till.headers)) == 1
        assert paid(buyer)
        server.on("/down", till.sells(lambda ex, till: ex.answer(503)))
        with pytest.raises(PaymentOutcomeUnknown) as caught:
            session.get(server.url("/down"), timeout=5)
        assert isinstance(caught.value.__cause__, requests.exceptions.RetryError)
        session.close()

    def test_a_session_that_was_closed_pays_as_it_sends(self, client: Client, server: Server, till: Till) -> None:
        client.native.close()
        assert client.native.get(server.on("/free", lambda ex: ex.answer(200, b"free"))).content == b"free"
        assert client.native.get(server.on("/paid", till.sells())).content == b"the goods"

    def test_a_prepared_request(self, client: Client, server: Server, till: Till, buyer: Buyer) -> None:
        prepared = requests.Request("POST", server.on("/paid", till.sells()), data=b"abc").prepare()
        before = dict(vars(prepared), headers=dict(prepared.headers))
        response = client.native.send(prepared)
        assert response.request is prepared
        assert dict(vars(prepared), headers=dict(prepared.headers)) == before
        assert prepared.hooks == {"response": []}
        assert receipt(response) is not None
        assert pickle.loads(pickle.dumps(prepared)).headers == prepared.headers

    def test_a_text_pipe(self, client: Client, shell: Driver, server: Server, till: Till, buyer: Buyer) -> None:
        url = server.on("/paid", till.sells())
        assert client.request("POST", url, content=TextPipe()).content == b"the goods"
        assert [seen.body for seen in server.requests] == [TEXT.encode()] * 2

    def test_a_session_copied_whole_pays_with_the_same_buyer(
        self, client: Client, server: Server, till: Till, buyer: Buyer
    ) -> None:
        url = server.on("/paid", till.sells())
        with copy.deepcopy(client.native) as again:
            assert again.get(url, timeout=5).content == b"the goods"
        assert client.get(url).content == b"the goods"
        assert paid(buyer, 2)
        with pytest.raises(TypeError, match="wallet"):
            pickle.dumps(client.native)

    def test_an_adapter_for_one_prefix_only(self, shell: Requests, server: Server, till: Till, buyer: Buyer) -> None:
        session = shell.make()
        url = server.on("/paid", till.sells())
        session.mount(server.url("/"), PaymentAdapter(buyer, pool_maxsize=2, max_retries=3))
        assert session.get(url, timeout=5).content == b"the goods"
        assert session.get(url.replace("127.0.0.1", "localhost"), timeout=5).status_code == 402
        adapter: Any = session.get_adapter(url)
        assert adapter.max_retries.total == 3
        assert isinstance(session.get_adapter("https://x"), HTTPAdapter)
        session.close()
        assert paid(buyer)

    def test_an_inner_adapter_that_raises_with_a_response(self, shell: Requests, till: Till, buyer: Buyer) -> None:
        class Raising(Inner):
            def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
                response = super().send(request, *args, **kwargs)
                if response.status_code == 200:
                    raise requests.HTTPError("no", response=response)
                return response

        with pytest.raises(PaymentOutcomeUnknown) as caught:
            over(shell, buyer, Raising(till)).get("https://localhost/")
        cause: Any = caught.value.__cause__
        assert PAYMENT[2] not in cause.request.headers
        assert PAYMENT[2] not in cause.response.request.headers


def answer(till: Till, headers: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    if any(name in headers for name in PAYMENT.values()):
        return 200, [till.receipt()], b"the goods"
    head, body = till.terms()
    return 402, head, body


def response_of(body: bytes) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(io.BytesIO(body), status=200, preload_content=False)


def copied(raw: Any) -> bytes:
    sink = io.BytesIO()
    shutil.copyfileobj(raw, sink, 4)
    return sink.getvalue()
