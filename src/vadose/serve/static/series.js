// The panel of series at a place: what the product, the input, the sky and the nearest station say.

const COLOURS = { fine: "#1b6ca8", corrected: "#a05195", coarse: "#7b868e", observed: "#b98a2f", truth: "#00805c", precipitation: "#9cc4e4", station: "#b3541e" };
const OTHER = "#6f4fa0";

export class Series {
  constructor(choose) {
    this.box = document.getElementById("series");
    this.chart = null;
    this.choose = choose;
    this.time = "";
    this.hasStations = false;
    document.getElementById("series-close").addEventListener("click", () => this.close());
    new ResizeObserver(() => this.fit()).observe(document.getElementById("chart"));
  }

  async open(lat, lon, layer, time) {
    this.time = time;
    this.asked = `${lat},${lon},${layer}`;
    const asked = this.asked;
    const answer = await fetch(`/api/series?lat=${lat.toFixed(5)}&lon=${lon.toFixed(5)}&layer=${layer}`);
    const found = await answer.json();
    if (asked !== this.asked) return;
    this.box.hidden = false;
    document.getElementById("series-title").textContent = place(lat, lon);
    const note = document.getElementById("series-note");
    if (!answer.ok) {
      note.textContent = typeof found.detail === "string" ? found.detail : "This place cannot be read.";
      this.lines = [];
    } else {
      this.lines = found.lines;
      const near = found.station;
      const depth = near?.depth ? `, ${near.depth}` : "";
      note.textContent = near ? `Station ${[near.network, near.name].filter(Boolean).join(" ")}, ${written(near.distance_km)} km away${depth}` : this.hasStations ? "No station within 25 km." : "";
      if (!found.lines.some((line) => line.value.some((value) => value !== null))) note.textContent = "There is no value here at any time.";
    }
    this.draw();
    this.list();
    this.box.dataset.place = `${lat.toFixed(4)},${lon.toFixed(4)}`;
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
    this.chart = null;
    const frame = document.getElementById("chart");
    frame.replaceChildren();
    const lines = this.lines.filter((line) => line.value.some((value) => value !== null));
    lines.sort((one, other) => rank(one) - rank(other)); // what comes last lies above
    const stamps = [...new Set(lines.flatMap((line) => line.time))].sort();
    if (stamps.length < 2) return;
    const place = new Map(stamps.map((stamp, index) => [stamp, index]));
    const rows = lines.map((line) => {
      const row = new Array(stamps.length).fill(undefined); // a line goes on over times of others, not over its own gaps
      line.time.forEach((stamp, index) => { row[place.get(stamp)] = line.value[index]; });
      return row;
    });
    const hasRain = lines.some((line) => line.kind === "bars");
    const options = {
      width: frame.clientWidth || 440,
      height: 190,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
      scales: { rain: { range: (_, low, high) => [0, Math.max(high * 2.2, 1)] } },
      axes: [{ ...axis(), values: days, size: 28, space: 72, ...(stamps.some((stamp) => stamp.includes("T")) ? {} : { incrs: STEPS }) }, { ...axis(), ...named(lines.find((line) => line.kind !== "bars")) }, ...(hasRain ? [{ ...axis(), ...named(lines.find((line) => line.kind === "bars")), scale: "rain", side: 1, grid: { show: false } }] : [])],
      series: [{}, ...lines.map(style)],
      cursor: { drag: { x: true, y: false } },
      hooks: { draw: [(chart) => this.mark(chart)] },
    };
    this.chart = new uPlot(options, [stamps.map(seconds), ...rows], frame);
    this.stamps = stamps;
    this.chart.over.addEventListener("click", () => {
      const index = this.chart.cursor.idx;
      if (index !== null && index !== undefined) this.choose(stamps[index]);
    });
    frame.setAttribute("role", "img");
    frame.setAttribute("aria-label", `Chart of ${lines.map((line) => line.title).join(", ")} from ${stamps[0]} to ${stamps.at(-1)}; the list below has the values at the time shown.`);
  }

  mark(chart) {
    const x = chart.valToPos(seconds(this.time), "x", true);
    if (!Number.isFinite(x)) return;
    const pen = chart.ctx;
    pen.save();
    pen.strokeStyle = "#22303a";
    pen.lineWidth = devicePixelRatio;
    pen.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    pen.beginPath();
    pen.moveTo(x, chart.bbox.top);
    pen.lineTo(x, chart.bbox.top + chart.bbox.height);
    pen.stroke();
    pen.restore();
  }

