// What the pages ask, and the server that asks it. The orders are not there yet while the site is built.
import { HTTPFacilitatorClient, x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { ExactSvmScheme } from "@x402/svm/exact/server";

export const orders = JSON.parse(process.env.X402_ORDERS ?? '{"network": "eip155:84532"}');
const scheme = orders.network.startsWith("solana:") ? new ExactSvmScheme() : new ExactEvmScheme();
const facilitator = new HTTPFacilitatorClient({ url: orders.facilitator });
export const server = new x402ResourceServer(facilitator).register(orders.network, scheme);

export const route = (price) => ({
  accepts: { scheme: "exact", price, network: orders.network, payTo: orders.pay_to },
  description: "a test",
  mimeType: "application/json",
});
