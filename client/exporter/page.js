/* Asks api/pool every two seconds and draws the answer.  Rates come from what this page has seen itself:
 * counters with their times, of the last five minutes. */
"use strict";

const EVERY_MS = 2000;
const KEEP_S = 300;
const SHOW_S = 60; /* that a line shows at least */
const RECENT_S = 10;
const CLIENTS_MAX = 200;

const byId = (id) => document.getElementById(id);

/* ---------------------------------------------------------------- numbers as people read them */

const whole = new Intl.NumberFormat("en");
const count = (n) => whole.format(n);

function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++)
		n /= 1024;
	return `${i && n < 100 ? Number(n.toFixed(1)) : Math.round(n)} ${units[i]}`;
}

function rate(n) {
	if (n === null)
		return "\u2013";
	if (n >= 1e6)
		return `${(n / 1e6).toFixed(1)} M/s`;
	if (n >= 1e4)
		return `${(n / 1e3).toFixed(0)} k/s`;
	return n && n < 10 ? `${n.toFixed(1)} /s` : `${count(Math.round(n))} /s`;
}

function microseconds(n) {
	if (n < 1000)
		return `${n} \u00b5s`;
	return n < 1e6 ? `${(n / 1e3).toFixed(1)} ms` : `${(n / 1e6).toFixed(1)} s`;
}

function duration(ms) {
	const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
	if (d)
		return `${d} d ${h % 24} h`;
	if (h)
		return `${h} h ${m % 60} min`;
	return m ? `${m} min ${s % 60} s` : `${s} s`;
}

const share = (part, all) => (all ? `${((100 * part) / all).toFixed(part < all / 10 ? 1 : 0)}%` : "0%");

const several = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

