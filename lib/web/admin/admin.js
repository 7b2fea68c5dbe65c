// @ts-check
/// <reference lib="dom" />

/** The admin page: polls the server once a second, and shows the answer. */

import { Chart } from "./chart.js";
import { ClientList } from "./clients.js";
import { showCloses, showErrors } from "./counts.js";
import { Disconnection } from "./disconnect.js";
import { duration, number, size } from "./format.js";
import { Timeline } from "./timeline.js";

const POLL_MS = 1000;
const TIMEOUT_MS = 5000;

/** @typedef {import("./timeline.js").Point} Point */

/**
 * @typedef {object} Overview as `/api/overview` gives it
 * @property {string} version
 * @property {string} started_at
 * @property {Record<string, number>} errors
 * @property {Record<string, number>} closes
 * @property {number} taken
 * @property {import("./timeline.js").Sample[]} samples
 */

/** @type {readonly { title: string, read: (point: Point) => string }[]} */
const TILES = [
  { title: "Clients", read: ({ clients }) => number(clients) },
  { title: "Messages/s", read: ({ messages }) => number(messages) },
  { title: "Deliveries/s", read: ({ deliveries }) => number(deliveries) },
  { title: "Errors/s", read: ({ errors }) => number(errors) },
  { title: "Waiting to be sent", read: ({ waitingBytes }) => size(waitingBytes) },
  { title: "In the mailbox", read: ({ keptMessages }) => number(keptMessages) },
  { title: "Memory", read: ({ memoryBytes }) => size(memoryBytes) },
  { title: "CPU, of one core", read: ({ cpuShare }) => `${number(100 * cpuShare)} %` },
];

/** @param {string} id */
function find(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}.`);
  return found;
}

let isPolling = false;
/** Time of the last answer; null before the first one. */
/** @type {Date | null} */
let answeredAt = null;
const timeline = new Timeline();
const disconnection = new Disconnection(find, (message) => {
  find("announcer").textContent = message;
  clients.refresh();
});
const clients = new ClientList(find, (client) => disconnection.ask(client));
const tiles = TILES.map(({ title, read }) => ({ read, value: addTile(title) }));
const charts = [
  new Chart(find("connections-chart"), "Connections", [
    { name: "clients", read: ({ clients }) => clients },
    { name: "connections", read: ({ connections }) => connections },
  ], number),
  new Chart(find("arrivals-chart"), "New connections a second", [
    { name: "opened", read: ({ opened }) => opened },
  ], number),
  new Chart(find("messages-chart"), "Messages a second", [
    { name: "from clients", read: ({ messages }) => messages },
    { name: "to clients", read: ({ deliveries }) => deliveries },
  ], number),
];

/** @param {string} title */
function addTile(title) {
  const tile = document.createElement("div");
  const term = document.createElement("dt");
  const value = document.createElement("dd");
  term.textContent = title;
  value.textContent = "–";
  tile.append(term, value);
  find("tiles").append(tile);
  return value;
}

/** Polls once a second while the page is visible. */
async function poll() {
  if (isPolling) return;
  isPolling = true;
  while (!document.hidden) {
    const delay = new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      const response = await fetch(`api/overview?after=${timeline.taken}`, {
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (!response.ok) throw new Error(`status ${response.status}`);
      show(await response.json());
      answeredAt = new Date();
      showState("good", "live");
    } catch {
      showState("bad", noAnswer());
    }
    await delay;
  }
  isPolling = false;
}

/** @param {Overview} overview */
function show({ version, started_at, errors, closes, taken, samples }) {
  timeline.add(started_at, taken, samples);
  const age = duration(Date.now() - Date.parse(started_at));
  find("about").textContent = `version ${version}, up for ${age}`;
  showErrors(find("errors"), errors);
  showCloses(find("closes"), closes);
  const last = timeline.points.at(-1);
  if (last === undefined) return;
  document.title = `${number(last.clients)} clients · signalbox admin`;
  for (const { read, value } of tiles) value.textContent = read(last);
  for (const chart of charts) chart.update(timeline.points);
}

function noAnswer() {
  if (answeredAt === null) return "The server does not answer.";
  return `The server does not answer. The numbers are from ${answeredAt.toLocaleTimeString()}.`;
}

/**
 * @param {"good" | "bad"} kind
 * @param {string} text
 */
function showState(kind, text) {
  const state = find("state");
  if (state.textContent === text) return; // a screen reader reads each change
  state.dataset.state = kind;
  state.textContent = text;
  document.body.classList.toggle("stale", kind === "bad");
  if (kind === "bad") document.title = "no answer · signalbox admin";
}

document.addEventListener("visibilitychange", poll);
poll();
