// The official TypeScript facilitator, both versions. Orders: {chain, network, rpc, fund, factories?}.
// The factories are those of wallets that it deploys before it settles (ERC-6492); by itself it deploys none.
import { generateKeyPairSigner } from "@solana/kit";
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { ExactEvmScheme } from "@x402/evm/exact/facilitator";
import { ExactEvmSchemeV1 } from "@x402/evm/exact/v1/facilitator";
import { UptoEvmScheme } from "@x402/evm/upto/facilitator";
import { EIP2612_GAS_SPONSORING } from "@x402/extensions";
import { toFacilitatorSvmSigner } from "@x402/svm";
import { ExactSvmScheme } from "@x402/svm/exact/facilitator";
import { ExactSvmSchemeV1 } from "@x402/svm/exact/v1/facilitator";
import { createWalletClient, http, publicActions } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { facilitate, fund, readOrders } from "../serving.mjs";

const orders = await readOrders();
const facilitator = new x402Facilitator();
const register = (current, legacy) =>
  orders.network.includes(":")
    ? facilitator.register(orders.network, current)
    : facilitator.registerV1(orders.network, legacy);

if (orders.chain === "Solana") {
  const payer = await generateKeyPairSigner();
  await fund(orders.fund, payer.address, 1_000_000_000_000);
  const signer = toFacilitatorSvmSigner(payer, { defaultRpcUrl: orders.rpc });
  register(new ExactSvmScheme(signer), new ExactSvmSchemeV1(signer));
} else {
  const account = privateKeyToAccount(generatePrivateKey());
  await fund(orders.fund, account.address, 1e18);
  const transport = http(orders.rpc);
  const client = createWalletClient({ account, chain: baseSepolia, transport, pollingInterval: 100 });
  const signer = toFacilitatorEvmSigner({ ...client.extend(publicActions), address: account.address });
  const exact = new ExactEvmScheme(signer, { eip6492AllowedFactories: orders.factories ?? [] });
  register(exact, new ExactEvmSchemeV1(signer));
  facilitator.registerExtension(EIP2612_GAS_SPONSORING);
  if (orders.network.includes(":")) facilitator.register(orders.network, new UptoEvmScheme(signer));
}

facilitate({
  "/supported": () => facilitator.getSupported(),
  "/verify": (asked) => facilitator.verify(asked.paymentPayload, asked.paymentRequirements),
  "/settle": (asked) => facilitator.settle(asked.paymentPayload, asked.paymentRequirements),
});
