"""Seams that gaps of the coarse input leave in a product: steps along their edges, and along lines through coarse cells.

A correction that makes a product agree with the coarse value ends where there is none. If it ends abruptly, the
product has blocks there: at the edge of what was observed, or half a coarse cell behind it, where an interpolation
between centres of coarse cells ends.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Pairs of neighbours on a date below which a ratio is chance.
LEAST_PAIRS = 50
#: Fine cells along a coarse one below which none lies inside.
LEAST_STEPS = 4
KINDS = ("gap_edge", "gap_half_cell")


def gap_seams(
    field: xr.DataArray, is_observed: xr.DataArray, steps: Mapping[str, int]
) -> dict[str, xr.DataArray]:
    """Compare the steps of a product along the edges of gaps, and on half-cell lines in them, with those inside.

    Parameters
    ----------
    field
        Fine field, dims ``time, y, x``; only pairs of neighbours count that both have a value.
    is_observed
        Same dims on the coarse grid: true where there is a coarse value. A cell without one on any date, as of the
        sea, has no gap.
    steps
        Fine cells along ``y`` and ``x`` of a coarse one.

    Returns
    -------
    dict
        By name ``gap_edge_jump_ratio`` (between a coarse cell with a value and one without) and
        ``gap_half_cell_jump_ratio`` (along the lines through the centres of coarse cells without one), dims
        ``time``: mean absolute step over that of pairs of the same direction inside, on no such line nor on an edge of
        coarse cells; of the latter, inside cells without a value. About 1 without a seam. NaN on dates with
        fewer than 50 such pairs, or where nothing varies. Empty with fewer than 4 fine cells along a
        coarse one.

    Raises
    ------
    CubeProblem
        Other dims.
    ValueProblem
        Grids that do not fit together by these steps.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rough = rng.normal(0.2, 0.01, (2, 80, 80))
    >>> seen = np.ones((2, 8, 8), bool)
    >>> seen[0, :, 4:] = False
    >>> blocky = rough + 0.1 * np.kron(seen, np.ones((1, 10, 10)))
    >>> fields = [xr.DataArray(one, dims=("time", "y", "x")) for one in (rough, blocky, seen)]
    >>> for field in fields[:2]:
    ...     told = gap_seams(field, fields[2], {"y": 10, "x": 10})["gap_edge_jump_ratio"]
    ...     print(told.values.round(0))
    [ 1. nan]
    [ 9. nan]
    """
    for name, array in (("field", field), ("is_observed", is_observed)):
        if set(array.dims) != {"time", "y", "x"}:
            raise CubeProblem(name, found=f"dimensions {array.dims}", expected="time, y, x")
    field, is_observed = (one.transpose("time", "y", "x") for one in (field, is_observed))
    wanted = {dim: is_observed.sizes[dim] * steps[dim] for dim in ("y", "x")}
    if any(field.sizes[dim] != size for dim, size in wanted.items()):
        raise ValueProblem(
            "field", found=f"{dict(field.sizes)}", expected=f"{wanted}, whole coarse cells"
        )
    if min(steps.values()) < LEAST_STEPS:
        return {}
    ever = is_observed.values.astype(bool).any(axis=0)
    table = np.full((len(KINDS), field.sizes["time"]), np.nan)
    for day in range(field.sizes["time"]):
        seen = is_observed.isel(time=day).values.astype(bool)
        gap = ever & ~seen
        if gap.any() and seen.any():
            values = field.isel(time=day).values.astype("f8")
            table[:, day] = _ratios(values, _lay_out(seen, steps), _lay_out(gap, steps), steps)
    coords = {"time": field["time"]} if "time" in field.coords else {}
    return {
        f"{kind}_jump_ratio": xr.DataArray(row, dims="time", coords=coords)
        for kind, row in zip(KINDS, table, strict=True)
    }


def _lay_out(cells: Mask, steps: Mapping[str, int]) -> Mask:
    """Lay coarse cells out on the fine grid."""
    return np.repeat(np.repeat(cells, steps["y"], axis=0), steps["x"], axis=1)


def _ratios(values: Floats, seen: Mask, gap: Mask, steps: Mapping[str, int]) -> Floats:
    """Give the ratios of one date; all masks are on the fine grid."""
    found, expected, pairs = np.zeros((3, len(KINDS)))
    for axis, dim in enumerate(("y", "x")):
        jumps = np.abs(np.diff(values, axis=axis))
        known = np.isfinite(jumps)
        first, second = (
            tuple(slice(*ends) if one == axis else slice(None) for one in range(2))
            for ends in ((None, -1), (1, None))
        )
        is_crossed = (seen[first] & gap[second]) | (gap[first] & seen[second])
        place = np.arange(1, values.shape[axis]) % steps[dim]
        is_edge, is_half = place == 0, np.isin(place, _halves(steps[dim]))
        lay = (slice(None), None) if axis == 0 else (None, slice(None))
        inside = known & ~(is_edge | is_half)[lay]
        for kind, (line, base) in enumerate(
            (
                (known & is_crossed, inside & (seen[first] | gap[first])),
                (known & is_half[lay] & gap[first], inside & gap[first]),
            )
        ):
            if line.any() and base.any():
                found[kind] += jumps[line].sum()
                expected[kind] += line.sum() * jumps[base].mean()
                pairs[kind] += line.sum()
    is_told = (pairs >= LEAST_PAIRS) & (expected > 0)
    return np.where(is_told, found / np.where(is_told, expected, 1.0), np.nan)


def _halves(step: int) -> list[int]:
    """Give the cells that begin behind the middle of a coarse one; two where a cell lies on it.

    Examples
    --------
    >>> _halves(30), _halves(5)
    ([15], [2, 3])
    """
    return [step // 2] if step % 2 == 0 else [step // 2, step // 2 + 1]