/* Writes only what changed, so that a reader's place and selection stay. */
function put(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

/* ---------------------------------------------------------------- history */

const histories = new Map(); /* key: [{t, v}], a counter over time */

function remember(key, t, v) {
	const list = histories.get(key) || [];
	if (!list.length || list[list.length - 1].t < t)
		list.push({ t, v });
	while (list.length && list[0].t < t - KEEP_S)
		list.shift();
	histories.set(key, list);
}

/* Per second between neighbours; null where the counter began anew. */
function rates(key) {
	const list = histories.get(key) || [], out = [];
	for (let i = 1; i < list.length; i++) {
		const grown = list[i].v - list[i - 1].v;
		out.push({ t: list[i].t, v: grown < 0 ? null : grown / (list[i].t - list[i - 1].t) });
	}
	return out;
}

/* Per second over the last moments; null: not known. */
function recent(key) {
	const list = histories.get(key) || [], end = list[list.length - 1];
	const begin = list.find((p) => p.t >= end.t - RECENT_S);
	return !begin || begin === end ? null : Math.max(0, end.v - begin.v) / (end.t - begin.t);
}

function forget(t) {
	for (const [key, list] of histories)
		if (!list.length || list[list.length - 1].t < t - KEEP_S)
			histories.delete(key);
}

/* ---------------------------------------------------------------- lines */

function path(svg, kind, d) {
	let element = svg.querySelector(`.${kind}`);
	if (!element) {
		element = document.createElementNS("http://www.w3.org/2000/svg", "path");
		element.setAttribute("class", kind);
		svg.append(element);
	}
	element.setAttribute("d", d);
}

function line(svg, key, now, what) {
	const points = rates(key), top = Math.max(...points.map((p) => p.v || 0), 1e-9);
	const span = Math.max(SHOW_S, points.length ? now - points[0].t : 0);
	let stroke = "", area = "", run = [];
	const flush = () => {
		if (run.length) {
			stroke += `M${run.join("L")}`;
			area += `M${run[0].split(" ")[0]} 32L${run.join("L")}L${run[run.length - 1].split(" ")[0]} 32Z`;
		}
		run = [];
	};
	for (const p of points) {
		if (p.v === null)
			flush();
		else
			run.push(`${(100 - (100 * (now - p.t)) / span).toFixed(2)} ${(31 - (29 * p.v) / top).toFixed(2)}`);
	}
	flush();
	path(svg, "area", area);
	path(svg, "stroke", stroke);
	svg.setAttribute("aria-label", points.length
		? `${what} over the last ${duration(span * 1000)}: now ${rate(recent(key))}, at most ${rate(top)}`
		: `${what}: not seen long enough`);
}

/* ---------------------------------------------------------------- the map of slabs */

let heat = [];

function readColours() {
	const style = getComputedStyle(document.documentElement);
	const stops = style.getPropertyValue("--heat").split(",").map((c) => c.trim())
		.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
	heat = [...Array(10).keys()].map((i) => {
		const at = (i / 9) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
		return `rgb(${stops[low].map((c, k) => Math.round(c + (stops[low + 1][k] - c) * (at - low))).join()})`;
	});
	heat.edge = style.getPropertyValue("--slabs");
	heat.cursor = style.getPropertyValue("--ink");
}

function slabText(card, i) {
	const c = card.map[i], which = `slab ${i + 1} of ${count(card.map.length)}`;
	if (c === ".")
		return `${which}: empty`;
	if (c === "#")
		return `${which}: full`;
	return `${which}: ${Math.round((c - 1) * 100 / 9)} to ${Math.round(c * 100 / 9)}% in use`;
}

function mapText(card) {
	const n = card.map.length, empty = card.map.split(".").length - 1, full = card.map.split("#").length - 1;
	const cut = n < card.cache.slabs ? `, the first of ${count(card.cache.slabs)}` : "";
	return `${several(n, "slab")} of ${bytes(card.cache.slab_bytes)}${cut}: ${count(full)} full, ` +
		`${count(n - full - empty)} partly used, ${count(empty)} empty`;
}

function drawMap(card) {
	const canvas = card.canvas, n = card.map.length, width = canvas.clientWidth;
	const scale = window.devicePixelRatio || 1;
	if (!width)
		return;
	card.pitch = n <= 300 ? 16 : n <= 1200 ? 10 : 7;
	card.columns = Math.max(1, Math.floor(width / card.pitch));
	const cell = card.pitch - (n <= 300 ? 2 : 1), height = Math.ceil(n / card.columns) * card.pitch;
	canvas.style.height = `${height}px`;
	canvas.width = Math.round(width * scale);
	canvas.height = Math.round(height * scale);
	const paint = canvas.getContext("2d");
	paint.scale(scale, scale);
	for (let i = 0; i < n; i++) {
		const x = (i % card.columns) * card.pitch, y = Math.floor(i / card.columns) * card.pitch;
		if (card.map[i] === ".") {
			paint.strokeStyle = heat.edge;
			paint.strokeRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
		} else {
			paint.fillStyle = heat[card.map[i] === "#" ? 9 : card.map[i] - 1];
			paint.fillRect(x, y, cell, cell);
		}
		if (i === card.at) {
			paint.strokeStyle = heat.cursor;
			paint.lineWidth = 2;
			paint.strokeRect(x + 1, y + 1, cell - 2, cell - 2);
			paint.lineWidth = 1;
		}
	}
}

function tellMap(card) {
	const chosen = card.at >= 0 && card.at < card.map.length;
	const text = chosen ? slabText(card, card.at) : mapText(card);
	put(card.which, text);
	card.canvas.setAttribute("aria-label", `Map of the slabs. ${text}`);
}

function choose(card, at) {
	if (at === card.at)
		return;
	card.at = at;
	drawMap(card);
	tellMap(card);
}

function watchMap(card) {
	const canvas = card.canvas;
	canvas.addEventListener("pointermove", (e) => {
		const box = canvas.getBoundingClientRect(), column = Math.floor((e.clientX - box.left) / card.pitch);
		const at = Math.floor((e.clientY - box.top) / card.pitch) * card.columns + column;
		choose(card, column < card.columns && at >= 0 && at < card.map.length ? at : -1);
	});
	canvas.addEventListener("pointerleave", () => choose(card, -1));
	canvas.addEventListener("blur", () => choose(card, -1));
	canvas.addEventListener("keydown", (e) => {
		const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -card.columns, ArrowDown: card.columns };
		const n = card.map.length;
		if (e.key === "Escape")
			choose(card, -1);
		if (!(e.key in steps) || !n)
			return;
		e.preventDefault();
		choose(card, card.at < 0 ? 0 : Math.min(n - 1, Math.max(0, card.at + steps[e.key])));
	});
	new ResizeObserver(() => drawMap(card)).observe(canvas);
}

/* ---------------------------------------------------------------- caches */

