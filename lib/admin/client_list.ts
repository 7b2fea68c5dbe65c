/** Lists the clients for the admin listener: filtered, sorted, a page at a time. */

import type { ClientInfo } from "../events.ts";
import { readChoice, readInteger } from "../config/parse.ts";

/** The part of a connection that the list shows. */
export interface ListedConnection {
  readonly address: string;
  readonly connectedAtMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bufferedBytes: number;
  /** Null if the connection has not registered, or is closing; then it is not listed. */
  readonly session: Pick<ClientInfo, "id" | "roomName" | "dialect"> | null;
}

type Client = ListedConnection & { readonly session: NonNullable<ListedConnection["session"]> };

const SORT_KEYS = {
  room: ({ session }: Client) => session.roomName,
  id: ({ session }: Client) => session.id,
  dialect: ({ session }: Client) => session.dialect ?? "",
  address: ({ address }: Client) => address,
  connected_since: ({ connectedAtMs }: Client) => connectedAtMs,
  messages_in: ({ messagesIn }: Client) => messagesIn,
  messages_out: ({ messagesOut }: Client) => messagesOut,
  waiting_bytes: ({ bufferedBytes }: Client) => bufferedBytes,
} as const;

type SortKey = keyof typeof SORT_KEYS;

const SORT_NAMES = Object.keys(SORT_KEYS) as SortKey[];
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

/** A query of the list. */
interface ClientQuery {
  /** A part of an ID, a room or an address, in lower case. */
  readonly filter: string;
  /** A room; `""` for the default room, null for all. */
  readonly room: string | null;
  readonly sort: SortKey;
  readonly isDescending: boolean;
  readonly offset: number;
  readonly limit: number;
}

/**
 * Reads a query such as `?filter=cam&sort=-messages_in&offset=50&limit=50`.
 *
 * @throws {RangeError} if a parameter is malformed; the message names it and its valid values
 */
export function readClientQuery(parameters: URLSearchParams): ClientQuery {
  const sort = parameters.get("sort") ?? "id";
  const read = <Value>(name: string, reader: (text: string) => Value, text: string) => {
    try {
      return reader(text);
    } catch (error) {
      throw new RangeError(`${name} takes ${(error as Error).message}`);
    }
  };
  const number = (name: string, min: number, max: number, byDefault: number) =>
    read(name, (text) => readInteger(text, min, max), parameters.get(name) ?? String(byDefault));
  return {
    filter: (parameters.get("filter") ?? "").toLowerCase(),
    room: parameters.get("room"),
    sort: read("sort", (text) => readChoice(text, SORT_NAMES), sort.replace(/^-/, "")),
    isDescending: sort.startsWith("-"),
    offset: number("offset", 0, Number.MAX_SAFE_INTEGER, 0),
    limit: number("limit", 1, MAX_LIMIT, DEFAULT_LIMIT),
  };
}

/** A client in JSON. */
interface ClientRow {
  /** Null for the default room. */
  readonly room: string | null;
  readonly id: string;
  /** Null for the core protocol. */
  readonly dialect: string | null;
  readonly address: string;
  /** ISO 8601. */
  readonly connected_since: string;
  readonly messages_in: number;
  readonly messages_out: number;
  readonly waiting_bytes: number;
}

interface ClientPage {
  /** The number of clients, and of those that match. */
  readonly total: number;
  readonly matching: number;
  readonly offset: number;
  readonly limit: number;
  readonly clients: readonly ClientRow[];
}

/**
 * Returns one page of the clients that match.
 *
 * @param clockStartEpochMs the zero of the server's clock, in milliseconds since 1970
 */
export function listClients(
  connections: Iterable<ListedConnection>,
  query: ClientQuery,
  clockStartEpochMs: number,
): ClientPage {
  const clients = [...connections].filter(isClient);
  const matching = clients.filter((client) => matches(client, query));
  const { offset, limit } = query;
  const page = sorted(matching, query).slice(offset, offset + limit);
  return {
    total: clients.length,
    matching: matching.length,
    offset,
    limit,
    clients: page.map((client) => toRow(client, clockStartEpochMs)),
  };
}

function isClient(connection: ListedConnection): connection is Client {
  return connection.session !== null;
}

function matches({ session, address }: Client, { filter, room }: ClientQuery): boolean {
  if (room !== null && session.roomName !== room) return false;
  return filter === "" || session.id.toLowerCase().includes(filter) ||
    session.roomName.toLowerCase().includes(filter) || address.includes(filter);
}

function sorted(clients: readonly Client[], { sort, isDescending }: ClientQuery): Client[] {
  const keyOf: (client: Client) => string | number = SORT_KEYS[sort];
  const keyed = clients.map((client) => ({ client, key: keyOf(client) }));
  const sign = isDescending ? -1 : 1;
  keyed.sort((a, b) => a.key < b.key ? -sign : a.key > b.key ? sign : 0);
  return keyed.map(({ client }) => client);
}

function toRow(connection: Client, clockStartEpochMs: number): ClientRow {
  const { session, address, connectedAtMs, messagesIn, messagesOut, bufferedBytes } = connection;
  return {
    room: session.roomName || null,
    id: session.id,
    dialect: session.dialect,
    address,
    connected_since: new Date(clockStartEpochMs + connectedAtMs).toISOString(),
    messages_in: messagesIn,
    messages_out: messagesOut,
    waiting_bytes: bufferedBytes,
  };
}
