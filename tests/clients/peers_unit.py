"""The Python client's peer connections: aiortc's own, over loopback, with a server that the test controls."""

from __future__ import annotations

import asyncio
import unittest
from functools import partial
from types import SimpleNamespace
from typing import Any

import signalbox
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from fakes import Switchboard, client, settle


class TestCase(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.world = Switchboard()

    async def enter(self, client_id: str) -> signalbox.Signaling:
        signaling = await client(self.world, client_id).__aenter__()
        self.addAsyncCleanup(signaling.close)
        errors: list[Any] = []
        signaling.on("error", errors.append)
        self.addCleanup(lambda: self.assertEqual(errors, []))
        return signaling

    def next(self, emitter: Any, event: str) -> asyncio.Future[Any]:
        """Returns what comes with an event that is still to come."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def receive(detail: Any = None) -> None:
            if not future.done():
                future.set_result(detail)

        emitter.on(event, receive)
        return asyncio.wait_for(future, 30)  # type: ignore[return-value]

    async def connected(self, *connections: Any) -> None:
        for connection in connections:
            while connection.connectionState != "connected":
                await self.next(connection, "connectionstatechange")

    async def connect_both(
        self,
    ) -> tuple[signalbox.Signaling, Any, asyncio.Future[Any]]:
        """Connects alice to bob. Returns alice, her connection, and the event of its end at bob's side."""
        alice, bob = await self.enter("alice"), await self.enter("bob")
        bob.on("call", lambda call: call.accept())
        ended = self.next(bob, "ended")
        connection = alice.peer("bob")
        connection.createDataChannel("chat")
        await self.connected(connection)
        return alice, connection, ended

    def types(self) -> list[str]:
        return [message["type"] for message in self.world.messages]


class Calling(TestCase):
    async def test_a_call_is_taken_and_data_goes_both_ways(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        call = self.next(bob, "call")
        channel = alice.peer("bob").createDataChannel("chat")
        received = self.next(channel, "message")
        connection = (await call).accept()
        other = await self.next(connection, "datachannel")
        other.send("hello")
        self.assertEqual(await received, "hello")
        self.assertEqual(self.types(), ["offer", "answer"])

    async def test_a_call_is_refused(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        bob.on("call", lambda call: call.refuse())
        connection = alice.peer("bob")
        connection.createDataChannel("chat")
        ended = await self.next(alice, "ended")
        self.assertEqual((ended.peer_id, ended.connection), ("bob", connection))
        self.assertEqual(connection.signalingState, "closed")

    async def test_hanging_up_ends_it_on_both_sides(self) -> None:
        alice, _, ended = await self.connect_both()
        await alice.hang_up("bob")
        self.assertEqual((await ended).peer_id, "alice")

    async def test_the_end_of_the_block_hangs_up(self) -> None:
        alice, connection, ended = await self.connect_both()
        await alice.close()
        self.assertEqual((await ended).peer_id, "alice")
        self.assertEqual(connection.signalingState, "closed")

    async def test_messages_of_the_negotiation_are_not_iterated_over(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        bob.on("call", lambda call: call.accept())
        alice.peer("bob").createDataChannel("chat")
        await self.next(bob, "call")
        await alice.send({"type": "chat"}, to="bob")
        self.assertEqual(await bob.__anext__(), {"type": "chat", "from": "alice"})

    async def test_without_a_listener_for_calls_they_are_messages(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        alice.peer("bob").createDataChannel("chat")
        self.assertEqual((await bob.__anext__())["type"], "offer")
        await alice.hang_up("bob")
        self.assertEqual((await bob.__anext__())["type"], "bye")

    async def test_peer_takes_a_call_that_rings_already(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        first = alice.peer("bob")
        first.createDataChannel("chat")
        while not self.types():
            await asyncio.sleep(0.01)
        await settle()
        second = bob.peer("alice")
        second.createDataChannel("chat")
        await self.connected(first, second)
        self.assertEqual(self.types(), ["offer", "answer"])


class Negotiating(TestCase):
    async def glare(self, *, early: bool) -> None:
        """Both offer at once: early, before anything is agreed; or in the middle of a call."""
        alice, bob = await self.enter("alice"), await self.enter("bob")
        for one in (alice, bob):
            one.on("call", lambda call: call.accept())
        first, second = alice.peer("bob"), bob.peer("alice")
        if not early:
            first.createDataChannel("zero")
            await self.connected(first, second)
        self.world.hold()
        tracks = [self.next(connection, "track") for connection in (first, second)]
        first.addTrack(AudioStreamTrack())
        first.addTrack(VideoStreamTrack())
        second.addTrack(VideoStreamTrack())
        while len(self.world._held or []) < 2:
            await asyncio.sleep(0.01)
        self.assertEqual([m["type"] for _, m in self.world._held or []], ["offer"] * 2)
        self.world.release()
        kinds = [(await track).kind for track in tracks]
        self.assertEqual(kinds[0], "video")
        await self.connected(first, second)
        while "audio" not in [r.track.kind for r in second.getReceivers() if r.track]:
            await asyncio.sleep(0.01)

    async def test_two_offers_that_cross(self) -> None:
        await self.glare(early=True)

    async def test_two_offers_that_cross_in_the_middle_of_a_call(self) -> None:
        await self.glare(early=False)

    async def test_data_channels_are_numbered_by_the_dtls_role(self) -> None:
        async def start(sctp: Any) -> None:
            sctp._data_channel_id = 7  # aiortc's choice

        for role, number in (("client", 0), ("server", 1)):
            transport = SimpleNamespace(_role=role)
            sctp = SimpleNamespace(transport=transport, _data_channel_id=None)
            sctp.start = partial(start, sctp)
            signalbox._number_channels(sctp)
            await sctp.start()
            self.assertEqual(sctp._data_channel_id, number)

    async def test_a_track_that_is_added_later_arrives(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        connections: list[Any] = []
        bob.on("call", lambda call: connections.append(call.accept()))
        connection = alice.peer("bob")
        connection.createDataChannel("chat")
        await self.connected(connection)
        track = self.next(connections[0], "track")
        connection.addTrack(VideoStreamTrack())
        self.assertEqual((await track).kind, "video")
        back = self.next(connection, "track")
        connections[0].addTrack(VideoStreamTrack())
        self.assertEqual((await back).kind, "video")

    async def test_an_offer_that_was_lost_is_repeated_when_the_peer_comes(self) -> None:
        alice = await self.enter("alice")
        connection = alice.peer("bob")
        connection.createDataChannel("chat")
        while not self.types():
            await asyncio.sleep(0.01)
        bob = await self.enter("bob")
        bob.on("call", lambda call: call.accept())
        self.world.inject("alice", {"type": "peer_joined", "client_id": "bob"})
        await self.connected(connection)
        self.assertEqual(self.types(), ["offer", "offer", "answer"])

    async def test_a_repeated_offer_gets_the_same_answer(self) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        bob.on("call", lambda call: call.accept())
        connection = alice.peer("bob")
        connection.createDataChannel("chat")
        await self.connected(connection)
        offer = self.world.messages[0]
        self.world.inject("bob", offer)
        while len(self.world.messages) < 3:
            await asyncio.sleep(0.01)
        self.assertEqual(self.world.messages[2]["sdp"], self.world.messages[1]["sdp"])
        await settle()
        self.assertEqual(connection.connectionState, "connected")

    async def test_a_client_of_the_core_protocol_is_called(self) -> None:
        alice, plain = await self.enter("alice"), await self.enter("plain")
        connection = alice.peer("plain")
        connection.createDataChannel("chat")
        offer = await plain.__anext__()
        other = RTCPeerConnection()
        self.addAsyncCleanup(other.close)
        await other.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await other.setLocalDescription(await other.createAnswer())
        lines = other.localDescription.sdp.splitlines(keepends=True)
        bare = "".join(line for line in lines if "candidate" not in line)
        for line in lines:
            if line.startswith("a=candidate"):  # trickled, and ahead of its description
                await plain.send(
                    {
                        "type": "candidate",
                        "candidate": line[2:].strip(),
                        "sdpMLineIndex": "0",
                    },
                    to="alice",
                )
        await plain.send({"type": "answer", "sdp": bare}, to="alice")
        await self.connected(connection, other)


class Sessions(TestCase):
    async def call(self) -> tuple[signalbox.Signaling, Any, list[signalbox.Call]]:
        """A session of alice, her connection to bob, and the calls that she gets."""
        alice, bob = await self.enter("alice"), await self.enter("bob")
        bob.on("call", lambda call: call.accept())
        calls: list[signalbox.Call] = []
        alice.on("call", calls.append)
        connection = alice.peer("bob")
        connection.createDataChannel("chat")
        await self.connected(connection)
        return alice, connection, calls

    async def test_a_partner_that_begins_anew_rings_again(self) -> None:
        _, connection, calls = await self.call()
        again = await self.enter("bob")
        again.peer("alice").createDataChannel("chat")
        while not calls:
            await asyncio.sleep(0.01)
        self.assertIs(calls[0].replaces, connection)
        await self.connected(calls[0].accept())
        self.assertEqual(connection.signalingState, "closed")

    async def test_an_offer_for_an_earlier_connection_is_answered_with_bye(
        self,
    ) -> None:
        _, _, calls = await self.call()
        offer = {
            **self.world.messages[0],
            "from": "bob",
            "session": "x",
            "peer_session": "y",
        }
        self.world.messages.clear()
        self.world.inject("alice", offer)
        await settle()
        bye = {"type": "bye", "peer_session": "x", "from": "alice"}
        self.assertEqual((self.world.messages, calls), ([bye], []))

    async def test_a_late_candidate_of_an_earlier_connection_harms_no_call(
        self,
    ) -> None:
        alice, bob = await self.enter("alice"), await self.enter("bob")
        alice.on("call", lambda call: call.accept())
        late = {
            "type": "candidate",
            "candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host",
            "sdpMid": "0",
            "session": "earlier",
            "from": "bob",
        }
        self.world.inject("alice", late)
        connection = bob.peer("alice")
        connection.createDataChannel("chat")
        await self.connected(connection)

    async def test_an_ice_restart_ends_the_call_on_both_sides(self) -> None:
        alice, connection, _ = await self.call()
        ended = self.next(alice, "ended")
        answer = self.world.messages[1]
        sdp = connection.remoteDescription.sdp.replace(
            "a=ice-ufrag:", "a=ice-ufrag:new"
        )
        sdp = sdp.replace("a=setup:active", "a=setup:actpass")
        self.world.inject("alice", {**answer, "type": "offer", "sdp": sdp})
        self.assertIs((await ended).connection, connection)
        await settle()
        self.assertEqual(self.types(), ["offer", "answer", "bye"])

    async def test_a_bye_for_an_earlier_connection_changes_nothing(self) -> None:
        _, connection, _ = await self.call()
        self.world.inject(
            "alice", {"type": "bye", "from": "bob", "peer_session": "old"}
        )
        await settle()
        self.assertEqual(connection.connectionState, "connected")

    async def test_calls_that_ring_are_bounded(self) -> None:
        alice, _, _ = await self.call()
        for number in range(40):
            for _ in range(70):
                message = {"type": "candidate", "candidate": "", "from": f"eve{number}"}
                self.world.inject("alice", message)
        await settle()
        pending = alice._calls._pending
        self.assertEqual(len(pending), 16)
        self.assertEqual({len(one.messages) for one in pending.values()}, {64})


if __name__ == "__main__":
    unittest.main()
