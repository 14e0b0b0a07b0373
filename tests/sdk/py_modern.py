"""What a modern client (2026-07-28) must be able to do with any server that has the conformance suite's
fixtures (`FIXTURES`), and with ts-v2-server.mjs, whose `hold` tool shows order without a clock (`HELD`)."""

import uuid
from typing import Any

import anyio
import mcp_types as types

from py_peer import Peer, Progress, concurrent, deadline, described, digest, failure, text


async def discover(peer: Peer) -> Any:
    assert peer.client.protocol_version == "2026-07-28"
    capabilities = peer.client.server_capabilities
    assert capabilities.tools is not None and capabilities.completions is not None
    server = peer.client.server_info
    assert server is not None
    return {"capabilities": capabilities.model_dump(mode="json"), "server": server.model_dump(mode="json")}


async def modern_tools(peer: Peer) -> Any:
    listed = await peer.client.list_tools()
    names = [tool.name for tool in listed.tools]
    assert "test_simple_text" in names
    return {"names": names, "tools": digest([tool.model_dump(mode="json", by_alias=True) for tool in listed.tools])}


async def modern_call(peer: Peer) -> Any:
    simple = await peer.client.call_tool("test_simple_text", {})
    assert text(simple) == "This is a simple text response for testing."
    image = await peer.client.call_tool("test_image_content", {})
    assert image.content[0].mime_type == "image/png"
    wrong = await peer.client.call_tool("test_error_handling", {})
    assert wrong.is_error
    return {"wrong": text(wrong)}


async def modern_progress(peer: Peer) -> None:
    seen = Progress()
    await peer.client.call_tool("test_tool_with_progress", {}, progress_callback=seen)
    assert seen.events == [0, 50, 100], seen.events


async def modern_elicitation(peer: Peer) -> None:
    assert text(await peer.client.call_tool("test_input_required_result_elicitation", {})) == "Hello, Ada!"


async def modern_sampling(peer: Peer) -> None:
    assert "Paris" in text(await peer.client.call_tool("test_input_required_result_sampling", {}))


async def modern_roots(peer: Peer) -> None:
    assert "file:///srv/one" in text(await peer.client.call_tool("test_input_required_result_list_roots", {}))


async def modern_resources(peer: Peer) -> Any:
    fixed = await peer.client.read_resource("test://static-text")
    filled = await peer.client.read_resource("test://template/123/data")
    assert "123" in filled.contents[0].text
    missing = await failure(peer.client.read_resource("test://nowhere"))
    assert missing.code == -32602
    return {"fixed": fixed.contents[0].text, "missing": missing.message}


async def modern_prompts(peer: Peer) -> Any:
    filled = await peer.client.get_prompt("test_prompt_with_arguments", {"arg1": "hello", "arg2": "Łódź"})
    assert "arg1='hello', arg2='Łódź'" in filled.messages[0].content.text
    ref = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
    answer = await peer.client.complete(ref, {"name": "arg1", "value": "par"})
    return answer.completion.values


async def listen(peer: Peer) -> None:
    async with peer.client.listen(tools_list_changed=True) as subscription:
        assert subscription.honored.tools_list_changed
        await peer.client.call_tool("test_trigger_tool_change", {})
        with deadline("tools/list_changed"):
            await anext(subscription)


async def modern_concurrent(peer: Peer) -> None:
    async def call(who: Peer, key: str) -> str:
        read = await who.client.read_resource(f"test://template/{key}/data")
        return str(read.contents[0].uri)

    await concurrent(peer, "2026-07-28", call)


async def modern_errors(peer: Peer) -> Any:
    method = await failure(
        peer.client.session.send_request(types.Request(method="no/such/method", params=None), types.EmptyResult)
    )
    assert method.code == -32601
    return described(method)


async def live_progress(peer: Peer) -> None:
    """`hold` answers only after `release`, which is called only once the progress of `hold` was seen."""
    key, seen = str(uuid.uuid4()), Progress()
    results: list[str] = []

    async def hold() -> None:
        results.append(text(await peer.client.call_tool("hold", {"key": key}, progress_callback=seen)))

    async with anyio.create_task_group() as group:
        group.start_soon(hold)
        with deadline("progress of a call at work"):
            await seen.first.wait()
        await peer.client.call_tool("release", {"key": key})
    assert results == [f"held {key}"]


async def modern_cancellation(peer: Peer) -> None:
    key, seen = str(uuid.uuid4()), Progress()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: peer.client.call_tool("hold", {"key": key}, progress_callback=seen))
        with deadline("progress of a call at work"):
            await seen.first.wait()
        group.cancel_scope.cancel()
    assert text(await peer.client.call_tool("cancelled", {"key": key})) == "cancelled 1"


FIXTURES = {
    "discover": discover,
    "tools_list": modern_tools,
    "call": modern_call,
    "progress": modern_progress,
    "elicitation": modern_elicitation,
    "sampling": modern_sampling,
    "roots": modern_roots,
    "resources": modern_resources,
    "prompts": modern_prompts,
    "listen": listen,
    "concurrent": modern_concurrent,
    "errors": modern_errors,
}
HELD = {"live_progress": live_progress, "cancellation": modern_cancellation}