const cards = new Map(); /* key of a cache: its card */
const keyOf = (cache) => `${cache.id}:${cache.name}`;
const PARTS = { live: "live", orphaned: "orphaned", magazines: "in_magazines", slabs: "in_slabs" };
const FLOWS = ["allocs", "frees", "refills"];

function newCard(cache) {
	const element = byId("card").content.firstElementChild.cloneNode(true);
	const card = { element, map: "", at: -1, columns: 1, pitch: 1, drawn: null, cache };
	card.canvas = element.querySelector("canvas");
	card.which = element.querySelector(".which");
	card.flows = [...element.querySelectorAll(".rates > div")];
	watchMap(card);
	return card;
}

function facts(cache) {
	const list = [`objects of ${bytes(cache.object_size)}`, bytes(cache.bytes),
		several(cache.slabs, "slab"), several(cache.clients, "client")];
	if (cache.reclaim)
		list.push("die with their owner");
	return list.join(" \u00b7 ");
}

function drawParts(card) {
	for (const [name, field] of Object.entries(PARTS)) {
		const n = card.cache[field], part = card.element.querySelector(`.bar .${name}`);
		const item = card.element.querySelector(`.parts .${name}`);
		part.hidden = !n;
		part.style.flexGrow = n;
		item.classList.toggle("none", !n);
		put(item.firstElementChild, count(n));
	}
	const note = card.element.querySelector(".orphans");
	note.hidden = !card.cache.orphaned;
	put(note, `Their owner is dead. Whose they were: slabctl orphans ${card.cache.name}`);
}

function drawCard(card, cache, now) {
	card.cache = cache;
	put(card.element.querySelector("h3"), cache.name + (cache.destroyed ? " (destroyed)" : ""));
	put(card.element.querySelector(".facts"), facts(cache));
	card.element.classList.toggle("empty", !cache.slabs);
	drawParts(card);
	FLOWS.forEach((flow, i) => {
		const key = `${keyOf(cache)}:${flow}`;
		put(card.flows[i].querySelector("dd"), rate(recent(key)));
		line(card.flows[i].querySelector("svg"), key, now, flow);
	});
	card.element.querySelector("figure").hidden = !cache.map;
	card.map = cache.map || "";
	if (card.map !== card.drawn)
		drawMap(card);
	card.drawn = card.map;
	tellMap(card);
}

function orderOf(caches) {
	const by = byId("sort").value, text = byId("find").value.toLowerCase();
	const value = (c) => (by === "rate" ? recent(`${keyOf(c)}:allocs`) || 0 : c[by]);
	const shown = caches.filter((c) => c.name.toLowerCase().includes(text));
	return shown.sort((a, b) => (by === "name" ? 0 : value(b) - value(a)) || a.name.localeCompare(b.name));
}

/* Puts elements in order without moving those that are in place, so that the focus stays. */
function arrange(parent, elements) {
	elements.forEach((element, i) => {
		if (parent.children[i] !== element)
			parent.insertBefore(element, parent.children[i] || null);
	});
	while (parent.children.length > elements.length)
		parent.lastElementChild.remove();
}

/* A table's body: a row for each list of cells, the first its heading. */
function fillRows(body, rows) {
	while (body.rows.length > rows.length)
		body.deleteRow(-1);
	rows.forEach((cells, i) => {
		const row = body.rows[i] || body.insertRow();
		cells.forEach((cell, k) => {
			let at = row.cells[k];
			if (!at) {
				at = row.appendChild(document.createElement(k ? "td" : "th"));
				if (!k)
					at.scope = "row";
			}
			if (typeof cell === "string") {
				put(at, cell);
				return;
			}
			if (!at.firstElementChild) { /* a number from 0 to 1: a bar */
				at.className = "bars";
				at.append(document.createElement("i"));
			}
			at.firstElementChild.style.width = `${100 * cell}%`;
		});
	});
}

function cacheCells(c) {
	const flow = (name) => rate(recent(`${keyOf(c)}:${name}`));
	return [c.name, bytes(c.object_size), count(c.objects), count(c.live), count(c.orphaned), count(c.in_magazines),
		count(c.in_slabs), count(c.slabs), bytes(c.bytes), count(c.clients), flow("allocs"), flow("frees"),
		count(c.refills), count(c.waits)];
}

