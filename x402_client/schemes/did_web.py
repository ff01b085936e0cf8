"""Fetches the documents of ``did:web`` names that the policy lists: over https, from public hosts, bounded."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ..errors import MalformedQuote
from ..model.hosts import Origin
from ..model.private_places import is_public, leads_inside
from ..wire.json_text import load
from .seller_keys import SellerKey, key_of_jwk, key_of_multibase

#: Bytes of a document, seconds for it, and seconds for which it is kept, or for which a failure is.
_MOST, _SECONDS, _KEPT, _FAILED = 64 * 1024, 5.0, 3_600.0, 60.0
_DEPTH, _REMEMBERED = 16, 100
_PARTS = re.compile(r"[A-Za-z0-9._-]+(%3[aA][0-9]{1,5})?(:[A-Za-z0-9._%-]+)*", re.ASCII)


def address_of_document(did: str) -> str:
    """Return the URL of the document of a ``did:web``. Raise a ValueError for a name that has none."""
    name = did.partition("#")[0].removeprefix("did:web:")
    if not did.startswith("did:web:") or len(name) > 512 or not _PARTS.fullmatch(name):
        raise ValueError("it is no did:web")
    host, *path = (unquote(part) for part in name.split(":"))
    if any(part in ("", ".", "..") or not re.fullmatch(r"[\w.~-]+", part, re.ASCII) for part in path):
        raise ValueError("its path leads elsewhere")
    return f"https://{host}/{'/'.join(path) or '.well-known'}/did.json"


class DidDocuments:
    """The documents that were fetched. ``may_reach`` tells which addresses may be connected to."""

    def __init__(
        self,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._clock = fetch or fetch_document, clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def key(self, kid: str) -> SellerKey:
        """Return the key that a ``did:web`` name means. Raise a ValueError, in words, if it cannot be learnt."""
        return key_in(self._document(kid.partition("#")[0]), kid)

    def _document(self, did: str) -> Any:
        with self._lock:
            until, found = self._known.get(did, (0.0, None))
        if self._clock() >= until:
            found = self._fetched(did)
            kept = _FAILED if isinstance(found, str) else _KEPT
            with self._lock:
                self._known[did] = (self._clock() + kept, found)
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def _fetched(self, did: str) -> Any:
        """Return a document, or why there is none."""
        try:
            found = load(self._fetch(address_of_document(did)), _DEPTH)
        except MalformedQuote:
            return "its document is no JSON"
        except ValueError as problem:
            return str(problem)
        return found if isinstance(found, dict) else "its document is no object"


def key_in(document: Any, kid: str) -> SellerKey:
    """Return the key that a document lists under a name; without a fragment, its first one for assertions."""
    did, _, fragment = kid.partition("#")
    if document.get("id") != did:
        raise ValueError("its document is about another name")
    listed = document.get("verificationMethod")
    methods = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    wanted = {kid, f"#{fragment}"} if fragment else _first_assertion(document)
    method = next((one for one in methods if one.get("id") in wanted or not wanted), None)
    if method is None:
        raise ValueError("its document lists no such key")
    if "publicKeyJwk" in method:
        return key_of_jwk(method["publicKeyJwk"])
    return key_of_multibase(str(method.get("publicKeyMultibase") or ""))


def _first_assertion(document: Any) -> set[str]:
    listed = document.get("assertionMethod")
    return {listed[0]} if isinstance(listed, list) and listed and isinstance(listed[0], str) else set()


def fetch_document(url: str, may_reach: Callable[[str], bool] = is_public, verify: Any = True) -> bytes:
    """Return a document. Raise a ValueError, in words, if it cannot be had. No redirect and no proxy is followed."""
    import httpx

    from ..guards.deadlines import Cut, Deadline

    target = httpx.URL(url)
    inside = leads_inside(Origin.of("https", target.host, target.port)) if may_reach is is_public else ""
    if inside:
        raise ValueError(f"its document is not fetched: {target.host} {inside}")
    cut = Cut()
    deadline = Deadline(_SECONDS, cut)
    try:
        with deadline, httpx.Client(verify=verify, timeout=_SECONDS, trust_env=False) as client:
            headers = {"accept": "application/did+json, application/json", "accept-encoding": "identity"}
            request = client.build_request("GET", target, headers=headers, extensions={"trace": cut.note})
            response = client.send(request, stream=True)
            try:
                return _read(response, may_reach)
            finally:
                response.close()
    except httpx.HTTPError as failure:
        why = "it was too slow" if deadline.passed else type(failure).__name__
        raise ValueError(f"its document could not be fetched: {why}") from None


def _read(response: Any, may_reach: Callable[[str], bool]) -> bytes:
    stream = response.extensions.get("network_stream")
    peer = None if stream is None else stream.get_extra_info("server_addr")
    if peer is None or not may_reach(str(peer[0])):
        raise ValueError("its document is not fetched: its host is at a private address")
    if response.status_code != 200 or response.headers.get("content-encoding", "identity") != "identity":
        raise ValueError(f"its document was answered with {response.status_code}")
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > _MOST:
            raise ValueError(f"its document has more than {_MOST} bytes")
    return bytes(body)
