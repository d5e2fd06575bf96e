// The panel of series at a place: what the product, the input, the sky and the nearest station say.

import { ask } from "./ask.js";
import { COLOURS, DASHES, OTHER, drawn } from "./chart.js";
import { place, pretty, written } from "./words.js";

export class Series {
  constructor(choose) {
    this.box = document.getElementById("series");
    this.chart = null;
    this.choose = choose;
    this.time = "";
    this.lines = this.bands = [];
    this.hasStations = false;
    document.getElementById("series-close").addEventListener("click", () => this.close());
    new ResizeObserver(() => this.fit()).observe(document.getElementById("chart"));
  }

  async open(lat, lon, layer, time) {
    this.time = time;
    this.asked = `${lat},${lon},${layer}`;
    const asked = this.asked;
    const answer = await ask(`/api/series?lat=${lat.toFixed(5)}&lon=${lon.toFixed(5)}&layer=${layer}`);
    if (asked !== this.asked) return;
    this.box.hidden = false;
    document.getElementById("series-title").textContent = place(lat, lon);
    this.lines = answer?.ok ? answer.found.lines : [];
    this.bands = answer?.ok ? answer.found.bands : [];
    document.getElementById("series-note").textContent = this.note(answer);
    this.draw();
    this.list();
    this.box.dataset.place = `${lat.toFixed(4)},${lon.toFixed(4)}`;
  }

  note(answer) {
    if (!answer) return "The server does not answer.";
    if (!answer.ok) return typeof answer.found.detail === "string" ? answer.found.detail : "This place cannot be read.";
    if (!this.lines.some((line) => line.value.some((value) => value !== null))) return "There is no value here at any time.";
    const near = answer.found.station;
    if (!near) return this.hasStations ? "No station within 25 km." : "";
    const depth = near.depth ? `, ${near.depth}` : "";
    const verdict = near.verdict ? `; judges nothing: ${near.verdict}` : "";
    return `Station ${[near.network, near.name].filter(Boolean).join(" ")}, ${written(near.distance_km)} km away${depth}${verdict}`;
  }

  close() {
    this.asked = "";
    this.box.hidden = true;
    delete this.box.dataset.place;
    this.box.dispatchEvent(new CustomEvent("closed"));
  }

  at(time) {
    this.time = time;
    if (this.box.hidden) return;
    this.list();
    this.chart?.redraw(false);
  }

  draw() {
    this.chart?.destroy();
    const frame = document.getElementById("chart");
    frame.replaceChildren();
    this.chart = drawn(frame, this.lines, this.bands, () => this.time, this.choose);
  }

  list() {
    const items = this.lines.flatMap((line) => {
      const at = line.time.indexOf(this.time);
      const value = line.value[at];
      const origin = line.origin?.[at];
      const colour = COLOURS[line.name] ?? OTHER;
      const number = value === null || value === undefined ? "–" : `${written(value)} ${pretty(line.unit)}`;
      const rows = [row(line.kind, colour, line.title, number, value === null ? "" : origin)];
      const band = this.bands.find((one) => one.name === line.name);
      if (band) rows.push(row("band", colour, band.title, ends(band, this.time)));
      const words = Object.keys(DASHES).filter((word) => this.chart && line.origin?.includes(word));
      for (const word of words) rows.push(row(word, colour, `on days when it is ${word}`, ""));
      return rows;
    });
    document.getElementById("series-values").replaceChildren(...items);
  }

  fit() {
    const width = document.getElementById("chart").clientWidth;
    if (this.chart && width > 0 && width !== this.chart.width) this.chart.setSize({ width, height: 190 });
  }
}

function row(kind, colour, title, number, soft = "") {
  const item = document.createElement("li");
  const chip = document.createElement("i");
  chip.className = kind;
  chip.style.setProperty("--colour", colour);
  const aside = document.createElement("span");
  aside.textContent = soft;
  const strong = document.createElement("b");
  strong.textContent = number;
  item.append(chip, title, aside, strong);
  return item;
}

function ends(band, time) {
  const at = band.time.indexOf(time);
  const [low, high] = [band.low[at], band.high[at]];
  return (low ?? null) === null || (high ?? null) === null ? "–" : `${written(low)} to ${written(high)} ${pretty(band.unit)}`;
}
