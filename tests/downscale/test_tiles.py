"""The size of a tile is a matter of memory: maps made of tiles are those made as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.baselines import ClimatologicalPattern, Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct
from vadose.downscale.tiled import Tiled
from vadose.downscale.tiles import Tiling, read_coarse, tiling_of
from vadose.errors import GridProblem
from vadose.grids import coordinates, grid_of, latlon
from vadose.models import new_model
from vadose.validate.spatial import edge_jump_ratio

FACTOR = 4
PREDICTORS = ["ndvi", "land_surface_temperature", "elevation", "sand"]
#: Coarse cells along a side, and steps: one cell, sides that do not divide the map of 6, larger ones.
TILES = [(1, 4), (4, 3), (5, 2), (9, None)]


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    """A world of 6 x 6 coarse cells with gaps in both cubes."""
    world = vadose.synthetic.world(size=24, days=4, factor=FACTOR, seed=1)
    world.predictors["sand"][3:5, 6] = np.nan
    world.predictors["ndvi"][1, 20, 21] = np.nan
    world.coarse["soil_moisture"][2, 1, 4] = np.nan
    return world


def cubes(world: vadose.synthetic.World) -> tuple[xr.Dataset, xr.Dataset]:
    """Give fine predictors, and the coarse target with the predictors averaged."""
    fine = world.predictors[PREDICTORS]
    means = fine.coarsen(y=FACTOR, x=FACTOR).mean()
    values = {name: (means[name].dims, means[name].values, fine[name].attrs) for name in PREDICTORS}
    return fine, world.coarse[["soil_moisture"]].assign(values)


def learned(name: str, world: vadose.synthetic.World, **parameters: Any) -> Downscaler:
    return Direct(new_model(name, seed=2, **parameters), PREDICTORS).fit(cubes(world)[1])


def check_same(
    downscaler: Downscaler, fine: xr.Dataset, coarse: xr.Dataset, cells: int, together: int | None
) -> None:
    """Hold every variable, gap, flag and attribute of a tiled prediction against the whole one."""
    whole = downscaler.predict(fine, coarse)
    tiled = Tiled(downscaler, cells=cells, together=together).predict(fine, coarse)
    assert set(tiled) == set(whole)
    assert np.isfinite(whole["soil_moisture"]).any()
    for name, field in whole.data_vars.items():
        assert tiled[name].dtype == field.dtype
        assert tiled[name].equals(field), name
        xr.testing.assert_identical(tiled[name].variable, field.variable)
    assert tiled.attrs == whole.attrs


# --- the same bits ---


@pytest.fixture(scope="module")
def exact(world: vadose.synthetic.World) -> dict[str, Downscaler]:
    """Give fitted downscalers whose cells do not depend on one another."""
    coarse = cubes(world)[1]
    forest = learned("random_forest", world, trees=6)
    return {
        "nearest": Interpolation(nearest),
        "smooth": Interpolation(smooth),
        "climatology": ClimatologicalPattern().fit(coarse),
        "forest": forest,
        "boosting": learned("boosting", world, trees=10, leaf=5),
    }


@pytest.mark.parametrize(("cells", "together"), TILES)
@pytest.mark.parametrize("name", ["nearest", "smooth", "climatology", "forest", "boosting"])
def test_tiles_give_the_bits_of_the_whole(
    name: str,
    cells: int,
    together: int | None,
    exact: dict[str, Downscaler],
    world: vadose.synthetic.World,
) -> None:
    check_same(exact[name], *cubes(world), cells, together)


@pytest.mark.parametrize("rule", [nearest, smooth])
@pytest.mark.parametrize("cells", [1, 4, 5])
def test_tiles_at_the_date_line_look_at_the_other_side(rule: Any, cells: int) -> None:
    coarse_grid, fine_grid = latlon(30.0), latlon(10.0)
    rng = np.random.default_rng(4)
    moisture = vadose.synthetic.world(size=8, days=1, factor=4).coarse["soil_moisture"].attrs
    fields = {
        "soil_moisture": (("y", "x"), rng.uniform(0.1, 0.4, coarse_grid.shape), moisture),
    }
    coarse = xr.Dataset(fields, coords=coordinates(coarse_grid)).astype("f4")
    fine = xr.Dataset(coords=coordinates(fine_grid))
    check_same(Interpolation(rule), fine, coarse, cells, None)
    values = Interpolation(rule).predict(fine, coarse)["soil_moisture"].values
    row = coarse["soil_moisture"].values[2].astype("f8")
    shared = {nearest: row[0], smooth: (2 * row[0] + row[-1]) / 3}[rule]
    assert values[7, 0] == pytest.approx(shared, abs=1e-6)  # in the middle of the third row


# --- networks ---


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet", {"channels": 4, "blocks": 1, "context": 1, "epochs": 2}),
        ("lstm", {"hidden": 4, "epochs": 2}),
    ],
)
def test_networks_have_no_seams(
    name: str, parameters: dict[str, Any], world: vadose.synthetic.World
) -> None:
    pytest.importorskip("torch")
    downscaler = learned(name, world, **parameters)
    fine, coarse = cubes(world)
    whole = downscaler.predict(fine, coarse)
    for cells, together in ((2, 2), (4, None)):
        tiled = Tiled(downscaler, cells=cells, together=together).predict(fine, coarse)
        one, other = whole["soil_moisture"].values, tiled["soil_moisture"].values
        assert np.array_equal(np.isnan(one), np.isnan(other))
        assert np.nanmax(np.abs(one - other)) < 1e-6
        assert tiled["flags"].equals(whole["flags"])
        assert tiled["origin"].equals(whole["origin"])


# --- seams ---


def test_edges_of_tiles_are_no_steeper_than_the_rest() -> None:
    """Smooth interpolation has no edges of its own; without its surroundings a tile has some."""
    world = vadose.synthetic.world(size=96, days=3, factor=FACTOR, seed=1)
    fine, coarse = world.predictors[["elevation"]], world.coarse_truth[["soil_moisture"]]
    cells = 5
    edges = list(range(cells * FACTOR, 96, cells * FACTOR))
    lines = {"y": edges, "x": edges}

    class Blind(Interpolation):
        def reach(self, factor: int) -> Reach:
            return Reach()

    def ratio(downscaler: Downscaler) -> float:
        product = Tiled(downscaler, cells=cells).predict(fine, coarse)
        return edge_jump_ratio(product["soil_moisture"], lines)

    whole = Interpolation(smooth).predict(fine, coarse)["soil_moisture"]
    assert ratio(Interpolation(smooth)) == edge_jump_ratio(whole, lines)
    assert ratio(Interpolation(smooth)) == pytest.approx(1.0, abs=0.25)
    assert ratio(Blind(smooth)) > 2.0


# --- the tiles themselves ---


def test_tiles_cover_every_cell_and_step_once() -> None:
    tiling = Tiling(latlon(30.0), {"y": 3, "x": 2}, steps=7, cells={"y": 4, "x": 5}, together=3)
    seen = np.zeros((7, 18, 24), dtype=int)
    tiles = list(tiling)
    for tile in tiles:
        window = tiling.inside(tile)
        seen[window["time"], window["y"], window["x"]] += 1
    assert (seen == 1).all()
    assert len(tiles) == len(tiling) == 3 * 2 * 3
    assert len({tile.name for tile in tiles}) == len(tiles)
    assert tiling.pixels == 3 * 12 * 10


def test_a_tile_is_never_larger_than_the_map(world: vadose.synthetic.World) -> None:
    fine, coarse = cubes(world)
    tiling = tiling_of(fine, coarse, "soil_moisture", cells=100, together=100)
    assert tiling.shape == {"time": 4, "y": 24, "x": 24}
    assert len(tiling) == 1


@pytest.mark.parametrize(("cells", "together"), [(0, 1), (2, 0), (-1, None)])
def test_tiles_of_nothing_are_refused(
    cells: int, together: int | None, world: vadose.synthetic.World
) -> None:
    with pytest.raises(GridProblem, match=r"tiles: found .*expected 1 or more of each"):
        tiling_of(*cubes(world), "soil_moisture", cells=cells, together=together)


def test_columns_beyond_the_sides_are_those_of_the_other_side() -> None:
    grid = latlon(30.0)
    cube = xr.Dataset(
        {"number": (("y", "x"), np.arange(72.0).reshape(6, 12))}, coords=coordinates(grid)
    )
    part = read_coarse(cube.isel, grid, (slice(1, 2), slice(-2, 3)), None)
    assert part["number"].values.tolist() == [[22, 23, 12, 13, 14]]
    assert part["x"].values.tolist() == [-225, -195, -165, -135, -105]
    part = read_coarse(cube.isel, grid, (slice(1, 2), slice(10, 13)), None)
    assert part["number"].values.tolist() == [[22, 23, 12]]
    assert grid_of(part).shape == (1, 3)


def test_closing_by_tiles_is_told_of_the_whole_map(world: vadose.synthetic.World) -> None:
    """What looks at the whole map, or at cells around, gets it: tiles close as the map does."""
    closed = Closed(Interpolation(smooth))
    fine, coarse = cubes(world)
    whole = closed.predict(fine, coarse)["soil_moisture"].values
    tiled = Tiled(closed, cells=2, together=2).predict(fine, coarse)["soil_moisture"].values
    assert np.array_equal(np.isnan(whole), np.isnan(tiled))
    assert np.nanmax(np.abs(whole - tiled)) < 1e-6
