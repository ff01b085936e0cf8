"""A world to pay in: a chain, a facilitator and sellers, each a process, started when first asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount
from solders.keypair import Keypair

from tests.soak.matrix import npm

from .chain import CHAIN_ID, USDC, Chain
from .environments import environment
from .programs import Program
from .solana import (
    DECIMALS,
    PYUSD_DEVNET,
    SLOT_SECONDS,
    SOLANA_NETWORK,
    SOLANA_NETWORK_V1,
    TOKEN_PROGRAMS,
    USDC_DEVNET,
    SolanaChain,
)

NETWORK = f"eip155:{CHAIN_ID}"
NETWORK_V1 = "base-sepolia"
USDC_TOKEN = {"address": USDC, "name": "USDC", "version": "2", "decimals": 6}
STRANGE_TOKEN = {
    "address": "0x5742A46e00000000000000000000000000000018",
    "name": "Strange Dollar",
    "version": "1",
    "decimals": 18,
}
#: Of contract wallets that the facilitator deploys: a Safe's, and that of ``token/SmartAccounts.sol``.
SAFE_FACTORY = "0x4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67"
ACCOUNT_FACTORY = "0x4337000000000000000000000000000000004337"
FACTORIES = (SAFE_FACTORY, ACCOUNT_FACTORY)
SELLERS: dict[str, tuple[str, ...]] = {
    "fastapi-v2": ("v2", "seller_fastapi.py"),
    "flask-v2": ("v2", "seller_flask.py"),
    "fastapi-v1": ("v1", "seller_v1.py", "fastapi"),
    "flask-v1": ("v1", "seller_v1.py", "flask"),
}
SOLANA_SELLERS: dict[str, tuple[str, ...]] = {
    "svm-v2": ("v2", "seller_svm.py"),
    "svm-v1": ("v2", "seller_svm_v1.py"),
    "svm-v1-caip2": ("v2", "seller_svm_v1.py"),
    "svm-v2-own-fees": ("v2", "seller_svm.py"),
    "svm-v1-own-fees": ("v2", "seller_svm_v1.py"),
}
#: Those that pay the chain's fees themselves: the money goes to the account that signs as the fee payer.
OWN_FEES = {"svm-v2-own-fees", "svm-v1-own-fees"}
SOLANA_V1 = {
    "svm-v1",
    "svm-v1-caip2",
    "svm-v1-own-fees",
}  # these stand on Solana alone: "svm-v2" has an offer on the EVM chain too
#: With the extension sign-in-with-x; it has GET /poem, and GET /evm and /solana without a price.
SIGN_IN_SELLERS: dict[str, tuple[str, ...]] = {"sign-in": ("sign-in", "seller_sign_in.py")}
#: In TypeScript, with the facilitator in TypeScript: the network, and the script.
TYPESCRIPT_SELLERS = {
    "express-v2": (NETWORK, "express.mjs"),
    "express-sign-in": (NETWORK, "sign_in.mjs"),
    "express-sign-in-solana": (SOLANA_NETWORK, "sign_in.mjs"),
}
EVM_GROUND = ("chain.py", "facilitator.py")
SOLANA_GROUND = ("svm_chain.py", "facilitator_svm.py")
ALL_SELLERS = SELLERS | SOLANA_SELLERS | SIGN_IN_SELLERS
CEILING = 50_000  # of GET /upto?charge=..., which takes that many units of it
PRICES = {"GET": 10_000, "POST": 20_000}
SELLERS_MEMO = "order 7 of the caf\u00e9"
PATIENCE_SECONDS = 3  # of the Solana facilitator, for a transaction to be confirmed


@dataclass(frozen=True)
class Seller:
    """GET /paid, POST /paid, GET /stream (256 KiB), GET /free; on EVM chains version 2 has /choice too (three offers).
    Those in TypeScript have neither of the latter three.
    Version 2 has GET /permit2 (exact, by Permit2) and GET /upto?charge=UNITS (a ceiling of CEILING).
    Version 2 has GET /upfront, paid before delivery, and GET /upfront/fails?status=500, which fails after that.

    On Solana: GET /token2022 (in PYUSD); version 2 also GET /memo (SELLERS_MEMO), /hint (a blockhash) and /both (an
    offer on the EVM chain, to `evm_pay_to`, before the one on Solana). All but POST cost what GET /paid costs.
    """

    name: str
    version: int
    base_url: str
    pay_to: str
    evm_pay_to: str = ""

    def price(self, method: str) -> int:
        """Of /paid, in the token's units; /stream costs what GET /paid costs."""
        return PRICES[method.upper()]

    def url(self, path: str) -> str:
        return self.base_url + path


