"""A client on the official Python SDK (`mcp` 2.x). Usage: see features.mjs; modes:

legacy  the `initialize` handshake     2026-07-28  pinned     auto  negotiated     sse  HTTP+SSE of 2024-11-05
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from py_features import Host, main


class Official:
    """`mcp.Client` as the features need it."""

    def __init__(self, client: Client) -> None:
        self.client, self.session, self.version = client, client.session, client.protocol_version

    async def page(self, what: str, cursor: str | None) -> Any:
        return await getattr(self.client, f"list_{what}")(cursor=cursor)

    async def call(self, name: str, arguments: dict[str, Any], progress: Any = None, meta: Any = None) -> Any:
        return await self.client.call_tool(name, arguments, progress_callback=progress, meta=meta)

    async def prompt(self, name: str, arguments: dict[str, Any] | None) -> Any:
        return await self.client.get_prompt(name, arguments)

    async def read(self, uri: str) -> Any:
        return await self.client.read_resource(uri)

    async def complete(self, ref: Any, argument: dict[str, str], context: dict[str, str] | None) -> list[str]:
        return (await self.client.complete(ref, argument, context)).completion.values

    async def set_level(self, level: str) -> None:
        await self.client.set_logging_level(level)

    async def ping(self) -> None:
        await self.client.send_ping()


@asynccontextmanager
async def connect(mode: str, url: str, host: Host) -> AsyncIterator[Official]:
    async def elicit(_context: Any, params: Any) -> types.ElicitResult:
        return host.elicit(params)

    async def sample(_context: Any, params: Any) -> types.CreateMessageResult:
        return host.sample(params)

    async def roots(_context: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///srv/one", name="one")])

    transport = sse_client(url) if mode == "sse" else streamable_http_client(url)
    client = Client(
        transport,
        mode="legacy" if mode == "sse" else mode,
        message_handler=host.on_message,
        elicitation_callback=elicit,
        sampling_callback=sample,
        list_roots_callback=roots,
    )
    async with client:
        yield Official(client)


if __name__ == "__main__":
    main(connect, ["legacy", "2026-07-28", "auto", "sse"])
