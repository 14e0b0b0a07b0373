"""What a legacy client (2025-11-25) must be able to do with server-everything 2026.8.31."""

from typing import Any

import anyio
import httpx2
import mcp_types as types

from py_peer import Peer, Progress, concurrent, connected, deadline, described, digest, failure, text

UNICODE = 'grüße 漢字 😀 \u2028 "quoted" \\ back, \u0007 bell'
TEXT = "demo://resource/dynamic/text/7"
PROMPT = types.PromptReference(type="ref/prompt", name="completable-prompt")


async def initialize(peer: Peer) -> Any:
    server, capabilities = peer.client.server_info, peer.client.server_capabilities
    assert peer.client.protocol_version == "2025-11-25"
    assert server is not None and server.name == "mcp-servers/everything"
    assert capabilities.resources is not None and capabilities.resources.subscribe
    return {"server": server.model_dump(mode="json"), "capabilities": capabilities.model_dump(mode="json")}


async def tools_list(peer: Peer) -> Any:
    tools: list[Any] = []
    cursor: str | None = None
    while True:
        page = await peer.client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    names = [tool.name for tool in tools]
    assert "echo" in names and len(set(names)) == len(names)
    return {"names": names, "tools": digest([tool.model_dump(mode="json", by_alias=True) for tool in tools])}


async def echo(peer: Peer) -> None:
    for message in ["plain", "", UNICODE, "x" * 200_000]:
        assert text(await peer.client.call_tool("echo", {"message": message})) == f"Echo: {message}"


async def structured_content(peer: Peer) -> Any:
    result = await peer.client.call_tool("get-structured-content", {"location": "Chicago"})
    assert result.structured_content == {"temperature": 36, "conditions": "Light rain / drizzle", "humidity": 82}
    return result.structured_content


async def progress(peer: Peer) -> None:
    """A second call starts at the first event and ends before the first call does."""
    seen = Progress()
    order: list[str] = []

    async def operation() -> None:
        arguments = {"duration": 2, "steps": 4}
        await peer.client.call_tool("trigger-long-running-operation", arguments, progress_callback=seen)
        order.append("operation")

    async with anyio.create_task_group() as group:
        group.start_soon(operation)
        with deadline("the first progress event"):
            await seen.first.wait()
        await peer.client.call_tool("echo", {"message": "meanwhile"})
        order.append("echo")
    assert order == ["echo", "operation"], order
    assert seen.events == [1, 2, 3, 4], seen.events


async def elicitation(peer: Peer) -> Any:
    accepted = await peer.client.call_tool("trigger-elicitation-request", {})
    assert "Ada" in str(accepted)
    peer.elicit_action = "decline"
    declined = await peer.client.call_tool("trigger-elicitation-request", {})
    assert "declined" in text(declined)
    return {"asked": digest(peer.asked[0].requested_schema)}


async def sampling(peer: Peer) -> Any:
    result = await peer.client.call_tool("trigger-sampling-request", {"prompt": UNICODE, "maxTokens": 17})
    assert peer.asked[0].max_tokens == 17 and "grüße 漢字 😀" in str(peer.asked[0].messages)
    assert "Paris, says the model" in text(result)
    return text(result)


async def roots(peer: Peer) -> Any:
    # The server asks by itself, once the GET stream should be open, and says in the log what it got.
    await peer.next("a log line", lambda message: "Roots updated: 1 root" in str(message))
    before = text(await peer.client.call_tool("get-roots-list", {}))
    assert "file:///srv/one" in before
    peer.roots.append("file:///srv/two")
    await peer.client.send_roots_list_changed()
    await peer.next("a log line", lambda message: "Roots updated: 2 root" in str(message))
    after = text(await peer.client.call_tool("get-roots-list", {}))
    assert "file:///srv/two" in after
    return [before, after]


