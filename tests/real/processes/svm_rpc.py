"""The node's JSON-RPC methods over svm_ledger.Ledger, answering and failing the way Agave does."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from typing import Any

import base58
import jsonrpc
import svm_tokens
import svm_views as views
from jsonrpc import RpcError
from solders.message import from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from svm_ledger import NEVER, SIGNATURE_FEE, Landed, Ledger, NotIncluded, Outcome, priority_fee_of, verified
from svm_slots import FINAL_DEPTH, LIFETIME, height

GENESIS = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"  # devnet's
EPOCH_SLOTS = 432_000
VERSION = "2.3.0"
MOST_SIGNATURES = 1000
PACKET = 1232  # bytes of a whole transaction


class Node:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.confirm_depth = 0
        self._lag = 0
        self._methods: dict[str, Callable[..., Any]] = {
            "getSlot": lambda options=None: self._bank(options),
            "getBlockHeight": lambda options=None: height(self._bank(options)),
            "getLatestBlockhash": self.latest_blockhash,
            "isBlockhashValid": self.is_blockhash_valid,
            "getAccountInfo": self.account_info,
            "getMultipleAccounts": self.multiple_accounts,
            "getBalance": self.balance,
            "getTokenAccountBalance": self.token_account_balance,
            "getTokenSupply": self.token_supply,
            "getTokenAccountsByOwner": self.token_accounts,
            "getSignatureStatuses": self.statuses,
            "getSignaturesForAddress": self.signatures,
            "getTransaction": self.transaction,
            "simulateTransaction": self.simulate,
            "sendTransaction": self.send,
            "getFeeForMessage": self.fee_for_message,
            "getMinimumBalanceForRentExemption": lambda size, options=None: ledger.rent(int(size)),
            "getRecentPrioritizationFees": self.prioritization_fees,
            "getGenesisHash": lambda: GENESIS,
            "getFirstAvailableBlock": lambda: 0,
            "getVersion": lambda: {"solana-core": VERSION, "feature-set": 1},
            "getHealth": self.health,
            "getEpochInfo": self.epoch_info,
            "getBlockTime": lambda slot: ledger.slots.time(int(slot)),
            "test_placeMint": lambda at, program, decimals: ledger.place_mint(_key(at), _key(program), int(decimals)),
            "test_mintTo": lambda owner, amount, mint: str(ledger.mint_to(_key(owner), int(amount), _key(mint))),
            "test_fund": lambda address, lamports: ledger.fund(_key(address), int(lamports)),
            "test_jump": lambda slots: ledger.slots.jump(int(slots)),
            "test_confirmAfter": self.confirm_after,
            "test_holdSends": self.hold_sends,
            "test_failSends": self.fail_sends,
            "test_transfers": self.transfers,
        }

    def answer(self, request: Any, lag: int = 0) -> Any:
        """`lag`: how many slots this caller's node is behind."""
        self._lag = lag
        self.ledger.catch_up()
        return jsonrpc.answer(request, self._run)

    def _run(self, name: str, params: Any) -> Any:
        method = self._methods.get(name)
        if method is None:
            raise RpcError(-32601, "Method not found")
        try:
            return method(*params)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise RpcError(-32602, f"Invalid params: {error}") from error

    # --- which bank answers

    def _bank(self, options: Any = None, key: str = "commitment", *, least: str = "processed") -> int:
        """The newest slot at that commitment: `finalized`, unless the caller says otherwise."""
        options = options or {}
        commitment = options.get(key) or "finalized"
        depths = {"processed": 0, "confirmed": self.confirm_depth, "finalized": FINAL_DEPTH}
        if commitment not in depths:
            raise ValueError(f"unknown commitment {commitment}")
        if least == "confirmed" and commitment == "processed":
            raise RpcError(-32602, "Method does not support commitment below `confirmed`")
        bank = self.ledger.slots.now() - self._lag - depths[commitment]
        if bank < (options.get("minContextSlot") or 0):
            raise RpcError(-32016, "Minimum context slot has not been reached", {"contextSlot": bank})
        return bank

    @staticmethod
    def _with_context(bank: int, value: Any) -> dict[str, Any]:
        return {"context": {"apiVersion": VERSION, "slot": bank}, "value": value}

    # --- blockhashes

    def latest_blockhash(self, options: Any = None) -> Any:
        bank = self._bank(options)
        return self._with_context(bank, self._blockhash(bank))

    def _blockhash(self, bank: int) -> dict[str, Any]:
        return {"blockhash": self.ledger.slots.blockhash(bank), "lastValidBlockHeight": height(bank) + LIFETIME}

    def is_blockhash_valid(self, blockhash: str, options: Any = None) -> Any:
        bank = self._bank(options)
        return self._with_context(bank, self.ledger.slots.usable(blockhash, bank))

    # --- accounts

    def account_info(self, address: str, options: Any = None) -> Any:
        bank = self._bank(options)
        return self._with_context(bank, self._account(address, bank, options))

    def multiple_accounts(self, addresses: list[str], options: Any = None) -> Any:
        bank = self._bank(options)
        return self._with_context(bank, [self._account(address, bank, options) for address in addresses])

    def _account(self, address: str, bank: int, options: Any) -> Any:
        return views.account(self.ledger.account(_key(address), bank), options or {})

    def balance(self, address: str, options: Any = None) -> Any:
        bank = self._bank(options)
        account = self.ledger.account(_key(address), bank)
        return self._with_context(bank, account.lamports if account else 0)

    def token_account_balance(self, address: str, options: Any = None) -> Any:
        bank = self._bank(options)
        held = svm_tokens.read_holding(self.ledger.account(_key(address), bank))
        if held is None:
            raise RpcError(-32602, "Invalid param: could not find account")
        return self._with_context(bank, views.amount(held.amount))

    def token_supply(self, address: str, options: Any = None) -> Any:
        bank = self._bank(options)
        mint = svm_tokens.read_mint(self.ledger.account(_key(address), bank))
        if mint is None:
            raise RpcError(-32602, "Invalid param: not a Token mint")
        return self._with_context(bank, views.amount(mint.supply, mint.decimals))

    def token_accounts(self, owner: str, wanted: dict[str, str], options: Any = None) -> Any:
        bank, found = self._bank(options), []
        for address in self.ledger.token_accounts:
            account = self.ledger.account(address, bank)
            held = svm_tokens.read_holding(account)
            if held is None or held.owner != _key(owner):
                continue
            if wanted.get("mint", str(held.mint)) == str(held.mint) and wanted.get("programId") in (
                None,
                str(held.program),
            ):
                found.append({"pubkey": str(address), "account": views.account(account, options or {})})
        return self._with_context(bank, found)

    # --- what happened

    def _level(self, slot: int) -> str:
        age = self.ledger.slots.now() - self._lag - slot
        if age >= FINAL_DEPTH:
            return "finalized"
        return "confirmed" if age >= self.confirm_depth else "processed"

    def statuses(self, signatures: list[str], options: Any = None) -> Any:
        bank = self._bank({"commitment": "processed"})
        oldest = 0 if (options or {}).get("searchTransactionHistory") else bank - LIFETIME
        return self._with_context(bank, [self._status(one, oldest, bank) for one in signatures])

    def _status(self, signature: str, oldest: int, bank: int) -> Any:
        landed = self.ledger.by_signature.get(str(Signature.from_string(signature)))
        if landed is None or not oldest <= landed.slot <= bank:
            return None
        level, err = self._level(landed.slot), landed.outcome.err
        return {
            "slot": landed.slot,
            "confirmations": None if level == "finalized" else bank - landed.slot,
            "err": err,
            "status": {"Ok": None} if err is None else {"Err": err},
            "confirmationStatus": level,
        }

    def signatures(self, address: str, options: Any = None) -> Any:
        options = options or {}
        bank = self._bank(options, least="confirmed")
        limit = options.get("limit") or MOST_SIGNATURES
        if not 0 < limit <= MOST_SIGNATURES:
            raise RpcError(-32602, f"Invalid limit; max {MOST_SIGNATURES}")
        found = [one for one in reversed(self.ledger.addresses.get(_key(address), [])) if one.slot <= bank]
        names = [one.signature for one in found]
        first = names.index(options["before"]) + 1 if options.get("before") in names else 0
        last = names.index(options["until"]) if options.get("until") in names else len(found)
        return [self._listed(one) for one in found[first:last][:limit]]

    def _listed(self, landed: Landed) -> dict[str, Any]:
        return {
            "signature": landed.signature,
            "slot": landed.slot,
            "err": landed.outcome.err,
            "memo": views.memo(landed),
            "blockTime": self.ledger.slots.time(landed.slot),
            "confirmationStatus": self._level(landed.slot),
        }

    def transaction(self, signature: str, options: Any = None) -> Any:
        options = {"encoding": options} if isinstance(options, str) else options or {}
        bank = self._bank(options, least="confirmed")
        landed = self.ledger.by_signature.get(signature)
        if landed is None or landed.slot > bank:
            return None
        if views.version(landed) == 0 and options.get("maxSupportedTransactionVersion") is None:
            raise RpcError(
                -32015,
                "Transaction version (0) is not supported by the requesting client. Please try the request again with "
                'the following configuration parameter: "maxSupportedTransactionVersion": 0',
            )
        return views.transaction(landed, options.get("encoding") or "json", self.ledger.slots.time(landed.slot))

    # --- transactions

    def simulate(self, text: str, options: Any = None) -> Any:
        options = options or {}
        bank, verify, replace = self._bank(options), options.get("sigVerify"), options.get("replaceRecentBlockhash")
        if verify and replace:
            raise RpcError(-32602, "sigVerify may not be used with replaceRecentBlockhash")
        transaction = _transaction(text, options.get("encoding") or "base58")
        if verify and not verified(transaction):
            raise RpcError(-32003, "Transaction signature verification failure")
        outcome, accounts = self._try(transaction, bank, verify=bool(verify), any_blockhash=bool(replace))
        value = _simulated(outcome)
        if wanted := options.get("accounts"):
            value["accounts"] = [self._after(address, accounts, wanted) for address in wanted["addresses"]]
        if replace:
            value["replacementBlockhash"] = self._blockhash(bank)
        return self._with_context(bank, value)

    def _try(
        self, transaction: VersionedTransaction, bank: int, *, verify: bool, any_blockhash: bool = False
    ) -> tuple[Outcome, dict[Pubkey, Any]]:
        try:
            self.ledger.check(transaction, bank, any_blockhash=any_blockhash)
        except NotIncluded as error:
            return Outcome(error.err, (), 0), {}
        return self.ledger.simulate(transaction, verify=verify)

    def _after(self, address: str, accounts: dict[Pubkey, Any], options: Any) -> Any:
        return views.account(accounts.get(_key(address)) or self.ledger.account(_key(address)), options)

    def send(self, text: str, options: Any = None) -> str:
        options = options or {}
        transaction = _transaction(text, options.get("encoding") or "base58")
        if not options.get("skipPreflight"):
            self._preflight(transaction, self._bank(options, "preflightCommitment"))
        # Without a preflight the node passes on all that it is given, and answers nothing more.
        with contextlib.suppress(NotIncluded):
            self.ledger.submit(transaction)
        return str(transaction.signatures[0])

    def _preflight(self, transaction: VersionedTransaction, bank: int) -> None:
        if not verified(transaction):
            raise RpcError(-32003, "Transaction signature verification failure")
        outcome, _ = self._try(transaction, bank, verify=True)
        if outcome.err is not None:
            message = f"Transaction simulation failed: {_said(outcome.err)}"
            raise RpcError(-32002, message, _simulated(outcome))

    def fee_for_message(self, text: str, options: Any = None) -> Any:
        bank = self._bank(options)
        message = from_bytes_versioned(base64.b64decode(text))
        if not self.ledger.slots.usable(str(message.recent_blockhash), bank):
            return self._with_context(bank, None)
        fee = SIGNATURE_FEE * message.header.num_required_signatures + priority_fee_of(message)
        return self._with_context(bank, fee)

    def prioritization_fees(self, addresses: Any = ()) -> Any:
        bank = self._bank({"commitment": "processed"})
        return [{"slot": slot, "prioritizationFee": 0} for slot in range(bank - LIFETIME + 1, bank + 1)]

    # --- the node

    def health(self) -> str:
        if self._lag > LIFETIME:
            raise RpcError(-32005, f"Node is behind by {self._lag} slots", {"numSlotsBehind": self._lag})
        return "ok"

    def epoch_info(self, options: Any = None) -> Any:
        bank = self._bank(options)
        return {
            "absoluteSlot": bank,
            "blockHeight": height(bank),
            "epoch": bank // EPOCH_SLOTS,
            "slotIndex": bank % EPOCH_SLOTS,
            "slotsInEpoch": EPOCH_SLOTS,
            "transactionCount": len(self.ledger.landed),
        }

    # --- a test's orders

    def confirm_after(self, slots: int) -> None:
        self.confirm_depth = int(slots)

    def hold_sends(self, count: int, slots: int | None = None) -> None:
        self.ledger.hold_next = [NEVER if slots is None else slots] * count

    def fail_sends(self, count: int) -> None:
        self.ledger.fail_next = count

    def transfers(self, since: int) -> Any:
        return [view for landed in self.ledger.landed if landed.slot >= since for view in views.transfers(landed)]


