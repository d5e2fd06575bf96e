"""What a variable was over the days before each day: means, and the antecedent precipitation index."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import xarray as xr

from vadose.cubes.timeline import DAY, need_time
from vadose.errors import CubeProblem, RecipeProblem, UnknownName
from vadose.schema import variable

Past = Literal["mean", "index"]


def antecedent(
    cube: xr.Dataset, name: str, *, days: int, kind: Past = "mean", decay: float | None = None
) -> xr.Dataset:
    """Add what a variable was over the days before each day, the day itself left out.

    ``mean`` is their plain mean; ``index``, of a rate per day, is the antecedent index ``sum of decay**i
    times the amount i days before`` for i from 1 to `days`.

    Parameters
    ----------
    cube
        Daily, without a day left out.
    name
        Variable.
    days
        Number of days.
    kind
        ``mean`` or ``index``.
    decay
        Factor per day, for the index, between 0 and 1; 0.85 to 0.98 are usual.

    Returns
    -------
    xarray.Dataset
        The cube with ``<name>_mean_<days>_days`` or ``<name>_index_<days>_days``. NaN where one of the
        days is NaN or before the cube begins.

    Raises
    ------
    CubeProblem
        Times that are not consecutive days.
    RecipeProblem
        A decay without index or an index without one.

    References
    ----------
    Kohler and Linsley (1951), Predicting the Runoff from Storm Rainfall, U.S. Weather Bureau Research
    Paper 34.

    Examples
    --------
    >>> import vadose.synthetic
    >>> cube = vadose.synthetic.world(size=16, days=8, factor=4, seed=0).predictors
    >>> more = antecedent(cube, "precipitation", days=3, kind="index", decay=0.9)
    >>> more["precipitation_index_3_days"].units
    'mm'
    """
    need_time(cube)
    if name not in cube.data_vars:
        raise UnknownName("variable of the cube", name, map(str, cube.data_vars))
    if kind not in get_args(Past):
        raise UnknownName("kind of past", kind, get_args(Past))
    if days < 1:
        raise RecipeProblem("days", found=f"{days}", expected="1 or more")
    if (kind == "index") != (decay is not None) or not 0.0 < (1.0 if decay is None else decay) <= 1:
        raise RecipeProblem(
            "decay", found=f"{decay} for {kind!r}", expected="a factor in (0, 1] for an index alone"
        )
    row = variable(f"{name}_{kind}_{days}_days")
    steps = np.diff(cube["time"].values.astype("M8[ns]"))
    if (steps != DAY).any():
        raise CubeProblem(
            "cube: time",
            found=f"steps from {steps.min() / DAY:g} to {steps.max() / DAY:g} days",
            expected="consecutive days",
            remedy="Make days with to_daily first; it keeps empty ones.",
        )
    array = cube[name].astype("f8")
    weights = [1.0 / days if decay is None else decay**before for before in range(1, days + 1)]
    total = xr.zeros_like(array)
    for before, weight in enumerate(weights, start=1):
        total = total + array.shift(time=before) * weight
    result = total.astype(cube[name].dtype)
    depth = {
        key: cube[name].attrs[key] for key in ("depth_from", "depth_to") if key in cube[name].attrs
    }
    decayed = {} if decay is None else {"decay": decay}
    result.attrs = {**row.attributes(), **depth, **decayed}
    return cube.assign({row.name: result})
