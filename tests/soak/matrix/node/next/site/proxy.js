// Stands before the pages, as Next.js calls what was its middleware.
import { paymentProxy } from "@x402/next";
import { NextResponse } from "next/server";
import { orders, route, server } from "./terms.js";

const routes = { "GET /paid": route("$0.01"), "POST /paid": route("$0.02") };
export const proxy = orders.guard === "proxy" ? paymentProxy(routes, server) : () => NextResponse.next();
export const config = { matcher: ["/paid"] };
