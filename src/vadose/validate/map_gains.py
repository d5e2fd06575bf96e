"""How sure a gain on maps is: neighbours err alike, so that whole blocks of cells, and of days, are drawn anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox

from vadose.errors import UnknownName, ValueProblem
from vadose.grids import cell_area, grid_of, nesting
from vadose.uncertainty.bootstrap import block_bootstrap
from vadose.validate.blocks import block_draws
from vadose.validate.protocol import on_common_sample, on_sample

Floats = npt.NDArray[np.float64]

#: Blocks that are to be left as they grow: fewer make an interval that is itself uncertain.
BLOCKS = 100
#: Blocks, or days, below which no interval is told.
FEWEST = 10


def gain_intervals(
    products: Mapping[str, xr.DataArray],
    reference: xr.DataArray,
    coarse: GeoBox,
    *,
    baselines: Sequence[str],
    rng: np.random.Generator | int,
    strata: Mapping[str, xr.DataArray] | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> xr.Dataset:
    """Bound by how much smaller the RMSE of each product is than that of a baseline, on the same cells and days.

    Parameters
    ----------
    products, reference, coarse, strata
        As `vadose.validate.protocol.compare` takes them; cells are weighed by area.
    baselines
        Names among the products.
    rng
        Generator or seed; all products see the same draws.
    draws
        How often blocks are drawn.
    level
        Of the interval.

    Returns
    -------
    xarray.Dataset
        Dims ``product, baseline, stratum``, the first stratum being ``all``: ``lower`` and ``upper`` end of the
        gain in RMSE, unit of the data. NaN with fewer than 10 blocks and fewer than 10 days. Blocks are squares of
        coarse cells, with all their days, as large as leaves a hundred of them; where there are ten
        days or more, blocks of days are drawn too, and the wider interval is told. ``interval`` in the attributes
        says so in words.

    Raises
    ------
    UnknownName
        A baseline that is no product.
    ValueProblem
        A level outside 0 to 1, no draws, or no common sample.

    References
    ----------
    Künsch (1989), Ann. Stat. 17, 1217-1241; Lahiri (2003), Resampling Methods for Dependent Data, ch. 12
    (spatial blocks).

    Examples
    --------
    >>> from vadose.synthetic import world
    >>> small = world(size=48, days=3, factor=4, seed=0)
    >>> truth = small.truth["soil_moisture"]
    >>> fields = {"worse": truth + 0.02, "better": truth + 0.01}
    >>> told = gain_intervals(fields, truth, grid_of(small.coarse), baselines=["worse"], rng=0)
    >>> told["lower"].sel(product="better", baseline="worse", stratum="all").round(3).item()
    0.01
    """
    if not 0 < level < 1:
        raise ValueProblem("level", found=f"{level:g}", expected="between 0 and 1")
    for name in baselines:
        if name not in products:
            raise UnknownName("baseline", name, products)
    common, reference, fields = on_common_sample(products, reference)
    grid = grid_of(reference)
    sample = common.values.reshape(-1, *grid.shape)
    truth = reference.values.reshape(sample.shape).astype("f8")
    area = np.broadcast_to(cell_area(grid).values, sample.shape)
    parts = {"all": sample}
    for name, mask in (strata or {}).items():
        parts[name] = sample & on_sample(mask, reference).reshape(sample.shape)
    squares = {
        name: (field.values.reshape(sample.shape).astype("f8") - truth) ** 2
        for name, field in fields.items()
    }
    seed = int(np.random.default_rng(rng).integers(2**31))
    ends = np.full((2, len(fields), len(baselines), len(parts)), np.nan)
    words = ""
    for place, (part, chosen) in enumerate(parts.items()):
        owner, side = blocks_of(np.asarray(chosen.any(axis=0)), nesting(coarse, grid))
        weight = np.where(chosen, area, 0.0)
        sums = {
            name: _sum_up(np.where(chosen, one, 0.0) * weight, owner)
            for name, one in squares.items()
        }
        of_all = _sum_up(weight, owner)
        told = _Drawn(of_all, seed, draws)
        if part == "all":
            words = told.words(side, level)
        for column, base in enumerate(baselines):
            for row, name in enumerate(fields):
                if name != base:
                    ends[:, row, column, place] = told.bound(sums[name], sums[base], level)
    dims = ("product", "baseline", "stratum")
    return xr.Dataset(
        {"lower": (dims, ends[0]), "upper": (dims, ends[1])},
        coords={"product": list(fields), "baseline": list(baselines), "stratum": list(parts)},
        attrs={"interval": words},
    )


def blocks_of(
    is_used: npt.NDArray[np.bool_], steps: Mapping[str, int], *, least: int = BLOCKS
) -> tuple[npt.NDArray[np.int64], int]:
    """Part a map into squares of coarse cells, as large as leaves so many of them.

    Parameters
    ----------
    is_used
        Dims ``(y, x)`` of the fine grid: cells that are in the sample.
    steps
        Fine cells along ``y`` and ``x`` of a coarse one.
    least
        Squares that are to be left; sides double as long as they are.

    Returns
    -------
    tuple
        Number of the square of each cell, -1 outside of the sample; side of a square in coarse cells.

    Examples
    --------
    >>> owner, side = blocks_of(np.ones((8, 8), bool), {"y": 2, "x": 2}, least=4)
    >>> side, int(owner.max())
    (2, 3)
    """
    rows, columns = np.indices(is_used.shape)
    rows, columns = rows // steps["y"], columns // steps["x"]

    def number(side: int) -> npt.NDArray[np.int64]:
        wide = columns.max() // side + 1
        return np.asarray((rows // side) * wide + columns // side, "i8")

    side = 1
    while (
        2 * side <= max(rows.max(), columns.max()) + 1
        and len(np.unique(number(2 * side)[is_used])) >= least
    ):
        side *= 2
    _, named = np.unique(number(side)[is_used], return_inverse=True)
    owner = np.full(is_used.shape, -1, "i8")
    owner[is_used] = named
    return owner, side


def _sum_up(values: Floats, owner: npt.NDArray[np.int64]) -> Floats:
    """Sum a field ``(time, y, x)`` over blocks; dims ``(time, block)``."""
    own = owner >= 0
    count = int(owner.max()) + 1 if own.any() else 0
    return np.stack([np.bincount(owner[own], day[own], minlength=count) for day in values])


class _Drawn:
    """Hold the weight of every block and day, and how often the blocks were drawn."""

    def __init__(self, weight: Floats, seed: int, draws: int) -> None:
        self.weight, self.seed, self.draws = weight, seed, draws
        self.days, self.blocks = int((weight.sum(axis=1) > 0).sum()), weight.shape[1]
        self.times = block_draws(np.arange(self.blocks), rng=seed, draws=draws)

    def bound(self, own: Floats, base: Floats, level: float) -> Floats:
        """Give the ends of the gain; NaN where there are too few blocks and days."""
        found = []
        if self.blocks >= FEWEST:
            total = self.times @ self.weight.sum(axis=0)
            first, second = (np.sqrt(self.times @ one.sum(axis=0) / total) for one in (base, own))
            found.append(first - second)
        if self.days >= FEWEST:
            found.append(self._over_days(own, base))
        if not found:
            return np.full(2, np.nan)
        outside = (1 - level) / 2
        ends = [np.quantile(one, [outside, 1 - outside]) for one in found]
        return np.asarray(max(ends, key=lambda pair: pair[1] - pair[0]))

    def _over_days(self, own: Floats, base: Floats) -> Floats:
        weight = self.weight.sum(axis=1)
        table = np.stack([base.sum(axis=1), own.sum(axis=1), weight], axis=1) / weight.max()
        table[weight == 0] = np.nan
        rng = np.random.default_rng(self.seed)

        def gain(means: Floats) -> Floats:
            with np.errstate(invalid="ignore"):
                roots = np.sqrt(means[:, :2] / means[:, 2:])
            return np.asarray(roots[:, 0] - roots[:, 1])

        drawn = block_bootstrap(table, gain, draws=self.draws, rng=rng)
        return drawn[np.isfinite(drawn)]

    def words(self, side: int, level: float) -> str:
        cells = "single coarse cells" if side == 1 else f"{side} × {side} coarse cells"
        ways = []
        if self.blocks >= FEWEST:
            ways.append(f"{self.blocks} blocks of {cells}")
        if self.days >= FEWEST:
            ways.append(f"blocks of {self.days} days")
        if not ways:
            return ""
        wider = ", the wider of the two" if len(ways) > 1 else ""
        return f"{100 * level:.3g} % bootstrap over {' and over '.join(ways)}{wider}, {self.draws} draws"
