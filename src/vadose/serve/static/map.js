// The page: joins controls, map, time and series. Needs L (Leaflet) and uPlot, which are loaded before it.

import * as address from "./address.js";
import { ask } from "./ask.js";
import { Frames } from "./frames.js";
import { draw as drawLegend } from "./legend.js";
import { Outlines } from "./outlines.js";
import { Series } from "./series.js";
import { Stations } from "./stations.js";
import { Swipe } from "./swipe.js";
import { place, written } from "./words.js";

const PACE = 650, AGAIN = 5000, THROTTLE = 90, SLOW = 350;
const get = (name) => document.getElementById(name);
const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;

const view = { layer: "", with: "", time: 0, opacity: 100, point: null };
let info = null, map = null, left = null, right = null, swipe = null, series = null, marker = null, player = null, shown = null;

async function start() {
  const answer = await ask("/api/map");
  const found = answer?.found ?? { detail: "The server does not answer." };
  if (!answer?.ok) {
    get("message-title").textContent = found.state === "damaged" ? "This run cannot be read" : "There is nothing to show yet";
    get("message-text").textContent = found.detail;
    get("message").hidden = false;
    document.body.dataset.state = "nothing";
    setTimeout(start, AGAIN);
    return;
  }
  get("message").hidden = true;
  info = found;
  build();
  document.body.dataset.state = "showing";
  await Promise.all([show(), new Stations(map, info, openSeries, isStill).load().then((count) => { series.hasStations = count > 0; })]);
  document.body.dataset.state = "ready";
  if (info.notice) setTimeout(lookAgain, AGAIN);
}

// A run that is not finished has more to show later, and a server that has gone may come back.
async function lookAgain(wasGone = false) {
  const answer = await ask("/api/map");
  if (answer?.ok && (wasGone || answer.found.version !== info.version)) location.reload();
  else setTimeout(lookAgain, AGAIN, wasGone);
}

function build() {
  document.title = `${info.title} · vadose map`;
  get("title").textContent = info.title;
  get("method").textContent = info.method;
  get("notice").textContent = info.notice;
  get("notice").hidden = !info.notice;
  document.body.classList.toggle("still", info.times.length < 2);
  const given = address.read();
  const names = info.layers.map((layer) => layer.name);
  view.layer = names.includes(given.layer) ? given.layer : names[0];
  view.with = names.includes(given.with) ? given.with : "";
  view.time = Math.max(0, info.times.indexOf(given.time));
  view.opacity = Math.min(100, Math.max(0, given.opacity ?? 100));
  view.point = given.point ?? null;
  fillLayers();
  buildMap(given);
  listen();
  if (view.point) openSeries(...view.point);
}

function fillLayers() {
  const groups = new Map();
  for (const layer of info.layers) {
    if (!groups.has(layer.group)) groups.set(layer.group, []);
    groups.get(layer.group).push(layer);
  }
  for (const name of ["layer", "with"]) {
    const parts = [...groups].map(([title, layers]) => {
      const part = document.createElement("optgroup");
      part.label = title;
      part.append(...layers.map((layer) => new Option(layer.title, layer.name)));
      return part;
    });
    for (const [title, words] of Object.entries(info.absent)) {
      const part = document.createElement("optgroup");
      part.label = title;
      part.append(new Option(words, ""));
      part.lastChild.disabled = true;
      parts.push(part);
    }
    get(name).replaceChildren(...(name === "with" ? [new Option("nothing", "")] : []), ...parts);
  }
  get("layer").value = view.layer;
  get("with").value = view.with;
  get("opacity").value = view.opacity;
  get("time").max = info.times.length - 1;
}

