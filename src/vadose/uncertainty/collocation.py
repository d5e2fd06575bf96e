"""Triple and extended collocation: errors, signal-to-noise ratios and R² of three products without a truth.

Three products ``x = a + b T + e`` of one quantity whose errors are independent of each other and of the truth share
their signal alone, so that ``b_x² var(T) = s_xy s_xz / s_yz``; what is left of ``s_xx`` is error. Covariances of short
or unrelated records may give a negative variance of either: it is reported with its sign, since it says that the three
do not bear the assumption, or that the record is too short.

References
----------
Stoffelen (1998), J. Geophys. Res. 103, 7755-7766. McColl et al. (2014), Geophys. Res. Lett. 41, 6229-6236 (R²).
Gruber et al. (2016), Int. J. Appl. Earth Obs. 45, 200-211 (SNR in dB).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from vadose.errors import RecipeProblem, UnknownName
from vadose.uncertainty.covariance_draws import (
    choose_lengths,
    draw_covariances,
    draw_starts,
    possible_lengths,
    widen,
)
from vadose.uncertainty.moments import Array, Floats, block_edges, pairs, sum_products
from vadose.uncertainty.places import Output, check_products, label_products, map_places

#: What intervals are given for.
WITH_INTERVALS = ("error_variance", "r_squared", "snr_db", "slope")
#: Classes of how well a product stands for the others' scale; their numbers are their places.
CLASSES = ("undeducible", "not_representative", "representative", "very_representative")
#: Triplets and the width of the interval of SNR, dB, with which a class is told; its bounds, dB.
CLASS_TRIPLETS, CLASS_WIDTH, CLASS_BOUNDS = 100, 3.0, (0.0, 3.0)
#: Draws with which an interval begins to mean something.
LEAST_DRAWS = 50
#: Places that are drawn together: their running sums stay in the processor's cache.
TOGETHER = 32


def triple_collocation(
    products: Mapping[str, xr.DataArray],
    *,
    reference: str | None = None,
    minimum: int = 100,
    draws: int = 0,
    block_length: int | None = None,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Estimate the errors of three products with independent errors at every place.

    Only complete rows (triplets) count. Data in dask arrays is worked on when the result is computed,
    one chunk of places after the other; chunks change no bit.

    Parameters
    ----------
    products
        Three, by name; dims ``(time, y, x)``, ``(time, station)`` or ``time`` with what else they share,
        and the same times and places. Units may differ. NaN is a gap.
    reference
        The product to whose scale the others are brought; the first if left out.
    minimum
        Triplets below which nothing is estimated.
    draws
        Records drawn by blocks for intervals, some hundreds; none with 0. In simulations of one to
        eight years of days, with 0 or 60 % of gaps, a nominal 95 % covers 87-98 %: the low end belongs
        to one year of errors that are autocorrelated by .9, or of a signal by .95.
    block_length
        Of these blocks, in times; from the memory of the data if left out.
    level
        Coverage that intervals aim at.
    rng
        Randomness of the draws.

    Returns
    -------
    xarray.Dataset
        Dims ``(product, y, x)``: ``error_variance`` and ``signal_variance`` in the square of each
        product's own unit, either may be negative and then ``is_negative`` is set; ``r_squared`` with the
        unknown truth, below 0 or above 1 in these cases; ``snr_db``, NaN in these cases alone;
        ``slope`` and ``offset`` with which a product is brought to the scale of the reference, and
        ``error_variance_scaled`` on that scale. Dims ``(y, x)``: ``n`` triplets, and ``is_too_few`` where
        that is below `minimum` and all estimates are NaN. With `draws`: ``_lower`` and ``_upper`` for
        error_variance, r_squared, snr_db (infinite where R² reaches 0 or 1) and slope, ``block_length``,
        and ``representativeness`` by SNR: undeducible with less than 100 triplets or an interval wider
        than 3 dB, else very representative from 3 dB on, representative from 0 dB on, or not.

    Raises
    ------
    RecipeProblem
        Not three products; draws without `rng`; settings that make no sense.
    UnknownName
        A reference that is no product.
    CubeProblem, GridProblem
        Products that differ in dims or coordinates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.05, 20_000)
    >>> station, satellite, model = (
    ...     xr.DataArray(slope * truth + rng.normal(0, sd, truth.size), dims="time")
    ...     for slope, sd in ((1, 0.05), (1, 0.025), (2, 0.05))
    ... )
    >>> found = triple_collocation({"station": station, "satellite": satellite, "model": model})
    >>> found["snr_db"].values.round()
    array([0., 6., 6.])
    >>> found["slope"].values.round(1)
    array([1. , 1. , 0.5])
    """
    checked = check_products(products, least=3, most=3, one_unit=False)
    names = list(checked)
    times = checked[names[0]].sizes["time"]
    if reference is not None and reference not in names:
        raise UnknownName("reference", reference, names)
    _check_settings(minimum, draws, block_length, level, times)
    starts: dict[int, Array] = {}
    if draws:
        if rng is None:
            raise RecipeProblem(
                "rng",
                found=f"none for {draws} draws",
                remedy="Pass numpy.random.default_rng(seed), so that intervals can be repeated.",
            )
        lengths = possible_lengths(times) if block_length is None else [block_length]
        starts = draw_starts(times, lengths, draws, rng)
    base = names.index(reference or names[0])

    def estimate(arrays: list[Array]) -> dict[str, Array]:
        count, mean, covariance = sum_products(arrays, block_edges(times, 1)).over_all()
        is_too_few = count < minimum
        covariance[:, is_too_few] = np.nan
        found = collocate(covariance, base)
        found["offset"] = mean[base] - found["slope"] * mean
        found |= {"n": count, "is_too_few": is_too_few}
        if draws:
            found |= _draw_intervals(arrays, starts, base, level, is_too_few)
            found["representativeness"] = classify(
                found["snr_db"], found["snr_db_lower"], found["snr_db_upper"], count
            )
        return found

    outputs = _outputs(checked, names[base], draws > 0)
    result = map_places(estimate, checked, outputs, {"product": 3})
    settings: dict[str, Any] = {"reference": names[base], "minimum": minimum}
    if draws:
        settings |= {"draws": draws, "level": level}
    return result.assign_coords(product=("product", label_products(names))).assign_attrs(settings)


