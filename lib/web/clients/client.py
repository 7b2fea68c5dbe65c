"""
The Python client of signalbox: one connection to the server that comes back by itself,
and aiortc peer connections that negotiate by themselves.

    async with signalbox.connect("wss://example.org", client_id="robot") as signaling:
        await signaling.send({"type": "hello"}, to="bob")
        async for message in signaling:
            print(message["from"], message)

Needs Python 3.9 and websockets 10, or newer; :meth:`Signaling.peer` and
:class:`AiortcSignaling` need aiortc. The server hands this file out as ``/client.py``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import os
import random
import re
import secrets
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiortc import RTCConfiguration, RTCPeerConnection
    from typing_extensions import Self

    Message = dict[str, Any]
    Token = str | Callable[[], Awaitable[str]] | None

__all__ = [
    "AiortcSignaling",
    "Call",
    "Ended",
    "PeerEvent",
    "ResumeFile",
    "Signaling",
    "SignalingError",
    "StateChange",
    "connect",
]
__version__ = "0.1.0"

logger = logging.getLogger("signalbox")


# Close codes after which another attempt would end in the same way.
FINAL_CLOSE_CODES = frozenset({1008, 1009, 4409})
# Errors after which the server closes for good, even if its close frame gets lost.
FINAL_ERROR_CODES = frozenset(
    {
        "forbidden",
        "id_taken",
        "invalid_client_id",
        "message_too_large",
        "not_registered",
        "register_timeout",
        "replaced",
        "unauthorized",
    }
)
NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006
SERVICE_RESTART = 1012
# Close code for a connection that did not answer: 1000 would give the ID up.
ABANDONED = 4000

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
# After a planned restart all clients come back; they spread over this time.
RESTART_SPREAD_S = 1.0
# A connection that held for this long was good: the delays begin anew.
GOOD_AFTER_S = 10.0
# Time from the attempt to connect until ``registered``.
REGISTER_TIMEOUT_S = 15.0
# A dead connection is noticed after a ping interval and a ping timeout.
PING_INTERVAL_S = 10.0
PING_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
RESEND_DELAY_S = 1.0

MAX_QUEUED_MESSAGES = 64
MAX_UNREAD_MESSAGES = 1024
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_PENDING_CALLS = 16
MAX_EARLY_MESSAGES = 64


class SignalingError(Exception):
    """
    An error: ``code`` for programs, the text for people.

    The codes are the server's (``id_taken``, ``target_not_found``, ...) and those of
    this module: ``connect_failed``, ``queue_full``, ``closed``, ``bad_frame``,
    ``messages_dropped``, ``resume_not_saved``, ``negotiation_failed``, and
    ``disconnected`` if the server closed for good without an error.
    """

    def __init__(self, code: str, message: str, target_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        #: The client that the failed message was for, if there was one.
        self.target_id = target_id


@dataclass(frozen=True)
class StateChange:
    """
    The event ``statechange``: ``connecting``, ``registered``, ``waiting`` or ``closed``.

    ``code`` and ``reason`` are those of the close that led here, ``delay`` the seconds
    until the next attempt.
    """

    state: str
    code: int | None = None
    reason: str = ""
    delay: float | None = None


@dataclass(frozen=True)
class PeerEvent:
    """The events ``joined`` and ``left``, which ``presence`` brings."""

    client_id: str


@dataclass(frozen=True)
class Ended:
    """The event ``ended``: the other side has hung up, or the connection was lost."""

    peer_id: str
    connection: RTCPeerConnection | None


@dataclass(frozen=True)
class Call:
    """
    The event ``call``: another client wants to connect; accept at once or later.

    ``replaces`` is the former connection to the same client, which is closed.
    """

    peer_id: str
    replaces: RTCPeerConnection | None
    _calls: _Calls

    def accept(
        self,
        *,
        polite: bool | None = None,
        configuration: RTCConfiguration | None = None,
    ) -> RTCPeerConnection:
        """Returns the peer connection: add tracks before the next ``await``."""
        return self._calls.open(self.peer_id, polite, configuration)

    async def refuse(self) -> None:
        """Refuses the call, and notifies the caller."""
        await self._calls.hang_up(self.peer_id)


class ResumeFile:
    """
    Keeps the resume secret in a file, so that a program that crashed and was started
    again takes its ID back at once. The file can be read by its owner alone.

    :param path: of a file that no other running program uses
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def load(self) -> str | None:
        """
        Returns the secret, or None if there is none.

        :raises OSError: if the file is there and cannot be read
        """
        try:
            with open(self._path, encoding="utf-8") as file:
                return file.read().strip() or None
        except FileNotFoundError:
            return None

    def save(self, secret: str | None) -> None:
        """
        Replaces the file in one step; None removes it.

        :raises OSError: if it cannot be written
        """
        if secret is None:
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
            return
        folder = os.path.dirname(self._path) or "."
        descriptor, draft = tempfile.mkstemp(dir=folder)  # of mode 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._path)
        except BaseException:
            os.unlink(draft)
            raise


class _MemoryStore(ResumeFile):
    """Keeps the resume secret in this process: ``resume=True``."""

    def __init__(self) -> None:
        self._secret: str | None = None

    def load(self) -> str | None:
        return self._secret

    def save(self, secret: str | None) -> None:
        self._secret = secret


