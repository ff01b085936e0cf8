"""Public endpoints of well-known networks. They are slow and limit their callers: in production, name your own.

If two operators are documented, both have an endpoint here. The first is mostly the chain's own, the second another
operator's. So no operator decides alone that a payment did not settle. The tests do not call any of them.

Sources: viem's chain definitions (github.com/wevm/viem, src/chains/definitions) and chainlist's data
(github.com/ethereum-lists/chains, _data/chains). ``publicnode.com`` is Allnodes (publicnode.com lists its endpoints).
Monad's two are run by QuickNode and by its foundation (docs.monad.xyz), IoTeX's by its foundation and by Fastblocks
(docs.iotex.io), Arc's test network's by Circle and dRPC (docs.arc.network). Solana's own are in solana.com/docs.
"""

from __future__ import annotations

from ..model.networks import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET

PUBLIC: dict[str, tuple[str, ...]] = {
    "eip155:1": ("https://ethereum-rpc.publicnode.com", "https://ethereum.reth.rs/rpc"),
    "eip155:10": ("https://mainnet.optimism.io", "https://optimism-rpc.publicnode.com"),
    "eip155:14": ("https://flare-api.flare.network/ext/C/rpc",),
    "eip155:50": ("https://erpc.xinfin.network", "https://rpc.xdcrpc.com"),
    "eip155:137": ("https://polygon-bor-rpc.publicnode.com", "https://polygon.drpc.org"),
    "eip155:143": ("https://rpc.monad.xyz", "https://rpc-mainnet.monadinfra.com"),
    "eip155:196": ("https://xlayerrpc.okx.com",),
    "eip155:988": ("https://rpc.stable.xyz",),
    "eip155:1329": ("https://evm-rpc.sei-apis.com", "https://sei-evm-rpc.publicnode.com"),
    "eip155:3338": ("https://quicknode1.peaq.xyz", "https://peaq-rpc.publicnode.com"),
    "eip155:4326": ("https://mainnet.megaeth.com/rpc", "https://megaeth.drpc.org"),
    "eip155:4689": ("https://babel-api.mainnet.iotex.io", "https://babel-api.fastblocks.io"),
    "eip155:5042": ("https://arc.drpc.org",),
    "eip155:8453": ("https://mainnet.base.org", "https://base-rpc.publicnode.com"),
    "eip155:31612": ("https://rpc.mezo.org",),
    "eip155:36900": ("https://rpc.adifoundation.ai",),
    "eip155:38833": ("https://rpc.igralabs.com:8545",),
    "eip155:42161": ("https://arb1.arbitrum.io/rpc", "https://arbitrum-one-rpc.publicnode.com"),
    "eip155:42220": ("https://forno.celo.org", "https://celo-rpc.publicnode.com"),
    "eip155:43114": ("https://api.avax.network/ext/bc/C/rpc", "https://avalanche-c-chain-rpc.publicnode.com"),
    "eip155:190415": ("https://mainnet.hpp.io",),
    "eip155:723487": ("https://rpc.radiustech.xyz",),
    "eip155:1187947933": ("https://skale-base.skalenodes.com/v1/base",),
    SOLANA: ("https://api.mainnet-beta.solana.com", "https://solana-rpc.publicnode.com"),
    # Test networks.
    "eip155:51": ("https://erpc.apothem.network",),
    "eip155:1328": ("https://evm-rpc-testnet.sei-apis.com",),
    "eip155:2201": ("https://rpc.testnet.stable.xyz",),
    "eip155:10143": ("https://testnet-rpc.monad.xyz",),
    "eip155:31611": ("https://rpc.test.mezo.org",),
    "eip155:43113": ("https://api.avax-test.network/ext/bc/C/rpc",),
    "eip155:72344": ("https://rpc.testnet.radiustech.xyz",),
    "eip155:80002": ("https://polygon-amoy.drpc.org",),
    "eip155:84532": ("https://sepolia.base.org", "https://base-sepolia-rpc.publicnode.com"),
    "eip155:181228": ("https://testnet.hpp.io",),
    "eip155:421614": ("https://sepolia-rollup.arbitrum.io/rpc",),
    "eip155:5042002": ("https://rpc.testnet.arc.network", "https://rpc.drpc.testnet.arc.network"),
    "eip155:11142220": ("https://forno.celo-sepolia.celo-testnet.org",),
    "eip155:11155111": ("https://11155111.rpc.thirdweb.com",),
    SOLANA_DEVNET: ("https://api.devnet.solana.com",),
    SOLANA_TESTNET: ("https://api.testnet.solana.com",),
}
