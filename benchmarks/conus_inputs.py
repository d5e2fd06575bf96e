"""Inputs of the CONUS benchmark: what the weather of the past days says of the water in the soil.

Everything is made of forcings, of static attributes, and of each pixel's mean, spread and quantiles of the
target on the days that are learned from. No other value of the target is ever an input.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

Array = npt.NDArray[np.floating]
TARGET = "smap_am"
FORCINGS = (
    "precipitation",
    "longwave_down",
    "shortwave_down",
    "air_temperature_2m",
    "specific_humidity_2m",
    "eastward_wind_10m",
    "northward_wind_10m",
)
#: Days in front of the record that repeat the weather half a year later in it: the memory has to begin
#: somewhere, and the forcings begin with the target.
WARM_UP, REPEATED = 183, slice(183, 366)
#: Days that antecedent indices take to fall to 1/e, and depths of buckets in mm.
MEMORIES, BUCKETS = (1.5, 4, 10, 30, 90), (8, 25, 80, 250)
WINDOWS = (3, 7, 15, 30, 60)
#: Share of the spread of all pixels in the spread a pixel is scaled by.
SHRINKAGE = 0.2


@dataclass(frozen=True, eq=False)
class Record:
    """Hold what the file gives.

    Attributes
    ----------
    forcings
        By name, dims ``(pixel, time)``, with `WARM_UP` days in front.
    static
        Dims ``(pixel, attribute)``.
    target
        Soil moisture in m³ m⁻³, dims ``(pixel, time)``, NaN where it is not given.
    given
        Days from the first to the last with a target.
    pixel, time
        Coordinates of the file.
    """

    forcings: dict[str, Array]
    static: Array
    target: Array
    given: int
    pixel: xr.DataArray
    time: xr.DataArray


def read(path: Path) -> Record:
    """Read the file; land-cover classes of 15 pixels or more become shares of 0 or 1."""
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        data = opened.load()
    forcings = {}
    for name in FORCINGS:
        values = data[name].transpose("pixel", "time").values.astype("f4")
        forcings[name] = np.concatenate([values[:, REPEATED], values], axis=1)
    columns = [data["lat"].values, data["lon"].values]
    for name in sorted(map(str, data.data_vars)):
        if not name.startswith("static_"):
            continue
        values = data[name].values.astype("f4")
        if name.endswith("landcover"):
            codes, counts = np.unique(values, return_counts=True)
            columns += [values == code for code in codes[counts >= 15]]
        else:
            columns.append(np.where(np.isfinite(values), values, np.nanmedian(values)))
    target = data[TARGET].transpose("pixel", "time").values.astype("f4")
    given = int(np.flatnonzero(np.isfinite(target).any(axis=0))[-1]) + 1
    return Record(
        forcings, np.stack(columns, -1).astype("f4"), target, given, data["pixel"], data["time"]
    )


@dataclass(frozen=True, eq=False)
class Inputs:
    """Hold what models see.

    Attributes
    ----------
    series
        For memories: dims ``(pixel, WARM_UP + time, feature)``.
    rows
        For models without one: means over past windows, dims ``(pixel, time, feature)``.
    mean, spread
        Of each pixel's target on the days that are learned from, dims ``(pixel, 1)``.
    target
        ``(target - mean) / spread``, dims ``(pixel, time)``; NaN on other days.
    """

    series: Array
    rows: Array
    mean: Array
    spread: Array
    target: Array


def prepare(record: Record, is_learned: npt.NDArray[np.bool_]) -> Inputs:
    """Make the inputs for learning from some days of the record alone."""
    known = np.where(is_learned, record.target, np.nan)
    mean = np.nanmean(known, axis=1, keepdims=True)
    spread = np.nanstd(known, axis=1, keepdims=True)
    usual = np.median(spread)
    spread = np.sqrt((1 - SHRINKAGE) * spread**2 + SHRINKAGE * usual**2)
    water = balance(record.forcings)
    static = _of_pixels(record, water, known)
    series, rows = _series(record.forcings, water), _rows(water)
    return Inputs(
        series=_with(series, static),
        rows=_with(rows, static),
        mean=mean,
        spread=spread,
        target=(known - mean) / spread,
    )


def _with(values: Array, static: Array) -> Array:
    repeated = np.repeat(static[:, None], values.shape[1], axis=1)
    return np.concatenate([values, repeated], axis=-1).astype("f4")


def balance(forcings: dict[str, Array]) -> dict[str, Array]:
    """Derive physical quantities, dims ``(pixel, time)``: mm per day, °C, kPa, W m⁻².

    References
    ----------
    Priestley and Taylor (1972), Mon. Weather Rev. 100:81; saturation vapour pressure as in Allen et al.
    (1998), FAO Irrigation and Drainage Paper 56. Snow falls below about 0 °C and melts 3 mm per degree
    and day.
    """
    rain = forcings["precipitation"] * 24  # kg m-2 per hour
    warmth = forcings["air_temperature_2m"] - 273.15
    humidity = forcings["specific_humidity_2m"]
    saturated = 0.6108 * np.exp(17.27 * warmth / (warmth + 237.3))
    vapour = humidity * 98 / (0.622 + 0.378 * humidity)
    emitted = 5.67e-8 * (warmth + 273.15) ** 4
    net = 0.77 * forcings["shortwave_down"] + 0.95 * (forcings["longwave_down"] - emitted)
    slope = 4098 * saturated / (warmth + 237.3) ** 2
    demand = np.maximum(1.26 * slope / (slope + 0.066) * net * 0.0353, 0)
    snow, liquid, ground = np.zeros_like(rain), np.zeros_like(rain), np.zeros_like(rain)
    depth = slow = np.zeros(len(rain), dtype="f4")
    for day in range(rain.shape[1]):
        frozen = np.clip((1.5 - warmth[:, day]) / 3, 0, 1)
        depth = depth + rain[:, day] * frozen
        melt = np.minimum(depth, np.maximum(warmth[:, day], 0) * 3)
        depth = depth - melt
        slow = 0.9 * slow + 0.1 * warmth[:, day]
        snow[:, day], ground[:, day] = depth, slow
        liquid[:, day] = rain[:, day] * (1 - frozen) + melt
    wind = np.hypot(forcings["eastward_wind_10m"], forcings["northward_wind_10m"])
    return {
        "rain": rain,
        "warmth": warmth,
        "relative_humidity": np.clip(vapour / saturated, 0, 1.2),
        "deficit": np.maximum(saturated - vapour, 0),
        "demand": demand,
        "shortwave": forcings["shortwave_down"],
        "longwave": forcings["longwave_down"],
        "humidity": humidity,
        "wind": wind,
        "net": net,
        "snow": snow,
        "liquid": liquid,
        "ground": ground,
    }


def index(values: Array, memory: float) -> Array:
    """Sum a series, each day weighing ``exp(-1 / memory)`` of the next; begins at its usual level."""
    decay = np.exp(-1 / memory)
    result, level = np.zeros_like(values), values.mean(axis=1) / (1 - decay)
    for day in range(values.shape[1]):
        level = level * decay + values[:, day]
        result[:, day] = level
    return result


def filling(water: dict[str, Array], depth: float) -> Array:
    """Fill a bucket of some depth with rain and melt, and dry it by the demand; 0 empty to 1 full."""
    result, level = np.zeros_like(water["rain"]), np.full(len(water["rain"]), depth / 2, "f4")
    for day in range(result.shape[1]):
        level = np.minimum(level + water["liquid"][:, day], depth)
        level = (level - np.minimum(level, water["demand"][:, day] * level / depth)) * 0.98
        result[:, day] = level
    return result / depth


def _series(forcings: dict[str, Array], water: dict[str, Array]) -> Array:
    fields = [np.sqrt(forcings["precipitation"]), *(forcings[name] for name in FORCINGS[1:])]
    fields += [water[name] for name in ("deficit", "relative_humidity", "net", "demand", "wind")]
    fields += [np.log1p(water["snow"]), np.sqrt(water["liquid"]), water["ground"]]
    fields += [np.log(0.3 + index(water["liquid"], memory)) for memory in MEMORIES]
    fields += [filling(water, depth) for depth in BUCKETS]
    table = np.stack(fields, axis=-1)
    scaled = (table - table.mean((0, 1))) / table.std((0, 1))
    return np.clip(scaled, -6, 6)  # a cloudburst is one, however heavy


def _rows(water: dict[str, Array]) -> Array:
    fields = []
    for name in list(water)[:9]:
        values = water[name]
        total = np.cumsum(values, axis=1)
        fields += [values, np.roll(values, 1, axis=1)]
        for days in WINDOWS:
            before = np.concatenate([np.zeros((len(values), days)), total[:, :-days]], axis=1)
            fields.append((total - before) / days)
    fields += [index(water["liquid"], memory) for memory in (1, 2, 4, 8, 15, 30, 60, 120)]
    fields += [filling(water, depth) for depth in BUCKETS]
    fields += [water["snow"], water["ground"]]
    return np.stack([field.astype("f4") for field in fields], axis=-1)[:, WARM_UP:]


def _of_pixels(record: Record, water: dict[str, Array], known: Array) -> Array:
    """Give what stays: attributes, climate, and how the target is distributed where it is learned from."""
    rain, demand = water["rain"].mean(axis=1), water["demand"].mean(axis=1)
    climate = [
        np.sqrt(rain),
        water["warmth"].mean(axis=1),
        water["warmth"].std(axis=1),
        np.log(demand),
        water["deficit"].mean(axis=1),
        np.sqrt(water["snow"].mean(axis=1)),
        (water["rain"] > 1).mean(axis=1),
        rain / demand,
    ]
    target = [np.nanmean(known, axis=1), np.nanstd(known, axis=1)]
    target += list(np.nanquantile(known, [0.05, 0.5, 0.95], axis=1))
    table = np.concatenate([record.static, np.stack([*climate, *target], axis=-1)], axis=-1)
    return np.clip((table - table.mean(axis=0)) / (table.std(axis=0) + 1e-6), -4, 4)
