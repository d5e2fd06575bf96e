"""What resolution a product really has, whatever the size of its cells.

Two ways to look at it give datasets of one kind: `vadose.validate.spectrum`, from gap-free boxes, by
wavelength; and `vadose.validate.variogram`, for fields with gaps and for stations, by lag, half a
wavelength. `effective_resolution` reads either: it goes from long waves to short ones and stops where the
product has lost too much, of the reference's variance or of its pattern. Both are asked for: noise, and the
edges of coarse cells that are repeated, have variance at short waves, but agree with nothing.

Spectra tell the scales apart; increments over a lag see all longer waves too. Where power falls with the
cube of the wavenumber, variograms tell much the same as spectra; where it falls with the square, too coarse
a resolution; with the fourth power, too fine a one (``benchmarks/spatial_scores.py``). Trust the spectra.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyproj
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import CubeProblem, UnknownName, ValueProblem
from vadose.grids import snapped
from vadose.validate.metrics import TINY

Floats = npt.NDArray[np.float64]
Measure = Literal["both", "variance", "agreement"]
Status = Literal["found", "at the finest scale", "at the longest scale", "unknown"]

MEASURES = ("both", "variance", "agreement")
#: Share of the reference's variance, or of the pattern in common, below which a scale counts as lost.
SHARE = 0.5


@dataclass(frozen=True)
class Resolution:
    """Hold an effective resolution.

    Attributes
    ----------
    wavelength
        In km; a feature is about half as wide, so that cells of 36 km can show waves of 72 km. NaN where
        unknown.
    status
        ``found``; ``at the finest scale`` (nothing is lost down to it: the resolution is there or finer);
        ``at the longest scale`` (too little is left even there: coarser); ``unknown`` (nothing varies).
    """

    wavelength: float
    status: Status


def effective_resolution(
    scales: xr.Dataset,
    product: str,
    *,
    measure: Measure = "both",
    share: float = SHARE,
    law: tuple[float, float] | None = None,
) -> Resolution:
    """Find the wavelength below which a product has too little of the reference.

    Parameters
    ----------
    scales
        What `vadose.validate.spectrum.spectra` or a variogram gives; all its days are taken together. For
        one day, select it.
    product
        Name of the product.
    measure
        ``variance``, the product's over the reference's; ``agreement``, the share of variance in common
        (squared coherence, or squared codispersion of a variogram); or the smaller of ``both``.
    share
        What must be left, above 0 and at most 1.
    law
        Longest and shortest wavelength (km) over which a power law is fitted to the product's own
        variance, to stand for the reference at shorter ones where there is none. Variance alone counts,
        and longer waves do not.

    Returns
    -------
    Resolution
        Between two scales, linear in the logarithm of the wavelength.

    Raises
    ------
    UnknownName
        No such product or measure.
    ValueProblem
        A share out of range, no reference and no law, or a law over fewer than three scales.

    References
    ----------
    Skamarock (2004), Mon. Weather Rev. 132:3019.

    Examples
    --------
    >>> scales = xr.Dataset(
    ...     {"variance": (("product", "scale"), [[8.0, 4.0, 2.0], [8.0, 3.0, 0.5]]),
    ...      "covariance": (("product", "scale"), [[8.0, 4.0, 2.0], [8.0, 3.0, 1.0]]),
    ...      "number": ("scale", [8, 16, 32])},
    ...     coords={"product": ["truth", "smooth"], "wavelength": ("scale", [40.0, 20.0, 10.0])},
    ...     attrs={"reference": "truth"},
    ... )
    >>> found = effective_resolution(scales, "smooth", measure="variance")
    >>> round(found.wavelength, 3), found.status
    (14.142, 'found')
    """
    if not 0 < share <= 1:
        raise ValueProblem("share", found=f"{share:g}", expected="above 0 and at most 1")
    left = curve(scales, product, measure=measure, law=law).values
    wavelength = scales["wavelength"].values
    order = np.argsort(wavelength)[::-1]
    order = order[np.isfinite(left[order])]
    left, wavelength = left[order], wavelength[order]
    if not left.size:
        return Resolution(float("nan"), "unknown")
    is_lost = left < share
    if not is_lost.any():
        return Resolution(float(wavelength[-1]), "at the finest scale")
    first = int(is_lost.argmax())
    if first == 0:
        return Resolution(float(wavelength[0]), "at the longest scale")
    way = (left[first - 1] - share) / (left[first - 1] - left[first])
    between = np.log(wavelength[first - 1 : first + 1])
    return Resolution(float(np.exp((1 - way) * between[0] + way * between[1])), "found")


def curve(
    scales: xr.Dataset,
    product: str,
    *,
    measure: Measure = "both",
    law: tuple[float, float] | None = None,
) -> xr.DataArray:
    """Give what `effective_resolution` compares with its share, scale by scale.

    Parameters
    ----------
    scales, product, measure, law
        As there.

    Returns
    -------
    xarray.DataArray
        Dims ``scale``; NaN where the reference does not vary or nothing is known.

    Examples
    --------
    >>> scales = xr.Dataset(
    ...     {"variance": (("product", "scale"), [[8.0, 4.0, 1.0, 0.2]]),
    ...      "covariance": (("product", "scale"), [[np.nan] * 4]), "number": ("scale", [8] * 4)},
    ...     coords={"product": ["own"], "wavelength": ("scale", [80.0, 40.0, 10.0, 5.0])},
    ... )
    >>> curve(scales, "own", law=(80.0, 10.0)).values.round(2)
    array([1. , 1. , 1. , 0.4])
    """
    if measure not in MEASURES:
        raise UnknownName("measure", measure, MEASURES)
    names = [str(name) for name in scales["product"].values]
    reference = scales.attrs.get("reference") or None
    if product not in names:
        raise UnknownName("product", product, names)
    means = _over_days(scales)
    own = means["variance"].sel(product=product, drop=True)
    if law is not None:
        wanted = own.copy(data=_power_law(own.values, scales["wavelength"].values, law))
        return (own / wanted).where(scales["wavelength"] <= max(law))
    if reference is None:
        raise ValueProblem(
            "scales",
            found="no reference",
            expected="one to compare with",
            remedy="Name it when the scales are made, or give the wavelengths of a power law.",
        )
    base = means["variance"].sel(product=reference, drop=True)
    base = base.where(base > 0)
    variance = own / base
    if measure == "variance":
        return variance
    both = means["covariance"].sel(product=product, drop=True)
    # what goes the other way does not agree, however strongly; nor does what does not vary
    agreement = both.where(both > 0, 0.0 * both) ** 2 / (own.where(own > 0) * base)
    agreement = agreement.where(own != 0, 0.0 * base)
    if measure == "agreement":
        return agreement
    return variance.copy(data=np.minimum(variance.values, agreement.values))


def together(
    products: Mapping[str, xr.DataArray], reference: str | None
) -> tuple[list[xr.DataArray], xr.DataArray]:
    """Check that fields are on one grid and the same days, and tell where all have a value.

    Returns
    -------
    tuple
        The fields with dims ``time, y, x``, NaN where any of them is, and where none is.
    """
    if not products:
        raise ValueProblem("products", found="none", expected="one or more")
    if reference is not None and reference not in products:
        raise UnknownName("reference", reference, products)
    fields: list[xr.DataArray] = []
    for name, field in products.items():
        if set(field.dims) not in ({"time", "y", "x"}, {"y", "x"}):
            raise CubeProblem(name, found=f"dimensions {field.dims}", expected="[time,] y, x")
        field = snapped(field)
        field = field if "time" in field.dims else field.expand_dims("time")
        fields.append(field.transpose("time", "y", "x"))
        try:
            xr.align(fields[0], fields[-1], join="exact")
        except ValueError as problem:
            raise CubeProblem(
                name, found="another grid or other days", expected="those of the first product"
            ) from problem
    common = fields[0].notnull()
    for field in fields[1:]:
        common = common & field.notnull()
    return [field.where(common) for field in fields], common


def described(
    variance: Floats, covariance: Floats, number: Floats, wavelength: Floats, reference: str | None
) -> xr.Dataset:
    """Label what is known by scale: ``product, time, scale``, and ``time, scale`` for the number."""
    dims = ("product", "time", "scale")
    variance = np.where(variance > TINY, variance, 0.0 * variance)  # a constant varies by rounding
    if reference is None:
        covariance = np.full_like(variance, np.nan)
    return xr.Dataset(
        {
            "variance": (dims, variance),
            "covariance": (dims, covariance),
            "number": (dims[1:], number),
        },
        coords={"wavelength": ("scale", wavelength, {"units": "km"})},
        attrs={"reference": reference or ""},
    )


def as_given(
    result: xr.Dataset, products: Mapping[str, xr.DataArray], common: xr.DataArray
) -> xr.Dataset:
    """Name products and days; drop time where no product has it."""
    result = result.assign_coords(product=list(products))
    if not any("time" in one.dims for one in products.values()):
        return result.isel(time=0, drop=True)
    return result.assign_coords(time=common["time"]) if "time" in common.coords else result


def cell_lengths(
    grid: GeoBox, rows: npt.ArrayLike, columns: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Give the height and width (km) of cells on the ground.

    Examples
    --------
    >>> from vadose.grids import latlon
    >>> height, width = cell_lengths(latlon(1.0), [30, 89], [10, 10])
    >>> height.round(1), width.round(1)
    (array([111.4, 110.6]), array([ 56.6, 111.3]))
    """
    row, column = np.broadcast_arrays(rows, columns)
    x = grid.affine.c + grid.affine.a * (column[..., None] + [0.0, 1.0, 0.5, 0.5])
    y = grid.affine.f + grid.affine.e * (row[..., None] + [0.5, 0.5, 0.0, 1.0])
    if not (grid.crs is not None and grid.crs.geographic):
        transformer = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
        x, y = (np.asarray(part) for part in transformer.transform(x, y))
    x, y = np.moveaxis(x, -1, 0), np.moveaxis(y, -1, 0)
    earth = pyproj.Geod(ellps="WGS84")
    width, height = (earth.inv(x[i], y[i], x[i + 1], y[i + 1])[2] for i in (0, 2))
    return np.asarray(height) / 1000, np.asarray(width) / 1000


def _over_days(scales: xr.Dataset) -> xr.Dataset:
    """Average over the days by the number of modes or pairs; a day without any has no say."""
    values = scales[["variance", "covariance"]]
    if "time" not in scales.dims:
        return values
    number = scales["number"]
    total = number.sum("time")
    counted = values.where(number > 0, 0.0) * number
    return counted.sum("time", skipna=False) / total.where(total > 0)


def _power_law(values: Floats, wavelength: Floats, law: tuple[float, float]) -> Floats:
    """Fit variance to a power of the wavelength, and give it at all of them."""
    longest, shortest = max(law), min(law)
    is_in = (wavelength >= shortest * (1 - 1e-9)) & (wavelength <= longest * (1 + 1e-9))
    is_in &= values > 0
    if is_in.sum() < 3:
        raise ValueProblem(
            "law",
            found=f"{int(is_in.sum())} scales between {shortest:g} and {longest:g} km",
            expected="3 or more",
            remedy=f"The scales go from {wavelength.min():.3g} to {wavelength.max():.3g} km.",
        )
    slope, level = np.polyfit(np.log(wavelength[is_in]), np.log(values[is_in]), 1)
    return np.asarray(np.exp(level + slope * np.log(wavelength)))
