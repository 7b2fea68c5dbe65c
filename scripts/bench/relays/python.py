"""The same relay as deno.ts, on Python and the `websockets` package."""

import asyncio
import json

import websockets

clients = {}


async def attend(socket, *_):
    client_id = None
    try:
        async for text in socket:
            message = json.loads(text)
            if message.get("type") == "register":
                client_id = message["client_id"]
                clients[client_id] = socket
                await socket.send(json.dumps({"type": "registered", "client_id": client_id}))
                continue
            target = message.pop("target_id", None)
            message["from"] = client_id
            text = json.dumps(message, ensure_ascii=False)
            if target:
                if target in clients:
                    await clients[target].send(text)
            else:
                websockets.broadcast([c for c in clients.values() if c is not socket], text)
    except websockets.ConnectionClosed:
        pass
    finally:
        if clients.get(client_id) is socket:
            del clients[client_id]


async def main():
    async with websockets.serve(attend, "127.0.0.1", 0) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.Future()


asyncio.run(main())
