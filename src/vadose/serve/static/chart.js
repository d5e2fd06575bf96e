// The chart of series: gaps are gaps, days that rest on less are dashed, bands say how sure a product is.

import { pretty, written } from "./words.js";

export const COLOURS = { fine: "#1b6ca8", corrected: "#a05195", coarse: "#7b868e", observed: "#b98a2f", truth: "#00805c", precipitation: "#9cc4e4", station: "#b3541e" };
export const OTHER = "#6f4fa0";
const PALE = { fine: "#85b0d3", corrected: "#d3a9ca" };

// Origins of values that rest on less, and how these are drawn: from the one that rests on least.
export const DASHES = { filled: [2, 3], extrapolated: [7, 3] };

const DAY = 86400, LONG = 27 * DAY;

// Steps of the time axis where nothing is shorter than a day: days, months, years.
const STEPS = [...[1, 2, 3, 4, 5, 7, 10, 15], ...[1, 2, 3, 4, 6].map((months) => 30 * months), ...[1, 2, 5, 10, 20].map((years) => 365 * years)].map((count) => count * DAY);

// Give a chart in a frame, or null where there is nothing to draw; `time` gives the label of the time shown.
export function drawn(frame, given, bands, time, choose) {
  const main = given.find((line) => line.kind === "line")?.unit;
  const lines = given.filter((line) => (line.kind === "bars" || line.unit === main) && line.value.some((value) => value !== null)); // of another unit: in the list alone
  lines.sort((one, other) => rank(one) - rank(other)); // what comes last lies above
  const parts = lines.flatMap(partsOf);
  const edges = bands.flatMap((band) => [band.low, band.high].map((value) => ({ ...broken(band.time, value), style: edge(band) })));
  const all = [...parts, ...edges];
  if (new Set(lines.flatMap((line) => line.time)).size < 2) return null;
  const stamps = [...new Set(all.flatMap((part) => part.time))].sort();
  const index = new Map(stamps.map((stamp, at) => [stamp, at]));
  const rows = all.map((part) => {
    const row = new Array(stamps.length).fill(undefined); // a line goes on over times of others, not over its own gaps
    part.time.forEach((stamp, at) => { row[index.get(stamp)] = part.value[at]; });
    return row;
  });
  const rain = lines.find((line) => line.kind === "bars");
  const options = {
    width: frame.clientWidth || 440,
    height: 190,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    scales: { rain: { range: (_, low, high) => [0, Math.max(high * 2.2, 1)] } },
    axes: [{ ...axis(), values: days, size: 28, space: 72, ...(stamps.some((stamp) => stamp.includes("T")) ? {} : { incrs: STEPS }) }, { ...axis(), ...named(lines.find((line) => line.kind !== "bars")) }, ...(rain ? [{ ...axis(), ...named(rain), scale: "rain", side: 1, grid: { show: false } }] : [])],
    series: [{}, ...all.map((part) => part.style)],
    cursor: { drag: { x: true, y: false } },
    hooks: {
      drawAxes: [(chart) => bands.forEach((band, at) => shade(chart, band, parts.length + 1 + 2 * at))],
      draw: [(chart) => mark(chart, time())],
    },
  };
  const chart = new uPlot(options, [stamps.map(seconds), ...rows], frame);
  chart.over.addEventListener("click", () => {
    const at = chart.cursor.idx;
    if (at !== null && at !== undefined) choose(stamps[at]);
  });
  frame.setAttribute("role", "img");
  frame.setAttribute("aria-label", `Chart of ${lines.map((line) => line.title).join(", ")} from ${stamps[0]} to ${stamps.at(-1)}; the list below has the values at the time shown.`);
  return chart;
}

