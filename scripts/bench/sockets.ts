/**
 * TCP sockets of the C library, without a promise or an event for each message. A driver has to cost far less than
 * the server that it measures. Linux only, like the rest of the benchmark.
 */

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_NOSIGNAL = 0x4000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
const EPOLLOUT = 4;

/** `struct epoll_event` is packed on x86_64 alone (epoll_ctl(2)): flags, padding elsewhere, then what we passed. */
const EVENT = Deno.build.arch === "x86_64" ? { size: 12, fd: 4 } : { size: 16, fd: 8 };
const MAX_EVENTS = 256;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
} as const;

export class Sockets {
  readonly #libc = Deno.dlopen("libc.so.6", SYMBOLS);
  readonly #epoll = this.#libc.symbols.epoll_create1(SOCK_CLOEXEC);
  readonly #events = new DataView(new ArrayBuffer(MAX_EVENTS * EVENT.size));
  readonly #event = new DataView(new ArrayBuffer(EVENT.size));

  /** Begins to connect to a port of 127.0.0.1. The first time that {@link wait} names the socket, it is connected. */
  connect(port: number): number {
    const { socket, setsockopt, connect } = this.#libc.symbols;
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error("cannot open a socket: too many open files? (ulimit -n)");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, new Int32Array([1]), 4);
    const address = new DataView(new ArrayBuffer(16)); // struct sockaddr_in
    address.setUint16(0, AF_INET, true);
    address.setUint16(2, port);
    address.setUint32(4, 0x7f000001);
    connect(fd, address, address.byteLength); // in progress: a refusal shows when it is first written to
    this.#watch(EPOLL_CTL_ADD, fd, EPOLLOUT);
    return fd;
  }

  /** Makes {@link wait} name the socket when there is something to receive. */
  watchInput(fd: number): void {
    this.#watch(EPOLL_CTL_MOD, fd, EPOLLIN);
  }

  #watch(operation: number, fd: number, flags: number): void {
    this.#event.setUint32(0, flags, true);
    this.#event.setInt32(EVENT.fd, fd, true);
    if (this.#libc.symbols.epoll_ctl(this.#epoll, operation, fd, this.#event) !== 0) {
      throw new Error(`epoll_ctl failed for socket ${fd}`);
    }
  }

  /** Sends all of `bytes`: a benchmark never has enough in flight to fill a socket's buffer. */
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
    const sent = this.#libc.symbols.send(fd, bytes, bytes.length, MSG_NOSIGNAL);
    if (sent !== bytes.length) {
      throw new Error(
        `sent ${sent} of ${bytes.length} bytes: the server has ended or does not read`,
      );
    }
  }

  /** Receives into the beginning of `buffer`; 0 or less if the connection has ended. */
  receive(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
    return this.#libc.symbols.recv(fd, buffer, buffer.length, 0);
  }

  /** Waits until sockets are ready, and names each; 0 ms looks once, -1 waits for ever. */
  wait(timeoutMs: number, onReady: (fd: number) => void): void {
    const count = this.#libc.symbols.epoll_wait(this.#epoll, this.#events, MAX_EVENTS, timeoutMs);
    for (let index = 0; index < count; index++) {
      onReady(this.#events.getInt32(index * EVENT.size + EVENT.fd, true));
    }
  }

  closeSocket(fd: number): void {
    this.#libc.symbols.close(fd);
  }

  close(): void {
    this.#libc.symbols.close(this.#epoll);
    this.#libc.close();
  }
}
