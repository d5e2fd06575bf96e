"""Training at several scales counts every coarse value once, leaks nothing and tells how well it closes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.regrid import aggregate, area_mean, smooth
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct, load_downscaler
from vadose.downscale.multiscale import MultiScale
from vadose.errors import CubeProblem, GridProblem, ModelProblem, NoOverlap, RecipeProblem
from vadose.grids import coarsened, grid_of, lonlat
from vadose.models import RandomForest
from vadose.models.base import Kind
from vadose.schema import ORIGIN, check_cube

FACTOR, DAYS = 4, 3
SCALES = (2000.0, 1500.0)
PREDICTORS = ["land_surface_temperature", "ndvi", "elevation", "sand"]
Array = npt.NDArray[Any]


class Recorder:
    """Keep what it was fitted with, and predict a function of its first feature."""

    name: ClassVar[str] = "recorder"
    kind: ClassVar[Kind] = "rows"

    def __init__(self, function: Any = np.square) -> None:
        self.function = function

    def fit(self, X: Array, y: Array, *, weight: Any = None, groups: Any = None) -> Self:
        self.X, self.y, self.weight, self.groups = X, y, weight, groups
        return self

    def predict(self, X: Array) -> Array:
        return np.asarray(self.function(X[:, 0].astype("f8")))

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls()


class Patchy(Recorder):
    kind: ClassVar[Kind] = "patches"


@pytest.fixture(scope="module")
def world() -> vadose.synthetic.World:
    return vadose.synthetic.world(size=32, days=DAYS, factor=FACTOR, seed=0)


@pytest.fixture(scope="module")
def coarse(world: vadose.synthetic.World) -> xr.Dataset:
    cube = world.coarse_truth[["soil_moisture"]].copy(deep=True)
    cube["soil_moisture"][1, 2:4, 3] = np.nan
    return cube


@pytest.fixture(scope="module")
def fitted(world: vadose.synthetic.World) -> MultiScale:
    downscaler = new(RandomForest(trees=20, seed=3), world)
    assert downscaler.fit(world.coarse_truth) is downscaler
    return downscaler


def new(model: Any, world: vadose.synthetic.World, **settings: Any) -> MultiScale:
    return MultiScale(
        model,
        settings.pop("predictors", PREDICTORS),
        **{"fine": world.predictors, "scales": SCALES, "samples": 3, **settings},
    )


def owner(model: Recorder, cube: xr.Dataset) -> Array:
    """Find the coarse cell of each sample by the position among its features."""
    centres = np.stack(lonlat(grid_of(cube)), axis=-1).reshape(-1, 2)
    distance = np.abs(model.X[:, None, -2:] - centres) / np.ptp(centres, axis=0)
    return np.argmin(distance.max(axis=-1), axis=1)


# --- what is learned from ---


def test_every_coarse_value_counts_once_at_each_scale(world, coarse):
    model = Recorder()
    new(model, world).fit(coarse)
    known = coarse["soil_moisture"].notnull().sum("time").values.ravel()
    sums = np.bincount(model.groups, model.weight, known.size)
    np.testing.assert_allclose(sums, len(SCALES) * known)


def test_copies_of_a_coarse_cell_are_in_one_group_at_all_scales_and_steps(world, coarse):
    model = Recorder()
    new(model, world, samples=50).fit(coarse)
    np.testing.assert_array_equal(model.groups, owner(model, coarse))
    new(model, world, samples=50, block=3).fit(coarse)
    row, column = np.divmod(owner(model, coarse), coarse.sizes["x"])
    pairs = set(zip(model.groups, row // 3, column // 3, strict=True))
    assert len(pairs) == len({group for group, *_ in pairs}) == 3 * 3


def test_a_search_gets_the_samples_that_the_fit_gets(world, coarse):
    model = Recorder()
    X, y, groups = new(model, world).fit(coarse).training_data(coarse)
    np.testing.assert_array_equal(X, model.X)
    np.testing.assert_array_equal(y, model.y)
    np.testing.assert_array_equal(groups, model.groups)


def test_the_number_of_rows_is_bounded_by_the_samples(world, coarse):
    model = Recorder()
    new(model, world, samples=2).fit(coarse)
    known = int(coarse["soil_moisture"].notnull().sum())
    assert len(model.y) == 2 * known * len(SCALES)
    assert model.X.shape == (len(model.y), len(PREDICTORS) + 2)


def test_features_are_means_of_the_scale_and_targets_stay_among_coarse_values(world, coarse):
    """With all cells of a nesting scale drawn, the samples are the aggregated cube."""
    model = Recorder()
    scale = 2 * 1000.9
    new(model, world, scales=(scale,), samples=99, predictors=["ndvi"], with_position=False).fit(
        world.coarse_truth
    )
    upper = coarsened(grid_of(world.predictors), 2)
    expected = aggregate(world.predictors[["ndvi"]], upper)["ndvi"].values
    np.testing.assert_allclose(np.sort(model.X[:, 0]), np.sort(expected.ravel()), rtol=1e-6)
    values = world.coarse_truth["soil_moisture"].values
    assert values.min() - 1e-9 <= model.y.min() <= model.y.max() <= values.max() + 1e-9
    assert len(np.unique(model.y)) > 2 * values.size  # not mere copies


def test_gaps_give_no_samples(world, coarse):
    model = Recorder()
    fine = world.predictors.copy(deep=True)
    fine["sand"][:8, :16] = np.nan  # two rows, four columns of coarse cells
    new(model, world, fine=fine, scales=(1001.0,)).fit(coarse.isel(time=[1]))
    is_known = coarse["soil_moisture"][1].notnull().values.copy()
    is_known[:2, :4] = False
    assert set(model.groups) == set(np.flatnonzero(is_known.ravel()))


def test_a_scale_without_a_complete_cell_is_named(world, coarse):
    fine = world.predictors.copy(deep=True)
    fine["sand"][:] = np.nan
    words = "scale of 2000 m: found no cell with soil_moisture and all predictors"
    with pytest.raises(CubeProblem, match=words):
        new(Recorder(), world, fine=fine).fit(coarse)
    with pytest.raises(CubeProblem, match=words):
        new(Recorder(), world).fit(coarse.where(False).assign_attrs(coarse.attrs))


def test_draws_do_not_depend_on_chunks_or_other_scales(world, coarse):
    models = [Recorder() for _ in range(3)]
    new(models[0], world).fit(coarse)
    lazy = world.predictors.chunk({"time": 2, "y": 8, "x": 16})
    new(models[1], world, fine=lazy).fit(coarse.chunk({"time": 1, "x": 2}))
    for name in ("X", "y", "weight", "groups"):
        np.testing.assert_array_equal(getattr(models[1], name), getattr(models[0], name))
    new(models[2], world, scales=SCALES[1:]).fit(coarse)
    np.testing.assert_array_equal(models[2].X, models[0].X[-len(models[2].X) :])


# --- what comes out ---


def test_closed_it_beats_smooth_interpolation(world, fitted):
    truth = world.truth["soil_moisture"].values

    def error(inner: Any) -> float:
        product = Closed(inner).predict(world.predictors, world.coarse_truth)
        return float(np.sqrt(np.mean((product["soil_moisture"].values - truth) ** 2)))

    assert error(fitted) < 0.9 * error(Interpolation(smooth))


def test_product_is_a_cube_of_the_fine_grid(world, coarse, fitted):
    product = fitted.predict(world.predictors, coarse)
    assert check_cube(product) is product
    assert product["soil_moisture"].shape == (DAYS, 32, 32)
    assert int((product["origin"] == ORIGIN.code("filled")).sum()) == 2 * FACTOR**2
    assert fitted.feature_names_ == (*PREDICTORS, "longitude", "latitude")


def test_same_bits_twice(world, fitted):
    again = new(RandomForest(trees=20, seed=3), world).fit(world.coarse_truth)
    both = [one.predict(world.predictors, world.coarse_truth) for one in (fitted, again)]
    assert both[0].identical(both[1])
    assert again.closure_ == fitted.closure_


def test_static_cubes_are_learned_too(world):
    fine, coarse = (one.isel(time=0, drop=True) for one in (world.predictors, world.coarse_truth))
    model = Recorder()
    product = new(model, world, fine=fine).fit(coarse).predict(fine, coarse)
    assert product["soil_moisture"].dims == ("y", "x")
    assert model.weight.sum() == pytest.approx(len(SCALES) * 64)


def test_progress_is_told_by_step(world, coarse):
    told: list[tuple[int, int]] = []
    new(Recorder(), world, progress=lambda *done: told.append(done)).fit(coarse)
    assert told == [(1, 3), (2, 3), (3, 3)]


# --- closure ---


def test_closure_tells_the_mean_of_a_curve_from_the_curve_of_the_mean(world):
    """With all cells drawn, it is what aggregating the whole predicted map would leave."""
    fine = world.predictors
    several = new(Recorder(), world, scales=(4003.6, 2001.8), samples=99, predictors=["ndvi"])
    several.fit(world.coarse_truth)
    truth = world.coarse_truth["soil_moisture"].astype("f8")
    for one, factor in zip(several.closure_, (4, 2, 1), strict=True):
        assert one.scale == pytest.approx(1000.9 * factor, rel=1e-3)
        assert one.is_trained == (factor > 1)
        assert one.cells == truth.size
        assert one.sampling == (None if factor == 4 else 0.0)
        curve = fine["ndvi"] ** 2
        if factor > 1:
            curve = area_mean(fine["ndvi"], coarsened(grid_of(fine), factor)) ** 2
        mean = area_mean(curve, grid_of(truth)) if factor < 4 else curve
        left = mean.values - truth.values
        assert one.bias == pytest.approx(left.mean(), abs=1e-6)
        assert one.rmse == pytest.approx(np.sqrt((left**2).mean()), abs=1e-6)
    biases = [one.bias for one in several.closure_]
    assert biases == sorted(biases)  # of squares, the finer the more


def test_closure_says_what_drawing_alone_would_leave(world):
    """The predictions of a model without error differ from the coarse mean by the draw alone."""
    cube = world.predictors[["ndvi"]]
    truth = area_mean(cube["ndvi"], grid_of(world.coarse)).astype("f4")
    coarse = truth.rename("soil_moisture").to_dataset()
    coarse["soil_moisture"].attrs = world.coarse["soil_moisture"].attrs
    settings = {"predictors": ["ndvi"], "scales": (1001.0,)}
    exact = new(Recorder(lambda first: first), world, **settings).fit(coarse).closure_
    assert len(exact) == 1  # the fine grid itself was learned
    assert exact[0].rmse == pytest.approx(exact[0].sampling, rel=0.15)
    assert exact[0].rmse > 0.001


# --- on disk ---


def test_what_is_saved_predicts_the_same_and_holds_no_predictors(world, fitted, tmp_path):
    fitted.save(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert files == {"downscaler.json", "model/model.json", "model/trees.safetensors"}
    description = json.loads((tmp_path / "downscaler.json").read_text())
    assert description["model"] == "multiscale"
    assert [one["scale"] for one in description["closure"][:2]] == list(SCALES)
    again = load_downscaler(tmp_path)
    assert isinstance(again, MultiScale)
    assert again.scales == SCALES
    assert again.closure_ == fitted.closure_
    product = fitted.predict(world.predictors, world.coarse_truth)
    assert again.predict(world.predictors, world.coarse_truth).identical(product)
    with pytest.raises(ModelProblem, match=r"no fine predictors, expected .* Give them as fine"):
        again.fit(world.coarse_truth)


def test_without_a_fit_there_is_nothing_to_predict_or_save(world, tmp_path):
    downscaler = new(Recorder(), world)
    assert isinstance(downscaler, Direct)
    with pytest.raises(ModelProblem, match=r"found no fit\. Call fit first"):
        downscaler.predict(world.predictors, world.coarse_truth)
    with pytest.raises(ModelProblem, match="found no fit"):
        downscaler.save(tmp_path)
    assert not list(tmp_path.iterdir())


# --- what is refused ---


def test_models_of_other_kinds_are_refused(world, coarse):
    words = (
        r"model recorder: found samples that are patches, expected rows.* Choose a model of rows"
    )
    with pytest.raises(ModelProblem, match=words):
        new(Patchy(), world).fit(coarse)


@pytest.mark.parametrize(
    ("settings", "problem", "words"),
    [
        ({"samples": 0}, RecipeProblem, r"samples: found 0, expected 1 or more"),
        ({"block": 0}, RecipeProblem, r"block: found 0, expected 1 or more"),
        ({"seed": -1}, RecipeProblem, r"seed: found -1, expected 0 or more"),
        ({"scales": ()}, RecipeProblem, r"scales: found \[\], expected one or more"),
        ({"scales": (2000, 2e3)}, RecipeProblem, "one or more, each once"),
        ({"scales": (900.0,)}, GridProblem, r"scales: found 900 m, expected 1000.9 to 4003.6 m"),
        ({"predictors": ["luck"]}, CubeProblem, "fine cube: found .*, expected also luck"),
    ],
)
def test_settings_that_make_no_sense_are_refused(world, coarse, settings, problem, words):
    with pytest.raises(problem, match=words):
        new(Recorder(), world, **settings).fit(coarse)


def test_fine_predictors_must_have_the_days_of_the_target(world, coarse):
    with pytest.raises(NoOverlap, match=r"fine cube: time: found no step at .*1 of 3 missing"):
        new(Recorder(), world, fine=world.predictors.isel(time=[0, 1])).fit(coarse)
