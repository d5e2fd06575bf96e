"""Several satellites in one field, each with the weight that its error deserves.

Products are brought to one scale, their errors are told by collocation, and every value is the mean of least error
variance of the products that are there: with their error covariance C the weights are ``C⁻¹ 1 / (1ᵀ C⁻¹ 1)``, and
``1 / (1ᵀ C⁻¹ 1)`` is the error variance of the mean. Errors of pairs that are named may be correlated, as those of two
radiometers of one band are; two such products are then one and a bit, not two.

References
----------
Yilmaz et al. (2012), Water Resour. Res. 48, W11502 (least squares). Gruber et al. (2016), J. Geophys. Res. Atmos. 121,
1208-1219 (correlated errors). Gruber et al. (2017), IEEE TGRS 55, 6780-6792, and (2019), Earth Syst. Sci. Data 11,
717-739 (ESA CCI). Kim et al. (2015), Geophys. Res. Lett. 42, 6662-6670 (weights that sum to one). Yilmaz and Crow (2013),
J. Hydrometeorol. 14, 650-660 (scale).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.errors import CubeProblem, RecipeProblem, UnknownName, ValueProblem
from vadose.fuse.base import TARGET
from vadose.fuse.product_errors import Method, estimate_errors
from vadose.fuse.rescaling import Rescaling, rescale
from vadose.uncertainty.places import check_products, label_products

Floats = npt.NDArray[np.float64]
#: Name of a reference that is not among the products: it is collocated with them but not merged.
REFERENCE = "reference"
#: Products whose combinations can still be gone through.
MOST = 8
#: Part of the mean error variance that is added to each, so that equal products do not divide by zero.
RIDGE = 1e-12


def merge(
    products: Mapping[str, xr.DataArray],
    *,
    reference: str | xr.DataArray,
    rescaling: Rescaling | Literal["signal"] = "mean_variance",
    method: Method = "collocation",
    correlated: Collection[tuple[str, str]] = (),
    minimum: int = 100,
    reach: float = 3.0,
) -> xr.Dataset:
    """Merge products by the inverse of their error covariance, place by place.

    Parameters
    ----------
    products
        Two to eight by name, dims ``time, y, x``, one grid and unit; NaN is a gap.
    reference
        What gives the scale: one of the products, by name, or another field (a land model) on the same
        grid and times. Such a field is collocated under the name ``reference`` but not merged.
    rescaling
        ``mean_variance`` or ``quantiles`` of the reference; ``signal``: its mean and, by collocation, the
        standard deviation of its signal; ``none``: products are on one scale already. The first two match
        noise along with the signal, so that the noisier a product the weaker its signal, and the merged
        one is a little too weak, which ``error_sd`` does not hold; ``signal`` does not (Yilmaz and Crow
        2013), but needs collocation to be right about that too.
    method
        ``collocation``, or the three-cornered ``hat``, which lets all errors be somewhat correlated and
        counts a difference of amplitude as error.
    correlated
        Pairs of names whose errors collocation may find correlated; errors of all others are independent.
    minimum
        Times that two products must have in common (with `hat`: all) to tell of their errors at a place.
    reach
        Standard deviation, in cells, of the neighbourhood from which a place has its errors that does not
        tell its own (where no neighbour does within four of it, all places alike tell), and towards which
        the others are drawn as far as they differ by chance. 0: all places alike, and no drawing.

    Returns
    -------
    xarray.Dataset
        What `combine` gives, with ``error_source (y, x)``: own, regional; ``n (y, x)``, the times that
        they are from. ``attrs["notes"]`` says what the errors do not know.

    Raises
    ------
    RecipeProblem
        Too few or too many products for what is asked, or settings that make no sense.
    UnknownName
        A name that is no product, rescaling or method.
    CubeProblem, GridProblem, UnitProblem
        Products that differ in dims, coordinates or units, or are not ``time, y, x``.
    ValueProblem
        No place where errors can be told, or infinite values.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.25, 0.06, (900, 2, 2))
    >>> seen = {
    ...     name: xr.DataArray(truth + rng.normal(0, sd, truth.shape), dims=("time", "y", "x"))
    ...     for name, sd in {"SMAP": 0.02, "SMOS": 0.03, "AMSR2": 0.04}.items()
    ... }
    >>> merged = merge(seen, reference="SMAP", rescaling="signal")
    >>> merged["weight"].isel(combination=-1).mean(("y", "x")).values.round(1)
    array([0.6, 0.3, 0.1])
    >>> error = merged["soil_moisture"] - truth
    >>> bool(error.std() < 0.017), bool(abs(merged["error_sd"].mean() - error.std()) < 0.001)
    (True, True)
    """
    asked = (*get_args(Rescaling), "signal")
    if rescaling not in asked:
        raise UnknownName("rescaling", rescaling, asked)
    if rescaling == "signal" and method != "collocation":
        raise RecipeProblem(
            "rescaling", found=f"'signal' with the method {method!r}", expected="'collocation'"
        )
    together = _checked(products, reference)
    base = reference if isinstance(reference, str) else REFERENCE
    how = "mean_variance" if rescaling == "signal" else rescaling
    scaled = rescale(together, together[base], how=how)
    errors = estimate_errors(
        scaled, method=method, correlated=correlated, minimum=minimum, reach=reach
    )
    if rescaling == "signal":
        slope = errors["signal_sd"].sel(product=base) / errors["signal_sd"]
        for name in products:
            factor = slope.sel(product=name, drop=True)
            level = together[base].where(scaled[name].notnull()).mean("time")
            scaled[name] = level + factor * (scaled[name] - level)
        errors["error_covariance"] = (
            errors["error_covariance"] * slope * slope.rename(product="other_product")
        ).transpose(*errors["error_covariance"].dims)
    names = label_products(list(products))
    covariance = errors["error_covariance"].sel(product=names, other_product=names)
    result = combine({name: scaled[name] for name in products}, covariance)
    result[TARGET].attrs |= together[base].attrs
    kept = errors[["error_source", "n"]]
    return result.merge(kept, compat="override", join="exact").assign_attrs(
        errors.attrs | {"reference": base, "rescaling": rescaling}
    )


def combine(products: Mapping[str, xr.DataArray], covariance: xr.DataArray) -> xr.Dataset:
    """Merge products on one scale whose error covariance is known, by the products that are there.

    Parameters
    ----------
    products
        By name, dims ``time, y, x``; NaN is a gap.
    covariance
        Of their errors, dims ``product, other_product, y, x``, in the square of their unit; NaN of a
        product whose error is not known, which then is not used.

    Returns
    -------
    xarray.Dataset
        Dims ``time, y, x``: ``soil_moisture`` and its ``error_sd``, single precision, NaN where no product
        is present; ``n_products``, those with a weight above 0; ``present``, bits that say which
        products are there (1 for the first, 2 for the second, 4, ...). ``weight``, dims ``combination,
        product, y, x``, sums to 1 and is 0 for what is absent, and for a product without which the others do
        better than with a weight below 0; NaN where no error is known. That of a value stands at
        ``combination=present``.

    Raises
    ------
    RecipeProblem, CubeProblem, GridProblem, UnitProblem
        Products that differ or are too many, or a covariance of other sizes.
    ValueProblem
        Infinite values.

    Examples
    --------
    >>> seen = {"a": xr.DataArray([[[0.2]], [[0.3]]], dims=("time", "y", "x")),
    ...         "b": xr.DataArray([[[0.3]], [[np.nan]]], dims=("time", "y", "x"))}
    >>> errors = xr.DataArray(np.diag([1e-4, 3e-4])[..., None, None],
    ...     dims=("product", "other_product", "y", "x"))
    >>> combine(seen, errors)["soil_moisture"].values.ravel().round(4)
    array([0.225, 0.3  ], dtype=float32)
    """
    checked = check_products(products, least=1, most=MOST)
    first = next(iter(checked.values()))
    shape, names = first.shape, list(checked)
    expected = (len(names), len(names), *shape[1:])
    if covariance.shape != expected:
        raise CubeProblem(
            "error covariance", found=f"shape {covariance.shape}", expected=f"{expected}"
        )
    if "product" in covariance.coords:
        covariance = covariance.sel(product=names, other_product=names)
    places = covariance.transpose("y", "x", "product", "other_product").values
    weight, variance = weigh(places.reshape(-1, len(names), len(names)))
    _refuse_infinite(checked)
    values = [one.values.astype("f8").reshape(-1) for one in checked.values()]
    present = sum(np.isfinite(one).astype("u2") << bit for bit, one in enumerate(values))
    size = weight.shape[-1]
    merged, sd = (np.full(values[0].size, np.nan, "f4") for _ in range(2))
    used = np.zeros(values[0].size, "u1")
    for code in np.unique(present)[np.unique(present) > 0]:
        at = np.flatnonzero(present == code)
        own = weight[code][:, at % size]
        members = np.flatnonzero(code >> np.arange(len(names)) & 1)
        merged[at] = sum(own[member] * values[member][at] for member in members)
        sd[at] = np.sqrt(variance[code][at % size])
        used[at] = (own > 0).sum(axis=0)
    dims = ("time", "y", "x")
    unit = {"units": first.attrs["units"]} if "units" in first.attrs else {}
    return xr.Dataset(
        {
            TARGET: (dims, merged.reshape(shape), dict(first.attrs)),
            "error_sd": (
                dims,
                sd.reshape(shape),
                {"long_name": "standard deviation of the error", **unit},
            ),
            "n_products": (dims, used.reshape(shape), {"long_name": "products with a weight"}),
            "present": (
                dims,
                np.reshape(present, shape).astype("u1"),
                {"long_name": "products that are present, as bits"},
            ),
            "weight": (
                ("combination", "product", "y", "x"),
                weight[1:].reshape(-1, len(names), *shape[1:]),
                {"units": "1"},
            ),
        },
        coords=first.coords.to_dataset().coords,
    ).assign_coords(
        combination=np.arange(1, len(weight), dtype="u1"),
        product=label_products(names),
    )


def weigh(covariance: Floats) -> tuple[Floats, Floats]:
    """Give the weights of least error variance, none below 0, for every combination of products.

    Parameters
    ----------
    covariance
        Of errors, dims ``place, product, product``; NaN of products that cannot be used.

    Returns
    -------
    weight, variance
        Dims ``(combination, product, place)`` and ``(combination, place)``, NaN where nothing can be used;
        the bits of the combination's number say which products are present, and 0 is none.

    Notes
    -----
    The best weights that are not negative are those of least squares of the products that have one above 0.
    So of all parts of a combination whose own weights are not negative the best is the answer: exact, and
    the same for all places at once.

    Examples
    --------
    >>> weight, variance = weigh(np.array([[[1.0, 0.5], [0.5, 2.0]]]))
    >>> weight[3, :, 0], variance[3]
    (array([0.75, 0.25]), array([0.875]))
    """
    places, count = covariance.shape[:2]
    codes = range(1, 2**count)
    own = np.zeros((2**count, count, places))
    least = np.full((2**count, places), np.inf)
    for code in codes:
        part = [bit for bit in range(count) if code >> bit & 1]
        matrix = covariance[:, part][:, :, part]
        known = np.flatnonzero(np.isfinite(matrix).all(axis=(1, 2)))
        matrix = matrix[known]
        scale = np.trace(matrix, axis1=1, axis2=2) / len(part)
        ridge = RIDGE * np.where(scale > 0, scale, 1.0)
        solved = np.linalg.solve(
            matrix + ridge[:, None, None] * np.eye(len(part)), np.ones((len(known), len(part), 1))
        )[..., 0]
        total = solved.sum(axis=1)
        is_allowed = (total > 0) & (solved >= 0).all(axis=1)
        chosen = known[is_allowed]
        own[code][np.ix_(part, chosen)] = (solved[is_allowed] / total[is_allowed, None]).T
        least[code, chosen] = 1 / total[is_allowed]
    weight, variance = np.full_like(own, np.nan), np.full_like(least, np.nan)
    for code in codes:
        parts = np.array([one for one in codes if one & code == one])
        best = parts[least[parts].argmin(axis=0)]
        is_known = np.isfinite(least[best, np.arange(places)])
        variance[code] = np.where(is_known, least[best, np.arange(places)], np.nan)
        weight[code] = np.where(is_known, own[best, :, np.arange(places)].T, np.nan)
    return weight, variance


def _checked(
    products: Mapping[str, xr.DataArray], reference: str | xr.DataArray
) -> dict[str, xr.DataArray]:
    """Check the products, with the reference beside them unless it is one of them; in memory."""
    together = dict(products)
    if isinstance(reference, str):
        if reference not in products:
            raise UnknownName("reference", reference, products)
    elif REFERENCE in products:
        raise RecipeProblem(
            "products",
            found=f"one named {REFERENCE!r}, and a reference that is not one of them",
            expected="another name",
        )
    else:
        together[REFERENCE] = reference
    if not 2 <= len(products) <= MOST:
        raise RecipeProblem("products", found=f"{len(products)} to merge", expected=f"2 to {MOST}")
    checked = check_products(together, least=3)
    for name, one in checked.items():
        if one.dims != ("time", "y", "x"):
            raise CubeProblem(
                f"product {name!r}", found=f"dimensions {one.dims}", expected="time, y, x"
            )
    loaded = {name: one.compute() for name, one in checked.items()}
    _refuse_infinite(loaded)
    return loaded


def _refuse_infinite(products: Mapping[str, xr.DataArray]) -> None:
    for name, one in products.items():
        if np.isinf(one.values).any():
            raise ValueProblem(
                f"product {name!r}", found="infinite values", expected="numbers, and NaN for a gap"
            )
