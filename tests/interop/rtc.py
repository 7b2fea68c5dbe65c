"""Code that the receiver and the sender in Python share: their lines on stdout, and their addresses."""

from __future__ import annotations

import argparse

import aioice.ice
import signalbox
from aiortc import RTCPeerConnection


def say(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)


def read_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Reads the options that both have, and those that the parser knows."""
    parser.add_argument("--client-id", required=True, help="the ID to register under")
    parser.add_argument(
        "--server", default="ws://localhost:8765", help="default: %(default)s"
    )
    parser.add_argument(
        "--ice-address",
        help="use this address of the machine only, such as 127.0.0.1",
    )
    options = parser.parse_args()
    if options.ice_address:
        # aiortc has no setting for it, and leaves loopback out by itself.
        addresses = [options.ice_address]
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: addresses
    return options


def connect(options: argparse.Namespace) -> signalbox.Signaling:
    """Makes the client, which says when it is registered or lost."""
    signaling = signalbox.connect(
        options.server, client_id=options.client_id, resume=True
    )

    def on_state(change: signalbox.StateChange) -> None:
        if change.state == "registered":
            say(f"registered: {options.client_id}")
        if change.state == "waiting":
            say("signaling lost")

    signaling.on("statechange", on_state)
    signaling.on("error", lambda error: say(f"error: {error}"))
    signaling.on("ended", lambda ended: say(f"ended: {ended.peer_id}"))
    return signaling


def watch(pc: RTCPeerConnection) -> None:
    """Says the states of a peer connection."""
    pc.on("connectionstatechange", lambda: say(pc.connectionState))
