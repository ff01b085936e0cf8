"""Accounts and transactions as a Solana node shows them in JSON."""

from __future__ import annotations

import base64
from typing import Any

import base58
import svm_tokens
from solders.account import Account
from solders.pubkey import Pubkey
from svm_ledger import Landed
from svm_tokens import Held

MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
DECIMALS = 6  # of every token on this chain
RENT_EPOCH = 2**64 - 1


def amount(units: int, decimals: int = DECIMALS) -> dict[str, Any]:
    whole, rest = divmod(units, 10**decimals)
    text = f"{whole}.{rest:0{decimals}d}".rstrip("0").rstrip(".")
    return {"amount": str(units), "decimals": decimals, "uiAmount": units / 10**decimals, "uiAmountString": text}


# --- accounts


def account(one: Account | None, options: dict[str, Any]) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "data": _account_data(one, options),
        "executable": one.executable,
        "lamports": one.lamports,
        "owner": str(one.owner),
        "rentEpoch": RENT_EPOCH,
        "space": len(one.data),
    }


def _account_data(one: Account, options: dict[str, Any]) -> Any:
    encoding = options.get("encoding") or "base64"
    if encoding == "jsonParsed" and (parsed := _parsed_account(one)):
        return {"program": svm_tokens.PROGRAM_NAMES[one.owner], "parsed": parsed, "space": len(one.data)}
    data = one.data
    if part := options.get("dataSlice"):
        data = data[part["offset"] : part["offset"] + part["length"]]
    return encoded(data, "base64" if encoding == "jsonParsed" else encoding)


def encoded(data: bytes, encoding: str) -> list[str]:
    if encoding == "base64":
        return [base64.b64encode(data).decode(), "base64"]
    if encoding == "base58":
        return [base58.b58encode(data).decode(), "base58"]
    raise ValueError(f"unsupported encoding {encoding}")


def _parsed_account(one: Account) -> dict[str, Any] | None:
    if held := svm_tokens.read_holding(one):
        info = {"isNative": False, "mint": str(held.mint), "owner": str(held.owner), "state": "initialized"}
        return {"type": "account", "info": info | {"tokenAmount": amount(held.amount)}}
    if mint := svm_tokens.read_mint(one):
        authority = {"mintAuthority": str(mint.mint_authority), "freezeAuthority": None}
        info = {"decimals": mint.decimals, "isInitialized": True, "supply": str(mint.supply)}
        return {"type": "mint", "info": info | authority}
    return None


# --- transactions


def transaction(landed: Landed, encoding: str, block_time: int) -> dict[str, Any]:
    return {
        "slot": landed.slot,
        "blockTime": block_time,
        "transactionIndex": 0,
        "version": version(landed),
        "transaction": _transaction(landed, encoding),
        "meta": _meta(landed, encoding),
    }


def version(landed: Landed) -> Any:
    return 0 if hasattr(landed.transaction.message, "address_table_lookups") else "legacy"


def _transaction(landed: Landed, encoding: str) -> Any:
    if encoding in ("base64", "base58"):
        return encoded(bytes(landed.transaction), encoding)
    if encoding not in ("json", "jsonParsed"):
        raise ValueError(f"unsupported encoding {encoding}")
    message = landed.transaction.message
    parsed = encoding == "jsonParsed"
    view: dict[str, Any] = {
        "accountKeys": _keys(landed, parsed),
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [_instruction(landed, one, parsed) for one in message.instructions],
    }
    if not parsed:
        header = message.header
        view["header"] = {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        }
    if version(landed) == 0:
        view["addressTableLookups"] = []
    return {"signatures": [str(one) for one in landed.transaction.signatures], "message": view}


def _keys(landed: Landed, parsed: bool) -> list[Any]:
    if not parsed:
        return [str(key) for key in landed.keys]
    message = landed.transaction.message
    return [
        {
            "pubkey": str(key),
            "signer": message.is_signer(index),
            "writable": _writable(message, index),
            "source": "transaction",
        }
        for index, key in enumerate(landed.keys)
    ]


