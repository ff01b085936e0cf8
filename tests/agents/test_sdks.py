"""``agents.wrap``: the client inside of an SDK's own object pays, and it is said which one that is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
import requests

from tests.real import environments
from x402_client import Policy, errors
from x402_client.agents import wrap
from x402_client.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
MESSAGES: list[Any] = [{"role": "user", "content": "?"}]
CHAT = {
    "id": "1", "object": "chat.completion", "created": 0, "model": "m",
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Forty-two."}}],
}  # fmt: skip
MESSAGE = {
    "id": "1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": None,
    "content": [{"type": "text", "text": "Forty-two."}], "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip


def test_openai_and_anthropic_pay_and_say_what_was_wrapped(seller: Sandbox) -> None:
    seller.sell("/v1/chat/completions", "0.02", content=CHAT)
    seller.sell("/v1/messages", "0.03", content=MESSAGE)
    buyer = seller.buyer(Policy(per_request="0.05", per_day="1"))
    with openai.OpenAI(base_url=f"{seller.url}/v1", api_key="unused") as ai:
        assert wrap(ai, buyer) == ("openai.SyncHttpxClientWrapper at ._client",)
        assert wrap(ai.chat.completions, buyer)[0].startswith("openai.SyncHttpxClientWrapper at ._client")  # once more
        said = ai.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content
    with anthropic.Anthropic(base_url=seller.url, api_key="unused") as claude:
        assert wrap(claude, buyer) == ("anthropic.SyncHttpxClientWrapper at ._client",)
        block: Any = claude.messages.create(model="m", max_tokens=5, messages=MESSAGES).content[0]
    assert (said, block.text) == ("Forty-two.", "Forty-two.")
    assert [one.amount for one in seller.settlements] == [20_000, 30_000]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_their_async_clients_too(seller: Sandbox, anyio_backend: str) -> None:
    seller.sell("/v1/chat/completions", "0.02", content=CHAT)
    async with openai.AsyncOpenAI(base_url=f"{seller.url}/v1", api_key="unused") as ai:
        assert wrap(ai, seller.buyer()) == ("openai.AsyncHttpxClientWrapper at ._client",)
        await ai.chat.completions.create(model="m", messages=MESSAGES)
    assert len(seller.settlements) == 1


@pytest.mark.parametrize("kind", [httpx.Client, httpx2.Client, requests.Session])
def test_a_client_itself_is_wrapped_as_its_face_would(seller: Sandbox, kind: Callable[[], Any]) -> None:
    with kind() as client:
        [said] = wrap(client, seller.buyer())
        assert said == f"{kind.__module__.partition('.')[0]}.{kind.__name__} at the object itself"
        assert client.get(f"{seller.url}/weather").status_code == 200


class Slotted:
    """An SDK's object that keeps its client in a slot."""

    __slots__ = ("inner", "unset")

    def __init__(self, inner: Any) -> None:
        self.inner = inner


def test_a_client_deep_inside_is_found_and_a_circle_ends(seller: Sandbox) -> None:
    class Holder:
        def __init__(self, inner: Any) -> None:
            self.inner, self.me, self.text = inner, self, "text"

    with httpx.Client() as client:
        assert wrap(Holder(Slotted(Holder(client))), seller.buyer()) == ("httpx.Client at .inner.inner.inner",)


def test_what_holds_no_client_is_refused_in_words(seller: Sandbox) -> None:
    for nothing in (object(), "text", {"client": 1}, json):
        with pytest.raises(
            errors.ConfigurationError, match="No client of httpx, httpx2, requests or aiohttp was found"
        ):
            wrap(nothing, seller.buyer())
    with pytest.raises(errors.ConfigurationError, match="buyer is a Buyer"):
        wrap(httpx.Client(), "buyer")  # type: ignore[arg-type]


def test_an_object_that_fails_at_names_that_it_does_not_have_is_looked_into_all_the_same(seller: Sandbox) -> None:
    class Odd:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    with httpx.Client() as client:
        assert wrap(Odd(client), seller.buyer()) == ("httpx.Client at .inner",)
    with pytest.raises(errors.ConfigurationError, match="No client of httpx"):
        wrap(Odd(None), seller.buyer())


def test_a_client_that_sends_in_a_way_of_its_own_is_refused_rather_than_trusted(seller: Sandbox) -> None:
    """It would look wrapped, and pay nothing."""

    class Own(httpx.Client):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            with httpx.Client() as another:
                return another.send(*args, **kwargs)

    with (
        Own() as client,
        pytest.raises(errors.ConfigurationError, match=r"The client at \._client is a tests\.Own that sends"),
    ):
        wrap(SimpleHolder(client), seller.buyer())


