"""Scores of ensembles: how near the members are to the truth, and whether their spread means something.

A score is a statistic of places, then a weighted mean per date, then a function of means over the dates:
`score_by_date` and `pool`. A place counts where the truth and *all* members have a value; what does not count
is counted as a gap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, GridProblem, ValueProblem
from vadose.grids import cell_area, grid_of
from vadose.validate.spectrum import BOX, spectra

Floats = npt.NDArray[np.float64]
#: Levels of central intervals of which the coverage is told.
LEVELS = (0.5, 0.9)


def crps(
    members: npt.NDArray[np.floating], truth: npt.NDArray[np.floating], *, is_fair: bool = False
) -> Floats:
    """Give the continuous ranked probability score of each place: 0 is best; of one member, the absolute error.

    ``mean |x_i - y| - sum_ij |x_i - x_j| / (2 M²)``, of which the double sum is taken over sorted members
    in one pass: ``sum_i (2 i - M - 1) x_(i)`` is half of it.

    Parameters
    ----------
    members
        Dims ``member`` and those of `truth`. NaN in any of them spreads.
    truth
        Values to compare with; NaN spreads.
    is_fair
        Divide by ``2 M (M - 1)``: the score that infinitely many members would have on average, if the
        members are independent draws. Without, a small ensemble is judged as what it is.

    Returns
    -------
    numpy.ndarray
        Shape of `truth`, in its unit.

    References
    ----------
    Hersbach (2000), Weather Forecast. 15:559; Ferro (2014), Q. J. R. Meteorol. Soc. 140:1917 (fair).

    Examples
    --------
    >>> crps(np.array([[0.1], [0.3]]), np.array([0.2])).round(3)
    array([0.05])
    """
    ordered, known = _sorted(members, truth)
    count = len(ordered)
    if is_fair and count < 2:
        raise ValueProblem("fair CRPS", found="1 member", expected="2 or more")
    factors = 2.0 * np.arange(1, count + 1) - count - 1
    pairs = np.tensordot(factors, ordered, axes=1)
    error = np.abs(ordered - known).mean(axis=0)
    return np.asarray(error - pairs / (count * (count - 1 if is_fair else count)))


def rank(
    members: npt.NDArray[np.floating],
    truth: npt.NDArray[np.floating],
    *,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Count the members below the truth at each place: 0 to the number of members; -1 in a gap.

    Where members equal the truth, each rank that it could have is as likely.

    Parameters
    ----------
    members, truth
        As for `crps`.
    rng
        Decides ties.

    References
    ----------
    Hamill (2001), Mon. Weather Rev. 129:550.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rank(np.array([[0.1, 0.0], [0.3, np.nan]]), np.array([0.2, 0.1]), rng=rng)
    array([ 1, -1])
    """
    ordered, known = _sorted(members, truth)
    below, ties = (ordered < known).sum(axis=0), (ordered == known).sum(axis=0)
    ranks = below + rng.integers(0, ties + 1)
    return np.where(_is_known(ordered, known), ranks, -1)


def rank_histogram(
    members: xr.DataArray, truth: xr.DataArray, *, rng: np.random.Generator
) -> xr.Dataset:
    """Count how often the truth has each rank among the members: flat where it could be one of them.

    Parameters
    ----------
    members
        Dims ``member, [time,] y, x``.
    truth
        Dims ``[time,] y, x``, the same places.
    rng
        Decides ties.

    Returns
    -------
    xarray.Dataset
        ``number (rank)``; ``gaps``, places where the truth or a member has no value; ``departure``, the
        share of the places that would have to change their rank to make it flat.

    Raises
    ------
    CubeProblem, GridProblem, ValueProblem
        Dims, days or grids that differ; no place in common.
    """
    drawn, known = _together(members, truth)
    ranks = rank(drawn, known, rng=rng)
    number = np.bincount(ranks[ranks >= 0], minlength=len(drawn) + 1)
    _need_places(int(number.sum()))
    share = number / number.sum()
    return xr.Dataset(
        {
            "number": ("rank", number),
            "gaps": int((ranks < 0).sum()),
            "departure": float(np.abs(share - 1 / len(number)).sum() / 2),
        },
        coords={"rank": np.arange(len(number))},
    )