def collocate(covariance: Floats, reference: int) -> dict[str, Array]:
    """Collocate three products with given covariances.

    Parameters
    ----------
    covariance
        Dims ``(..., pair, place)``, pairs as in `moments.pairs`.
    reference
        Number of the product that gives the scale.

    Returns
    -------
    dict of str to numpy.ndarray
        As in `triple_collocation`, dims ``(..., product, place)``; NaN where a covariance that divides
        is 0, or a product does not vary.
    """
    one, other = pairs(3)
    of = {}
    for pair, (i, j) in enumerate(zip(one, other, strict=True)):
        of[i, j] = of[j, i] = covariance[..., pair, :]
    signal, slope = [], []
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(3):
            j, k = (product for product in range(3) if product != i)
            signal.append(of[i, j] * of[i, k] / np.where(of[j, k] == 0, np.nan, of[j, k]))
            third = 3 - i - reference
            shared = of[i, third] if i != reference else of[i, i]
            slope.append(
                np.where(np.isnan(of[i, i]), np.nan, 1.0)
                if i == reference
                else of[reference, third] / np.where(shared == 0, np.nan, shared)
            )
        signals, slopes = np.stack(signal, axis=-2), np.stack(slope, axis=-2)
        own = np.stack([of[i, i] for i in range(3)], axis=-2)
        error = own - signals
        r_squared = signals / np.where(own > 0, own, np.nan)
        is_told = (signals > 0) & (error > 0)
        snr = 10 * np.log10(np.where(is_told, signals / error, np.nan))
    return {
        "error_variance": error,
        "signal_variance": signals,
        "r_squared": r_squared,
        "snr_db": snr,
        "slope": slopes,
        "error_variance_scaled": error * slopes**2,
        "is_negative": (signals < 0) | (error < 0),
    }


def classify(snr: Floats, lower: Floats, upper: Floats, triplets: Floats) -> Array:
    """Tell how well a product, as a rule a station, stands for the scale of the others.

    Parameters
    ----------
    snr, lower, upper
        Signal-to-noise ratio and its interval, dB; NaN is undeducible.
    triplets
        Number of complete rows.

    Returns
    -------
    numpy.ndarray
        Numbers of `CLASSES`.

    Examples
    --------
    >>> [CLASSES[number] for number in classify(np.array([4.0, 4.0, -2.0]), np.array([3.0, 2.0, -3.0]),
    ...     np.array([5.0, 6.0, -1.0]), np.array([400.0]))]
    ['very_representative', 'undeducible', 'not_representative']
    """
    with np.errstate(invalid="ignore"):
        is_sure = (triplets >= CLASS_TRIPLETS) & (upper - lower <= CLASS_WIDTH) & ~np.isnan(snr)
    return np.where(is_sure, 1 + np.searchsorted(CLASS_BOUNDS, snr, side="right"), 0).astype("i1")


