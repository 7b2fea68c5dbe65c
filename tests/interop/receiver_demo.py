#!/usr/bin/python3
"""
A peer that waits for others: it answers every offer, takes a data channel and video, and says what it gets.

    receiver_demo.py --client-id receiver_001 [--server ws://localhost:8765]

It needs Debian's python3-websockets and python3-aiortc.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import rtc
from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from rtc import say
from signaling import Message, Signaling, SignalingError, connect

FRAMES_PER_REPORT = 30


class Receiver:
    """Answers all callers, each on a peer connection of its own."""

    def __init__(self, client_id: str, signaling: Signaling) -> None:
        self._client_id = client_id
        self._signaling = signaling
        self._peers: dict[str, RTCPeerConnection] = {}
        self._takers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Takes messages, one after the other and so in their order, until the connection to the server ends."""
        async for message in self._signaling:
            match message:
                case {"type": "offer", "from": sender}:
                    await self._answer(sender, message)
                case {"type": "candidate", "from": sender} if sender in self._peers:
                    await rtc.add_candidate(self._peers[sender], message)
                case {"type": "error", "message": text} if "from" not in message:
                    say(f"error: {text}")

    async def _answer(self, sender: str, offer: Message) -> None:
        """An offer starts anew: the sender may have been restarted, and know nothing of an earlier connection."""
        say(f"offer from {sender}")
        if earlier := self._peers.pop(sender, None):
            await earlier.close()
        pc = self._peers[sender] = rtc.new_peer_connection()
        pc.on("datachannel", self._on_data_channel)
        pc.on("track", self._on_track)
        await pc.setRemoteDescription(rtc.read_description(offer))
        await pc.setLocalDescription(await pc.createAnswer())
        await self._signaling.send(sender, rtc.describe(pc))

    def _on_data_channel(self, channel: RTCDataChannel) -> None:
        say("data channel open")

        @channel.on("message")
        def on_message(text: str) -> None:
            say(f"received: {text}")
            channel.send(f"hello from {self._client_id}")

    def _on_track(self, track: MediaStreamTrack) -> None:
        taker = asyncio.create_task(take(track))
        self._takers.add(taker)  # asyncio itself would let go of it
        taker.add_done_callback(self._takers.discard)

    async def close(self) -> None:
        await asyncio.gather(*(pc.close() for pc in self._peers.values()))


async def take(track: MediaStreamTrack) -> None:
    """Takes what comes in, because aiortc buffers the rest, and says how many frames of video it was."""
    frames = 0
    try:
        while True:
            frame = await track.recv()
            frames += 1
            if track.kind == "video" and frames % FRAMES_PER_REPORT == 0:
                say(f"video frames: {frames} ({frame.width}x{frame.height})")
    except MediaStreamError:
        say(f"{track.kind} ended")


async def main() -> None:
    parser = argparse.ArgumentParser(description="Waits for WebRTC peers and answers them.")
    parser.add_argument("--client-id", required=True, help="the ID to register under")
    parser.add_argument("--server", default="ws://localhost:8765", help="default: %(default)s")
    parser.add_argument(
        "--ice-address", help="use this address of the machine only, such as 127.0.0.1"
    )
    options = parser.parse_args()
    if options.ice_address:
        rtc.gather_only_on(options.ice_address)
    async with connect(options.server, options.client_id) as signaling:
        say(f"registered: {options.client_id}")
        receiver = Receiver(options.client_id, signaling)
        try:
            await receiver.run()
        finally:
            await receiver.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except SignalingError as error:
        sys.exit(f"receiver_demo.py: {error}")
    except KeyboardInterrupt:
        pass
