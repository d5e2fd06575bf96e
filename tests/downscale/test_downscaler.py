"""Downscalers that learn beat what does not, give the same bits twice, and refuse what does not fit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import vadose.synthetic
from vadose.cubes.assemble import withhold
from vadose.cubes.regrid import smooth
from vadose.downscale.base import Downscaler
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct, Residual, load_downscaler
from vadose.errors import CubeProblem, GridProblem, ModelProblem
from vadose.models import RandomForest, new_model
from vadose.schema import ORIGIN, check_cube

FACTOR = 2
PREDICTORS = ["land_surface_temperature", "ndvi", "elevation", "sand"]
KINDS = ["direct", "residual"]


@dataclass(frozen=True)
class Study:
    coarse: xr.Dataset
    fine: xr.Dataset
    truth: xr.DataArray


@pytest.fixture(scope="module")
def study() -> Study:
    """Withhold the fine truth of a world; the coarse target is its exact area mean, without noise."""
    world = vadose.synthetic.world(size=32, days=2, factor=FACTOR, seed=0)
    cube = world.predictors.assign(soil_moisture=world.truth["soil_moisture"])
    cubes = withhold(cube, target="soil_moisture", predictors=PREDICTORS, factor=FACTOR)
    expected = world.coarse_truth["soil_moisture"]
    assert np.allclose(cubes["coarse"]["soil_moisture"], expected, rtol=0, atol=1e-6)
    return Study(cubes["coarse"], cubes["fine"], world.truth["soil_moisture"])


def new(kind: str, **settings: Any) -> Direct | Residual:
    model = RandomForest(trees=15, seed=3)
    if kind == "direct":
        return Direct(model, PREDICTORS, **settings)
    return Residual(model, PREDICTORS, **{"factor": FACTOR, **settings})


@pytest.fixture(scope="module", params=KINDS)
def fitted(request: pytest.FixtureRequest, study: Study) -> Direct | Residual:
    downscaler = new(request.param)
    assert downscaler.fit(study.coarse) is downscaler
    return downscaler


def error(product: xr.Dataset, study: Study) -> float:
    return float(np.sqrt(((product["soil_moisture"].values - study.truth.values) ** 2).mean()))


def kind_of(downscaler: Direct | Residual) -> str:
    return type(downscaler).__name__.lower()


# --- what they learn ---


def test_closed_it_beats_smooth_interpolation(fitted: Direct | Residual, study: Study) -> None:
    def product(inner: Downscaler) -> xr.Dataset:
        return Closed(inner).predict(study.fine, study.coarse)

    smooth_error = error(product(Interpolation(smooth)), study)
    assert error(product(fitted), study) < 0.8 * smooth_error


def test_product_is_a_cube_with_origins(fitted: Direct | Residual, study: Study) -> None:
    product = fitted.predict(study.fine, study.coarse)
    assert check_cube(product) is product
    assert set(product) == {"soil_moisture", "origin"}
    assert product["soil_moisture"].dims == ("time", "y", "x")
    assert product["soil_moisture"].attrs["depth_to"] == 0.05
    assert np.array_equal(product["time"], study.coarse["time"])
    assert (product["origin"] == ORIGIN.code("downscaled")).all()


def test_a_gap_in_a_predictor_is_a_gap_in_the_product(
    fitted: Direct | Residual, study: Study
) -> None:
    fine = study.fine.copy(deep=True)
    fine["sand"][5, 6] = np.nan
    fine["ndvi"][1, 20, 21] = np.nan
    product = fitted.predict(fine, study.coarse)
    is_gap = product["soil_moisture"].isnull().values
    assert is_gap[:, 5, 6].all()
    assert is_gap[1, 20, 21]
    assert is_gap.sum() == 3
    assert (product["origin"].values[is_gap] == ORIGIN.code("missing")).all()


def test_gaps_of_the_coarse_field_are_not_learned(study: Study) -> None:
    coarse = study.coarse.copy(deep=True)
    coarse["soil_moisture"][:, :5] = np.nan
    for kind in KINDS:
        product = new(kind).fit(coarse).predict(study.fine, coarse)
        field, origin = product["soil_moisture"].values, product["origin"].values
        assert np.isfinite(field[:, 12:]).all()
        assert (origin[:, 12:] == ORIGIN.code("downscaled")).all()
        assert (origin[:, :10][np.isfinite(field[:, :10])] == ORIGIN.code("filled")).all()


def test_progress_is_told(study: Study) -> None:
    for kind in KINDS:
        told: list[tuple[int, int]] = []
        downscaler = new(kind, progress=lambda done, total, told=told: told.append((done, total)))
        downscaler.fit(study.coarse)
        told.clear()
        downscaler.predict(study.fine, study.coarse)
        total = told[-1][1]
        assert told[-1] == (total, total)
        assert [done for done, _ in told] == sorted(done for done, _ in told)


# --- every kind of model ---

SMALL: dict[str, dict[str, Any]] = {
    "dnn": {"width": 32, "depth": 2, "epochs": 30, "batch": 64},
    "lstm": {"hidden": 16, "epochs": 40, "rate": 0.01},
    "resnet": {"channels": 8, "blocks": 1, "epochs": 60, "rate": 0.01, "patience": 0},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SMALL)
def test_models_of_every_kind_downscale(kind: str, name: str, study: Study, tmp_path: Path) -> None:
    model = new_model(name, seed=0, **SMALL[name])
    downscaler: Direct | Residual = (
        Direct(model, PREDICTORS)
        if kind == "direct"
        else Residual(model, PREDICTORS, factor=FACTOR)
    )
    coarse = study.coarse.copy(deep=True)
    coarse["soil_moisture"][1, 3:6, 4] = np.nan
    product = downscaler.fit(coarse).predict(study.fine, study.coarse)
    assert product["soil_moisture"].notnull().all()
    spread = float(study.truth.std())
    assert error(product, study) < 0.8 * spread
    downscaler.save(tmp_path)
    assert load_downscaler(tmp_path).predict(study.fine, study.coarse).identical(product)


def test_a_series_with_a_gap_is_dropped_or_held(study: Study) -> None:
    fine = study.fine.copy(deep=True)
    fine["ndvi"][1, 20, 21] = np.nan
    lost = {}
    for gaps in ("drop", "hold"):
        lstm = new_model("lstm", seed=0, hidden=4, epochs=2)
        direct = Direct(lstm, PREDICTORS, gaps=gaps).fit(study.coarse)
        product = direct.predict(fine, study.coarse)["soil_moisture"]
        lost[gaps] = np.argwhere(product.isnull().values).tolist()
    assert lost == {"drop": [[0, 20, 21], [1, 20, 21]], "hold": [[1, 20, 21]]}


def test_two_layers_are_learned_together(tmp_path: Path) -> None:
    world = vadose.synthetic.world(size=32, days=6, factor=FACTOR, seed=0)
    deep = "root_zone_soil_moisture"
    cube = world.predictors.assign({name: world.truth[name] for name in ("soil_moisture", deep)})
    cubes = withhold(cube, target="soil_moisture", predictors=[*PREDICTORS, deep], factor=FACTOR)
    direct = Direct(RandomForest(trees=15), PREDICTORS, also=[deep]).fit(cubes["coarse"])
    product = direct.predict(cubes["fine"][PREDICTORS], cubes["coarse"])
    assert set(product) == {"soil_moisture", deep, "origin"}
    assert check_cube(product) is product
    for name in ("soil_moisture", deep):
        alone = Direct(RandomForest(trees=15), PREDICTORS, target=name).fit(cubes["coarse"])
        field = alone.predict(cubes["fine"], cubes["coarse"])[name]
        assert np.array_equal(field, product[name])
        assert field.attrs["depth_to"] == product[name].attrs["depth_to"]
    direct.save(tmp_path)
    again = load_downscaler(tmp_path).predict(cubes["fine"][PREDICTORS], cubes["coarse"])
    assert again.identical(product)


def test_a_day_or_a_map_without_predictors_is_all_gap(study: Study) -> None:
    fine = study.fine.copy(deep=True)
    fine["ndvi"][0] = np.nan
    direct = new("direct").fit(study.coarse)
    product = direct.predict(fine, study.coarse)["soil_moisture"]
    assert product[0].isnull().all()
    assert product[1].notnull().all()
    fine["sand"][:] = np.nan
    product = direct.predict(fine, study.coarse)["soil_moisture"]
    assert product.isnull().all()
    assert product.shape == (2, 32, 32)


# --- the same bits ---


def test_a_fault_of_a_prediction_is_no_gap(study: Study) -> None:
    direct = Direct(RandomForest(trees=1), PREDICTORS).fit(study.coarse)
    direct.model.predict = lambda X: np.zeros(3)  # type: ignore[method-assign]
    with pytest.raises(CubeProblem, match=r"values: found shape \(3,\)"):
        direct.predict(study.fine, study.coarse)


def test_same_bits_twice(fitted: Direct | Residual, study: Study) -> None:
    again = new(kind_of(fitted)).fit(study.coarse)
    both = [one.predict(study.fine, study.coarse) for one in (fitted, again)]
    assert both[0].identical(both[1])


def test_a_step_is_predicted_the_same_whatever_others_are_there(
    fitted: Direct | Residual, study: Study
) -> None:
    both = fitted.predict(study.fine, study.coarse)
    alone = fitted.predict(study.fine, study.coarse.isel(time=[1]))
    assert np.array_equal(alone["soil_moisture"][0], both["soil_moisture"][1])


def test_chunks_do_not_matter(fitted: Direct | Residual, study: Study) -> None:
    whole = fitted.predict(study.fine, study.coarse)
    lazy = fitted.predict(
        study.fine.chunk({"time": 1, "y": 8, "x": 16}), study.coarse.chunk({"time": 1})
    )
    assert np.array_equal(lazy["soil_moisture"], whole["soil_moisture"])


def test_comes_back_from_disk_the_same(
    fitted: Direct | Residual, study: Study, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = load_downscaler(tmp_path)
    assert type(again) is type(fitted)
    assert again.feature_names_ == fitted.feature_names_
    product = fitted.predict(study.fine, study.coarse)
    assert again.predict(study.fine, study.coarse).identical(product)
    files = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {".json", ".safetensors"}


def test_a_part_of_a_cube_is_as_good_as_a_whole(study: Study) -> None:
    """Coordinates of a part are off by a rounding from those of its grid."""
    coarse = study.coarse.isel(y=slice(1, 14), x=slice(3, 16))
    fine = study.fine.isel(y=slice(2, 28), x=slice(6, 32))
    for kind in KINDS:
        product = new(kind).fit(coarse).predict(fine, coarse)
        assert product["soil_moisture"].notnull().all()
        assert product["soil_moisture"].shape == (2, 26, 26)


def test_static_cubes_are_downscaled_too(study: Study) -> None:
    coarse, fine = (one.isel(time=0, drop=True) for one in (study.coarse, study.fine))
    for kind in KINDS:
        product = new(kind).fit(coarse).predict(fine, coarse)
        assert product["soil_moisture"].dims == ("y", "x")


# --- what is refused ---


def test_a_missing_predictor_is_named(fitted: Direct | Residual, study: Study) -> None:
    with pytest.raises(CubeProblem, match=r"coarse cube: found .*, expected also sand\."):
        new(kind_of(fitted)).fit(study.coarse.drop_vars("sand"))
    words = r"fine cube: found .*, expected also sand\. The model was fitted with them"
    with pytest.raises(CubeProblem, match=words):
        fitted.predict(study.fine.drop_vars("sand"), study.coarse)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")  # a day without any predictor
def test_cubes_without_a_complete_cell_are_refused(study: Study) -> None:
    coarse = study.coarse.copy(deep=True)
    coarse["sand"][:] = np.nan
    for kind in KINDS:
        with pytest.raises(CubeProblem, match="no cell with soil_moisture and all predictors"):
            new(kind).fit(coarse)


def test_a_grid_too_small_to_be_aggregated_once_more_is_refused(study: Study) -> None:
    small = study.coarse.isel(y=slice(0, 7))
    with pytest.raises(
        CubeProblem, match=r"found 7 x 16 cells, expected .*Use the direct method or a larger"
    ):
        new("residual", factor=4).fit(small)


def test_grids_that_do_not_nest_are_refused(fitted: Direct | Residual, study: Study) -> None:
    with pytest.raises(GridProblem, match="whole blocks of fine cells"):
        fitted.predict(study.fine.isel(x=slice(2, 32)), study.coarse)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_fit_there_is_nothing_to_predict_or_save(
    kind: str, study: Study, tmp_path: Path
) -> None:
    with pytest.raises(ModelProblem, match=r"found no fit\. Call fit first"):
        new(kind).predict(study.fine, study.coarse)
    with pytest.raises(ModelProblem, match="found no fit"):
        new(kind).save(tmp_path)
    assert not list(tmp_path.iterdir())


# --- damaged folders ---


@pytest.fixture
def saved(fitted: Direct | Residual, tmp_path: Path) -> Path:
    fitted.save(tmp_path)
    return tmp_path


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "downscaler.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_features_in_another_order_are_refused(
    fitted: Direct | Residual, saved: Path, study: Study
) -> None:
    edit(saved, features=list(reversed(fitted.feature_names_)))
    with pytest.raises(ModelProblem, match="expected those of the fit in their order"):
        load_downscaler(saved).predict(study.fine, study.coarse)


def test_predictors_in_another_order_are_refused(saved: Path, study: Study) -> None:
    edit(saved, predictors=PREDICTORS[::-1])
    with pytest.raises(ModelProblem, match="expected those of the fit in their order"):
        load_downscaler(saved).predict(study.fine, study.coarse)


def test_more_or_fewer_features_are_refused(fitted: Direct | Residual, saved: Path) -> None:
    count = len(fitted.feature_names_)
    for names in (fitted.feature_names_[:-1], (*fitted.feature_names_, "luck:value")):
        edit(saved, features=list(names))
        with pytest.raises(
            ModelProblem, match=f"found {len(names)} feature names, expected {count}"
        ):
            load_downscaler(saved)


def test_another_kind_or_format_is_refused(saved: Path) -> None:
    edit(saved, model="oracle")
    with pytest.raises(
        ModelProblem, match="found kind 'oracle', expected direct, multiscale, residual"
    ):
        load_downscaler(saved)


def test_a_later_format_is_refused(saved: Path) -> None:
    edit(saved, format=99)
    with pytest.raises(ModelProblem, match="found format 99, expected format 1"):
        load_downscaler(saved)


def test_incomplete_descriptions_are_refused(saved: Path) -> None:
    path = saved / "downscaler.json"
    whole = json.loads(path.read_text())
    for key in whole:
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(ModelProblem):
            load_downscaler(saved)
    path.write_text(json.dumps({**whole, "settings": {"nonsense": 1}}))
    with pytest.raises(ModelProblem, match="found an incomplete description"):
        load_downscaler(saved)


def test_missing_files_are_refused(saved: Path) -> None:
    for path in sorted(saved.rglob("*.*")):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(ModelProblem, match="expected a saved model"):
            load_downscaler(saved)
        path.write_bytes(whole)
