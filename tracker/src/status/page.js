// Keeps the numbers of the page those of the tracker, and draws its graphs.
//
// Whatever comes from the tracker is set as text, never as markup. What is written here reads as what the tracker wrote
// into the page it sent (page.rs, text.rs).

import { Graph } from "./graph.js";

const EVERY = 2000;
const DEADLINE = 5000;
/** Between the digits of a number. */
const SPACE = "\u202f";

const byId = (id) => document.getElementById(id);

// Numbers as people read them.

const grouped = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, SPACE);

const rate = (number) => (number >= 10 || Number.isInteger(number) ? grouped(number) : number.toFixed(1));

/** With one decimal if it is small. */
const decimal = (number) => (number >= 10 || Number.isInteger(number) ? Math.round(number) : number.toFixed(1));

/** Short, for an axis: 1.5k, 20M. */
function short(number) {
  const [divisor, unit] = number >= 1e6 ? [1e6, "M"] : number >= 1e4 ? [1e3, "k"] : [1, ""];
  return unit ? `${Number((number / divisor).toFixed(2))}${unit}` : grouped(number);
}

function latency(micros) {
  if (micros === null) return "–";
  if (micros < 1e3) return `${Math.round(micros)} µs`;
  return micros < 1e6 ? `${decimal(micros / 1e3)} ms` : `${decimal(micros / 1e6)} s`;
}

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  const tenths = Math.floor(number * 10) / 10;
  return `${number >= 100 || unit === 0 ? Math.floor(number) : tenths} ${units[unit]}`;
}

function duration(seconds) {
  const whole = Math.floor(seconds);
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(whole / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

/** With one decimal. */
function mean(all, of) {
  const tenths = of ? Math.floor((all * 10) / of) : 0;
  return tenths >= 1000 ? grouped(Math.floor(tenths / 10)) : (tenths / 10).toFixed(1);
}

// The graphs.

const graphs = [
  {
    title: "Announces a second",
    series: [{ key: "announces_http", label: "HTTP" }, { key: "announces_udp", label: "UDP" }],
    form: "stacked", axis: short, exact: rate,
  },
  {
    title: "Scrapes a second",
    series: [{ key: "scrapes_http", label: "HTTP" }, { key: "scrapes_udp", label: "UDP" }],
    form: "stacked", axis: short, exact: rate,
  },
  {
    title: "Answer time",
    series: [{ key: "p50", label: "p50" }, { key: "p99", label: "p99" }],
    form: "logarithmic", axis: latency, exact: latency,
  },
  {
    title: "Peers",
    series: [{ key: "seeds", label: "seeds" }, { key: "leechers", label: "leechers" }],
    form: "stacked", axis: short, exact: grouped,
  },
].map((description) => new Graph(description));

// The numbers.

function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

const sum = ([http, udp]) => rate(http + udp);

function showNumbers(status) {
  const { now, peers, memory } = status;
  setText("uptime", duration(status.uptime));
  setText("announces", sum(now.announces));
  setText("announces-http", `HTTP ${rate(now.announces[0])}`);
  setText("announces-udp", `UDP ${rate(now.announces[1])}`);
  setText("scrapes", sum(now.scrapes));
  setText("scrapes-http", `HTTP ${rate(now.scrapes[0])}`);
  setText("scrapes-udp", `UDP ${rate(now.scrapes[1])}`);
  setText("p50", latency(now.p50));
  setText("p99", latency(now.p99));
  setText("peers", grouped(peers.all));
  setText("seeds", `seeds ${grouped(peers.seeds)}`);
  setText("leechers", `leechers ${grouped(peers.leechers)}`);
  setText("swarms", grouped(status.swarms));
  setText("swarms-size", `${mean(peers.all, status.swarms)} peers each`);
  setText("memory", bytes(memory.used));
  setText("memory-limit", bytes(memory.limit));
  setShare(byId("memory-share"), memory.used / Math.max(1, memory.limit));
  byId("memory-meter").setAttribute("aria-valuenow", memory.used);
}

/** A new element with text or elements in it. */
function make(name, attributes, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...content);
  return element;
}

const numberCell = (number) => make("td", number ? {} : { class: "zero" }, grouped(number));

/** Makes a part of a bar this long, of 1. */
function setShare(part, length, from = 0) {
  part.setAttribute("x", `${(100 * from).toFixed(2)}%`);
  part.setAttribute("width", `${(100 * length).toFixed(2)}%`);
}

/** A bar as long as the swarm is large beside the largest, its seeds first. */
function share({ seeders, leechers }, largest) {
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  bar.setAttribute("class", "share");
  bar.setAttribute("aria-hidden", "true");
  for (const [count, before] of [[seeders, 0], [leechers, seeders]]) {
    const part = document.createElementNS(bar.namespaceURI, "rect");
    part.setAttribute("height", "100%");
    setShare(part, count / largest, before / largest);
    bar.append(part);
  }
  return bar;
}

function showBusiest(swarms) {
  const largest = Math.max(...swarms.map(({ seeders, leechers }) => seeders + leechers), 1);
  const row = (swarm) => make(
    "tr", {},
    make("th", { scope: "row" }, make("code", { title: swarm.info_hash }, swarm.info_hash), share(swarm, largest)),
    ...[swarm.seeders, swarm.leechers, swarm.completed].map(numberCell),
  );
  byId("busiest").replaceChildren(...swarms.map(row));
}

function showRequests({ outcomes, rows }) {
  const head = outcomes.map((outcome) => make("th", { scope: "col" }, outcome));
  const row = ({ label, counts }) => make("tr", {}, make("th", { scope: "row" }, label), ...counts.map(numberCell));
  byId("requests").replaceChildren(
    make("thead", {}, make("tr", {}, make("td", {}), ...head)),
    make("tbody", {}, ...rows.map(row)),
  );
}

function showDetails(details) {
  const line = ({ label, value, warning }) =>
    make("div", warning ? { class: "warning" } : {}, make("dt", {}, label), make("dd", {}, value));
  byId("details").replaceChildren(...details.map(line));
}

function showState(name, text) {
  byId("state").className = name;
  setText("state-text", text);
  document.body.classList.toggle("stale", name === "down");
}

// Asking the tracker.

let answered = new Date();
let span = "5m";
let asking = null;
let timer = null;

async function ask() {
  const question = new AbortController();
  asking?.abort();
  asking = question;
  clearTimeout(timer);
  const deadline = setTimeout(() => question.abort(), DEADLINE);
  try {
    const response = await fetch(`status.json?span=${span}`, { signal: question.signal, cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
  } catch {
    // Another question took its place: that one will tell.
    if (asking !== question) return;
    showState("down", `Tracker not answering since ${answered.toLocaleTimeString([], { hourCycle: "h23" })}`);
  } finally {
    clearTimeout(deadline);
  }
  if (!document.hidden) timer = setTimeout(ask, EVERY);
}

function show(status) {
  answered = new Date();
  const now = answered.getTime() / 1000;
  showState(status.ready ? "up" : "starting", status.ready ? "Answering requests" : "Not answering yet");
  showNumbers(status);
  showBusiest(status.busiest);
  showRequests(status.requests);
  showDetails(status.details);
  for (const graph of graphs) graph.show(status.history, now - status.uptime, now);
}

byId("graphs").append(...graphs.map((graph) => graph.element));
byId("spans").hidden = false;
byId("spans").addEventListener("change", (event) => {
  span = event.target.value;
  ask();
});
// A page that nobody looks at asks nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else ask();
});
ask();
