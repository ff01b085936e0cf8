// What the official version 2 sellers ask, and the server that asks it. Orders: {facilitator, network, pay_to}.
import { HTTPFacilitatorClient, x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { ExactSvmScheme } from "@x402/svm/exact/server";
import { PRICES } from "../serving.mjs";

export function routes(orders) {
  const accepts = (price) => ({ scheme: "exact", price, network: orders.network, payTo: orders.pay_to });
  const route = (price) => ({ accepts: accepts(price), description: "a test", mimeType: "application/json" });
  return Object.fromEntries(Object.entries(PRICES).map(([path, price]) => [path, route(price)]));
}

export function resourceServer(orders) {
  const facilitator = new HTTPFacilitatorClient({ url: orders.facilitator });
  const scheme = orders.network.startsWith("solana:") ? new ExactSvmScheme() : new ExactEvmScheme();
  return new x402ResourceServer(facilitator).register(orders.network, scheme);
}
