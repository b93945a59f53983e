"""An agent whose framework calls a failing tool again by itself: retrying.py FRAMEWORK COMMAND...

FRAMEWORK is `langchain` (its `ToolRetryMiddleware`) or `openai` (`max_retry_attempts` of the Agents SDK). The model is a script:
it calls `pay` once, and then says that it is done. Nothing leaves this machine.
"""

import asyncio
import os
import sys


async def langchain(command):
    from langchain.agents import create_agent
    from langchain.agents.middleware import ToolRetryMiddleware
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_mcp_adapters.client import MultiServerMCPClient

    class Scripted(GenericFakeChatModel):
        def bind_tools(self, tools, **_):
            return self

    call = {"name": "pay", "args": {"amount": 7}, "id": "1", "type": "tool_call"}
    model = Scripted(messages=iter([AIMessage(content="", tool_calls=[call]), AIMessage(content="done")]))
    server = {"transport": "stdio", "command": command[0], "args": command[1:], "env": dict(os.environ)}
    tools = await MultiServerMCPClient({"bank": server}).get_tools()
    retry = ToolRetryMiddleware(max_retries=3, initial_delay=0.0, jitter=False)
    agent = create_agent(model, tools, middleware=[retry])
    state = await agent.ainvoke({"messages": [{"role": "user", "content": "pay 7"}]})
    return [str(message.content) for message in state["messages"] if message.type == "tool"]


async def openai(command):
    from agents.mcp import MCPServerStdio

    params = {"command": command[0], "args": command[1:], "env": dict(os.environ)}
    async with MCPServerStdio(
        params, max_retry_attempts=3, retry_backoff_seconds_base=0.01, client_session_timeout_seconds=1
    ) as server:
        try:
            result = await server.call_tool("pay", {"amount": 7})
        except Exception as error:
            return [f"failed: {error}"]
        return [str(part) for part in result.content]


async def main(framework, *command):
    for said in await {"langchain": langchain, "openai": openai}[framework](list(command)):
        print(said)


asyncio.run(main(*sys.argv[1:]))
