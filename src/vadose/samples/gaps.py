"""Gaps as a satellite has them: laid on values that are known, and told by length and age."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, ValueProblem

Mask = npt.NDArray[np.bool_]

DAY = np.timedelta64(1, "D")


def lay_gaps(
    cube: xr.DataArray,
    *,
    rng: np.random.Generator | int,
    share: float = 0.1,
    days: int = 1,
    donors: Mask | None = None,
) -> xr.DataArray:
    """Hide observed values under gaps of other days, which have the shape of real swaths.

    Days and gaps are drawn at random, and the missing cells of the one laid on the other, until the share
    is reached. What was missing already stays missing and is not counted as hidden.

    Parameters
    ----------
    cube
        Coarse values, dims ``time, y, x``; NaN where missing.
    rng
        Generator or seed.
    share
        Share of the observed values to hide, above 0 and below 1. The last gap is laid whole, so that
        somewhat more may be hidden.
    days
        Steps in a row on which a gap is laid. Gaps between swaths last a day or two; longer ones, as of
        an outage or a frozen season, come of more steps.
    donors
        Gaps to choose from, true where missing, dims ``day, y, x``: those of swaths alone, say, without
        cells that are masked for frost (``cube["origin"] == 0``), or of
        `vadose.synthetic.views.swaths`, inverted. The gaps of the cube itself unless given.

    Returns
    -------
    xarray.DataArray
        True where a value is hidden, dims ``time, y, x``; ``share`` among the attributes is the one that
        was reached.

    Raises
    ------
    CubeProblem
        Other dims, or donors of another shape.
    ValueProblem
        A share or days out of range, no gaps to choose from, or a share that they cannot reach.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> coarse = world(size=16, days=16, factor=4, seed=0).coarse["soil_moisture"]
    >>> hidden = lay_gaps(coarse, rng=0, share=0.2)
    >>> bool(coarse.where(hidden).notnull().equals(hidden)), 0.2 <= hidden.attrs["share"] < 0.3
    (True, True)
    """
    if cube.dims != ("time", "y", "x"):
        raise CubeProblem(
            str(cube.name or "cube"), found=f"dimensions {cube.dims}", expected="time, y, x"
        )
    is_missing = cube.isnull().values
    masks = is_missing if donors is None else np.asarray(donors, dtype=bool)
    if masks.ndim != 3 or masks.shape[1:] != is_missing.shape[1:]:
        raise CubeProblem(
            "donors", found=f"shape {masks.shape}", expected=f"(day, {is_missing.shape[1:]})"
        )
    steps = len(is_missing)
    if not 0 < share < 1 or not 1 <= days <= steps:
        raise ValueProblem(
            "gaps",
            found=f"share={share:g}, days={days}",
            expected=f"0 < share < 1 and days from 1 to {steps}",
        )
    is_observed = ~is_missing
    ever = is_observed.any(axis=0)
    wanted = share * is_observed.sum()
    # a day without any gap hides nothing, a day without any value says nothing of the shape of gaps
    is_donor = masks[:, ever].any(axis=1) & ~masks[:, ever].all(axis=1)
    chosen = np.flatnonzero(is_donor)
    starts = np.arange(steps - days + 1)
    if not chosen.size:
        raise ValueProblem(
            str(cube.name or "cube"),
            found="no day with both gaps and values",
            expected="gaps to lay on other days",
            remedy="Give donors=~vadose.synthetic.views.swaths(cube.shape, rng).",
        )
    draw = np.random.default_rng(rng)
    hidden, count = np.zeros_like(is_missing), 0
    # every donor is laid once a round, and there are as many rounds as days, so that the search ends
    for _ in range(steps):
        laid = zip(
            draw.permutation(chosen), itertools.cycle(draw.permutation(starts)), strict=False
        )
        for donor, start in laid:
            at = slice(start, start + days)
            new = masks[donor] & is_observed[at] & ~hidden[at]
            hidden[at] |= new
            count += int(new.sum())
            if count >= wanted:
                return xr.DataArray(
                    hidden,
                    dims=cube.dims,
                    coords=cube.coords,
                    name="is_hidden",
                    attrs={"share": float(count / is_observed.sum()), "days": days},
                )
    raise ValueProblem(
        "gaps",
        found=f"a share of {count / is_observed.sum():.2f} under all gaps together",
        expected=f"{share:g}",
        remedy="Ask for a smaller share.",
    )


def gap_ages(is_observed: xr.DataArray) -> xr.Dataset:
    """Tell how long the gap of each missing value is, and how old the last observation.

    Parameters
    ----------
    is_observed
        True where there is a value, dims ``time`` and any others; stamps increase. For hidden values:
        ``coarse.notnull() & ~hidden``.

    Returns
    -------
    xarray.Dataset
        In days, dims as given: ``age`` since the last observation, 0 where observed and NaN before the
        first; ``ahead`` to the next one, likewise; ``nearest``, the smaller of both; ``length``, of the
        gap, the days between the two observations around it, NaN where there is none on one side (its
        length is not known) and where observed.

    Raises
    ------
    CubeProblem
        No time, or stamps that do not increase.

    Examples
    --------
    >>> days = np.arange("2019-07-01", "2019-07-06", dtype="M8[D]").astype("M8[ns]")
    >>> seen = xr.DataArray([True, False, False, True, False], dims="time", coords={"time": days})
    >>> ages = gap_ages(seen)
    >>> ages["age"].values, ages["length"].values
    (array([0., 1., 2., 0., 1.]), array([nan,  2.,  2., nan, nan]))
    """
    if (
        "time" not in is_observed.coords
        or not (np.diff(is_observed["time"].values) > 0 * DAY).all()
    ):
        raise CubeProblem(
            str(is_observed.name or "mask"),
            found="stamps that do not increase" if "time" in is_observed.coords else "no time",
            expected="sorted times",
        )
    seen = is_observed.transpose("time", ...)
    stamps = seen["time"].values.astype("M8[ns]")
    day = ((stamps - stamps[0]) / DAY).reshape(-1, *[1] * (seen.ndim - 1))
    last = np.maximum.accumulate(np.where(seen.values, day, -np.inf), axis=0)
    following = np.minimum.accumulate(np.where(seen.values, day, np.inf)[::-1], axis=0)[::-1]
    age, ahead = day - last, following - day
    length = np.where(seen.values, np.nan, age + ahead - 1)
    return xr.Dataset(
        {
            name: seen.copy(data=np.where(np.isfinite(values), values, np.nan))
            for name, values in (
                ("age", age),
                ("ahead", ahead),
                ("nearest", np.minimum(age, ahead)),
                ("length", length),
            )
        }
    ).transpose(*is_observed.dims)
