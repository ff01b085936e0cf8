// A version 1 seller: Hono with the legacy middleware. Orders: {facilitator, network, pay_to}.
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { paymentMiddleware } from "x402-hono";
import { echo, goods, listen, readOrders, routes } from "../serving.mjs";

const orders = await readOrders();
const app = new Hono();
app.use(paymentMiddleware(orders.pay_to, routes(orders), { url: orders.facilitator }));
app.get("/paid", (context) => context.json(goods()));
app.post("/paid", async (context) => context.json(echo(Buffer.from(await context.req.arrayBuffer()))));
listen(getRequestListener(app.fetch));
