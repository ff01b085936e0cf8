// A version 2 seller: Hono with the official middleware.
import { getRequestListener } from "@hono/node-server";
import { paymentMiddleware } from "@x402/hono";
import { Hono } from "hono";
import { echo, goods, listen, readOrders } from "../serving.mjs";
import { resourceServer, routes } from "./terms.mjs";

const orders = await readOrders();
const app = new Hono();
app.use(paymentMiddleware(routes(orders), resourceServer(orders)));
app.get("/paid", (context) => context.json(goods()));
app.post("/paid", async (context) => context.json(echo(Buffer.from(await context.req.arrayBuffer()))));
listen(getRequestListener(app.fetch));
