"""Bounds on how much of a server's answer is read. Each number can be changed: ``Buyer(bounds=...)``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of what is read and sent: sizes in bytes, times in seconds."""

    #: A header with terms, before base64 is taken off.
    terms_header: int = 64 * 1024
    #: The body of a 402, as it arrives and after decompression alike.
    terms_body: int = 256 * 1024
    #: From the arrival of a 402's headers to the end of its body.
    terms_time: float = 10.0
    offers: int = 1_000
    depth: int = 32
    #: The payment header that we send. Servers commonly take 8 to 16 KiB of headers in all.
    payment_header: int = 12 * 1024
    receipt: int = 16 * 1024
    #: A request body that can be read only once is kept up to this size while it is first sent.
    kept_body: int = 1024 * 1024
    #: Words of the seller, where we show them.
    words: int = 200


DEFAULT = Bounds()
