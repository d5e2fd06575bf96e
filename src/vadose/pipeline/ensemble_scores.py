"""Score methods that draw fields as ensembles, beside the methods that give one value."""

from __future__ import annotations

from typing import Any

import numpy as np

from vadose.grids import grid_of
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.map_scores import CELLS, on_dates
from vadose.pipeline.methods import drawing
from vadose.pipeline.plain import number
from vadose.store import open_cube
from vadose.validate.ensembles import pool, score_by_date
from vadose.validate.protocol import compare


def score_ensembles(folder: RunFolder) -> dict[str, Any]:
    """Score every method with members against the withheld truth, on some dates.

    Returns
    -------
    dict
        By method ``crps``, ``crps_fair``, ``mae`` and ``rmse`` of the mean, ``spread``, ``spread_skill``,
        ``coverage`` and ``width`` by level; and beside them ``best_single``, of the methods that give one
        value the one with the least mean absolute error, and ``mae_best_single``, on the same dates: the CRPS
        of one value is its absolute error. Empty where nothing draws or no truth is withheld.
    """
    recipe = folder.recipe
    if not recipe.build.withhold:
        return {}
    stores = {name: open_cube(folder / f"predictions/{name}.zarr") for name in recipe.methods}
    members = f"{recipe.target}_members"
    drawn = {name: store[members] for name, store in stores.items() if members in store}
    if not drawn:
        return {}
    most = CELLS // max(field.sizes["member"] for field in drawn.values())
    truth = on_dates(open_cube(folder / "truth.zarr")[recipe.target], most).load()
    singles = {
        name: on_dates(store[recipe.target], most).load()
        for name, store in stores.items()
        if name not in drawn
    }
    coarse = grid_of(open_cube(folder / "coarse.zarr"))
    errors = compare(singles, truth, coarse)["mae"].sel(view="pooled")
    best = str(errors["product"].values[int(np.argmin(errors.values))])
    found: dict[str, Any] = {}
    for name, field in drawn.items():
        method = drawing(recipe, name)
        assert method is not None  # noqa: S101 - nothing else has members
        chosen = field.sel(time=truth["time"]) if "time" in field.dims else field
        scored = pool(
            score_by_date(
                chosen.load(),
                truth if "time" in field.dims else truth.isel(time=0),
                is_stratified=method.noise == "shared",
            )
        )
        keys = ("crps", "crps_fair", "mae", "rmse", "spread", "spread_skill")
        found[name] = {
            **{key: number(scored[key]) for key in keys},
            **{
                key: {
                    f"{level:g}": number(scored[key].sel(level=level))
                    for level in scored["level"].values
                }
                for key in ("coverage", "width")
            },
            "best_single": best,
            "mae_best_single": number(errors.sel(product=best)),
        }
    return found
