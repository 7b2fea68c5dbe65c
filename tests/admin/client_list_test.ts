/** Filter, order and pages of the list of clients. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  listClients,
  type ListedConnection,
  readClientQuery,
} from "../../lib/admin/client_list.ts";
import { testPure } from "../helpers/pure.ts";

function connection(id: string, more: Partial<ListedConnection> = {}): ListedConnection {
  return {
    address: "192.0.2.1",
    connectedAtMs: 0,
    messagesIn: 0,
    messagesOut: 0,
    bufferedBytes: 0,
    session: { id, roomName: "", dialect: null },
    ...more,
  };
}

function list(connections: readonly ListedConnection[], query = "") {
  return listClients(connections, readClientQuery(new URLSearchParams(query)), 0);
}

function ids(connections: readonly ListedConnection[], query = ""): string[] {
  return list(connections, query).clients.map(({ id }) => id);
}

testPure("listClients() writes all members of a client", () => {
  const bob = connection("bob", {
    address: "2001:db8::1",
    connectedAtMs: 1500,
    messagesIn: 3,
    messagesOut: 4,
    bufferedBytes: 5,
    session: { id: "bob", roomName: "lobby", dialect: null },
  });
  const query = readClientQuery(new URLSearchParams());
  assert.deepEqual(listClients([bob], query, Date.UTC(2030, 0, 1)), {
    total: 1,
    matching: 1,
    offset: 0,
    limit: 50,
    clients: [{
      room: "lobby",
      id: "bob",
      dialect: null,
      address: "2001:db8::1",
      connected_since: "2030-01-01T00:00:01.500Z",
      messages_in: 3,
      messages_out: 4,
      waiting_bytes: 5,
    }],
  });
});

testPure("listClients() leaves out connections that have not registered, or are closing", () => {
  const page = list([connection("a"), connection("b", { session: null })]);
  assert.deepEqual(page.clients.map(({ id }) => id), ["a"]);
  assert.equal(page.total, 1);
});

testPure("listClients() finds a part of an ID, a room or an address, in whatever case", () => {
  const clients = [
    connection("Camera_1"),
    connection("b", { session: { id: "b", roomName: "Camping", dialect: null } }),
    connection("c", { address: "2001:db8::cam" }),
    connection("d"),
  ];
  assert.deepEqual(ids(clients, "filter=CAM"), ["Camera_1", "b", "c"]);
  const { total, matching } = list(clients, "filter=CAM&limit=1");
  assert.deepEqual({ total, matching }, { total: 4, matching: 3 });
});

testPure("listClients() keeps to one room, the default one among them", () => {
  const clients = [
    connection("a"),
    connection("b", { session: { id: "b", roomName: "x", dialect: null } }),
  ];
  assert.deepEqual(ids(clients, "room=x"), ["b"]);
  assert.deepEqual(ids(clients, "room="), ["a"]);
  assert.equal(list(clients, "room=").clients[0]!.room, null);
});

testPure("listClients() sorts by each column, both ways", () => {
  const low = connection("a", {
    address: "192.0.2.1",
    session: { id: "a", roomName: "a", dialect: null },
  });
  const high = connection("b", {
    address: "192.0.2.2",
    connectedAtMs: 1,
    messagesIn: 100,
    messagesOut: 100,
    bufferedBytes: 100,
    session: { id: "b", roomName: "b", dialect: "topics" },
  });
  const middle = connection("ab", {
    address: "192.0.2.12",
    connectedAtMs: 0.5,
    messagesIn: 20,
    messagesOut: 20,
    bufferedBytes: 20,
    session: { id: "ab", roomName: "ab", dialect: "peerjs" },
  });
  const columns = Object.keys(list([low]).clients[0]!);
  for (const column of columns) {
    assert.deepEqual(ids([high, low, middle], `sort=${column}`), ["a", "ab", "b"], column);
    assert.deepEqual(ids([high, low, middle], `sort=-${column}`), ["b", "ab", "a"], column);
  }
});

testPure("listClients() makes pages that together are all clients, each once", () => {
  fc.assert(fc.property(
    fc.array(fc.nat(5), { maxLength: 40 }),
    fc.integer({ min: 1, max: 7 }),
    (counts, limit) => {
      const clients = counts.map((messagesIn, index) => connection(`c${index}`, { messagesIn }));
      const seen: string[] = [];
      for (let offset = 0; offset < clients.length; offset += limit) {
        seen.push(...ids(clients, `sort=messages_in&offset=${offset}&limit=${limit}`));
      }
      const expected = clients.toSorted((a, b) => a.messagesIn - b.messagesIn);
      assert.deepEqual(seen, expected.map(({ session }) => session!.id));
    },
  ));
});

testPure("readClientQuery() refuses what it does not know, by name", () => {
  const wrong = {
    sort: ["", "name", "--id", "__proto__"],
    limit: ["0", "501", "x"],
    offset: ["-1"],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const read = () => readClientQuery(new URLSearchParams({ [name]: value }));
      assert.throws(read, { name: "RangeError", message: new RegExp(`^${name} takes `) });
    }
  }
});
