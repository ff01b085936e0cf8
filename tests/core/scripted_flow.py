"""What surrounds a flow: a real policy, wallet, scheme and ledger. Only the network and the approver are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.wire.terms import KEY, ORIGIN, URL, document, encoded, headers
from x402_client import Buyer, Policy, Wallet, events
from x402_client.core import asks
from x402_client.core.call import Call
from x402_client.core.digests import body_digest
from x402_client.core.drive import run
from x402_client.core.flow import pay
from x402_client.core.ledger_reads import CheckOrder, Freezes
from x402_client.core.rules import Rules
from x402_client.ledgers.memory import MemoryLedger
from x402_client.model.holds import Spending
from x402_client.model.hosts import Origin
from x402_client.policy.choice import Mandate
from x402_client.signers.evm import LocalEvmSigner

SIGNER = LocalEvmSigner(bytes.fromhex(KEY[2:]))
PAID = {"success": True, "transaction": "0xfeed", "network": "base-sepolia", "payer": SIGNER.address}


def reply(status: int = 402, body: Any = None, **given: Any) -> asks.Reply:
    """An answer of the network; headers that are not text are encoded."""
    texts = {name: value if isinstance(value, str) else encoded(value) for name, value in given.items()}
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return asks.Reply(status, headers(**texts), data)


def asking(*entries: Any, version: int = 2, **more: Any) -> asks.Reply:
    """A 402 that asks for payment."""
    return reply(402, document(*entries, version=version, **more))


def paid(status: int = 200, **receipt: Any) -> asks.Reply:
    """An answer with a receipt."""
    return reply(status, payment_response=PAID | receipt)


def signature(ask: asks.SignTyped, seconds: float = 0.0) -> asks.SignatureGiven:
    """As the wallet's own key signs."""
    return asks.SignatureGiven(SIGNER.sign(ask.data), trusted=True, seconds=seconds)


class Ground:
    """Answers a flow's asks and remembers them. ``scripted`` says what else happens instead, by kind of ask.

    A scripted answer is a value, an exception to raise, or a function of the ask; a list gives one after the other.
    A payment is presented once in a call, unless a test names methods to ``repeat``. A price is counted before it is
    signed, as with a signer that has to be asked; with ``one_step`` as with a key in this process.
    """

    def __init__(
        self, policy: Policy | None = None, ledger: MemoryLedger | None = None, one_step: bool = False, **buyer: Any
    ) -> None:
        self.ledger = ledger or MemoryLedger()
        said = policy or Policy(per_request="0.10", per_day="0.05")
        settings: dict[str, Any] = {
            "repeat": (),
            "on_event": [].append,
            **buyer,
        }  # no warning is shown where one listens
        self.rules: Rules = Buyer(Wallet(evm=KEY), said, ledger=self.ledger, **settings).rules
        self.one_step = one_step
        for scheme in () if one_step else self.rules.schemes.values():
            vars(scheme)["signs_here"] = lambda offer: False
        self.asked: list[asks.Ask[Any]] = []
        self.scripted: dict[type[Any], Any] = {asks.Send: lambda ask: paid()}

    def pay(self, call: Call, first: asks.Reply | None = None, **scripted: Any) -> asks.Reply:
        """One paid request, from its 402 to its end."""
        self.asked.clear()
        for name, what in scripted.items():
            self.scripted[getattr(asks, name)] = what
        return run(pay(call, first or asking(), self.rules), self.answer)

    def answer(self, ask: asks.Ask[Any]) -> Any:
        """The driver's other half."""
        self.asked.append(ask)
        if type(ask) in self.scripted:
            what = self.scripted[type(ask)]
            what = (what.pop(0) if len(what) > 1 else what[0]) if isinstance(what, list) else what
            if isinstance(what, BaseException):
                raise what
            return what(ask) if callable(what) else what
        return _REAL[type(ask)](self.ledger, ask)

    @property
    def names(self) -> list[str]:
        """The kinds of asks so far, without what was told or noted, and without the look for a call to join."""
        return [type(ask).__name__ for ask in self.asked if not isinstance(ask, (asks.Tell, asks.Note, asks.Join))]

    @property
    def told(self) -> list[events.Event]:
        """What was told."""
        return [ask.event for ask in self.asked if isinstance(ask, asks.Tell)]

    def all(self, kind: type[Any]) -> list[Any]:
        """The asks of one kind."""
        return [ask for ask in self.asked if isinstance(ask, kind)]

    @property
    def spent(self) -> int:
        """Millionths of test money counted today: the offers here are on a test network."""
        return self.ledger.spent(Spending("", "day", "USD (test)"))


_REAL: dict[type[Any], Callable[[MemoryLedger, Any], Any]] = {
    asks.Peek: lambda ledger, ask: ask.reply.native,
    asks.Digest: lambda ledger, ask: body_digest(b"no body"),
    asks.Reserve: lambda ledger, ask: ledger.reserve(ask.order, ask.attempt),
    asks.Join: lambda ledger, ask: asks.Joined(None),
    asks.Claim: lambda ledger, ask: ledger.claim(ask.purchase, ask.attempt),
    asks.Record: lambda ledger, ask: ledger.record(ask.hold, ask.authorization),
    asks.Release: lambda ledger, ask: ledger.release(ask.hold),
    asks.Close: lambda ledger, ask: _close(ledger, ask),
    asks.Conclude: lambda ledger, ask: ledger.conclude(ask.hold, ask.settled),
    asks.WriteOff: lambda ledger, ask: ledger.write_off(ask.hold),
    asks.Note: lambda ledger, ask: ledger.note(ask.hold, ask.last),
    asks.Settlement: lambda ledger, ask: "open",
    asks.Expired: lambda ledger, ask: [],
    asks.Holds: lambda ledger, ask: ledger.holds(),
    CheckOrder: lambda ledger, ask: ledger.check(ask.order),
    Freezes: lambda ledger, ask: ledger.freezes(),
    asks.LookNow: lambda ledger, ask: asks.Seen(False),
    asks.LeftAlone: lambda ledger, ask: None,
    asks.SignTyped: lambda ledger, ask: signature(ask),
    asks.SignText: lambda ledger, ask: asks.SignatureGiven(SIGNER.sign_text(ask.text), trusted=True),
    asks.Bought: lambda ledger, ask: None,
    asks.Approve: lambda ledger, ask: asks.Approved(True, 0.0),
    asks.Failed: lambda ledger, ask: "timeout" if isinstance(ask.failure, TimeoutError) else "lost",
    asks.Pause: lambda ledger, ask: None,
    asks.Tell: lambda ledger, ask: None,
    asks.LookLater: lambda ledger, ask: None,
}


def _close(ledger: MemoryLedger, ask: asks.Close) -> None:
    ledger.close(ask.hold, ask.money, ask.receipt)
    ask.attempt.end()


def called(identity: str = "GET /weather", origin: Origin = ORIGIN, **more: Any) -> Call:
    """A call of the application."""
    mandate = Mandate(**{name: more.pop(name) for name in ("key", "per_request", "quote") if name in more})
    return Call("GET", origin, URL, identity, mandate, **more)
