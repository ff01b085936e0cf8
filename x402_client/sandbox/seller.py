"""``Sandbox``, for tests and examples: a seller, its chains, wallets for them, and records to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..buyer.buyer import Buyer
from ..buyer.settings import instance
from ..buyer.wallet import Wallet
from ..errors import ConfigurationError
from ..model.counts import counted
from ..model.holds import Hold
from ..model.keyword_hints import hints_of
from ..model.money import Amount, Money, Token
from ..model.sandbox_settings import DIRECTORY
from ..policy.policy import CAREFUL, Policy
from ..signers.evm import LocalEvmSigner, read_hex_key
from .accounts import accounts_of
from .environ import variables
from .play_money import CHAINS, EVM, SOLANA, TOKENS, network_of
from .records import Settlement, Visit
from .server import Server
from .shop import APPROVED, Shop, fault_named
from .terms import Goods

_GOODS: Mapping[str, Amount | None] = {"/weather": "0.01", "/report": "0.05", "/yacht": "250000", "/free": None}


@hints_of
class Sandbox:
    """Seller on a loopback port, with its own chains and invented money on them.

        with Sandbox() as sandbox:
            url = sandbox.sell("/poem", "0.02", content="Roses are red.")
            buyer = sandbox.buyer(Policy(per_request="0.05"))
            ...
            assert len(sandbox.settlements) == 1

    From the start it sells ``/weather`` for one cent, ``/report`` for five and ``/yacht`` for a quarter of a million.
    It sells by version 2 of the protocol, for an EVM token or a Solana token. It runs in its own threads, so sync and
    async programs can use it alike. ``async with`` works too.

    Args:
        port: The port to listen on. Default: 0, a free one.
        slow: The seconds that the slow faults take. Default: 2.
        redeliver: True answers a payment that was settled before with the content again. Default: False, which answers
            with another 402, as most sellers do.
    """

    def __init__(self, *, port: int = 0, slow: float = 2.0, redeliver: bool = False) -> None:
        self._shop = Shop(slow, redeliver)
        self._server = Server(port, self._shop.answer, slow)
        self._shop.url = self.url
        self._buyers: list[Buyer] = []
        self._directory: TemporaryDirectory[str] | None = None
        self._environ: dict[str, str] = {}
        self._closed = False
        for path, price in _GOODS.items():
            self.sell(path, price) if price is not None else self.free(path)
        self.free("/thanks", {"content": "worth it"})

    def start(self) -> Sandbox:
        """Start to listen. ``with`` does so too."""
        self._server.start()
        return self

    def close(self) -> None:
        """Close every connection, thread and chain, and the connections of the buyers made here."""
        if self._closed:
            return
        self._closed = True
        for buyer in self._buyers:
            for rpc in buyer.endpoints:
                rpc.close()
        self._server.stop()
        self._shop.solana.close()
        if self._directory is not None:
            self._directory.cleanup()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.close()

    async def __aenter__(self) -> Sandbox:
        return self.start()

    async def __aexit__(self, *raised: object) -> None:
        import anyio.to_thread

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close)

    # --- its addresses

    @property
    def url(self) -> str:
        """Return the URL of the seller, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def rpc(self) -> dict[str, str]:
        """Return the chains' endpoints, for ``Buyer(rpc=...)``."""
        return {network: f"{self.url}/rpc/{name}" for name, network in CHAINS.items()}

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Return the tokens that the seller accepts, for ``Policy(tokens=...)``."""
        return TOKENS

    @property
    def pay_to(self) -> dict[str, str]:
        """Return the seller's address, by network."""
        return {EVM: self._shop.seller.evm, SOLANA: self._shop.solana.seller}

    @property
    def environ(self) -> dict[str, str]:
        """Return environment variables by which ``Buyer.from_env()`` and the command pay this sandbox.

        They name a wallet with a hundred dollars on each chain, a careful policy that knows the sandbox's tokens, a
        ledger file, the chains, and the sandbox as the list for ``x402 search``. ``X402_WALLET``, ``X402_PURSE`` and
        ``X402_MUST_EXIST`` are empty, which means not set. Their files are deleted when the sandbox is closed.
        """
        if not self._environ:
            if self._closed:
                raise ConfigurationError("This sandbox is closed; ask for its environ before that.")
            # Another program may have the ledger open.
            self._directory = TemporaryDirectory(prefix=DIRECTORY, ignore_cleanup_errors=True)
            keys = {chain: self.key(chain) for chain in CHAINS}
            self._environ = variables(Path(self._directory.name), keys, self.rpc, self.tokens, self.url)
        return dict(self._environ)

    def fault_url(self, fault: str, path: str = "/weather") -> str:
        """Return the address at which something is sold with a fault, for use from a shell.

        Args:
            fault: The name of a fault, of ``x402_client.sandbox.FAULTS``.
            path: What is sold there. Default: ``/weather``.
        """
        fault_named(fault)
        return f"{self.url}/fault/{fault}{path}"

    # --- buyers

    def buyer(self, policy: Policy = CAREFUL, *, wallet: Wallet | None = None, **settings: Any) -> Buyer:
        """Return a buyer with invented money and this policy, adapted to the sandbox by ``policy()``.

        Args:
            policy: The policy. Default: ten cents a request, five dollars a day.
            wallet: A wallet of this sandbox. Default: a new one with a hundred dollars on each chain.
            settings: Further keywords of ``Buyer``. The ledger is ``":memory:"`` unless one is named.
        """
        wallet = self.wallet() if wallet is None else instance("wallet", wallet, Wallet)
        for signer in (wallet.evm, wallet.solana):
            if signer is not None:
                self._shop.keys.check(signer.address)
        made = Buyer(wallet, self.policy(policy), **{"ledger": ":memory:", "rpc": self.rpc, **settings})
        self._buyers.append(made)
        return made

    def policy(self, policy: Policy) -> Policy:
        """Return the policy with the sandbox's tokens added, and its networks allowed.

        Limits and ``assets`` stay as they are. The sandbox sells in ``USDC``: a policy whose ``assets`` do not name it
        refuses, as it would at a real seller.

        Args:
            policy: Your policy. It is not changed.
        """
        known: dict[str, object] = {"tokens": (*instance("policy", policy, Policy).tokens, *TOKENS)}
        if policy.networks is not None:
            known["networks"] = (*policy.networks, *(n for n in CHAINS.values() if n not in policy.networks))
        return policy.but(**known)

    def wallet(self, dollars: Amount = "100", *, evm: bool = True, solana: bool = True) -> Wallet:
        """Return a wallet with new throw-away keys, and this much invented money on each chain.

        Args:
            dollars: The money on each chain. Default: a hundred.
            evm: False leaves the EVM key out. Default: True.
            solana: False leaves the Solana key out. Default: True.
        """
        return Wallet(
            evm=self.key("evm", dollars) if evm else None, solana=self.key("solana", dollars) if solana else None
        )

    def key(self, chain: str = "evm", dollars: Amount = "100") -> str:
        """Return a new throw-away key with invented money, as text.

        Args:
            chain: ``"evm"`` or ``"solana"``. Default: ``"evm"``.
            dollars: Its money. Default: a hundred.
        """
        is_evm = network_of(chain) == EVM
        key = self._shop.keys.evm_key() if is_evm else self._shop.keys.solana_key()
        wallet = Wallet(evm=key) if is_evm else Wallet(solana=key)
        if is_evm:
            self.approve(wallet, Money.of_units(APPROVED))
        self.fund(wallet, dollars)
        return key

    def safe(self, owners: Iterable[str], threshold: int = 1, dollars: Amount = "100") -> str:
        """Return the address of a new Safe with invented money, for a ``SafeSigner``.

        Args:
            owners: The throw-away EVM keys of its owners, of this sandbox.
            threshold: The owners that have to sign. Default: 1.
            dollars: Its money. Default: a hundred.
        """
        found = frozenset(self._shop.keys.check(LocalEvmSigner(read_hex_key(key)).address) for key in owners)
        if not 0 < threshold <= len(found):
            raise ConfigurationError(f"threshold is 1 to {len(found)}, the number of owners, not {threshold}.")
        address = self._shop.keys.add(self._shop.evm.safes.make(found, threshold))
        self.fund(address, dollars)
        return address

    def fund(self, who: Wallet | Buyer | str, dollars: Amount) -> None:
        """Give more invented money: to an address, or on each chain to a wallet's.

        Args:
            who: A wallet, a buyer with its wallet, or an address.
            dollars: The amount.
        """
        units = Money(dollars).units
        for network, address in accounts_of(who):
            self._shop.chain(network).fund(self._shop.keys.check(address), units)

    def approve(self, who: Wallet | Buyer | str, dollars: Amount) -> None:
        """Let Permit2 take this much of the EVM token. A wallet made here has approved a dollar from the start.

        It stands for a transaction of the owner's own, which no buyer ever signs.

        Args:
            who: A wallet, a buyer with its wallet, or an address.
            dollars: The amount. What was approved before is replaced.
        """
        for network, address in accounts_of(who):
            if network == EVM:
                self._shop.evm.permit2.approve(self._shop.keys.check(address), Money(dollars).units)

    # --- goods

    def sell(
        self,
        path: str,
        price: Amount,
        *,
        content: Any = None,
        fault: str | Iterable[str | None] | None = None,
        chains: str | Iterable[str] = ("evm", "solana"),
        version: int = 2,
        memo: str | None = None,
        redeliver: bool | None = None,
        upfront: bool = False,
        description: str = "",
        sign_in: bool = False,
        permit2: bool = False,
        upto: bool = False,
        charge: Amount | None = None,
        offer_receipt: bool = False,
        sponsored: bool = False,
    ) -> str:
        """Sell something at a path, or change how it is sold. Return its URL.

        Args:
            path: The path, with a slash in front: ``/weather``.
            price: The price, in dollars.
            content: What is sold: text, bytes or anything that goes into JSON. Default: a few words.
            fault: One fault of ``x402_client.sandbox.FAULTS``, which strikes each payment once. Or several, in the
                order in which requests meet them, with None for one that goes well. Default: none.
            chains: ``"evm"``, ``"solana"`` or both. Default: both.
            version: The version of the protocol, 1 or 2. Default: 2.
            memo: What the seller wants in a payment on Solana. Default: nothing.
            redeliver: True delivers again for a payment that was settled. Default: as the sandbox does.
            upfront: True names the payment flow in which the money is taken before the goods are made. Default: False.
            description: The seller's words for it, in the 402 and in the list of ``discover``. Default: none.
            sign_in: True opens it for an account that bought it and signs in (sign-in-with-x). Default: False.
            permit2: True has it paid by Permit2, on the EVM chain alone. Default: False.
            upto: True makes the price a ceiling, by Permit2 on the EVM chain: it takes ``charge``. Default: False.
            charge: What is taken of a ceiling, zero included. Default: half of it.
            offer_receipt: True signs its offers and receipts (offer-receipt), by version 2. Default: False.
            sponsored: True takes a permit (EIP-2612) where Permit2 has no allowance. Default: False.
        """
        if version not in (1, 2):
            raise ConfigurationError(f"x402 has versions 1 and 2, and version={version!r} is neither.")
        named = (chains,) if isinstance(chains, str) else tuple(chains)
        if not (networks := tuple(network_of(name) for name in named)):
            raise ConfigurationError('chains is empty; name "evm", "solana" or both.')
        if (permit2 or upto) and (EVM not in networks or version == 1):
            raise ConfigurationError("Permit2 and ceilings are sold on the EVM chain, by version 2 of the protocol.")
        again = self._shop.redeliver if redeliver is None else redeliver
        taken = None if charge is None else Money(charge)
        goods = Goods(
            path, Money(price), content, networks, version, memo=memo, redeliver=again, upfront=upfront,
            description=description, sign_in=sign_in, permit2=permit2, upto=upto, charge=taken,
            offer_receipt=offer_receipt, sponsored=sponsored,
        )  # fmt: skip
        self._shop.put(goods, fault)
        return self.url + path

    def sell_nothing(self, path: str, content: Any = None, *, chains: Iterable[str] = ("evm", "solana")) -> str:
        """Open something for any account that signs in, as job-status and profile routes are. Return its URL.

        Args:
            path: The path, with a slash in front: ``/jobs``.
            content: What is given, as for ``sell``. Default: a few words.
            chains: The chains whose accounts may sign in. Default: both.
        """
        self._shop.put(Goods(path, None, content, tuple(map(network_of, chains)), sign_in=True), None)
        return self.url + path

    def free(self, path: str, content: Any = None) -> str:
        """Give something away at a path. Return its URL.

        Args:
            path: The path, with a slash in front: ``/weather``.
            content: What is given: text, bytes or anything that goes into JSON. Default: nothing.
        """
        self._shop.put(Goods(path, None, content), None)
        return self.url + path

    def order(self, *faults: str | None) -> None:
        """Order the faults of the next requests, in this order, for any goods.

        Args:
            faults: Names of faults. None is a payment that goes well.
        """
        self._shop.order(faults)

    # --- records

    @property
    def settlements(self) -> list[Settlement]:
        """Return every transfer that happened, in order."""
        return list(self._shop.settlements)

    @property
    def visits(self) -> list[Visit]:
        """Return every request for something that has a price, in order."""
        return list(self._shop.visits)

    def paid(self, who: Wallet | Buyer | str) -> list[Settlement]:
        """Return the transfers from a wallet, a buyer's wallet or an address.

        Args:
            who: A wallet, a buyer with its wallet, or an address.
        """
        accounts = {address.lower() for _, address in accounts_of(who)}
        return [done for done in self.settlements if done.payer.lower() in accounts]

    def settled(self, payment: Hold | str) -> Settlement | None:
        """Return the transfer of one payment, named by its hold or its nonce. None if it did not happen.

        Args:
            payment: The payment's hold, or its nonce.
        """
        nonce = payment if isinstance(payment, str) else payment.nonce
        return next((done for done in self.settlements if done.nonce == nonce), None)

    def balance(self, who: Wallet | Buyer | str) -> Money:
        """Return the money of an address, or of a wallet on both chains.

        Args:
            who: A wallet, a buyer with its wallet, or an address.
        """
        found = (self._shop.chain(network).balance(address) for network, address in accounts_of(who))
        return Money.of_units(sum(found))

    @property
    def earned(self) -> Money:
        """Return all the money that the seller was paid."""
        return Money.of_units(sum(done.amount for done in self.settlements))

    # --- time

    @property
    def now(self) -> float:
        """Return the chains' time, in seconds since 1970."""
        return self._shop.clock.now()

    def advance(self, seconds: float) -> None:
        """Let time pass on the chains, at once: payments expire. The clock of this machine stays as it is.

        A buyer asks about a payment once it expired by the machine's clock: to test that, move Python's clock instead.

        Args:
            seconds: The number of seconds.
        """
        self._shop.clock.advance(seconds)

    def __repr__(self) -> str:
        return f"Sandbox({self.url}, {counted(len(self._shop.settlements), 'settlement')})"