function buildMap(given) {
  const [west, south, east, north] = info.bounds;
  map = L.map("map", {
    zoomControl: false, fadeAnimation: false, zoomAnimation: !isStill, inertia: !isStill, markerZoomAnimation: !isStill,
    minZoom: 1, maxZoom: Math.max(info.deepest, 3), maxBounds: [[-89, -400], [89, 400]], worldCopyJump: false,
  });
  L.control.zoom({ position: "topright" }).addTo(map);
  L.control.scale({ position: "bottomleft", imperial: false }).addTo(map);
  map.attributionControl.setPrefix("").addAttribution("Outlines: Natural Earth");
  const isPhone = innerWidth <= 760;
  const padding = isPhone ? { paddingTopLeft: [10, 130], paddingBottomRight: [10, 100] } : { paddingTopLeft: [326, 24], paddingBottomRight: [24, 100] };
  fit([[south, west], [north, east]], padding);
  if (given.lat !== undefined && given.lon !== undefined && given.zoom !== undefined) map.setView([given.lat, given.lon], given.zoom, { animate: false });
  left = new Frames(map, "left", complain);
  right = new Frames(map, "right", complain);
  left.element().style.zIndex = 250;
  right.element().style.zIndex = 260;
  new Outlines(map, east > 180 ? [0, 360] : [0]).draw();
  series = new Series(choose);
  swipe = new Swipe(map, left, right, remember);
  if (given.split !== undefined) swipe.set(given.split);
}

// Show a box as large as whole levels allow, for tiles between two levels have seams; a little may stand out.
function fit(box, padding) {
  const [lost, gone] = [padding.paddingTopLeft, padding.paddingBottomRight];
  map.options.zoomSnap = 0;
  const level = map.getBoundsZoom(box, false, L.point(lost[0] + gone[0], lost[1] + gone[1]));
  map.options.zoomSnap = 1;
  const whole = Math.min(Math.max(Math.floor(level + 0.12), map.getMinZoom()), map.getMaxZoom());
  const shift = [(gone[0] - lost[0]) / 2, (gone[1] - lost[1]) / 2];
  const centre = map.project(L.latLngBounds(box).getSouthWest(), whole).add(map.project(L.latLngBounds(box).getNorthEast(), whole)).divideBy(2);
  map.setView(map.unproject(centre.add(shift), whole), whole, { animate: false });
}

function listen() {
  get("layer").addEventListener("change", (event) => { view.layer = event.target.value; show(); });
  get("with").addEventListener("change", (event) => { view.with = event.target.value; show(); });
  get("opacity").addEventListener("input", (event) => { view.opacity = Number(event.target.value); dim(); remember(); });
  get("time").addEventListener("input", (event) => { pause(); view.time = Number(event.target.value); show(); });
  get("back").addEventListener("click", () => step(-1));
  get("on").addEventListener("click", () => step(1));
  get("play").addEventListener("click", () => (player ? pause() : play()));
  get("keys").addEventListener("click", () => unfold(get("keys"), get("help")));
  get("more").addEventListener("click", () => unroll(!get("settings").classList.contains("open")));
  get("link").addEventListener("click", copyLink);
  get("series").addEventListener("closed", () => { view.point = null; marker?.remove(); remember(); map.getContainer().focus({ preventScroll: true }); });
  map.on("moveend", remember);
  map.on("click", (event) => { unroll(false); openSeries(event.latlng.lat, event.latlng.lng); });
  map.on("mousemove", (event) => point(event.latlng));
  map.on("mouseout", () => { get("readout").hidden = true; });
  map.on("moveend", () => { if (!get("cross").hidden) point(map.getCenter(), true); });
  const box = map.getContainer();
  const cross = () => { get("cross").hidden = document.body.dataset.hand !== "keys" || document.activeElement !== box; };
  const hand = (kind) => () => { document.body.dataset.hand = kind; cross(); };
  document.addEventListener("keydown", hand("keys"), true);
  document.addEventListener("pointerdown", hand("pointer"), true);
  for (const kind of ["focus", "blur"]) box.addEventListener(kind, cross);
  document.addEventListener("keydown", keys);
  addEventListener("hashchange", () => location.reload());
}

