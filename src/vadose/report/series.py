"""Series at stations: what was measured, all products and rain, as ``validation/series.nc`` keeps what was scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from vadose.errors import FileProblem
from vadose.report.dates import evenly
from vadose.report.judged import Judged
from vadose.report.stations import used_stations
from vadose.schema import ORIGIN

T = TypeVar("T")
#: Network and name of a station.
Key = tuple[str, str]
#: Stations that are drawn, from the best to the worst.
DRAWN = 6
#: Stations whose series are read at most, for the Taylor diagram; evenly chosen by their scores.
READ = 300


@dataclass(frozen=True)
class Series:
    """Hold the series of some stations.

    Attributes
    ----------
    pairs
        ``value (product, station, time)`` and ``reading (station, time)``, m³ m⁻³, NaN in gaps; ``is_pair
        (station, time)``; where the run has them ``origin``, ``lower`` and ``upper`` of the published product.
    rain
        mm day⁻¹ by ``station, time``; None where rain is not among the predictors.
    drawn
        Names of the stations to draw.
    """

    pairs: xr.Dataset
    rain: xr.DataArray | None
    drawn: tuple[str, ...]


def read_series(judged: Judged) -> Series | None:
    """Read the series that were scored; None where the validation holds none.

    Raises
    ------
    FileProblem
        When they cannot be read, or are those of something else.
    """
    path = judged.path / "series.nc"
    scored = used_stations(judged, judged.summary.publish)
    if scored is None or not path.exists():
        return None
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            known = {key: place for place, key in enumerate(_keys(opened.coords))}
            ranked = scored.sort_values("ubrmse")
            order = [key for key in _keys(ranked) if key in known]
            if not order:
                return None
            chosen = _evenly(order, READ)
            pairs = opened.isel(station=[known[key] for key in chosen]).load()
            labels = _labels(chosen)
            pairs = pairs.assign_coords(station=labels)
            pairs["is_pair"] = pairs["is_pair"].astype(bool)
            rain = pairs.get("precipitation")
            has_rain = rain is not None and bool(rain.notnull().any())
    except (OSError, ValueError, KeyError) as error:
        raise FileProblem(
            path,
            found=f"series that cannot be read ({error!r})",
            expected="value, reading and is_pair by product, station and time",
            remedy="Run `vadose validate` again.",
        ) from error
    return Series(pairs, rain if has_rain else None, tuple(_evenly(labels, DRAWN)))


def _keys(known: Mapping[Any, Any] | pd.DataFrame) -> list[Key]:
    """Give network and name of each station; the name alone may be that of several."""
    names = [str(name) for name in np.asarray(known["station"])]
    if "network" not in known:
        return [("", name) for name in names]
    networks = ["" if one != one else str(one) for one in np.asarray(known["network"])]
    return list(zip(networks, names, strict=True))


def _labels(keys: Sequence[Key]) -> list[str]:
    """Name stations, with their network where one name is that of several."""
    count = Counter(name for _, name in keys)
    return [name if count[name] == 1 else f"{network}/{name}" for network, name in keys]


def _evenly(names: list[T], most: int) -> list[T]:
    """Choose names evenly, the first and the last among them."""
    return [names[place] for place in evenly(len(names), most)]


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
    """Lay the series that are drawn out as a table: ``station, time, measured``, products, origin, interval, rain."""
    parts = []
    for name in series.drawn:
        own = series.pairs.sel(station=name)
        columns = {"station": name, "time": own["time"].values, "measured": own["reading"].values}
        for product in own["product"].values:
            columns[str(product)] = own["value"].sel(product=product).values
        if "origin" in own:
            columns["origin"] = np.array(ORIGIN.meanings)[own["origin"].values.astype("i8")]
        columns |= {name: own[name].values for name in ("lower", "upper") if name in own}
        if series.rain is not None:
            columns["precipitation"] = series.rain.sel(station=name).values
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
