// Stations: dots on the map and a list; those that judge the product are told from those that judge nothing.

import { ask } from "./ask.js";

const DOT = { radius: 4.5, color: "#22303a", weight: 1.2, fillColor: "#f0e442", fillOpacity: 1, bubblingMouseEvents: false };
const IDLE = { ...DOT, radius: 4, color: "#56646e", fillColor: "#fff" };
const get = (name) => document.getElementById(name);

export class Stations {
  // `open` is called with the latitude and longitude of a station that was chosen.
  constructor(map, info, open, isStill) {
    this.map = map;
    this.info = info;
    this.open = open;
    this.isStill = isStill;
  }

  // Draw and list them; gives how many there are.
  async load() {
    const answer = await ask("/api/stations");
    const found = answer?.ok ? answer.found.features : [];
    const used = found.filter((one) => one.properties.judges !== false);
    const idle = found.filter((one) => one.properties.judges === false);
    for (const one of [...idle, ...used]) this.draw(one); // those that judge lie above
    get("station-field").hidden = found.length === 0;
    const options = (all) => all.map((one) => new Option(nameOf(one), found.indexOf(one)));
    const parts = idle.length ? [group("judge the product", options(used)), group("judge nothing", options(idle))] : options(used);
    get("station").replaceChildren(new Option(`one of ${found.length}`, ""), ...parts);
    get("station-key").hidden = idle.length === 0;
    get("station-key").replaceChildren(key("dot", `${used.length} judge the product`), key("dot idle", `${idle.length} judge nothing`));
    get("station").addEventListener("change", (event) => {
      if (event.target.value === "") return;
      const [lon, lat] = this.placed(found[Number(event.target.value)]);
      this.map.setView([lat, lon], this.map.getZoom(), { animate: !this.isStill });
      this.open(lat, lon);
    });
    return found.length;
  }

  draw(one) {
    const [lon, lat] = this.placed(one);
    const { depth, verdict, judges } = one.properties;
    const words = [[nameOf(one), depth].filter(Boolean).join(", "), verdict ? `judges nothing: ${verdict}` : ""];
    const dot = L.circleMarker([lat, lon], judges === false ? IDLE : DOT);
    dot.bindTooltip(words.filter(Boolean).join("; "), { direction: "top", offset: [0, -4] });
    dot.on("click", () => this.open(lat, lon));
    dot.addTo(this.map);
  }

  // A station stands where the map of its grid does, which may be beyond the antimeridian.
  placed(station) {
    const [lon, lat] = station.geometry.coordinates;
    const [west, , east] = this.info.bounds;
    return [lon < west && lon + 360 <= east + 1 ? lon + 360 : lon, lat];
  }
}

function nameOf(one) {
  return [one.properties.network, one.properties.name].filter(Boolean).join(" ");
}

function group(label, options) {
  const part = document.createElement("optgroup");
  part.label = label;
  part.append(...options);
  return part;
}

function key(kind, words) {
  const item = document.createElement("li");
  const dot = document.createElement("i");
  dot.className = kind;
  item.append(dot, words);
  return item;
}
