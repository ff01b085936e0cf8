// Express around x402-solana's payment handler, which makes the 402 and asks the facilitator. Orders: {facilitator, pay_to, rpc, asset}.
import express from "express";
import { X402PaymentHandler } from "x402-solana/server";
import { UNITS, echo, goods, listen, readOrders } from "../serving.mjs";

const orders = await readOrders();
const handler = new X402PaymentHandler({
  network: "solana-devnet",
  treasuryAddress: orders.pay_to,
  facilitatorUrl: orders.facilitator,
  rpcUrl: orders.rpc,
});

async function gate(request, response, next) {
  const url = `${request.protocol}://${request.get("host")}${request.originalUrl}`;
  const route = { amount: UNITS[request.method], asset: { address: orders.asset, decimals: 6 }, description: "a test" };
  const requirements = await handler.createPaymentRequirements(route, url);
  const payment = handler.extractPayment(request.headers);
  if (!payment) {
    const { status, body } = handler.create402Response(requirements, url);
    return response.status(status).json(body);
  }
  const verified = await handler.verifyPayment(payment, requirements);
  if (!verified.isValid) return response.status(402).json({ error: "Invalid payment", reason: verified.invalidReason });
  const settled = await handler.settlePayment(payment, requirements);
  if (!settled.success) return response.status(402).json({ error: "Not settled", reason: settled.errorReason });
  return next();
}

const app = express();
app.use(express.raw({ type: "*/*" }), gate);
app.get("/paid", (request, response) => response.json(goods()));
app.post("/paid", (request, response) => response.json(echo(request.body)));
listen(app);
