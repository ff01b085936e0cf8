// A seller of MCP tools with Cloudflare's agents, over HTTP (/mcp), SSE (/sse), or stdio if the orders are an argument.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { withX402 } from "agents/x402";
import express from "express";
import { z } from "zod";
import { listen, readOrders } from "../serving.mjs";

function shop(orders) {
  const server = withX402(new McpServer({ name: "shop", version: "1.0.0" }), {
    network: orders.network,
    recipient: orders.pay_to,
    facilitator: { url: orders.facilitator },
  });
  const text = (said) => ({ content: [{ type: "text", text: said }] });
  server.paidTool("weather", "The weather", 0.01, { city: z.string() }, {}, async ({ city }) => text(`It rains in ${city}.`));
  server.paidTool("broken", "Fails", 0.01, { city: z.string() }, {}, async ({ city }) => {
    throw new Error(`There is no ${city}.`);
  });
  server.registerTool("free", { description: "For nothing", inputSchema: {} }, async () => text("For nothing."));
  return server;
}

if (process.argv[2]) {
  console.log = console.error;
  await shop(JSON.parse(process.argv[2])).connect(new StdioServerTransport());
} else {
  const orders = await readOrders();
  const app = express();
  const sessions = {};
  app.post("/mcp", express.json(), async (request, response) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    await shop(orders).connect(transport);
    await transport.handleRequest(request, response, request.body);
  });
  app.get("/sse", async (request, response) => {
    const transport = new SSEServerTransport("/messages", response);
    sessions[transport.sessionId] = transport;
    await shop(orders).connect(transport);
  });
  app.post("/messages", (request, response) => sessions[request.query.sessionId].handlePostMessage(request, response));
  listen(app);
}
