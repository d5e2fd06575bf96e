"""The area of applicability of a product is that of its features, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.assemble import coarse_cube
from vadose.downscale.applicable import WithApplicability, learn_area
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct, Residual
from vadose.downscale.spread import WithSpread
from vadose.downscale.tiled import Tiled
from vadose.errors import ModelProblem
from vadose.models import Ensemble, RandomForest
from vadose.schema import check_cube
from vadose.uncertainty.applicability import Applicability

FACTOR = 4
PREDICTORS = ["ndvi", "land_surface_temperature", "sand"]


@pytest.fixture(scope="module")
def cubes() -> tuple[xr.Dataset, xr.Dataset]:
    """Give fine and coarse cubes of 8 x 8 coarse cells, both with gaps."""
    world = vadose.synthetic.world(size=32, days=2, factor=FACTOR, seed=1)
    fine = world.predictors[PREDICTORS]
    coarse = coarse_cube(world.coarse_truth[["soil_moisture"]], fine)
    fine["sand"][3:5, 6] = np.nan
    coarse["soil_moisture"][1, 1, 4] = np.nan
    return fine, coarse


def direct(coarse: xr.Dataset) -> Direct:
    forest = RandomForest(trees=6, leaf=3)
    return Direct(forest, PREDICTORS, with_position=False).fit(coarse)


def test_index_and_mask_of_each_pixel_are_those_of_its_features(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    fine, coarse = cubes
    learner = direct(coarse)
    area = learn_area(learner, coarse)
    assert np.array_equal(area.weights_, learner.model.importances_)
    plain = learner.predict(fine, coarse)
    product = check_cube(WithApplicability(learner, learner, area).predict(fine, coarse))
    assert product["soil_moisture"].equals(plain["soil_moisture"])
    index, is_inside = product["dissimilarity_index"], product["is_applicable"]
    values = np.stack(
        [np.broadcast_to(fine[name].values, index.shape) for name in PREDICTORS], axis=-1
    )
    wanted = area.dissimilarity(values)
    assert np.array_equal(index.values, wanted.astype("f4"), equal_nan=True)
    assert np.array_equal(index.isnull(), plain["soil_moisture"].isnull())
    assert is_inside.dtype == np.uint8
    assert np.array_equal(is_inside.values == 1, index.values <= area.threshold_)
    assert index.attrs["threshold"] == area.threshold_
    assert "depth_to" not in index.attrs
    assert product["soil_moisture"].attrs["ancillary_variables"].split()[-2:] == [
        "dissimilarity_index",
        "is_applicable",
    ]


def test_a_part_of_the_map_that_has_shifted_is_flagged(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    fine, coarse = cubes
    learner = direct(coarse)
    wrapped = WithApplicability(learner, learner, learn_area(learner, coarse))
    shifted = fine.copy(deep=True)
    strongest = PREDICTORS[int(np.argmax(learner.model.importances_))]
    width = float(coarse[strongest].std())
    half = {"x": slice(16, 32)}
    shifted[strongest][half] = shifted[strongest][half] + 8 * width
    before, after = (
        wrapped.predict(cube, coarse)["is_applicable"].values for cube in (fine, shifted)
    )
    assert np.array_equal(before[..., :16], after[..., :16])
    assert before[..., 16:].mean() > 0.5
    assert after[..., 16:].mean() < 0.02


def test_tiles_and_wrappers_give_the_same(cubes: tuple[xr.Dataset, xr.Dataset]) -> None:
    fine, coarse = cubes
    learner = direct(coarse)
    area = learn_area(learner, coarse, most=100, seed=3)
    wrapped = WithApplicability(WithSpread(Closed(learner)), learner, area)
    whole = wrapped.predict(fine, coarse)
    assert {"closure_residual", "soil_moisture_spread", "is_applicable"} <= set(whole.data_vars)
    small = WithApplicability(learner, learner, area)
    tiled = Tiled(small, cells=3, together=1).predict(fine, coarse)
    assert tiled["dissimilarity_index"].equals(whole["dissimilarity_index"])
    assert wrapped.reach(FACTOR) == Closed(learner).reach(FACTOR)
    again = small.fit(coarse)
    assert again.area.most == 100
    assert np.array_equal(again.area.samples_, area.samples_)


def test_steps_down_are_judged_by_the_least_like_of_them(
    cubes: tuple[xr.Dataset, xr.Dataset],
) -> None:
    fine, coarse = cubes
    forest = RandomForest(trees=4, leaf=3)
    learner = Residual(forest, PREDICTORS, factor=FACTOR, ratio=2, in_steps=True).fit(coarse)
    area = learn_area(learner, coarse)
    product = WithApplicability(learner, learner, area).predict(fine, coarse)
    index = product["dissimilarity_index"]
    assert np.array_equal(index.isnull(), product["soil_moisture"].isnull())

    class Fixed(Applicability):
        calls = 0

        def dissimilarity(self, X: np.ndarray) -> np.ndarray:
            self.calls += 1  # 1 for the first step down, 0.5 for the second
            return np.full(len(X), 1.0 if self.calls % 2 else 0.5)

    fixed = Fixed()
    fixed.threshold_ = 0.7
    judged = WithApplicability(learner, learner, fixed).predict(fine, coarse)
    known = judged["dissimilarity_index"].values[np.isfinite(index.values)]
    assert fixed.calls == 4
    assert set(known.tolist()) == {1.0}
    assert int(judged["is_applicable"].sum()) == 0


def test_models_of_records_have_no_area(cubes: tuple[xr.Dataset, xr.Dataset]) -> None:
    learner = Direct(Ensemble(members="random_forest"), PREDICTORS)
    with pytest.raises(ModelProblem, match="ensemble: found samples that are sequences"):
        learn_area(learner, cubes[1])
    with pytest.raises(ModelProblem, match="a distance is one of places"):
        WithApplicability(learner, learner, Applicability())
