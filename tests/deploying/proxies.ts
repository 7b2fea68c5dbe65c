/** The proxies of deploying.md: how to start each in the foreground, with a printed file and a folder of its own. */

import { Certificate } from "../helpers/certificate.ts";
import { Foreground } from "../helpers/foreground.ts";
import { findFreePort } from "../helpers/free_port.ts";
import { printedCommand, printedFile, replaceAll } from "./document.ts";

const POLL_MS = 20;

/** The idle timeout of each proxy, in the document and here. */
const TIMEOUT = { printed: "90", tested: "3" };

/** The settings of a proxy. */
interface Setup {
  /** The port of signalbox. */
  readonly serverPort: number;
  /** The port to listen on. */
  readonly port: number;
  /** A folder of its own. */
  readonly folder: string;
  readonly certificate: Certificate;
}

interface ProxyKind {
  readonly name: string;
  /** The path in Debian's package of the same name: `/usr/sbin` is not on every path. */
  readonly program: string;
  /** The printed files, and the prefix that each strips. */
  readonly files: Readonly<Record<string, string>>;
  /** Makes the whole configuration of a printed file. */
  configure(file: string, setup: Setup): string;
  /** Arguments that keep it in the foreground. */
  args(config: string, folder: string): readonly string[];
}

const NGINX: ProxyKind = {
  name: "nginx",
  program: "/usr/sbin/nginx",
  files: {
    "/etc/nginx/conf.d/signal.example.org.conf": "/",
    "/etc/nginx/conf.d/example.org.conf": "/signal/",
  },
  configure(file, { serverPort, port, folder, certificate }) {
    const name = /server_name (.*);/.exec(file)![1]!;
    const site = replaceAll(file, {
      "127.0.0.1:8765": `127.0.0.1:${serverPort}`,
      "443": `${port}`,
      [`/etc/letsencrypt/live/${name}/fullchain.pem`]: certificate.certPath,
      [`/etc/letsencrypt/live/${name}/privkey.pem`]: certificate.keyPath,
      [`server_name ${name}`]: "server_name localhost",
      [`read_timeout ${TIMEOUT.printed}s`]: `read_timeout ${TIMEOUT.tested}s`,
    });
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    return `
      user root;
      daemon off;
      pid ${folder}/pid;
      events {}
      http {
        access_log off;
        ${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n")}
        ${printedFile("/etc/nginx/conf.d/upgrade.conf")}
        ${site}
      }
    `;
  },
  args: (config, folder) => ["-e", "stderr", "-p", folder, "-c", config],
};

