"""The seller's side of sign-in-with-x: challenges, sound and hostile, and a look at each header that signs in.

The text is written here anew, from EIP-4361, and not by the code that is looked at.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from tests.adapters.cash_register import NETWORK

from .broken import SIGNED, Broken
from .chain import WALLETS
from .clock import Clock
from .events import Setting

_Info = dict[str, Any]
_BANK, _SOLANA, _OTHER = "bank.example", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "eip155:1"
_LINE = "x\nURI: https://bank.example/"
#: Seconds by which this clock and that of a program may differ as they look.
_NEAR = 5.0


def _elsewhere(url: str) -> Callable[[_Info], _Info]:
    return lambda info: {"uri": url.format(domain=info["domain"])}


#: By kind, what is other than in a plain challenge. The sound ones come first.
_KINDS: dict[str, Callable[[_Info], _Info]] = {
    "plain": lambda info: {},
    "words": lambda info: {"statement": "Sign in to see it again.", "requestId": "r-1", "resources": [info["uri"]]},
    "no port": lambda info: {"domain": info["domain"].partition(":")[0]},
    "draft": lambda info: {"chainId": NETWORK[2], "type": "eip191"},
    "two chains": lambda info: {},
    "domain": lambda info: {"domain": _BANK},
    "uri": _elsewhere("http://bank.example/"),
    "https": _elsewhere("https://{domain}/"),
    "user": _elsewhere("http://{domain}@bank.example/"),
    "other port": _elsewhere("http://127.0.0.1:1/"),
    "resource": lambda info: {"resources": [info["uri"], "http://bank.example/"]},
    "domain line": lambda info: {"domain": f"{info['domain']}\n"},
    "uri line": lambda info: {"uri": f"{info['uri']}\nVersion: 1"},
    "statement line": lambda info: {"statement": _LINE},
    "request line": lambda info: {"requestId": _LINE},
    "resource line": lambda info: {"resources": [f"{info['uri']}\n- https://bank.example/"]},
    "nonce line": lambda info: {"nonce": info["nonce"] + "\nIssued At: 2030-01-01T00:00:00Z"},
    "version": lambda info: {"version": "2"},
    "chain": lambda info: {},
    "family": lambda info: {},
    "type": lambda info: {},
    "old": lambda info: {"issuedAt": _later(info, -400), "expirationTime": _later(info, 400)},
    "over": lambda info: {"expirationTime": _later(info, -10)},
    "future": lambda info: {"issuedAt": _later(info, 300), "expirationTime": _later(info, 900)},
    "not yet": lambda info: {"notBefore": _later(info, 300)},
}
#: ``again`` is the one that this origin made last, once more.
SOUND = ("plain", "words", "no port", "draft", "two chains", "again")
HOSTILE = tuple(kind for kind in _KINDS if kind not in SOUND)
#: Of these, only the time tells if they are sound; of ``chain``, the policy.
_TIMED = ("old", "over", "future", "not yet")
_CHAINS = {"two chains": (_SOLANA, NETWORK[2]), "chain": (_OTHER,), "family": (_SOLANA,)}
_FIELDS = ("domain", "uri", "nonce", "issuedAt", "expirationTime", "notBefore", "statement", "requestId")


@dataclass
class Challenge:
    """One challenge, and who signed it."""

    kind: str
    origin: str
    info: _Info
    chains: tuple[str, ...]
    #: The calls that it was made for.
    calls: set[int] = field(default_factory=set)
    signed_by: set[Hashable] = field(default_factory=set)

    def declared(self) -> dict[str, Any]:
        """Return the extension as a 402 has it."""
        kind = "eip1271" if self.kind == "type" else "eip191"
        chains = [{"chainId": one, "type": "ed25519" if one == _SOLANA else kind} for one in self.chains]
        listed = {} if self.kind == "draft" else {"supportedChains": chains}
        return {"sign-in-with-x": {"info": self.info, **listed, "schema": {"type": "object"}}}


class SignIns:
    """The challenges of a script. Safe under the seller's lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begin(Setting())

    def begin(self, setting: Setting) -> None:
        """Begin a script."""
        self._setting = setting
        self._made: dict[str, Challenge] = {}
        self._last: dict[str, Challenge] = {}
        #: The calls that were asked for money, with wallet and host; and those that are asked for a sign-in alone.
        self._asked: set[tuple[int, int, str]] = set()
        self._alone: set[int] = set()

    def asked(self, call: int, wallet: int, origin: str, alone: bool) -> None:
        """Note a 402. ``alone``: it asks for no money."""
        if alone:
            self._alone.add(call)
        else:
            self._alone.discard(call)
            self._asked.add((call, wallet, origin.partition(":")[0]))

    def challenge(self, kind: str, call: int, origin: str, target: str) -> dict[str, Any]:
        """Return the extension for a 402 of an origin."""
        found = self._last.get(origin) if kind == "again" else None
        if found is None:
            found = self._new("plain" if kind == "again" else kind, origin, target)
        if found.kind in SOUND:
            self._last[origin] = found
        found.calls.add(call)
        return found.declared()

    def _new(self, kind: str, origin: str, target: str) -> Challenge:
        info: _Info = {
            "domain": origin, "uri": f"http://{origin}{target.partition('?')[0]}", "version": "1",
            "nonce": secrets.token_hex(16),
        }  # fmt: skip
        info |= {"issuedAt": self._written(0), "expirationTime": self._written(300)}
        info |= _KINDS[kind](info)
        made = self._made[info["nonce"]] = Challenge(kind, origin, info, _CHAINS.get(kind, (NETWORK[2],)))
        return made

    def _written(self, later: float) -> str:
        return _text(self._clock.chain() + later)

    def signed(self, header: str, call: int, origin: str, signer: tuple[Hashable, int, bool]) -> Challenge:
        """Look at a header that signs in, and return its challenge.

        ``signer`` is the program that sends it, the wallet that it pays with, and True for one that is seen again
        because a library sent it again by itself.
        """
        said = json.loads(base64.b64decode(header, validate=True))
        program, wallet, resent = signer
        made = self._made.get(said["nonce"])
        if made is None or call not in made.calls or made.origin != origin:
            raise Broken(SIGNED, f"call {call} signs in at {origin} by a challenge that was not made for it: {said}")
        self._is_allowed(call, wallet, origin.partition(":")[0])
        self._is_sound(made, said, call)
        text = encode_defunct(text=_written_out(said))
        if Account.recover_message(text, signature=said["signature"]) != said["address"] != "":
            raise Broken(SIGNED, f"call {call} signs in by a signature that is not by {said['address']}")
        if said["address"] != WALLETS[wallet]:
            raise Broken(SIGNED, f"call {call} of wallet {wallet} signs in as {said['address']}")
        if (program, wallet) in made.signed_by and not resent:
            raise Broken(SIGNED, f"call {call} signs a challenge that its program signed before")
        made.signed_by.add((program, wallet))
        return made

    def _is_allowed(self, call: int, wallet: int, host: str) -> None:
        mode = self._setting.signs_in(host)
        before = any(one != call and (whose, where) == (wallet, host) for one, whose, where in self._asked)
        if mode == "never" or (mode == "paid" and not before and call not in self._alone):
            raise Broken(SIGNED, f"call {call} signs in at {host}, and the policy says {mode}")

    def _is_sound(self, made: Challenge, said: _Info, call: int) -> None:
        differing = [name for name in _FIELDS if said.get(name, "") != made.info.get(name, "")]
        differing += [] if said.get("resources", []) == made.info.get("resources", []) else ["resources"]
        if differing:
            raise Broken(SIGNED, f"call {call} signs another {', '.join(differing)} than was asked")
        if said["chainId"] not in made.chains or (self._setting.one_chain and said["chainId"] != NETWORK[2]):
            raise Broken(SIGNED, f"call {call} signs in on {said['chainId']}, asked was {made.chains}")
        if made.kind not in (*SOUND, *_TIMED, "chain"):
            raise Broken(SIGNED, f"call {call} signs a challenge with a bad {made.kind}: {made.info}")
        wall, info = self._clock.wall(), made.info
        issued, ends, begins = (_at(info.get(name)) for name in ("issuedAt", "expirationTime", "notBefore"))
        assert issued is not None
        late = wall - issued > 300 + _NEAR or (ends is not None and wall > ends + _NEAR)
        early = issued - wall > 60 + _NEAR or (begins is not None and begins - wall > 60 + _NEAR)
        if late or early:
            raise Broken(SIGNED, f"call {call} signs a challenge that is not of this time: {info}")


def _written_out(said: _Info) -> str:
    """Return the text of EIP-4361 that a header stands for."""
    lines = [f"{said['domain']} wants you to sign in with your Ethereum account:", said["address"], ""]
    lines += [said["statement"], ""] if said.get("statement") else [""]
    lines += [f"URI: {said['uri']}", "Version: 1", f"Chain ID: {said['chainId'].partition(':')[2]}"]
    lines += [f"Nonce: {said['nonce']}", f"Issued At: {said['issuedAt']}"]
    named = {"Expiration Time": "expirationTime", "Not Before": "notBefore", "Request ID": "requestId"}
    lines += [f"{name}: {said[place]}" for name, place in named.items() if said.get(place)]
    lines += ["Resources:", *(f"- {one}" for one in said["resources"])] if said.get("resources") else []
    return "\n".join(lines)


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _at(written: str | None) -> float | None:
    return None if written is None else datetime.fromisoformat(written).timestamp()


def _later(info: _Info, seconds: float) -> str:
    at = _at(info["issuedAt"])
    assert at is not None
    return _text(at + seconds)
