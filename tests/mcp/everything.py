"""Every feature of `server-everything` that the Python library has, one after the other: everything.py MODE (URL | COMMAND...)

What the newer era does not have is left out where it is spoken; changes are then heard by listening.
"""

import contextlib
import sys

import anyio
from agent import Agent
from mcp import types

URI = "demo://resource/dynamic/text/1"


async def main(mode, *target):
    async with Agent(mode, target) as agent:
        await agent.step("connected", lambda: connected(agent))
        if not agent.newer:
            await agent.step("ping", agent.client.send_ping)
        await tools(agent)
        await resources(agent)
        await prompts(agent)
        await asking(agent)
        await working(agent)
        await failing(agent)


async def connected(agent):
    if not agent.newer:
        await agent.hears("Roots updated")
    return agent.said()


async def tools(agent):
    await agent.step("tools/list", agent.client.list_tools)
    await agent.call("echo", {"message": 'ünïcödé \u0000 "quoted"'})
    await agent.call("get-sum", {"a": 1.5, "b": 2})
    for kind in ["success", "error", "debug"]:
        await agent.call("get-annotated-message", {"messageType": kind, "includeImage": True})
    await agent.call("get-env")
    await agent.call("get-resource-links", {"count": 3})
    await agent.call("get-resource-reference", {"resourceType": "Text", "resourceId": 2})
    await agent.call("get-structured-content", {"location": "Chicago"})
    await agent.call("get-tiny-image")
    await agent.call("get-roots-list")


async def resources(agent):
    client = agent.client
    await agent.step("resources/list", client.list_resources)
    await agent.step("resources/templates/list", client.list_resource_templates)
    document = "demo://resource/static/document/features.md"
    for uri in [URI, "demo://resource/dynamic/blob/2", document, "demo://resource/nowhere"]:
        await agent.step(f"resources/read {uri}", lambda uri=uri: client.read_resource(uri))
    async with hearing(agent):
        await agent.step("updated", lambda: updated(agent))
        # The same call again, and it is meant: its answer was taken.
        await agent.call("toggle-subscriber-updates")
        for kind in ["resourceLink", "resource"]:
            await agent.step(f"zipped {kind}", lambda kind=kind: zipped(agent, kind))
            uri = f"demo://resource/session/{kind}.gz"
            await agent.step(f"resources/read {uri}", lambda uri=uri: client.read_resource(uri))


@contextlib.asynccontextmanager
async def hearing(agent):
    """Hears of changes, by the means of the era."""
    client = agent.client
    if agent.newer:
        async with client.listen(resources_list_changed=True, resource_subscriptions=[URI]):
            yield
        return
    await agent.step("resources/subscribe", lambda: client.subscribe_resource(URI))
    yield
    await agent.step("resources/unsubscribe", lambda: client.unsubscribe_resource(URI))


async def updated(agent):
    await agent.client.call_tool("toggle-subscriber-updates", {})
    await agent.hears("notifications/resources/updated")


async def zipped(agent, kind):
    arguments = {"name": f"{kind}.gz", "data": "data:text/plain,once", "outputType": kind}
    result = await agent.client.call_tool("gzip-file-as-resource", arguments)
    await agent.hears("notifications/resources/list_changed")
    return result


async def prompts(agent):
    client = agent.client
    await agent.step("prompts/list", client.list_prompts)
    for name, arguments in [
        ("simple-prompt", {}),
        ("args-prompt", {"city": "Paris", "state": "Texas"}),
        ("completable-prompt", {"department": "Sales", "name": "Eve"}),
        ("resource-prompt", {"resourceType": "Text", "resourceId": "1"}),
    ]:
        await agent.step(f"prompts/get {name}", lambda of=(name, arguments): client.get_prompt(*of))
    prompt = types.PromptReference(type="ref/prompt", name="completable-prompt")
    template = types.ResourceTemplateReference(type="ref/resource", uri="demo://resource/dynamic/text/{resourceId}")
    for reference, name, value, context in [
        (prompt, "department", "S", None),
        (prompt, "name", "", {"department": "Engineering"}),
        (template, "resourceId", "7", None),
    ]:
        argument = {"name": name, "value": value}
        of = (reference, argument, context)
        await agent.step(f"completion/complete {argument}", lambda of=of: client.complete(*of))


async def asking(agent):
    """What the server asks the client."""
    await agent.call("trigger-sampling-request", {"prompt": "say something", "maxTokens": 7})
    accepted = agent.elicited
    for answer in [accepted, types.ElicitResult(action="decline"), types.ElicitResult(action="cancel")]:
        agent.elicited = answer
        await agent.call("trigger-elicitation-request")
    agent.elicited = types.ElicitResult(action="accept")
    url = "https://example.com/pay"
    await agent.call("trigger-url-elicitation", {"url": url, "elicitationId": "one"})
    # First it is refused until something else was done, then it goes on.
    for _ in ["before", "after"]:
        await agent.call("trigger-url-elicitation", {"url": url, "elicitationId": "two", "errorPath": True})
    agent.elicited = accepted


async def working(agent):
    """What takes a while: logging, progress, cancellation."""
    if not agent.newer:
        await agent.step("logging/setLevel", lambda: agent.client.set_logging_level("debug"))
        await agent.step("logged", lambda: logged(agent))
        await agent.call("toggle-simulated-logging")
    await agent.call("trigger-long-running-operation", {"duration": 0.5, "steps": 5})
    if not agent.newer:
        await agent.step("roots changed", lambda: changed(agent))
    await agent.step("cancelled", lambda: cancelled(agent))


async def logged(agent):
    await agent.client.call_tool("toggle-simulated-logging", {})
    await agent.hears("notifications/message")


async def changed(agent):
    agent.roots = ["file:///elsewhere", "file:///somewhere"]
    await agent.client.send_roots_list_changed()
    await agent.hears("2 root(s)")


async def cancelled(agent):
    with anyio.move_on_after(0.3) as scope:
        await agent.client.call_tool("trigger-long-running-operation", {"duration": 0.6, "steps": 3})
    await anyio.sleep(1)
    return scope.cancelled_caught


async def failing(agent):
    await agent.call("no-such-tool")
    await agent.call("get-sum", {"a": "one"})
    await agent.step("prompts/get no-such-prompt", lambda: agent.client.get_prompt("no-such-prompt"))
    await agent.step("prompts/get args-prompt", lambda: agent.client.get_prompt("args-prompt", {}))
    await agent.step("tools/list made up", lambda: agent.client.list_tools(cursor="made up"))


anyio.run(main, *sys.argv[1:])