const CADDY: ProxyKind = {
  name: "Caddy",
  program: "/usr/bin/caddy",
  files: {
    "/etc/caddy/Caddyfile, a host of its own": "/",
    "/etc/caddy/Caddyfile": "/signal/",
  },
  configure(file, { serverPort, port }) {
    const [name] = /^\S+(?= \{$)/m.exec(file)!;
    const options = { "127.0.0.1:8765": `127.0.0.1:${serverPort}`, [name]: "localhost" };
    return caddyfile(
      replaceAll(file, options).replace(/^localhost \{$/m, "$&\n\ttls internal"),
      port,
    );
  },
  args: (config) => ["run", "--config", config, "--adapter", "caddyfile"],
};

/** Puts the options of a test before a Caddyfile: other ports, no admin interface, and no change to the machine. */
export function caddyfile(sites: string, httpsPort: number): string {
  const ports = `https_port ${httpsPort}\nhttp_port ${findFreePort()}`;
  return `{\nadmin off\nskip_install_trust\nauto_https disable_redirects\n${ports}\n}\n${sites}`;
}

const HAPROXY: ProxyKind = {
  name: "HAProxy",
  program: "/usr/sbin/haproxy",
  files: {
    "/etc/haproxy/haproxy.cfg, a host of its own": "/",
    "/etc/haproxy/haproxy.cfg, a part of a host": "/signal/",
  },
  configure(file, { serverPort, port, folder, certificate }) {
    const [pem] = /\/etc\/haproxy\/\S+\.pem/.exec(file)!;
    const both = certificate.pem + Deno.readTextFileSync(certificate.keyPath);
    Deno.writeTextFileSync(`${folder}/both.pem`, both);
    const site = replaceAll(file, {
      "127.0.0.1:8765": `127.0.0.1:${serverPort}`,
      ":::443": `:::${port}`,
      [pem]: `${folder}/both.pem`,
      [`timeout tunnel ${TIMEOUT.printed}s`]: `timeout tunnel ${TIMEOUT.tested}s`,
    });
    // As in Debian's own defaults section.
    return `
defaults
    mode http
    timeout connect 5000
    timeout client 50000
    timeout server 50000

${site}`;
  },
  args: (config) => ["-db", "-f", config],
};

/** Modules that Debian's apache2 has switched on, or that `a2enmod` switches on beside those that it gets. */
const APACHE_MODULES = ["mpm_event", "authz_core", "setenvif", "socache_shmcb"];

const APACHE: ProxyKind = {
  name: "Apache",
  program: "/usr/sbin/apache2",
  files: {
    "/etc/apache2/sites-available/signal.example.org.conf": "/",
    "/etc/apache2/sites-available/example.org.conf": "/signal/",
  },
  configure(file, { serverPort, port, folder, certificate }) {
    const name = /ServerName (.*)/.exec(file)![1]!;
    const site = replaceAll(file, {
      "127.0.0.1:8765": `127.0.0.1:${serverPort}`,
      "*:443": `*:${port}`,
      [`/etc/letsencrypt/live/${name}/fullchain.pem`]: certificate.certPath,
      [`/etc/letsencrypt/live/${name}/privkey.pem`]: certificate.keyPath,
      [`ServerName ${name}`]: "ServerName localhost",
    });
    const [, , ...enabled] = printedCommand("sudo a2enmod ").split(" ");
    const load = (module: string) =>
      `LoadModule ${module}_module /usr/lib/apache2/modules/mod_${module}.so`;
    return `
ServerName localhost
ServerRoot ${folder}
PidFile ${folder}/pid
Mutex file:${folder} default
ErrorLog /dev/stderr
User www-data
Group www-data
Timeout ${TIMEOUT.tested}
${[...APACHE_MODULES, ...enabled].map(load).join("\n")}
Listen ${port}
${site}`;
  },
  args: (config) => ["-D", "FOREGROUND", "-f", config],
};

export const PROXIES: readonly ProxyKind[] = [NGINX, CADDY, HAPROXY, APACHE];

/** A proxy that runs before signalbox. */
export class RunningProxy implements AsyncDisposable {
  readonly #process: Foreground;
  readonly #resources: AsyncDisposableStack;
  readonly #caPath: string;
  readonly port: number;

  private constructor(
    process: Foreground,
    resources: AsyncDisposableStack,
    caPath: string,
    port: number,
  ) {
    this.#process = process;
    this.#resources = resources;
    this.#caPath = caPath;
    this.port = port;
  }

  /** Starts one with a printed file, on a free port; resolves once it listens. */
  static async start(kind: ProxyKind, title: string, serverPort: number): Promise<RunningProxy> {
    const certificate = await Certificate.make();
    const folder = await Deno.makeTempDir({ prefix: "signalbox-proxy-" });
    await using resources = new AsyncDisposableStack();
    resources.use(certificate);
    resources.defer(() => Deno.remove(folder, { recursive: true }));
    const port = findFreePort();
    const config = `${folder}/config`;
    const setup = { serverPort, port, folder, certificate };
    await Deno.writeTextFile(config, kind.configure(printedFile(title), setup));
    const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    const process = resources.use(
      new Foreground([kind.program, ...kind.args(config, folder)], { env }),
    );
    await process.listensOn(port);
    const caPath = kind === CADDY ? caddyCaPath(folder) : certificate.certPath;
    if (kind === CADDY) await untilSecure(port, caPath);
    return new RunningProxy(process, resources.move(), caPath, port);
  }

  /** The certificate that a client has to trust, PEM. */
  get caCert(): string {
    return Deno.readTextFileSync(this.#caPath);
  }

  get log(): string {
    return this.#process.log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Resolves once TLS works: Caddy listens before it has a certificate. */
export async function untilSecure(port: number, caPath: string): Promise<void> {
  while (true) {
    try {
      const caCerts = [await Deno.readTextFile(caPath)];
      using tls = await Deno.connectTls({ hostname: "localhost", port, caCerts });
      await tls.handshake();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** The file with the certificate of its own authority (`tls internal`). */
export function caddyCaPath(folder: string): string {
  return `${folder}/caddy/pki/authorities/local/root.crt`;
}
