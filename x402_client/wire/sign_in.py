"""Reads a challenge of sign-in-with-x, and writes the text that a wallet signs and the header that carries it.

The text is that of EIP-4361 on EVM chains, and the same lines for Solana. It is built of fields that were read and
checked here, never taken over as a whole. "newlines could fake fields": no field may hold one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import SigningError
from ..model.networks import EVM_FAMILY, family_of
from ..model.offers import SignIn, quoted
from ..model.sign_in import SIGN_IN, SIGNATURE_TYPES
from .bounds import Bounds
from .json_text import dump

HEADER = "SIGN-IN-WITH-X"
#: The most characters of each field, and entries of each list.
_URI, _DOMAIN, _STATEMENT, _LISTED, _CHAINS = 2_048, 255, 400, 10, 64
#: Visible ASCII: no blank, no line break, no letter that looks like another one.
_VISIBLE = r"(?a)[\x21-\x7e]+"
_NONCE = re.compile(r"[A-Za-z0-9]{8,128}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NETWORKS = r"(?a)eip155:[1-9][0-9]{0,17}|solana:[1-9A-HJ-NP-Za-km-z]{32}"
_ACCOUNT = {EVM_FAMILY: "Ethereum"}


def read_sign_in(extensions: Mapping[str, Any]) -> SignIn | None:
    """Return the challenge of a 402, or None if there is none. One that cannot be read has a ``reason`` alone."""
    declared = extensions.get(SIGN_IN)
    if declared is None:
        return None
    try:
        return _sign_in(declared)
    except ValueError as problem:
        return SignIn(reason=f"its challenge cannot be read: {problem}")


def _sign_in(declared: Any) -> SignIn:
    info = declared.get("info") if isinstance(declared, dict) else None
    if not isinstance(info, dict):
        raise ValueError("it has no info")
    if _text(info, "version", 8) != "1":
        raise ValueError(f"its version is {quoted(str(info['version']), 20)}, and only '1' is known")
    networks = tuple(dict.fromkeys(_networks(declared, info)))
    if not networks:
        raise ValueError("it names no chain whose accounts could sign in")
    return SignIn(
        domain=_visible(info, "domain", _DOMAIN),
        uri=_visible(info, "uri", _URI),
        nonce=_matching(info, "nonce", _NONCE),
        issued=_matching(info, "issuedAt", _TIME),
        expires=_matching(info, "expirationTime", _TIME) if _is_there(info, "expirationTime") else "",
        not_before=_matching(info, "notBefore", _TIME) if _is_there(info, "notBefore") else "",
        statement=_statement(info),
        request_id=_visible(info, "requestId", _STATEMENT) if _is_there(info, "requestId") else "",
        resources=_resources(info),
        networks=networks,
    )


def _is_there(info: Mapping[str, Any], name: str) -> bool:
    """Return True for an optional field that says something. Null and "" do not, in some servers' JSON."""
    return info.get(name) not in (None, "")


def _text(info: Mapping[str, Any], name: str, most: int) -> str:
    value = info.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"its {name} is missing or no text")
    if len(value) > most:
        raise ValueError(f"its {name} has {len(value)} characters, and {most} are signed at most")
    return value


def _visible(info: Mapping[str, Any], name: str, most: int) -> str:
    value = _text(info, name, most)
    if not re.fullmatch(_VISIBLE, value):
        raise ValueError(f"its {name} has blanks, line breaks or letters beyond ASCII")
    return value


def _matching(info: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = _text(info, name, 128)
    if not pattern.fullmatch(value):
        wanted = "8 or more letters and digits" if pattern is _NONCE else "a time like 2026-01-31T12:00:00Z"
        raise ValueError(f"its {name} is {quoted(value, 40)}, and not {wanted}")
    return value


def _statement(info: Mapping[str, Any]) -> str:
    if not _is_there(info, "statement"):
        return ""
    value = _text(info, "statement", _STATEMENT)
    if not value.isprintable():
        raise ValueError("its statement has line breaks or other characters that cannot be shown")
    return value


def _resources(info: Mapping[str, Any]) -> tuple[str, ...]:
    listed = info.get("resources") or []
    if not isinstance(listed, list) or len(listed) > _LISTED:
        raise ValueError(f"its resources are no list, or more than {_LISTED}")
    return tuple(_visible({"resource": one}, "resource", _URI) for one in listed)


def _networks(declared: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[str]:
    """Give the chains that it takes. Drafts of the extension have a single one, in ``info``."""
    listed = declared.get("supportedChains")
    for entry in listed[:_CHAINS] if isinstance(listed, list) else [info]:
        network = entry.get("chainId") if isinstance(entry, dict) else None
        if isinstance(network, str) and re.fullmatch(_NETWORKS, network):
            kind = SIGNATURE_TYPES[family_of(network)]
            if entry.get("type", kind) == kind:
                yield network


def sign_in_text(challenge: SignIn, network: str, address: str) -> str:
    """Return the text to sign with this account.

    EIP-4361 leaves two empty lines where there is no statement. Solana's text leaves one.
    """
    family, _, reference = network.partition(":")
    account = _ACCOUNT.get(family, "Solana")
    lines = [f"{challenge.domain} wants you to sign in with your {account} account:", address, ""]
    if challenge.statement:
        lines += [challenge.statement, ""]
    elif family == EVM_FAMILY:
        lines.append("")
    lines += [
        f"URI: {challenge.uri}",
        "Version: 1",
        f"Chain ID: {reference}",
        f"Nonce: {challenge.nonce}",
        f"Issued At: {challenge.issued}",
    ]
    named = {
        "Expiration Time": challenge.expires,
        "Not Before": challenge.not_before,
        "Request ID": challenge.request_id,
    }
    lines += [f"{name}: {value}" for name, value in named.items() if value]
    if challenge.resources:
        lines += ["Resources:", *(f"- {one}" for one in challenge.resources)]
    return "\n".join(lines)


def sign_in_header(challenge: SignIn, network: str, address: str, signature: str, bounds: Bounds) -> tuple[str, str]:
    """Return name and value of the header that signs in."""
    said: dict[str, Any] = {
        "domain": challenge.domain,
        "address": address,
        "statement": challenge.statement,
        "uri": challenge.uri,
        "version": "1",
        "chainId": network,
        "type": SIGNATURE_TYPES[family_of(network)],
        "nonce": challenge.nonce,
        "issuedAt": challenge.issued,
        "expirationTime": challenge.expires,
        "notBefore": challenge.not_before,
        "requestId": challenge.request_id,
        "resources": list(challenge.resources),
        "signature": signature,
    }
    value = base64.b64encode(dump({name: one for name, one in said.items() if one}).encode()).decode()
    if len(value) > bounds.payment_header:
        size, value, signature = len(value), "", ""  # tools that print variables must find no signature
        said.clear()
        raise SigningError(
            f"The sign-in makes a header of {size} characters; {bounds.payment_header} are sent at most. Nothing was "
            "sent."
        )
    return HEADER, value