def _writable(message: Any, index: int) -> bool:
    header = message.header
    signers = header.num_required_signatures
    if index < signers:
        return bool(index < signers - header.num_readonly_signed_accounts)
    return bool(index < len(message.account_keys) - header.num_readonly_unsigned_accounts)


def _instruction(landed: Landed, one: Any, parsed: bool) -> dict[str, Any]:
    program, data = landed.keys[one.program_id_index], bytes(one.data)
    accounts = list(bytes(one.accounts))
    if parsed and program == MEMO:
        text = data.decode(errors="replace")
        return {"program": "spl-memo", "programId": str(program), "parsed": text, "stackHeight": 1}
    if parsed and (transfer := _parsed_transfer(landed, program, accounts, data)):
        name = svm_tokens.PROGRAM_NAMES[program]
        return {"program": name, "programId": str(program), "parsed": transfer, "stackHeight": 1}
    raw = {"data": base58.b58encode(data).decode(), "stackHeight": 1}
    if parsed:
        return raw | {"programId": str(program), "accounts": [str(landed.keys[index]) for index in accounts]}
    return raw | {"programIdIndex": one.program_id_index, "accounts": accounts}


def _parsed_transfer(landed: Landed, program: Pubkey, accounts: list[int], data: bytes) -> dict[str, Any] | None:
    if program not in svm_tokens.PROGRAM_NAMES or data[:1] != b"\x0c" or len(accounts) < 4:
        return None
    names = ("source", "mint", "destination", "authority")
    info: dict[str, Any] = {name: str(landed.keys[index]) for name, index in zip(names, accounts, strict=False)}
    info["tokenAmount"] = amount(int.from_bytes(data[1:9], "little"), data[9])
    return {"type": "transferChecked", "info": info}


def _meta(landed: Landed, encoding: str) -> dict[str, Any]:
    outcome, err = landed.outcome, landed.outcome.err
    meta: dict[str, Any] = {
        "err": err,
        "status": {"Ok": None} if err is None else {"Err": err},
        "fee": landed.fee,
        "preBalances": list(landed.before.lamports),
        "postBalances": list(landed.after.lamports),
        "preTokenBalances": _token_balances(landed.before.tokens),
        "postTokenBalances": _token_balances(landed.after.tokens),
        "innerInstructions": [],
        "logMessages": list(outcome.logs),
        "computeUnitsConsumed": outcome.units,
        "rewards": [],
    }
    return meta if encoding == "jsonParsed" else meta | {"loadedAddresses": {"readonly": [], "writable": []}}


def _token_balances(tokens: tuple[Held | None, ...]) -> list[dict[str, Any]]:
    return [
        {
            "accountIndex": index,
            "mint": str(held.mint),
            "owner": str(held.owner),
            "programId": str(held.program),
            "uiTokenAmount": amount(held.amount),
        }
        for index, held in enumerate(tokens)
        if held
    ]


def memo(landed: Landed) -> str | None:
    """As getSignaturesForAddress shows it: with its length before it."""
    found = [
        bytes(one.data) for one in landed.transaction.message.instructions if landed.keys[one.program_id_index] == MEMO
    ]
    return "; ".join(f"[{len(data)}] {data.decode(errors='replace')}" for data in found) or None


def transfers(landed: Landed) -> list[dict[str, Any]]:
    """The token transfers that this transaction made: none if it failed."""
    if landed.outcome.err:
        return []
    found = []
    for one in landed.transaction.message.instructions:
        program, data, accounts = landed.keys[one.program_id_index], bytes(one.data), list(bytes(one.accounts))
        if program not in svm_tokens.PROGRAM_NAMES or data[:1] not in (b"\x03", b"\x0c"):
            continue
        source = landed.before.tokens[accounts[0]]
        target = landed.after.tokens[accounts[2 if data[0] == 12 else 1]]
        assert source is not None
        assert target is not None
        purses = {"sender": str(source.owner), "to": str(target.owner), "mint": str(source.mint)}
        where = {"signature": landed.signature, "slot": landed.slot}
        found.append(purses | where | {"amount": int.from_bytes(data[1:9], "little")})
    return found
