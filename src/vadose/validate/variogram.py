"""Variograms: how much values differ by the distance between them, for maps with gaps and for stations.

All pairs of places at a lag are counted, whatever is missing: for maps by Fourier transforms of values and
masks, exactly. What two products have in common is told by their increments over the same pairs, so that a
bias, or a mean over the whole map, has no say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import fft

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.grids import grid_of
from vadose.samples.blocks import EARTH
from vadose.validate.resolution import as_given, cell_lengths, described, together

Floats = npt.NDArray[np.float64]


def variograms(
    products: Mapping[str, xr.DataArray],
    *,
    reference: str | None = None,
    longest: float | None = None,
) -> xr.Dataset:
    """Give the isotropic variograms of maps, on the places that all of them have.

    Parameters
    ----------
    products
        Fields by name, dims ``[time,] y, x``, on one grid; NaN in gaps.
    reference
        Name of the one among them to compare increments with.
    longest
        Longest lag, km; a third of the map's shorter side unless given.

    Returns
    -------
    xarray.Dataset
        ``variance (product[, time], scale)``, the semivariance in the unit of the data squared;
        ``covariance``, half the mean product of the increments of product and reference (NaN without one);
        ``number ([time,] scale)`` of pairs; ``lag (scale)``, the mean lag in km, and ``wavelength``, twice
        that. Classes are as wide as the larger side of a cell in the middle of the map, where lags are measured: cut maps
        of degrees that reach over many latitudes. NaN where there is no pair.

    Raises
    ------
    CubeProblem
        Dims, days or grids that differ.
    ValueProblem
        A longest lag below one cell or beyond the map, or no pair on any day.
    UnknownName
        No such reference.

    References
    ----------
    Marcotte (1996), Comput. Geosci. 22:1175 (variograms by FFT); Matheron (1965), codispersion.

    Examples
    --------
    >>> from vadose.grids import coordinates, named_grid
    >>> grid = named_grid("EASE2_9km")[500:540, 900:940]
    >>> noise = np.random.default_rng(0).standard_normal(grid.shape)
    >>> noise[5:20, 5:20] = np.nan
    >>> field = xr.DataArray(noise, dims=("y", "x"), coords=coordinates(grid))
    >>> told = variograms({"noise": field})
    >>> told["variance"].values.squeeze()[:3].round(1)
    array([1., 1., 1.])
    """
    fields, common = together(products, reference)
    grid = grid_of(common)
    shape = (grid.shape.y, grid.shape.x)
    one_height, one_width = cell_lengths(grid, [shape[0] // 2], [shape[1] // 2])
    height, width = float(one_height[0]), float(one_width[0])
    reach = min(shape[0] * height, shape[1] * width)
    cell = max(height, width)
    longest = reach / 3 if longest is None else longest
    if not cell <= longest < reach:
        raise ValueProblem(
            "longest",
            found=f"{longest:.3g} km on a map of {shape[0]} x {shape[1]} cells of {cell:.3g} km",
            expected=f"{cell:.3g} to {reach:.3g} km",
        )
    down, across = int(longest // height), int(longest // width)
    padded = tuple(
        fft.next_fast_len(size + most, real=True)
        for size, most in zip(shape, (down, across), strict=True)
    )
    lag_y, lag_x = np.arange(-down, down + 1), np.arange(-across, across + 1)
    distance = np.hypot(lag_y[:, None] * height, lag_x[None, :] * width)
    lag_class = np.rint(distance / cell).astype(int)
    is_in = (lag_class >= 1) & (distance <= longest)
    classes = int(lag_class[is_in].max())
    ring = lag_class[is_in] - 1
    lagged = partial(_lagged, padded=padded, at=np.ix_(lag_y, lag_x), is_in=is_in)
    steps = common.sizes["time"]
    sums = np.zeros((2, len(fields), steps, classes))
    number, far = np.zeros((steps, classes)), np.zeros(classes)
    base = None if reference is None else list(products).index(reference)
    for step in range(steps):
        known = common.isel(time=step).values
        maps = [_centred(one.isel(time=step).values, known) for one in fields]
        mask = known.astype("f8")
        pairs = np.rint(lagged(mask, mask))
        number[step] = np.bincount(ring, pairs, classes)
        far += np.bincount(ring, pairs * distance[is_in], classes)
        for place in range(len(fields)):
            sums[0, place, step] = np.bincount(
                ring, _increments(maps[place], maps[place], mask, lagged), classes
            )
            if base is not None:
                sums[1, place, step] = np.bincount(
                    ring, _increments(maps[place], maps[base], mask, lagged), classes
                )
    if not number.any():
        raise ValueProblem("products", found="no pair of places on any day", expected="some")
    total = number.sum(axis=0)
    lag = np.divide(far, total, out=cell * np.arange(1.0, classes + 1), where=total > 0)
    variance, covariance = np.divide(
        sums, 2 * number, out=np.full(sums.shape, np.nan), where=number > 0
    )
    result = described(variance, covariance, number / 2, 2 * lag, reference)
    return as_given(_with_lag(result), products, common)


def station_variograms(
    products: Mapping[str, xr.DataArray], edges: npt.ArrayLike, *, reference: str | None = None
) -> xr.Dataset:
    """Give the variograms of products at stations, or of the stations themselves.

    Parameters
    ----------
    products
        Dims ``station, time``, with ``lat`` and ``lon`` (degrees) along ``station``: readings and what
        `vadose.validate.match.at_stations` gives. Values count where all products have one.
    edges
        Edges of the classes of distance, km, increasing.
    reference
        Name of the one among them to compare increments with: the stations.

    Returns
    -------
    xarray.Dataset
        As `variograms` gives it, ``product, scale``: over all pairs of stations and the times that both
        have. Classes without a pair are NaN.

    Raises
    ------
    CubeProblem
        Other dims, stations or times.
    ValueProblem
        Edges that do not increase from 0 or more, or no pair in any class.
    UnknownName
        No such reference.

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> stations = world(size=32, days=8, factor=4, seed=0).stations
    >>> told = station_variograms({"stations": stations["soil_moisture"]}, [0, 10, 20, 40])
    >>> int(told["number"].sum()), bool((told["variance"] > 0).all())
    (465, True)
    """
    if not products:
        raise ValueProblem("products", found="none", expected="one or more")
    if reference is not None and reference not in products:
        raise UnknownName("reference", reference, products)
    bounds = np.asarray(edges, dtype="f8")
    if bounds.size < 2 or bounds[0] < 0 or not (np.diff(bounds) > 0).all():
        raise ValueProblem(
            "edges", found=f"{bounds.tolist()}", expected="two or more that increase from 0 km"
        )
    first = next(iter(products.values()))
    values = []
    for name, product in products.items():
        if set(product.dims) != {"station", "time"} or product.shape != first.shape:
            raise CubeProblem(
                name,
                found=f"{dict(product.sizes)}",
                expected=f"station and time, as of the first product: {dict(first.sizes)}",
            )
        values.append(product.transpose("station", "time").values.astype("f8"))
    fields = np.stack(values)
    known = np.isfinite(fields).all(axis=0)
    fields = np.stack([_centred(one, known) for one in fields])
    mask = known.astype("f8")
    distance = _distances(first["lat"].values, first["lon"].values)
    upper = np.triu_indices(len(distance), 1)
    place = np.searchsorted(bounds, distance[upper], side="right") - 1
    is_in = (place >= 0) & (place < bounds.size - 1)
    classes = bounds.size - 1

    def in_classes(of_pairs: Floats) -> Floats:
        return np.bincount(place[is_in], of_pairs[upper][is_in], classes).astype("f8")

    number = in_classes(mask @ mask.T)
    if not number.any():
        raise ValueProblem(
            "stations",
            found="no pair with readings at one time in any class",
            expected=f"pairs {bounds[0]:g} to {bounds[-1]:g} km apart",
        )
    sums = np.zeros((2, len(fields), classes))
    base = None if reference is None else list(products).index(reference)
    for row, field in enumerate(fields):
        for kind, other in enumerate((field, None if base is None else fields[base])):
            if other is not None:
                level = (field * other) @ mask.T
                across = field @ other.T
                sums[kind, row] = in_classes(level + level.T - across - across.T)
    lag = np.divide(
        in_classes(mask @ mask.T * distance),
        number,
        out=(bounds[1:] + bounds[:-1]) / 2,
        where=number > 0,
    )
    variance, covariance = np.divide(
        sums, 2 * number, out=np.full(sums.shape, np.nan), where=number > 0
    )
    result = described(variance[:, None], covariance[:, None], number[None], 2 * lag, reference)
    return _with_lag(result).isel(time=0, drop=True).assign_coords(product=list(products))


def _with_lag(scales: xr.Dataset) -> xr.Dataset:
    return scales.assign_coords(lag=("scale", scales["wavelength"].values / 2, {"units": "km"}))


def _lagged(
    first: Floats,
    other: Floats,
    *,
    padded: tuple[int, ...],
    at: tuple[npt.NDArray[np.intp], ...],
    is_in: npt.NDArray[np.bool_],
) -> Floats:
    """Sum the products of one map and another one moved, for all lags that are asked for."""
    both = fft.irfft2(fft.rfft2(first, padded).conj() * fft.rfft2(other, padded), padded)
    return np.asarray(both[at][is_in])


def _increments(
    one: Floats, other: Floats, mask: Floats, lagged: Callable[[Floats, Floats], Floats]
) -> Floats:
    """Sum the products of the increments of two maps over the pairs at each lag."""
    both = one * other
    # the lags of a class hold both signs, so that one of the two crossed terms can stand for both
    return lagged(both, mask) + lagged(mask, both) - 2 * lagged(one, other)


def _centred(values: npt.NDArray[np.floating], known: npt.NDArray[np.bool_]) -> Floats:
    """Take off the mean, which increments do not see, so that sums of squares lose no digits."""
    if not known.any():
        return np.zeros(values.shape)
    whole = values.astype("f8")
    return np.where(known, whole - whole[known].mean(), 0.0)


def _distances(latitude: Floats, longitude: Floats) -> Floats:
    """Give the distances between stations, km, by haversines."""
    north, east = np.radians(latitude.astype("f8")), np.radians(longitude.astype("f8"))
    half = np.sin((north[:, None] - north) / 2) ** 2
    half += np.cos(north)[:, None] * np.cos(north) * np.sin((east[:, None] - east) / 2) ** 2
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))
