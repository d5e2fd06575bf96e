"""The members of an ensemble of fine fields: what they say together, and how each of them closes."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from vadose.downscale import closure
from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.conserve import with_residual
from vadose.downscale.noise import Noise
from vadose.downscale.spread import beside
from vadose.errors import CubeProblem, ValueProblem
from vadose.grids import grid_of, placed, snapped
from vadose.schema import VARIABLES, check_cube, variable

#: Fewest places that tell how far members should differ.
LEAST = 10


class Ensemble(Downscaler, Protocol):
    """What draws members, beside what every downscaler does."""

    level: float
    noise: Noise


def sum_up(
    product: xr.Dataset,
    target: str,
    members: npt.NDArray[np.floating],
    *,
    level: float,
    is_stratified: bool = False,
    keeps_members: bool = True,
) -> xr.Dataset:
    """Put members, their mean, spread and quantiles into a product.

    Parameters
    ----------
    product
        With the target, which is replaced by the mean.
    target
        Name of the variable.
    members
        Dims ``member`` and those of the target; NaN where a member has no value, and then in all of this.
    level
        Share of values between the quantiles.
    is_stratified
        Whether the members come from equally likely slices: then the i-th of M stands for the quantile
        ``(i - 1/2) / M``, else for ``i / (M + 1)``, beyond which the outermost member stands in.
    keeps_members
        Whether the members become a part of the product.

    References
    ----------
    Hyndman and Fan (1996), Am. Stat. 50:361, definitions 5 and 6.
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    method: Any = "hazen" if is_stratified else "weibull"
    lower, upper = np.quantile(members, tails, axis=0, method=method).astype("f4")
    mean = members.mean(axis=0, dtype="f8").astype("f4")
    notes = {"level": level, "quantiles_of": f"{len(members)} members"}
    product = product.assign({target: product[target].copy(data=mean)})
    product = beside(
        product,
        target,
        {
            f"{target}_spread": (members.std(axis=0, ddof=1, dtype="f8").astype("f4"), {}),
            f"{target}_lower": (lower, notes),
            f"{target}_upper": (upper, notes),
            f"{target}_interval_width": (upper - lower, notes),
        },
    )
    if keeps_members:
        name = f"{target}_members"
        layer = {
            key: value
            for key, value in product[target].attrs.items()
            if key in ("depth_from", "depth_to", "cell_methods")
        }
        attributes = {**variable(name).attributes(), **layer}
        dims = ("member", *product[target].dims)
        product = product.assign({name: (dims, members.astype("f4"), attributes)})
    return check_cube(product, source="product")


def find_dispersion(
    members: npt.NDArray[np.floating],
    observed: npt.NDArray[np.floating],
    *,
    error: float = 0.0,
    is_stratified: bool = False,
) -> float:
    """Give the factor for the departures of members from their mean that makes their spread fit their error.

    A model that has learned from coarse values with errors of their own takes these for a part of what it
    does not know: its members then differ too much. Coarse values that were held out err in the same way, and
    so do stations: unless their own `error` is told, it is taken for an error of the members here.

    Parameters
    ----------
    members
        Dims ``member, place``, at places that were not learned from: coarse cells of blocks held out, or
        stations.
    observed
        Dims ``place``. A place where it or a member is NaN has no part.
    error
        Standard deviation of what the observations themselves err by, such as a product states or
        `vadose.uncertainty.collocation` finds; independent of the members' errors.
    is_stratified
        Whether the members come from equally likely slices (``shared`` noise) or are balanced (``smooth``):
        their mean then is that of many.

    Returns
    -------
    float
        As `vadose.downscale.generative.Generative` takes it.

    Raises
    ------
    ValueProblem
        Fewer than two members, no spread, fewer than ten places, or observations that err more than members
        and observations differ.

    References
    ----------
    Fortin et al. (2014), J. Hydrometeorol. 15:1708 (which spread goes with which error).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> round(find_dispersion(2.0 * rng.standard_normal((20, 4000)), rng.standard_normal(4000)), 1)
    0.5
    """
    is_known = np.isfinite(observed) & np.isfinite(members).all(axis=0)
    drawn, known = members[:, is_known].astype("f8"), observed[is_known].astype("f8")
    variance = float(drawn.var(axis=0, ddof=1).mean()) if min(drawn.shape) > 1 else 0.0
    if len(known) < LEAST or variance == 0:
        raise ValueProblem(
            "dispersion",
            found=f"{len(drawn)} members at {len(known)} places, mean variance {variance:g}",
            expected=f"members that differ, at {LEAST} places or more",
        )
    square_error = float(((drawn.mean(axis=0) - known) ** 2).mean())
    if square_error <= error**2:
        raise ValueProblem(
            "dispersion",
            found=f"a root mean square difference of {square_error**0.5:.4g}",
            expected=f"more than the observations' own error of {error:.4g}",
            remedy="Give a smaller error, or keep the dispersion of 1.",
        )
    count = len(drawn)
    # the mean of independent members errs by a share of their variance, and that of slices does not
    share = (count - 1) / count if is_stratified else (count + 1) / count
    return float(np.sqrt((square_error - error**2) / (variance * share)))


