"""What steers a generative model beside the predictors of a place: the day, the year, what stations say that day.

A condition is one number per step: it is kept as such (`DailyConditions`) and laid on a cube, or a window of
one, when that is read (`Conditioned`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from vadose.downscale.base import Downscaler, Reach
from vadose.errors import CubeProblem, ModelProblem, UnknownName
from vadose.models.base import read_description, write_description
from vadose.schema import variable

#: Fewest stations of a day that make statistics.
LEAST = 3
#: Conditions of the calendar, and those that stations give.
CALENDAR = ("day_of_year", "year")
STATISTICS = (
    "station_mean",
    "station_sd",
    "station_lower_quartile",
    "station_upper_quartile",
    "station_missing",
)

Series = Mapping[str, npt.NDArray[Any]]


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
    names = CALENDAR if stations is None else (*CALENDAR, *STATISTICS)
    return DailyConditions.of(names, stations, least=least).add(cube)


@dataclass(frozen=True, eq=False)
class DailyConditions:
    """Know the conditions of every step, one number each, and lay them on cubes.

    Attributes
    ----------
    names
        Of `CALENDAR` and `STATISTICS`, in the order of the model's features.
    times
        Steps with statistics, increasing.
    statistics
        Each of `STATISTICS` along `times`; empty where none is asked for.

    Raises
    ------
    UnknownName
        A condition that is none, or one of stations without any.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> conditions = DailyConditions.of(("year", "station_mean"), world.stations["soil_moisture"])
    >>> conditions.add(world.predictors)["year"].sizes["time"], len(conditions.statistics["station_mean"])
    (8, 8)
    """

    names: tuple[str, ...]
    times: npt.NDArray[np.datetime64]
    statistics: Series

    def __post_init__(self) -> None:
        known = (*CALENDAR, *self.statistics)
        for name in self.names:
            if name not in known:
                raise UnknownName("condition", name, known)

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        stations: xr.DataArray | None = None,
        *,
        least: int = LEAST,
    ) -> Self:
        """Sum up what stations say of each step; parameters as of `add_conditions`."""
        if stations is None:
            return cls(tuple(names), np.empty(0, "M8[ns]"), {})
        values = stations.transpose("time", "station").values
        statistics = _statistics(values, least)
        return cls(tuple(names), stations["time"].values.astype("M8[ns]"), statistics)

    def add(self, cube: xr.Dataset, times: npt.NDArray[np.datetime64] | None = None) -> xr.Dataset:
        """Lay the conditions of each step on all cells of a cube, or of a window of one.

        Parameters
        ----------
        cube
            Dims ``time, y, x``; without ``time`` where nothing in it changes.
        times
            Steps of a cube without them.

        Raises
        ------
        CubeProblem
            A cube without time, and none given.
        """
        if "time" in cube.dims:
            times = cube["time"].values
        if times is None:
            raise CubeProblem(
                "cube", found=f"dimensions {tuple(cube.dims)}", expected="time, y, x, for the day"
            )
        shape = (len(times), cube.sizes["y"], cube.sizes["x"])
        added = {}
        for name, values in self._series(times).items():
            row = variable(name)
            typed = values.astype("u1" if row.kind == "mask" else "f4")
            # one number for all cells of a step, in memory too
            field = np.broadcast_to(typed[:, None, None], shape)
            added[name] = (("time", "y", "x"), field, row.attributes())
        timed = cube if "time" in cube.dims else cube.assign_coords(time=times)
        return timed.assign(added)

    def _series(self, times: npt.NDArray[np.datetime64]) -> Series:
        """Give the conditions of some steps; those that no station was read on lack statistics."""
        calendar = pd.DatetimeIndex(times)
        place = pd.Index(self.times).get_indexer(pd.Index(times.astype("M8[ns]")))
        series: dict[str, npt.NDArray[Any]] = {
            "day_of_year": calendar.day_of_year.to_numpy(),
            "year": calendar.year.to_numpy(),
        }
        for name in STATISTICS if self.statistics else ():
            beyond = 1.0 if name == "station_missing" else 0.0
            # the last one, which place -1 takes, stands for all other steps
            series[name] = np.append(self.statistics[name], beyond)[place]
        return {name: series[name] for name in self.names}

    def save(self, path: Path) -> None:
        """Write a JSON file."""
        description = {
            "names": list(self.names),
            "times": np.datetime_as_string(self.times).tolist(),
            "statistics": {name: values.tolist() for name, values in self.statistics.items()},
        }
        write_description(path.parent, "conditions", description, file=path.name)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote, to the bit.

        Raises
        ------
        ModelProblem
            A file that is missing, damaged or foreign.
        """
        description = read_description(path.parent, "conditions", file=path.name)
        try:
            times = np.array(description["times"], dtype="M8[ns]")
            statistics = {
                str(name): np.array(values, dtype="f8")
                for name, values in description["statistics"].items()
            }
            names = tuple(description["names"])
            if statistics and (
                set(statistics) != {*STATISTICS} or {*map(len, statistics.values())} != {len(times)}
            ):
                raise ValueError("series that are missing or differ in length")
            return cls(names, times, statistics)
        except (KeyError, TypeError, ValueError, AttributeError, UnknownName) as error:
            raise ModelProblem(
                path, found=f"an incomplete description ({error})", expected="intact"
            ) from error


class Conditioned:
    """Wrap a downscaler so that it is given conditions beside the predictors of its cubes.

    Parameters
    ----------
    inner
        The downscaler; the conditions are among its predictors.
    conditions
        Of every step that it learns from or is asked for.
    """

    def __init__(self, inner: Downscaler, conditions: DailyConditions) -> None:
        self.inner, self.conditions, self.target = inner, conditions, inner.target

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the wrapped downscaler on the coarse cube and the conditions of its steps."""
        self.inner.fit(self.conditions.add(coarse))
        return self

    def reach(self, factor: int) -> Reach:
        """Look as far as the wrapped downscaler: a condition is the same everywhere."""
        return self.inner.reach(factor)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Predict under the conditions of the steps of the coarse field."""
        times = coarse["time"].values if "time" in coarse.dims else None
        return self.inner.predict(self.conditions.add(fine, times), coarse)


def _statistics(values: npt.NDArray[np.floating], least: int) -> Series:
    """Give the statistics of each step, 0 where there are too few readings; dims ``time, station``."""
    is_missing = np.isfinite(values).sum(axis=1) < max(least, 1)
    told = {name: np.zeros(len(values)) for name in STATISTICS}
    for step in np.flatnonzero(~is_missing):
        known = values[step][np.isfinite(values[step])].astype("f8")
        told["station_mean"][step], told["station_sd"][step] = known.mean(), known.std()
        quartiles = np.quantile(known, [0.25, 0.75])
        told["station_lower_quartile"][step], told["station_upper_quartile"][step] = quartiles
    told["station_missing"][:] = is_missing
    return told
