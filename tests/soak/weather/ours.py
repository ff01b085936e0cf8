"""The buyers of this package: every shell, every kind of policy, one ledger."""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import httpx2
import requests

import x402_client.httpx
import x402_client.httpx2
import x402_client.requests
from x402_client import Buyer, Limit, Policy, Wallet, errors
from x402_client.ledgers.redis import RedisLedger
from x402_client.ledgers.sqlite import SqliteLedger
from x402_client.model.money import Money
from x402_client.receipts import outcome

from .draws import Order
from .program import Crew, Setting, Told, right

#: Seconds; the weather hangs for longer.
PATIENCE = 4.0
PER_REQUEST = "0.05"
_TRUST = ssl.create_default_context()  # nothing here is encrypted, and reading certificates takes long


def dollars(units: int) -> str:
    return f"{units // 10**6}.{units % 10**6:06}"


def policy(own: dict[str, Any], **more: Any) -> Policy:
    """Every door has a budget of its own, and all have one together."""
    limit = Limit(per_minute=dollars(own["host_minute"]))
    hosts = {url.removeprefix("http://"): limit for url in own["listed"]}
    return Policy(
        per_request=PER_REQUEST, per_minute=dollars(own["per_minute"]), total=dollars(own["total"]), hosts=hosts, **more
    )


def ledger(where: str) -> Any:
    return RedisLedger(where) if where.startswith("redis://") else SqliteLedger(where)


def buyer(own: dict[str, Any], kept: Any, **more: Any) -> Buyer:
    """``own`` is what a fleet has."""
    wallet = Wallet(**{own["family"]: own["key"]})
    said = policy(own, **more)
    return Buyer(wallet, said, ledger=kept, rpc=own["rpc"], settle_timeout=PATIENCE, breaker_after=20, breaker_rest=2.0)


_MORE: dict[str, dict[str, Any]] = {
    "plain": {}, "ahead": {"pay_ahead": True}, "loss": {"accept_loss": PER_REQUEST},
}  # fmt: skip


