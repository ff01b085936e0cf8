"""Limits in a file, which people can change without touching the program. Needs `examples/policy`, as policy.toml.

Take it with: x402 manual examples/policy > policy.toml

Run it: python examples/policy_file.py
"""

import sys
import tempfile
from pathlib import Path

import httpx

from x402_client import Policy
from x402_client.errors import ConfigurationError, OverLimit
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

file = Path(__file__).with_name("policy.toml")
if not file.exists():
    sys.exit(f"This example needs {file}: x402 manual examples/policy > policy.toml")
policy = Policy.from_file(file)

with Sandbox() as seller, wrap(httpx.Client(), seller.buyer(policy)) as client:
    client.get(seller.url + "/report")
    print("Bought the report; the file allows 0.06 USD an hour at this host.")
    try:
        client.get(seller.url + "/report")
    except OverLimit as refusal:
        print(f"Not twice: {refusal.spent} of {refusal.limit} is spent. The money is {refusal.money}.")

with tempfile.TemporaryDirectory() as directory:
    mistaken = Path(directory, "policy.toml")
    mistaken.write_text('per_request = 0.05\nper_dya = "5"\n')
    try:
        Policy.from_file(mistaken)
    except ConfigurationError as mistakes:
        print(mistakes)