class SimpleHolder:
    """An SDK's object."""

    def __init__(self, client: Any) -> None:
        self._client = client


OTHERS = """
import asyncio, os, warnings
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
warnings.simplefilter("ignore")
import aiohttp, cohere, groq, httpx2, litellm
import x402_client.aiohttp, x402_client.httpx2
from google import genai
from mistralai.client import Mistral
from x402_client import Policy
from x402_client.agents import wrap
from x402_client.sandbox import Sandbox

GEMINI = {{"candidates": [{{"content": {{"role": "model", "parts": [{{"text": "Forty-two."}}]}}, "finishReason": "STOP",
          "index": 0}}]}}
COHERE = {{"id": "1", "finish_reason": "COMPLETE", "message": {{"role": "assistant", "content": [{{"type": "text",
          "text": "Forty-two."}}]}}}}
messages = [{{"role": "user", "content": "?"}}]

async def main(seller):
    buyer = seller.buyer(Policy(per_request="0.05", per_day="5"))
    def tell(name, said):
        print(name, said, len(seller.settlements))
    ai = groq.Groq(api_key="x", base_url=seller.url)
    print(*wrap(ai, buyer))
    tell("groq", ai.chat.completions.create(model="m", messages=messages).choices[0].message.content)
    ai = cohere.ClientV2(api_key="x", base_url=seller.url)
    print(*wrap(ai, buyer))
    tell("cohere", ai.chat(model="m", messages=messages).message.content[0].text)
    ai = Mistral(api_key="x", server_url=seller.url)
    print(*wrap(ai, buyer))
    tell("mistral", ai.chat.complete(model="m", messages=messages).choices[0].message.content)
    tell("mistral", (await ai.chat.complete_async(model="m", messages=messages)).choices[0].message.content)
    ai = genai.Client(api_key="x", http_options={{"base_url": seller.url}})
    print(*wrap(ai, buyer))
    tell("genai", ai.models.generate_content(model="m", contents="?").text)
    tell("genai", (await ai.aio.models.generate_content(model="m", contents="?")).text)
    for option, client in (
        ("httpx_async_client", x402_client.httpx2.wrap(httpx2.AsyncClient(), buyer)),
        ("aiohttp_client", x402_client.aiohttp.wrap(aiohttp.ClientSession(), buyer)),
    ):
        ai = genai.Client(api_key="x", http_options={{"base_url": seller.url, option: client}})
        tell(option, (await ai.aio.models.generate_content(model="m", contents="?")).text)
    await client.close()
    print(*wrap(litellm, buyer))
    own = dict(model="openai/m", messages=messages, api_key="x", api_base=seller.url + "/v1")
    tell("litellm", litellm.completion(**own).choices[0].message.content)
    tell("litellm", (await litellm.acompletion(**own)).choices[0].message.content)

with Sandbox() as seller:
    for path in ("/v1/chat/completions", "/openai/v1/chat/completions"):
        seller.sell(path, "0.01", content={chat})
    for path in ("/v1/models/m:generateContent", "/v1beta/models/m:generateContent"):
        seller.sell(path, "0.01", content=GEMINI)
    seller.sell("/v2/chat", "0.01", content=COHERE)
    asyncio.run(main(seller))
"""


@pytest.mark.foreign
@pytest.mark.timeout(1_000)
def test_the_other_sdks_pay_once_for_each_call() -> None:
    python = environments.needed(environments.environment, "sdks")
    surroundings = environments.clean_environ() | {"PYTHONPATH": str(ROOT)}
    command = [str(python), "-c", OTHERS.format(chat=CHAT)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=150, env=surroundings)
    assert ran.returncode == 0, ran.stderr[-3_000:]
    said = [line for line in ran.stdout.splitlines() if "Forty-two." in line]
    assert said == [
        "groq Forty-two. 1", "cohere Forty-two. 2", "mistral Forty-two. 3", "mistral Forty-two. 4",
        "genai Forty-two. 5", "genai Forty-two. 6", "httpx_async_client Forty-two. 7", "aiohttp_client Forty-two. 8",
        "litellm Forty-two. 9", "litellm Forty-two. 10",
    ]  # fmt: skip
    assert "groq.SyncHttpxClientWrapper at ._client" in ran.stdout
    assert "httpx.Client at ._client_wrapper.httpx_client.httpx_client" in ran.stdout
    assert "httpx2.AsyncClient at .sdk_configuration.async_client" in ran.stdout