class Clients:
    """One client for each shell and kind of policy; all pay from one ledger."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.own = setting, setting.own
        self.buyers: dict[str, Buyer] = {}
        self._sync: dict[tuple[str, str], Any] = {}
        self._async: dict[tuple[str, str], Any] = {}

    def open(self, crew: Crew) -> None:
        """A ledger that cannot be opened is tried again: the disk may be full, or Redis be starting."""
        while not self.buyers:
            try:
                kept = ledger(self.own["ledger"])
                self.buyers = {kind: buyer(self.own, kept, **more) for kind, more in _MORE.items()}
            except errors.LedgerUnavailable as failure:
                crew.journal.write(not_open=str(failure))
                if crew.stopping:
                    raise
                time.sleep(0.5)

    def unfinished(self, crew: Crew) -> Iterator[Order]:
        """What earlier lives left. Whether the last try was delivered when it died, the ledger's account tells.

        Under a key it does not matter: the same request is told that it was paid before.
        """
        told = Counter(crew.order(line["order"]).place for line in crew.past if line.get("kind") == "content")
        told.update(crew.order(line["order"]).place for line in crew.past if line.get("accounted"))
        for name, last in crew.begun().items():
            wanted = crew.order(name)
            if last.get("begins") and wanted.style != "key" and self._delivered(crew, wanted) > told[wanted.place]:
                crew.journal.write(order=name, over=True, accounted=True, kind="paid before", words="by the ledger")
            else:
                yield wanted

    def _delivered(self, crew: Crew, wanted: Order) -> int:
        while True:
            try:
                history = self.buyers["plain"].history(10**6)
                return sum(hold.url.endswith(wanted.place) and hold.state == "delivered" for hold in history)
            except errors.LedgerUnavailable:
                if crew.stopping:
                    raise
                time.sleep(0.5)

    # --- asking

    def ask(self, shell: str, wanted: Order) -> Told:
        client, words = self._client(shell, wanted.style), self._words(shell, wanted)
        url = self.setting.doors[wanted.door] + wanted.path
        paying = self.buyers[_kind(wanted)]
        scope = paying.purchase(key=wanted.id) if wanted.style == "key" and shell == "requests" else nullcontext()
        try:
            with scope:
                if shell == "requests":
                    answer = client.request(wanted.method, url, timeout=PATIENCE, stream=True, **words)
                    return _read(wanted, answer, b"".join(answer.iter_content(16_384)))
                with client.stream(wanted.method, url, **words) as answer:
                    return _read(wanted, answer, b"".join(answer.iter_bytes()))
        except Exception as failure:
            return _failed(failure)

    async def aask(self, shell: str, wanted: Order) -> Told:
        client, words = self._client(shell, wanted.style), self._words(shell, wanted)
        url = self.setting.doors[wanted.door] + wanted.path
        try:
            async with client.stream(wanted.method, url, **words) as answer:
                return _read(wanted, answer, b"".join([piece async for piece in answer.aiter_bytes()]))
        except Exception as failure:
            return _failed(failure)

    def _words(self, shell: str, wanted: Order) -> dict[str, Any]:
        sent = {"data" if shell == "requests" else "content": wanted.body} if wanted.body else {}
        if wanted.style == "key" and shell != "requests":
            sent["extensions"] = {"x402": {"key": wanted.id}}  # type: ignore[assignment]
        return sent

    def _client(self, shell: str, style: str) -> Any:
        kept = self._async if shell.endswith(" async") else self._sync
        name = shell, style if style in _MORE else "plain"
        return kept.get(name) or kept.setdefault(name, _made(shell, self.buyers[name[1]]))

    # --- and being done

    async def aclose(self, last: bool = False) -> None:
        while self._async:
            await self._async.popitem()[1].aclose()
        for one in self.buyers.values() if last else ():
            await one.aclose()

    def close_sync(self) -> None:
        while self._sync:
            self._sync.popitem()[1].close()

    def reconciled(self) -> list[int]:
        """Given back, spent after all, not to be told."""
        try:
            found = self.buyers["plain"].reconcile()
        except errors.LedgerUnavailable:
            return []
        return [len(found.released), len(found.settled), len(found.unknown)]

    def close(self) -> None:
        self.close_sync()
        for one in self.buyers.values():
            one.close()


def _kind(wanted: Order) -> str:
    return wanted.style if wanted.style in _MORE else "plain"


def _made(shell: str, paying: Buyer) -> Any:
    if shell == "requests":
        session = requests.Session()
        session.trust_env = False
        return x402_client.requests.wrap(session, paying)
    library, ours = (httpx2, x402_client.httpx2) if shell.startswith("httpx2") else (httpx, x402_client.httpx)
    kind = library.AsyncClient if shell.endswith(" async") else library.Client
    words = {"timeout": PATIENCE, "follow_redirects": True, "trust_env": False, "verify": _TRUST}
    return ours.wrap(kind(**words), paying)  # type: ignore[attr-defined,operator]


def _read(wanted: Order, answer: Any, body: bytes) -> Told:
    found = outcome(answer)
    money, nonce = (found.money, found.hold.nonce or "") if found else ("", "")
    if right(wanted, answer.status_code, body):
        return Told("content", money=money, nonce=nonce)
    return Told("open" if found else "failed", f"status {answer.status_code}", money, nonce)


_LATER = (errors.Frozen, errors.PaymentNotSent)


def _failed(failure: Exception) -> Told:
    found = errors.find(failure)
    if found is None:
        return Told("failed", f"{type(failure).__name__}: {failure}"[:300])
    hold = found.hold
    said = f"{type(found).__name__}: {found}", found.money, (hold.nonce or "") if hold else ""
    if isinstance(found, errors.AlreadyPaid):
        return Told("paid before", *said)
    if isinstance(found, errors.PaidNotDelivered):
        return Told("not delivered", *said)
    over_budget = isinstance(found, errors.OverLimit) and not isinstance(found, errors.TooExpensive)
    is_paused = isinstance(found, errors.HostNotAllowed) and found.resets_at is not None
    if over_budget or isinstance(found, _LATER) or is_paused:
        return Told("later", *said)
    if isinstance(found, (errors.PaymentRefused, errors.QuoteError)):
        return Told("refused", *said)
    return Told("open", *said)


def total(paying: Buyer) -> int:
    """Millionths that count as spent."""
    money: Money = paying.spent(window="total", currency="USD (test)")
    return money.units
