"""The seller: a server on loopback sockets that answers each call by its plan, and hands each payment to the chain."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from tests.adapters.cash_register import NETWORK, RECEIPT
from x402_client.testing.adapter.gate import PAYMENT, Seen, read_request

from . import solana
from .broken import PERMITTED, SIGNED, Broken
from .chain import Chain, Payment
from .challenges import SignIns
from .clock import real
from .events import Plan, Setting
from .terms import ASKS, UNSIGNED, encoded, said
from .visits import Visit

PIECES = (b"the ", b"good ", b"goods")
GOODS = b"".join(PIECES)
#: The longest silence, and what a dripping answer waits between its pieces, in real seconds.
SILENCE, DRIP = 1.2, 0.03


class Seller:
    """Two ports of one seller. ``busy`` keeps the buyer's ledger busy until the caller of a visit is done."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.sign_ins = SignIns(chain.clock)
        self.visits: dict[int, Visit] = {}
        self.release = threading.Event()
        self.busy: Callable[[Visit], Any] = bool
        self.troubles: list[BaseException] = []
        self.lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listeners: list[socket.socket] = []
        self.ports = [0, 0]
        self.listen()

    def endpoint(self, which: int) -> str:
        """Return the URL of one of the chain's endpoints."""
        return f"http://127.0.0.1:{self.ports[which]}/rpc/{which}"

    def listen(self) -> None:
        """Listen, on the same ports as ever."""
        with self.lock:
            if self._listeners:
                return
            self._listeners = [socket.create_server(("127.0.0.1", port), backlog=64) for port in self.ports]
        self.ports = [listener.getsockname()[1] for listener in self._listeners]
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def leave(self, but: socket.socket | None = None) -> None:
        """Listen no more, and cut what is open but for one connection."""
        with self.lock:
            for listener in self._listeners:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            self._listeners = []
        self.drop_connections(but)

    def expect(self, number: int, thing: tuple[int, int], plan: Plan, program: Any) -> Visit:
        """Await a call."""
        visit = self.visits[number] = Visit(number, thing, plan, program)
        return visit

    def reset(self, setting: Setting) -> None:
        """Begin a script."""
        self.sign_ins.begin(setting)
        self.release.set()
        self.visits, self.troubles, self.busy = {}, [], bool
        self.listen()
        self.drop_connections()
        self.release = threading.Event()

    def drop_connections(self, but: socket.socket | None = None) -> None:
        """Cut what is open, but for one connection."""
        with self.lock:
            for sock in self._open - {but}:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Listen no more."""
        self.reset(Setting())
        self.leave()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with self.lock:
            self._open.add(sock)
        try:
            with contextlib.suppress(OSError, ValueError), sock.makefile("rb") as source:
                while (seen := read_request(source, 0)) is not None and self._answer(Answering(self, sock, seen)):
                    pass
        finally:
            with self.lock:
                self._open.discard(sock)
            sock.close()

    def _answer(self, answering: Answering) -> bool:
        try:
            answering.answer()
        except OSError:
            return False
        except Exception as trouble:
            self.troubles.append(trouble)
            return False
        return answering.keep


class Answering:
    """One request, and what is said to it."""

    def __init__(self, seller: Seller, sock: socket.socket, seen: Seen) -> None:
        self.seller, self.sock, self.seen = seller, sock, seen
        self.keep = True
        self.visit: Any = None
        self.payment: Payment | None = None
        self.signs_in = False
        #: The receipt of what was paid, if there is one.
        self.headers: list[tuple[str, str]] = []

    def answer(self) -> None:
        """Answer as the plan of this call says."""
        if self.seen.path.startswith("/rpc/"):
            self.send(*self.seller.chain.rpc(int(self.seen.path[5:]), self.seen.body))
            return
        self.visit = self.seller.visits.get(int(self.seen.header("x-call") or 0))
        if self.visit is None:
            self.keep = False
            return
        header, signed = self.seen.payment, self.seen.header("sign-in-with-x")
        with self.seller.lock:
            token = self._paid(header) if header is not None else self._unpaid() if signed is None else self._in(signed)
        if header is not None:
            self._settle_and_say(token)
        else:
            self.say(token)

    def _unpaid(self) -> str:
        visit, plan = self.visit, self.visit.plan
        if visit.paid:
            visit.unpaid += 1
            return str(plan.after[min(visit.unpaid, len(plan.after)) - 1])
        if visit.unpaid < len(plan.lead):
            visit.unpaid += 1
            return f"to {plan.lead[visit.unpaid - 1]}"
        return "402"

    def _in(self, header: str) -> str:
        """Look at a sign-in, and draw its answer."""
        visit: Visit = self.visit
        plan, before = visit.plan, visit.answered[-1:]
        resent = before in (["drop"], ["reset"], ["cut head"])  # aiohttp sends some requests again by itself
        self.seller.sign_ins.signed(header, visit.number, self._origin, (visit.program, visit.thing[1], resent))
        token = plan.opens[min(len(visit.answered), len(plan.opens) - 1)]
        visit.answered.append(token)
        self.signs_in = True
        if plan.receipt == "false":
            self.headers = [(RECEIPT[2], encoded({"success": True, "transaction": "0x1", "network": NETWORK[2]}))]
        return token

    def _paid(self, header: str) -> str:
        visit: Visit = self.visit
        plan = visit.plan
        if visit.opened:
            raise Broken(SIGNED, f"call {visit.number} pays for what its sign-in brought")
        host = (self.seen.header("host") or "").partition(":")[0]
        self.payment = self.seller.chain.handed(header, visit.number, visit.thing, host)
        if self._is_refused(self.payment):
            raise Broken(PERMITTED, f"call {visit.number} pays a seller that asks for another permit: {plan.asks}")
        visit.presented.append(self.payment.nonce)
        token = plan.pays[min(visit.paid, len(plan.pays) - 1)]
        if not visit.paid:
            visit.unpaid = 0
        visit.paid += 1
        return token

    def _is_refused(self, payment: Payment) -> bool:
        """Return True for what was signed for a 402 that asks for another permit than may be signed."""
        plan, asked = self.visit.plan, self.visit.asked
        bad = plan.asks in ASKS and plan.asks not in (*UNSIGNED, "both")
        told = bool(asked) and asked[-1].startswith("sponsored")
        return bad and told and payment.by_permit2 and payment.call == self.visit.number

    def _settle_and_say(self, token: str) -> None:
        plan, payment = self.visit.plan, self.payment
        assert payment is not None
        if plan.settles == "before":
            self.seller.chain.settle(payment, plan.charge, plan.permit)
        self.headers = self._receipt(payment)
        try:
            self.say(token)
        finally:
            if plan.settles == "after":
                self.seller.chain.settle(payment, plan.charge, plan.permit)

    def _receipt(self, payment: Payment) -> list[tuple[str, str]]:
        kind, version = self.visit.plan.receipt, 1 if self.seen.header(PAYMENT[1]) else 2
        settled = payment.settled is not None
        if payment.ceiling and not settled and self.visit.plan.charge == 0 and kind == "good":
            nothing = {"success": True, "transaction": "", "network": NETWORK[2], "payer": payment.payer, "amount": "0"}
            return [(RECEIPT[version], encoded(nothing))]
        if kind == "none" or (kind == "good" and not settled):
            return []
        if kind == "false" or (kind == "failed" and settled):
            payment.lied = payment.lied or not settled
        success = kind != "failed"
        payer = "0x" + "1" * 40 if kind == "wrong" else payment.payer
        network = solana.NETWORK if payment.payer in solana.WALLETS else NETWORK[version]
        said = {"success": success, "transaction": "0x" + payment.nonce[-64:], "network": network}
        said |= {"amount": str(payment.amount)} if payment.ceiling else {}
        return [(RECEIPT[version], encoded({**said, "payer": payer} | ({} if success else {"errorReason": "no"})))]

    # --- the answers

    def say(self, token: str) -> None:
        """Say what a token of a plan means."""
        name, _, rest = token.partition(" ")
        if name.isdigit():
            self._status(int(name), rest)
        else:
            getattr(self, f"_say_{name}")(rest)

    def _status(self, status: int, rest: str) -> None:
        if status == 402:
            self._challenge(rest)
        else:
            more = [("WWW-Authenticate", "Basic")] if status == 401 else []
            self.send(status, b"no", [*self.headers, *more])

    def _say_to(self, rest: str) -> None:
        status, _, where = rest.partition(" ")
        path = {"same": self.seen.target, "common": "/common"}.get(where, f"{self.seen.path}?t={os.urandom(6).hex()}")
        base = ""
        if where == "other":
            name = (self.seen.header("host") or "").partition(":")[0]
            mine = int((self.seen.header("host") or "").partition(":")[2])
            other = next(port for port in self.seller.ports if port != mine)
            base = f"http://{name}:{other}"
        self.send(int(status), b"", [("Location", base + path), *self.headers])

    def _say_goods(self, rest: str) -> None:
        if rest == "busy":
            self.seller.busy(self.visit)
        if rest == "late":
            self._silent(SILENCE / 6)
        with self._completed():
            self.send(200, GOODS, self.headers)

    def _say_pieces(self, rest: str) -> None:
        self._head(200, [("Transfer-Encoding", "chunked"), *self.headers])
        for number, piece in enumerate(PIECES):
            if rest == "busy" and number == len(PIECES) - 1:
                self.seller.busy(self.visit)
            self.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(DRIP if rest == "drip" else 0.002)
        with self._completed():
            self.sock.sendall(b"0\r\n\r\n")

    @contextlib.contextmanager
    def _completed(self) -> Iterator[None]:
        """Note that all was sent: before it is, or a caller that is quick has left. Another call may cut it off yet."""
        self.visit.complete, self.visit.opened = real(), self.signs_in
        try:
            yield
        except OSError:
            self.visit.complete, self.visit.opened = None, False
            raise

    def _say_cut(self, rest: str) -> None:
        if rest == "head":
            self.visit.odd = True  # http.client takes it for an empty answer
            self.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
        else:
            self._head(200, [("Content-Length", str(len(GOODS))), *self.headers])
            self.sock.sendall(PIECES[0])
        self.keep = False

    def _say_drop(self, rest: str) -> None:
        self.keep = False

    def _say_reset(self, rest: str) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False

    def _say_hang(self, rest: str) -> None:
        """Be silent until the client leaves or the scene is over; then say the rest, or nothing."""
        left = self._silent(SILENCE)
        if rest and not left:
            self.say(rest)
        else:
            self.keep = False

    def _say_garbage(self, rest: str) -> None:
        self.visit.odd = True
        self.send(200, b"\x00\x01\x02", [("Content-Encoding", "gzip"), *self.headers])

    def _say_empty(self, rest: str) -> None:
        self.visit.odd = self.visit.empty = True
        self.send(204, b"", self.headers)

    def _silent(self, seconds: float) -> bool:
        """Return True if the client left meanwhile."""
        until = real() + seconds
        while real() < until and not self.seller.release.is_set():
            if select.select([self.sock], [], [], 0.01)[0]:
                return not self.sock.recv(1, socket.MSG_PEEK)
        return False

    def _challenge(self, kind: str) -> None:
        plan = self.visit.plan
        kind = kind or plan.terms
        if kind == "garbage":
            self.send(402, b"{}", [("PAYMENT-REQUIRED", "e30=")])
            return
        extensions, alone = self._signing(kind)
        headers, body = said(kind, plan.asks, extensions, alone, self.seller.chain.slots.newest())
        self.visit.asked.append(kind)
        self.seller.sign_ins.asked(self.visit.number, self.visit.thing[1], self._origin, alone)
        if kind == "away":
            self.seller.leave(but=self.sock)
            headers.append(("Connection", "close"))
            self.keep = False
        if kind == "drip":
            self._drip(402, body, headers)
        else:
            self.send(402, body, headers)

    def _signing(self, kind: str) -> tuple[dict[str, Any], bool]:
        """Return the challenge that goes along with terms, and True if it is all that is asked."""
        visit: Visit = self.visit
        if not visit.plan.signs or kind in ("v1", "bare"):
            return {}, False
        wanted = visit.plan.signs[min(visit.challenged, len(visit.plan.signs) - 1)]
        visit.challenged += 1
        return self.seller.sign_ins.challenge(wanted, visit.number, self._origin, self.seen.target), visit.plan.alone

    @property
    def _origin(self) -> str:
        return self.seen.header("host") or ""

    def _drip(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        text = _head(status, [*headers, ("Content-Length", str(len(body)))]) + body
        for at in range(0, len(text), len(text) // 6):
            self.sock.sendall(text[at : at + len(text) // 6])
            time.sleep(DRIP)

    def send(self, status: int, body: bytes, headers: list[tuple[str, str]] = []) -> None:  # noqa: B006
        """Send a whole answer."""
        length = [] if status == 204 else [("Content-Length", str(len(body)))]
        self._head(status, [*headers, *length], body)

    def _head(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        self.sock.sendall(_head(status, headers) + body)
        if self.payment is not None:
            self.visit.headed = self.visit.headed or real()


def _head(status: int, headers: list[tuple[str, str]]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode("latin-1")


@contextlib.contextmanager
def names_lead_here() -> Iterator[None]:
    """Have each name below ``shop.test`` lead to this machine."""
    found = socket.getaddrinfo

    def look(host: Any, *said: Any, **more: Any) -> Any:
        named = host.decode() if isinstance(host, bytes) else host
        return found("127.0.0.1" if str(named).endswith(".shop.test") else host, *said, **more)

    with mock.patch.object(socket, "getaddrinfo", look):
        yield
