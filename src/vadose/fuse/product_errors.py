"""What errors products have, place by place and with those of named pairs correlated, without a truth.

References
----------
Gruber et al. (2016), J. Geophys. Res. Atmos. 121, 1208-1219 (extended collocation), and (2019), Earth
Syst. Sci. Data 11, 717-739 (errors of places that have too few collocations).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from vadose.errors import RecipeProblem, UnknownName, ValueProblem
from vadose.uncertainty.moments import block_edges, sum_products
from vadose.uncertainty.places import check_products, label_products
from vadose.uncertainty.three_cornered_hat import describe_common_error, three_cornered_hat

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Method = Literal["collocation", "hat"]
#: Least eigenvalue of error correlations that can be, and of what determines signals.
LEAST_EIGENVALUE = 1e-3
#: Part of a variance that is taken to be error at the least, where correlations are weighed.
LEAST_ERROR = 0.01
#: Where the errors of a place are from, numbered from 1.
SOURCES = ("own", "regional")


def estimate_errors(
    products: Mapping[str, xr.DataArray],
    *,
    method: Method = "collocation",
    correlated: Collection[tuple[str, str]] = (),
    minimum: int = 100,
    reach: float = 3.0,
) -> xr.Dataset:
    """Tell the error covariance of products at every place, with that of the region where records are short.

    Products whose errors are independent correlate by ``r_ij = R_i R_j``, R being their correlations with
    the truth. Its logarithm is linear: least squares, weighed by how sure each correlation is, gives R, and
    ``1 - R²`` is the part of a product's variance that is error; by what a correlated pair correlates more
    than ``R_i R_j``, its errors do. Of three products without gaps this is triple collocation; one
    correlated pair needs four. Correlations are of the times that two products have in common, for
    satellites of several orbits are seldom all there; the hat needs times at which all are.

    Parameters
    ----------
    products, method, correlated, minimum, reach
        As of `vadose.fuse.weights.merge`; products on one scale, for `hat`.

    Returns
    -------
    xarray.Dataset
        ``error_covariance``, dims ``(product, other_product, y, x)``, in the square of the unit;
        ``signal_sd (product, y, x)`` with the method collocation; ``error_source (y, x)``, flags; ``n (y,
        x)``, the times that the pair with fewest has in common, of the pairs that are used, 0 where they tell
        nothing, or with the hat complete times. Pairs are used from `minimum` times on; a place tells its own errors if the pairs
        used determine them and they can be covariances. Their log variances and their correlations are
        drawn towards those around by as much as neighbours differ by chance, for the least of several
        noisy errors is a lucky one; other places have those around alone.

    Raises
    ------
    RecipeProblem, UnknownName, CubeProblem, GridProblem, UnitProblem, ValueProblem
        As `merge`.
    """
    if method not in get_args(Method):
        raise UnknownName("method", method, get_args(Method))
    if minimum < 3 or not reach >= 0:
        raise RecipeProblem(
            "errors", found=f"minimum={minimum}, reach={reach:g}", expected="3 or more, 0 or more"
        )
    if method == "hat" and correlated:
        raise RecipeProblem(
            "correlated",
            found="pairs, with the method 'hat'",
            expected="none: it leaves no pair out",
            remedy="Take the method 'collocation'.",
        )
    checked = check_products(products, least=3)
    names = list(checked)
    shape = next(iter(checked.values())).shape[1:]
    if method == "hat":
        hat = three_cornered_hat(checked, minimum=minimum, covariance=True)
        covariance = hat["error_covariance"].values.reshape(len(names), len(names), -1)
        count = hat["n"].values.ravel()
        is_told = ~(hat["is_constrained"] | hat["is_too_few"]).values.ravel()
        signal = np.ones((len(names), len(count)))
        note = describe_common_error(names)
    else:
        design, is_apart = _design(names, correlated)
        arrays = [one.values.reshape(len(one), -1) for one in checked.values()]
        covariance, signal, count = _collocate(arrays, design, is_apart, minimum)
        is_told = count > 0
        shared = ", ".join(" and ".join(pair) for pair in correlated) or "no pair"
        note = (
            "Errors that products have in common are invisible to collocation and taken for signal, "
            f"but for those of {shared}."
        )
    regional, told, signal = _regionalise(covariance, signal, is_told, shape, reach)
    if not told.any():
        raise ValueProblem(
            "errors of products",
            found=f"no place where {', '.join(names)} have {minimum} times in common and covariances "
            "that can be",
            expected="one such place at the least",
            remedy="Give a longer record or a smaller minimum, or leave out the product with most gaps.",
        )
    first = next(iter(checked.values()))
    note += (
        f" {int((~told).sum())} of {told.size} places have too few times in common, or "
        "variances that cannot be, and have their errors from around."
    )
    flags = {"flag_values": list(range(1, len(SOURCES) + 1)), "flag_meanings": " ".join(SOURCES)}
    square = {"units": f"({first.attrs['units']})2"} if "units" in first.attrs else {}
    result = xr.Dataset(
        {
            "error_covariance": (
                ("product", "other_product", "y", "x"),
                regional.reshape(len(names), len(names), *shape),
                {"long_name": "covariance of errors", **square},
            ),
            "error_source": (("y", "x"), np.where(told, 1, 2).astype("i1").reshape(shape), flags),
            "n": (("y", "x"), count.astype("i4").reshape(shape), {"long_name": "times in common"}),
        },
        coords={
            **{k: v for k, v in first.coords.items() if "time" not in v.dims and k != "product"},
            "product": label_products(names),
            "other_product": label_products(names),
        },
        attrs={"notes": note, "method": method, "minimum": minimum},
    )
    if method == "collocation":
        result["signal_sd"] = ("product", "y", "x"), signal.reshape(len(names), *shape)
    return result


def _design(names: Sequence[str], correlated: Collection[tuple[str, str]]) -> tuple[Floats, Mask]:
    """Give which R each correlation is the product of, dims ``(pair, product)``, and which of them count.

    Raises
    ------
    UnknownName
        A pair with a name that is no product.
    RecipeProblem
        Pairs of one product, or so many that signal and error cannot be told apart.
    """
    one, other = np.triu_indices(len(names), 1)
    is_apart = np.ones(len(one), bool)
    for pair in correlated:
        for name in pair:
            if name not in names:
                raise UnknownName("correlated product", name, names)
        first, second = sorted(map(list(names).index, pair))
        if first == second:
            raise RecipeProblem("correlated", found=f"{pair}", expected="two products")
        is_apart &= ~((one == first) & (other == second))
    rows = np.arange(len(one))
    design = np.zeros((len(one), len(names)))
    design[rows, one] = design[rows, other] = 1.0
    if np.linalg.matrix_rank(design[is_apart]) < len(names):
        raise RecipeProblem(
            "correlated",
            found=f"{len(correlated)} of {len(names)} products",
            expected="every product among three whose errors are independent, or linked to such",
            remedy="Add a product with independent errors, such as a land model as the reference.",
        )
    return design, is_apart


def _collocate(
    arrays: Sequence[npt.NDArray[np.floating]], design: Floats, is_apart: Mask, minimum: int
) -> tuple[Floats, Floats, Floats]:
    """Give error covariances ``(product, product, place)``, signals' sd, and times, 0 where not told."""
    edges = block_edges(len(arrays[0]), 1)
    variance = np.stack([sum_products([one], edges).over_all()[2][0] for one in arrays])
    count, r = np.empty((2, len(design), variance.shape[1]))
    one, other = np.triu_indices(len(arrays), 1)
    for pair, (i, j) in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
        count[pair], _, found = sum_products([arrays[i], arrays[j]], edges).over_all()
        scale = np.sqrt(found[0] * found[2])
        r[pair] = found[1] / np.where(scale > 0, scale, np.nan)
    is_used = count >= minimum
    is_told = (is_used | is_apart[:, None]).all(axis=0) & np.isfinite(r).all(axis=0, where=is_used)
    is_used &= is_apart[:, None]
    is_told &= (r > 0).all(axis=0, where=is_used)
    # a pair that is missing may leave products by themselves, or only one ring of an even number
    rank = np.linalg.eigvalsh(np.einsum("pi,pn,pj->nij", design, is_used.astype("f8"), design))
    is_told &= rank[:, 0] > LEAST_EIGENVALUE
    used, r = is_used[:, is_told], r[:, is_told]
    safe = np.where(used, r, 0.5)
    # the variance of the logarithm of a sample correlation is (1 - r²)² / (n r²)
    weight = used * count[:, is_told] * safe**2 / np.maximum(1 - safe**2, LEAST_ERROR) ** 2
    normal = np.einsum("pi,pn,pj->nij", design, weight, design)
    sides = np.einsum("pi,pn->ni", design, weight * np.log(safe))
    truth = np.exp(np.linalg.solve(normal, sides[..., None])[..., 0]).T
    signal = np.full(variance.shape, np.nan)
    signal[:, is_told] = truth * np.sqrt(variance[:, is_told])
    errors = np.zeros((len(arrays), *variance.shape))
    for product in range(len(arrays)):
        errors[product, product] = variance[product] - signal[product] ** 2
    sd = np.sqrt(variance[:, is_told])
    for pair in np.flatnonzero(~is_apart).tolist():
        left, right = one[pair], other[pair]
        shared = (r[pair] - truth[left] * truth[right]) * sd[left] * sd[right]
        errors[left, right, is_told] = errors[right, left, is_told] = shared
    fewest = np.where(is_used, count, np.inf).min(axis=0)
    return errors, signal, np.where(is_told, fewest, 0.0)


