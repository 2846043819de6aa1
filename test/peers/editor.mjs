// An editor's view of a policy file: what the YAML language server completes, explains and
// underlines. Reads requests as JSON lines ({file, text, at: {line, character}, want}) and
// answers each with one line. want: completion, hover or diagnostics.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const root = dirname(require.resolve("yaml-language-server/package.json"));
const server = spawn(process.execPath, [join(root, "bin/yaml-language-server"), "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });

let next = 1;
const waiting = new Map();
const diagnostics = new Map(); // by address of a document: the function that waits for them

function send(message) {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
function ask(method, params) {
  const id = next++;
  send({ id, method, params });
  return new Promise((resolve) => waiting.set(id, resolve));
}

let buffer = Buffer.alloc(0);
server.stdout.on("data", (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  for (;;) {
    const end = buffer.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(buffer.subarray(0, end).toString())[1]);
    if (buffer.length < end + 4 + length) return;
    const message = JSON.parse(buffer.subarray(end + 4, end + 4 + length).toString());
    buffer = buffer.subarray(end + 4 + length);
    if (message.id !== undefined && message.method) {
      // The server asks for settings: one empty answer for each item.
      const items = message.params?.items ?? [];
      send({ id: message.id, result: items.map((i) => (i.section === "yaml" ? { validate: true, hover: true, completion: true, schemaStore: { enable: false } } : null)) });
    } else if (message.id !== undefined) {
      waiting.get(message.id)?.(message);
      waiting.delete(message.id);
    } else if (message.method === "textDocument/publishDiagnostics") {
      diagnostics.get(message.params.uri)?.(message.params.diagnostics);
    }
  }
});

await ask("initialize", { processId: process.pid, rootUri: null, capabilities: { workspace: { configuration: true }, textDocument: { hover: { contentFormat: ["plaintext"] } } } });
send({ method: "initialized", params: {} });

for await (const line of createInterface({ input: process.stdin })) {
  const { file, text, at, want } = JSON.parse(line);
  const uri = pathToFileURL(file.replace(/\.yaml$/, `.${next++}.yaml`)).href; // each its own: closing one also publishes
  const found = new Promise((resolve) => diagnostics.set(uri, resolve));
  send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "yaml", version: next++, text } } });
  let answer;
  if (want === "diagnostics") {
    answer = (await found).map((d) => ({ line: d.range.start.line, message: d.message }));
  } else if (want === "completion") {
    const got = (await ask("textDocument/completion", { textDocument: { uri }, position: at })).result;
    answer = (got.items ?? got).map((i) => i.label);
  } else {
    const got = (await ask("textDocument/hover", { textDocument: { uri }, position: at })).result;
    answer = got ? (got.contents.value ?? got.contents) : "";
  }
  send({ method: "textDocument/didClose", params: { textDocument: { uri } } });
  process.stdout.write(JSON.stringify(answer) + "\n");
}
server.kill();
