// Express with Faremeter's middleware and, in the same process, Faremeter's own facilitators.
// Orders: {chain, version, network, pay_to, rpc, fund, asset}.
import { createMiddleware } from "@faremeter/middleware/express";
import { createFacilitatorHandler as onEvm } from "@faremeter/payment-evm/exact";
import { exact } from "@faremeter/payment-solana";
import { createSolanaRpc, generateKeyPairSigner } from "@solana/kit";
import express from "express";
import { http } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { CAIP2, UNITS, echo, fund, goods, listen, readOrders } from "../serving.mjs";

const orders = await readOrders();
// What a handler can do has to be said by whoever mounts it in process.
const capabilities = { networks: [CAIP2[orders.chain]], assets: [orders.asset] };
const settler = await (orders.chain === "Solana" ? solana() : evm());
const handler = { ...settler, capabilities, schemes: ["exact"] };
const supportedVersions = { x402v1: orders.version === 1, x402v2: orders.version === 2 };
const app = express();
app.use(express.raw({ type: "*/*" }));
app.get("/paid", await gate("GET"), (request, response) => response.json(goods()));
app.post("/paid", await gate("POST"), (request, response) => response.json(echo(request.body)));
listen(app);

function gate(method) {
  const price = { amount: UNITS[method], asset: orders.asset, recipient: orders.pay_to, network: CAIP2[orders.chain] };
  return createMiddleware({ x402Handlers: [handler], pricing: [price], supportedVersions });
}

async function evm() {
  const key = generatePrivateKey();
  await fund(orders.fund, privateKeyToAccount(key).address, 1e18);
  const chain = { ...baseSepolia, rpcUrls: { default: { http: [orders.rpc] } } };
  return onEvm(chain, key, "USDC", { transport: http(orders.rpc) });
}

async function solana() {
  const payer = await generateKeyPairSigner();
  await fund(orders.fund, payer.address, 1_000_000_000_000);
  return exact.createFacilitatorHandler(CAIP2.Solana, createSolanaRpc(orders.rpc), payer, orders.asset);
}