def _simulated(outcome: Outcome) -> dict[str, Any]:
    return {
        "err": outcome.err,
        "logs": list(outcome.logs),
        "accounts": None,
        "unitsConsumed": outcome.units,
        "returnData": None,
        "innerInstructions": None,
        "loadedAccountsDataSize": 0,
    }


def _said(err: Any) -> str:
    known = {
        "BlockhashNotFound": "Blockhash not found",
        "AlreadyProcessed": "This transaction has already been processed",
        "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
        "InsufficientFundsForFee": "Insufficient funds for fee",
    }
    if isinstance(err, dict) and "InstructionError" in err:
        index, why = err["InstructionError"]
        text = f"custom program error: {why['Custom']:#x}" if isinstance(why, dict) and "Custom" in why else str(why)
        return f"Error processing Instruction {index}: {text}"
    return known.get(err, str(err)) if isinstance(err, str) else str(err)


def _transaction(text: str, encoding: str) -> VersionedTransaction:
    if encoding not in ("base64", "base58"):
        raise ValueError(f"unsupported encoding {encoding}")
    raw = base64.b64decode(text, validate=True) if encoding == "base64" else base58.b58decode(text)
    if len(raw) > PACKET:
        raise ValueError(f"decoded solana_transaction::versioned::VersionedTransaction too large: {len(raw)} bytes")
    transaction = VersionedTransaction.from_bytes(raw)
    transaction.sanitize()
    return transaction


def _key(text: str) -> Pubkey:
    return Pubkey.from_string(text)