def _draw_intervals(
    arrays: list[Array],
    starts: dict[int, Array],
    base: int,
    level: float,
    is_too_few: Array,
) -> dict[str, Array]:
    """Give intervals by quantiles over the draws, and the block lengths."""
    places = arrays[0].shape[1]
    found = {
        f"{name}_{end}": np.full((3, places), np.nan)
        for name in WITH_INTERVALS
        for end in ("lower", "upper")
    }
    chosen = np.zeros(places, "i8")
    for start in range(0, places, TOGETHER):
        here = slice(start, start + TOGETHER)
        some = [array[:, here] for array in arrays]
        chosen[here] = choose_lengths(some) if len(starts) > 1 else next(iter(starts))
    chosen[is_too_few] = 0
    for length, begins in starts.items():
        tail = (1 - widen(level, begins.shape[1])) / 2
        same = np.flatnonzero(chosen == length)
        for start in range(0, len(same), TOGETHER):
            several = same[start : start + TOGETHER]
            drawn = draw_covariances([array[:, several] for array in arrays], length, begins)
            for name, values in collocate(drawn, base).items():
                if f"{name}_lower" in found and name != "snr_db":
                    ends = np.quantile(values, [tail, 1 - tail], axis=0)
                    found[f"{name}_lower"][:, several], found[f"{name}_upper"][:, several] = ends
    for end in ("lower", "upper"):
        share = np.clip(found[f"r_squared_{end}"], 0.0, 1.0)
        with np.errstate(divide="ignore"):
            found[f"snr_db_{end}"] = 10 * (np.log10(share) - np.log10(1 - share))
    return found | {"block_length": chosen}


def _check_settings(
    minimum: int, draws: int, block_length: int | None, level: float, times: int
) -> None:
    if minimum < 3:
        raise RecipeProblem("minimum", found=f"{minimum}", expected="3 triplets or more")
    if draws and draws < LEAST_DRAWS:
        raise RecipeProblem("draws", found=f"{draws}", expected=f"0 or {LEAST_DRAWS} or more")
    if block_length is not None and not 1 <= block_length <= times:
        raise RecipeProblem(
            "block_length", found=f"{block_length}", expected=f"1 to {times}, the number of times"
        )
    if not 0 < level < 1:
        raise RecipeProblem("level", found=f"{level}", expected="a share between 0 and 1")


def _outputs(
    products: Mapping[str, xr.DataArray], reference: str, intervals: bool
) -> dict[str, Output]:
    """List what is given, with attributes; a unit where all products have the same."""
    units = {name: array.attrs.get("units") for name, array in products.items()}
    shared = units[reference] if len(set(units.values())) == 1 else None
    square = {} if shared is None else {"units": f"({shared})2"}
    scaled = {} if units[reference] is None else {"units": str(units[reference])}
    scaled_square = {} if units[reference] is None else {"units": f"({units[reference]})2"}

    def by_product(text: str, dtype: str = "f8", **attrs: Any) -> Output:
        return Output(("product",), dtype, {"long_name": text, **attrs})

    outputs = {
        "error_variance": by_product("variance of the error, sign kept", **square),
        "signal_variance": by_product("variance of the signal, sign kept", **square),
        "r_squared": by_product("squared correlation with the truth, sign kept", units="1"),
        "snr_db": by_product("signal-to-noise ratio", units="dB"),
        "slope": by_product(f"factor to the scale of {reference}"),
        "offset": by_product(f"offset to the scale of {reference}", **scaled),
        "error_variance_scaled": by_product(
            f"variance of the error on the scale of {reference}, sign kept", **scaled_square
        ),
        "is_negative": by_product("variance of error or signal is negative", "bool"),
        "n": Output((), "i4", {"long_name": "complete triplets", "units": "1"}),
        "is_too_few": Output((), "bool", {"long_name": "fewer triplets than the minimum"}),
    }
    if not intervals:
        return outputs
    for name in WITH_INTERVALS:
        about = {key: value for key, value in outputs[name].attrs.items() if key == "units"}
        for end in ("lower", "upper"):
            outputs[f"{name}_{end}"] = by_product(f"{end} end of the interval of {name}", **about)
    flags = {"flag_values": np.arange(len(CLASSES), dtype="i1"), "flag_meanings": " ".join(CLASSES)}
    outputs["representativeness"] = by_product("class of representativeness", "i1", **flags)
    outputs["block_length"] = Output((), "i4", {"long_name": "length of blocks", "units": "1"})
    return outputs
