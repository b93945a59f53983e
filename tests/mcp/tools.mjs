// Lists what a server has and calls its tools: node tools.mjs LIBRARY ERA CALLS (URL | COMMAND…)
//
// CALLS is a file of JSON: a list of [tool, arguments].

import { readFileSync } from "node:fs";
import { connect } from "./agent.mjs";

const [library, era, calls, ...target] = process.argv.slice(2);
const agent = await connect(library, era, target);
await agent.step("connected", async (client) => [client.getServerVersion(), client.getInstructions()]);
for (const list of ["tools/list", "resources/list", "resources/templates/list", "prompts/list"]) await agent.ask(list);
for (const [tool, args] of JSON.parse(readFileSync(calls, "utf8"))) await agent.call(tool, args);
await agent.close();
