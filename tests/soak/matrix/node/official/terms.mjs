// What the official version 2 sellers ask, and the server that asks it. Orders: {facilitator, network, pay_to}.
import { HTTPFacilitatorClient, x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { UptoEvmScheme } from "@x402/evm/upto/server";
import { declareEip2612GasSponsoringExtension, declareErc20ApprovalGasSponsoringExtension } from "@x402/extensions";
import { ExactSvmScheme } from "@x402/svm/exact/server";
import { PRICES } from "../serving.mjs";

const onSolana = (orders) => orders.network.startsWith("solana:");

export function routes(orders) {
  const offer = (price, more) => ({ scheme: "exact", price, network: orders.network, payTo: orders.pay_to, ...more });
  const route = (accepts, extensions) => ({ accepts, extensions, description: "a test", mimeType: "application/json" });
  const plain = Object.fromEntries(Object.entries(PRICES).map(([path, price]) => [path, route(offer(price))]));
  if (onSolana(orders)) return plain;
  const byPermit2 = offer("$0.01", { extra: { assetTransferMethod: "permit2" } });
  const ceiling = offer("$0.05", { scheme: "upto" });
  const permit = declareEip2612GasSponsoringExtension();
  const transaction = declareErc20ApprovalGasSponsoringExtension();
  return {
    ...plain,
    "GET /permit2": route(byPermit2),
    "GET /upto": route(ceiling),
    "GET /sponsored/permit2": route(byPermit2, { ...permit, ...transaction }),
    "GET /sponsored/upto": route(ceiling, permit),
    "GET /sponsored/transaction": route(byPermit2, transaction),
    "GET /sponsored/choice": route([byPermit2, offer("$0.02")], permit),
  };
}

export function resourceServer(orders) {
  const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: orders.facilitator }));
  if (onSolana(orders)) return server.register(orders.network, new ExactSvmScheme());
  return server.register(orders.network, new ExactEvmScheme()).register(orders.network, new UptoEvmScheme());
}
