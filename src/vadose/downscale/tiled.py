"""Any downscaler, tile by tile in memory: how the same result is shown for every size of tiles."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import xarray as xr

from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.tiles import Tiling, predict_tile, tiling_of
from vadose.grids import coordinates, grid_of


class Tiled:
    """Wrap a downscaler so that it predicts tile by tile, with the same result.

    Parameters
    ----------
    inner
        The downscaler.
    cells
        Coarse cells along the side of a tile.
    together
        Steps of a tile; all unless given.

    Examples
    --------
    >>> import vadose.synthetic
    >>> from vadose.downscale.baselines import Interpolation
    >>> world = vadose.synthetic.world(size=16, days=8, factor=4, seed=0)
    >>> whole = Interpolation().predict(world.predictors, world.coarse)
    >>> tiled = Tiled(Interpolation(), cells=2, together=3).predict(world.predictors, world.coarse)
    >>> tiled["soil_moisture"].equals(whole["soil_moisture"])  # every bit, and every gap
    True
    """

    def __init__(self, inner: Downscaler, *, cells: int, together: int | None = None) -> None:
        self.inner, self.cells, self.together = inner, cells, together
        self.target = inner.target

    def reach(self, factor: int) -> Reach:
        """Look as far as the wrapped downscaler."""
        return self.inner.reach(factor)

    def fit(self, coarse: xr.Dataset) -> Self:
        """Fit the wrapped downscaler."""
        self.inner.fit(coarse)
        return self

    def predict(self, fine: xr.Dataset, coarse: xr.Dataset) -> xr.Dataset:
        """Predict tile by tile, and put the tiles together."""
        tiling = tiling_of(fine, coarse, self.target, cells=self.cells, together=self.together)
        fields: dict[str, xr.DataArray] = {}
        attributes: dict[str, Any] = {}
        for tile in tiling:
            product = predict_tile(
                self.inner,
                tiling,
                tile,
                lambda window: fine.isel(window).load(),
                lambda window: coarse.isel(window).load(),
                fine["time"].values if "time" in fine.dims else None,
                coarse["time"].values if "time" in coarse.dims else None,
            )
            attributes = product.attrs
            inside = tiling.inside(tile)
            for name, field in product.data_vars.items():
                if name not in fields:
                    fields[str(name)] = _blank(field, tiling, fine, coarse)
                window = {dim: span for dim, span in inside.items() if dim in field.dims}
                fields[str(name)][window] = field.values
        return xr.Dataset(fields, attrs=attributes)


def _blank(
    field: xr.DataArray, tiling: Tiling, fine: xr.Dataset, coarse: xr.Dataset
) -> xr.DataArray:
    """Make the array that tiles of a variable are put on."""
    grid = grid_of(fine)
    sizes = {"time": tiling.steps or 1, "y": grid.shape.y, "x": grid.shape.x}
    coords = dict(coordinates(grid))
    if "time" in field.dims:
        coords["time"] = coarse["time"]
    shape = [sizes[str(dim)] for dim in field.dims]
    values = np.empty(shape, dtype=field.dtype)
    return xr.DataArray(values, dims=field.dims, coords=coords, attrs=field.attrs, name=field.name)
