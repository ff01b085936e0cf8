// Behind `withX402`, or, where the orders say so, behind ../../proxy.js.
import { createHash } from "node:crypto";
import { withX402 } from "@x402/next";
import { NextResponse } from "next/server";
import { orders, route, server } from "../../terms.js";

export const dynamic = "force-dynamic";
const sold = (handler, price) => (orders.guard === "handler" ? withX402(handler, route(price), server) : handler);

export const GET = sold(async () => NextResponse.json({ goods: "paid" }), "$0.01");
export const POST = sold(async (request) => {
  const body = Buffer.from(await request.arrayBuffer());
  return NextResponse.json({ sha256: createHash("sha256").update(body).digest("hex"), length: body.length });
}, "$0.02");