  list() {
    const items = this.lines.map((line) => {
      const item = document.createElement("li");
      const chip = document.createElement("i");
      chip.className = line.kind;
      chip.style.background = COLOURS[line.name] ?? OTHER;
      const value = line.value[line.time.indexOf(this.time)];
      const number = document.createElement("b");
      number.textContent = value === null || value === undefined ? "–" : `${written(value)} ${pretty(line.unit)}`;
      item.append(chip, line.title, number);
      return item;
    });
    document.getElementById("series-values").replaceChildren(...items);
  }

  fit() {
    const width = document.getElementById("chart").clientWidth;
    if (this.chart && width > 0 && width !== this.chart.width) this.chart.setSize({ width, height: 190 });
  }
}

export function place(lat, lon) {
  lon = ((((lon + 180) % 360) + 360) % 360) - 180;
  const north = `${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(lon).toFixed(3)}° ${lon < 0 ? "W" : "E"}`;
}

export function written(value, digits = 3) {
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

export function pretty(unit) {
  return { "m3 m-3": "m³ m⁻³", "mm day-1": "mm day⁻¹", "kg m-2": "kg m⁻²", day: "days", 1: "" }[unit] ?? unit;
}

function seconds(label) {
  return Date.parse(label.includes("T") ? `${label}Z` : label) / 1000;
}

const DAY = 86400, LONG = 27 * DAY;

// Steps of the time axis where nothing is shorter than a day: days, months, years.
const STEPS = [...[1, 2, 3, 4, 5, 7, 10, 15], ...[1, 2, 3, 4, 6].map((months) => 30 * months), ...[1, 2, 5, 10, 20].map((years) => 365 * years)].map((count) => count * DAY);

// Labels of the time axis: days and their month, or months and their year where they are far apart.
function days(_, stamps, __, ___, step) {
  const near = { day: "numeric", month: "short", timeZone: "UTC" };
  const far = { month: "short", year: "numeric", timeZone: "UTC" };
  const hours = { hour: "2-digit", minute: "2-digit", timeZone: "UTC" };
  const words = new Intl.DateTimeFormat("en-GB", step >= LONG ? far : step >= DAY ? near : { ...near, ...hours });
  return stamps.map((stamp) => words.format(new Date(stamp * 1e3)));
}

function axis() {
  return { stroke: "#56646e", font: "11px system-ui, sans-serif", grid: { stroke: "#e7eaec", width: 1 }, ticks: { stroke: "#b6bec4", size: 4, width: 1 } };
}

// Values between two gaps, which no line would show.
function alone(chart, place) {
  const own = [...chart.data[place].keys()].filter((index) => chart.data[place][index] !== undefined);
  const has = (at) => at >= 0 && at < own.length && chart.data[place][own[at]] !== null;
  return own.filter((_, at) => has(at) && !has(at - 1) && !has(at + 1));
}

function rank(line) {
  return { bars: 0, dots: 4 }[line.kind] ?? { truth: 1, fine: 3 }[line.name] ?? 2;
}

// An axis says what it shows and in which unit.
function named(line) {
  const what = line?.kind === "bars" ? "Precipitation" : "Soil moisture";
  const unit = line ? pretty(line.unit) : "";
  return { size: 44, label: unit ? `${what}, ${unit}` : what, labelSize: 18, labelGap: 2, labelFont: "11px system-ui, sans-serif" };
}

function style(line) {
  const colour = COLOURS[line.name] ?? OTHER;
  if (line.kind === "bars") return { scale: "rain", stroke: colour, fill: colour, width: 0, paths: uPlot.paths.bars({ size: [0.8, 14] }), points: { show: false } };
  if (line.kind === "dots") return { stroke: colour, fill: colour, paths: () => null, points: { show: true, size: 4, width: 0, fill: colour } };
  return { stroke: colour, width: { fine: 2, truth: 3.5 }[line.name] ?? 1.5, dash: line.name === "coarse" ? [5, 3] : undefined, points: { show: false, size: 4, width: 0, fill: colour, filter: alone } };
}
