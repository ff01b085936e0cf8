"""Bounds on how much of a server's answer is read. Each number can be changed: ``Buyer(bounds=Bounds(...))``."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of what is read and sent: sizes in bytes, times in seconds.

    Args:
        terms_header: The most of a header with terms, before base64 is taken off. Default: 64 KiB.
        terms_body: The most of a 402's body, as it arrives and after decompression alike. Default: 256 KiB.
        terms_time: The most seconds from the arrival of a 402's headers to the end of its body. Default: 10.
        offers: The most offers that a 402 may have. Default: 1000.
        depth: The most levels of its JSON. Default: 32.
        payment_header: The most of the payment header that is sent. Servers commonly take 8 to 16 KiB of headers in
            all. Default: 12 KiB.
        receipt: The most of a receipt. Default: 16 KiB.
        kept_body: The most of a request body that can be read once only, which is kept while it is first sent.
            Default: 1 MiB.
        words: The most characters of the seller's own words that are shown. Default: 200.
    """

    terms_header: int = 64 * 1024
    terms_body: int = 256 * 1024
    terms_time: float = 10.0
    offers: int = 1_000
    depth: int = 32
    payment_header: int = 12 * 1024
    receipt: int = 16 * 1024
    kept_body: int = 1024 * 1024
    words: int = 200

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "terms_time":
                is_fine = type(value) in (int, float) and value > 0
            else:
                is_fine = type(value) is int and value >= 0
            if not is_fine:
                wanted = "seconds above zero" if one.name == "terms_time" else "a whole number, zero or more"
                raise ConfigurationError(f"Bounds({one.name}=...) is {wanted}, not {value!r}.")


DEFAULT = Bounds()
