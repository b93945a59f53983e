"""A server by FastMCP, which nobody here wrote: fast.py [PORT]"""

import sys

from fastmcp import Context, FastMCP

server = FastMCP("fast", instructions="count on it")
orders = []


@server.tool(annotations={"readOnlyHint": True, "destructiveHint": False})
def look(at: str) -> str:
    """Look at something."""
    return f"looked at {at}"


@server.tool
async def order(what: str, context: Context) -> dict:
    """Order something."""
    await context.info(f"ordering {what}")
    await context.report_progress(1, 2)
    orders.append(what)
    return {"number": len(orders)}


@server.tool
def refuse() -> str:
    """Refuse."""
    raise ValueError("the shop is closed")


@server.resource("shop://price")
def price() -> str:
    """What it costs."""
    return "7"


@server.prompt
def ask(whom: str) -> str:
    """Ask somebody."""
    return f"ask {whom}"


if len(sys.argv) > 1:
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
else:
    server.run(show_banner=False)
