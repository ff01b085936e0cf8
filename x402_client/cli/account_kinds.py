"""Says what kind of account pays on an EVM network: a key's own, one that is delegated to code, or a contract."""

from __future__ import annotations

from ..buyer.answers import Answers
from ..buyer.buyer import Buyer
from ..chains.contract_accounts import delegate_of
from ..core import run
from ..core.delivery import NO_COURIER
from ..model.networks import EVM_FAMILY
from ..schemes.evm_payer import Account, EvmPayer
from ..signers.contract import ContractSigner


def account_kind(buyer: Buyer, network: str) -> tuple[str, bool]:
    """Return what kind of account pays on a network, and False if it cannot pay as it is. Nothing is paid.

    If the account is delegated to code, its key signs a message that pays nothing, and the chain is asked about it.
    """
    signer = buyer.wallet.signer(EVM_FAMILY)
    assert signer is not None
    payer = EvmPayer(signer.address, signer, buyer.endpoints)
    found = run(payer.look(network), Answers(buyer.services, NO_COURIER))
    if isinstance(signer, ContractSigner):
        return _contract(found, signer.deploy is not None)
    return _key(found)


def _contract(found: Account | None, is_made: bool) -> tuple[str, bool]:
    if found is None:
        return "a contract; the chain did not say if it is there", True
    if found.code:
        return "a contract, which is there", True
    if is_made:
        return (
            "a contract that is not there yet; its first payment makes it (ERC-6492), if the seller supports that",
            True,
        )
    return "a contract that is not there: deploy it on this network first", False


def _key(found: Account | None) -> tuple[str, bool]:
    if found is None:
        return "a key's; the chain did not say if it is delegated to code", True
    if not found.code:
        return "a key's own; no code is there", True
    delegate = delegate_of(found.code)
    code = f"delegated to {delegate} (EIP-7702)" if delegate else "with code"
    if found.takes_key is False:
        return f"a key's, {code}, which refuses the key's signatures: pay from another account, or end it", False
    verdict = "takes the key's signatures" if found.takes_key else "was not heard about the key's signatures"
    return f"a key's, {code}, which {verdict}", True
