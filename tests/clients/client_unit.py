"""The Python client in a world whose time and server the test controls."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import tempfile
import unittest
from typing import Any

import signalbox
from fakes import FakeEnvironment, client, entered, settle


class TestCase(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.world = FakeEnvironment()
        self.errors: list[str] = []

    async def enter(self, answer: Any = None, **options: Any) -> signalbox.Signaling:
        signaling = await entered(self.world, answer, **options)
        signaling.on("error", lambda error: self.errors.append(error.code))
        self.addAsyncCleanup(signaling.close)
        return signaling

    async def come_back(self, **answer: Any) -> None:
        """The next attempt, and what the server answers."""
        await self.world.advance(30)
        self.world.socket.register(**answer)
        await settle()


class Registration(TestCase):
    async def test_it_sends_what_was_asked_for(self) -> None:
        options = {"room": "lobby", "token": "t", "resume": True, "presence": True}
        await self.enter(**options)
        register = {
            "type": "register",
            "client_id": "alice",
            "room": "lobby",
            "presence": "batch",
            "token": "t",
            "resume": True,
        }
        self.assertEqual(self.world.socket.sent, [register])
        self.assertEqual(self.world.socket.url, "ws://fake")

    async def test_without_options_it_is_the_core_protocol(self) -> None:
        await self.enter()
        register = {"type": "register", "client_id": "alice"}
        self.assertEqual(self.world.socket.sent, [register])

    async def test_a_url_of_another_kind_is_refused(self) -> None:
        for url in ("localhost:8765", "ftp://a", "ws:///x"):
            with self.assertRaisesRegex(ValueError, "not the URL of a server"):
                signalbox.connect(url, client_id="alice")

    async def test_entering_raises_a_final_error(self) -> None:
        def refuse(socket: Any) -> None:
            socket.push({"type": "error", "code": "unauthorized", "message": "No."})
            socket.end(1006)  # the close frame got lost

        self.world.on_open = refuse
        with self.assertRaises(signalbox.SignalingError) as raised:
            await client(self.world).__aenter__()
        self.assertEqual(raised.exception.code, "unauthorized")
        self.assertEqual(str(raised.exception), "No.")

    async def test_a_token_function_is_called_before_each_attempt(self) -> None:
        tokens = iter(["one", "two"])

        async def token() -> str:
            return next(tokens)

        await self.enter(token=token)
        self.world.socket.end(1006)
        await self.come_back()
        sent = [socket.sent[0]["token"] for socket in self.world.sockets]
        self.assertEqual(sent, ["one", "two"])

    async def test_a_token_function_that_fails_is_asked_again(self) -> None:
        results = iter(["one", None, "two"])

        async def token() -> str:
            if (result := next(results)) is None:
                raise RuntimeError("The backend is away.")
            return result

        signaling = await self.enter(token=token)
        self.world.socket.end(1006)
        await self.world.advance(1)
        self.assertEqual(
            (signaling.state, self.errors), ("waiting", ["connect_failed"])
        )
        await self.come_back()
        self.assertEqual(signaling.state, "registered")

    async def test_a_server_that_does_not_answer_is_left_after_15_s(self) -> None:
        signaling = await self.enter(resume=True)
        self.world.socket.end(1006)
        await self.world.advance(1)
        silent = self.world.socket
        await self.world.advance(14.9)
        self.assertEqual(signaling.state, "connecting")
        await self.world.advance(0.2)
        self.assertEqual(
            (signaling.state, self.errors), ("waiting", ["connect_failed"])
        )
        self.assertEqual(silent.closed_with, 4000)  # 1000 would give the ID up


class Reconnection(TestCase):
    async def delays(self, codes: list[int], dice: float) -> list[Any]:
        self.world.dice = dice
        signaling = await self.enter()
        delays: list[Any] = []
        signaling.on("statechange", lambda change: delays.append(change.delay))
        for code in codes:
            self.world.socket.end(code)
            await self.world.advance(60)
        return [delay for delay in delays if delay is not None]

    async def test_delays_double_up_to_30_s(self) -> None:
        delays = await self.delays([1006, 1001, 1013, 1006, 1006, 1006, 1006, 1006], 0)
        self.assertEqual(delays, [0.25, 0.5, 1, 2, 4, 8, 15, 15])

    async def test_delays_are_spread(self) -> None:
        self.assertEqual(await self.delays([1006, 1006], 0.5), [0.375, 0.75])

    async def test_after_a_restart_of_the_server_it_is_back_within_a_second(
        self,
    ) -> None:
        self.assertEqual(await self.delays([1012, 1012], 0.9), [0.9, 0.9])

    async def test_final_codes(self) -> None:
        for code in (1008, 1009, 4409):
            with self.subTest(code=code):
                signaling = await self.enter()
                self.world.socket.end(code, "why")
                await settle()
                self.assertEqual(signaling.state, "closed")
                with self.assertRaisesRegex(signalbox.SignalingError, "why"):
                    await signaling.__anext__()
                with self.assertRaises(signalbox.SignalingError):
                    await signaling.wait_closed()
                with self.assertRaises(signalbox.SignalingError):
                    await signaling.send({})

    async def test_a_good_connection_resets_the_delays(self) -> None:
        signaling = await self.enter()
        delays: list[Any] = []
        signaling.on("statechange", lambda change: delays.append(change.delay))
        for good_for in (0, 9, 10):
            await self.world.advance(good_for)
            self.world.socket.end(1006)
            await self.come_back()
        self.assertEqual([d for d in delays if d is not None], [0.25, 0.5, 0.25])

    async def test_a_held_id_is_waited_out(self) -> None:
        signaling = await self.enter()
        self.world.socket.end(1006)
        await self.world.advance(0.25)
        held = {"code": "id_held", "message": "Held.", "retry_after_ms": 12_000}
        self.world.socket.push({"type": "error", **held})
        self.world.socket.end(1013)
        await self.world.advance(11.9)
        self.assertEqual(signaling.state, "waiting")
        await self.world.advance(0.2)
        self.world.socket.register()
        await settle()
        self.assertEqual(signaling.state, "registered")

    async def test_refused_connections_are_tried_again(self) -> None:
        signaling = await self.enter()
        self.world.refusal = OSError("no route")
        self.world.socket.end(1006)
        await self.world.advance(1)
        self.assertEqual(
            (signaling.state, self.errors), ("waiting", ["connect_failed"])
        )
        self.world.refusal = None
        await self.come_back()
        self.assertEqual(signaling.state, "registered")


class Sending(TestCase):
    async def test_send_sets_the_target(self) -> None:
        signaling = await self.enter()
        await signaling.send({"a": 1, "target_id": "eve"}, to="bob")
        await signaling.send({"b": 2, "target_id": "eve"})
        sent = self.world.socket.sent[1:]
        self.assertEqual(sent, [{"a": 1, "target_id": "bob"}, {"b": 2}])

    async def test_send_refuses_an_empty_target_which_would_mean_all(self) -> None:
        signaling = await self.enter()
        with self.assertRaises(ValueError):
            await signaling.send({}, to="")
        with self.assertRaises(ValueError):
            await signaling.send({"a": float("nan")}, to="bob")

    async def test_64_messages_wait_for_the_connection_in_order(self) -> None:
        signaling = await self.enter()
        self.world.socket.end(1006)
        await settle()
        for number in range(64):
            await signaling.send({"n": number}, to="bob")
        with self.assertRaises(signalbox.SignalingError) as raised:
            await signaling.send({"n": 64}, to="bob")
        error = raised.exception
        self.assertEqual((error.code, error.target_id), ("queue_full", "bob"))
        await self.come_back()
        numbers = [message["n"] for message in self.world.socket.sent[1:]]
        self.assertEqual(numbers, list(range(64)))

    async def test_sending_after_the_end_raises(self) -> None:
        signaling = await self.enter()
        await signaling.close()
        with self.assertRaises(signalbox.SignalingError) as raised:
            await signaling.send({})
        self.assertEqual(raised.exception.code, "closed")


class Receiving(TestCase):
    async def test_messages_arrive_in_order_and_end_with_the_block(self) -> None:
        signaling = await self.enter()
        self.world.socket.push(*({"from": "bob", "n": n} for n in range(3)))
        received = []
        async for message in signaling:
            received.append(message["n"])
            if message["n"] == 2:
                await signaling.close()
        self.assertEqual(received, [0, 1, 2])
        self.assertEqual(self.world.socket.closed_with, 1000)

    async def test_unread_messages_are_bounded(self) -> None:
        signaling = await self.enter()
        self.world.socket.push(*({"from": "bob", "n": n} for n in range(1025)))
        await settle()
        self.assertEqual((await signaling.__anext__())["n"], 1)
        self.assertEqual(self.errors, [])
        self.world.socket.push({"from": "bob"}, {"from": "bob"})
        await settle()
        self.assertEqual(self.errors, ["messages_dropped"])

    async def test_nonsense_is_reported_and_survived(self) -> None:
        signaling = await self.enter()
        self.world.socket.push("{", "[]", {"type": "peer_joined"}, {"type": "new"})
        self.world.socket.push({"type": "error"}, {"from": 1}, {"from": "bob"})
        self.assertEqual(await signaling.__anext__(), {"from": "bob"})
        self.assertEqual(self.errors, ["bad_frame", "bad_frame", "bad_frame", "None"])

    async def test_a_callback_that_fails_harms_nothing(self) -> None:
        signaling = await self.enter()
        seen: list[Any] = []

        async def later(message: Any) -> None:
            seen.append(message)

        signaling.on("message", lambda message: 1 / 0)
        stop = signaling.on("message", later)
        with self.assertLogs("signalbox", "ERROR"):
            self.world.socket.push({"from": "bob"})
            await settle()
        self.assertEqual(seen, [{"from": "bob"}])
        stop()
        with self.assertRaisesRegex(ValueError, "No event"):
            signaling.on("mesage", later)

    async def test_an_error_without_a_listener_is_logged(self) -> None:
        signaling = await entered(self.world)
        self.addAsyncCleanup(signaling.close)
        with self.assertLogs("signalbox", "WARNING") as logs:
            error = {
                "code": "target_not_found",
                "message": "No client.",
                "target_id": "b",
            }
            self.world.socket.push({"type": "error", **error})
            await settle()
        self.assertIn("target_not_found: No client.", logs.output[0])


class Presence(TestCase):
    async def test_peers_follow_the_notices(self) -> None:
        signaling = await self.enter({"peers": ["bob", "carol"]}, presence=True)
        events: list[str] = []
        signaling.on("joined", lambda peer: events.append(f"+{peer.client_id}"))
        signaling.on("left", lambda peer: events.append(f"-{peer.client_id}"))
        self.assertEqual(signaling.peers, {"bob", "carol"})
        push = self.world.socket.push
        push(
            {
                "type": "peers_changed",
                "left": ["bob", "carol"],
                "joined": ["dan", "bob"],
            }
        )
        push({"type": "peer_left", "client_id": "dan"})
        push({"type": "peer_joined", "client_id": "eve"})
        await settle()
        self.assertEqual(signaling.peers, {"bob", "eve"})
        self.assertEqual(events, ["-bob", "-carol", "+dan", "+bob", "-dan", "+eve"])

    async def test_coming_back_reports_what_has_changed_meanwhile(self) -> None:
        signaling = await self.enter({"peers": ["bob", "carol"]}, presence=True)
        events: list[str] = []
        signaling.on("joined", lambda peer: events.append(f"+{peer.client_id}"))
        signaling.on("left", lambda peer: events.append(f"-{peer.client_id}"))
        self.world.socket.end(1006)
        await self.come_back(peers=["carol", "dan"])
        self.assertEqual(events, ["-bob", "+dan"])


class Resume(TestCase):
    async def test_the_secret_takes_the_id_back(self) -> None:
        answer = {
            "resume": "secret",
            "resumed": False,
            "ice_servers": [{"urls": "stun:a"}],
        }
        signaling = await self.enter(answer, resume=True)
        self.assertEqual(signaling.ice_servers, [{"urls": "stun:a"}])
        self.world.socket.end(1006)
        await self.come_back(resume="secret", resumed=True)
        self.assertEqual(self.world.socket.sent[0]["resume"], "secret")
        self.assertTrue(signaling.resumed)

    async def test_a_resume_file_survives_the_program(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "robot.resume")
            file = signalbox.ResumeFile(path)
            await self.enter({"resume": "secret"}, resume=file)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            next_program = await self.enter({"resume": "secret"}, resume=file)
            self.assertEqual(self.world.socket.sent[0]["resume"], "secret")
            self.assertEqual(os.listdir(folder), ["robot.resume"])
            await next_program.close()
            self.assertEqual(os.listdir(folder), [])

    async def test_a_file_that_cannot_be_written_ends_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = signalbox.ResumeFile(os.path.join(folder, "gone", "robot.resume"))
            signaling = await self.enter({"resume": "secret"}, resume=file)
            self.world.socket.end(1006)
            await self.come_back(resume="secret")
            self.assertEqual(self.errors, ["resume_not_saved"])
            self.assertEqual(signaling.state, "registered")


class Ending(TestCase):
    async def test_sigterm_ends_the_iteration(self) -> None:
        self.world.on_open = lambda socket: socket.register()
        async with client(self.world) as signaling:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
            async for _ in signaling:
                self.fail("There was no message.")
        self.assertEqual(self.world.socket.closed_with, 1000)
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    async def test_sigterm_ends_any_other_wait_of_the_block(self) -> None:
        self.world.on_open = lambda socket: socket.register()
        async with client(self.world) as signaling:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        self.assertEqual(signaling.state, "closed")
        self.assertEqual(self.world.socket.closed_with, 1000)

    async def test_sigterm_reaches_all_clients_of_a_program(self) -> None:
        async def listen() -> None:
            async with client(self.world) as signaling:
                await signaling.wait_closed()

        self.world.on_open = lambda socket: socket.register()
        tasks = [asyncio.ensure_future(listen()) for _ in range(3)]
        await settle()
        tasks[1].cancel()
        await settle()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.gather(*tasks, return_exceptions=True)
        self.assertEqual([s.closed_with for s in self.world.sockets], [1000] * 3)
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    async def test_a_handler_of_the_program_stays(self) -> None:
        def handler(*_: Any) -> None:
            pass

        signal.signal(signal.SIGTERM, handler)
        self.addCleanup(signal.signal, signal.SIGTERM, signal.SIG_DFL)
        signaling = await self.enter()
        self.assertEqual(signal.getsignal(signal.SIGTERM), handler)
        await signaling.close()
        self.assertEqual(signal.getsignal(signal.SIGTERM), handler)

    async def test_a_used_client_cannot_be_entered_again(self) -> None:
        signaling = await self.enter()
        await signaling.close()
        with self.assertRaisesRegex(RuntimeError, "connect\\(\\) anew"):
            await signaling.__aenter__()


if __name__ == "__main__":
    unittest.main()
