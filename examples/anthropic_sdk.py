"""The Anthropic SDK against a paid endpoint: hand it a paying client. Needs the packages `anthropic` and `httpx2`.

This SDK asks again by itself when a connection breaks; the same payment is presented then, and no second one is made.

Run it: python examples/anthropic_sdk.py
"""

import sys

try:
    import anthropic
    import httpx2
except ImportError:
    sys.exit("This example needs the Anthropic SDK and httpx2: pip install anthropic httpx2")

from x402_client import Policy
from x402_client.httpx2 import wrap
from x402_client.sandbox import Sandbox

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "sandbox",
    "content": [{"type": "text", "text": "Forty-two."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
QUESTION: list[anthropic.types.MessageParam] = [{"role": "user", "content": "What is the answer?"}]

with Sandbox() as seller:
    # The connection breaks while the first payment is under way, before the seller took it.
    seller.sell("/v1/messages", "0.02", content=ANSWER, fault=["drop-before-settling"])
    buyer = seller.buyer(Policy(per_request="0.05"))
    http_client = wrap(httpx2.Client(), buyer)
    with anthropic.Anthropic(base_url=seller.url, api_key="unused", http_client=http_client) as client:
        answer = client.messages.create(model="sandbox", max_tokens=10, messages=QUESTION)
        print("Got:", *(block.text for block in answer.content if block.type == "text"))
    presented = [visit.payment for visit in seller.visits if visit.payment]
    print("Presented", len(presented), "times,", len(set(presented)), "payment, settled", len(seller.settlements))
    print("Spent", buyer.spent())
