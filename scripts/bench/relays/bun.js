// deno-lint-ignore-file no-console
/** The same relay as deno.ts, on Bun and its built-in server. */

const clients = new Map();

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    if (server.upgrade(request, { data: { id: undefined } })) return;
    return new Response("Not found.\n", { status: 404 });
  },
  websocket: {
    message(socket, data) {
      const message = JSON.parse(data);
      if (message.type === "register") {
        socket.data.id = message.client_id;
        clients.set(message.client_id, socket);
        socket.send(JSON.stringify({ type: "registered", client_id: message.client_id }));
        return;
      }
      const target = message.target_id;
      delete message.target_id;
      message.from = socket.data.id;
      const text = JSON.stringify(message);
      if (target) return void clients.get(target)?.send(text);
      for (const client of clients.values()) if (client !== socket) client.send(text);
    },
    close(socket) {
      const { id } = socket.data;
      if (clients.get(id) === socket) clients.delete(id);
    },
  },
});
console.log(`ws://127.0.0.1:${server.port}`);
