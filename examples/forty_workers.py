"""Forty workers share one budget in Redis, as forty programs on forty machines would. Needs the extra `redis`.

Each has a buyer and a connection of its own; what they have in common is the address of the ledger. The budget is taken
in one atomic step, so it holds to the cent. A Redis server is started for the example, if there is one to start.

Run it: python examples/forty_workers.py
"""

import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from x402_client import Policy, errors
from x402_client.httpx import wrap
from x402_client.sandbox import Sandbox

if shutil.which("redis-server") is None:
    sys.exit("This example needs redis-server: install the package redis-server of your system.")


def worker(seller: Sandbox, ledger: str, number: int) -> str:
    buyer = seller.buyer(Policy(per_request="0.05", per_day="0.25"), ledger=ledger, purse="the-team")
    try:
        with wrap(httpx.Client(), buyer) as client:
            client.get(f"{seller.url}/weather?worker={number}")
            return "paid"
    except errors.OverLimit:
        return "refused"
    finally:
        buyer.close()


with tempfile.TemporaryDirectory() as folder, Sandbox() as seller:
    socket = f"{folder}/redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--appendonly", "yes"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not Path(socket).exists() and server.poll() is None:
            time.sleep(0.01)
        with ThreadPoolExecutor(40) as pool:
            ended = list(pool.map(lambda number: worker(seller, f"unix://{socket}", number), range(40)))
    finally:
        server.terminate()
        server.wait()
    print(ended.count("paid"), "paid,", ended.count("refused"), "refused")
    print("The seller has", seller.earned, "of a budget of 0.25 USD")