// A product is drawn pale and dotted as a whole, over it with dashes where it was not filled, and over that in
// full where it was not extrapolated either.
function partsOf(line) {
  if (line.kind !== "line") return [{ time: line.time, value: line.value, style: style(line) }];
  const parts = [], left = new Set(line.origin);
  for (const [word, dash] of Object.entries(DASHES)) {
    if (!left.has(word)) continue;
    const colour = word === "filled" ? (PALE[line.name] ?? COLOURS[line.name]) : COLOURS[line.name];
    parts.push({ ...broken(line.time, kept(line, left)), style: { ...style(line, colour), dash } });
    left.delete(word);
  }
  if (left.size || !line.origin) parts.push({ ...broken(line.time, kept(line, left)), style: style(line) });
  return parts;
}

// Values of some origins, null for the others.
function kept(line, origins) {
  return line.origin ? line.value.map((value, at) => (origins.has(line.origin[at]) ? value : null)) : line.value;
}

// Times that a record leaves out are gaps as much as times without a value.
function broken(time, value) {
  const at = time.map(seconds);
  const steps = at.slice(1).map((stamp, before) => stamp - at[before]);
  const usual = [...steps].sort((one, other) => one - other)[Math.floor(steps.length / 2)];
  const parts = { time: [], value: [] };
  time.forEach((label, index) => {
    if (index && steps[index - 1] > 1.5 * usual) {
      const missing = new Date((at[index - 1] + usual) * 1e3).toISOString();
      parts.time.push(label.includes("T") ? missing.slice(0, 16) : missing.slice(0, 10));
      parts.value.push(null);
    }
    parts.time.push(label);
    parts.value.push(value[index]);
  });
  return parts;
}

// Fill between the ends of a band, run by run; a lone day is a bar.
function shade(chart, band, place) {
  const pen = chart.ctx;
  const [low, high] = [chart.data[place], chart.data[place + 1]];
  const own = [...low.keys()].filter((index) => low[index] !== undefined);
  const has = (index) => low[index] !== null && high[index] !== null;
  const x = (index) => chart.valToPos(chart.data[0][index], "x", true);
  const y = (value) => chart.valToPos(value, "y", true);
  pen.save();
  pen.beginPath();
  pen.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height);
  pen.clip();
  pen.globalAlpha = 0.17;
  pen.fillStyle = COLOURS[band.name] ?? OTHER;
  for (let run = [], at = 0; at <= own.length; at += 1) {
    if (at < own.length && has(own[at])) {
      run.push(own[at]);
      continue;
    }
    if (run.length === 1) pen.fillRect(x(run[0]) - 2 * devicePixelRatio, y(high[run[0]]), 4 * devicePixelRatio, y(low[run[0]]) - y(high[run[0]]));
    else if (run.length) {
      pen.beginPath();
      run.forEach((index) => pen.lineTo(x(index), y(high[index])));
      [...run].reverse().forEach((index) => pen.lineTo(x(index), y(low[index])));
      pen.fill();
    }
    run = [];
  }
  pen.restore();
}

function mark(chart, time) {
  const x = chart.valToPos(seconds(time), "x", true);
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

function seconds(label) {
  return Date.parse(label.includes("T") ? `${label}Z` : label) / 1000;
}

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
  return { size: 44, label: unit ? `${what}, ${unit}` : what, labelSize: 18, labelGap: 2, labelFont: "11px system-ui, sans-serif", values: (_, values) => values.map((value) => written(value)) };
}

function style(line, colour = COLOURS[line.name] ?? OTHER) {
  if (line.kind === "bars") return { scale: "rain", stroke: colour, fill: colour, width: 0, paths: uPlot.paths.bars({ size: [0.8, 14] }), points: { show: false } };
  if (line.kind === "dots") return { stroke: colour, fill: colour, paths: () => null, points: { show: true, size: 4, width: 0, fill: colour } };
  return { stroke: colour, width: { fine: 2, truth: 3.5 }[line.name] ?? 1.5, points: { show: false, size: 4, width: 0, fill: colour, filter: alone } };
}

// Ends of a band make the axis long enough; what lies between is shaded.
function edge(band) {
  return { stroke: COLOURS[band.name] ?? OTHER, paths: () => null, points: { show: false } };
}
