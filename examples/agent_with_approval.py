"""An agent that buys what it needs: a budget of its own, and a person who is asked about the large sums.

The agent gets the client and nothing else. What it may spend is not in its prompt but in the policy, so no text that
it reads can change it. On a terminal the person is you; elsewhere a stand-in answers.

Run it: python examples/agent_with_approval.py
"""

import sys

import httpx

from x402_client import Approval, Policy, errors
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox


def person(approval: Approval) -> bool:
    """Only True means yes; no answer in time means no."""
    question = f"May the agent pay {approval.price} to {approval.host} for {approval.url}?"
    if sys.stdin.isatty():
        return input(question + " [y/N] ").strip().lower() == "y"
    answer = approval.url.endswith("/satellite-image")
    print(question, "Yes." if answer else "No.")
    return answer


def agent(client: httpx.Client, plan: list[str]) -> None:
    """What a model would decide step by step is a list here."""
    for url in plan:
        step = url.rpartition("/")[2]
        try:
            print(f"{step}: {client.get(url).json()['content']}")
        except errors.ApprovalDenied:
            print(f"{step}: the person said no")
        except errors.OverLimit as limit:
            print(f"{step}: over the limit of {limit.limit}, so the agent goes without")


with Sandbox() as seller:
    for name, price in {"satellite-image": "0.30", "newspaper": "0.40", "company-report": "2"}.items():
        seller.sell(f"/{name}", price)
    names = ["weather", "weather?tomorrow", "satellite-image", "newspaper", "company-report", "report", "report?more"]

    policy = Policy(per_request="0.40", per_day="0.40", approve_above="0.25")
    buyer = seller.buyer(policy, approve=person)
    with wrap(httpx.Client(), buyer) as client:
        agent(client, [f"{seller.url}/{name}" for name in names])
    print("Spent", buyer.spent(), "of 0.40 USD in", len(seller.settlements), "payments")