def _regionalise(
    covariance: Floats, signal: Floats, is_told: Mask, shape: tuple[int, ...], reach: float
) -> tuple[Floats, Mask, Floats]:
    """Give places that do not tell their own errors those from around; also which places do tell."""
    count = len(covariance)
    variance = np.einsum("iip->ip", covariance)
    told = is_told & (variance > 0).all(axis=0) & np.isfinite(signal).all(axis=0)
    safe = np.where(told, variance, 1.0)
    correlation = np.where(told, covariance, 0.0) / np.sqrt(safe[:, None] * safe)
    eigenvalues = np.linalg.eigvalsh(np.where(told, correlation, 0.0).T)
    told &= eigenvalues[:, 0] > LEAST_EIGENVALUE
    own = np.stack([*np.log(safe), *np.log(np.where(told, signal, 1.0))])
    logs = np.stack([_settle(one[None], told, shape, reach)[0] for one in own])
    one, other = np.triu_indices(count, 1)
    # all drawn in alike, so that they stay correlations
    shared = _settle(correlation[one, other], told, shape, reach)
    result = np.empty_like(covariance)
    for product in range(count):
        result[product, product] = np.exp(logs[product])
    sd = np.exp(logs[:count] / 2)
    result[one, other] = result[other, one] = shared * sd[one] * sd[other]
    return result, told, np.exp(logs[count:])


