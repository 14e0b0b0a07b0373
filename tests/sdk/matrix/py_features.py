"""What a Python client must be able to do with a fixture server: features.mjs once more, in Python.

Usage, output and invariants are those of features.mjs.
"""

import asyncio
import hashlib
import json
import sys
import traceback
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import anyio
import mcp_types as types
from mcp import MCPError
from mcp.client.subscriptions import listen
from mcp.shared.exceptions import MCPDeprecationWarning

# The legacy era is deprecated as a whole, and testing it is the point.
warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

FEATURE_DEADLINE_S = 12
CONNECT_DEADLINE_S = 15
TARGET_DEADLINE_S = 50
PAGES_MAX = 100
GREETING = "fixture://static/greeting"
NOTE = "fixture://note/{id}"
SHELF = "fixture://shelf/{shelf}/{+path}"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
LISTENED = {"tools": "tools_list_changed", "prompts": "prompts_list_changed", "resources": "resources_list_changed"}
ANNOUNCED = {
    "tools": types.ToolListChangedNotification,
    "prompts": types.PromptListChangedNotification,
    "resources": types.ResourceListChangedNotification,
}


class Skipped(Exception):
    """A feature that this SDK, mode or era does not have."""


class Sdk(Protocol):
    """What the features need of an SDK's client; results are the protocol's own types."""

    session: Any
    version: str

    async def page(self, what: str, cursor: str | None) -> Any: ...
    async def call(self, name: str, arguments: dict[str, Any], progress: Any = None, meta: Any = None) -> Any: ...
    async def prompt(self, name: str, arguments: dict[str, Any] | None) -> Any: ...
    async def read(self, uri: str) -> Any: ...
    async def complete(self, ref: Any, argument: dict[str, str], context: dict[str, str] | None) -> list[str]: ...
    async def set_level(self, level: str) -> None: ...
    async def ping(self) -> None: ...


class Host:
    """The side of a client that the server talks to."""

    def __init__(self) -> None:
        self.elicit_action = "accept"
        self.asked: list[Any] = []
        self.messages: list[Any] = []
        self._arrival = anyio.Event()

    async def on_message(self, message: Any) -> None:
        self.messages.append(message)
        self._arrival.set()
        self._arrival = anyio.Event()

    async def next(self, what: str, after: int, matches: Callable[[Any], bool]) -> int:
        """Waits for a message from index `after` on that matches; the index behind it."""
        with deadline(what):
            while True:
                arrival = self._arrival
                for index, message in enumerate(self.messages[after:], after):
                    if matches(message):
                        return index + 1
                await arrival.wait()

    def elicit(self, params: Any) -> types.ElicitResult:
        self.asked.append(params)
        content = {"name": "Ada"} if self.elicit_action == "accept" else None
        return types.ElicitResult(action=self.elicit_action, content=content)

    def sample(self, params: Any) -> types.CreateMessageResult:
        self.asked.append(params)
        content = types.TextContent(type="text", text="Paris, says the model")
        return types.CreateMessageResult(role="assistant", model="test-model", content=content)


class Peer:
    """A connected client and the names of one server at its endpoint."""

    def __init__(self, sdk: Sdk, host: Host, server: str | None) -> None:
        self.sdk, self.host = sdk, host
        self.modern = sdk.version >= "2026-07-28"
        self._names = f"{server}." if server else ""
        self._uris = f"{server}+" if server else ""

    def name(self, bare: str) -> str:
        return self._names + bare

    def uri(self, bare: str) -> str:
        return self._uris + bare

    def own_name(self, name: str) -> str | None:
        return name[len(self._names) :] if name.startswith(self._names) else None

    def own_uri(self, uri: Any) -> str | None:
        return str(uri)[len(self._uris) :] if str(uri).startswith(self._uris) else None

    async def call(self, tool: str, arguments: dict[str, Any], **options: Any) -> Any:
        return await self.sdk.call(self.name(tool), arguments, **options)


def deadline(what: str, seconds: float = FEATURE_DEADLINE_S) -> Any:
    """Fails with a TimeoutError that says what was waited for."""

    class Deadline:
        def __enter__(self) -> None:
            self.scope = anyio.fail_after(seconds)
            self.scope.__enter__()

        def __exit__(self, *error: Any) -> bool | None:
            try:
                return self.scope.__exit__(*error)
            except TimeoutError:
                raise TimeoutError(f"{what}: not within {seconds} s") from None

    return Deadline()


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def text(result: Any) -> str:
    return next(block.text for block in result.content if block.type == "text")


def check(actual: Any, expected: Any) -> None:
    assert actual == expected, f"expected {expected!r}, got {actual!r}"


# === Lists ===


