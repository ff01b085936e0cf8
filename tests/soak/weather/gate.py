"""The gateway: ``python -m tests.soak.weather.gate SETTING``. All that buyers, sellers and facilitators say to each
other and to the chain passes through it. Here is where the weather happens, and who pays what is written down.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from x402_client.sandbox.answers import Answer, Request, page, redirect, silence
from x402_client.sandbox.server import Server

from . import alter
from .draws import Order, drawn, named, order
from .journal import Journal, read
from .witness import facts, payload_key, payment_in

#: Seconds: longer than any buyer waits for an answer, and as long as a late one takes.
HANG, LATE = 6.0, 1.2
_KEPT_OUT = {"content-length", "transfer-encoding", "connection", "date", "server", "keep-alive"}


class Sky:
    """What the weather is, as a file says that may change at any time."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, 0
        self._said: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __call__(self) -> dict[str, Any]:
        with self._lock:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._seen:
                self._said, self._seen = json.loads(self._path.read_text("utf-8")), stamp
            return self._said


class Gate:
    def __init__(self, setting: dict[str, Any]) -> None:
        self.seed, self.doors, self.fleets = setting["seed"], setting["doors"], setting["fleets"]
        self.sky = Sky(Path(setting["sky"]))
        self.http = httpx.Client(timeout=40, trust_env=False, limits=httpx.Limits(max_connections=None))
        self._lock = threading.Lock()
        self._counts = Counter[tuple[str, str]]()
        self._orders: dict[str, str] = {}
        self._sold: dict[str, Answer] = {}
        self._remember(Path(setting["journal"]))
        self.journal = Journal(Path(setting["journal"]))
        self.servers = [Server(port, self._front(door), 1.0) for door, port in setting["fronts"].items()]
        self.servers.append(Server(setting["back"], self.back, 1.0))

    def _remember(self, path: Path) -> None:
        """An earlier life of this gateway: how far the draws got, and whose payments were whose."""
        for line in read(path):
            if "leg" in line:
                self._counts[line["order"], line["leg"]] += 1
            if "key" in line:
                self._orders[line["key"]] = line["order"]

    def _draw(self, name: str, leg: str, **more: Any) -> str:
        sky = self.sky()
        with self._lock:
            number = self._counts[name, leg]
            self._counts[name, leg] += 1
        found = drawn(self.seed, name, leg, number) if sky["weather"] else "passes"
        self.journal.write(order=name, leg=leg, fault=found, **more)
        return found

    # --- between buyers and sellers

    def _front(self, door: str) -> Callable[[Request], Answer]:
        return lambda request: self.front(door, request)

    def front(self, door: str, request: Request) -> Answer:
        parts = request.path.strip("/").split("/")
        if parts[0] == "thanks":
            return page({"thanks": "for paying"})
        name = named(request.path)
        wanted = order(self.seed, name, tuple(self.fleets[name.partition("-")[0]]))
        document = payment_in(request.headers)
        led = parts[0] in ("here", "there")
        inner = replace(request, path="/" + parts[led])
        if document is None:
            if wanted.leads and not led:
                return redirect(self._led_to(wanted, request.path), 307)
            return self._asked(door, wanted, inner)
        return self._paid(door, wanted, inner, document, request.path)

    def _led_to(self, wanted: Order, path: str) -> str:
        if wanted.leads == "here":
            return f"/here{path}"
        if hash_of(wanted.id) % 3 == 0:  # a host that no policy lists
            return str(self.doors[wanted.door]).replace("127.0.0.1", "localhost") + f"/there{path}"
        return self._other(wanted) + f"/there{path}"

    def _other(self, wanted: Order) -> str:
        return str(next((url for door, url in self.doors.items() if door != wanted.door), self.doors[wanted.door]))

    def _asked(self, door: str, wanted: Order, request: Request) -> Answer:
        fault = self._draw(wanted.id, "ask")
        match fault:
            case "dropped" | "reset":
                return silence(fault)
            case "hangs":
                return Answer(0, manner="dropped", wait=HANG)
            case "503":
                return page("Try later.", 503)
            case "garbage":
                return page('{"x402Version": 2, "accepts": [', 402, {"PAYMENT-REQUIRED": "%%% not base64 %%%"})
            case "not x402":
                return page("Pay your bill.", 402)
        found = self._forward(door, request)
        if fault == "late":
            return replace(found, wait=LATE)
        return alter.terms(found, fault)

    def _paid(self, door: str, wanted: Order, request: Request, document: dict[str, Any], path: str) -> Answer:
        key = payload_key(document["payload"])
        with self._lock:
            self._orders[key] = wanted.id
        phase = self.sky()["phase"]
        fault = self._draw(wanted.id, "pay", key=key, door=door, phase=phase, path=path, **facts(document))
        before = {
            "dropped before": silence("dropped"),
            "reset before": silence("reset"),
            "hangs before": Answer(0, manner="dropped", wait=HANG),
            "500 before": page("Something failed.", 500),
        }
        if fault in before:
            return before[fault]
        if fault == "402 before":
            return self._terms(door, request)
        found = self._sale(door, wanted, request, key)
        return self._after(fault, door, wanted, request, found)

    def _after(self, fault: str, door: str, wanted: Order, request: Request, found: Answer) -> Answer:
        """The seller had its say."""
        after = {
            "dropped after": silence("dropped"),
            "reset after": silence("reset"),
            "hangs after": Answer(0, manner="dropped", wait=HANG),
            "502 after": page("Something failed.", 502),
            "404 after": page("There is nothing here.", 404),
            "late": replace(found, wait=LATE),
        }
        if fault in after:
            return after[fault]
        if fault in ("402 after", "dearer after"):
            return alter.terms(self._terms(door, request), "dearer" if fault == "dearer after" else "")
        if not 200 <= found.status < 300:
            return found
        if fault == "led on":
            return redirect(f"/thanks/you?order={wanted.id}", 303, alter.receipt_of(found))
        if fault == "led elsewhere":
            return redirect(f"{self._other(wanted)}/there{wanted.path}", 307, alter.receipt_of(found))
        manner = {"cut short": "truncated", "dripped": "dripped"}.get(fault, "whole")
        return alter.receipt(replace(found, manner=manner), fault)  # type: ignore[arg-type]

    def _sale(self, door: str, wanted: Order, request: Request, key: str) -> Answer:
        if key in self._sold:
            return self._sold[key]
        found = self._forward(door, request)
        if 200 <= found.status < 300:
            self.journal.write(order=wanted.id, sold=True)
            if wanted.remembers:
                self._sold[key] = found
        return found

    def _terms(self, door: str, request: Request) -> Answer:
        unpaid = {name: value for name, value in request.headers.items() if "PAYMENT" not in name}
        return self._forward(door, replace(request, headers=unpaid))

    def _forward(self, door: str, request: Request) -> Answer:
        """Return what stands behind this door. Nothing there: it is being restarted."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _KEPT_OUT}
        headers["ACCEPT-ENCODING"] = "identity"
        where = self.sky()["upstream"][door] + request.path
        try:
            found = self.http.request(request.method, where, headers=headers, content=request.body)
        except httpx.HTTPError as failure:
            self.journal.write(away=door, failure=type(failure).__name__)
            return page("Nobody is there.", 502)
        kept = {name: value for name, value in found.headers.items() if name not in _KEPT_OUT}
        return Answer(found.status_code, found.content, kept)

    # --- between sellers and facilitators, and before the chains

    def back(self, request: Request) -> Answer:
        first, *rest = request.path.strip("/").split("/")
        return self._read(request, *rest) if first == "rpc" else self._facilitated(first, rest[-1], request)

    def _facilitated(self, door: str, leg: str, request: Request) -> Answer:
        inner = replace(request, path=f"/{leg}")
        if leg not in ("verify", "settle"):
            return self._forward(door, inner)
        said = json.loads(request.body)
        payload = said["paymentPayload"]["payload"]
        name = self._orders.get(payload_key(payload), "nobody-0-0-0")
        fault = self._draw(name, leg)
        if fault.endswith("before"):
            return silence("dropped") if fault.startswith("dropped") else page("Something failed.", 500)
        if fault == "says yes instead" and "authorization" in payload:
            return page(alter.settled(said, payload["authorization"]["from"]))
        found = self._forward(door, inner)
        if fault == "says no after":
            return page(alter.settled(said, "") | {"success": False, "errorReason": "unexpected_settle_error"})
        after = {"dropped after": silence("dropped"), "500 after": page("Something failed.", 500)}
        after |= {"hangs after": Answer(0, manner="dropped", wait=HANG), "late": replace(found, wait=LATE)}
        return after.get(fault, found)

    def _read(self, request: Request, fleet: str, chain: str) -> Answer:
        """A fleet's endpoint of a chain."""
        if fleet in self.sky()["dark"]:
            self.journal.write(order=f"{fleet}-dark", leg="read", fault="dark")
            return silence("dropped")
        fault = self._draw(f"{fleet}-{chain}", "read")
        match fault:
            case "dropped before":
                return silence("dropped")
            case "503":
                return page("Try later.", 503)
            case "429":
                return page("Too many requests.", 429)
            case "garbage":
                return page("<html><body>upstream connect error</body></html>")
        found = self._forward(chain, replace(request, path="/"))
        return replace(found, wait=LATE) if fault == "late" else found


def hash_of(name: str) -> int:
    """The same in every process."""
    return sum(name.encode())


def main() -> None:
    gate = Gate(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    for server in gate.servers:
        server.start()
    print("open", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
