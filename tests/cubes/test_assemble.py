"""A study with a known answer is the fine field, its aggregate, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.assemble import whole_cells, withhold
from vadose.cubes.regrid import area_mean
from vadose.errors import CubeProblem, GridProblem, ValueProblem
from vadose.grids import coarsened, grid_of


@pytest.fixture(scope="module")
def cube():
    world = vadose.synthetic.world(size=16, days=4, factor=4, seed=3)
    return world.predictors.assign(soil_moisture=world.truth["soil_moisture"])


def test_coarse_is_the_area_mean_of_the_truth(cube):
    study = withhold(cube, target="soil_moisture", predictors=["sand", "ndvi"], factor=4)
    truth = study["truth"]["soil_moisture"]
    expected = area_mean(truth, coarsened(grid_of(cube), 4)).astype(truth.dtype)
    np.testing.assert_array_equal(study["coarse"]["soil_moisture"], expected)
    assert {"soil_moisture", "sand", "ndvi"} <= set(study["coarse"].data_vars)
    assert set(study["fine"].data_vars) == {"sand", "ndvi"}
    assert "soil_moisture" not in study["fine"]


def test_whole_cells_cuts_south_and_east_only(cube):
    cut = whole_cells(cube, 5)
    assert cut.sizes["y"] == cut.sizes["x"] == 15
    assert cut["y"].values[0] == cube["y"].values[0]
    assert cut["x"].values[0] == cube["x"].values[0]
    assert whole_cells(cube, 4).sizes == cube.sizes
    with pytest.raises(GridProblem, match="16 x 16 fine cells, expected 17 x 17 or more"):
        whole_cells(cube, 17)


def test_min_valid_decides_over_partly_empty_cells(cube):
    gappy = cube.copy()
    gappy["soil_moisture"] = cube["soil_moisture"].where(cube["x"] > cube["x"].values[2])  # 3 of 4
    strict = withhold(gappy, target="soil_moisture", predictors=["sand"], factor=4)
    lax = withhold(gappy, target="soil_moisture", predictors=["sand"], factor=4, min_valid=0.2)
    assert strict["coarse"]["soil_moisture"].isel(x=0).isnull().all()
    assert lax["coarse"]["soil_moisture"].notnull().all()


def test_what_cannot_make_a_study_is_refused(cube):
    with pytest.raises(CubeProblem, match="also lst"):
        withhold(cube, target="soil_moisture", predictors=["lst"], factor=4)
    empty = cube.assign(soil_moisture=xr.full_like(cube["soil_moisture"], np.nan))
    with pytest.raises(ValueProblem, match="all NaN"):
        withhold(empty, target="soil_moisture", predictors=["sand"], factor=4)
    corner = (cube["x"] == cube["x"].values[0]) & (cube["y"] == cube["y"].values[0])
    sparse = cube.assign(soil_moisture=cube["soil_moisture"].where(corner))
    with pytest.raises(CubeProblem, match="no coarse cell with 50% of its area valid"):
        withhold(sparse, target="soil_moisture", predictors=["sand"], factor=4)
