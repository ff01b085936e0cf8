"""Scripts for ``Gate.spoil`` and ``Gate.page``: faults of a seller with a payment."""

from __future__ import annotations

import threading
import time

from .gate import PATIENCE, Exchange, SandboxAnswer, Script


def drop_before_settling(exchange: Exchange) -> None:
    """Close the connection without an answer. Nothing is settled."""
    exchange.leave()


def drop_after_settling(exchange: Exchange) -> None:
    """Settle, then close the connection without an answer."""
    exchange.forward()
    exchange.leave()


def reset_after_settling(exchange: Exchange) -> None:
    """Settle, then reset the connection."""
    exchange.forward()
    exchange.reset()


def fail_after_settling(exchange: Exchange) -> None:
    """Settle, then answer 500."""
    exchange.forward()
    exchange.answer(500, b"Something failed.")


def hang_after_settling(exchange: Exchange) -> None:
    """Settle, then stay silent."""
    exchange.forward()
    exchange.wait()


def ask_again(exchange: Exchange) -> None:
    """Answer a payment with the 402. Nothing is settled."""
    exchange.give(exchange.forward("payment-signature", "x-payment"))


def _send_half(exchange: Exchange) -> None:
    said: SandboxAnswer = exchange.forward()
    exchange.head(said.status, said.headers, len(said.body))
    exchange.send(said.body[: len(said.body) // 2])


def cut_body(exchange: Exchange) -> None:
    """Settle, send half of the content, close the connection."""
    _send_half(exchange)
    exchange.leave()


def cut_chunks(exchange: Exchange) -> None:
    """Settle, send half of the content in a chunk, close the connection before the last one."""
    said = exchange.forward()
    half = said.body[: len(said.body) // 2]
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*said.headers, ("Transfer-Encoding", "chunked")))
    exchange.send(f"HTTP/1.1 {said.status} Said\r\n{lines}\r\n{len(half):x}\r\n".encode("latin-1") + half + b"\r\n")
    exchange.leave()


def reset_body(exchange: Exchange) -> None:
    """Settle, send half of the content, reset the connection."""
    _send_half(exchange)
    time.sleep(0.05)  # on some systems a reset overtakes what was sent before it
    exchange.reset()


def hang_body(exchange: Exchange) -> None:
    """Settle, send half of the content, then nothing more."""
    _send_half(exchange)
    exchange.wait()


def redirect_after_settling(where: str, status: int = 303) -> Script:
    """Settle, then redirect, with the receipt."""

    def script(exchange: Exchange) -> None:
        exchange.answer(status, b"", [*_receipt(exchange.forward()), ("Location", where)])

    return script


def redirect(where: str, status: int = 302) -> Script:
    """Redirect. Nothing is settled."""
    return lambda exchange: exchange.answer(status, b"", [("Location", where)])


def empty(exchange: Exchange) -> None:
    """Settle, then answer 204, which has no body."""
    receipt = "".join(f"{name}: {value}\r\n" for name, value in _receipt(exchange.forward()))
    exchange.send(f"HTTP/1.1 204 Said\r\n{receipt}\r\n".encode("latin-1"))


def late(seconds: float) -> Script:
    """Settle, then deliver after some seconds."""

    def script(exchange: Exchange) -> None:
        said = exchange.forward()
        exchange.gate.over.wait(seconds)
        exchange.give(said)

    return script


def _receipt(said: SandboxAnswer) -> list[tuple[str, str]]:
    return [(name, value) for name, value in said.headers if name.lower().endswith("payment-response")]


class SlowSeller:
    """Seller that settles, and sends half of the content or nothing. It sends the rest once ``go_on`` is set."""

    def __init__(self, before_headers: bool = False) -> None:
        self.go_on: threading.Event = threading.Event()
        self._before_headers = before_headers

    def __call__(self, exchange: Exchange) -> None:
        said = exchange.forward()
        if self._before_headers:
            self.go_on.wait(PATIENCE)
        exchange.head(said.status, said.headers, len(said.body))
        half = len(said.body) // 2
        exchange.send(said.body[:half])
        self.go_on.wait(PATIENCE)
        exchange.send(said.body[half:])
