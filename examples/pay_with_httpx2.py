"""httpx2, the maintained continuation of httpx: the same names in another module. Needs the extra `httpx2`.

Run it: python examples/pay_with_httpx2.py
"""

import sys

try:
    import httpx2
except ImportError:
    sys.exit("This example needs httpx2: pip install httpx2")

from x402_client import Policy
from x402_client.httpx2 import PaymentTransport
from x402_client.sandbox import Sandbox

with Sandbox() as seller:
    buyer = seller.buyer(Policy(per_request="0.10", per_day="5"))
    with httpx2.Client(transport=PaymentTransport(buyer)) as client:
        print("Got", client.get(f"{seller.url}/weather").json()["content"], "and spent", buyer.spent())
