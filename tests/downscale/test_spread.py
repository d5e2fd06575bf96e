"""The spread on the fine grid is that of the model, at the same places, whatever the tiles and wrappers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.downscale.base import Downscaler
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Blend, Closed
from vadose.downscale.downscaler import Direct, MultiScale, Residual
from vadose.downscale.spread import WithSpread, beside, blended
from vadose.downscale.tiled import Tiled
from vadose.errors import ModelProblem
from vadose.models import Boosting, Ensemble, RandomForest
from vadose.schema import check_cube, variable

FACTOR = 4
PREDICTORS = ["ndvi", "land_surface_temperature", "elevation", "sand"]
SPREAD = "soil_moisture_spread"


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    """A world of 8 x 8 coarse cells with gaps in both cubes."""
    world = vadose.synthetic.world(size=32, days=2, factor=FACTOR, seed=1)
    world.predictors["sand"][3:5, 6] = np.nan
    world.predictors["ndvi"][1, 20, 21] = np.nan
    return world


def cubes(world: vadose.synthetic.World) -> tuple[xr.Dataset, xr.Dataset]:
    """Give fine predictors, and the coarse truth with the predictors averaged."""
    fine = world.predictors[PREDICTORS]
    means = fine.coarsen(y=FACTOR, x=FACTOR).mean()
    values = {name: (means[name].dims, means[name].values, fine[name].attrs) for name in PREDICTORS}
    coarse = world.coarse_truth.assign(values)
    coarse["soil_moisture"] = coarse["soil_moisture"].copy()
    coarse["soil_moisture"][1, 1, 4] = np.nan
    return fine, coarse


def forest(**more: int) -> RandomForest:
    return RandomForest(trees=6, leaf=3, **more)


def learned(world: vadose.synthetic.World, kind: str) -> Downscaler:
    fine, coarse = cubes(world)
    made: dict[str, Downscaler] = {
        "direct": Direct(forest(), PREDICTORS),
        "layers": Direct(forest(), PREDICTORS, also=["root_zone_soil_moisture"]),
        "multiscale": MultiScale(forest(), PREDICTORS, fine=fine, scales=(2000.0,)),
        "residual": Residual(forest(), PREDICTORS, factor=FACTOR, ratio=2, in_steps=True),
        "boosting": Direct(Boosting(trees=5, leaf=5), PREDICTORS),
        "smooth": Interpolation(),
    }
    return made[kind].fit(coarse)


@pytest.mark.parametrize(
    "kind", ["direct", "layers", "multiscale", "residual", "boosting", "smooth"]
)
def test_the_product_is_the_same_with_a_spread_beside(
    kind: str, world: vadose.synthetic.World
) -> None:
    downscaler, (fine, coarse) = learned(world, kind), cubes(world)
    plain = downscaler.predict(fine, coarse)
    product = check_cube(WithSpread(downscaler).predict(fine, coarse))
    assert set(product.data_vars) == {*plain.data_vars, SPREAD}
    for name in plain.data_vars:
        assert product[name].equals(plain[name])
    spread, values = product[SPREAD], product["soil_moisture"]
    assert spread.dtype == np.float32
    assert np.array_equal(spread.isnull(), values.isnull())
    assert float(spread.min()) >= 0
    assert spread.attrs["units"] == "m3 m-3"
    assert spread.attrs.get("depth_to") == values.attrs.get("depth_to")
    assert values.attrs["ancillary_variables"].split() == ["origin", "flags", SPREAD]
    assert plain["soil_moisture"].attrs["ancillary_variables"] == "origin flags"
    if kind in ("boosting", "smooth"):
        assert float(spread.max()) == float(spread.min()) == 1.0
    else:
        assert 0.001 < float(spread.mean()) < 0.1


def test_the_spread_of_a_pixel_is_that_of_its_trees(world: vadose.synthetic.World) -> None:
    downscaler, (fine, coarse) = learned(world, "direct"), cubes(world)
    product = WithSpread(downscaler).predict(fine, coarse)
    assert isinstance(downscaler, Direct)
    rows = downscaler.sampler().take(fine)
    assert np.allclose(
        product[SPREAD].values.ravel()[rows.index], downscaler.model.spread(rows.X), atol=1e-7
    )


def test_any_target_may_have_a_spread(world: vadose.synthetic.World) -> None:
    fine, coarse = cubes(world)
    downscaler = Direct(forest(), PREDICTORS[1:], target="ndvi", also=["root_zone_soil_moisture"])
    product = WithSpread(downscaler.fit(coarse)).predict(fine, coarse)
    known = downscaler.predict(fine, coarse)
    assert set(product.data_vars) == {*known.data_vars, "ndvi_spread"}
    assert product["root_zone_soil_moisture"].equals(known["root_zone_soil_moisture"])
    rows = downscaler.sampler().take(fine)
    spread = downscaler.model.spread(rows.X)[:, 0]
    assert np.allclose(product["ndvi_spread"].values.ravel()[rows.index], spread, atol=1e-7)


def test_steps_down_add_their_squares(world: vadose.synthetic.World) -> None:
    """A forest of one tree per step has no spread; a stand-in of spread 3 and 4 gives 5."""
    downscaler, (fine, coarse) = learned(world, "residual"), cubes(world)
    assert isinstance(downscaler, Residual)

    class Counting(RandomForest):
        calls = 0

        def spread(self, X: np.ndarray, *, mean: np.ndarray | None = None) -> np.ndarray:
            self.calls += 1
            return np.full(len(X), 3.0 if self.calls % 2 else 4.0)

    stand_in = Counting()
    stand_in.__dict__.update(downscaler.model.__dict__)
    downscaler.model = stand_in
    spread = WithSpread(downscaler).predict(fine, coarse)[SPREAD]
    assert stand_in.calls == 2 * fine.sizes["time"]
    assert np.unique(spread.values[np.isfinite(spread)]).tolist() == [5.0]


@pytest.mark.parametrize("kind", ["direct", "multiscale", "residual", "smooth"])
def test_tiles_give_the_bits_of_the_whole(kind: str, world: vadose.synthetic.World) -> None:
    downscaler, (fine, coarse) = WithSpread(learned(world, kind)), cubes(world)
    whole = downscaler.predict(fine, coarse)
    together = None if kind == "residual" else 1  # it takes the whole map of each tile
    tiled = Tiled(downscaler, cells=5, together=together).predict(fine, coarse)
    assert set(tiled) == set(whole)
    assert tiled[SPREAD].equals(whole[SPREAD])
    assert downscaler.reach(FACTOR) == downscaler.inner.reach(FACTOR)


def test_wrappers_pass_the_spread_on(world: vadose.synthetic.World) -> None:
    fine, coarse = cubes(world)
    one, other = learned(world, "direct"), learned(world, "residual")
    spreads = [WithSpread(part).predict(fine, coarse)[SPREAD].values for part in (one, other)]
    closed = WithSpread(Closed(one)).predict(fine, coarse)
    assert closed["soil_moisture"].equals(Closed(one).predict(fine, coarse)["soil_moisture"])
    assert "closure_residual" in closed
    assert np.array_equal(closed[SPREAD], spreads[0], equal_nan=True)
    blend = WithSpread(Blend([one, Closed(other)], [1.0, 3.0])).predict(fine, coarse)
    known = np.isfinite(blend["soil_moisture"].values)
    wanted = 0.25 * spreads[0] + 0.75 * spreads[1]
    assert np.allclose(blend[SPREAD].values[known], wanted[known], atol=1e-7)
    assert known.sum() > 500


def test_an_ensemble_of_sequences_spreads_day_by_day(world: vadose.synthetic.World) -> None:
    fine, coarse = cubes(world)
    ensemble = Ensemble(members=[forest(), forest(seed=5)], folds=2)
    downscaler = Direct(ensemble, PREDICTORS).fit(coarse)
    ensemble.weights_ = np.array([[0.5, 0.5]])
    product = WithSpread(downscaler).predict(fine, coarse)
    one, other = (Direct(member, PREDICTORS) for member in downscaler.model.members_.values())
    for part in (one, other):
        part.feature_names_ = downscaler.feature_names_
        part.feature_ranges_ = downscaler.feature_ranges_
    apart = [part.predict(fine, coarse)["soil_moisture"].values for part in (one, other)]
    assert np.allclose(product[SPREAD], np.abs(apart[0] - apart[1]) / 2, atol=1e-7, equal_nan=True)


def test_a_downscaler_without_a_fit_says_so(world: vadose.synthetic.World) -> None:
    with pytest.raises(ModelProblem, match="no fit"):
        WithSpread(Direct(forest(), PREDICTORS)).predict(*cubes(world))


def test_companions_are_named_once(world: vadose.synthetic.World) -> None:
    product = learned(world, "direct").predict(*cubes(world))
    values = product["soil_moisture"].values
    upper = {"soil_moisture_upper": (values, {"level": 0.9})}
    again = beside(beside(product, "soil_moisture", upper), "soil_moisture", upper)
    named = again["soil_moisture"].attrs["ancillary_variables"].split()
    assert named == ["origin", "flags", "soil_moisture_upper"]
    assert again["soil_moisture_upper"].attrs["level"] == 0.9
    assert again["soil_moisture_upper"].attrs["depth_to"] == 0.05


def test_blended_spreads_keep_gaps() -> None:
    gap = blended([np.array([np.nan, 0.2]), np.array([0.1, 0.4])], [1.0, 1.0])
    assert np.isnan(gap[0])
    assert gap[1] == pytest.approx(0.3)


def test_names_of_uncertainty_follow_from_the_table_of_variables() -> None:
    lower = variable("root_zone_soil_moisture_lower")
    assert lower.standard_name == variable("root_zone_soil_moisture").standard_name
    width = variable("soil_moisture_interval_width")
    assert (width.standard_name, width.valid_range, width.units) == ("", (0.0, 1.0), "m3 m-3")
    assert variable("closure_residual_interval_width").valid_range == (0.0, 2.0)
