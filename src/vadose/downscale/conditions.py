"""What steers a generative model beside the predictors of a place: the day, the year, what stations say that day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.errors import CubeProblem
from vadose.schema import variable

#: Fewest stations of a day that make statistics.
LEAST = 3


def add_conditions(
    cube: xr.Dataset,
    *,
    stations: xr.DataArray | None = None,
    least: int = LEAST,
) -> xr.Dataset:
    """Add the day of the year and the year to a cube and, if there are stations, their statistics of the day.

    Parameters
    ----------
    cube
        Dims ``time, y, x``; coarse or fine: both need the same conditions.
    stations
        Readings of *training* stations alone, dims ``station, time``; NaN where one has none. One whose
        readings steer a model must not judge it.
    least
        Fewest readings of a day. On a day with fewer, ``station_missing`` is 1 and the statistics are 0:
        a model that knows of conditions uses nothing of them then.

    Returns
    -------
    xarray.Dataset
        With ``day_of_year``, ``year`` and, given stations, ``station_mean``, ``station_sd``,
        ``station_lower_quartile``, ``station_upper_quartile`` and ``station_missing``, the same for all
        cells of a step.

    Raises
    ------
    CubeProblem
        A cube without time.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> cube = add_conditions(world.coarse, stations=world.stations["soil_moisture"])
    >>> cube["day_of_year"][:2, 0, 0].values
    array([91., 92.], dtype=float32)
    """
    if "time" not in cube.dims:
        raise CubeProblem(
            "cube", found=f"dimensions {tuple(cube.dims)}", expected="time, y, x, for the day"
        )
    times = pd.DatetimeIndex(cube["time"].values)
    series: dict[str, npt.NDArray[Any]] = {
        "day_of_year": times.day_of_year.to_numpy(),
        "year": times.year.to_numpy(),
    }
    if stations is not None:
        series |= _statistics(stations, times, least)
    shape = (len(times), cube.sizes["y"], cube.sizes["x"])
    added = {}
    for name, values in series.items():
        row = variable(name)
        typed = values.astype("u1" if row.kind == "mask" else "f4")
        # one number for all cells of a step, in memory too
        field = np.broadcast_to(typed[:, None, None], shape)
        added[name] = (("time", "y", "x"), field, row.attributes())
    return cube.assign(added)


def _statistics(
    stations: xr.DataArray, times: pd.DatetimeIndex, least: int
) -> Mapping[str, npt.NDArray[Any]]:
    """Give the statistics of each step, 0 where there are too few readings."""
    values = stations.reindex(time=times.to_numpy()).transpose("time", "station").values
    is_missing = np.isfinite(values).sum(axis=1) < max(least, 1)
    told = {
        f"station_{name}": np.zeros(len(times))
        for name in ("mean", "sd", "lower_quartile", "upper_quartile")
    }
    for step in np.flatnonzero(~is_missing):
        known = values[step][np.isfinite(values[step])]
        told["station_mean"][step], told["station_sd"][step] = known.mean(), known.std()
        quartiles = np.quantile(known, [0.25, 0.75])
        told["station_lower_quartile"][step], told["station_upper_quartile"][step] = quartiles
    return {**told, "station_missing": is_missing}