async def every_page(peer: Peer, what: str) -> list[Any]:
    entries: list[Any] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await peer.sdk.page(what, cursor)
        entries += getattr(page, what)
        cursor = page.next_cursor
        if cursor is None:
            return entries
    raise AssertionError(f"{what}: more than {PAGES_MAX} pages")


def bare_of(peer: Peer, what: str, entry: Any) -> str | None:
    if what == "resources":
        return peer.own_uri(entry.uri)
    return peer.own_uri(entry.uri_template) if what == "resource_templates" else peer.own_name(entry.name)


async def own(peer: Peer, what: str) -> dict[str, Any]:
    """The entries of the server under test by their bare names, without those that come and go."""
    named = [(bare_of(peer, what, entry), entry) for entry in await every_page(peer, what)]
    names = [name for name, _ in named if name is not None]
    assert len(set(names)) == len(names), f"listed twice: {names}"
    return {name: entry for name, entry in sorted(named, key=lambda one: one[0] or "") if name and "extra_" not in name}


async def tools_list(peer: Peer) -> Any:
    tools = await own(peer, "tools")
    assert len(tools) == 18, f"tools: {list(tools)}"
    shapes = [[name, tool.description, tool.input_schema.get("properties")] for name, tool in tools.items()]
    return {"names": list(tools), "tools": digest(shapes)}


async def prompts_list(peer: Peer) -> Any:
    prompts = await own(peer, "prompts")
    assert len(prompts) == 10, f"prompts: {list(prompts)}"
    return [[name, len(prompt.arguments or [])] for name, prompt in prompts.items()]


async def resources_list(peer: Peer) -> Any:
    resources = await own(peer, "resources")
    assert len(resources) == 10, f"resources: {list(resources)}"
    return [[uri, resource.mime_type] for uri, resource in resources.items()]


async def templates_list(peer: Peer) -> None:
    check(list(await own(peer, "resource_templates")), [NOTE, SHELF])


# === Calls ===


async def tools_call(peer: Peer) -> None:
    message = 'grüße 漢字 😀 \u2028 "quoted" \\ back'
    check(text(await peer.call("echo", {"message": message})), f"echo: {message}")
    check((await peer.call("add", {"a": 2, "b": 40})).structured_content, {"sum": 42})


async def tool_error(peer: Peer) -> None:
    result = await peer.call("fail", {})
    assert result.is_error
    check(text(result), "failed on purpose")


async def unknown_tool(peer: Peer) -> None:
    try:
        outcome = "isError" if (await peer.call("no_such_tool", {})).is_error else "a result"
    except MCPError as error:
        outcome = error.code
    assert outcome in (-32602, "isError"), f"answered {outcome}"


async def param_header(peer: Peer) -> None:
    """The region travels in a header, too, in the modern era over HTTP."""
    await every_page(peer, "tools")
    check(text(await peer.call("region", {"region": "Łódź", "city": "one"})), "one in Łódź")
    check(text(await peer.call("region", {"region": "eu west", "city": "two"})), "two in eu west")


async def prompts_get(peer: Peer) -> None:
    plain = await peer.sdk.prompt(peer.name("greeting"), None)
    check(plain.messages[0].content.text, "Say hello.")
    check(str(plain.messages[1].content.resource.uri), peer.uri(GREETING))
    filled = await peer.sdk.prompt(peer.name("letter"), {"recipient": "Łódź", "tone": "kind"})
    check(filled.messages[0].content.text, "Dear Łódź, in a kind tone.")


async def resources_read(peer: Peer) -> Any:
    greeting = (await peer.sdk.read(peer.uri(GREETING))).contents[0]
    check(greeting.text, "Grüße aus dem Fixture")
    check(str(greeting.uri), peer.uri(GREETING))
    pixel = await peer.sdk.read(peer.uri("fixture://static/pixel"))
    return {"pixel": digest(pixel.contents[0].blob)}


async def resource_missing(peer: Peer) -> None:
    try:
        await peer.sdk.read(peer.uri("fixture://nowhere"))
        outcome: Any = "a result"
    except MCPError as error:
        outcome = error.code
    assert outcome in ([-32602] if peer.modern else [-32002, -32602]), f"answered {outcome}"


async def template_read(peer: Peer) -> None:
    uri = peer.uri(NOTE.replace("{id}", "only%20one"))
    note = (await peer.sdk.read(uri)).contents[0]
    check(note.text, "This is note only one.")
    check(str(note.uri), uri)


