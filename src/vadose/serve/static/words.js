// Numbers, units and places as they are written on the page.

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
