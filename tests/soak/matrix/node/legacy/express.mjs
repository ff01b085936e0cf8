// A version 1 seller: Express with the legacy middleware. Orders: {facilitator, network, pay_to}.
import express from "express";
import { paymentMiddleware } from "x402-express";
import { echo, goods, listen, readOrders, routes } from "../serving.mjs";

const orders = await readOrders();
const app = express();
app.use(express.raw({ type: "*/*" }));
app.use(paymentMiddleware(orders.pay_to, routes(orders), { url: orders.facilitator }));
app.get("/paid", (request, response) => response.json(goods()));
app.post("/paid", (request, response) => response.json(echo(request.body)));
listen(app);