def connect(
    url: str,
    *,
    client_id: str,
    room: str | None = None,
    token: Token = None,
    resume: bool | ResumeFile = False,
    presence: bool = False,
) -> Signaling:
    """
    Prepares a connection; ``async with`` opens it, and waits until it is registered.

    :param url: of the server: ``wss:``, ``ws:``, ``https:`` or ``http:``
    :param client_id: to register under, 1 to 128 characters
    :param room: a namespace of its own; without it, the default room
    :param token: or a coroutine function that gets one before each attempt to connect
    :param resume: keep the ID, and what is sent to it, over a lost connection; with a
        :class:`ResumeFile`, over a crash of the program too
    :param presence: keep :attr:`Signaling.peers` up to date
    :raises ValueError: if ``url`` is not one
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ValueError(f'"{url}" is not the URL of a server: write wss://HOST.')
    register: Message = {"type": "register", "client_id": client_id}
    if room is not None:
        register["room"] = room
    if presence:
        register["presence"] = "batch"
    store = _MemoryStore() if resume is True else resume or None
    return Signaling(re.sub("^http", "ws", url), register, token, store, _Environment())


class _ConnectionLost(Exception):
    """The WebSocket has ended."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class _Socket:
    """A WebSocket of the websockets library, of any version from 10 on."""

    def __init__(self, websocket: Any, closed: Any) -> None:
        self._websocket = websocket
        self._closed = closed

    @property
    def is_open(self) -> bool:
        return bool(self._websocket.state == 1)  # State.OPEN

    async def send(self, text: str) -> None:
        """Sends; what a connection takes with it when it ends is lost."""
        try:
            await self._websocket.send(text)
        except self._closed:
            pass

    async def recv(self) -> str | bytes:
        """
        Returns the next message.

        :raises _ConnectionLost: once there are no more
        """
        try:
            text: str | bytes = await self._websocket.recv()
            return text
        except self._closed as error:
            # A code that the server only returns is our own, such as 1009.
            is_servers = error.rcvd is not None and error.rcvd_then_sent is not False
            code, reason = ABNORMAL_CLOSURE, ""
            if is_servers:
                code, reason = error.rcvd.code, error.rcvd.reason
            raise _ConnectionLost(code, reason) from error

    async def close(self, code: int) -> None:
        await self._websocket.close(code)


class _Environment:
    """The parts of the world that the client needs, passed in for the tests."""

    def random(self) -> float:
        return random.random()

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def open(self, url: str) -> _Socket:
        # Version 10 has no types for them, so they are found by name.
        websockets: Any = importlib.import_module("websockets")
        websocket = await websockets.connect(
            url,
            compression=None,
            open_timeout=REGISTER_TIMEOUT_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
        )
        return _Socket(websocket, websockets.ConnectionClosed)

    def create_connection(
        self, ice_servers: list[Message], configuration: RTCConfiguration | None
    ) -> Any:
        aiortc = _import_aiortc()
        if configuration is None:
            servers = [_ice_server(aiortc, server) for server in ice_servers]
            configuration = aiortc.RTCConfiguration(iceServers=servers)
        return aiortc.RTCPeerConnection(configuration)


class _Backoff:
    """Decides when to try again."""

    def __init__(self, environment: _Environment) -> None:
        self._environment = environment
        self._failures = 0

    def reset(self) -> None:
        """Makes the next failure a first one."""
        self._failures = 0

    def delay_after(self, code: int) -> float | None:
        """Returns the seconds to wait after a close, or None if it was for good."""
        if code in FINAL_CLOSE_CODES:
            return None
        if code == SERVICE_RESTART:
            return self._environment.random() * RESTART_SPREAD_S
        ceiling = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return ceiling * (0.5 + self._environment.random() / 2)


