"""A client of an MCP server by the official Python library, which writes down what it hears, as `agent.mjs` does for Node."""

import base64
import json
import os
import re
from importlib.metadata import version

import anyio
from mcp import Client, StdioServerParameters, types

assert version("mcp").startswith("2."), "run `cargo xtask mcp-peers`"

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b"


class Agent:
    """What it heard and was told, step by step."""

    def __init__(self, mode, target):
        self.heard, self.added, self.ids = [], [], {}
        # What a person would say to what the server asks.
        self.elicited = types.ElicitResult(action="accept", content={"name": "Ada", "interpretation": "snake"})
        self.roots = ["file:///somewhere"]
        server = target[0] if target[0].startswith("http") else command(target)
        asked = {
            "sampling_callback": self._sampled,
            "elicitation_callback": self._elicited,
            "list_roots_callback": self._roots,
        }
        self.client = Client(server, mode=mode, message_handler=self._hear, cache=None, **asked)

    async def __aenter__(self):
        await self.client.__aenter__()
        # Whether client and server, or whoever stands between them, came to speak the newer era.
        self.newer = self.client.protocol_version >= "2026"
        return self

    async def __aexit__(self, *error):
        return await self.client.__aexit__(*error)

    async def step(self, name, work):
        """Does something, and prints what came of it and all that was heard meanwhile."""
        try:
            came = await work()
            came = came.model_dump(mode="json", by_alias=True, exclude_none=True) if hasattr(came, "model_dump") else came
        except Exception as error:
            came = {"failed": str(error)}
        said = {"step": self.plain(name), "came": self.plain(came), "heard": self.plain(self.heard), "semel": self.added}
        print(json.dumps(said), flush=True)
        self.heard, self.added = [], []
        return came

    async def call(self, tool, arguments=None):
        name = f"tools/call {tool} {json.dumps(arguments or {})}"
        return await self.step(name, lambda: self.client.call_tool(tool, arguments or {}, progress_callback=self._progressed))

    async def hears(self, what):
        """Waits until such a message was heard in this step."""
        for _ in range(100):
            if what in json.dumps(self.heard):
                return
            await anyio.sleep(0.1)
        raise RuntimeError(f"nothing that tells {what} was heard")

    def said(self):
        info = self.client.server_info
        return [self.client.protocol_version, info.model_dump(mode="json") if info else None, self.client.instructions]

    def plain(self, value):
        """Without what no two runs have in common, and what the gateway adds of its own, which is kept beside."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if not isinstance(value, dict):
            return value
        self.added.extend([name, item] for name, item in value.items() if name.startswith("dev.semel/"))
        kept = {name: self.plain(item) for name, item in value.items() if not name.startswith("dev.semel/")}
        return {name: item for name, item in kept.items() if name != "_meta" or item}

    def _text(self, text):
        if re.fullmatch(r"[A-Za-z0-9+/]{60,}=*", text):
            decoded = base64.b64decode(text).decode(errors="replace")
            text = decoded if " created at " in decoded else text
        text = re.sub(UUID, lambda found: self.ids.setdefault(found[0], f"(id {len(self.ids) + 1})"), text)
        text = re.sub(r'^(\s*"PORT": ")\d+', r"\1(port)", text, flags=re.MULTILINE)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{1,2}:\d\d:\d\d( [AP]M)?", "(time)", text)
        text = re.sub(r"^(debug|info|notice|warning|error|critical|alert|emergency)$", "(level)", text)
        return re.sub(r"^[A-Z][a-z]+[- ]level[- ]message", "(level) message", text)

    async def _hear(self, message):
        whole = hasattr(message, "model_dump")
        self.heard.append(message.model_dump(mode="json", by_alias=True, exclude_none=True) if whole else str(message))

    async def _progressed(self, progress, total, message):
        self.heard.append(["progress", progress, total, message])

    async def _roots(self, _):
        return types.ListRootsResult(roots=[types.Root(uri=uri) for uri in self.roots])

    async def _sampled(self, _, params):
        content = types.TextContent(type="text", text=f"heard {len(params.messages)}")
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async def _elicited(self, _, params):
        return self.elicited


def command(target):
    return StdioServerParameters(command=target[0], args=list(target[1:]), env=dict(os.environ))
