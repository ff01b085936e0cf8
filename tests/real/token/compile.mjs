// Remakes the .json files from the .sol files beside it. They are committed, so tests need no compiler. Permit2.json alone
// is not made here: it is the runtime bytecode of the real contract, as it was found.
// In a scratch folder outside the repository:  npm install solc@0.8.37
// then:  NODE_PATH=<scratch>/node_modules node tests/real/token/compile.mjs
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");  // require, unlike import, looks in NODE_PATH
const settings = {
  optimizer: { enabled: true, runs: 200 },
  viaIR: true,  // nine parameters do not fit the stack of the old code generator
  evmVersion: "shanghai",
  outputSelection: { "*": { "*": ["abi", "evm.deployedBytecode.object"] } },
};

const FILES = {
  Token: "Token",
  Multicall: "Multicall",
  SmartAccounts: "SmartAccounts",
  ExactPermit2Proxy: "Permit2Proxies",
  UptoPermit2Proxy: "Permit2Proxies",
};

for (const [name, file] of Object.entries(FILES)) {
  const source = readFileSync(new URL(`${file}.sol`, import.meta.url), "utf8");
  const input = { language: "Solidity", sources: { [`${file}.sol`]: { content: source } }, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  if (output.errors) throw new Error(output.errors.map((e) => e.formattedMessage).join("\n"));
  const contract = output.contracts[`${file}.sol`][name];
  const artefact = {
    compiler: solc.version(),
    sourceSha256: createHash("sha256").update(source).digest("hex"),
    runtime: "0x" + contract.evm.deployedBytecode.object,
    abi: contract.abi,
  };
  writeFileSync(new URL(`${name}.json`, import.meta.url), JSON.stringify(artefact, null, 1) + "\n");
}
