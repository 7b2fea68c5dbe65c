/** Name and TCP: the first steps of the check, and the connections of the others. */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { within } from "../clock.ts";
import { messageOf } from "../log.ts";
import { Failure } from "./failure.ts";

/** Time that a connection may take to open, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5000;
/** Upper bound of the addresses that are tried. */
const MAX_ADDRESSES = 4;

/** The address to connect to. */
export interface Endpoint {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  /** Null without TLS. */
  readonly tls: TlsTrust | null;
}

export interface TlsTrust {
  /** Name that the certificate has to have. */
  readonly hostname: string;
  /** Certificates of authorities that are trusted beside the public ones, PEM. */
  readonly caCerts: string[];
}

/**
 * Resolves a name.
 *
 * @throws {Failure} if it has no address
 */
export async function resolveName(hostname: string): Promise<readonly string[]> {
  if (isIP(hostname) !== 0) return [hostname];
  const noAnswer = new Failure(
    `No name server has answered for ${hostname} within 5 s. Check the network.`,
  );
  try {
    const found = await within(CONNECT_TIMEOUT_MS, lookup(hostname, { all: true }), noAnswer);
    return [...new Set(found.map(({ address }) => address))].slice(0, MAX_ADDRESSES);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(
      `${hostname} has no address (${messageOf(error)}). Check its spelling, or add an A record ` +
        "for it at the provider of the domain; a new record may take minutes to be seen.",
    );
  }
}

/** Result of a TCP connection to one address: null if it opened. */
interface Attempt {
  readonly address: string;
  readonly error: string | null;
}

/**
 * Opens a TCP connection to each address.
 *
 * @throws {Failure} if none answers
 */
export async function findAddress(addresses: readonly string[], port: number) {
  const attempts = await Promise.all(addresses.map((address) => tryAddress(address, port)));
  const found = attempts.find(({ error }) => error === null)?.address;
  if (found === undefined) throw new Failure(explainNoAnswer(attempts, port));
  const others = attempts.filter(({ error }) => error !== null)
    .map(({ address, error }) => `${address}: ${error}`);
  return { address: found, others };
}

async function tryAddress(address: string, port: number): Promise<Attempt> {
  const connecting = Deno.connect({ hostname: address, port });
  try {
    const connection = await within(
      CONNECT_TIMEOUT_MS,
      connecting,
      new Failure("no answer within 5 s"),
    );
    connection.close();
    return { address, error: null };
  } catch (error) {
    connecting.then((late) => late.close(), () => {});
    return { address, error: messageOf(error) };
  }
}

function explainNoAnswer(attempts: readonly Attempt[], port: number): string {
  const reasons = attempts.map(({ address, error }) => `${address}: ${error}`).join("; ");
  const isRefused = attempts.some(({ error }) => /refused/i.test(error ?? ""));
  const advice = isRefused
    ? "Nothing listens on this port, or a firewall refuses it. Check that signalbox (or the proxy " +
      "before it) is running, and that this is the port that it prints at its start."
    : `A firewall drops what is sent to it, most likely: open port ${port} for TCP on the server ` +
      "and at its provider. Or the address is another machine's.";
  return `No connection to port ${port} (${reasons}). ${advice}`;
}

/** Opens a connection. The steps before this one have shown that it can be opened. */
export async function openConnection(endpoint: Endpoint): Promise<Deno.Conn> {
  const { address: hostname, port, tls } = endpoint;
  const connecting = Deno.connect({ hostname, port });
  const timeout = new Failure(`No connection to ${hostname}, port ${port}, within 5 s.`);
  const connection = await within(CONNECT_TIMEOUT_MS, connecting, timeout).catch((error) => {
    connecting.then((late) => late.close(), () => {});
    throw error;
  });
  connection.setNoDelay(); // or the times that are printed have those of Nagle's algorithm in them
  return tls === null ? connection : await startTls(connection, port, tls);
}

async function startTls(connection: Deno.TcpConn, port: number, tls: TlsTrust): Promise<Deno.Conn> {
  const secure = await Deno.startTls(connection, { ...tls, alpnProtocols: ["http/1.1"] });
  const timeout = new Failure(
    `Port ${port} accepts the connection, but does not answer the TLS handshake within 5 s. The ` +
      "program there hangs, or speaks no TLS: check the port, or write ws:// instead of wss://.",
  );
  try {
    await within(CONNECT_TIMEOUT_MS, secure.handshake(), timeout);
    return secure;
  } catch (error) {
    secure.close();
    throw error;
  }
}
