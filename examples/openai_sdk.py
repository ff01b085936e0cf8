"""The OpenAI SDK against a paid endpoint: hand it a paying client. Needs the packages `openai` and `httpx2`.

SDKs may wrap what they catch in errors of their own; errors.find takes ours out again, and says what happened to the
money.

Run it: python examples/openai_sdk.py
"""

import sys

try:
    import httpx2
    import openai
    from openai.types.chat import ChatCompletionMessageParam
except ImportError:
    sys.exit("This example needs the OpenAI SDK and httpx2: pip install openai httpx2")

from x402_client import Policy, errors
from x402_client.httpx2 import wrap
from x402_client.sandbox import Sandbox

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "sandbox",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Forty-two."}},
    ],
}
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the answer?"}]

with Sandbox() as seller:
    seller.sell("/v1/chat/completions", "0.02", content=ANSWER)
    for limit in ("0.05", "0.01"):
        buyer = seller.buyer(Policy(per_request=limit))
        http_client = wrap(httpx2.Client(), buyer)
        with openai.OpenAI(base_url=seller.url + "/v1", api_key="unused", http_client=http_client) as client:
            try:
                answer = client.chat.completions.create(model="sandbox", messages=QUESTION)
                print("Paid", buyer.spent(), "for:", answer.choices[0].message.content)
            except Exception as problem:
                refusal = errors.find(problem)
                if refusal is None:
                    raise
                print("Refused:", refusal, "The money is", refusal.money)
