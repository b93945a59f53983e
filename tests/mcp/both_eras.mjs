// A server by the official library that speaks both eras: node both_eras.mjs (serve|reject) [PORT]
//
// It has what the newer era does in another way: it asks back within a call, logs for a request, and tells of progress.

import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { McpServer, acceptedContent, createMcpHandler, inputRequired } = require("@modelcontextprotocol/server");
const { serveStdio } = require("@modelcontextprotocol/server/stdio");
const { z } = require("zod");

// Over HTTP each request has a server of its own.
let orders = 0;
const text = (text) => ({ content: [{ type: "text", text }] });

const [legacy = "serve", port] = process.argv.slice(2);
if (port) {
  const { getRequestListener } = require("@hono/node-server");
  const handler = createMcpHandler(server, { legacy: legacy === "serve" ? "stateless" : legacy });
  createServer(getRequestListener((request) => handler.fetch(request))).listen(Number(port), "127.0.0.1");
} else {
  serveStdio(server, { legacy });
}

function server() {
  const server = new McpServer(
    { name: "both-eras", version: "1" },
    { capabilities: { tools: {}, prompts: {}, resources: {}, logging: {} }, instructions: "count on it" },
  );
  server.registerTool(
    "look",
    { inputSchema: z.object({ at: z.string() }), annotations: { readOnlyHint: true, destructiveHint: false } },
    ({ at }) => text(`looked at ${at}`),
  );
  server.registerTool(
    "order",
    { inputSchema: z.object({ what: z.string() }), outputSchema: z.object({ number: z.number() }) },
    () => ({ ...text("ordered"), structuredContent: { number: ++orders } }),
  );
  server.registerTool("confirm", { inputSchema: z.object({ what: z.string() }) }, ({ what }, { mcpReq }) => {
    const answer = acceptedContent(mcpReq.inputResponses, "sure");
    if (answer) return text(`${answer.name} confirmed ${what}`);
    const requestedSchema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    return inputRequired({ inputRequests: { sure: inputRequired.elicit({ message: `${what}?`, requestedSchema }) } });
  });
  server.registerTool("refuse", { inputSchema: z.object({}) }, () => ({ ...text("the shop is closed"), isError: true }));
  server.registerPrompt("ask", { argsSchema: z.object({ whom: z.string() }) }, ({ whom }) => ({
    messages: [{ role: "user", content: { type: "text", text: `ask ${whom}` } }],
  }));
  server.registerResource("price", "shop://price", { mimeType: "text/plain" }, (uri) => ({
    contents: [{ uri: uri.href, text: "7" }],
  }));
  return server;
}
