/** Explains what refusals, errors and ends most likely mean, and what to do about them. */

import { quote, showUrl } from "./failure.ts";
import type { Ending, HttpAnswer } from "./websocket.ts";

/** Advice for proxies. `/docs/deploying.md` has whole configurations. */
const PASS_ON = "Have the proxy pass on Upgrade and Connection (nginx: proxy_http_version 1.1; " +
  'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"). deploying.md has ' +
  "each proxy's whole configuration.";

/**
 * Explains an HTTP answer to an upgrade.
 *
 * @param isServerThere whether `/healthz` beside it is signalbox's
 */
export function explainRefusal(answer: HttpAnswer, url: URL, isServerThere: boolean): string {
  const { status, headers, body } = answer;
  const program = headers.get("server");
  const said = body.trim() === "" || /<html|<!doctype/i.test(body) ? "" : `: ${quote(body)}`;
  const what = `The upgrade is answered with ${status}${program ? ` by ${quote(program)}` : ""}`;
  const location = headers.get("location");
  if (status >= 300 && status < 400 && location) {
    const target = URL.parse(location, url);
    const use = target === null ? quote(location) : showUrl(target).replace(/^http/, "ws");
    return `${what}: it is redirected. No WebSocket client follows that: use ${use}.`;
  }
  if (status === 426) {
    return `${what}: a proxy before the server drops the header Upgrade. ${PASS_ON}`;
  }
  if (status === 401 || status === 407) {
    return `${what}: a proxy before the server asks for a password. Clients cannot give one: ` +
      "exempt this path, and use tokens (--auth-secret).";
  }
  if (status === 403) {
    return `${what}${said}. A proxy or a firewall for the web refuses it: allow WebSockets on ` +
      "this path there.";
  }
  if (status === 429) {
    return `${what}${said}. Raise --max-connections-per-ip. Behind a proxy, set --trust-proxy: or ` +
      "else all clients have its address.";
  }
  if (status === 502 || status === 504) {
    return `${what}: a proxy does not reach signalbox behind it. Check that it is running ` +
      "(systemctl status signalbox), and that the proxy uses its address and port.";
  }
  if (status === 503) return `${what}${said}. ${adviceOnUnavailable(body)}`;
  return `${what}${said}. ${adviceOnOther(url, isServerThere)}`;
}

function adviceOnUnavailable(body: string): string {
  if (/server is full/.test(body)) {
    return "Raise --max-connections, or see who connects that often.";
  }
  if (/short of memory/.test(body)) return "Give it more memory, and raise --max-memory.";
  if (/shutting down|restarting/.test(body)) return "Try again in a few seconds.";
  return "A proxy does not reach signalbox behind it, most likely: check that it runs.";
}

function adviceOnOther(url: URL, isServerThere: boolean): string {
  if (isServerThere && !url.pathname.endsWith("/")) {
    const withSlash = Object.assign(new URL(url), { pathname: `${url.pathname}/` });
    return `signalbox is there, but not at this path: end it with a slash (${showUrl(withSlash)}).`;
  }
  if (isServerThere) {
    return `signalbox is there, but a proxy before it drops what asks for a WebSocket. ${PASS_ON}`;
  }
  return `No signalbox is at ${showUrl(url)}: another program answers. Check the port (signalbox ` +
    "prints it at its start) and the path (that of the proxy's rule, with its last slash).";
}

/** An error message of the server. */
interface ServerError {
  readonly code: string;
  readonly message: string;
}

/** Explains an error of the server, before or after the registration. */
export function explainError({ code, message }: ServerError, hasToken: boolean): string {
  const what = `The server answers ${code}: ${quote(message)}.`;
  switch (code) {
    case "unauthorized":
      return hasToken
        ? `${what} Make a new one with the server's own secret: signalbox token --client-id check.`
        : "The server asks for a token: give one with --token, SIGNALBOX_TOKEN or " +
          "SIGNALBOX_TOKEN_FILE. On the server, this prints one: " +
          "signalbox token --client-id check.";
    case "forbidden":
      return `${what} The token's claims sub and room say what it is for: use another one.`;
    case "server_full":
      return `${what} Raise the limit that it names, or see who connects that often.`;
    case "replaced":
      return `${what} Another client has registered the ID of the token: use a token with a sub of ` +
        "its own for the check.";
    case "message_too_large":
      return `${what} Raise --max-message-size: session descriptions may be as large.`;
    case "target_not_found":
      return `${what} The two clients are on different servers: a load balancer spreads them over ` +
        "several that are not one cluster. Give all of them the same --redis.";
    case "rate_limited":
      return `${what} Raise --rate-limit and --rate-burst.`;
    case "unavailable":
      return `${what} The node does not reach its Redis: see its log.`;
    default:
      return what;
  }
}

/** Explains the end of a connection that should have stayed. */
export function explainEnding({ code, reason }: Ending): string {
  const named = reason === "" ? "" : ` ${quote(reason)}`;
  switch (code) {
    case 1001:
      return `The server has closed the connection (1001${named}): its pings were not answered in ` +
        "time. Something between the two holds messages back.";
    case 1006:
      return `The connection has ended without a close frame${
        named && `:${named}`
      }. A proxy or the ` +
        "network has cut it: see the proxy's log.";
    case 1012:
      return `The server shuts down or restarts (1012${named}). Try again.`;
    default:
      return `The server has closed the connection (${code}${named}). Its log says why.`;
  }
}

/** Explains a connection that ended while nothing was sent. */
export function explainSilence(seconds: string): string {
  return `The connection was cut after ${seconds} s of silence. A proxy or a firewall ends what is ` +
    "silent for that long. Raise its timeout (nginx: proxy_read_timeout; HAProxy: timeout tunnel; " +
    "Apache: ProxyTimeout; a cloud's load balancer: idle timeout). Or set --idle-timeout to less " +
    "than twice that, because the server pings at half of it.";
}

/** Explains that a message has not come through. */
export const NOTHING_COMES =
  "No message has come through within 12 s, although the connection is open. Something between " +
  "holds messages back: a proxy that buffers, or a firewall that has dropped the connection without " +
  "notifying either end.";

/** Explains that `register` is not answered. */
export const NO_ANSWER =
  "The WebSocket is open, but register is not answered within 5 s. A proxy " +
  "holds messages back, or another WebSocket server, not signalbox, answers at this URL.";

/** Explains a message that signalbox does not send. */
export function explainForeign(text: string): string {
  return `The answer is ${quote(text)}: another WebSocket server, not signalbox, is at this URL. ` +
    "Check the port and the path.";
}
