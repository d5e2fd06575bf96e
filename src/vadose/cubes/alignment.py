"""The alignment report: for each variable what came in, what stands on the grid, and what that is worth."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.cubes.places import places, turned
from vadose.cubes.reproject import resolution
from vadose.cubes.shifts import UNKNOWN, Shift, shift_test, spaced
from vadose.errors import NoOverlap
from vadose.grids import cell_area, grid_of
from vadose.schema import variable

#: A grid this many times finer than the data is remarked upon.
FINER = 1.5


@dataclass(frozen=True)
class Alignment:
    """Hold one row of the report. None stands for what cannot be told.

    Attributes
    ----------
    variable, source, files
        Name, product and number of its files.
    regridding
        Rule and grids, as `vadose.cubes.reproject` left it.
    units_before, units_after
        Units.
    native_resolution, grid_resolution
        Side of a cell in m: the coarsest grid the values were ever on, and the one they are on now.
    coverage
        Share of the grid's cells whose centre lies within the source's rectangle.
    valid_before, valid_after
        Share of values that are no gap, in the steps sampled.
    minimum_before, mean_before, maximum_before, minimum_after, mean_after, maximum_after
        Of the steps sampled; means weigh by the area of the rows of longitude/latitude grids.
    shift_east, shift_north, is_shifted
        See `vadose.cubes.shifts.Shift`.
    steps
        Number of time steps that were sampled.
    remark
        What a reader must know, in words; empty when all is well.
    """

    variable: str
    source: str
    files: int | None
    regridding: str
    units_before: str
    units_after: str
    native_resolution: float
    grid_resolution: float
    coverage: float
    valid_before: float
    valid_after: float
    minimum_before: float | None
    mean_before: float | None
    maximum_before: float | None
    minimum_after: float | None
    mean_after: float | None
    maximum_after: float | None
    shift_east: float | None
    shift_north: float | None
    is_shifted: bool
    steps: int
    remark: str

    def record(self) -> dict[str, str | int | float | bool | None]:
        """Give the row as plain values, for JSON."""
        return asdict(self)


def alignment_report(
    before: xr.Dataset, after: xr.Dataset, *, steps: int = 12, is_placed: bool = True
) -> list[Alignment]:
    """Compare a source with what stands of it on the grid.

    Parameters
    ----------
    before
        Source as read: any grid, attributes ``product`` and ``number_of_files`` from the reader.
    after
        Cube on the grid. Variables that only one of the two has are left out; classes that became
        fractions are therefore not compared.
    steps
        Time steps to sample, evenly spaced from the first to the last, in source and cube each. Only
        these are read.
    is_placed
        Whether to make the shift test of continuous variables.

    Returns
    -------
    list of Alignment
        One row per variable.

    Raises
    ------
    NoOverlap
        When they have no variable in common.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.cubes.regrid import interpolate
    >>> world = vadose.synthetic.world(size=32, days=8, factor=4, seed=0)
    >>> fine = interpolate(world.coarse, grid_of(world.truth))
    >>> alignment_report(world.coarse, fine)[0].remark
    '4.0 km data on a 1.0 km grid: about one value in 16 is independent.'
    """
    names = [str(name) for name in after.data_vars if name in before.data_vars]
    if not names:
        raise NoOverlap(
            "alignment report",
            found=f"{sorted(map(str, before.data_vars))} and {sorted(map(str, after.data_vars))}",
            expected="a variable in both",
        )
    coverage = _coverage(grid_of(before), grid_of(after))
    return [_row(before, after, name, steps, is_placed, coverage) for name in names]


def _row(
    before: xr.Dataset, after: xr.Dataset, name: str, steps: int, is_placed: bool, coverage: float
) -> Alignment:
    row, source, field = variable(name), before[name], after[name]
    is_continuous = row.kind == "continuous"
    shift = shift_test(source, field) if is_placed and is_continuous else UNKNOWN
    native = float(
        field.attrs.get("native_resolution")
        or max(resolution(grid_of(source)), float(source.attrs.get("native_resolution", 0.0)))
    )
    here = resolution(grid_of(field))
    one, other = _statistics(source, steps, row.missing), _statistics(field, steps, row.missing)
    files = before.attrs.get("number_of_files")
    return Alignment(
        variable=name,
        source=str(source.attrs.get("product", before.attrs.get("product", ""))),
        files=None if files is None else int(files),
        regridding=str(field.attrs.get("regridding", "")),
        units_before=str(source.attrs.get("units", "")),
        units_after=str(field.attrs.get("units", "")),
        native_resolution=native,
        grid_resolution=here,
        coverage=coverage,
        valid_before=one["valid"] or 0.0,
        valid_after=other["valid"] or 0.0,
        minimum_before=one["minimum"],
        mean_before=one["mean"] if is_continuous else None,
        maximum_before=one["maximum"],
        minimum_after=other["minimum"],
        mean_after=other["mean"] if is_continuous else None,
        maximum_after=other["maximum"],
        shift_east=_known(shift.east),
        shift_north=_known(shift.north),
        is_shifted=shift.is_found,
        steps=spaced(field.sizes.get("time", 1), steps).size,
        remark=_remark(native, here, coverage, shift),
    )


def _remark(native: float, here: float, coverage: float, shift: Shift) -> str:
    remarks = []
    if native > FINER * here:
        remarks.append(
            f"{_length(native)} data on a {_length(here)} grid: about one value in "
            f"{(native / here) ** 2:.0f} is independent."
        )
    if coverage < 1.0:
        remarks.append(f"The source covers {coverage:.1%} of the grid.")
    if shift.is_found:
        remarks.append(
            f"Shifted by {shift.east:+.2f} cells east and {shift.north:+.2f} north: check whether "
            "the source's coordinates are centres or corners."
        )
    return " ".join(remarks)


def _length(metres: float) -> str:
    return f"{metres / 1000:.1f} km" if metres >= 1000 else f"{metres:.0f} m"


def _statistics(array: xr.DataArray, steps: int, missing: int | None) -> dict[str, float | None]:
    """Compute share of valid values, extremes and mean of a few steps, in one pass."""
    if "time" in array.dims:
        array = array.isel(time=spaced(array.sizes["time"], steps))
    is_valid = array.notnull() if missing is None else array != missing
    values = array.where(is_valid).astype("f8")
    weight = is_valid * _row_weight(array)
    found = xr.Dataset(
        {
            "valid": is_valid.mean(),
            "minimum": values.min(),
            "maximum": values.max(),
            "total": (values.fillna(0.0) * weight).sum(),
            "weight": weight.sum(),
        }
    ).compute()
    numbers = {str(name): float(found[name]) for name in found.data_vars}
    mean = numbers["total"] / numbers["weight"] if numbers["weight"] > 0.0 else math.nan
    extremes = {name: _known(numbers[name]) for name in ("valid", "minimum", "maximum")}
    return {**extremes, "mean": _known(mean)}


def _row_weight(array: xr.DataArray) -> xr.DataArray:
    """Weigh rows by area on longitude/latitude grids; projected cells are near enough alike."""
    grid = grid_of(array)
    if grid.crs is None or not grid.crs.geographic:
        return xr.ones_like(array["y"], dtype="f8")
    column = GeoBox((grid.shape.y, 1), grid.affine, grid.crs)
    return xr.DataArray(cell_area(column).values[:, 0], dims="y", coords={"y": array["y"]})


def _coverage(source: GeoBox, target: GeoBox) -> float:
    """Give the share of the target's centres within the source, from at most 128 × 128 of them."""
    rows, columns = (spaced(count, 128) + 0.5 for count in target.shape)
    column, row = places(target, source, *np.meshgrid(columns, rows))
    edge, column = 1e-6, turned(column, source)
    is_inside = (row >= -edge) & (row <= source.shape.y + edge)
    is_inside &= (column >= -edge) & (column <= source.shape.x + edge)
    return float(is_inside.mean())


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
