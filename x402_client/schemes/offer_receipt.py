"""``offer-receipt``: checks who signed a seller's offers and receipts. It fetches nothing that no policy lists.

What a signature proves: its signer said so. That the signer is the seller is proven where the account that is paid
signed, or a key that the user trusts. It never proves that money moved: only the chain does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..chains.evm import keccak, recover
from ..core.asks import Ask, Fetch
from ..model.counts import counted
from ..model.holds import payer_name
from ..model.offers import term, words
from ..model.statements import Statement

if TYPE_CHECKING:
    from .did_web import DidDocuments
    from .seller_keys import SellerKey

_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId)"
_OFFER = (
    "Offer(uint256 version,string resourceUrl,string scheme,string network,string asset,string payTo,string amount,"
    "uint256 validUntil)"
)
_RECEIPT = "Receipt(uint256 version,string network,string resourceUrl,string payer,uint256 issuedAt,string transaction)"
_Check = Generator[Ask[Any], Any, Statement]


class OfferReceipts:
    """The checks of signed statements for one buyer. ``trusted`` are the keys of ``Policy(seller_keys=...)``."""

    def __init__(self, trusted: Iterable[str], documents: DidDocuments | None = None) -> None:
        self._trusted = frozenset(payer_name(key) for key in trusted)
        self._documents = documents

    def checked(self, statement: Statement, pay_to: str) -> _Check:
        """Return a statement with who signed it, where ``pay_to`` is the account that is paid."""
        try:
            if statement.format == "eip712":
                return self._by_address(statement, pay_to)
            return (yield from self._by_jws(statement, pay_to))
        except Exception as failure:  # the libraries of curves have errors of their own, and no answer is lost by them
            why = str(failure) if isinstance(failure, ValueError) else type(failure).__name__
            return statement.judged("unchecked", "", f"its signature was not checked: {words(why, 200)}")

    def _by_address(self, statement: Statement, pay_to: str) -> Statement:
        signature = bytes.fromhex(statement.signature[2:])
        if len(signature) != 65:
            raise ValueError(f"it has {counted(len(signature), 'byte')}, and only those of 65 are known here")
        if signature[64] < 27:  # some libraries write 0 and 1
            signature = signature[:64] + bytes([signature[64] + 27])
        signer = recover(typed_digest(statement.payload), signature)
        if signer is None:
            return statement.judged("forged", "")
        name = payer_name(signer)
        if name == payer_name(pay_to):
            return statement.judged("payee", signer)
        return statement.judged("trusted" if name in self._trusted else "stranger", signer)

    def _by_jws(self, statement: Statement, pay_to: str) -> _Check:
        # Few sellers sign so, and a buyer is built in each program.
        from ..wire.statements import jws_parts
        from .seller_keys import ALGORITHMS, fits

        header, _, signed, signature = jws_parts(statement.signature)
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(kid, str) or "crit" in header:
            raise ValueError("its header names no kid, or something that has to be understood and is not")
        if algorithm not in ALGORITHMS:
            raise ValueError(f"its algorithm {term(str(algorithm), 20)} is none of {', '.join(ALGORITHMS)}")
        key = yield from self._key(kid)
        signer = payer_name(kid.partition("#")[0])
        if key.curve != ALGORITHMS[str(algorithm)] or not fits(key, signed, signature):
            return statement.judged("forged", signer)
        account = payer_name(key.account)
        if account and account == payer_name(pay_to):
            return statement.judged("payee", signer)
        return statement.judged("trusted" if {signer, account} & self._trusted else "stranger", signer)

    def _key(self, kid: str) -> Generator[Ask[Any], Any, SellerKey]:
        from .seller_keys import key_of_did

        did = kid.partition("#")[0]
        if not did.startswith("did:web:"):
            return key_of_did(kid)
        if did not in self._trusted:
            raise ValueError(
                f"the document of {term(did, 100)} is fetched only where Policy(seller_keys=[...]) lists that name"
            )
        found = yield from Fetch(lambda: _tried(self._known_documents(), kid))
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def _known_documents(self) -> DidDocuments:
        from .did_web import DidDocuments

        if self._documents is None:
            self._documents = DidDocuments()
        return self._documents


def _tried(documents: DidDocuments, kid: str) -> SellerKey | str:
    try:
        return documents.key(kid)
    except ValueError as problem:
        return str(problem)


def typed_digest(payload: Mapping[str, Any]) -> bytes:
    """Return the EIP-712 digest of an offer or a receipt. Its domain names no contract, and chain 1 on all chains."""
    is_offer = "payTo" in payload
    declaration, title = (_OFFER, "x402 offer") if is_offer else (_RECEIPT, "x402 receipt")
    names = [part.split(" ")[1] for part in declaration[declaration.index("(") + 1 : -1].split(",")]
    packed = b"".join([keccak(declaration.encode()), *(_word(payload[name]) for name in names)])
    return keccak(b"\x19\x01" + _separator(title) + keccak(packed))


def _word(value: int | str) -> bytes:
    return value.to_bytes(32) if isinstance(value, int) else keccak(value.encode())


@lru_cache(maxsize=2)
def _separator(title: str) -> bytes:
    parts = (keccak(_DOMAIN.encode()), keccak(title.encode()), keccak(b"1"), (1).to_bytes(32))
    return keccak(b"".join(parts))
