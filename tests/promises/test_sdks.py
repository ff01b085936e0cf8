"""The real OpenAI and Anthropic packages over a paying client: paid once, and our errors can be found in theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import anyio
import httpx2
import openai
import pytest

from x402_client import Policy, errors
from x402_client.httpx2 import wrap
from x402_client.sandbox import Sandbox

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "sandbox",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Forty-two."}}],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "sandbox",
    "content": [{"type": "text", "text": "Forty-two."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
QUESTION: Any = [{"role": "user", "content": "What is the answer?"}]


@pytest.fixture
def seller() -> Iterator[Sandbox]:
    with Sandbox() as seller:
        seller.sell("/chat/completions", "0.02", content=COMPLETION)
        seller.sell("/messages", "0.02", content=MESSAGE)
        yield seller


class BreaksAfterPayments(httpx2.BaseTransport):
    """A line that breaks when the payment has arrived and the answer has not: the worst moment there is."""

    def __init__(self, times: int) -> None:
        self.inner = httpx2.HTTPTransport()
        self.times = times
        self.payments: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self.inner.handle_request(request)
        if "payment-signature" in request.headers:
            self.payments.append(request.headers["payment-signature"])
            if len(self.payments) <= self.times:
                response.close()
                raise httpx2.ReadError("The line broke")
        return response

    def close(self) -> None:
        self.inner.close()


def ask_openai(url: str, http_client: httpx2.Client) -> Any:
    with openai.OpenAI(base_url=url, api_key="unused", http_client=http_client) as client:
        return client.chat.completions.create(model="sandbox", messages=QUESTION).choices[0].message.content


def ask_anthropic(url: str, http_client: httpx2.Client) -> Any:
    with anthropic.Anthropic(base_url=url, api_key="unused", http_client=http_client) as client:
        answer: Any = client.post("/messages", cast_to=anthropic.types.Message, body={"messages": QUESTION})
        return answer.content[0].text


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_pays_once_for_one_answer(seller: Sandbox, ask: Any) -> None:
    buyer = seller.buyer(Policy(per_request="0.05"))
    assert ask(seller.url, wrap(httpx2.Client(), buyer)) == "Forty-two."
    assert [done.amount for done in seller.settlements] == [20_000]


def test_pays_once_for_one_answer_async(seller: Sandbox) -> None:
    buyer = seller.buyer(Policy(per_request="0.05"))

    async def ask() -> Any:
        http_client = wrap(httpx2.AsyncClient(), buyer)
        async with openai.AsyncOpenAI(base_url=seller.url, api_key="unused", http_client=http_client) as client:
            return await client.chat.completions.create(model="sandbox", messages=QUESTION)

    assert anyio.run(ask).choices[0].message.content == "Forty-two."
    assert [done.amount for done in seller.settlements] == [20_000]


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_a_refusal_is_found_whatever_the_sdk_makes_of_it(seller: Sandbox, ask: Any) -> None:
    buyer = seller.buyer(Policy(per_request="0.01"))
    with pytest.raises(Exception) as raised:
        ask(seller.url, wrap(httpx2.Client(), buyer))
    found = errors.find(raised.value)
    assert isinstance(found, errors.OverLimit)
    assert found.money == "untouched"
    assert seller.settlements == []


def test_an_sdks_own_retries_present_the_same_payment(seller: Sandbox) -> None:
    """This one catches everything and asks three times."""
    line = BreaksAfterPayments(times=1)
    buyer = seller.buyer(Policy(per_request="0.05"))
    with pytest.raises(anthropic.APIConnectionError) as wrapped:
        ask_anthropic(seller.url, wrap(httpx2.Client(transport=line), buyer))
    found = errors.find(wrapped.value)
    assert isinstance(found, errors.PaymentRejected)
    assert found.money == "spent", "the chain is asked at once, and shows it"
    assert len(line.payments) == 3
    assert len(set(line.payments)) == 1
    assert [done.amount for done in seller.settlements] == [20_000]
    assert buyer.spent().units == 20_000


def test_a_loop_around_an_sdk_presents_the_same_payment(seller: Sandbox) -> None:
    line = BreaksAfterPayments(times=1)
    buyer = seller.buyer(Policy(per_request="0.05"))
    found = []
    for _ in range(3):
        with pytest.raises(Exception) as raised:
            ask_openai(seller.url, wrap(httpx2.Client(transport=line), buyer))
        found.append(type(errors.find(raised.value)))
    # The lost answer is httpx2's own error, after which this SDK asks again by itself: with the same payment.
    assert found == [errors.PaymentRejected] * 3
    assert len(set(line.payments)) == 1
    assert [done.amount for done in seller.settlements] == [20_000]


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_a_refusal_that_is_returned_stops_an_sdk_at_once(seller: Sandbox, ask: Any) -> None:
    buyer = seller.buyer(Policy(per_request="0.01"), on_refusal="return")
    with pytest.raises(
        (openai.APIStatusError, anthropic.APIStatusError), match=r"one payment may cost 0\.01 USD"
    ) as raised:
        ask(seller.url, wrap(httpx2.Client(), buyer))
    assert raised.value.status_code == 402
    assert len(seller.visits) == 1, "what is raised, these packages ask for three times"
    found = errors.find(raised.value)
    assert isinstance(found, errors.OverLimit)
    assert found.money == "untouched"