def score_by_date(
    members: xr.DataArray,
    truth: xr.DataArray,
    *,
    weight: xr.DataArray | None = None,
    levels: Sequence[float] = LEVELS,
    is_stratified: bool = False,
) -> xr.Dataset:
    """Give the means over the places of each date that scores of an ensemble are made of.

    Parameters
    ----------
    members
        Dims ``member, [time,] y, x``.
    truth
        Dims ``[time,] y, x``, on the same grid and days.
    weight
        Dims ``y, x``; the true area of each cell unless given.
    levels
        Of the central intervals between quantiles of the members.
    is_stratified
        Where among the members quantiles lie, see `vadose.downscale.members.sum_up`.

    Returns
    -------
    xarray.Dataset
        With dims ``[time]``: ``crps``, ``crps_fair``, ``mae`` and ``bias`` of the mean of the members,
        ``square_error`` of it, ``variance`` between members, ``coverage (…, level)`` and ``width
        (…, level)``, all weighted means, NaN on a day without any place; ``weight``, its sum; ``n``
        and ``gaps``, numbers of places. `pool` makes scores of them.

    Raises
    ------
    CubeProblem, GridProblem, ValueProblem
        Dims, days or grids that differ; fewer than two members; levels that are none.
    """
    drawn, known = _together(members, truth)
    if len(drawn) < 2 or not all(0 < level < 1 for level in levels):
        raise ValueProblem(
            "ensemble",
            found=f"{len(drawn)} members, levels {list(levels)}",
            expected="2 members or more, levels between 0 and 1",
        )
    area = cell_area(grid_of(truth)) if weight is None else weight
    is_known = _is_known(drawn, known)
    share = np.where(is_known, np.broadcast_to(area.values, known.shape), 0.0)
    mean = drawn.mean(axis=0)
    dims = [dim for dim in truth.dims if dim == "time"]
    statistics = {
        "crps": crps(drawn, known),
        "crps_fair": crps(drawn, known, is_fair=True),
        "mae": np.abs(mean - known),
        "bias": mean - known,
        "square_error": (mean - known) ** 2,
        "variance": drawn.var(axis=0, ddof=1),
    }
    total = share.sum(axis=(-2, -1))
    scores = {name: (dims, _mean(values, share, total)) for name, values in statistics.items()}
    method = "hazen" if is_stratified else "weibull"
    covered, widths = [], []
    for level in levels:
        tails = [(1 - level) / 2, (1 + level) / 2]
        lower, upper = np.quantile(drawn, tails, axis=0, method=method)  # type: ignore[call-overload]
        covered.append(_mean(((known >= lower) & (known <= upper)).astype("f8"), share, total))
        widths.append(_mean(upper - lower, share, total))
    scores["coverage"] = [*dims, "level"], np.stack(covered, axis=-1)
    scores["width"] = [*dims, "level"], np.stack(widths, axis=-1)
    scores["weight"] = dims, total
    scores["n"] = dims, is_known.sum(axis=(-2, -1))
    scores["gaps"] = dims, (~is_known).sum(axis=(-2, -1))
    coords = {name: truth[name] for name in dims} | {"level": list(levels)}
    return xr.Dataset(scores, coords=coords, attrs={"members": len(drawn)})


def pool(scores: xr.Dataset) -> xr.Dataset:
    """Make scores of the means over the places of one or more dates.

    Parameters
    ----------
    scores
        What `score_by_date` gave, or some dates of it.

    Returns
    -------
    xarray.Dataset
        ``crps``, ``crps_fair``, ``mae``, ``bias``, ``rmse``, ``spread``, ``coverage (level)``, ``width
        (level)``, ``n``, ``gaps``, and ``spread_skill``: the spread over the RMSE that members of this
        spread would have, 1 where the truth could be one of them.

    References
    ----------
    Fortin et al. (2014), J. Hydrometeorol. 15:1708 (which spread goes with which RMSE).
    """
    dims = [dim for dim in scores["weight"].dims if dim == "time"]
    _need_places(int(scores["n"].sum()))
    counts = scores[["n", "gaps"]].sum(dims)
    shares = scores["weight"] / scores["weight"].sum()
    # a day without any place has no part in the mean, and its NaN is not one of a score
    means = scores.drop_vars(["weight", "n", "gaps"]).where(scores["weight"] > 0, 0.0)
    pooled = (means * shares).sum(dims)
    members = int(scores.attrs["members"])
    pooled["rmse"], pooled["spread"] = np.sqrt(pooled["square_error"]), np.sqrt(pooled["variance"])
    expected = pooled["spread"] * np.sqrt((members + 1) / members)
    pooled["spread_skill"] = expected / pooled["rmse"].where(pooled["rmse"] > 0)
    return pooled.drop_vars(["square_error", "variance"]).merge(counts)


