"""Mask what a product's own flags doubt: for reasons named by the caller, and never in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from vadose.errors import CubeProblem, UnknownName
from vadose.schema import ORIGIN, QUALITY, variable


@dataclass(frozen=True)
class Dropped:
    """Count what was masked in one variable.

    Attributes
    ----------
    variable
        Its name.
    valid_before, masked
        Values before, and how many of them were masked.
    total
        Of the values before, how many each reason doubts; a value may have several.
    exclusive
        How many of them no other reason of those named doubts: what keeping this reason would bring
        back.
    """

    variable: str
    valid_before: int
    masked: int
    total: dict[str, int]
    exclusive: dict[str, int]


def apply_quality(
    cube: xr.Dataset, *, drop: Sequence[str], variables: Sequence[str] | None = None
) -> tuple[xr.Dataset, list[Dropped]]:
    """Mask values that the product's flags doubt for one of the reasons named.

    Parameters
    ----------
    cube
        With ``quality``, whose bits are `vadose.schema.QUALITY`.
    drop
        Reasons for which a value becomes a gap; none masks nothing.
    variables
        What to mask; all continuous variables with the dims of ``quality`` unless named.

    Returns
    -------
    tuple
        The cube, of which values became NaN; lazy if it was. ``quality`` is kept, and ``origin``, where
        there is one, says masked. And the counts, which take a pass over the data; they stand in the
        attributes ``quality_dropped`` and ``quality_masked`` too.

    Raises
    ------
    UnknownName
        A reason or variable that does not exist.
    CubeProblem
        No ``quality`` in the cube, or a variable without gaps (codes).

    Examples
    --------
    >>> from vadose.grids import coordinates, latlon
    >>> flags = np.array([[0, QUALITY.mask("frozen", "snow")]], "u2")
    >>> cube = xr.Dataset(
    ...     {"soil_moisture": (("y", "x"), [[0.2, 0.3]]), "quality": (("y", "x"), flags)},
    ...     coords=coordinates(latlon(180.0)),
    ... )
    >>> masked, counts = apply_quality(cube, drop=("frozen",))
    >>> masked["soil_moisture"].values, counts[0].total
    (array([[0.2, nan]]), {'frozen': 1})
    """
    if "quality" not in cube.data_vars:
        raise CubeProblem(
            "cube",
            found=f"variables {', '.join(sorted(map(str, cube.data_vars)))}",
            expected="also quality",
            remedy="Read the product's flags, or do not ask for a quality mask.",
        )
    QUALITY.mask(*drop)
    reasons = list(dict.fromkeys(drop))
    quality = cube["quality"]
    names = _names(cube) if variables is None else list(variables)
    masked, pending = {}, []
    is_doubted = (quality & quality.dtype.type(QUALITY.mask(*reasons))) != 0
    for name in names:
        array = _maskable(cube, name)
        pending.append(_count(array.notnull(), quality, reasons))
        masked[name] = array.where(~is_doubted)
    computed = _compute(pending)
    counts = []
    for name, numbers in zip(names, computed, strict=True):
        row = Dropped(
            name,
            numbers["valid"],
            numbers["masked"],
            {reason: numbers[f"total {reason}"] for reason in reasons},
            {reason: numbers[f"only {reason}"] for reason in reasons},
        )
        masked[name].attrs.update(
            quality_dropped=" ".join(reasons) or "nothing", quality_masked=row.masked
        )
        counts.append(row)
    result = cube.assign(masked)
    if "origin" in cube.data_vars and names:
        was_valid = xr.concat([cube[name].notnull() for name in names], dim="variable").any(
            "variable"
        )
        origin = cube["origin"]
        code = origin.dtype.type(ORIGIN.code("masked"))
        result["origin"] = origin.where(~(is_doubted & was_valid), code).assign_attrs(origin.attrs)
    return result, counts


def _names(cube: xr.Dataset) -> list[str]:
    dims = set(cube["quality"].dims)
    return [
        str(name)
        for name, array in cube.data_vars.items()
        if variable(str(name)).kind == "continuous" and dims <= set(array.dims)
    ]


def _maskable(cube: xr.Dataset, name: str) -> xr.DataArray:
    if name not in cube.data_vars:
        raise UnknownName("variable of the cube", name, map(str, cube.data_vars))
    array = cube[name]
    if not np.issubdtype(array.dtype, np.floating):
        raise CubeProblem(
            name, found=f"type {array.dtype}, which has no gap", expected="floating point"
        )
    if not set(cube["quality"].dims) <= set(array.dims):
        raise CubeProblem(
            name,
            found=f"dimensions {array.dims}",
            expected=f"those of quality, {cube['quality'].dims}",
        )
    return array


def _count(
    is_valid: xr.DataArray, quality: xr.DataArray, reasons: Sequence[str]
) -> dict[str, xr.DataArray]:
    """Prepare the counts of one variable, to be computed with those of the others."""
    kind = quality.dtype.type
    dropped = quality & kind(QUALITY.mask(*reasons))
    counted = {"valid": is_valid.sum(), "masked": (is_valid & (dropped != 0)).sum()}
    for reason in reasons:
        bit = kind(QUALITY.mask(reason))
        counted[f"total {reason}"] = (is_valid & ((quality & bit) != 0)).sum()
        counted[f"only {reason}"] = (is_valid & (dropped == bit)).sum()
    return counted


def _compute(pending: Sequence[dict[str, xr.DataArray]]) -> list[dict[str, int]]:
    """Compute all counts in one pass."""
    flat = {
        f"{place} {key}": count.drop_vars(count.coords)
        for place, counted in enumerate(pending)
        for key, count in counted.items()
    }
    found = xr.Dataset(flat).compute()
    return [
        {key: int(found[f"{place} {key}"]) for key in counted}
        for place, counted in enumerate(pending)
    ]
