"""Root-zone wetness from the past of the surface: the exponential filter, or soil water index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.cubes.places import Array
from vadose.cubes.timeline import DAY
from vadose.errors import CubeProblem, ModelProblem, RecipeProblem

#: Steps that surface and root zone must share, to fit a time constant.
LEAST = 10
#: Time constants in days to choose from; Wagner et al. found 20 for the upper metre.
CANDIDATES = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 90.0)


def exponential_filter(
    surface: xr.DataArray, *, time_constant: float | xr.DataArray
) -> xr.DataArray:
    """Average the past of the surface with weights that fall off exponentially.

    The mean of all values so far, that of t days ago weighing exp(−t / T): recursively
    ``index += gain * (value − index)``, with the gain K' = K / (K + exp(−Δt / T)) of Albergel et al.
    over the days Δt since the last value. In a gap time goes on and the index stays, since the weights
    of all values fall alike; the next value then counts for more. Before a cell's first value it is
    NaN. The first values make an index of few members: it takes about three T to forget how it began.

    Parameters
    ----------
    surface
        Dims ``[member,] time[, y, x]``, steps at any distance; NaN is a gap.
    time_constant
        T in days, for all cells or for each (dims of `surface` without time; NaN: no index).

    Returns
    -------
    xarray.DataArray
        The index, in the unit and type of the surface; computed in double precision.

    Raises
    ------
    CubeProblem
        No dimension time, or times out of order.
    RecipeProblem
        A time constant of 0 or less.

    References
    ----------
    Wagner et al. (1999), Remote Sens. Environ. 70, 191-207. Albergel et al. (2008), Hydrol. Earth Syst.
    Sci. 12, 1323-1337.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.date_range("2019-07-01", periods=4)
    >>> rain = xr.DataArray([0.1, 0.3, np.nan, 0.3], dims="time", coords={"time": times})
    >>> exponential_filter(rain, time_constant=2.0).values.round(3)
    array([0.1  , 0.224, 0.224, 0.272])
    """
    days = _days(surface)
    constant = xr.DataArray(time_constant).astype("f8")
    if bool((constant <= 0).any()):
        raise RecipeProblem(
            "time_constant", found=f"{float(constant.min()):g} days", expected="more than 0"
        )
    if surface.chunks is not None:
        surface = surface.chunk({"time": -1})
    try:
        index = xr.apply_ufunc(
            _filter,
            surface,
            constant,
            kwargs={"days": days},
            input_core_dims=[["time"], []],
            output_core_dims=[["time"]],
            dask="parallelized",
            output_dtypes=[surface.dtype],
            keep_attrs="override",
        )
    except ValueError as error:
        raise CubeProblem(
            "time_constant",
            found=f"dimensions {dict(constant.sizes)} that do not fit {dict(surface.sizes)}",
            expected="one number, or one for each cell of the surface's grid",
        ) from error
    ordered: xr.DataArray = index.transpose(*surface.dims)
    return ordered.rename(surface.name)


def fit_time_constant(
    surface: xr.DataArray,
    root_zone: xr.DataArray,
    *,
    candidates: Sequence[float] = CANDIDATES,
    pooled: bool = True,
) -> xr.DataArray:
    """Choose the time constant whose index correlates best with the root zone.

    For one cell this is the one with the smallest RMSE after the best linear rescaling with a positive
    gain, as RMSE² = (1 − R²) var(root zone). Steps count where both have a value, and the same ones for
    all candidates. Of equals the shortest is taken.

    Parameters
    ----------
    surface, root_zone
        Dims ``time[, y, x]``, on the same steps and grid; NaN is a gap.
    candidates
        Days to choose from.
    pooled
        One constant for all cells, by the mean of their correlations, each weighing its common steps:
        differences between cells in level and gain have no say. Else one per cell.

    Returns
    -------
    xarray.DataArray
        Days, with the correlation in the coordinate ``correlation``; without dims if pooled, else NaN
        where a cell has fewer than ten common steps or is constant.

    Raises
    ------
    CubeProblem
        No dimension time, or steps or grids that differ.
    RecipeProblem
        No candidates, or one of 0 or less.
    ModelProblem
        Pooled, and no cell has ten common steps that vary.

    Examples
    --------
    >>> import vadose.synthetic
    >>> truth = vadose.synthetic.world(size=16, days=90, factor=4, seed=0).coarse_truth
    >>> best = fit_time_constant(truth["soil_moisture"], truth["root_zone_soil_moisture"])
    >>> float(best) in CANDIDATES
    True
    """
    if not candidates:
        raise RecipeProblem("candidates", found="none", expected="days to choose from")
    order = np.array(sorted(float(days) for days in candidates))
    correlations = []
    for days in order:
        index = exponential_filter(surface.astype("f8"), time_constant=float(days))
        correlations.append(_correlation(index, _matched(root_zone, surface), is_pooled=pooled))
    table = xr.concat(correlations, xr.DataArray(order, dims="candidate"))
    if pooled and bool(table.isnull().all()):
        raise ModelProblem(
            "surface and root zone",
            found=f"no cell with {LEAST} common steps that vary",
            expected="one or more to fit a time constant",
            remedy="Check the gaps of both, or give a longer period.",
        )
    highest: xr.DataArray = table.fillna(-np.inf).argmax("candidate")
    best = highest.copy(data=order[highest.values])
    best = best.where(table.notnull().all("candidate"))
    best.attrs = {"long_name": "time constant of the exponential filter", "units": "days"}
    return best.rename("time_constant").assign_coords(correlation=table.max("candidate"))


def _days(surface: xr.DataArray) -> Array:
    """Give the days from each step to the next, 0 for the first."""
    if "time" not in surface.dims:
        raise CubeProblem("surface", found="no dimension time", expected="time steps")
    days = np.diff(surface["time"].values.astype("M8[ns]")) / DAY
    if not (days > 0).all():
        raise CubeProblem(
            "surface: time",
            found="missing, duplicate or unordered time stamps",
            expected="strictly increasing time",
        )
    return np.concatenate([[0.0], days])


def _filter(
    surface: npt.NDArray[np.floating], constant: npt.NDArray[np.floating], *, days: Array
) -> npt.NDArray[np.floating]:
    """Filter along the last axis, in one pass over the steps for all cells."""
    shape = np.broadcast_shapes(surface.shape[:-1], np.shape(constant))
    result = np.empty((*shape, surface.shape[-1]), surface.dtype)
    index, gain, since = np.full(shape, np.nan), np.ones(shape), np.zeros(shape)
    for step, passed in enumerate(days):
        value = np.where(np.isnan(constant), np.nan, surface[..., step].astype("f8"))
        is_known, is_first = ~np.isnan(value), np.isnan(index)
        since = since + passed
        gain_now = np.where(is_first, 1.0, gain / (gain + np.exp(-since / constant)))
        moved = np.where(is_first, value, index + gain_now * (value - index))
        index = np.where(is_known, moved, index)
        gain, since = np.where(is_known, gain_now, gain), np.where(is_known, 0.0, since)
        result[..., step] = index
    return result


def _matched(root_zone: xr.DataArray, surface: xr.DataArray) -> xr.DataArray:
    for dim in map(str, surface.dims):
        is_same = dim in root_zone.dims and root_zone.sizes[dim] == surface.sizes[dim]
        if is_same and dim == "time":
            is_same = bool((root_zone[dim].values == surface[dim].values).all())
        elif is_same and dim in surface.coords and dim in root_zone.coords:
            is_same = bool(np.allclose(root_zone[dim], surface[dim], rtol=1e-9))
        if not is_same:
            raise CubeProblem(
                "root zone",
                found=f"another {dim} than that of the surface",
                expected="the same steps and grid",
                remedy="Align them first.",
            )
    return surface.copy(data=root_zone.transpose(*surface.dims).astype("f8").data)


def _correlation(index: xr.DataArray, root_zone: xr.DataArray, *, is_pooled: bool) -> xr.DataArray:
    """Correlate over the common steps of each cell, and average over cells by the number of these."""
    is_common = index.notnull() & root_zone.notnull()
    parts = [one.where(is_common) for one in (index, root_zone)]
    count = is_common.sum("time")
    is_enough = count >= LEAST
    for one in parts:  # rounding leaves what is constant with a variance of some 1e-33
        is_enough = is_enough & (one.max("time", skipna=True) > one.min("time", skipna=True))
    result: xr.DataArray = xr.corr(parts[0], parts[1], dim="time").where(is_enough)
    if is_pooled:
        weight = count.where(is_enough, 0)
        result = (result.fillna(0.0) * weight).sum() / weight.sum().where(weight.any())
    return result.drop_vars([name for name in result.coords if name not in result.dims])
