#!/usr/bin/python3
"""
A peer that calls another one: it offers a data channel, and video on request, and says what comes back.

    sender_demo.py --client-id sender_001 --target-id receiver_001 [--video] [--server ws://localhost:8765]

It needs Debian's python3-websockets and python3-aiortc, and the server's client.py beside it as signalbox.py.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import numpy
import rtc
import signalbox
from aiortc import RTCPeerConnection, VideoStreamTrack
from av import VideoFrame
from rtc import say


class MovingStripes(VideoStreamTrack):
    """A picture that moves, so that one can see that it arrives."""

    def __init__(self, width: int = 320, height: int = 240) -> None:
        super().__init__()
        stripes = (numpy.arange(width) // 40 % 2 * 255).astype(numpy.uint8)
        rows = numpy.repeat(stripes[None, :, None], height, axis=0)
        self._picture = rows.repeat(3, axis=2)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        self._picture = numpy.roll(self._picture, 4, axis=1)
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


def open_data_channel(client_id: str, pc: RTCPeerConnection) -> None:
    channel = pc.createDataChannel("chat")

    @channel.on("open")
    def on_open() -> None:
        say("data channel open")
        channel.send(f"hello from {client_id}")

    channel.on("message", lambda text: say(f"received: {text}"))


async def main() -> None:
    parser = argparse.ArgumentParser(description="Calls a WebRTC peer.")
    parser.add_argument("--target-id", required=True, help="the ID of the peer to call")
    parser.add_argument("--video", action="store_true", help="send a test picture, too")
    options = rtc.read_options(parser)
    signaling = rtc.connect(options)

    def call() -> None:
        pc = signaling.peer(options.target_id)
        rtc.watch(pc)
        open_data_channel(options.client_id, pc)
        if options.video:
            pc.addTrack(MovingStripes())

    signaling.on("ended", lambda ended: call())
    async with signaling:
        call()
        await signaling.wait_closed()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except signalbox.SignalingError as error:
        sys.exit(f"sender_demo.py: {error}")
    except KeyboardInterrupt:
        pass