class Signaling:
    """
    One client of the server; :func:`connect` makes it.

    Iterating over it yields the messages of other clients, apart from those that a peer
    connection of :meth:`peer` took. The iteration ends with the ``with`` block or on
    SIGTERM, and raises :class:`SignalingError` if the server closed for good.
    """

    def __init__(
        self,
        url: str,
        register: Message,
        token: Token,
        store: ResumeFile | None,
        environment: _Environment,
    ) -> None:
        self._url = url
        self._register = register
        self._token = token
        self._store = store
        self._environment = environment
        self._backoff = _Backoff(environment)
        self._state = "connecting"
        self._listeners: dict[str, list[Callable[[Any], object]]] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._inbox: deque[Message] = deque()
        self._queue: deque[str] = deque()
        self._peers: frozenset[str] = frozenset()
        self._ice_servers: list[Message] = []
        self._resumed = False
        self._secret: str | None = None
        self._socket: _Socket | None = None
        self._answer: Message | None = None
        self._refusal: SignalingError | None = None
        self._retry_after: float | None = None
        self._failure: SignalingError | None = None
        self._calls = _Calls(self, environment)
        self._goodbye: Callable[[], Awaitable[None]] = self._calls.hang_up_all
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._background: set[asyncio.Future[Any]] = set()
        self._owner: asyncio.Task[Any] | None = None
        self._owner_listens = False
        self._is_entered = False
        self._was_read = False
        self._cancelled_owner = False
        self._sigterm = _Sigterm(self._on_sigterm)

    # What programs use.

    @property
    def client_id(self) -> str:
        """The ID of this client."""
        return str(self._register["client_id"])

    @property
    def state(self) -> str:
        """``connecting``, ``registered``, ``waiting`` or ``closed``."""
        return self._state

    @property
    def peers(self) -> frozenset[str]:
        """The IDs of the others in the room; empty without ``presence``."""
        return self._peers

    @property
    def ice_servers(self) -> list[Message]:
        """The ICE servers from the server, as RTCPeerConnection in a browser takes them."""
        return self._ice_servers

    @property
    def resumed(self) -> bool:
        """True if this registration resumed the former one, with its stored messages."""
        return self._resumed

    async def send(self, message: Message, *, to: str | None = None) -> None:
        """
        Sends a message, at once or as soon as the server can be reached.

        :param message: anything that JSON can say; ``target_id`` is set from ``to``
        :param to: the ID of the receiver; without it, all others in the room
        :raises SignalingError: ``queue_full`` if 64 messages wait for the connection;
            ``closed``, or the error that ended it, once this client has ended
        :raises ValueError: if ``to`` is empty, or JSON has no such number
        """
        if to == "":
            raise ValueError('"to" is empty: leave it out to send to all.')
        if self._state == "closed":
            raise self._failure or SignalingError("closed", "Signaling is closed.", to)
        addressed = {key: message[key] for key in message if key != "target_id"}
        if to is not None:
            addressed["target_id"] = to
        text = json.dumps(addressed, allow_nan=False, separators=(",", ":"))
        socket = self._socket
        if self._state == "registered" and socket is not None and socket.is_open:
            return await socket.send(text)
        if len(self._queue) >= MAX_QUEUED_MESSAGES:
            problem = f"{MAX_QUEUED_MESSAGES} messages wait for the connection: send it later."
            raise SignalingError("queue_full", problem, to)
        self._queue.append(text)

    def peer(
        self,
        peer_id: str,
        *,
        polite: bool | None = None,
        configuration: RTCConfiguration | None = None,
    ) -> RTCPeerConnection:
        """
        Returns the aiortc connection to another client, made if there is none yet: add
        tracks or data channels, and it negotiates by itself. Takes that client's call,
        if it is ringing.

        :param polite: whether to give way if two offers cross; by default the lower ID
            does, as in the browser client
        :param configuration: in place of the ICE servers from the server
        :raises ImportError: if aiortc is not installed
        """
        return self._calls.open(peer_id, polite, configuration)

    async def hang_up(self, peer_id: str) -> None:
        """Ends the connection to another client, and notifies that client."""
        await self._calls.hang_up(peer_id)

    def on(self, event: str, callback: Callable[[Any], object]) -> Callable[[], None]:
        """
        Listens to an event: ``statechange`` (:class:`StateChange`), ``error``
        (:class:`SignalingError`), ``message`` (a dict), ``joined`` and ``left``
        (:class:`PeerEvent`), ``call`` (:class:`Call`), ``ended`` (:class:`Ended`).

        :param callback: a function or a coroutine function of one argument
        :returns: a function that ends it
        """
        if event not in _EVENTS:
            raise ValueError(f'No event "{event}": there are {", ".join(_EVENTS)}.')
        listeners = self._listeners.setdefault(event, [])
        listeners.append(callback)
        return lambda: listeners.remove(callback) if callback in listeners else None

    async def close(self) -> None:
        """Hangs up, and gives the ID up for good; the end of the ``with`` block does it."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def wait_closed(self) -> None:
        """
        Waits for the end, as ``async for`` does, in programs that use callbacks alone.

        :raises SignalingError: if the server closed for good
        """
        self._note_listening()
        while self._state != "closed":
            await self._wait()
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("This client has been used already: connect() anew.")
        if self._store is not None:
            self._secret = self._store.load()
        self._owner = asyncio.current_task()
        self._sigterm.catch()
        self._task = asyncio.ensure_future(self._run())
        try:
            while self._state not in ("registered", "closed"):
                await self._wait()
            if self._state == "closed":
                raise self._failure or SignalingError("closed", "Signaling is closed.")
        except BaseException:
            await self.close()
            if self._cancelled_owner:
                signal.raise_signal(signal.SIGTERM)  # it is the default handler's again
            raise
        self._is_entered = True
        return self

    async def __aexit__(self, *details: object) -> bool:
        await self.close()
        is_ours = self._cancelled_owner and details[0] is asyncio.CancelledError
        if is_ours and self._owner is not None and hasattr(self._owner, "uncancel"):
            self._owner.uncancel()
        return is_ours

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        self._note_listening()
        self._was_read = True
        while not self._inbox:
            if self._state == "closed":
                raise self._failure or StopAsyncIteration
            await self._wait()
        return self._inbox.popleft()

    # The way to ``registered``, and back to it.

    async def _run(self) -> None:
        while True:
            lost = await self._attend()
            delay = self._delay_after(lost)
            if delay is None:
                return self._end(self._refusal or _final_error(lost), lost)
            logger.info(
                "Lost the connection (%s): next attempt in %.1f s.", lost, delay
            )
            self._set_state(StateChange("waiting", lost.code, lost.reason, delay))
            await self._environment.sleep(delay)

    async def _attend(self) -> _ConnectionLost:
        """Connects, and receives until the connection ends."""
        self._answer = self._refusal = self._retry_after = None
        self._set_state(StateChange("connecting"))
        try:
            socket = await self._within(REGISTER_TIMEOUT_S, self._reach())
        except _ConnectionLost as lost:
            self._drop_socket()
            return lost
        except Exception as error:  # noqa: BLE001  (the program's token function may raise anything)
            self._drop_socket()
            reason = str(error) or type(error).__name__
            self._fail("connect_failed", f"Cannot connect to {self._url}: {reason}")
            return _ConnectionLost(ABNORMAL_CLOSURE, "connect_failed")
        registered_at = self._environment.now()
        try:
            await self._on_registered(socket)
            while True:
                self._receive(await socket.recv())
        except _ConnectionLost as lost:
            self._drop_socket()
            if self._environment.now() - registered_at >= GOOD_AFTER_S:
                self._backoff.reset()
            return lost

    async def _reach(self) -> _Socket:
        """Connects and registers."""
        register = dict(self._register)
        if self._token is not None:
            token = self._token
            register["token"] = token if isinstance(token, str) else await token()
        if self._store is not None:
            register["resume"] = self._secret or True
        socket = self._socket = await self._environment.open(self._url)
        await socket.send(json.dumps(register))
        while self._answer is None:
            self._receive(await socket.recv())
        return socket

    async def _within(
        self, seconds: float, work: Coroutine[Any, Any, _Socket]
    ) -> _Socket:
        task = asyncio.ensure_future(work)
        timer = asyncio.ensure_future(self._environment.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise TimeoutError(f"No answer within {seconds:g} s.")
            return task.result()
        finally:
            task.cancel()
            timer.cancel()
            await asyncio.gather(task, timer, return_exceptions=True)

    def _drop_socket(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._spawn(socket.close(ABANDONED))

    def _delay_after(self, lost: _ConnectionLost) -> float | None:
        if self._refusal is not None:
            return None
        if self._retry_after is not None:
            return min(max(self._retry_after, FIRST_DELAY_S / 2), MAX_DELAY_S)
        return self._backoff.delay_after(lost.code)

    async def _on_registered(self, socket: _Socket) -> None:
        answer = self._answer or {}
        self._ice_servers = answer.get("ice_servers", [])
        self._resumed = answer.get("resumed", False)
        self._keep_secret(answer.get("resume"))
        while self._queue and socket.is_open:
            await socket.send(self._queue.popleft())
        self._set_state(StateChange("registered"))
        present = frozenset(answer.get("peers", ()))
        self._change_peers(left=self._peers - present, joined=present - self._peers)
        self._calls.signaling_is_up()

    def _end(
        self, failure: SignalingError | None, lost: _ConnectionLost | None = None
    ) -> None:
        self._failure = failure
        self._queue.clear()
        self._sigterm.release()
        if lost is None:
            return self._set_state(StateChange("closed", NORMAL_CLOSURE))
        if self._is_entered and not self._owner_listens:  # else it is raised
            logger.error("The connection has ended for good: %s", failure)
        self._set_state(StateChange("closed", lost.code, lost.reason))

    async def _close(self) -> None:
        if self._state != "closed":
            try:
                await asyncio.wait_for(self._goodbye(), CLOSE_TIMEOUT_S)
            except asyncio.TimeoutError:
                pass  # the connection is stuck
            socket, self._socket = self._socket, None
            self._end(None)
            if self._task is not None:
                self._task.cancel()
            if socket is not None:
                await socket.close(NORMAL_CLOSURE)
            self._keep_secret(None)
        await self._calls.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _on_sigterm(self) -> None:
        """Ends ``async for``; any other wait of the ``with`` block is cancelled."""
        self._sigterm.release()  # a second one ends the program at once
        if self._state == "closed":
            return
        if self._owner is not None and not self._owner_listens:
            self._cancelled_owner = True
            self._owner.cancel()
        self._spawn(self.close())

    # What comes from the server.

    def _receive(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
            if not isinstance(message, dict):
                raise TypeError("it is no JSON object")
            if not isinstance(message.get("from"), str):
                return self._receive_notice(message)
        except (ValueError, TypeError, KeyError) as error:
            problem = f"The server sent what this client does not understand: {error}."
            return self._fail("bad_frame", problem)
        self._emit("message", message)
        if not self._calls.receive(message):
            self._store_message(message)

    def _receive_notice(self, notice: Message) -> None:
        kind = notice.get("type")
        if kind == "registered":
            self._answer = notice
        elif kind == "error":
            self._receive_error(notice)
        elif kind == "peers_changed":
            self._change_peers(notice.get("left", ()), notice.get("joined", ()))
        elif kind == "peer_joined":
            self._change_peers((), (notice["client_id"],))
        elif kind == "peer_left":
            self._change_peers((notice["client_id"],), ())

    def _receive_error(self, notice: Message) -> None:
        code = str(notice.get("code"))
        error = SignalingError(
            code, str(notice.get("message")), notice.get("target_id")
        )
        if code in FINAL_ERROR_CODES:
            self._refusal = error
        if code == "id_held":
            self._retry_after = notice.get("retry_after_ms", 0) / 1000
        self._report_error(error)

    def _store_message(self, message: Message) -> None:
        self._inbox.append(message)
        if len(self._inbox) > MAX_UNREAD_MESSAGES:
            self._inbox.popleft()
            if self._was_read:  # else the program lives from events alone
                problem = f"Over {MAX_UNREAD_MESSAGES} messages wait to be read: the oldest was dropped."
                self._fail("messages_dropped", problem)
        self._wake()

    def _change_peers(self, left: Any, joined: Any) -> None:
        for client_id in left:
            if client_id in self._peers:
                self._peers -= {client_id}
                self._emit("left", PeerEvent(client_id))
        for client_id in joined:
            self._peers |= {client_id}
            self._emit("joined", PeerEvent(client_id))
            self._calls.peer_joined(client_id)

    # Helpers.

    def _set_state(self, change: StateChange) -> None:
        self._state = change.state
        self._emit("statechange", change)
        self._wake()

    def _keep_secret(self, secret: str | None) -> None:
        self._secret = secret
        try:
            if self._store is not None:
                self._store.save(secret)
        except OSError as error:
            self._fail("resume_not_saved", f"Cannot save the resume secret: {error}.")

    def _note_listening(self) -> None:
        if asyncio.current_task() is self._owner:
            self._owner_listens = True

    async def _wait(self) -> None:
        """Waits for the next message or change of state."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _fail(self, code: str, problem: str, target_id: str | None = None) -> None:
        self._report_error(SignalingError(code, problem, target_id))

    def _report_error(self, error: SignalingError) -> None:
        is_final = error.code in FINAL_ERROR_CODES  # and will be raised
        if not is_final and not self._has_listener("error"):
            logger.warning("%s: %s", error.code, error)
        self._emit("error", error)

    def _emit(self, event: str, detail: object) -> None:
        for callback in list(self._listeners.get(event, ())):
            try:
                result = callback(detail)
            except Exception:
                logger.exception("A callback for %s failed.", event)
            else:
                if inspect.iscoroutine(result):
                    self._spawn(result)

    def _has_listener(self, event: str) -> bool:
        return bool(self._listeners.get(event))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs in the background until this client is closed."""

        async def run() -> None:
            try:
                await work
            except Exception:
                logger.exception("A task in the background failed.")

        task = asyncio.ensure_future(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


_EVENTS = ("statechange", "error", "message", "joined", "left", "call", "ended")


class _Sigterm:
    """Calls back on SIGTERM, unless the program has its own handler."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop: asyncio.AbstractEventLoop | None = None
        self._previous: Any = signal.SIG_DFL

    def catch(self) -> None:
        """Installs the handler; several clients in one program form a chain."""
        previous = signal.getsignal(signal.SIGTERM)
        is_free = previous is signal.SIG_DFL or _client_of(previous) is not None
        if threading.current_thread() is threading.main_thread() and is_free:
            self._loop = asyncio.get_running_loop()
            self._previous = previous
            signal.signal(signal.SIGTERM, self._handle)

    def release(self) -> None:
        """Ends, and removes those that have ended from the chain."""
        if self._loop is None:
            return
        self._loop = None
        handler: Any = signal.getsignal(signal.SIGTERM)
        client = _client_of(handler)
        while client is not None and client._loop is None:
            handler = client._previous
            client = _client_of(handler)
        signal.signal(signal.SIGTERM, handler)

    def _handle(self, number: int, frame: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._callback)
        if callable(self._previous):
            self._previous(number, frame)