async def completion_prompt(peer: Peer) -> None:
    ref = types.PromptReference(type="ref/prompt", name=peer.name("letter"))
    check(await peer.sdk.complete(ref, {"name": "recipient", "value": "ad"}, None), ["ada", "adam"])
    second = await peer.sdk.complete(ref, {"name": "tone", "value": ""}, {"recipient": "ada"})
    check(second, ["ada-friendly"])


async def completion_template(peer: Peer) -> None:
    ref = types.ResourceTemplateReference(type="ref/resource", uri=peer.uri(NOTE))
    check(await peer.sdk.complete(ref, {"name": "id", "value": "on"}, None), ["one", "only"])


async def resource_links(peer: Peer) -> None:
    link, embedded = (await peer.call("link", {})).content
    check(link.type, "resource_link")
    check(str(embedded.resource.uri), str(link.uri))
    read = await peer.sdk.read(str(link.uri))
    check(read.contents[0].text, embedded.resource.text)


# === What happens during a call ===


async def progress(peer: Peer) -> None:
    """The tool takes its next step only once the client saw the last one and called `advance`."""
    key = str(uuid.uuid4())
    events: list[str] = []
    async with anyio.create_task_group() as group:

        async def on_progress(step: float, total: float | None, _message: str | None) -> None:
            events.append(f"{step:g} of {total:g}")
            group.start_soon(peer.call, "advance", {"key": key, "step": step})

        await peer.call("progress", {"key": key}, progress=on_progress)
    check(events, ["1 of 3", "2 of 3", "3 of 3"])


async def cancellation(peer: Peer) -> None:
    """`hold` ends only when its server hears of the cancellation; it reports progress once it runs."""
    key, started = str(uuid.uuid4()), anyio.Event()

    async def on_progress(*_event: Any) -> None:
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: peer.call("hold", {"key": key}, progress=on_progress))
        with deadline("progress of a call at work"):
            await started.wait()
        group.cancel_scope.cancel()
    check(text(await peer.call("cancelled_count", {"key": key})), "1")


async def levels_at(peer: Peer, level: str) -> list[str]:
    key = str(uuid.uuid4())

    def ours(message: Any) -> bool:
        logged = isinstance(message, types.LoggingMessageNotification)
        return logged and isinstance(message.params.data, dict) and message.params.data.get("key") == key

    meta = {LOG_LEVEL: level} if peer.modern else None
    if not peer.modern:
        await peer.sdk.set_level(level)
    await peer.call("log", {"key": key}, meta=meta)
    await peer.host.next("the error message", 0, lambda message: ours(message) and message.params.level == "error")
    return [message.params.level for message in peer.host.messages if ours(message)]


async def logging(peer: Peer) -> None:
    check(await levels_at(peer, "warning"), ["warning", "error"])
    check(await levels_at(peer, "debug"), ["debug", "info", "warning", "error"])


# === What the server asks ===


async def elicitation(peer: Peer) -> None:
    check(text(await peer.call("ask_elicitation", {})), "elicited: accept Ada")
    assert "What is your name?" in str(peer.host.asked[-1]), peer.host.asked[-1]
    peer.host.elicit_action = "decline"
    try:
        check(text(await peer.call("ask_elicitation", {})), "elicited: decline")
    finally:
        peer.host.elicit_action = "accept"


async def sampling(peer: Peer) -> None:
    check(text(await peer.call("ask_sampling", {})), "sampled: Paris, says the model")
    check(peer.host.asked[-1].max_tokens, 100)


async def roots(peer: Peer) -> None:
    check(text(await peer.call("ask_roots", {})), "roots: file:///srv/one")


async def rounds(peer: Peer) -> None:
    """Three questions in one call."""
    check(text(await peer.call("interview", {})), "interview: Ada, Paris, says the model, file:///srv/one")


# === Changes ===


