// What every seller here shares: orders on stdin, the port on stdout, an end when the test run ends, and the goods.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

// One JSON line. It comes after start, so that a process imports while those it depends on are still starting.
export async function readOrders() {
  console.log = console.error; // stdout is for the port alone
  let text = "";
  for await (const piece of process.stdin.iterator({ destroyOnReturn: false })) {
    text += piece;
    if (text.includes("\n")) return JSON.parse(text);
  }
  process.exit(0);
}

export function announce(port) {
  process.stdout.write(JSON.stringify({ port }) + "\n");
  process.stdin.on("end", () => process.exit(0)).resume();
}

export function listen(handler) {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1", () => announce(server.address().port));
}

export const PRICES = { "GET /paid": "$0.01", "POST /paid": "$0.02" };
export const goods = () => ({ goods: "paid" });
export const echo = (body) => ({ sha256: createHash("sha256").update(body).digest("hex"), length: body.length });

export async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

// A facilitator over HTTP: GET /supported, POST /verify and /settle.
export function facilitate(answers) {
  listen(async (request, response) => {
    let status = 200;
    let answer;
    try {
      const question = await bodyOf(request);
      answer = await answers[request.url](question.length ? JSON.parse(question) : undefined);
    } catch (error) {
      console.error(error);
      [status, answer] = [400, { error: String(error) }];
    }
    const plain = JSON.stringify(answer, (_, value) => (typeof value === "bigint" ? String(value) : value));
    response.writeHead(status, { "content-type": "application/json" }).end(plain);
  });
}

// Gas money for a facilitator: the chain's own order.
export async function fund(rpc, address, amount) {
  const order = { jsonrpc: "2.0", id: 1, method: "test_fund", params: [address, amount] };
  const headers = { "content-type": "application/json" };
  const answer = await (await fetch(rpc, { method: "POST", headers, body: JSON.stringify(order) })).json();
  if (answer.error) throw new Error("the chain gave no gas money");
}

// The legacy middleware's price list.
export const routes = (orders) =>
  Object.fromEntries(Object.entries(PRICES).map(([path, price]) => [path, { price, network: orders.network }]));

// For those that know no dollars, and no names of networks.
export const UNITS = { GET: "10000", POST: "20000" };
export const CAIP2 = { EVM: "eip155:84532", Solana: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1" };
