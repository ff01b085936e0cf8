// The legacy facilitator: the `x402` package's own verify and settle. Orders: {chain, network, rpc, fund}.
import { createServer } from "node:http";
import { generateKeyPairSigner } from "@solana/kit";
import { createWalletClient, http, publicActions } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { WebSocketServer } from "ws";
import { settle, verify } from "x402/facilitator";
import { bodyOf, facilitate, fund, readOrders } from "../serving.mjs";

const orders = await readOrders();
const [signer, extra, config] = await (orders.chain === "Solana" ? onSolana() : onEvm());
const kinds = [{ x402Version: 1, scheme: "exact", network: orders.network, extra }];

facilitate({
  "/supported": () => ({ kinds }),
  "/verify": (asked) => verify(signer, asked.paymentPayload, asked.paymentRequirements, config),
  "/settle": (asked) => settle(signer, asked.paymentPayload, asked.paymentRequirements, config),
});

async function onEvm() {
  const account = privateKeyToAccount(generatePrivateKey());
  await fund(orders.fund, account.address, 1e18);
  const client = createWalletClient({ account, chain: baseSepolia, transport: http(orders.rpc), pollingInterval: 100 });
  return [client.extend(publicActions), undefined, undefined];
}

async function onSolana() {
  const payer = await generateKeyPairSigner();
  await fund(orders.fund, payer.address, 1_000_000_000_000);
  return [payer, { feePayer: payer.address }, { svmConfig: { rpcUrl: await withSubscriptions(orders.rpc) } }];
}

// It insists on a websocket beside the node, for news of its transaction. The tests' node has none, so this one takes
// subscriptions and has no news: what is confirmed already, it learns by asking.
async function withSubscriptions(rpc) {
  const node = createServer(async (request, response) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(rpc, { method: "POST", headers, body: await bodyOf(request) });
    response.writeHead(answer.status, headers).end(await answer.text());
  });
  await new Promise((ready) => node.listen(0, "127.0.0.1", ready));
  new WebSocketServer({ server: node }).on("connection", (socket) =>
    socket.on("message", (message) => {
      const { id, method } = JSON.parse(message);
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, result: method.endsWith("Unsubscribe") ? true : 1 }));
    }),
  );
  return `http://127.0.0.1:${node.address().port}`;
}
