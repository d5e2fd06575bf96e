"""The seamless record: what was observed, what was filled, how wrong it may be, and why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import xarray as xr

from vadose.errors import CubeProblem
from vadose.fuse.base import TARGET, check_record
from vadose.fuse.gap_error import GapError
from vadose.grids import coordinates, grid_of
from vadose.samples.gaps import gap_ages
from vadose.schema import ORIGIN, QUALITY, variable

#: What becomes of observed values: they stand as they are, or the fused field takes their place.
Observed = Literal["keep", "replace"]
#: Soil moisture that a fused value may have, m³ m⁻³.
BOUNDS = (0.0, 0.6)


def seamless(
    satellite: xr.Dataset,
    estimate: xr.DataArray,
    *,
    observed: Observed = "keep",
    error: GapError | None = None,
    cover: xr.DataArray | None = None,
    mask: Sequence[str] = (),
) -> xr.Dataset:
    """Put a filled field together with what was observed.

    Parameters
    ----------
    satellite
        ``soil_moisture`` with gaps, dims ``time, y, x``; if there are, its own
        ``soil_moisture_uncertainty``, ``quality`` and ``origin``.
    estimate
        A value for every cell and day, of a `vadose.fuse.base.Filler`.
    observed
        ``keep``: observed values stand, and the estimate fills gaps. ``replace``: the estimate stands
        everywhere; at observed values it has seen them.
    error
        What errors of hidden values have taught; without it there is no uncertainty of filled values.
    cover
        Class of land cover, dims ``y, x``, if `error` knows of it.
    mask
        Reasons in the words of `vadose.schema.QUALITY` (``frozen``, ``snow``, ``dense_vegetation``,
        ``open_water``) for which a cell and day has no value at all. Nothing is masked unless named:
        elsewhere ``quality`` says why a value is doubtful.

    Returns
    -------
    xarray.Dataset
        ``soil_moisture`` in m³ m⁻³, within 0 to 0.6 where it was estimated; ``origin`` (observed, fused,
        filled, masked, or missing where there is no estimate); ``gap_length`` and ``gap_age``, in days, NaN
        where observed, the first also at either end of the record; ``soil_moisture_uncertainty`` and the
        ends of an interval: of filled values what `error` tells, of observed ones the satellite's own
        uncertainty or NaN; ``quality``, if the satellite has it.

    Raises
    ------
    CubeProblem
        Fields that are not on one grid.
    UnknownName
        A reason that does not exist.

    Examples
    --------
    >>> import vadose.synthetic
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> cube = seamless(world.coarse, world.land_model["soil_moisture"].astype("f4"))
    >>> bool(cube["soil_moisture"].isnull().any())
    False
    """
    check_record(satellite[TARGET], estimate.to_dataset(name=TARGET))
    seen = satellite[TARGET]
    is_seen = seen.notnull()
    limited = estimate.clip(*BOUNDS).astype("f4")
    values = limited.where(~is_seen, seen) if observed == "keep" else limited
    told = dict(error.tell(limited, seen, cover)) if error is not None else {}
    own = f"{TARGET}_uncertainty"
    if own in satellite and own in told:
        told[own] = told[own].fillna(satellite[own])
    is_masked = _masked(satellite, mask)
    code = ORIGIN.code("observed" if observed == "keep" else "fused")
    codes = xr.full_like(seen, ORIGIN.code("filled"), dtype="u1").where(~is_seen, code)
    codes = codes.where(values.notnull(), ORIGIN.code("missing"))
    codes = codes.where(~is_masked, ORIGIN.code("masked"))
    layers = {TARGET: values, **told, **_gaps(gap_ages(is_seen), is_seen)}
    layers = {name: layer.where(~is_masked) for name, layer in layers.items()}
    layers["origin"] = codes.astype("u1")
    if "quality" in satellite:
        layers["quality"] = satellite["quality"]
    cube = xr.Dataset(coords={**coordinates(grid_of(satellite)), "time": seen["time"]})
    for name, layer in layers.items():
        attributes = {**(seen.attrs if name == TARGET else {}), **_attributes(name)}
        cube[name] = layer.transpose("time", "y", "x").drop_attrs().assign_attrs(attributes)
    beside = [name for name in layers if name != TARGET]
    cube[TARGET].attrs["ancillary_variables"] = " ".join(beside)
    return cube


def with_ages(cube: xr.Dataset, ages: xr.Dataset) -> xr.Dataset:
    """Tell length and age of gaps anew, where a record is longer than what the cube was made of.

    Parameters
    ----------
    cube
        What `seamless` gives.
    ages
        What `vadose.fuse.blocks.GapEdges.ages` gives for its days.
    """
    is_masked = cube["origin"] == ORIGIN.code("masked")
    layers = _gaps(ages, ages["age"] == 0)
    return cube.assign(
        {
            name: layer.where(~is_masked)
            .transpose("time", "y", "x")
            .drop_attrs()
            .assign_attrs(cube[name].attrs)
            for name, layer in layers.items()
        }
    )


def _gaps(ages: xr.Dataset, is_seen: xr.DataArray) -> dict[str, xr.DataArray]:
    return {
        "gap_length": ages["length"].astype("f4"),
        "gap_age": ages["nearest"].where(~is_seen).astype("f4"),
    }


def _masked(satellite: xr.Dataset, mask: Sequence[str]) -> xr.DataArray:
    bits = QUALITY.mask(*mask)
    if not bits:
        return xr.zeros_like(satellite[TARGET], dtype=bool)
    if "quality" not in satellite:
        raise CubeProblem(
            "satellite",
            found="no quality",
            expected=f"it, to mask for {', '.join(mask)}",
            remedy="Take a product that tells its reasons, or mask nothing.",
        )
    return (satellite["quality"] & bits) != 0


def _attributes(name: str) -> dict[str, object]:
    attributes: dict[str, object] = dict(variable(name).attributes())
    if name == "origin":
        attributes |= ORIGIN.attributes()
    if name == "quality":
        attributes |= QUALITY.attributes()
    return attributes
