"""The whole pipeline on the synthetic world, on one page: read this first.

A coarse satellite view goes in, a fine map comes out, and it is judged against a truth that no model saw.
"""

from __future__ import annotations

from vadose.cubes.assemble import withhold
from vadose.cubes.regrid import nearest, smooth
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Blend, Closed
from vadose.downscale.downscaler import Direct, Residual, load_downscaler
from vadose.grids import grid_of
from vadose.models import Boosting, RandomForest
from vadose.schema import ORIGIN, check_cube
from vadose.store import open_cube, write_cube
from vadose.synthetic import world
from vadose.validate.protocol import closure, compare, gains

PREDICTORS = ["elevation", "topographic_wetness_index", "sand", "clay", "albedo", "ndvi"]


def test_from_coarse_to_fine_and_back_to_the_truth(tmp_path):
    # 1. build: one world, two cubes; the fine soil moisture is withheld as the truth
    earth = world(size=64, days=4, factor=4, seed=7)
    everything = earth.predictors.assign(soil_moisture=earth.truth["soil_moisture"])
    cubes = withhold(everything, target="soil_moisture", predictors=PREDICTORS, factor=4)
    coarse, fine, truth = cubes["coarse"], cubes["fine"], cubes["truth"]["soil_moisture"]

    # 2. fit: models see the coarse cube alone
    forest = Closed(Direct(RandomForest(trees=30), PREDICTORS)).fit(coarse)
    boosting = Residual(
        Boosting(trees=60, leaf=20), PREDICTORS, factor=4, ratio=2, in_steps=True
    ).fit(coarse)

    # 3. a model on disk is data, and gives the same map
    (tmp_path / "model").mkdir()
    boosting.save(tmp_path / "model")
    residual = Closed(load_downscaler(tmp_path / "model"))

    # 4. downscale: learned methods, a blend of them, and the baselines that they must beat
    ways = {
        "nearest": Interpolation(nearest),
        "smooth": Interpolation(smooth),
        "smooth_closed": Closed(Interpolation(smooth)),
        "forest_closed": forest,
        "residual_closed": residual,
        "blend": Blend([forest, residual]),
    }
    maps = {name: way.predict(fine, coarse) for name, way in ways.items()}

    # 5. a product is a cube: it survives the disk, knows its origin and keeps the coarse values
    product = open_cube(write_cube(maps["residual_closed"], tmp_path / "product.zarr"))
    check_cube(product, required=["soil_moisture", "origin", "closure_residual"])
    known = [ORIGIN.code("downscaled"), ORIGIN.code("extrapolated")]
    assert product["origin"].isin(known).all()
    assert closure(product["soil_moisture"], coarse["soil_moisture"]) < 1e-3

    # 6. validate: every score beside the coarse input, on the same cells
    fields = {name: cube["soil_moisture"] for name, cube in maps.items()}
    score = compare(fields, truth, grid_of(coarse))
    gain = gains(score, "smooth_closed")
    assert gain["residual_closed"]["rmse"] > 0
    assert gain["residual_closed"]["within_cell_r"] > 0
    assert gain["smooth_closed"] == {"rmse": 0.0, "r": 0.0, "within_cell_r": 0.0}
