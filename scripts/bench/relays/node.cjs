// deno-lint-ignore-file no-console
/** The same relay as deno.ts, on Node with the `ws` package. */

const { WebSocketServer } = require("ws");

const clients = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });

server.on("connection", (socket) => {
  let id;
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "register") {
      id = message.client_id;
      clients.set(id, socket);
      socket.send(JSON.stringify({ type: "registered", client_id: id }));
      return;
    }
    const target = message.target_id;
    delete message.target_id;
    message.from = id;
    const text = JSON.stringify(message);
    if (target) return clients.get(target)?.send(text);
    for (const client of clients.values()) if (client !== socket) client.send(text);
  });
  socket.on("close", () => {
    if (clients.get(id) === socket) clients.delete(id);
  });
});
server.on("listening", () => console.log(`ws://127.0.0.1:${server.address().port}`));
