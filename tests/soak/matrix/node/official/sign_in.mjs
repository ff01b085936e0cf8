// A version 2 seller with the official extension sign-in-with-x. Orders: {facilitator, network, pay_to}.
// GET /poem is sold once to each payer; GET /evm and /solana have no price, and open to a key of their chain.
import { paymentMiddleware } from "@x402/express";
import {
  createSIWxResourceServerExtension,
  declareSIWxExtension,
  InMemorySIWxStorage,
} from "@x402/extensions/sign-in-with-x";
import express from "express";
import { createServer } from "node:http";
import { announce, CAIP2, goods, readOrders } from "../serving.mjs";
import { resourceServer } from "./terms.mjs";

const orders = await readOrders();
const listener = createServer().listen(0, "127.0.0.1", () => {
  const { port } = listener.address();
  const signIn = { storage: new InMemorySIWxStorage(), origin: `http://127.0.0.1:${port}` };
  const server = resourceServer(orders).registerExtension(createSIWxResourceServerExtension(signIn));
  const accepts = { scheme: "exact", price: "$0.01", network: orders.network, payTo: orders.pay_to };
  const route = (accepts, options) => ({ accepts, extensions: declareSIWxExtension(options), description: "a test" });
  const routes = {
    "GET /poem": route(accepts, { statement: "Read it again", expirationSeconds: 300 }),
    "GET /evm": route([], { network: orders.network }),
    "GET /solana": route([], { network: CAIP2.Solana }),
  };
  const app = express();
  app.use(paymentMiddleware(routes, server));
  app.get("*", (request, response) => response.json(goods()));
  listener.on("request", app);
  announce(port);
});