function drawCaches(caches, now) {
	const present = new Set(caches.map(keyOf)), shown = orderOf(caches);
	for (const key of cards.keys())
		if (!present.has(key))
			cards.delete(key);
	for (const cache of shown) {
		if (!cards.has(keyOf(cache)))
			cards.set(keyOf(cache), newCard(cache));
	}
	arrange(byId("cards"), shown.map((cache) => cards.get(keyOf(cache)).element));
	for (const cache of shown)
		drawCard(cards.get(keyOf(cache)), cache, now);
	fillRows(byId("cache-rows"), shown.map(cacheCells));
	byId("no-caches").hidden = caches.length > 0;
}

/* ---------------------------------------------------------------- pool and clients */

function drawPool(status, now) {
	put(byId("where"), `${status.version} at ${status.address}`);
	put(byId("heap"), `${bytes(status.heap_used_bytes)} of ${bytes(status.heap_bytes)} ` +
		`(${share(status.heap_used_bytes, status.heap_bytes)})`);
	byId("heap-bar").style.width = share(status.heap_used_bytes, status.heap_bytes);
	put(byId("memory"), bytes(status.memory_bytes));
	put(byId("caches-count"), count(status.caches));
	put(byId("clients-count"), count(status.clients));
	put(byId("wait"), status.refills ? `99 of 100 within ${microseconds(status.refill_wait_us_p99)}` : "");
	put(byId("uptime"), duration(status.uptime_ms));
	put(byId("restarts"), several(status.worker_restarts, "restart"));
	put(byId("refills"), rate(recent("refills")));
	line(byId("refills-line"), "refills", now, "refills");
	byId("backing").hidden = !status.backing_why;
	put(byId("backing"), `Backed by ${status.backing}: ${status.backing_why}`);
}

function drawClients(clients) {
	const sorted = clients.sort((a, b) => b.live - a.live || a.id - b.id), shown = sorted.slice(0, CLIENTS_MAX);
	const most = Math.max(1, ...shown.map((c) => c.live));
	fillRows(byId("client-rows"), shown.map((c) => [`${c.comm} (${c.pid})`, count(c.live), c.live / most,
		count(c.in_magazines), count(c.threads), count(c.refills), String(c.uid), c.state]));
	byId("clients").hidden = !clients.length;
	byId("no-clients").hidden = clients.length > 0;
	byId("more-clients").hidden = clients.length <= CLIENTS_MAX;
	put(byId("more-clients"), `and ${count(clients.length - shown.length)} more, who hold fewer`);
}

/* ---------------------------------------------------------------- the round */

let answer = null, paused = false;

function tell(state, text, trouble) {
	byId("state").dataset.state = state;
	put(byId("state"), text);
	byId("trouble").hidden = !trouble;
	put(byId("trouble"), trouble || "");
	byId("main").classList.toggle("stale", state === "down");
}

function draw() {
	if (!answer)
		return;
	drawPool(answer.status, answer.time);
	if (!answer.complete)
		return;
	drawCaches(answer.caches, answer.time);
	drawClients(answer.clients);
}

function take(got) {
	put(byId("exporter"), `slabd-exporter ${got.exporter}.`);
	if (!got.up) {
		tell("down", "no answer", got.why);
		return;
	}
	remember("refills", got.time, got.status.refills);
	for (const cache of got.caches || [])
		for (const flow of FLOWS)
			remember(`${keyOf(cache)}:${flow}`, got.time, cache[flow]);
	forget(got.time);
	answer = got;
	const damage = got.status.damaged && "The segment is damaged: memory under it is gone. See slabd's log, and slabctl audit.";
	tell("live", paused ? "paused" : "live", damage || got.why);
	draw();
}

async function round() {
	if (!paused && !document.hidden) {
		try {
			const reply = await fetch("api/pool", { signal: AbortSignal.timeout(10000) });
			if (!reply.ok)
				throw new Error(`HTTP ${reply.status}`);
			const got = await reply.json();
			if (!paused)
				take(got);
		} catch (error) {
			tell("down", "no exporter", `slabd-exporter does not answer: ${error.message}`);
		}
	}
	setTimeout(round, EVERY_MS);
}

byId("pause").addEventListener("click", () => {
	paused = !paused;
	byId("pause").setAttribute("aria-pressed", paused);
	if (byId("state").dataset.state === "live")
		put(byId("state"), paused ? "paused" : "live");
});
byId("sort").addEventListener("change", draw);
byId("find").addEventListener("input", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
	readColours();
	cards.forEach(drawMap);
});
readColours();
round();
