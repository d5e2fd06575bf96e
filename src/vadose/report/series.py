"""Series at stations: what was measured, the product, the coarse value and rain, paired as the scores are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from vadose.errors import VadoseError
from vadose.grids import grid_of
from vadose.report.judged import Judged
from vadose.report.runs import Run
from vadose.report.stations import used_stations
from vadose.store import open_cube
from vadose.validate.pairs import match
from vadose.validate.times import Days

#: Stations that are drawn, from the best to the worst.
DRAWN = 6
#: Stations whose series are read at most, for the Taylor diagram; evenly chosen by their scores.
READ = 300
#: Time steps beyond which no series are read: a figure cannot show them.
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Series:
    """Hold the series of some stations.

    Attributes
    ----------
    pairs
        ``value (product, station, time)`` and ``reading (station, time)``, m³ m⁻³, NaN in gaps.
    rain
        mm day⁻¹ by ``station, time``; None where rain is not among the predictors.
    drawn
        Names of the stations to draw.
    """

    pairs: xr.Dataset
    rain: xr.DataArray | None
    drawn: tuple[str, ...]


def read_series(run: Run, judged: Judged, *, days: int = 1) -> Series | None:
    """Read the series of the stations that were scored; None where the run does not hold them.

    The readings are those of the run's own stations. Where others judged it, they are not in the folder.

    Parameters
    ----------
    days
        Days that a stamp of the product stands for.
    """
    path = run.path / "stations.nc"
    scored = used_stations(judged, judged.summary.publish)
    if scored is None or not path.exists():
        return None
    target = run.manifest.target
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        known = {str(name) for name in np.atleast_1d(opened["station"].values)}
        scored = scored[[name in known for name in scored["station"]]]
        if scored.empty or _are_elsewhere(opened, scored):
            return None
        order = scored.sort_values("ubrmse")["station"].tolist()
        chosen = _evenly(order, READ)
        stations = opened.sel(station=chosen).load()
    fields = {}
    for name in _products(run, judged):
        field = open_cube(run.path / f"predictions/{name}.zarr")[target]
        if "member" in field.dims or field.sizes.get("time", 0) > MOST_STEPS:
            return None
        fields[name] = field
    if not fields:
        return None
    try:
        pairs = match(fields, stations, time=Days(days)).load()
    except VadoseError:  # the scores say why; without pairs there is no series to draw
        return None
    return Series(pairs, _rain(run, stations, pairs), tuple(_evenly(order, DRAWN)))


def _products(run: Run, judged: Judged) -> list[str]:
    """Name the methods of the run that were judged and whose fields it holds: the published one, then nearest."""
    told = judged.summary.views["values"]
    first = [judged.summary.publish, "nearest"]
    names = [*first, *(name for name in told if name not in first)]
    return [
        name for name in names if name in told and (run.path / f"predictions/{name}.zarr").is_dir()
    ]


def _are_elsewhere(stations: xr.Dataset, scored: pd.DataFrame) -> bool:
    """Tell whether stations of the same names were judged that lie elsewhere, thus are others."""
    if not {"lat", "lon"} <= set(scored.columns) or "lat" not in stations.coords:
        return False
    own = stations[["lat", "lon"]].sel(station=scored["station"].tolist())
    away = np.hypot(
        own["lat"].values - scored["lat"].to_numpy("f8"),
        own["lon"].values - scored["lon"].to_numpy("f8"),
    )
    return bool((away > 0.01).any())


def _evenly(names: list[str], most: int) -> list[str]:
    """Choose names evenly, the first and the last among them."""
    at = np.unique(np.linspace(0, len(names) - 1, min(len(names), most)).round().astype(int))
    return [names[place] for place in at]


def _rain(run: Run, stations: xr.Dataset, pairs: xr.Dataset) -> xr.DataArray | None:
    """Read rain at the stations, where it is among the predictors."""
    path = run.path / "fine.zarr"
    if not path.is_dir():
        return None
    fine = open_cube(path)
    if "precipitation" not in fine or "time" not in fine["precipitation"].dims:
        return None
    import pyproj

    grid = grid_of(fine)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True).transform(
        stations["lon"].values, stations["lat"].values
    )
    column, row = (np.floor(part).astype(int) for part in ~grid.affine * (x, y))
    is_in = (row >= 0) & (row < grid.shape.y) & (column >= 0) & (column < grid.shape.x)
    if not is_in.any():
        return None
    picked = fine["precipitation"].isel(
        y=xr.DataArray(np.where(is_in, row, 0), dims="station"),
        x=xr.DataArray(np.where(is_in, column, 0), dims="station"),
    )
    picked = picked.drop_vars(["y", "x"]).assign_coords(station=stations["station"].values)
    at = picked["time"].to_index().get_indexer(pairs["time"].to_index())
    if (at < 0).any():
        return None
    kept = picked.isel(time=at).where(xr.DataArray(is_in, dims="station")).load()
    return kept.transpose("station", "time")


def taylor_points(series: Series) -> pd.DataFrame:
    """Give R and the ratio of standard deviations of every product at every station, and their medians.

    Returns
    -------
    pandas.DataFrame
        ``product, station, r, ratio``; the median over stations has no station. A product that does not vary
        has an R of 0.
    """
    pairs = series.pairs
    sample = pairs["is_pair"]
    reading = pairs["reading"].where(sample).values.astype("f8")
    rows = []
    for name in pairs["product"].values:
        value = pairs["value"].sel(product=name).where(sample).values.astype("f8")
        for place, station in enumerate(pairs["station"].values):
            r, ratio = _likeness(value[place], reading[place])
            if np.isfinite(ratio):
                rows.append((str(name), str(station), r, ratio))
    table = pd.DataFrame(rows, columns=["product", "station", "r", "ratio"])
    medians = table.groupby("product", sort=False)[["r", "ratio"]].median().reset_index()
    return pd.concat([medians.assign(station=""), table], ignore_index=True)


def _likeness(value: np.ndarray, reading: np.ndarray) -> tuple[float, float]:
    is_both = np.isfinite(value) & np.isfinite(reading)
    if is_both.sum() < 3:
        return float("nan"), float("nan")
    value, reading = value[is_both], reading[is_both]
    spread = reading.std()
    if spread <= 0:
        return float("nan"), float("nan")
    own = value.std()
    r = float(np.corrcoef(value, reading)[0, 1]) if own > 1e-9 else 0.0
    return r, float(own / spread)


def series_table(series: Series) -> pd.DataFrame:
    """Lay the series that are drawn out as a table: ``station, time, measured``, products, rain."""
    parts = []
    for name in series.drawn:
        own = series.pairs.sel(station=name)
        columns = {"station": name, "time": own["time"].values, "measured": own["reading"].values}
        for product in own["product"].values:
            columns[str(product)] = own["value"].sel(product=product).values
        if series.rain is not None:
            columns["precipitation"] = series.rain.sel(station=name).values
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
