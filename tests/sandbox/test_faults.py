"""Every fault, tried by a real client on both chains and in both versions: what comes of it, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

import x402_client.httpx
from x402_client import Policy, errors
from x402_client.receipts import outcome
from x402_client.sandbox import FAULTS, Sandbox
from x402_client.wire import Bounds

POLICY = Policy(per_request="0.05")
WAYS = ["/evm", "/solana", "/v1/evm", "/v1/solana"]


@dataclass(frozen=True)
class Ends:
    """How a request ends, how the same request ends again, and how often the chain moved money for the two."""

    first: Any
    again: Any = 200
    settled: int = 2
    money: str = "spent"


#: Refused before anything is signed: it can be asked for as often as one likes.
FREE = {"settled": 0, "money": ""}
UNKNOWN = errors.PaymentOutcomeUnknown
REJECTED = errors.PaymentRejected
NONE_FITS = Ends(errors.NoAcceptableOffer, errors.NoAcceptableOffer, **FREE)
#: Nothing was settled, and the same payment settles when it is presented again.
PAYS_LATER = Ends(UNKNOWN, settled=1, money="unknown")
#: It was settled, as the chain shows at once, and this seller answers a payment that it has had with another 402.
PAID_ALREADY = Ends(UNKNOWN, REJECTED, settled=1)
DOUBTED = Ends(200, money="unknown")

TABLE = {
    "wrong-token": NONE_FITS,
    "swapped-token": NONE_FITS,
    "pay-to-zero": NONE_FITS,
    "forged-domain": Ends(200),
    "ten-year-validity": Ends(200),
    "price-over-limit": Ends(errors.TooExpensive, errors.TooExpensive, **FREE),
    "facilitator-zero": Ends(200),
    "another-spender": Ends(200),
    "unlimited-approval": Ends(200),
    "permit-to-another": Ends(200),
    "unknown-scheme": NONE_FITS,
    "garbage-402": Ends(errors.MalformedQuote, errors.MalformedQuote, **FREE),
    "version-3": Ends(errors.UnsupportedVersion, errors.UnsupportedVersion, **FREE),
    "not-x402": Ends(402, 402, **FREE),
    "dripped-402": Ends(errors.MalformedQuote, errors.MalformedQuote, **FREE),
    "gzip-bomb-402": Ends(402, 402, **FREE),
    "sign-in-foreign-domain": Ends(200),
    "sign-in-expired": Ends(200),
    "sign-in-line-break": Ends(200),
    "sign-in-used-challenge": Ends(200),
    "sign-in-refused": Ends(200),
    "offer-contradicts": NONE_FITS,
    "offer-forged": NONE_FITS,
    "redirect-before-paying": Ends(200),
    "redirect-to-another-host": Ends(errors.HostNotAllowed, errors.HostNotAllowed, **FREE),
    "drop-before-settling": PAYS_LATER,
    "drop-after-settling": PAID_ALREADY,
    "reset-before-settling": PAYS_LATER,
    "reset-after-settling": PAID_ALREADY,
    "hang-before-settling": PAYS_LATER,
    "hang-after-settling": PAID_ALREADY,
    "slow": Ends(200),
    "permit-without-payment": Ends(500, settled=1, money="unknown"),
    "error-before-settling": Ends(500, settled=1, money="unknown"),
    "error-after-settling": Ends(502, REJECTED, settled=1),
    "work-fails": Ends(500, REJECTED, settled=1),
    "work-says-no": Ends(409, REJECTED, settled=1, money="spent"),
    "402-again": Ends(REJECTED, settled=1, money="held"),
    "402-after-settling": Ends(REJECTED, REJECTED, settled=1),
    "price-rises-after-settling": Ends(REJECTED, REJECTED, settled=1),
    "price-rises": Ends(REJECTED, REJECTED, settled=0, money="held"),
    "receipt-wrong-payer": DOUBTED,
    "receipt-wrong-amount": DOUBTED,
    "late-charge": DOUBTED,
    "wrong-charge": DOUBTED,
    "receipt-wrong-network": DOUBTED,
    "receipt-failed": DOUBTED,
    "signed-receipt-other-url": Ends(200),
    "signed-receipt-forged": Ends(200),
    "receipt-garbage": DOUBTED,
    "receipt-missing": DOUBTED,
    "redirect-after-paying": Ends(200),
    "redirect-to-another-host-after-paying": Ends(REJECTED, REJECTED, settled=1),
    "truncated-body": Ends(httpx.RemoteProtocolError, REJECTED, settled=1, money=""),
    "dripped-body": Ends(200),
}

#: A 402 of version 1 has no extensions.
BY_VERSION_2 = ("offer-contradicts", "offer-forged")


def test_every_fault_is_tried() -> None:
    assert list(TABLE) == list(FAULTS)


def attempt(client: httpx.Client, url: str) -> tuple[Any, str]:
    """A status or an error's type, and what became of the money."""
    try:
        response = client.get(url)
    except errors.X402Error as failure:  # it may be httpx's own error as well
        return type(failure), failure.money
    except httpx.HTTPError as failure:
        return type(failure), ""
    found = outcome(response)
    return response.status_code, found.money if found else ""


@pytest.mark.parametrize("fault", [name for name in FAULTS if name.startswith("redirect-")])
def test_a_client_that_follows_no_redirects_is_handed_the_redirect(sandbox: Sandbox, fault: str) -> None:
    """The page of the sandbox and the manual say so: the ends in the table are for clients that follow."""
    with x402_client.httpx.wrap(httpx.Client(), sandbox.buyer(POLICY)) as client:
        assert client.get(f"{sandbox.url}/fault/{fault}/weather").status_code in (303, 307)
        assert "unless it was made with follow_redirects=True" in client.get(sandbox.url).text
    assert len(sandbox.settlements) == fault.endswith("after-paying")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", TABLE)
def test_fault(sandbox: Sandbox, fault: str, way: str) -> None:
    ends = Ends(200) if fault in BY_VERSION_2 and "v1" in way else TABLE[fault]
    patience = 1.0 if fault.startswith("hang") else 60.0
    terms_time = 0.2 if "drip" in fault else 10.0  # a busy machine may take a while for the other ones
    buyer = sandbox.buyer(POLICY, repeat=(), settle_timeout=patience, bounds=Bounds(terms_time=terms_time))
    with x402_client.httpx.wrap(httpx.Client(follow_redirects=True, timeout=patience), buyer) as client:
        url = f"{sandbox.url}{way}/fault/{fault}/weather"
        first, money = attempt(client, url)
        again, _ = attempt(client, url)
    assert first == ends.first or (isinstance(first, type) and issubclass(first, ends.first)), "an error may be httpx's"
    assert money in (ends.money, "untouched")
    assert again == ends.again or (isinstance(again, type) and issubclass(again, ends.again))
    assert len(sandbox.settlements) == ends.settled
    assert len({done.nonce for done in sandbox.settlements}) == ends.settled
    assert buyer.spent() >= sandbox.earned