async function show() {
  const time = info.times[view.time];
  const other = view.with && view.with !== view.layer ? view.with : "";
  get("time").value = view.time;
  get("time").setAttribute("aria-valuetext", time);
  get("when").textContent = time === "static" ? "No time" : time.replace("T", " ");
  dim();
  swipe.turn(Boolean(other), [titleOf(view.layer), titleOf(other)]);
  series.at(time);
  remember();
  if (!other) right.clear();
  const turn = {};
  shown = turn;
  const waiting = setTimeout(() => busy(true), SLOW);
  const legend = drawLegend(get("legend"), other ? [view.layer, other] : [view.layer], info.version, () => shown === turn);
  await Promise.all([left.show(info, view.layer, time), other ? right.show(info, other, time) : null, legend.catch(complain)]);
  clearTimeout(waiting);
  if (shown === turn) busy(false);
  document.body.dataset.shown = `${view.layer} ${time}${other ? ` ${other}` : ""}`;
  if (hovered) point(hovered);
}

// A large day takes a second to draw; who waits sees that something is done.
function busy(isBusy) {
  get("clock").classList.toggle("busy", isBusy);
  get("map").setAttribute("aria-busy", isBusy);
}

let lastTrouble = 0;
let isGone = false;

// What cannot be had is said beside the title, and goes when all can be had again.
async function complain() {
  if (Date.now() - lastTrouble < AGAIN) return;
  lastTrouble = Date.now();
  const answer = await ask("/api/map");
  const words = answer ? answer.found.detail ?? "Parts of the picture could not be had; move the map or turn the day to try again." : "The server does not answer. Start it again with vadose serve; this page looks again by itself.";
  get("notice").textContent = words;
  get("notice").hidden = false;
  if (answer?.ok || isGone) return;
  isGone = true;
  setTimeout(lookAgain, AGAIN, true);
}

function titleOf(name) {
  return info.layers.find((layer) => layer.name === name)?.title ?? "";
}

function dim() {
  for (const frames of [left, right]) frames.element().style.opacity = view.opacity / 100;
  get("opacity-value").textContent = `${view.opacity} %`;
}

function remember() {
  if (!info || !map || !swipe) return;
  const centre = map.getCenter();
  address.write({
    layer: view.layer, time: info.times[view.time], lat: centre.lat.toFixed(4), lon: centre.lng.toFixed(4), zoom: map.getZoom(),
    with: view.with, split: view.with ? swipe.share : "", opacity: view.opacity === 100 ? "" : view.opacity, point: view.point,
  });
}

async function copyLink() {
  const said = await navigator.clipboard.writeText(location.href).then(() => "Copied", () => "Copy the address above");
  get("link").textContent = said;
  setTimeout(() => { get("link").textContent = "Copy link to this view"; }, 2000);
}

// On a phone the settings are rolled up until asked for.
function unroll(isOpen) {
  get("settings").classList.toggle("open", isOpen);
  get("more").setAttribute("aria-expanded", isOpen);
  get("more").textContent = isOpen ? "Less" : "More";
}

function unfold(button, part) {
  part.hidden = !part.hidden;
  button.setAttribute("aria-expanded", !part.hidden);
  if (!part.hidden) part.scrollIntoView({ block: "nearest" });
}

function step(by) {
  pause();
  view.time = (view.time + by + info.times.length) % info.times.length;
  get("said").textContent = info.times[view.time];
  return show();
}

function choose(label) {
  const found = info.times.indexOf(label);
  if (found < 0) return;
  pause();
  view.time = found;
  show();
}

