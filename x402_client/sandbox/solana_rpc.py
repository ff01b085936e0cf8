"""Answers of the Solana chain over JSON-RPC: the reads that a buyer makes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount
from solders.transaction import VersionedTransaction

from .jsonrpc import RpcError
from .solana import SolanaChain
from .solana_rules import TOKEN
from .solana_vm import FINAL_DEPTH, LIFETIME, SKIPPED, Landed, Machine, held

#: Devnet's genesis hash, because the network has devnet's name: readers refuse an endpoint of another network.
_GENESIS = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
_MOST_SIGNATURES = 1000
_DEPTHS = {"processed": 0, "confirmed": 0, "finalized": FINAL_DEPTH}


def methods(chain: SolanaChain) -> dict[str, Callable[..., Any]]:
    """Return the methods by name. Each runs on the machine's thread."""

    def run(work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *params: chain.on_machine(lambda machine: work(machine, *params))

    return {
        "getGenesisHash": lambda: _GENESIS,
        "getFirstAvailableBlock": lambda: 0,
        "getHealth": lambda: "ok",
        "getVersion": lambda: {"solana-core": "sandbox"},
        "getSlot": run(_bank),
        "getBlockHeight": run(lambda machine, options=None: _bank(machine, options) - SKIPPED),
        "getBlockTime": run(lambda machine, slot: machine.slots.time(int(slot))),
        "getLatestBlockhash": run(_latest_blockhash),
        "isBlockhashValid": run(_blockhash_valid),
        "getAccountInfo": run(_account_info),
        "getMultipleAccounts": run(_accounts),
        "getBalance": run(_lamports),
        "getTokenAccountBalance": run(_token_balance),
        "getSignaturesForAddress": run(_signatures),
        "getTransaction": run(_transaction),
        "simulateTransaction": run(_simulate),
    }


def _bank(machine: Machine, options: Any = None) -> int:
    """Return the newest slot at the caller's commitment. The default is ``finalized``."""
    options = options or {}
    bank = machine.slots.now() - _DEPTHS[options.get("commitment") or "finalized"]
    if bank < (options.get("minContextSlot") or 0):
        raise RpcError(-32016, "Minimum context slot has not been reached")
    return bank


def _with_context(bank: int, value: Any) -> dict[str, Any]:
    return {"context": {"slot": bank}, "value": value}


def _latest_blockhash(machine: Machine, options: Any = None) -> Any:
    bank = _bank(machine, options)
    found = {"blockhash": machine.slots.blockhash(bank), "lastValidBlockHeight": bank - SKIPPED + LIFETIME}
    return _with_context(bank, found)


def _blockhash_valid(machine: Machine, blockhash: str, options: Any = None) -> Any:
    bank = _bank(machine, options)
    return _with_context(bank, machine.slots.usable(blockhash, bank))


def _account_info(machine: Machine, address: str, options: Any = None) -> Any:
    return _with_context(_bank(machine, options), _view(machine.account(Pubkey.from_string(address))))


def _accounts(machine: Machine, addresses: list[str], options: Any = None) -> Any:
    views = [_view(machine.account(Pubkey.from_string(address))) for address in addresses]
    return _with_context(_bank(machine, options), views)


def _lamports(machine: Machine, address: str, options: Any = None) -> Any:
    account = machine.account(Pubkey.from_string(address))
    return _with_context(_bank(machine, options), account.lamports if account else 0)


def _token_balance(machine: Machine, address: str, options: Any = None) -> Any:
    units = held(machine.account(Pubkey.from_string(address)))
    if units is None:
        raise RpcError(-32602, "Invalid param: could not find account")
    return _with_context(_bank(machine, options), _amount(units))


def _view(account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    data: Any = [base64.b64encode(account.data).decode(), "base64"]
    parsed = _parsed(account)
    if parsed is not None:
        data = {"program": "spl-token", "parsed": parsed, "space": len(account.data)}
    return {"data": data, "executable": account.executable, "lamports": account.lamports, "owner": str(account.owner)}


def _parsed(account: Account) -> dict[str, Any] | None:
    if account.owner != TOKEN:
        return None
    if len(account.data) == 82:
        mint = Mint.from_bytes(account.data)
        return {"type": "mint", "info": {"decimals": mint.decimals, "supply": str(mint.supply)}}
    holding = TokenAccount.from_bytes(account.data)
    info = {"mint": str(holding.mint), "owner": str(holding.owner), "tokenAmount": _amount(holding.amount)}
    return {"type": "account", "info": info}


def _amount(units: int) -> dict[str, Any]:
    return {"amount": str(units), "decimals": 6}


def _signatures(machine: Machine, address: str, options: Any = None) -> list[dict[str, Any]]:
    options = options or {}
    bank = _bank(machine, options)
    limit = int(options.get("limit") or _MOST_SIGNATURES)
    found = [one for one in reversed(machine.by_account.get(Pubkey.from_string(address), [])) if one.slot <= bank]
    names = [one.signature for one in found]
    first = names.index(options["before"]) + 1 if options.get("before") in names else 0
    return [_listed(machine, one) for one in found[first:][:limit]]


def _listed(machine: Machine, landed: Landed) -> dict[str, Any]:
    memo = None if landed.memo is None else f"[{len(landed.memo.encode())}] {landed.memo}"
    at = machine.slots.time(landed.slot)
    return {"signature": landed.signature, "slot": landed.slot, "err": None, "memo": memo, "blockTime": at}


def _transaction(machine: Machine, signature: str, options: Any = None) -> dict[str, Any] | None:
    landed = machine.landed.get(signature)
    if landed is None or landed.slot > _bank(machine, options):
        return None
    message = landed.transaction.message
    signatures = [str(one) for one in landed.transaction.signatures]
    view = {"accountKeys": [str(key) for key in message.account_keys], "recentBlockhash": str(message.recent_blockhash)}
    return {
        "slot": landed.slot,
        "blockTime": machine.slots.time(landed.slot),
        "transaction": {"signatures": signatures, "message": view},
        "meta": {"err": None},
    }


def _simulate(machine: Machine, text: str, options: Any = None) -> Any:
    transaction = VersionedTransaction.from_bytes(base64.b64decode(text))
    verify = bool((options or {}).get("sigVerify"))
    return _with_context(_bank(machine, options), machine.simulate(transaction, verify=verify))
