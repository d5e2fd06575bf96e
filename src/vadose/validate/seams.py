"""Seams: whether a field jumps where what was observed meets what was filled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem
from vadose.validate.daily import check_pair

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: What two neighbouring cells of a day are, of which at the least one is filled.
KINDS = ("edge", "filled")
#: Days on which two neighbours must both be observed to say how much they differ by themselves.
LEAST_DAYS = 3


def edge_jump(
    filled: xr.DataArray, is_observed: xr.DataArray, *, least_days: int = LEAST_DAYS
) -> xr.Dataset:
    """Measure the jump between neighbours across the edge of a mask, against that between observed ones.

    Every two neighbours are compared with themselves on the days on which both are observed: cells that
    differ anyway, as those of a coast or a river, make no seam.

    Parameters
    ----------
    filled
        Dims ``time, y, x``; NaN where there is no value.
    is_observed
        Same dims: true where the value is, or was, observed.
    least_days
        Days on which two neighbours must both be observed to be compared.

    Returns
    -------
    xarray.Dataset
        Dims ``kind``, ``edge`` (one of the two is observed) and ``filled`` (none is): ``jump``, the mean
        absolute difference of neighbours of a day, and ``expected``, that of the same neighbours where both
        are observed, unit of the field; ``ratio`` of both, 1 without a seam, less where filled values are
        smoother than observed ones; ``n``, pairs of neighbours and days; ``lost``, those of neighbours that
        are too seldom both observed. NaN without any.

    Raises
    ------
    CubeProblem
        Other dims or labels.
    ValueProblem
        Observed cells without a value, or fewer days than one.

    Examples
    --------
    >>> rough = np.random.default_rng(0).normal(0.2, 0.02, (40, 6, 6))
    >>> is_observed = np.zeros(rough.shape, bool)
    >>> is_observed[:20], is_observed[20:, :, :3] = True, True
    >>> field, mask = (xr.DataArray(one, dims=("time", "y", "x")) for one in (rough, is_observed))
    >>> edge_jump(field, mask)["ratio"].sel(kind="edge").item() < 1.2
    True
    >>> edge_jump(field.where(mask, field + 0.1), mask)["ratio"].sel(kind="edge").item() > 4
    True
    """
    if set(filled.dims) != {"time", "y", "x"}:
        raise CubeProblem("filled field", found=f"dimensions {filled.dims}", expected="time, y, x")
    if least_days < 1:
        raise ValueProblem("least_days", found=f"{least_days}", expected="1 or more")
    mask, field = check_pair(is_observed, filled.transpose("time", "y", "x"))
    values, seen = field.values.astype("f8"), mask.values.astype(bool)
    if np.isnan(values[seen]).any():
        raise ValueProblem(
            "filled field",
            found=f"{int(np.isnan(values[seen]).sum())} observed cells without a value",
            expected="a value wherever one is observed",
        )
    jump, expected, n, lost = np.zeros((4, len(KINDS)))
    for axis in (1, 2):
        before, after = (
            tuple(slice(*ends) if dim == axis else slice(None) for dim in range(3))
            for ends in ((None, -1), (1, None))
        )
        difference = np.abs(values[after] - values[before])
        is_pair = np.isfinite(difference)
        both, either = seen[before] & seen[after], seen[before] | seen[after]
        own = _mean(difference, both & is_pair, least_days)
        for kind, where in enumerate((either & ~both, ~either)):
            asked = where & is_pair
            chosen = asked & np.isfinite(own)
            jump[kind] += difference[chosen].sum()
            expected[kind] += np.broadcast_to(own, chosen.shape)[chosen].sum()
            n[kind] += chosen.sum()
            lost[kind] += (asked & ~chosen).sum()
    unit = {"units": filled.attrs["units"]} if "units" in filled.attrs else {}
    with np.errstate(divide="ignore", invalid="ignore"):
        return xr.Dataset(
            {
                "jump": ("kind", jump / n, unit),
                "expected": ("kind", expected / n, unit),
                "ratio": ("kind", jump / expected, {"units": "1"}),
                "n": ("kind", n.astype("i8")),
                "lost": ("kind", lost.astype("i8")),
            },
            coords={"kind": list(KINDS)},
        )


def _mean(difference: Floats, where: Mask, least: int) -> Floats:
    """Give the mean over time of what is chosen, NaN of fewer than so many."""
    count = where.sum(axis=0)
    total = np.where(where, difference, 0.0).sum(axis=0)
    return np.asarray(np.where(count >= least, total / np.maximum(count, 1), np.nan), "f8")
