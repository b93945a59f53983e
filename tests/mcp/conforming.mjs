// The server that the conformance suite asks for, by the official library of the older era: node conforming.mjs PORT
//
// Everything in it has the name and the words that the suite's scenarios want.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// By way of NODE_PATH, which `import` does not know.
const require = createRequire(import.meta.url);
const { createMcpExpressApp } = require("@modelcontextprotocol/sdk/server/express.js");
const { Server } = require("@modelcontextprotocol/sdk/server/index.js");
const { StreamableHTTPServerTransport } = require("@modelcontextprotocol/sdk/server/streamableHttp.js");
const schemas = require("@modelcontextprotocol/sdk/types.js");

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const text = (text) => ({ type: "text", text });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const embedded = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });
const object = (properties = {}, required = []) => ({ type: "object", properties, required });

/** Each tool: what it does, and what it takes. */
const TOOLS = {
  test_simple_text: [() => [text("This is a simple text response for testing.")]],
  test_image_content: [() => [image]],
  test_audio_content: [() => [{ type: "audio", data: WAV, mimeType: "audio/wav" }]],
  test_embedded_resource: [
    () => [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  ],
  test_multiple_content_types: [
    () => [
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  ],
  test_tool_with_logging: [logging],
  test_tool_with_progress: [progress],
  test_error_handling: [
    () => {
      throw new Error("This tool intentionally returns an error for testing");
    },
  ],
  test_sampling: [sampling, object({ prompt: { type: "string" } }, ["prompt"])],
  test_elicitation: [elicitation, object({ message: { type: "string" } }, ["message"])],
  test_elicitation_sep1034_defaults: [(_, extra) => elicited(extra, DEFAULTS)],
  test_elicitation_sep1330_enums: [(_, extra) => elicited(extra, ENUMS)],
  test_reconnection: [reconnection],
  json_schema_2020_12_tool: [
    () => [text("done")],
    {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: { address: object({ street: { type: "string" }, city: { type: "string" } }) },
      properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
      additionalProperties: false,
    },
  ],
};

const DEFAULTS = object({
  name: { type: "string", default: "John Doe" },
  age: { type: "integer", default: 30 },
  score: { type: "number", default: 95.5 },
  status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", default: true },
});

const titled = (word, title) => ["1", "2", "3"].map((n) => ({ const: word + n, title: `${title} ${n}` }));
const ENUMS = object({
  untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
  titledSingle: { type: "string", oneOf: titled("value", "Option") },
  legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
  untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
  titledMulti: { type: "array", items: { anyOf: titled("value", "Choice") } },
});

async function logging(_, extra) {
  for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
    await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
    await sleep(50);
  }
  return [text("logged")];
}

async function progress(_, extra) {
  const { progressToken } = extra._meta ?? {};
  for (const progress of [0, 50, 100]) {
    if (progressToken !== undefined) {
      await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
    }
    await sleep(50);
  }
  return [text("progressed")];
}

async function sampling({ prompt }, extra) {
  const params = { messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 };
  const { content } = await extra.sendRequest({ method: "sampling/createMessage", params }, schemas.CreateMessageResultSchema);
  return [text(`LLM response: ${content.text}`)];
}

function elicitation({ message }, extra) {
  return elicited(extra, object({ username: { type: "string" }, email: { type: "string" } }, ["username", "email"]), message);
}

async function elicited(extra, requestedSchema, message = "Please say") {
  const params = { message, requestedSchema };
  const { action, content } = await extra.sendRequest({ method: "elicitation/create", params }, schemas.ElicitResultSchema);
  return [text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`)];
}

/** Closes the stream of its own call before it answers: the client has to come back for the answer. */
async function reconnection(_, extra) {
  await sleep(100);
  extra.closeSSEStream?.();
  await sleep(100);
  return [text("Reconnection test completed successfully")];
}

const user = (...contents) => ({ messages: contents.map((content) => ({ role: "user", content })) });

/** Each prompt: what it says, and what it takes. */
const PROMPTS = {
  test_simple_prompt: [() => user(text("This is a simple prompt for testing."))],
  test_prompt_with_arguments: [
    ({ arg1, arg2 }) => user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
    "arg1",
    "arg2",
  ],
  test_prompt_with_embedded_resource: [
    ({ resourceUri }) =>
      user(
        embedded(resourceUri, "text/plain", "Embedded resource content for testing."),
        text("Please process the embedded resource above."),
      ),
    "resourceUri",
  ],
  test_prompt_with_image: [() => user(image, text("Please analyze the image above."))],
};

const RESOURCES = {
  "test://static-text": { mimeType: "text/plain", text: "This is the content of the static text resource." },
  "test://static-binary": { mimeType: "image/png", blob: PNG },
  "test://watched-resource": { mimeType: "text/plain", text: "watched" },
};

function read(uri) {
  const id = /^test:\/\/template\/(.+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return RESOURCES[uri];
  return { mimeType: "application/json", text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) };
}

function server() {
  const capabilities = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} };
  const server = new Server({ name: "conforming", version: "1" }, { capabilities });
  const answers = {
    ListTools: () => ({
      tools: Object.entries(TOOLS).map(([name, [, inputSchema = object()]]) => ({ name, description: name, inputSchema })),
    }),
    CallTool: async ({ name, arguments: args }, extra) => {
      try {
        return { content: await TOOLS[name][0](args ?? {}, extra) };
      } catch (error) {
        return { content: [text(error.message)], isError: true };
      }
    },
    ListPrompts: () => ({
      prompts: Object.entries(PROMPTS).map(([name, [, ...args]]) => ({
        name,
        description: name,
        arguments: args.map((name) => ({ name, description: name, required: true })),
      })),
    }),
    GetPrompt: ({ name, arguments: args }) => PROMPTS[name][0](args ?? {}),
    ListResources: () => ({
      resources: Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({ uri, name: uri, description: uri, mimeType })),
    }),
    ListResourceTemplates: () => ({
      resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }],
    }),
    ReadResource: ({ uri }) => ({ contents: [{ uri, ...read(uri) }] }),
    Subscribe: () => ({}),
    Unsubscribe: () => ({}),
    SetLevel: () => ({}),
    Complete: () => ({ completion: { values: [], total: 0, hasMore: false } }),
  };
  for (const [method, answer] of Object.entries(answers)) {
    server.setRequestHandler(schemas[`${method}RequestSchema`], ({ params }, extra) => answer(params, extra));
  }
  return server;
}

/** Keeps events, so that a client that comes back hears the rest of its stream. */
class Events {
  #events = [];

  async storeEvent(stream, message) {
    this.#events.push({ id: `${stream}/${this.#events.length}`, stream, message });
    return this.#events.at(-1).id;
  }

  async getStreamIdForEventId(id) {
    return id.slice(0, id.lastIndexOf("/"));
  }

  async replayEventsAfter(last, { send }) {
    const stream = await this.getStreamIdForEventId(last);
    const at = this.#events.findIndex(({ id }) => id === last);
    for (const event of this.#events.slice(at + 1)) {
      if (event.stream === stream && Object.keys(event.message).length > 0) await send(event.id, event.message);
    }
    return stream;
  }
}

const transports = new Map();
const app = createMcpExpressApp();
app.all("/mcp", async (request, response) => {
  const session = request.headers["mcp-session-id"];
  const transport = transports.get(session) ?? (session ? undefined : await opened());
  if (!transport) {
    const error = { code: -32001, message: "Session not found" };
    return response.status(404).json({ jsonrpc: "2.0", error, id: null });
  }
  return transport.handleRequest(request, response, request.body);
});
app.listen(Number(process.argv[2]), "127.0.0.1");

async function opened() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new Events(),
    retryInterval: 500,
    onsessioninitialized: (id) => transports.set(id, transport),
  });
  await server().connect(transport);
  return transport;
}
