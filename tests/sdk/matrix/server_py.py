"""A dual-era server on the official Python SDK (`mcp` 2.x): fixture.mjs once more, in Python.

Usage: python3 server_py.py --stdio | --port N [--world FOLDER]
Over HTTP it prints "listening on URL" once it listens.
"""

import argparse
import json
import re
import socket
import tempfile
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import anyio
import mcp_types as types
import uvicorn
import watchfiles
from mcp import MCPError
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.message import ServerMessageMetadata

# The legacy era is deprecated as a whole, and testing it is the point.
warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

FIXED = json.loads(Path(__file__).with_name("fixture.json").read_text(encoding="utf-8"))
GREETING = FIXED["contents"][0]
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LOGGED = ["debug", "info", "warning", "error"]
PROGRESS_STEPS = 3
NOTE = re.compile(r"fixture://note/([^/]+)")
MODERN = "2026-07-28"
RESOURCE_NOT_FOUND_LEGACY = -32002
# Fixed, so that a retry may reach another process of this server, as the protocol allows.
STATE_KEY = b"conduit-matrix-fixture-state-key"
QUESTIONS: dict[str, tuple[Any, Any]] = {
    "name": (types.ElicitRequest, types.ElicitResult),
    "capital": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots": (types.ListRootsRequest, types.ListRootsResult),
}
EVENTS: dict[str, Callable[..., Any]] = {
    "tools": lambda _key: ToolsListChanged(),
    "prompts": lambda _key: PromptsListChanged(),
    "resources": lambda _key: ResourcesListChanged(),
    "updated": lambda uri, _count: ResourceUpdated(uri=uri),
}