def spread_skill(
    members: xr.DataArray,
    truth: xr.DataArray,
    *,
    bins: int = 10,
    weight: xr.DataArray | None = None,
) -> xr.Dataset:
    """Compare spread and error where the spread is small, and where it is large.

    Parameters
    ----------
    members, truth, weight
        As for `score_by_date`.
    bins
        Classes of spread with as many places each.

    Returns
    -------
    xarray.Dataset
        With dims ``bin``: ``spread`` and ``rmse`` of the mean, both roots of weighted mean squares, and
        ``n``. Spread means something where ``rmse`` grows with it, and is right where ``rmse`` is
        ``sqrt((M + 1) / M)`` times as large.

    Raises
    ------
    CubeProblem, GridProblem, ValueProblem
        As for `score_by_date`; more classes than places.
    """
    drawn, known = _together(members, truth)
    area = cell_area(grid_of(truth)) if weight is None else weight
    is_known = _is_known(drawn, known)
    if len(drawn) < 2 or not 1 <= bins <= max(int(is_known.sum()), 1):
        raise ValueProblem(
            "spread and skill",
            found=f"{len(drawn)} members, {bins} classes of {int(is_known.sum())} places",
            expected="2 members or more, and a class or more with a place or more",
        )
    _need_places(int(is_known.sum()))
    share = np.broadcast_to(area.values, known.shape)[is_known]
    drawn, known = drawn[:, is_known], known[is_known]
    variance, square_error = drawn.var(axis=0, ddof=1), (drawn.mean(axis=0) - known) ** 2
    parts = np.array_split(np.argsort(variance, kind="stable"), bins)
    table = [
        [np.average(values[part], weights=share[part]) for part in parts]
        for values in (variance, square_error)
    ]
    return xr.Dataset(
        {
            "spread": ("bin", np.sqrt(table[0])),
            "rmse": ("bin", np.sqrt(table[1])),
            "n": ("bin", [len(part) for part in parts]),
        }
    )


def spectrum_slope(
    field: xr.DataArray, *, box: int = BOX, shortest: float = 0.0, longest: float = np.inf
) -> float:
    """Give the slope of power over wavenumber, both logarithmic: near 0 for speckle, -3 for a smooth field.

    Parameters
    ----------
    field
        Dims ``[member,] [time,] y, x``; the power of days and members is averaged first.
    box
        See `vadose.validate.spectrum.spectra`.
    shortest, longest
        Wavelengths in km between which the line is fitted, every ring of waves with one voice.

    Raises
    ------
    ValueProblem
        No box without gaps, or fewer than three rings between the wavelengths.

    Examples
    --------
    >>> from vadose.grids import coordinates, named_grid
    >>> grid = named_grid("EASE2_9km")[500:564, 900:964]
    >>> noise = np.random.default_rng(0).standard_normal((20, 64, 64))
    >>> times = np.datetime64("2020-01-01", "ns") + np.arange(20).astype("m8[D]")
    >>> field = xr.DataArray(noise, dims=("time", "y", "x"), coords={**coordinates(grid), "time": times})
    >>> abs(spectrum_slope(field, box=32)) < 0.1
    True
    """
    fields = list(field) if "member" in field.dims else [field]
    power: Floats | float = 0.0
    for one in fields:
        told = spectra({"field": one.drop_vars("member", errors="ignore")}, box=box)
        number = told["number"].where(told["number"] > 0, 0.0)
        summed = (told["variance"].sel(product="field", drop=True) * number).where(number > 0, 0.0)
        dims = [dim for dim in summed.dims if dim == "time"]
        power = power + (summed.sum(dims) / number.sum(dims)).values
    wavelength = told["wavelength"].values
    is_used = (wavelength >= shortest) & (wavelength <= longest)
    if is_used.sum() < 3:
        raise ValueProblem(
            "spectrum",
            found=f"{int(is_used.sum())} rings of waves from {shortest:g} to {longest:g} km",
            expected="3 or more",
            remedy=f"There are some from {wavelength.min():.3g} to {wavelength.max():.3g} km.",
        )
    logs = np.log(1.0 / wavelength[is_used]), np.log(np.asarray(power)[is_used])
    return float(np.polyfit(*logs, 1)[0])


def _together(members: xr.DataArray, truth: xr.DataArray) -> tuple[Floats, Floats]:
    """Give the values of both at the same places."""
    if members.dims != ("member", *truth.dims):
        raise CubeProblem(
            "members",
            found=f"dimensions {members.dims}",
            expected=f"{('member', *truth.dims)}, as the truth",
        )
    if grid_of(members) != grid_of(truth):
        raise GridProblem("members", found="another grid", expected="the grid of the truth")
    if "time" in truth.dims and not np.array_equal(members["time"], truth["time"]):
        raise CubeProblem(
            "members: time",
            found=f"{members.sizes['time']} steps that are not those of the truth",
            expected=f"its {truth.sizes['time']}",
            remedy="Choose the days in common first.",
        )
    return members.values.astype("f8"), truth.values.astype("f8")


def _sorted(
    members: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]
) -> tuple[Floats, Floats]:
    drawn, known = np.asarray(members, dtype="f8"), np.asarray(truth, dtype="f8")
    if not drawn.size or drawn.shape[1:] != known.shape:
        raise ValueProblem(
            "members",
            found=f"shape {drawn.shape}",
            expected=f"a first dimension of members, then {known.shape}, as the truth",
        )
    return np.sort(drawn, axis=0), known


def _is_known(members: Floats, truth: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(members).all(axis=0) & np.isfinite(truth))


def _mean(values: Floats, share: Floats, total: Floats) -> Floats:
    """Give the weighted mean over places; those that have no share may be NaN."""
    summed = np.where(share > 0, values * share, 0.0).sum(axis=(-2, -1))
    return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)


def _need_places(number: int) -> None:
    if not number:
        raise ValueProblem(
            "members and truth", found="no place in common", expected="one or more with all values"
        )
