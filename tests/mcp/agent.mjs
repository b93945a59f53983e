// A client of an MCP server by one of the official libraries, which writes down all that it hears.
//
// What differs between any two runs (ids made up at random, times) is replaced by a word, and what the gateway adds of its own
// (`_meta["dev.semel/…"]`) is taken out and kept beside. Everything else must be the same with and without the gateway.

import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// By way of NODE_PATH, which `import` does not know.
const require = createRequire(import.meta.url);
const { z } = require("zod");

const ANYTHING = z.any();
const CAPABILITIES = {
  roots: { listChanged: true },
  sampling: {},
  elicitation: { form: {}, url: {} },
};
const TASKS = { list: {}, cancel: {}, requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } };

/** `sdk` is the library of the older era, `client` the one that speaks both: `legacy`, `modern`, or `auto`. */
export async function connect(library, era, target) {
  return library === "sdk" ? older(target) : newer(era, target);
}

function older(target) {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const schemas = require("@modelcontextprotocol/sdk/types.js");
  const client = new Client({ name: "proof", version: "1" }, { capabilities: { ...CAPABILITIES, tasks: TASKS } });
  const named = {
    "roots/list": schemas.ListRootsRequestSchema,
    "sampling/createMessage": schemas.CreateMessageRequestSchema,
    "elicitation/create": schemas.ElicitRequestSchema,
    "tasks/get": schemas.GetTaskRequestSchema,
    "tasks/result": schemas.GetTaskPayloadRequestSchema,
  };
  const answer = (method, handler) => client.setRequestHandler(named[method], ({ params }) => handler(params ?? {}));
  return Agent.over(client, answer, transport(StdioClientTransport, StreamableHTTPClientTransport, target), true);
}

function newer(era, target) {
  const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  const mode = era === "modern" ? { pin: "2026-07-28" } : era;
  const client = new Client({ name: "proof", version: "1" }, { capabilities: CAPABILITIES, versionNegotiation: { mode } });
  const answer = (method, handler) => client.setRequestHandler(method, ({ params }) => handler(params ?? {}));
  return Agent.over(client, answer, transport(StdioClientTransport, StreamableHTTPClientTransport, target), false);
}

function transport(Stdio, Http, target) {
  if (target[0].startsWith("http")) return new Http(new URL(target[0]));
  return new Stdio({ command: target[0], args: target.slice(1), env: process.env, stderr: "inherit" });
}

class Agent {
  #client;
  #heard = [];
  #words = new Words();

  static async over(client, answer, transport, tasks) {
    const agent = new Agent();
    agent.#client = client;
    agent.tasks = tasks;
    agent.#listen(transport);
    // What a person or a model would say to what the server asks.
    agent.elicited = () => ({ action: "accept", content: { name: "Ada", interpretation: "snake" } });
    answer("roots/list", () => ({ roots: agent.roots }));
    answer("sampling/createMessage", (params) => agent.#sampled(params));
    answer("elicitation/create", (params) => agent.#elicit(params));
    if (tasks) {
      answer("tasks/get", () => agent.#task);
      answer("tasks/result", () => agent.result);
    }
    agent.roots = [{ uri: "file:///somewhere", name: "somewhere" }];
    await client.connect(transport);
    // Whether client and server, or whoever stands between them, came to speak the newer era.
    agent.newer = client.getProtocolEra?.() === "modern";
    return agent;
  }

  #task = { taskId: "of-the-client", status: "completed", createdAt: "then", lastUpdatedAt: "then", ttl: null };

  #sampled(params) {
    this.result = { model: "none", role: "assistant", content: { type: "text", text: `heard ${params.messages.length}` } };
    return params.task ? { task: this.#task } : this.result;
  }

  #elicit(params) {
    this.result = this.elicited();
    return params.task ? { task: this.#task } : this.result;
  }

  /** Writes down every message in the moment in which it comes, before the library sees it. */
  #listen(transport) {
    let heard;
    Object.defineProperty(transport, "onmessage", {
      get: () => heard && ((message, extra) => (this.#hear(message), heard(message, extra))),
      set: (handler) => (heard = handler),
    });
  }

  /** The library's own question for the era is seen here over standard streams only. */
  #hear(message) {
    if (message.id !== "server-discover-probe-1") this.#heard.push(message);
  }

  /** Does something, and prints what came of it and all that was heard meanwhile. */
  async step(name, work) {
    let came;
    try {
      came = await work(this.#client);
    } catch (error) {
      came = told(error);
    }
    const heard = this.#heard.splice(0).map((message) => this.#words.plain(message));
    const said = { step: this.#words.plain(name), came: this.#words.plain(came), heard, semel: this.#words.added.splice(0) };
    process.stdout.write(JSON.stringify(said) + "\n");
    return came;
  }

  ask(method, params = {}, options = {}) {
    return this.step(`${method} ${JSON.stringify(params)}`, () => this.raw(method, params, options));
  }

  raw(method, params = {}, options = {}) {
    return this.#client.request({ method, params }, ANYTHING, options);
  }

  call(name, args = {}, options = {}) {
    return this.ask("tools/call", { name, arguments: args }, options);
  }

  tell(method, params = {}) {
    return this.#client.notification({ method, params });
  }

  /** Hears of changes from now on, as the newer era does. */
  listen(filter) {
    return this.#client.listen(filter);
  }

  /** Waits until such a message was heard in this step. */
  async hears(what) {
    for (let tenth = 0; tenth < 100; tenth++) {
      if (this.#heard.some((message) => JSON.stringify(message).includes(what))) return;
      await sleep(100);
    }
    throw new Error(`nothing that tells ${what} was heard`);
  }

  async close() {
    await this.#client.close();
  }
}

/** Replaces what no two runs have in common. */
class Words {
  added = [];
  #ids = new Map();

  plain(value) {
    if (typeof value === "string") return this.#string(value);
    if (Array.isArray(value)) return value.map((item) => this.plain(item));
    if (value === null || typeof value !== "object") return value;
    const members = Object.entries(value).filter(([name, item]) => this.#own(name, item));
    return Object.fromEntries(members.map(([name, item]) => [name, this.plain(item)]).filter(([name, item]) => !empty(name, item)));
  }

  #own(name, item) {
    if (!name.startsWith("dev.semel/")) return true;
    this.added.push([name, item]);
    return false;
  }

  #string(text) {
    if (/^[A-Za-z0-9+/]{60,}=*$/.test(text)) {
      const decoded = Buffer.from(text, "base64").toString();
      if (decoded.includes(" created at ")) return this.#string(decoded);
    }
    return text
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b/g, (id) => this.#id(id))
      .replace(/^(\s*"PORT": ")\d+/m, "$1(port)")
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "(time)")
      .replace(/\d{1,2}:\d\d:\d\d( [AP]M)?/g, "(time)")
      .replace(/^(debug|info|notice|warning|error|critical|alert|emergency)$/, "(level)")
      .replace(/^[A-Z][a-z]+[- ]level[- ]message/, "(level) message");
  }

  #id(id) {
    if (!this.#ids.has(id)) this.#ids.set(id, `(id ${this.#ids.size + 1})`);
    return this.#ids.get(id);
  }
}

/** What failed, in the server's words: the newer era has errors that are errors of HTTP, too. */
function told({ message, code, data }) {
  try {
    const { error } = JSON.parse(data.text);
    return { failed: error.message, code: error.code, data: error.data };
  } catch {
    return { failed: message, code, data };
  }
}

const empty = (name, item) => name === "_meta" && Object.keys(item ?? {}).length === 0;