async def resources(peer: Peer) -> Any:
    templates = await peer.client.list_resource_templates()
    assert len(templates.resource_templates) == 2
    read = await peer.client.read_resource(TEXT)
    assert read.contents[0].text.startswith("Resource 7: This is a plaintext resource")
    missing = await failure(peer.client.read_resource("demo://nowhere"))
    return {"templates": digest(templates), "missing": described(missing)}


async def subscribe(peer: Peer) -> None:
    await peer.client.subscribe_resource(TEXT)
    await peer.client.call_tool("toggle-subscriber-updates", {})
    update = await peer.next("an update", lambda message: isinstance(message, types.ResourceUpdatedNotification))
    assert str(update.params.uri) == TEXT
    await peer.client.unsubscribe_resource(TEXT)
    await peer.client.call_tool("toggle-subscriber-updates", {})


async def prompts(peer: Peer) -> Any:
    listed = await peer.client.list_prompts()
    filled = await peer.client.get_prompt("args-prompt", {"city": "Łódź", "state": "PL"})
    assert filled.messages[0].content.text == "What's weather in Łódź, PL?"
    return [prompt.name for prompt in listed.prompts]


async def completion(peer: Peer) -> None:
    first = await peer.client.complete(PROMPT, {"name": "department", "value": "S"})
    assert first.completion.values == ["Sales", "Support"]
    second = await peer.client.complete(PROMPT, {"name": "name", "value": "E"}, {"department": "Sales"})
    assert second.completion.values == ["Eve"]


async def logging(peer: Peer) -> None:
    await peer.client.set_logging_level("debug")
    await peer.client.call_tool("toggle-simulated-logging", {})
    await peer.next(
        "a simulated log message",
        lambda message: isinstance(message, types.LoggingMessageNotification) and "evel" in str(message.params.data),
    )
    await peer.client.call_tool("toggle-simulated-logging", {})


async def cancellation(peer: Peer) -> None:
    seen = Progress()
    arguments = {"duration": 60, "steps": 200}
    async with anyio.create_task_group() as group:
        group.start_soon(
            lambda: peer.client.call_tool("trigger-long-running-operation", arguments, progress_callback=seen)
        )
        with deadline("the first progress event"):
            await seen.first.wait()
        group.cancel_scope.cancel()
    assert text(await peer.client.call_tool("echo", {"message": "still here"})) == "Echo: still here"


async def ping(peer: Peer) -> None:
    await peer.client.send_ping()


async def legacy_concurrent(peer: Peer) -> None:
    async def call(who: Peer, key: str) -> str:
        return text(await who.client.call_tool("echo", {"message": f"<{key}>"}))

    await concurrent(peer, "legacy", call)


async def legacy_errors(peer: Peer) -> Any:
    tool = await peer.client.call_tool("no-such-tool", {})
    assert tool.is_error and "no-such-tool" in text(tool)
    unknown = types.Request(method="no/such/method", params=None)
    method = await failure(peer.client.session.send_request(unknown, types.EmptyResult))
    assert method.code == -32601
    return {"tool": text(tool), "method": described(method)}


async def session_end(peer: Peer) -> Any:
    """Leaving a client sends DELETE; what follows in that session is refused."""
    async with connected(peer.url, "legacy", able=False) as other:
        assert other.session_id
    assert other.delete_status is not None and 200 <= other.delete_status < 300
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        "mcp-session-id": other.session_id,
    }
    async with httpx2.AsyncClient() as http:
        late = await http.post(peer.url, headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    # The server itself answers 400 where the protocol says 404; ours is to pass on what it said.
    assert late.status_code in (400, 404), late.status_code
    return {"status": late.status_code}


LEGACY = {
    "initialize": initialize,
    "tools_list": tools_list,
    "echo": echo,
    "structured_content": structured_content,
    "progress": progress,
    "elicitation": elicitation,
    "sampling": sampling,
    "roots": roots,
    "resources": resources,
    "subscribe": subscribe,
    "prompts": prompts,
    "completion": completion,
    "logging": logging,
    "cancellation": cancellation,
    "ping": ping,
    "concurrent": legacy_concurrent,
    "errors": legacy_errors,
    "session_end": session_end,
}
