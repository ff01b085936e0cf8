// A version 2 seller: Express with the official middleware.
import { paymentMiddleware } from "@x402/express";
import express from "express";
import { echo, goods, listen, readOrders } from "../serving.mjs";
import { resourceServer, routes } from "./terms.mjs";

const orders = await readOrders();
const app = express();
app.use(express.raw({ type: "*/*" }));
app.use(paymentMiddleware(routes(orders), resourceServer(orders)));
app.get("/paid", (request, response) => response.json(goods()));
app.post("/paid", (request, response) => response.json(echo(request.body)));
listen(app);
