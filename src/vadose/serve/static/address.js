// The view as the part of the address behind "#", so that a link shows what its sender saw.

const NUMBERS = ["lat", "lon", "zoom", "opacity", "split"];

export function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  const view = {};
  for (const name of NUMBERS) {
    const value = given.has(name) ? Number(given.get(name)) : NaN;
    if (Number.isFinite(value)) view[name] = value;
  }
  for (const name of ["layer", "with", "time"]) if (given.get(name)) view[name] = given.get(name);
  const point = (given.get("point") ?? "").split(",").map(Number);
  if (point.length === 2 && point.every(Number.isFinite)) view.point = point;
  return view;
}

export function write(view) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) {
    if (value === undefined || value === null || value === "") continue;
    words.set(name, Array.isArray(value) ? value.map((one) => one.toFixed(4)).join(",") : value);
  }
  history.replaceState(null, "", `#${words.toString().replaceAll("%2C", ",").replaceAll("%3A", ":")}`);
}
