"""A client on FastMCP (`fastmcp` 4.x). Usage: see features.mjs; modes:

auto  negotiated     legacy  the `initialize` handshake     sse  HTTP+SSE of 2024-11-05

It has no calls of its own for subscriptions; those go through its public `session`, which is the official SDK's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport

from py_features import Host, main


class FastMcp:
    """`fastmcp.Client` as the features need it."""

    def __init__(self, client: Client) -> None:
        self.client, self.session, self.version = client, client.session, client.protocol_version or ""

    async def page(self, what: str, cursor: str | None) -> Any:
        return await getattr(self.client, f"list_{what}_mcp")(cursor=cursor)

    async def call(self, name: str, arguments: dict[str, Any], progress: Any = None, meta: Any = None) -> Any:
        return await self.client.call_tool_mcp(name, arguments, progress_handler=progress, meta=meta)

    async def prompt(self, name: str, arguments: dict[str, Any] | None) -> Any:
        return await self.client.get_prompt_mcp(name, arguments)

    async def read(self, uri: str) -> Any:
        return await self.client.read_resource_mcp(uri)

    async def complete(self, ref: Any, argument: dict[str, str], context: dict[str, str] | None) -> list[str]:
        return (await self.client.complete(ref, argument, context)).values

    async def set_level(self, level: str) -> None:
        await self.client.set_logging_level(level)

    async def ping(self) -> None:
        assert await self.client.ping()


@asynccontextmanager
async def connect(mode: str, url: str, host: Host) -> AsyncIterator[FastMcp]:
    async def elicit(message: str, _response_type: Any, params: Any, _context: Any) -> types.ElicitResult:
        return host.elicit(params)

    async def sample(_messages: Any, params: Any, _context: Any) -> types.CreateMessageResult:
        return host.sample(params)

    async def log(_message: Any) -> None:
        """Keeps it off stderr; the features see it by `message_handler`."""

    client = Client(
        SSETransport(url) if mode == "sse" else StreamableHttpTransport(url),
        mode="legacy" if mode == "sse" else mode,
        message_handler=host.on_message,
        log_handler=log,
        elicitation_handler=elicit,
        sampling_handler=sample,
        roots=[types.Root(uri="file:///srv/one", name="one")],
    )
    async with client:
        yield FastMcp(client)


if __name__ == "__main__":
    main(connect, ["auto", "legacy", "sse"])
