#!/usr/bin/python3
"""
The protocol by itself, without WebRTC: two clients exchange an offer, an answer and candidates, and what each of them
gets is printed.

    plain_exchange.py [ws://localhost:8765]

It needs the websockets package (Debian: python3-websockets).
"""

import asyncio
import json
import sys

import websockets

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CANDIDATE = {
    "type": "candidate",
    "candidate": "candidate:1 1 UDP 2130706431 127.0.0.1 50000 typ host",
    "sdpMid": "0",
    "sdpMLineIndex": 0,
}


class Client:
    """A client that prints what it gets."""

    def __init__(self, websocket, client_id: str) -> None:
        self._websocket = websocket
        self._client_id = client_id

    async def send(self, message: dict) -> None:
        await self._websocket.send(json.dumps(message))

    async def receive(self) -> None:
        print(f"{self._client_id} got {await self._websocket.recv()}")


async def main(server: str) -> None:
    async with (
        websockets.connect(server) as first,
        websockets.connect(server) as second,
    ):
        sender, receiver = Client(first, "sender_001"), Client(second, "receiver_001")

        await sender.send({"type": "register", "client_id": "sender_001"})
        await sender.receive()
        await receiver.send({"type": "register", "client_id": "receiver_001"})
        await receiver.receive()

        await sender.send({"type": "offer", "sdp": SDP, "target_id": "receiver_001"})
        await sender.send({**CANDIDATE, "target_id": "receiver_001"})
        await receiver.receive()
        await receiver.receive()

        await receiver.send({"type": "answer", "sdp": SDP, "target_id": "sender_001"})
        await receiver.send({**CANDIDATE, "target_id": "sender_001"})
        await sender.receive()
        await sender.receive()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["ws://localhost:8765"]))