def _client_of(handler: Any) -> _Sigterm | None:
    owner = getattr(handler, "__self__", None)
    return owner if isinstance(owner, _Sigterm) else None


class _PendingCall:
    """The messages of a call that waits for accept()."""

    def __init__(self) -> None:
        self.has_rung = False
        self.identity: str | None = None
        self.session: str | None = None
        self.messages: list[Message] = []


class _Calls:
    """
    The peer connections, and the calls that ring.

    A program that starts again is a new peer under an old ID, and what was meant for
    its predecessor may still arrive. So offers, answers, candidates and byes carry
    ``session``, the name of the sender's connection, and ``peer_session``, the
    receiver's once it is known. Partners without them (any client of the core protocol)
    are distinguished by the DTLS fingerprint in their SDP.
    """

    def __init__(self, signaling: Signaling, environment: _Environment) -> None:
        self._signaling = signaling
        self._environment = environment
        self._connected: dict[str, _Negotiation] = {}
        self._pending: dict[str, _PendingCall] = {}
        self._closing: set[asyncio.Future[None]] = set()

    def open(
        self,
        peer_id: str,
        polite: bool | None,
        configuration: RTCConfiguration | None,
    ) -> Any:
        existing = self._find(peer_id)
        if existing is not None:
            return existing.connection
        connection = self._environment.create_connection(
            self._signaling.ice_servers, configuration
        )
        if polite is None:
            polite = self._signaling.client_id < peer_id
        negotiation = _Negotiation(peer_id, connection, polite, self._signaling, self)
        self._connected[peer_id] = negotiation
        pending = self._pending.pop(peer_id, None)
        for message in pending.messages if pending else ():
            negotiation.receive(message)
        return connection

    async def hang_up(self, peer_id: str) -> None:
        negotiation = self._find(peer_id)
        pending = self._pending.pop(peer_id, None)
        if negotiation is not None:
            await self._send_bye(peer_id, negotiation.peer_session, negotiation.session)
        elif pending is not None:
            await self._send_bye(peer_id, pending.session)
        self._forget(peer_id)

    async def hang_up_all(self) -> None:
        for peer_id in list(self._connected):
            await self.hang_up(peer_id)

    def receive(self, message: Message) -> bool:
        """Handles a message if it belongs to a peer connection or a call."""
        kind, peer_id = message.get("type"), message["from"]
        is_description = kind in ("offer", "answer") and _text(message.get("sdp"))
        if not is_description and kind not in ("candidate", "bye"):
            return False
        negotiation = self._find(peer_id)
        peer_session = _text(message.get("peer_session"))
        if kind == "bye":
            return self._receive_bye(peer_id, peer_session, negotiation)
        if peer_session is not None and (
            negotiation is None or peer_session != negotiation.session
        ):
            # The message is for an earlier connection of this client.
            if kind == "offer":
                session = _text(message.get("session"))
                self._signaling._spawn(self._send_bye(peer_id, session))
            return True
        if negotiation is not None and negotiation.is_with(message):
            negotiation.receive(message)
            return True
        if negotiation is None or kind == "offer":
            self._ring(message, negotiation)
        # Other programs negotiate by themselves, or call :meth:`peer` a moment later.
        return negotiation is not None or self._signaling._has_listener("call")

    def _ring(self, message: Message, former: _Negotiation | None) -> None:
        """Stores a new peer's messages until accept(); the first offer emits ``call``."""
        peer_id, identity = message["from"], _identity_of(message)
        is_offer = message["type"] == "offer"
        pending = self._pending.get(peer_id)
        if pending is None or (
            is_offer and pending.has_rung and pending.identity != identity
        ):
            pending = self._expect(peer_id)
        if len(pending.messages) < MAX_EARLY_MESSAGES:
            pending.messages.append(message)
        if not is_offer or pending.has_rung:
            return
        pending.has_rung = True
        pending.identity = identity
        pending.session = _text(message.get("session"))
        replaces = None
        if former is not None:
            self._close(self._connected.pop(peer_id))
            replaces = former.connection
        self._signaling._emit("call", Call(peer_id, replaces, self))

    def _expect(self, peer_id: str) -> _PendingCall:
        self._pending.pop(peer_id, None)  # so that it moves to the end
        pending = self._pending[peer_id] = _PendingCall()
        if len(self._pending) > MAX_PENDING_CALLS:
            del self._pending[next(iter(self._pending))]
        return pending

    def _receive_bye(
        self, peer_id: str, peer_session: str | None, known: _Negotiation | None
    ) -> bool:
        if known is None and peer_id not in self._pending:
            return peer_session is not None
        if known is None or peer_session in (None, known.session):
            connection = known.connection if known is not None else None
            self._forget(peer_id)
            self._signaling._emit("ended", Ended(peer_id, connection))
        return known is not None or self._signaling._has_listener("call")

    def on_lost(self, negotiation: _Negotiation) -> None:
        """Ends a connection whose path is lost: aiortc cannot search for another one."""
        peer_id = negotiation.peer_id
        if self._connected.get(peer_id) is not negotiation:
            return
        bye = self._send_bye(peer_id, negotiation.peer_session, negotiation.session)
        self._signaling._spawn(bye)
        self._forget(peer_id)
        self._signaling._emit("ended", Ended(peer_id, negotiation.connection))

    async def _send_bye(
        self, peer_id: str, peer_session: str | None, session: str | None = None
    ) -> None:
        if self._signaling.state == "registered":
            await self._signaling.send(
                {"type": "bye", **_names(session, peer_session)}, to=peer_id
            )

    def _forget(self, peer_id: str) -> None:
        negotiation = self._connected.pop(peer_id, None)
        self._pending.pop(peer_id, None)
        if negotiation is not None:
            self._close(negotiation)

    def _close(self, negotiation: _Negotiation) -> None:
        task = asyncio.ensure_future(negotiation.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _find(self, peer_id: str) -> _Negotiation | None:
        negotiation = self._connected.get(peer_id)
        if negotiation is not None and negotiation.is_closed:
            self._forget(peer_id)  # the program closed it, and did not hang up
            return None
        return negotiation

    def signaling_is_up(self) -> None:
        for negotiation in list(self._connected.values()):
            negotiation.repeat_offer()

    def peer_joined(self, peer_id: str) -> None:
        negotiation = self._find(peer_id)
        if negotiation is not None:
            negotiation.repeat_offer()

    async def close(self) -> None:
        """Closes the connections that are left, and waits until all are closed."""
        for peer_id in list(self._connected):
            self._forget(peer_id)
        await asyncio.gather(*self._closing, return_exceptions=True)


class _Negotiation:
    """
    One peer connection, negotiated as in the "perfect negotiation" of WebRTC 1.0,
    section 10.7. Both sides may change anything at any time. If two offers cross, the
    polite side takes its own back.

    aiortc has no rollback. So an offer is set as the local description only when its
    answer is there; until then it can be taken back by forgetting it. What happens to
    the connection happens one after the other, in one task.
    """

    def __init__(
        self,
        peer_id: str,
        connection: Any,
        polite: bool,
        signaling: Signaling,
        calls: _Calls,
    ) -> None:
        self.peer_id = peer_id
        self.connection = connection
        #: Names this connection in what is sent.
        self.session = secrets.token_hex(8)
        #: Names the peer's, once it is known; core clients have none.
        self.peer_session: str | None = None
        self._peer_identity: str | None = None
        self._polite = polite
        self._signaling = signaling
        self._calls = calls
        #: An offer that was sent, and is not answered.
        self._offered: Any = None
        #: The last offer that was answered.
        self._answered: str | None = None
        self._remote_ufrag: str | None = None
        self._directions: dict[Any, str] = {}
        self._early: list[Message] = []
        self._is_ignoring = False
        self._work: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run())
        connection.on("connectionstatechange", self._on_state)
        # aiortc has no event "negotiationneeded".
        for name in ("addTrack", "addTransceiver", "createDataChannel"):
            setattr(connection, name, self._and_offer(getattr(connection, name)))

    @property
    def is_closed(self) -> bool:
        return bool(self.connection.signalingState == "closed")

    def is_with(self, message: Message) -> bool:
        """Returns whether a message is of the known peer; True if nothing contradicts that."""
        identity = _identity_of(message)
        return (
            identity is None
            or self._peer_identity is None
            or identity == self._peer_identity
        )

    def receive(self, message: Message) -> None:
        """Applies an offer, an answer or a candidate."""
        if self._work.qsize() >= 2 * MAX_EARLY_MESSAGES:
            problem = f'Too much of "{self.peer_id}" waits: a message was dropped.'
            return self._signaling._fail("negotiation_failed", problem, self.peer_id)
        kind = message["type"]
        if kind == "candidate":
            # One of an earlier connection can be late, and must not name the next one.
            return self._do(lambda: self._receive_candidate(message))
        if self.peer_session is None:
            self.peer_session = _text(message.get("session"))
        if self._peer_identity is None:
            self._peer_identity = _identity_of(message)
        if kind == "offer":
            self._do(lambda: self._receive_offer(message["sdp"]))
        else:
            self._do(lambda: self._receive_answer(message["sdp"]))

    def repeat_offer(self) -> None:
        """Offers again, to a peer that may not have received the offer."""
        self._do(self._repeat_offer)

    async def close(self) -> None:
        self._task.cancel()
        await self.connection.close()

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work.put_nowait(work)

    async def _run(self) -> None:
        while True:
            work = await self._work.get()
            try:
                await work()
            except Exception as error:  # noqa: BLE001  (aiortc may raise anything)
                reason = str(error) or type(error).__name__
                problem = f'The negotiation with "{self.peer_id}" failed: {reason}.'
                self._signaling._fail("negotiation_failed", problem, self.peer_id)

    def _and_offer(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            self._do(self._offer)
            return result

        return call

    def _on_state(self) -> None:
        if self.connection.connectionState == "failed":
            self._calls.on_lost(self)

    async def _offer(self) -> None:
        """Offers what the peer does not know yet, if there is something."""
        is_up = self._signaling.state == "registered"
        if self._offered is not None or not is_up or not self._has_news():
            return
        connection = self.connection
        await self._prepare_transports()
        self._note_directions()
        self._offered = await connection.createOffer()
        await self._send_description(self._offered)

    async def _prepare_transports(self) -> None:
        """Gathers candidates, which aiortc does only once the offer is the local description."""
        transports = {sender.transport for sender in self.connection.getSenders()}
        if self.connection.sctp is not None:
            _number_channels(self.connection.sctp)
            transports.add(self.connection.sctp.transport)
        ice_transports = [transport.transport for transport in transports]
        for transport in ice_transports:
            if not transport._role_set:
                # The peer's first checks may come before its answer.
                transport._connection.ice_controlling = True
        await asyncio.gather(*(t.iceGatherer.gather() for t in ice_transports))

    def _has_news(self) -> bool:
        connection = self.connection
        if connection.sctp is not None and connection.sctp.mid is None:
            return True
        transceivers = [t for t in connection.getTransceivers() if not t.stopped]
        return any(
            t.mid is None or self._directions.get(t) != t.direction
            for t in transceivers
        )

    def _note_directions(self) -> None:
        """Notes what the next description contains: later changes are news."""
        transceivers = self.connection.getTransceivers()
        self._directions = {t: t.direction for t in transceivers}

    async def _repeat_offer(self) -> None:
        if self._offered is not None:
            await self._send_description(self._offered)
        else:
            await self._offer()

    async def _receive_offer(self, sdp: str) -> None:
        connection = self.connection
        if sdp == self._answered and self._offered is None:
            return await self._send_description(connection.localDescription)
        self._is_ignoring = self._offered is not None and not self._polite
        if self._is_ignoring:
            self._early.clear()  # they were for this offer
            return
        ufrag = _first(r"^a=ice-ufrag:(\S+)", sdp)
        if self._remote_ufrag not in (None, ufrag):
            return self._calls.on_lost(self)  # an ICE restart
        self._offered = None
        await connection.setRemoteDescription(_description("offer", sdp))
        if connection.sctp is not None:
            _number_channels(connection.sctp)
        self._set_new_aside()
        self._note_directions()
        await connection.setLocalDescription(await connection.createAnswer())
        self._answered = sdp
        self._remote_ufrag = ufrag
        await self._send_description(connection.localDescription)
        await self._add_early_candidates()
        await self._offer()

    def _set_new_aside(self) -> None:
        """Works around aiortc, which would put new transceivers into the answer."""
        for transceiver in self.connection.getTransceivers():
            if transceiver.mid is None:
                # An offer that was taken back has given it the place of another one.
                transceiver._set_mline_index(None)
                transceiver._offerDirection = "inactive"

    async def _receive_answer(self, sdp: str) -> None:
        if self._offered is None:
            return  # to an offer that was repeated or taken back
        offer, self._offered = self._offered, None
        self._is_ignoring = False
        await self.connection.setLocalDescription(offer)
        await asyncio.sleep(0)  # what that started must not see half of the answer
        await self.connection.setRemoteDescription(_description("answer", sdp))
        self._remote_ufrag = _first(r"^a=ice-ufrag:(\S+)", sdp)
        await self._add_early_candidates()
        await self._offer()

    async def _receive_candidate(self, message: Message) -> None:
        if self._remote_ufrag is not None:
            await self._add_candidate(message)
        elif not self._is_ignoring and len(self._early) < MAX_EARLY_MESSAGES:
            self._early.append(message)

    async def _add_early_candidates(self) -> None:
        early, self._early = self._early, []
        for message in filter(self.is_with, early):
            await self._add_candidate(message)

    async def _add_candidate(self, message: Message) -> None:
        candidate = _candidate_of(message, self.connection.remoteDescription.sdp)
        if candidate is not None:
            await self.connection.addIceCandidate(candidate)

    async def _send_description(self, description: Any) -> None:
        await self._signaling.send(
            {
                "type": description.type,
                "sdp": description.sdp,
                **_names(self.session, self.peer_session),
            },
            to=self.peer_id,
        )


class AiortcSignaling:
    """
    Takes the place of ``aiortc.contrib.signaling``'s classes in programs for two peers;
    it may be made before the event loop runs.

    :param url: of the server, as in :func:`connect`
    :param client_id: of this program
    :param target_id: of the other one, which may come later
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        target_id: str,
        *,
        room: str | None = None,
        token: Token = None,
    ) -> None:
        self._target_id = target_id
        self._signaling = connect(
            url, client_id=client_id, room=room, token=token, resume=True
        )
        self._signaling.on("error", self._on_error)
        self._signaling._goodbye = self._send_bye
        self._last: Message | None = None
        self._is_answered = False

    async def connect(self) -> None:
        """
        Connects and registers.

        :raises SignalingError: if the server refuses it for good
        """
        await self._signaling.__aenter__()

    async def close(self) -> None:
        """Sends BYE, if it is connected, and closes; SIGTERM does it, too."""
        await self._signaling.close()

    async def send(self, obj: Any) -> None:
        """Sends an RTCSessionDescription, an RTCIceCandidate or BYE."""
        if hasattr(obj, "sdp"):
            message = self._last = {"type": obj.type, "sdp": obj.sdp}
        elif hasattr(obj, "sdpMid"):
            sdp = importlib.import_module("aiortc.sdp").candidate_to_sdp(obj)
            message = {
                "type": "candidate",
                "candidate": "candidate:" + sdp,
                "sdpMid": obj.sdpMid,
                "sdpMLineIndex": obj.sdpMLineIndex,
            }
        else:
            message = {"type": "bye"}
        await self._signaling.send(message, to=self._target_id)

    async def receive(self) -> Any:
        """
        Returns the next RTCSessionDescription, RTCIceCandidate or BYE; BYE also after
        SIGTERM and :meth:`close`.

        :raises SignalingError: if the server closed for good
        """
        bye = importlib.import_module("aiortc.contrib.signaling").BYE
        description = ""
        async for message in self._signaling:
            kind = message.get("type")
            if message["from"] != self._target_id:
                continue
            self._is_answered = True
            if kind == "bye":
                return bye
            if kind in ("offer", "answer") and message["sdp"] != description:
                description = message["sdp"]
                return _description(kind, description)
            candidate = kind == "candidate" and _candidate_of(message, description)
            if candidate:
                return candidate
        return bye

    async def _send_bye(self) -> None:
        await self._signaling.send({"type": "bye"}, to=self._target_id)

    async def _on_error(self, error: SignalingError) -> None:
        """Repeats what was sent to a target that is not connected yet."""
        logger.info("%s: %s", error.code, error)
        is_missing = error.code == "target_not_found" and not self._is_answered
        if is_missing and self._last is not None:
            await asyncio.sleep(RESEND_DELAY_S)
            await self._signaling.send(self._last, to=self._target_id)


def _final_error(lost: _ConnectionLost) -> SignalingError:
    reason = lost.reason or f"close code {lost.code}"
    return SignalingError(
        "disconnected", f"The server closed the connection: {reason}."
    )


def _import_aiortc() -> Any:
    try:
        return importlib.import_module("aiortc")
    except ImportError as error:
        problem = "Peer connections need aiortc: pip install aiortc."
        raise ImportError(problem) from error


def _ice_server(aiortc: Any, server: Message) -> Any:
    """Returns what aiortc can use of an ICE server: it refuses some URLs altogether."""
    urls = server.get("urls", [])
    usable = r"(stun:[^?:]+(:\d+)?|turns?:[^?:]+(:\d+)?(\?transport=\w+)?)"
    return aiortc.RTCIceServer(
        urls=[
            url
            for url in ([urls] if isinstance(urls, str) else urls)
            if re.fullmatch(usable, url)
        ],
        username=server.get("username"),
        credential=server.get("credential"),
    )


def _number_channels(sctp: Any) -> None:
    """
    Numbers data channels by the DTLS role (RFC 8832, section 6). aiortc goes by the ICE
    role, which changes if both sides were controlling. A browser that takes its offer
    back stays so, and both would use the same numbers.
    """
    start = sctp.start

    async def start_by_role(*arguments: Any) -> None:
        await start(*arguments)
        sctp._data_channel_id = 0 if sctp.transport._role == "client" else 1

    if sctp._data_channel_id is None:  # not started
        sctp.start = start_by_role


def _description(kind: str, sdp: str) -> Any:
    return _import_aiortc().RTCSessionDescription(type=kind, sdp=sdp)


def _candidate_of(message: Message, description: str) -> Any:
    """
    Returns the candidate of a message, or None if it says that there are no more. Its
    members are in the message itself or in its ``candidate``.
    """
    nested = message.get("candidate")
    members = nested if isinstance(nested, dict) else message
    text = members.get("candidate")
    if not isinstance(text, str) or not text:
        return None
    candidate = importlib.import_module("aiortc.sdp").candidate_from_sdp(
        re.sub("^(a=)?candidate:", "", text)
    )
    index = int(members.get("sdpMLineIndex") or 0)
    candidate.sdpMid = members.get("sdpMid")
    candidate.sdpMLineIndex = index
    mids = re.findall(r"^a=mid:(\S+)", description, re.MULTILINE)
    if candidate.sdpMid is None and index < len(mids):
        candidate.sdpMid = mids[index]  # aiortc before 1.5 looks at nothing else
    return candidate


def _identity_of(message: Message) -> str | None:
    """Returns what distinguishes one connection of a client from its next one, if it is there."""
    sdp = message.get("sdp")
    fingerprint = None
    if isinstance(sdp, str):
        fingerprint = _first(r"^a=fingerprint:(.+?)\s*$", sdp)
    return _text(message.get("session")) or fingerprint


def _names(session: str | None, peer_session: str | None) -> Message:
    names = {"session": session, "peer_session": peer_session}
    return {name: value for name, value in names.items() if value is not None}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _first(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else None
