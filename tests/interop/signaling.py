"""The core protocol of signalbox in Python: register under an ID, send to others, receive from them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets

Message = dict[str, Any]


class SignalingError(Exception):
    """What the server, or the way to it, has against us; its text is for a person."""


class Signaling:
    """A registered connection; iterate over it for the messages that come in."""

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket

    async def send(self, target_id: str, message: Message) -> None:
        """Sends a message to one client."""
        await self._websocket.send(json.dumps({**message, "target_id": target_id}))

    async def __aiter__(self) -> AsyncIterator[Message]:
        """
        Yields what comes in: from other clients with their ID as ``from``, from the server itself without.

        :raises SignalingError: when the server ends the connection
        """
        async for text in self._websocket:
            yield json.loads(text)
        raise SignalingError("the server has closed the connection")


@asynccontextmanager
async def connect(server: str, client_id: str) -> AsyncIterator[Signaling]:
    """
    Connects and registers.

    :param server: such as ``ws://localhost:8765``
    :raises SignalingError: where the server cannot be reached, or does not take the ID, or the connection is lost
    """
    try:
        websocket = await websockets.connect(server)
    except (OSError, websockets.InvalidHandshake, websockets.InvalidURI) as error:
        raise SignalingError(f"cannot connect to {server}: {error}") from error
    try:
        await websocket.send(json.dumps({"type": "register", "client_id": client_id}))
        answer = json.loads(await websocket.recv())
        if answer["type"] != "registered":
            raise SignalingError(answer["message"])
        yield Signaling(websocket)
    except websockets.ConnectionClosed as error:
        raise SignalingError(f"the connection to the server is lost: {error}") from error
    finally:
        await websocket.close()
