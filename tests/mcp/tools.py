"""Lists what a server has and calls its tools: tools.py MODE CALLS (URL | COMMAND...)

MODE is the library's own word (`auto`, `legacy`, or a version), CALLS a file of JSON: a list of [tool, arguments].
"""

import json
import sys

import anyio
from agent import Agent


async def main(mode, calls, *target):
    async with Agent(mode, target) as agent:
        await agent.step("connected", lambda: said(agent))
        for what in ["tools", "resources", "resource_templates", "prompts"]:
            await agent.step(what, getattr(agent.client, f"list_{what}"))
        for tool, arguments in json.load(open(calls, encoding="utf-8")):
            await agent.call(tool, arguments)


async def said(agent):
    return agent.said()


anyio.run(main, *sys.argv[1:])
