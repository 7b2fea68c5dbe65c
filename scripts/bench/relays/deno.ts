// deno-lint-ignore-file no-console
/** The yardstick: a relay on bare Deno, written the plain way. It has no limits, errors, logs or metrics. */

const clients = new Map<string, WebSocket>();

function attend(socket: WebSocket): void {
  let id: string | undefined;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "register") {
      id = message.client_id as string;
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
  };
  socket.onclose = () => {
    if (id !== undefined && clients.get(id) === socket) clients.delete(id);
  };
}

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`ws://127.0.0.1:${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  attend(socket);
  return response;
});