class World:
    """Everything starts by itself when used; `start("flask-v2", ...)` starts several side by side."""

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._lock = threading.RLock()
        self._programs: list[Program] = []
        self._foundations: dict[str, Program] = {}
        self._sellers: dict[str, Seller] = {}
        self._typescript: dict[str, str] = {}  # facilitators, by network

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def chain(self) -> Chain:
        with self._lock:
            return self._chain

    @property
    def solana(self) -> SolanaChain:
        with self._lock:
            return self._solana

    def seller(self, name: str) -> Seller:
        if name in TYPESCRIPT_SELLERS:
            self._start_typescript(name)
        else:
            self.start(name)
        return self._sellers[name]

    def buyer(self, amount: int = 1_000_000, token: str = USDC) -> LocalAccount:
        """A new key that owns this much."""
        account: LocalAccount = Account.create()
        self.chain.mint(account.address, amount, token)
        return account

    def solana_buyer(self, amount: int = 1_000_000, mint: str = USDC_DEVNET) -> Keypair:
        """A new key that owns this much, and no SOL."""
        keypair = Keypair()
        self.solana.mint_to(keypair, amount, mint)
        return keypair

    def start(self, *names: str) -> None:
        with self._lock:
            missing = [name for name in names if name not in self._sellers]
            if not missing:
                return
            pythons = _environments({"v2", *(ALL_SELLERS[name][0] for name in missing)})
            started = {name: self._launch(pythons[ALL_SELLERS[name][0]], *ALL_SELLERS[name][1:]) for name in missing}
            on_solana = not SOLANA_SELLERS.keys().isdisjoint(missing)
            on_evm = not SOLANA_V1.issuperset(missing)
            self._prepare(on_evm=on_evm, on_solana=on_solana)
            ground = self._ground(on_evm=on_evm, on_solana=on_solana)
            with ThreadPoolExecutor(len(missing)) as pool:
                sellers = pool.map(lambda name: self._open(name, started[name], ground), missing)
                self._sellers.update({seller.name: seller for seller in sellers})

    def _start_typescript(self, name: str) -> None:
        with self._lock:
            if name in self._sellers:
                return
            network, script = TYPESCRIPT_SELLERS[name]
            program, pay_to = self._keep(npm.launch("official", script)), str(Account.create().address)
            if network == SOLANA_NETWORK:
                pay_to = str(Keypair().pubkey())
                self._solana.mint_to(pay_to, 0)
            orders = {"facilitator": self._typescript_facilitator(network), "network": network, "pay_to": pay_to}
            self._sellers[name] = Seller(name, 2, program.order(orders), pay_to)

    def _prepare(self, *, on_evm: bool, on_solana: bool) -> None:
        """Launches what the sellers stand on, before anybody waits for any of it."""
        for script in (*EVM_GROUND * on_evm, *SOLANA_GROUND * on_solana):
            self._foundation(script)

    def _ground(self, *, on_evm: bool, on_solana: bool) -> dict[str, str]:
        """Addresses by name."""
        found = {}
        if on_solana:
            found = {"rpc": self._solana.url, "solana": self.solana_facilitator_url}
        return found | ({"evm": self.facilitator_url} if on_evm else {})

    @cached_property
    def facilitator_url(self) -> str:
        with self._lock:
            program = self._foundation("facilitator.py")
            networks = {"network": NETWORK, "network_v1": NETWORK_V1}
            return program.order({"rpc": self._chain.url, "factories": [*FACTORIES]} | networks)

    def facilitator_of(self, seller: str) -> str:
        """The address of the facilitator that settles for a seller on the EVM chain."""
        return self._typescript_facilitator(NETWORK) if seller in TYPESCRIPT_SELLERS else self.facilitator_url

    def _typescript_facilitator(self, network: str) -> str:
        with self._lock:
            if network not in self._typescript:
                program = self._keep(npm.launch("official", "facilitator.mjs"))
                place = {"chain": "EVM", "rpc": self._chain.url, "fund": self._chain.url, "factories": [*FACTORIES]}
                if network == SOLANA_NETWORK:
                    url = self._solana.url
                    place = {"chain": "Solana", "rpc": f"{url}/facilitator", "fund": f"{url}/test"}
                self._typescript[network] = program.order(place | {"network": network})
            return self._typescript[network]

    @cached_property
    def solana_facilitator_url(self) -> str:
        with self._lock:
            program = self._foundation("facilitator_svm.py")
            networks = {"network": SOLANA_NETWORK, "networks_v1": [SOLANA_NETWORK_V1, SOLANA_NETWORK]}
            return program.order({"rpc": self._solana.url, "patience": PATIENCE_SECONDS} | networks)

    @cached_property
    def _chain(self) -> Chain:
        program = self._foundation("chain.py")
        url = program.order({"chain_id": CHAIN_ID, "tokens": [USDC_TOKEN, STRANGE_TOKEN]})
        return Chain(url, shared=self._shared)

    @cached_property
    def _solana(self) -> SolanaChain:
        program = self._foundation("svm_chain.py")
        mints = [{"address": mint, "program": token, "decimals": DECIMALS} for mint, token in TOKEN_PROGRAMS.items()]
        return SolanaChain(program.order({"slot_seconds": SLOT_SECONDS, "mints": mints}), shared=self._shared)

    def close(self) -> None:
        with self._lock:
            for chain in ("_chain", "_solana"):
                if chain in self.__dict__:
                    self.__dict__[chain].close()
            for program in self._programs:
                program.tell_to_stop()
            while self._programs:
                self._programs.pop().stop()

    def _foundation(self, script: str) -> Program:
        if script not in self._foundations:
            self._foundations[script] = self._launch(environment("v2"), script)
        return self._foundations[script]

    def _launch(self, python: Path, *command: str) -> Program:
        return self._keep(Program(python, *command))

    def _keep(self, program: Program) -> Program:
        """So that it ends with this world."""
        self._programs.append(program)
        return program

    def _open(self, name: str, program: Program, ground: dict[str, str]) -> Seller:
        if name in SOLANA_SELLERS:
            return self._open_on_solana(name, program, ground)
        pay_to = str(Account.create().address)
        orders: dict[str, Any] = {
            "facilitator": ground["evm"],
            "pay_to": pay_to,
            "network": NETWORK,
            "network_v1": NETWORK_V1,
            "strange_token": STRANGE_TOKEN,
        }
        version = 1 if ALL_SELLERS[name][0] == "v1" else 2
        return Seller(name, version, program.order(orders), pay_to)

    def _open_on_solana(self, name: str, program: Program, ground: dict[str, str]) -> Seller:
        pay_to, evm_pay_to = str(Keypair().pubkey()), str(Account.create().address)
        if name in OWN_FEES:
            kinds = httpx.get(f"{ground['solana']}/supported").json()["kinds"]
            pay_to = next(kind["extra"]["feePayer"] for kind in kinds if "feePayer" in (kind.get("extra") or {}))
        for mint in TOKEN_PROGRAMS:  # a seller without an account cannot be paid
            self._solana.mint_to(pay_to, 0, mint)
        orders: dict[str, Any] = {
            "facilitator": ground["solana"],
            "pay_to": pay_to,
            "network": SOLANA_NETWORK_V1 if name in ("svm-v1", "svm-v1-own-fees") else SOLANA_NETWORK,
            "usdc": USDC_DEVNET,
            "token2022": PYUSD_DEVNET,
        }
        if name in SOLANA_V1:
            return Seller(name, 1, program.order(orders), pay_to)
        orders |= {"rpc": ground["rpc"], "memo": SELLERS_MEMO}
        orders |= {"evm_facilitator": ground["evm"], "evm_network": NETWORK, "evm_pay_to": evm_pay_to}
        return Seller(name, 2, program.order(orders), pay_to, evm_pay_to)


def _environments(names: set[str]) -> dict[str, Path]:
    """The first time each takes a minute, so they are made side by side."""
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(environment, names), strict=True))
