// A version 2 seller: the Next.js site beside this, as it was built for production. Orders: {facilitator, network, pay_to}.
import { fileURLToPath } from "node:url";
import { listen, readOrders } from "../serving.mjs";

export async function sell(guard) {
  Object.assign(process.env, { NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" });
  process.env.X402_ORDERS = JSON.stringify({ ...(await readOrders()), guard });
  const { default: next } = await import("next");
  const dir = fileURLToPath(new URL("../../site", import.meta.url)); // beside the packages
  const site = next({ dev: false, dir });
  await site.prepare();
  listen(site.getRequestHandler());
}