class ClosedMembers:
    """Wrap a generative downscaler so that every member closes by itself.

    The area mean of each member then is the coarse value, and the members differ within coarse cells alone:
    their spread is conditional on the coarse value being right.

    A map that is made in tiles closes in three steps, as with `vadose.downscale.conserve.Closed`: `balance` of
    each tile, `correction` on the whole coarse grid, for every member by itself, and `corrected` for each tile.

    Parameters
    ----------
    inner
        Its product holds members.
    bounds
        Smallest and largest value; the valid range of the target unless given.
    tolerance
        Largest residual left.
    """

    def __init__(
        self,
        inner: Ensemble,
        *,
        bounds: tuple[float, float] | None = None,
        tolerance: float = 5e-4,
    ) -> None:
        self.inner, self.bounds, self.tolerance = inner, bounds, tolerance
        self.target = inner.target

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the wrapped downscaler."""
        self.inner.fit(coarse)
        return self

    def reach(self, factor: int) -> Reach:
        """Say that it looks at the whole map: each coarse cell leans on the next."""
        return Reach(coarse=None, fine=None, steps=self.inner.reach(factor).steps)

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Draw fields, close each of them, sum them up, and add ``closure_residual`` of their mean.

        Raises
        ------
        CubeProblem
            A product without members.
        """
        product = self.inner.predict(fine, coarse)
        coarse = coarse.isel(placed(grid_of(coarse), grid_of(product))[1])
        correction = self.correction(self.balance(product, coarse), coarse)
        return self.corrected(product, coarse, correction)

    def balance(self, product: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Sum up what closure has to know of a tile, as `vadose.downscale.conserve.Closed.balance`.

        Returns
        -------
        xarray.Dataset
            ``<target>_mean``, dims ``member, [time,] y, x``, and ``<target>_stencil`` without ``member``: all
            members have values in the same places.

        Raises
        ------
        CubeProblem
            A product without members.
        """
        members = self._members(product)
        known = closure.balance(members, coarse[self.target], bounds=self._bounds)
        first = known["stencil"].isel(member=0, drop=True)
        return xr.Dataset({f"{self.target}_mean": known["mean"], f"{self.target}_stencil": first})

    def correction(self, balance: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Find the correction of each member on the whole map, as `vadose.downscale.conserve.Closed.correction`.

        Returns
        -------
        xarray.Dataset
            ``<target>_correction``, dims ``member, [time,] y, x``.
        """
        parts = {name: balance[f"{self.target}_{name}"] for name in ("mean", "stencil")}
        found = closure.solve(
            xr.Dataset(parts), coarse[self.target], bounds=self._bounds, tolerance=self.tolerance
        )
        return xr.Dataset({f"{self.target}_correction": found})

    def corrected(
        self, product: xr.Dataset, coarse: xr.Dataset, correction: xr.Dataset
    ) -> xr.Dataset:
        """Close the members of a tile, and sum them up anew.

        Parameters
        ----------
        product
            What the wrapped downscaler predicted for the tile.
        coarse, correction
            The coarse cube and what `correction` gave, over the tile and one cell beyond it, or to the end
            of the map.

        Returns
        -------
        xarray.Dataset
            The product: the mean, spread, quantiles and members are those of the closed members, and
            ``closure_residual`` is that of their mean.
        """
        members = self._members(product)
        closed = closure.corrected(
            members,
            correction[f"{self.target}_correction"],
            coarse[self.target],
            bounds=self._bounds,
            tolerance=self.tolerance,
        ).transpose(*members.dims)
        product = sum_up(
            snapped(product),
            self.target,
            closed.values,
            level=self.inner.level,
            is_stratified=self.inner.noise.coherence == "shared",
        )
        return with_residual(product, coarse[self.target])

    @property
    def _bounds(self) -> tuple[float, float]:
        return self.bounds or VARIABLES[self.target].valid_range

    def _members(self, product: xr.Dataset) -> xr.DataArray:
        name = f"{self.target}_members"
        if name not in product:
            raise CubeProblem(
                "product",
                found=f"variables {sorted(map(str, product.data_vars))}",
                expected=f"also {name}",
                remedy="Keep the members: keeps_members=True.",
            )
        return product[name]