class World:
    """world.mjs once more: a folder whose entries are the state of the world, and news of its changes."""

    def __init__(self, folder: str | None) -> None:
        self.folder = Path(folder or tempfile.mkdtemp(prefix="conduit-world-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.changed = anyio.Event()

    def add(self, *parts: str) -> None:
        (self.folder / "~".join(quote(part, safe="") for part in parts)).mkdir(exist_ok=True)

    def remove(self, *parts: str) -> None:
        (self.folder / "~".join(quote(part, safe="") for part in parts)).rmdir()

    def all(self, kind: str) -> list[str]:
        entries = [entry.name.split("~") for entry in self.folder.iterdir()]
        return sorted(unquote(entry[1]) for entry in entries if entry[0] == kind)

    async def once(self, kind: str, part: str) -> int:
        """Waits for an entry of a kind with this part; how many there are."""
        while True:
            changed = self.changed
            if count := self.all(kind).count(part):
                return count
            await changed.wait()

    async def watch(self, tell: Callable[[list[str]], Any]) -> None:
        """Calls `tell(parts)` whenever an entry comes or goes. Never returns."""
        # The timeout is how long the watch outlives its task.
        options: dict[str, Any] = {"watch_filter": None, "recursive": False, "debounce": 20, "step": 5, "rust_timeout": 100}
        async for changes in watchfiles.awatch(self.folder, **options):
            self.changed.set()
            self.changed = anyio.Event()
            for _change, path in changes:
                if Path(path) != self.folder:
                    await tell([unquote(part) for part in Path(path).name.split("~")])


class Pending(Exception):
    """Leaves a handler that needs an answer first; the client's retry runs it again."""

    def __init__(self, key: str, answers: dict[str, Any]) -> None:
        super().__init__(f"{key} must be answered first")
        self.key, self.answers = key, answers

    def result(self) -> types.InputRequiredResult:
        request = question(self.key).model_dump(by_alias=True, mode="json", exclude_none=True)
        state = json.dumps(self.answers)
        wire = {"inputRequests": {self.key: request}, "requestState": state, "resultType": "input_required"}
        return types.InputRequiredResult.model_validate(wire)


def question(key: str) -> Any:
    request, _result = QUESTIONS[key]
    method = request.model_fields["method"].default
    return request.model_validate({"method": method, "params": FIXED["questions"][key] or None})


class Call:
    """One call at work: its context, and what the client has answered so far."""

    def __init__(self, fixture: "Fixture", ctx: Any, params: Any) -> None:
        self.fixture, self.world, self.ctx = fixture, fixture.world, ctx
        self.answers: dict[str, Any] = json.loads(params.request_state) if params.request_state else {}
        for key, answer in (params.input_responses or {}).items():
            dumped = answer.model_dump(by_alias=True, mode="json") if hasattr(answer, "model_dump") else answer
            self.answers[key] = dumped

    async def ask(self, key: str) -> dict[str, Any]:
        if self.ctx.protocol_version >= MODERN:
            if key not in self.answers:
                raise Pending(key, self.answers)
            return self.answers[key]
        related = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        result = await self.ctx.session.send_request(question(key), QUESTIONS[key][1], metadata=related)
        return result.model_dump(by_alias=True, mode="json")

    async def log(self, level: str, data: Any) -> None:
        if self.ctx.protocol_version < MODERN and LEVELS.index(level) < LEVELS.index(self.fixture.level(self.ctx)):
            return
        await self.ctx.session.send_log_message(level, data, "fixture", related_request_id=self.ctx.request_id)


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


class Tools:
    """What each tool does, by name."""

    async def echo(self, call: Call, message: str) -> Any:
        return say(f"echo: {message}")

    async def add(self, call: Call, a: float, b: float) -> Any:
        return say(json.dumps({"sum": a + b}), structuredContent={"sum": a + b})

    async def fail(self, call: Call) -> Any:
        return say("failed on purpose", isError=True)

    async def progress(self, call: Call, key: str) -> Any:
        """Goes from one step to the next only by `advance`."""
        for step in range(1, PROGRESS_STEPS + 1):
            await call.ctx.session.report_progress(step, PROGRESS_STEPS)
            await call.world.once("advance", f"{key} {step}")
        return say("done")

    async def advance(self, call: Call, key: str, step: float) -> Any:
        call.world.add("advance", f"{key} {step:g}")
        return say("advanced")

    async def hold(self, call: Call, key: str) -> Any:
        """Reports progress once, so that the caller knows that it runs, and then ends only by cancellation."""
        await call.ctx.session.report_progress(1, 2)
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            call.world.add("cancelled", key, str(uuid.uuid4()))
            raise

    async def cancelled_count(self, call: Call, key: str) -> Any:
        return say(str(await call.world.once("cancelled", key)))

    async def log(self, call: Call, key: str) -> Any:
        for level in LOGGED:
            await call.log(level, {"key": key, "level": level})
        return say("logged")

    async def ask_elicitation(self, call: Call) -> Any:
        answer = await call.ask("name")
        return say(f"elicited: {answer['action']} {(answer.get('content') or {}).get('name', '')}".strip())

    async def ask_sampling(self, call: Call) -> Any:
        return say(f"sampled: {(await call.ask('capital'))['content']['text']}")

    async def ask_roots(self, call: Call) -> Any:
        return say(f"roots: {','.join(root['uri'] for root in (await call.ask('roots'))['roots'])}")

    async def interview(self, call: Call) -> Any:
        name = (await call.ask("name"))["content"]["name"]
        capital = (await call.ask("capital"))["content"]["text"]
        roots = ",".join(root["uri"] for root in (await call.ask("roots"))["roots"])
        return say(f"interview: {name}, {capital}, {roots}")

    async def link(self, call: Call) -> Any:
        link = {"type": "resource_link", "name": "greeting", "uri": GREETING["uri"], "mimeType": GREETING["mimeType"]}
        return {"content": [link, {"type": "resource", "resource": GREETING}]}

    async def region(self, call: Call, region: str, city: str) -> Any:
        return say(f"{city} in {region}")

    async def touch_tools(self, call: Call, key: str, present: bool) -> Any:
        return self._touch(call, "tools", key, present)

    async def touch_prompts(self, call: Call, key: str, present: bool) -> Any:
        return self._touch(call, "prompts", key, present)

    async def touch_resources(self, call: Call, key: str, present: bool) -> Any:
        return self._touch(call, "resources", key, present)

    async def touch_resource(self, call: Call, uri: str) -> Any:
        call.world.add("updated", uri, str(uuid.uuid4()))
        return say(f"updated: {uri}")

    def _touch(self, call: Call, kind: str, key: str, present: bool) -> Any:
        (call.world.add if present else call.world.remove)(kind, key)
        return say(f"{kind}: {key}")


class Announcing(Server[Any]):
    """Declares in the legacy era, too, that its lists change: over HTTP the SDK asks for no such options."""

    def create_initialization_options(self, notification_options: Any = None, *rest: Any, **more: Any) -> Any:
        changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(notification_options or changes, *rest, **more)


class Fixture:
    """The server, and its legacy sessions: `sessions` hear of list changes, `watchers` of their resources."""

    def __init__(self, world: World) -> None:
        self.world, self.tools = world, Tools()
        self.bus = InMemorySubscriptionBus()
        self.sessions: list[Any] = []
        self.watchers: dict[str, Any] = {}
        self.levels: dict[str, str] = {}
        self.server = Announcing(
            "conduit-fixture",
            version="1.0.0",
            instructions="A fixture of the compatibility matrix.",
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._page("tools", types.ListToolsResult),
            on_call_tool=self._call_tool,
            on_list_resources=self._page("resources", types.ListResourcesResult),
            on_list_resource_templates=self._page("templates", types.ListResourceTemplatesResult),
            on_read_resource=self._read,
            on_subscribe_resource=self._subscribe,
            on_unsubscribe_resource=self._unsubscribe,
            on_subscriptions_listen=ListenHandler(self.bus),
            on_list_prompts=self._page("prompts", types.ListPromptsResult),
            on_get_prompt=self._prompt,
            on_completion=self._complete,
            on_set_logging_level=self._set_level,
        )
        self.server.add_notification_handler("notifications/initialized", types.NotificationParams, self._join)
        security = RequestStateSecurity(keys=[STATE_KEY])
        self.server.middleware.append(RequestStateBoundary(security, default_audience="conduit-fixture"))

    def _session(self, ctx: Any) -> str:
        """A name of the connection: HTTP has session ids, stdio one client."""
        return ctx.request.headers.get("mcp-session-id", "") if ctx.request is not None else ""

    def level(self, ctx: Any) -> str:
        return self.levels.get(self._session(ctx), "debug")

    async def _set_level(self, ctx: Any, params: Any) -> types.EmptyResult:
        self.levels[self._session(ctx)] = params.level
        return types.EmptyResult()

    async def _join(self, ctx: Any, _params: Any) -> None:
        self.sessions.append(ctx.session)

    async def _subscribe(self, ctx: Any, params: Any) -> types.EmptyResult:
        self.watchers[str(params.uri)] = ctx.session
        return types.EmptyResult()

    async def _unsubscribe(self, _ctx: Any, params: Any) -> types.EmptyResult:
        self.watchers.pop(str(params.uri), None)
        return types.EmptyResult()

    async def tell(self, parts: list[str]) -> None:
        """Tells listeners of both eras about a change of the world."""
        kind, *rest = parts
        if kind not in EVENTS:
            return
        event = EVENTS[kind](*rest)
        await self.bus.publish(event)
        if kind == "updated":
            told = [(self.watchers[rest[0]], "send_resource_updated", rest[:1])] if rest[0] in self.watchers else []
        else:
            told = [(session, f"send_{kind[:-1]}_list_changed", []) for session in self.sessions]
        for session, method, arguments in told:
            try:
                await getattr(session, method)(*arguments)
            except Exception:  # noqa: BLE001  (a session that is gone hears nothing)
                self.sessions = [one for one in self.sessions if one is not session]

    def _input_schema(self, name: str) -> Any:
        return next((tool["inputSchema"] for tool in FIXED["tools"] if tool["name"] == name), None)

    def _listed(self, kind: str) -> list[Any]:
        extra = [f"extra_{key}" for key in self.world.all(kind)]
        shapes: dict[str, Callable[[str], Any]] = {
            "tools": lambda name: {"name": name, "inputSchema": {"type": "object"}},
            "prompts": lambda name: {"name": name},
            "resources": lambda name: {"name": name, "uri": f"fixture://note/{name}", "mimeType": "text/plain"},
        }
        return FIXED[kind] + [shapes[kind](name) for name in extra]

    def _page(self, kind: str, model: Any) -> Any:
        async def page(_ctx: Any, params: Any) -> Any:
            cursor = params.cursor if params is not None else None
            if cursor is not None and not cursor.isdecimal():
                raise MCPError(types.INVALID_PARAMS, "Not a cursor of this server")
            entries, first = self._listed(kind), int(cursor or 0)
            end = first + FIXED["page"]
            key = "resourceTemplates" if kind == "templates" else kind
            more = {"nextCursor": str(end)} if end < len(entries) else {}
            return model.model_validate({key: entries[first:end], **more})

        return page

    async def _call_tool(self, ctx: Any, params: Any) -> Any:
        run = None if params.name.startswith("_") else getattr(self.tools, params.name, None)
        if run is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        try:
            return types.CallToolResult.model_validate(await run(Call(self, ctx, params), **(params.arguments or {})))
        except Pending as pending:
            return pending.result()

    async def _read(self, ctx: Any, params: Any) -> Any:
        uri = str(params.uri)
        found = [content for content in FIXED["contents"] if content["uri"] == uri]
        note = NOTE.fullmatch(uri)
        if note:
            text = f"This is note {unquote(note[1])}."
            found = [{"uri": uri, "mimeType": "text/plain", "text": text}]
        if not found:
            code = types.INVALID_PARAMS if ctx.protocol_version >= MODERN else RESOURCE_NOT_FOUND_LEGACY
            raise MCPError(code, f"Resource not found: {uri}", {"uri": uri})
        return types.ReadResourceResult.model_validate({"contents": found})

    async def _prompt(self, _ctx: Any, params: Any) -> Any:
        def user(content: Any) -> Any:
            return {"role": "user", "content": content}

        if params.name == "letter":
            args = params.arguments or {}
            text = f"Dear {args.get('recipient')}, in a {args.get('tone', 'plain')} tone."
            return types.GetPromptResult.model_validate({"messages": [user({"type": "text", "text": text})]})
        if not re.fullmatch(r"greeting|plain_\d+|extra_.+", params.name):
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        messages = [user({"type": "text", "text": "Say hello."}), user({"type": "resource", "resource": GREETING})]
        return types.GetPromptResult.model_validate({"description": "No arguments", "messages": messages})

    async def _complete(self, _ctx: Any, params: Any) -> Any:
        candidates: list[str] = []
        if params.ref.type == "ref/prompt" and params.ref.name == "letter":
            known = (params.context.arguments or {}) if params.context else {}
            friendly = [f"{known.get('recipient', 'nobody')}-friendly"]
            candidates = FIXED["recipients"] if params.argument.name == "recipient" else friendly
        elif params.ref.type == "ref/resource" and params.ref.uri == "fixture://note/{id}":
            candidates = FIXED["notes"]
        values = [value for value in candidates if value.startswith(params.argument.value)]
        completion = {"values": values, "total": len(values), "hasMore": False}
        return types.CompleteResult.model_validate({"completion": completion})


async def serve_stdio(fixture: Fixture) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(fixture.world.watch, fixture.tell)
        async with stdio_server() as (read, write):
            await fixture.server.run(read, write, fixture.server.create_initialization_options())
        group.cancel_scope.cancel()


async def serve_http(fixture: Fixture, port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port))
    app = fixture.server.streamable_http_app()
    http = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    async with anyio.create_task_group() as group:
        group.start_soon(fixture.world.watch, fixture.tell)
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        await http.serve(sockets=[listener])
        group.cancel_scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stdio", action="store_true")
    where.add_argument("--port", type=int)
    parser.add_argument("--world")
    options = parser.parse_args()
    fixture = Fixture(World(options.world))
    if options.stdio:
        anyio.run(serve_stdio, fixture)
    else:
        anyio.run(serve_http, fixture, options.port)


if __name__ == "__main__":
    main()
