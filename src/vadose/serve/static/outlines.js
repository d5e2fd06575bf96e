// Land below the tiles, coasts and borders above them; finer ones when the map is near.

import { ask } from "./ask.js";

const NEAR = 4;
const LAND = "#f7f6f3", COAST = "#3d4a54", BORDER = "#7d858c";

export class Outlines {
  // `turns`: degrees by which all is drawn again to the east, for grids across the antimeridian.
  constructor(map, turns = [0]) {
    this.map = map;
    this.turns = turns;
    this.drawn = "";
    map.createPane("land").style.zIndex = 150;
    const above = map.createPane("lines");
    above.style.zIndex = 350;
    above.style.pointerEvents = "none";
    this.below = L.canvas({ pane: "land", padding: 0.3 });
    this.above = L.canvas({ pane: "lines", padding: 0.3 });
    this.group = L.layerGroup().addTo(map);
    map.on("zoomend", () => this.draw());
  }

  async draw() {
    const scale = this.map.getZoom() >= NEAR ? "50m" : "110m";
    if (scale === this.drawn) return;
    this.drawn = scale;
    const [coast, borders] = await Promise.all([read(`coast_${scale}`), read("borders_50m")]);
    if (scale !== this.drawn) return;
    const quiet = { interactive: false, smoothFactor: 1.2 };
    const land = { ...quiet, renderer: this.below, stroke: false, fill: true, fillColor: LAND, fillOpacity: 1, fillRule: "evenodd" };
    this.group.clearLayers();
    for (const turn of this.turns) {
      const turned = (lines) => (turn ? lines.map((line) => line.map(([lat, lon]) => [lat, lon + turn])) : lines);
      this.group.addLayer(L.polygon(turned(coast.flatMap(rings)), land));
      this.group.addLayer(L.polyline(turned(parts(coast)), { ...quiet, renderer: this.above, color: COAST, weight: 0.9, opacity: 0.85 }));
      this.group.addLayer(L.polyline(turned(borders), { ...quiet, renderer: this.above, color: BORDER, weight: 0.7, opacity: 0.8 }));
    }
  }
}

const known = new Map();

async function read(name) {
  if (!known.has(name)) {
    const answer = await ask(`/api/outlines/${name}`);
    const shape = answer?.ok ? answer.found.features[0].geometry.coordinates : [];
    known.set(name, shape.map((line) => line.map(([lon, lat]) => [lat, lon])));
  }
  return known.get(name);
}

// A ring that crosses the antimeridian becomes one beyond it, and its copy on the other side; Antarctica is
// closed around the pole.
function rings(ring) {
  let turn = 0;
  const whole = ring.map(([lat, lon], place) => {
    const move = place ? lon - ring[place - 1][1] : 0;
    if (Math.abs(move) > 180) turn -= 360 * Math.sign(move);
    return [lat, lon + turn];
  });
  if (turn) whole.push([-90, whole.at(-1)[1]], [-90, whole[0][1]]);
  const places = whole.map(([, lon]) => lon);
  const copies = [0];
  if (Math.max(...places) > 180) copies.push(-360);
  if (Math.min(...places) < -180) copies.push(360);
  return copies.map((by) => whole.map(([lat, lon]) => [lat, lon + by]));
}

// The cuts of the data along the antimeridian and below Antarctica are no coasts.
function parts(rings) {
  const found = [];
  for (const ring of rings) {
    let part = [ring[0]];
    for (let place = 1; place < ring.length; place += 1) {
      const [before, here] = [ring[place - 1], ring[place]];
      const isCut = Math.abs(before[1]) > 179.98 && Math.abs(here[1]) > 179.98;
      if (isCut || before[0] < -89.9 || here[0] < -89.9 || Math.abs(before[1] - here[1]) > 180) {
        found.push(part);
        part = [];
      }
      part.push(here);
    }
    found.push(part);
  }
  return found.filter((part) => part.length > 1);
}
