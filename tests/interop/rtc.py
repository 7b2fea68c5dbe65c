"""What the receiver and the sender in Python share: aiortc's objects as messages, and what they say on stdout."""

from __future__ import annotations

import aioice.ice
from aiortc import (
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp
from signaling import Message


def say(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)


def gather_only_on(address: str) -> None:
    """Makes ICE use one address of this machine. aiortc has no setting for it, and leaves loopback out by itself."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]


def new_peer_connection() -> RTCPeerConnection:
    """A peer connection that reports its state. Without STUN: it reaches what this machine's own addresses reach."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.on("connectionstatechange", lambda: say(pc.connectionState))
    return pc


def describe(pc: RTCPeerConnection) -> Message:
    """The local description, as the ``offer`` or ``answer`` that the other peer gets. aiortc has put its candidates in."""
    return {"type": pc.localDescription.type, "sdp": pc.localDescription.sdp}


def read_description(message: Message) -> RTCSessionDescription:
    """The description in an ``offer`` or ``answer``."""
    return RTCSessionDescription(type=message["type"], sdp=message["sdp"])


async def add_candidate(pc: RTCPeerConnection, message: Message) -> None:
    """Adds the candidate of a ``candidate`` message; an empty one says that there are no more."""
    text = message["candidate"].removeprefix("candidate:")
    if not text:
        return
    candidate: RTCIceCandidate = candidate_from_sdp(text)
    candidate.sdpMid = message["sdpMid"]
    candidate.sdpMLineIndex = message["sdpMLineIndex"]
    await pc.addIceCandidate(candidate)
