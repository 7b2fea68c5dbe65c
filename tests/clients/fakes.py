"""A server and a clock for the Python client's tests: no network, no waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import signalbox


class FakeSocket:
    """One connection: what the client sent, and what the test lets it receive."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self.is_open = True
        self.on_send: Callable[[dict[str, Any]], None] = lambda message: None
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()

    async def send(self, text: str) -> None:
        message = json.loads(text)
        self.sent.append(message)
        self.on_send(message)

    async def recv(self) -> str:
        item = await self._incoming.get()
        if isinstance(item, Exception):
            self._incoming.put_nowait(item)
            raise item
        return item

    async def close(self, code: int) -> None:
        if self.is_open:
            self.closed_with = code
            self.end(code)

    def push(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            is_text = isinstance(message, str)
            self._incoming.put_nowait(message if is_text else json.dumps(message))

    def register(self, **more: Any) -> None:
        self.push({"type": "registered", **more})

    def end(self, code: int, reason: str = "") -> None:
        """The connection ends, as the client sees it."""
        self.is_open = False
        self._incoming.put_nowait(signalbox._ConnectionLost(code, reason))


class FakeEnvironment(signalbox._Environment):
    """A world whose time the test moves."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.dice = 0.0
        self.refusal: Exception | None = None
        self.on_open: Callable[[FakeSocket], None] = lambda socket: None
        self._now = 100.0
        self._timers: list[tuple[float, asyncio.Future[None]]] = []

    def random(self) -> float:
        return self.dice

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().create_future()
        self._timers.append((self._now + seconds, timer))
        await timer

    async def open(self, url: str) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.sockets.append(FakeSocket(url))
        self.on_open(self.sockets[-1])
        return self.sockets[-1]

    @property
    def socket(self) -> FakeSocket:
        """The newest connection."""
        return self.sockets[-1]

    async def advance(self, seconds: float) -> None:
        """Moves the time on, and lets everything that is due happen."""
        await settle()
        self._now += seconds
        for due, timer in self._timers:
            if due <= self._now and not timer.done():
                timer.set_result(None)
        self._timers = [entry for entry in self._timers if not entry[1].done()]
        await settle()


async def settle() -> None:
    """Lets all that needs no time happen."""
    for _ in range(50):
        await asyncio.sleep(0)


def client(
    environment: FakeEnvironment, client_id: str = "alice", **options: Any
) -> signalbox.Signaling:
    """A client in a fake world."""
    signaling = signalbox.connect("ws://fake", client_id=client_id, **options)
    signaling._environment = environment
    signaling._backoff._environment = environment
    signaling._calls._environment = environment
    return signaling


async def entered(
    environment: FakeEnvironment, answer: dict[str, Any] | None = None, **options: Any
) -> signalbox.Signaling:
    """A client that the fake server has registered."""
    environment.on_open = lambda socket: socket.register(**(answer or {}))
    signaling = await client(environment, **options).__aenter__()
    environment.on_open = lambda socket: None
    return signaling


class Switchboard(FakeEnvironment):
    """A world whose server forwards, and whose peer connections are aiortc's own."""

    def __init__(self) -> None:
        super().__init__()
        import aioice.ice

        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
        self.on_open = self._attach
        self.clients: dict[str, FakeSocket] = {}
        #: All that was forwarded.
        self.messages: list[dict[str, Any]] = []
        self._held: list[tuple[str, dict[str, Any]]] | None = None

    def hold(self) -> None:
        """Keeps messages on the way from now on."""
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for target_id, message in held:
            self._deliver(target_id, message)

    def inject(self, target_id: str, message: dict[str, Any]) -> None:
        """Delivers a message that no client has sent."""
        self.clients[target_id].push(message)

    def name_of(self, socket: FakeSocket) -> str | None:
        names = [name for name in self.clients if self.clients[name] is socket]
        return names[0] if names else None

    def _attach(self, socket: FakeSocket) -> None:
        socket.on_send = lambda message: self._forward(socket, message)

    def _forward(self, socket: FakeSocket, message: dict[str, Any]) -> None:
        if message["type"] == "register":
            self.clients[message["client_id"]] = socket
            return socket.register()
        sender = self.name_of(socket)
        if sender is None:
            return  # it was replaced
        rest = {key: message[key] for key in message if key != "target_id"}
        self._deliver(message["target_id"], {**rest, "from": sender})

    def _deliver(self, target_id: str, message: dict[str, Any]) -> None:
        if self._held is not None:
            return self._held.append((target_id, message))
        self.messages.append(message)
        if target_id in self.clients:
            self.clients[target_id].push(message)
