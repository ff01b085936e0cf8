// A version 2 seller: Express with the official middleware. GET /upto?charge=UNITS takes so much of its ceiling.
import { paymentMiddleware, setSettlementOverrides } from "@x402/express";
import express from "express";
import { echo, goods, listen, readOrders } from "../serving.mjs";
import { resourceServer, routes } from "./terms.mjs";

const orders = await readOrders();
const app = express();
app.use(express.raw({ type: "*/*" }));
app.use(paymentMiddleware(routes(orders), resourceServer(orders)));
app.post("/paid", (request, response) => response.json(echo(request.body)));
app.get("*", (request, response) => {
  if (request.query.charge) setSettlementOverrides(response, { amount: request.query.charge });
  response.json(goods());
});
listen(app);
