"""One connection of the official Python SDK, and the loop that runs scenarios over such connections."""

import hashlib
import json
import re
import sys
import traceback
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

# The legacy era is deprecated as a whole, and testing it is the point.
warnings.filterwarnings("ignore", category=MCPDeprecationWarning)

EVENT_DEADLINE_S = 15
SCENARIO_DEADLINE_S = 30


class Peer:
    """The SDK's client, and what the server sent or asked of its own accord."""

    client: Client

    def __init__(self, url: str) -> None:
        self.url = url
        self.session_id: str | None = None
        self.delete_status: int | None = None
        self.asked: list[Any] = []
        self.roots = ["file:///srv/one"]
        self.elicit_action = "accept"
        self._messages: list[Any] = []
        self._arrival = anyio.Event()

    async def next(self, what: str, matches: Callable[[Any], bool]) -> Any:
        """The first notification, past or to come, that matches."""
        with deadline(what):
            while True:
                arrival = self._arrival
                for message in self._messages:
                    if matches(message):
                        return message
                await arrival.wait()

    async def on_message(self, message: Any) -> None:
        self._messages.append(message)
        self._arrival.set()
        self._arrival = anyio.Event()

    async def elicit(self, _context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params)
        if self.elicit_action == "decline":
            return types.ElicitResult(action="decline")
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def sample(self, _context: Any, params: Any) -> types.CreateMessageResult:
        self.asked.append(params)
        content = types.TextContent(type="text", text="Paris, says the model")
        return types.CreateMessageResult(role="assistant", model="test-model", content=content)

    async def list_roots(self, _context: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri=uri, name=uri[-3:]) for uri in self.roots])

    async def on_response(self, response: httpx2.Response) -> None:
        self.session_id = response.headers.get("mcp-session-id", self.session_id)
        if response.request.method == "DELETE":
            self.delete_status = response.status_code


def deadline(what: str, seconds: float = EVENT_DEADLINE_S):
    """Fails with a TimeoutError; `what` is there for the reader of the traceback."""
    return anyio.fail_after(seconds)


def digest(value: Any) -> str:
    dumped = value.model_dump(mode="json", by_alias=True) if hasattr(value, "model_dump") else value
    return hashlib.sha256(json.dumps(dumped).encode()).hexdigest()[:16]


def text(result: Any) -> str:
    return next(block.text for block in result.content if block.type == "text")


@asynccontextmanager
async def connected(url: str, mode: str, able: bool = True) -> AsyncIterator[Peer]:
    """Connects; `able` clients declare sampling, elicitation and roots."""
    peer = Peer(url)
    abilities: dict[str, Any] = {}
    if able:
        abilities = {
            "sampling_callback": peer.sample,
            "elicitation_callback": peer.elicit,
            "list_roots_callback": peer.list_roots,
        }
    hooks = {"response": [peer.on_response]}
    timeout = httpx2.Timeout(SCENARIO_DEADLINE_S)
    async with httpx2.AsyncClient(event_hooks=hooks, timeout=timeout) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode, message_handler=peer.on_message, **abilities) as client:
            peer.client = client
            yield peer


async def failure(awaitable: Any) -> MCPError:
    try:
        value = await awaitable
    except MCPError as error:
        return error
    raise AssertionError(f"expected an error, got {str(value)[:200]}")


def described(error: MCPError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "data": error.data}


class Progress:
    """A progress callback that remembers its events and says when the first one came."""

    def __init__(self) -> None:
        self.events: list[float] = []
        self.first = anyio.Event()

    async def __call__(self, progress: float, _total: float | None, _message: str | None) -> None:
        self.events.append(progress)
        self.first.set()


async def concurrent(peer: Peer, mode: str, call: Any) -> None:
    """20 calls on each of two connections, which number their requests alike; each gets its own answer."""
    async with connected(peer.url, mode, able=False) as other:
        answers: dict[str, str] = {}

        async def one(who: Peer, key: str) -> None:
            answers[key] = await call(who, key)

        async with anyio.create_task_group() as group:
            for index in range(20):
                group.start_soon(one, peer, f"a{index}")
                group.start_soon(one, other, f"b{index}")
        assert len(answers) == 40
        assert all(re.search(rf"\b{key}\b", answer) for key, answer in answers.items()), answers


Scenario = Callable[[Peer], Awaitable[Any]]


async def _attempt(scenario: Scenario, url: str, mode: str) -> Any:
    with deadline(scenario.__name__, SCENARIO_DEADLINE_S):
        async with connected(url, mode) as peer:
            return await scenario(peer)


def run(sets: dict[str, tuple[str, dict[str, Scenario]]]) -> None:
    """Runs the set that the flag names; never returns."""
    plain = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    flags = [argument for argument in sys.argv[1:] if argument in sets]
    if len(flags) != 1 or len(plain) not in (1, 2):
        print(f"usage: {sys.argv[0]} URL [all|scenario,…] {' | '.join(sets)}", file=sys.stderr)
        sys.exit(2)
    mode, scenarios = sets[flags[0]]
    names = list(scenarios) if plain[1:] in ([], ["all"]) else plain[1].split(",")
    failed = 0
    for name in names:
        verdict = {"name": name, "ok": True}
        try:
            verdict["detail"] = anyio.run(_attempt, scenarios[name], plain[0], mode)
        except BaseException as error:  # noqa: BLE001  (reported, and the next scenario runs)
            failed += 1
            verdict = {"name": name, "ok": False, "detail": "".join(traceback.format_exception(error))[-2500:]}
        print(json.dumps(verdict, ensure_ascii=False), flush=True)
    sys.exit(1 if failed else 0)
