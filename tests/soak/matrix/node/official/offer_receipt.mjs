// A version 2 seller that signs its offers and receipts. Orders: {network, pay_to, key, format: "eip712" | "jws"}.
// Its facilitator is in the same process and takes every payment: what is tried here is what the seller signs.
import { x402ResourceServer } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware } from "@x402/express";
import {
  createEIP712OfferReceiptIssuer,
  createJWSOfferReceiptIssuer,
  createOfferReceiptExtension,
  declareOfferReceiptExtension,
} from "@x402/extensions/offer-receipt";
import express from "express";
import { generateKeyPairSync, sign } from "node:crypto";
import { privateKeyToAccount } from "viem/accounts";
import { goods, listen, PRICES, readOrders } from "../serving.mjs";

const orders = await readOrders();
const account = privateKeyToAccount(orders.key);

function jwsIssuer() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = JSON.stringify(publicKey.export({ format: "jwk" }));
  const kid = `did:jwk:${Buffer.from(jwk).toString("base64url")}#0`;
  const signs = async (bytes) =>
    sign("sha256", bytes, { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");
  return createJWSOfferReceiptIssuer(kid, { kid, format: "jws", algorithm: "ES256", sign: signs });
}

const kind = { x402Version: 2, scheme: "exact", network: orders.network };
const facilitator = {
  getSupported: async () => ({ kinds: [kind], extensions: [], signers: {} }),
  verify: async ({ payload }) => ({ isValid: true, payer: payload.authorization.from }),
  settle: async ({ payload }) => ({
    success: true,
    transaction: payload.authorization.nonce,
    network: orders.network,
    payer: payload.authorization.from,
  }),
};
const issuer =
  orders.format === "jws"
    ? jwsIssuer()
    : createEIP712OfferReceiptIssuer(`did:pkh:eip155:1:${account.address}`, (data) => account.signTypedData(data));
const server = new x402ResourceServer(facilitator)
  .register(orders.network, new ExactEvmScheme())
  .registerExtension(createOfferReceiptExtension(issuer));
const accepts = (price) => ({ scheme: "exact", price, network: orders.network, payTo: orders.pay_to });
const extensions = declareOfferReceiptExtension({ includeTxHash: true });
const routes = Object.fromEntries(
  Object.entries(PRICES).map(([path, price]) => [
    path,
    { accepts: accepts(price), description: "a test", extensions },
  ]),
);
const app = express();
app.use(express.raw({ type: "*/*" }));
app.use(paymentMiddleware(routes, server));
app.get("/paid", (request, response) => response.json(goods()));
app.post("/paid", (request, response) => response.json(goods()));
listen(app);