async function play() {
  if (info.times.length < 2) return;
  const turn = {};
  player = turn;
  get("play").setAttribute("aria-pressed", "true");
  get("play").setAttribute("aria-label", "Pause");
  if (view.time === info.times.length - 1) view.time = -1;
  while (player === turn && view.time < info.times.length - 1) {
    view.time += 1;
    await Promise.all([show(), new Promise((done) => { setTimeout(done, isStill ? 2 * PACE : PACE); })]);
  }
  if (player === turn) pause();
}

function pause() {
  player = null;
  get("play").setAttribute("aria-pressed", "false");
  get("play").setAttribute("aria-label", "Play");
}

let hovered = null, asked = null, isWaiting = false;

function point(place, isSpoken = false) {
  hovered = place;
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(() => { isWaiting = false; readValue(hovered, isSpoken); }, THROTTLE);
}

async function readValue({ lat, lng }, isSpoken) {
  asked?.abort();
  asked = new AbortController();
  const layer = swipe.isOn && map.latLngToContainerPoint([lat, lng]).x > (map.getSize().x * swipe.share) / 100 ? view.with : view.layer;
  const words = new URLSearchParams({ lat: lat.toFixed(5), lon: lng.toFixed(5), layer, time: info.times[view.time] });
  if (Math.abs(lat) > 90 || Math.abs(lng) > 540) return;
  const answer = await ask(`/api/value?${words}`, { signal: asked.signal });
  if (!answer?.ok) return;
  const { found } = answer;
  const { unit } = info.layers.find((one) => one.name === layer);
  const number = found.value === null ? "no value" : found.meaning || `${written(found.value)} ${unit}`;
  const strong = document.createElement("b");
  strong.textContent = number;
  const rest = document.createElement("span");
  rest.textContent = [found.origin, place(lat, lng)].filter(Boolean).join(" · ");
  get("readout").replaceChildren(strong, rest);
  get("readout").hidden = false;
  if (isSpoken) get("said").textContent = `${number}, ${place(lat, lng)}`;
}

function openSeries(lat, lon) {
  view.point = [lat, lon];
  marker?.remove();
  marker = L.circleMarker([lat, lon], { radius: 6, color: "#22303a", weight: 2, fillColor: "#fff", fillOpacity: 0.9, interactive: false }).addTo(map);
  remember();
  uncover(lat, lon);
  return series.open(lat, lon, view.layer, info.times[Math.max(0, view.time)]);
}

// Move the map so that the place does not lie under a panel.
function uncover(lat, lon) {
  const { x, y } = map.getSize();
  const isPhone = x <= 760;
  const room = isPhone ? { paddingTopLeft: [30, 140], paddingBottomRight: [30, y * 0.5 + 100] } : { paddingTopLeft: [340, 40], paddingBottomRight: [520, 130] };
  map.panInside([lat, lon], { ...room, animate: !isStill });
}

function turnLayer(by) {
  const names = info.layers.map((layer) => layer.name);
  view.layer = names[(names.indexOf(view.layer) + by + names.length) % names.length];
  get("layer").value = view.layer;
  get("said").textContent = titleOf(view.layer);
  show();
}

function turnSwipe() {
  const other = info.layers.find((layer) => layer.name === "coarse" && view.layer !== "coarse") ?? info.layers.find((layer) => layer.name !== view.layer);
  view.with = view.with ? "" : (other?.name ?? "");
  get("with").value = view.with;
  show();
}

function keys(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const at = event.target;
  if (event.key === "Escape" && !get("series").hidden) return series.close();
  if (at.matches?.("select, input, textarea")) return undefined;
  const isButton = at.matches?.("button, a");
  const acts = { ",": () => step(-1), ".": () => step(1), "[": () => turnLayer(-1), "]": () => turnLayer(1), s: turnSwipe };
  if (event.key in acts) acts[event.key]();
  else if (event.key === " " && !isButton) player ? pause() : play();
  else if (event.key === "Enter" && at === map.getContainer()) openSeries(map.getCenter().lat, map.getCenter().lng);
  else return undefined;
  event.preventDefault();
  return undefined;
}

start();
