#!/usr/bin/python3
"""
A peer that waits for others: it takes every call, with a data channel and video, and says what it gets.

    receiver_demo.py --client-id receiver_001 [--server ws://localhost:8765]

It needs Debian's python3-websockets and python3-aiortc, and the server's client.py beside it as signalbox.py.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import rtc
import signalbox
from aiortc import MediaStreamTrack, RTCDataChannel
from aiortc.mediastreams import MediaStreamError
from rtc import say

FRAMES_PER_REPORT = 30


class Receiver:
    """Takes calls, each caller's on a peer connection of its own."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id

    def on_call(self, call: signalbox.Call) -> None:
        """Accepts a call; what the caller offers comes in by the connection's events."""
        say(f"offer from {call.peer_id}")
        pc = call.accept()
        rtc.watch(pc)
        pc.on("datachannel", self._on_data_channel)
        pc.on("track", take)

    def _on_data_channel(self, channel: RTCDataChannel) -> None:
        say("data channel open")

        @channel.on("message")
        def on_message(text: str) -> None:
            say(f"received: {text}")
            channel.send(f"hello from {self._client_id}")


async def take(track: MediaStreamTrack) -> None:
    """Takes what comes in, and says how many frames of video it was: aiortc buffers the rest."""
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
    options = rtc.read_options(
        argparse.ArgumentParser(description="Waits for WebRTC peers.")
    )
    signaling = rtc.connect(options)
    signaling.on("call", Receiver(options.client_id).on_call)
    async with signaling:
        await signaling.wait_closed()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except signalbox.SignalingError as error:
        sys.exit(f"receiver_demo.py: {error}")
    except KeyboardInterrupt:
        pass
