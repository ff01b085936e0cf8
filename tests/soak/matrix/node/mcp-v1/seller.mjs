// A version 1 seller of MCP tools with x402-mcp, over HTTP (/mcp).
import { createPaidMcpHandler } from "x402-mcp";
import { z } from "zod";
import { bodyOf, listen, readOrders } from "../serving.mjs";

const orders = await readOrders();
const text = (said) => ({ content: [{ type: "text", text: said }] });
const handler = createPaidMcpHandler(
  (server) => {
    server.paidTool("weather", "The weather", { price: 0.01 }, { city: z.string() }, {}, async ({ city }) => text(`It rains in ${city}.`));
    server.paidTool("broken", "Fails", { price: 0.01 }, { city: z.string() }, {}, async ({ city }) => {
      throw new Error(`There is no ${city}.`);
    });
    server.tool("free", "For nothing", {}, async () => text("For nothing."));
  },
  { serverInfo: { name: "shop", version: "1.0.0" } },
  { recipient: orders.pay_to, facilitator: { url: orders.facilitator }, network: orders.network, maxDuration: 60 },
);

listen(async (request, response) => {
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : await bodyOf(request);
  const asked = new Request(`http://127.0.0.1${request.url}`, { method: request.method, headers: request.headers, body });
  const answer = await handler(asked);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.body) for await (const piece of answer.body) response.write(piece);
  response.end();
});