@asynccontextmanager
async def listening(peer: Peer, matches: Any, **wanted: Any) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Gives a function that waits for the next change, by whatever means the era has."""
    if peer.modern:
        async with listen(peer.sdk.session, **wanted) as subscription:
            for key in wanted:
                assert getattr(subscription.honored, key), f"{key} was not honoured: {subscription.honored}"

            async def event() -> None:
                with deadline(f"an event of {wanted}"):
                    await anext(subscription)

            yield event
        return
    seen = len(peer.host.messages)

    async def notification() -> None:
        nonlocal seen
        seen = await peer.host.next(f"a notification of {wanted}", seen, matches)

    yield notification


async def resource_updated(peer: Peer) -> None:
    bare = f"fixture://note/{uuid.uuid4()}"
    uri = peer.uri(bare)

    def ours(message: Any) -> bool:
        return isinstance(message, types.ResourceUpdatedNotification) and str(message.params.uri) == uri

    if not peer.modern:
        await peer.sdk.session.subscribe_resource(uri)
    async with listening(peer, ours, resource_subscriptions=[uri]) as event:
        await peer.call("touch_resource", {"uri": bare})
        await event()
    if not peer.modern:
        await peer.sdk.session.unsubscribe_resource(uri)


def list_changed(kind: str) -> Callable[[Peer], Awaitable[None]]:
    """A change is announced, and the list read after the announcement has it."""

    async def changed(peer: Peer) -> None:
        key = str(uuid.uuid4())

        async def has() -> bool:
            names = [bare_of(peer, kind, entry) or "" for entry in await every_page(peer, kind)]
            return any(name.endswith(f"extra_{key}") for name in names)

        matches = lambda message: isinstance(message, ANNOUNCED[kind])  # noqa: E731
        async with listening(peer, matches, **{LISTENED[kind]: True}) as event:
            await peer.call(f"touch_{kind}", {"key": key, "present": True})
            try:
                # Somebody else's change may come first.
                await event()
                while not await has():
                    await event()
            finally:
                with anyio.CancelScope(shield=True), deadline("taking it away again"):
                    await peer.call(f"touch_{kind}", {"key": key, "present": False})

    return changed


async def ping(peer: Peer) -> None:
    if peer.modern:
        raise Skipped("2026-07-28 has no ping")
    await peer.sdk.ping()


FEATURES: dict[str, Callable[[Peer], Awaitable[Any]]] = {
    "tools_list": tools_list,
    "tools_call": tools_call,
    "tool_error": tool_error,
    "unknown_tool": unknown_tool,
    "param_header": param_header,
    "prompts_list": prompts_list,
    "prompts_get": prompts_get,
    "resources_list": resources_list,
    "resources_read": resources_read,
    "resource_missing": resource_missing,
    "templates_list": templates_list,
    "template_read": template_read,
    "completion_prompt": completion_prompt,
    "completion_template": completion_template,
    "resource_links": resource_links,
    "progress": progress,
    "cancellation": cancellation,
    "logging": logging,
    "elicitation": elicitation,
    "sampling": sampling,
    "roots": roots,
    "rounds": rounds,
    "resource_updated": resource_updated,
    "tools_changed": list_changed("tools"),
    "prompts_changed": list_changed("prompts"),
    "resources_changed": list_changed("resources"),
    "ping": ping,
}

Connect = Callable[[str, str, Host], AbstractAsyncContextManager[Sdk]]


def failed(error: BaseException) -> dict[str, Any]:
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # a task group wraps what its tasks raise
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
    where = f" (line {ours[-1].lineno}: {ours[-1].line})" if ours else ""
    return {"ok": False, "detail": f"{type(error).__name__}: {error}"[:600] + where}


async def attempt(run: Callable[[Peer], Awaitable[Any]], peer: Peer) -> dict[str, Any]:
    try:
        with deadline("the feature"):
            return {"ok": True, "detail": await run(peer)}
    except Skipped as skipped:
        return {"ok": True, "skipped": str(skipped)}
    except (Exception, asyncio.CancelledError) as error:
        return failed(error)


async def run_target(connect: Connect, mode: str, target: str) -> list[dict[str, Any]]:
    url, _, server = target.partition("#")
    host = Host()
    verdicts: dict[str, dict[str, Any]] = {}
    try:
        with deadline("the target", TARGET_DEADLINE_S):
            async with connect(mode, url, host) as sdk:
                peer = Peer(sdk, host, server or None)
                verdicts["connect"] = {"ok": True, "detail": {"version": sdk.version}}
                for feature, run in FEATURES.items():
                    verdicts[feature] = await attempt(run, peer)
    except BaseException as error:  # noqa: BLE001  (reported, and the next target runs)
        verdicts.setdefault("connect", failed(error))
        for feature in FEATURES:
            verdicts.setdefault(feature, {"ok": False, "detail": f"not run: {type(error).__name__} {error}"})
    return [{"target": target, "feature": feature, **verdict} for feature, verdict in verdicts.items()]


def main(connect: Connect, modes: list[str]) -> None:
    """Runs all features against each target; never returns."""
    mode, targets = (sys.argv + [""])[1], sys.argv[2:]
    if mode not in modes:
        print(f"usage: {sys.argv[0]} {'|'.join(modes)} [URL[#SERVER]…]", file=sys.stderr)
        sys.exit(2)
    all_passed = True
    for target in targets or map(str.strip, sys.stdin):
        for verdict in anyio.run(run_target, connect, mode, target):
            print(json.dumps(verdict, ensure_ascii=False))
            all_passed = all_passed and verdict["ok"]
        print(json.dumps({"target": target, "done": True}), flush=True)
    sys.exit(0 if all_passed else 1)
