// Every feature of `server-everything`, one after the other: node everything.mjs LIBRARY ERA (URL | COMMAND…)
//
// What the newer era does not have (`ping`, a level of logging for all requests, roots that change) is left out where it is
// spoken; changes are then heard by listening.

import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "./agent.mjs";

const [library, era, ...target] = process.argv.slice(2);
const agent = await connect(library, era, target);
const started = (client) => [client.getServerVersion(), client.getServerCapabilities(), client.getInstructions()];

await agent.step("connected", async (client) => {
  if (!agent.newer) await agent.hears("Roots updated");
  return started(client);
});
if (!agent.newer) await agent.ask("ping");
await tools();
await resources();
await prompts();
await asking();
await working();
await failing();
await agent.close();

async function tools() {
  await agent.ask("tools/list");
  await agent.call("echo", { message: "ünïcödé \u0000 \"quoted\"" });
  await agent.call("get-sum", { a: 1.5, b: 2 });
  for (const messageType of ["success", "error", "debug"]) {
    await agent.call("get-annotated-message", { messageType, includeImage: true });
  }
  await agent.call("get-env");
  await agent.call("get-resource-links", { count: 3 });
  await agent.call("get-resource-reference", { resourceType: "Text", resourceId: 2 });
  await agent.call("get-structured-content", { location: "Chicago" });
  await agent.call("get-tiny-image");
  await agent.call("get-roots-list");
}

async function resources() {
  await agent.ask("resources/list");
  await agent.ask("resources/templates/list");
  const uri = "demo://resource/dynamic/text/1";
  await agent.ask("resources/read", { uri });
  await agent.ask("resources/read", { uri: "demo://resource/dynamic/blob/2" });
  await agent.ask("resources/read", { uri: "demo://resource/static/document/features.md" });
  await agent.ask("resources/read", { uri: "demo://resource/nowhere" });
  const listening = agent.newer && (await agent.listen({ resourcesListChanged: true, resourceSubscriptions: [uri] }));
  if (!listening) await agent.ask("resources/subscribe", { uri });
  await agent.step("updated", async () => {
    await agent.raw("tools/call", { name: "toggle-subscriber-updates", arguments: {} });
    await agent.hears("notifications/resources/updated");
  });
  // The same call again, and it is meant: its answer was taken.
  await agent.call("toggle-subscriber-updates");
  if (!listening) await agent.ask("resources/unsubscribe", { uri });
  for (const outputType of ["resourceLink", "resource"]) {
    const data = "data:text/plain,once";
    await agent.step(`zipped ${outputType}`, async () => {
      const zipped = await agent.raw("tools/call", {
        name: "gzip-file-as-resource",
        arguments: { name: `${outputType}.gz`, data, outputType },
      });
      await agent.hears("notifications/resources/list_changed");
      return zipped;
    });
    await agent.ask("resources/read", { uri: `demo://resource/session/${outputType}.gz` });
  }
  if (listening) await listening.close();
}

async function prompts() {
  await agent.ask("prompts/list");
  await agent.ask("prompts/get", { name: "simple-prompt" });
  await agent.ask("prompts/get", { name: "args-prompt", arguments: { city: "Paris", state: "Texas" } });
  await agent.ask("prompts/get", { name: "completable-prompt", arguments: { department: "Sales", name: "Eve" } });
  await agent.ask("prompts/get", { name: "resource-prompt", arguments: { resourceType: "Text", resourceId: "1" } });
  const ref = { type: "ref/prompt", name: "completable-prompt" };
  await agent.ask("completion/complete", { ref, argument: { name: "department", value: "S" } });
  const context = { arguments: { department: "Engineering" } };
  await agent.ask("completion/complete", { ref, argument: { name: "name", value: "" }, context });
  const template = { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" };
  await agent.ask("completion/complete", { ref: template, argument: { name: "resourceId", value: "7" } });
}

/** What the server asks the client. */
async function asking() {
  await agent.call("trigger-sampling-request", { prompt: "say something", maxTokens: 7 });
  for (const answer of [agent.elicited(), { action: "decline" }, { action: "cancel" }]) {
    agent.elicited = () => answer;
    await agent.call("trigger-elicitation-request");
  }
  agent.elicited = () => ({ action: "accept", content: { name: "Ada", interpretation: "snake" } });
  const url = "https://example.com/pay";
  await agent.call("trigger-url-elicitation", { url, elicitationId: "one" });
  // First it is refused until something else was done, then it goes on.
  for (const _ of ["before", "after"]) {
    await agent.call("trigger-url-elicitation", { url, elicitationId: "two", errorPath: true });
  }
  if (!agent.tasks) return;
  await agent.call("trigger-sampling-request-async", { prompt: "later", maxTokens: 7 });
  await agent.call("trigger-elicitation-request-async");
}

/** What takes a while: logging, progress, tasks, cancellation. */
async function working() {
  if (!agent.newer) await logging();
  await agent.call("trigger-long-running-operation", { duration: 0.5, steps: 5 }, { onprogress: () => {} });
  if (!agent.newer) await changing();
  if (agent.tasks) await task();
  await agent.step("cancelled", async () => {
    const cancel = new AbortController();
    const [operation] = await Promise.allSettled([
      agent.raw(
        "tools/call",
        { name: "trigger-long-running-operation", arguments: { duration: 0.6, steps: 3 } },
        { signal: cancel.signal, onprogress: () => cancel.abort("enough") },
      ),
    ]);
    await sleep(1000);
    return operation.status;
  });
}

async function logging() {
  await agent.ask("logging/setLevel", { level: "debug" });
  await agent.step("logged", async () => {
    await agent.raw("tools/call", { name: "toggle-simulated-logging", arguments: {} });
    await agent.hears("message");
  });
  await agent.call("toggle-simulated-logging");
}

async function changing() {
  await agent.step("roots changed", async () => {
    agent.roots = [{ uri: "file:///elsewhere" }, { uri: "file:///somewhere" }];
    await agent.tell("notifications/roots/list_changed");
    await agent.hears("2 root(s)");
  });
}

async function task() {
  const params = { name: "simulate-research-query", arguments: { topic: "python", ambiguous: true }, task: { ttl: 60000 } };
  const { task } = await agent.ask("tools/call", params);
  const { taskId } = task;
  await agent.ask("tasks/get", { taskId });
  // It comes once the client has answered what the task asks on the way.
  await agent.ask("tasks/result", { taskId });
  await agent.ask("tasks/get", { taskId });
  await agent.ask("tasks/list");
  const another = { ...params, arguments: { topic: "rust" } };
  const { task: other } = await agent.ask("tools/call", another);
  await agent.ask("tasks/cancel", { taskId: other?.taskId ?? "none" });
}

async function failing() {
  await agent.call("no-such-tool");
  await agent.call("get-sum", { a: "one" });
  await agent.ask("prompts/get", { name: "no-such-prompt" });
  await agent.ask("prompts/get", { name: "args-prompt", arguments: {} });
  await agent.ask("x/no-such-method", { kept: [1.5, null] });
  await agent.ask("tools/list", { cursor: "made up" });
}