def _settle(values: Floats, told: Mask, shape: tuple[int, ...], reach: float) -> Floats:
    """Draw maps ``(map, place)`` towards their surroundings by the share of chance in how they differ from them.

    Chance is what a place differs by from the line between its neighbours, and the rest are differences over
    a distance. Places that are not told have what is around them, or where nothing is, what all have in
    the mean.
    """
    known = np.where(told, values, 0.0)
    near = _spread(told.astype("f8"), shape, reach)
    local = np.stack([_spread(one, shape, reach) for one in known]) / np.where(near > 0, near, 1.0)
    mean = known.sum(axis=1, keepdims=True) / max(told.sum(), 1)
    local = np.where(near > 0, local, mean)
    if reach == 0:
        return np.where(told, values, mean)
    maps, is_told = known.reshape(-1, *shape), told.reshape(shape)
    squares, count = 0.0, 0
    for axis in (0, 1):
        # of three in a row that are told, what bends: a slope from place to place is no chance
        in_a_row = ndimage.minimum_filter1d(is_told, 3, axis=axis)
        inner = np.take(in_a_row, np.arange(1, shape[axis] - 1), axis)
        squares += float((np.diff(maps, 2, axis=axis + 1)[:, inner] ** 2).sum())
        count += int(inner.sum())
    chance = squares / max(6 * count, 1)
    away = float(((known - local)[:, told] ** 2).sum()) / max(told.sum(), 1)
    share = min(chance / away, 1.0) if away > 0 else 0.0
    return np.asarray(np.where(told, values + share * (local - values), local), "f8")


def _spread(values: Floats, shape: tuple[int, ...], reach: float) -> Floats:
    """Smooth a map, with nothing outside of it and exactly 0 out of reach."""
    smooth = ndimage.gaussian_filter(values.reshape(shape), reach, mode="constant", truncate=4.0)
    return np.asarray(smooth, "f8").ravel()
