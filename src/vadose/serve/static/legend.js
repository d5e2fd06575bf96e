// Legends: sixteen shades with numbers, or classes with words.

import { ask } from "./ask.js";
import { written } from "./words.js";

const known = new Map();

// Draw the legends of layers; `isWanted` tells afterwards whether these are still the layers shown.
export async function draw(place, names, version, isWanted) {
  const legends = await Promise.all(names.map((name) => fetched(name, version)));
  if (!isWanted()) return;
  const keys = [];
  for (const legend of legends) {
    const same = keys.find((one) => one.legend.unit === legend.unit && signature(one.legend) === signature(legend));
    if (same) same.titles.push(legend.title);
    else keys.push({ legend, titles: [legend.title] });
  }
  place.replaceChildren(...keys.map(({ legend, titles }) => key(legend, titles)));
}

async function fetched(name, version) {
  const address = `/api/layers/${name}/legend?v=${version}`;
  if (!known.has(address)) {
    const answer = await ask(address);
    if (!answer?.ok) throw new Error(answer?.found.detail ?? "no answer");
    known.set(address, answer.found);
  }
  return known.get(address);
}

function signature(legend) {
  return JSON.stringify(legend.shades);
}

function key(legend, titles) {
  const box = document.createElement("div");
  box.className = "key";
  const head = document.createElement("h2");
  const unit = legend.unit ? `, ${legend.unit.replaceAll(" ", "\u00a0")}` : "";
  head.textContent = `${titles.join(" | ")}${unit}`;
  box.append(head, ...(legend.low === null ? [classes(legend)] : [bar(legend), ticks(legend), gap()]));
  return box;
}

function bar(legend) {
  const strip = document.createElement("div");
  strip.className = "bar";
  strip.setAttribute("role", "img");
  const [low, high] = [legend.low_is_open ? " or less" : "", legend.high_is_open ? " or more" : ""];
  strip.setAttribute("aria-label", `Colours from ${legend.low}${low} to ${legend.high}${high} ${legend.unit}`);
  strip.classList.toggle("open-low", legend.low_is_open);
  strip.classList.toggle("open-high", legend.high_is_open);
  for (const shade of legend.shades) {
    const part = document.createElement("span");
    part.style.background = shade.colour;
    part.title = `${shade.low} – ${shade.high}`;
    strip.append(part);
  }
  return strip;
}

function ticks(legend) {
  const row = document.createElement("div");
  row.className = "ticks";
  for (const share of [0, 0.5, 1]) {
    const tick = document.createElement("span");
    const value = legend.low + share * (legend.high - legend.low);
    const beyond = share === 0 && legend.low_is_open ? "≤ " : share === 1 && legend.high_is_open ? "≥ " : "";
    tick.textContent = beyond + written(value, 4);
    row.append(tick);
  }
  const unit = document.createElement("small"); // on a phone there is no room for a heading
  unit.textContent = ` ${legend.unit}`;
  row.lastChild.append(unit);
  return row;
}

// Where there is no value the land and the sea below are seen.
function gap() {
  const line = document.createElement("p");
  line.className = "gap";
  line.append(document.createElement("i"), "no value");
  return line;
}

// Classes of one colour, such as missing and masked, are one entry.
function classes(legend) {
  const list = document.createElement("ul");
  list.className = "classes";
  for (const colour of new Set(legend.shades.map((shade) => shade.colour))) {
    const item = document.createElement("li");
    const chip = document.createElement("i");
    chip.style.background = colour;
    item.append(chip, legend.shades.filter((shade) => shade.colour === colour).map((shade) => shade.meaning).join(", "));
    list.append(item);
  }
  return list;
}
