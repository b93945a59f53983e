"""What the official Python library makes of a server: tools.py MODE CALLS (URL | COMMAND...)

MODE is the library's own word (`auto`, `legacy`, or a version), CALLS a file of JSON: a list of [tool, arguments]. Prints what
came of each step, as `tools.mjs` does for Node.
"""

import json
import os
import sys
from importlib.metadata import version

import anyio
from mcp import Client, StdioServerParameters, types

added = []


def plain(value):
    """Without what the gateway adds of its own, which is kept beside."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    added.extend([name, item] for name, item in value.items() if name.startswith("dev.semel/"))
    kept = {name: plain(item) for name, item in value.items() if not name.startswith("dev.semel/")}
    return {name: item for name, item in kept.items() if name != "_meta" or item}


async def step(name, work):
    heard.clear()
    try:
        came = await work()
        came = came.model_dump(mode="json", by_alias=True, exclude_none=True) if hasattr(came, "model_dump") else came
    except Exception as error:
        came = {"failed": str(error)}
    said = {"step": name, "came": plain(came), "heard": plain(list(heard)), "semel": list(added)}
    added.clear()
    print(json.dumps(said), flush=True)


heard = []


async def hear(message):
    if isinstance(message, Exception):
        heard.append(str(message))
    else:
        heard.append(message.model_dump(mode="json", by_alias=True, exclude_none=True))


async def progressed(progress, total, message):
    heard.append(["progress", progress, total, message])


async def roots(_):
    return types.ListRootsResult(roots=[types.Root(uri="file:///somewhere", name="somewhere")])


async def sampled(_, params):
    content = types.TextContent(type="text", text=f"heard {len(params.messages)}")
    return types.CreateMessageResult(role="assistant", content=content, model="none")


async def elicited(_, params):
    return types.ElicitResult(action="accept", content={"name": "Ada"})


async def main(mode, calls, *target):
    server = target[0] if target[0].startswith("http") else command(target)
    asked = {"sampling_callback": sampled, "elicitation_callback": elicited, "list_roots_callback": roots}
    async with Client(server, mode=mode, message_handler=hear, **asked) as client:
        await step("connected", lambda: said(client))
        await step("tools", client.list_tools)
        await step("resources", client.list_resources)
        await step("templates", client.list_resource_templates)
        await step("prompts", client.list_prompts)
        for tool, arguments in json.load(open(calls, encoding="utf-8")):
            await step(
                f"{tool} {json.dumps(arguments)}",
                lambda: client.call_tool(tool, arguments, progress_callback=progressed),
            )


async def said(client):
    info = client.server_info
    return [client.protocol_version, info.model_dump(mode="json") if info else None, client.instructions]


def command(target):
    return StdioServerParameters(command=target[0], args=list(target[1:]), env=dict(os.environ))


assert version("mcp").startswith("2."), "run `cargo xtask mcp-peers`"
anyio.run(main, *sys.argv[1:])
