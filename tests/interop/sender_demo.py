#!/usr/bin/python3
"""
A peer that calls another one: it offers a data channel, and video on request, and says what comes back.

    sender_demo.py --client-id sender_001 --target-id receiver_001 [--video] [--server ws://localhost:8765]

It needs Debian's python3-websockets and python3-aiortc.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import numpy
import rtc
from aiortc import RTCPeerConnection, VideoStreamTrack
from av import VideoFrame
from rtc import say
from signaling import Signaling, SignalingError, connect


class MovingStripes(VideoStreamTrack):
    """A picture that moves, so that one can see that it arrives."""

    def __init__(self, width: int = 320, height: int = 240) -> None:
        super().__init__()
        stripes = (numpy.arange(width) // 40 % 2 * 255).astype(numpy.uint8)
        self._picture = numpy.repeat(stripes[None, :, None], height, axis=0).repeat(3, axis=2)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        self._picture = numpy.roll(self._picture, 4, axis=1)
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


async def call(target_id: str, pc: RTCPeerConnection, signaling: Signaling) -> None:
    """Offers, and takes the answer and the candidates, until the connection to the server ends."""
    await pc.setLocalDescription(await pc.createOffer())
    await signaling.send(target_id, rtc.describe(pc))
    async for message in signaling:
        match message:
            case {"type": "answer", "from": sender} if sender == target_id:
                await pc.setRemoteDescription(rtc.read_description(message))
            case {"type": "candidate", "from": sender} if sender == target_id:
                await rtc.add_candidate(pc, message)
            case {"type": "error", "message": text} if "from" not in message:
                raise SignalingError(text)


def open_data_channel(client_id: str, pc: RTCPeerConnection) -> None:
    channel = pc.createDataChannel("chat")

    @channel.on("open")
    def on_open() -> None:
        say("data channel open")
        channel.send(f"hello from {client_id}")

    channel.on("message", lambda text: say(f"received: {text}"))


async def main() -> None:
    parser = argparse.ArgumentParser(description="Calls a WebRTC peer.")
    parser.add_argument("--client-id", required=True, help="the ID to register under")
    parser.add_argument("--target-id", required=True, help="the ID of the peer to call")
    parser.add_argument("--video", action="store_true", help="send a test picture, too")
    parser.add_argument("--server", default="ws://localhost:8765", help="default: %(default)s")
    parser.add_argument(
        "--ice-address", help="use this address of the machine only, such as 127.0.0.1"
    )
    options = parser.parse_args()
    if options.ice_address:
        rtc.gather_only_on(options.ice_address)
    async with connect(options.server, options.client_id) as signaling:
        say(f"registered: {options.client_id}")
        pc = rtc.new_peer_connection()
        open_data_channel(options.client_id, pc)
        if options.video:
            pc.addTrack(MovingStripes())
        try:
            await call(options.target_id, pc, signaling)
        finally:
            await pc.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except SignalingError as error:
        sys.exit(f"sender_demo.py: {error}")
    except KeyboardInterrupt:
        pass
