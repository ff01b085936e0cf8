// A worker of the benchmarks (tests/soak/benchmarks/crew.py) that pays by @x402/fetch: one line of JSON answers another.
import { createInterface } from "node:readline";

import { ExactEvmScheme } from "@x402/evm";
import { wrapFetchWithPaymentFromConfig } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";

const account = privateKeyToAccount(process.argv[2]);
const pay = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network: "eip155:*", client: new ExactEvmScheme(account) }],
});

async function buy(asked, url, count) {
  for (let number = 0; number < count; number++) {
    const answer = await asked(url);
    await answer.text();
    if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
  }
}

// Seconds of CPU, after some to warm up: of payments, or of requests that cost nothing.
async function spend(how, url, count) {
  const asked = how === "paid" ? pay : fetch;
  await buy(asked, url, 50);
  const before = process.cpuUsage();
  await buy(asked, url, count);
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / 1e6 };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, ...values] = JSON.parse(line);
  console.log(JSON.stringify(await spend(...values)));
}
