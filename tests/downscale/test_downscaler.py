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
from vadose.downscale.base import Downscaler, Reach
from vadose.downscale.baselines import Interpolation
from vadose.downscale.conserve import Closed
from vadose.downscale.downscaler import Direct, Residual, load_downscaler
from vadose.errors import CubeProblem, GridProblem, ModelProblem
from vadose.models import RandomForest, new_model
from vadose.schema import FLAGS, ORIGIN, check_cube
from vadose.store import open_cube, write_cube

FACTOR = 2
PREDICTORS = ["land_surface_temperature", "ndvi", "elevation", "sand"]
KINDS = ["direct", "residual"]
EXTRAPOLATED = ORIGIN.code("extrapolated")


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
    assert set(product) == {"soil_moisture", "origin", "flags"}
    assert product["soil_moisture"].dims == ("time", "y", "x")
    assert product["soil_moisture"].attrs["depth_to"] == 0.05
    assert np.array_equal(product["time"], study.coarse["time"])
    is_beyond = product["flags"] == FLAGS.mask("extrapolated")
    assert 0 < int(is_beyond.sum()) < is_beyond.size
    assert (product["flags"].where(~is_beyond, 0) == 0).all()
    expected = xr.where(is_beyond, ORIGIN.code("extrapolated"), ORIGIN.code("downscaled"))
    assert (product["origin"] == expected).all()


def test_a_product_keeps_its_flags_on_disk(
    fitted: Direct | Residual, study: Study, tmp_path: Path
) -> None:
    product = fitted.predict(study.fine, study.coarse)
    write_cube(product, tmp_path / "product.zarr")
    again = open_cube(tmp_path / "product.zarr").load()
    assert again["flags"].dtype == np.uint16
    assert np.array_equal(again["flags"], product["flags"])
    assert again["flags"].attrs["flag_meanings"].split() == list(FLAGS.meanings)
    assert again["soil_moisture"].attrs["ancillary_variables"] == "origin flags"


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
    assert (product["origin"].values[is_gap] == ORIGIN.code("masked")).all()
    assert (product["flags"][:, 5, 6] == FLAGS.mask("static_predictor_missing")).all()
    assert int(product["flags"][1, 20, 21]) == FLAGS.mask("predictor_missing")


def test_what_is_static_knows_static_gaps_only(fitted: Direct | Residual, study: Study) -> None:
    fine = study.fine.isel(time=0, drop=True).copy(deep=True)
    fine["ndvi"][20, 21] = np.nan
    product = fitted.predict(fine, study.coarse)
    assert product["flags"].dims == ("time", "y", "x")
    assert (product["flags"][:, 20, 21] == FLAGS.mask("static_predictor_missing")).all()
    assert int(product["soil_moisture"].isnull().sum()) == product.sizes["time"]


def test_gaps_of_the_coarse_field_are_not_learned(study: Study) -> None:
    coarse = study.coarse.copy(deep=True)
    coarse["soil_moisture"][:, :5] = np.nan
    for kind in KINDS:
        product = new(kind).fit(coarse).predict(study.fine, coarse)
        field, origin = product["soil_moisture"].values, product["origin"].values
        assert np.isfinite(field[:, 12:]).all()
        flags = product["flags"].values
        assert set(np.unique(origin[:, 12:])) <= {ORIGIN.code("downscaled"), EXTRAPOLATED}
        under_gap, not_predicted = FLAGS.mask("coarse_gap"), FLAGS.mask("not_predicted")
        assert (flags[:, :10] & under_gap != 0).all()
        assert (flags[:, 10:] & under_gap == 0).all()
        if kind == "direct":
            assert (origin[:, :10] == ORIGIN.code("filled")).all()
        else:  # it knows departures from a coarse value alone
            assert np.isnan(field[:, :10]).all()
            assert (flags[:, :10] == under_gap | not_predicted).all()
            assert (origin[:, :10] == ORIGIN.code("masked")).all()


# --- beyond what was learned from ---


def test_places_beyond_the_range_of_training_are_told(study: Study) -> None:
    low, high = (study.coarse["ndvi"].reduce(rule).item() for rule in (np.min, np.max))
    inside = study.fine.copy(deep=True)
    for name in PREDICTORS:
        learned = study.coarse[name]
        inside[name] = study.fine[name].clip(learned.min().item(), learned.max().item())
    direct = new("direct", with_position=False).fit(study.coarse)
    assert direct.feature_ranges_.dtype == np.float32
    assert direct.feature_ranges_[PREDICTORS.index("ndvi")].tolist() == [low, high]
    assert (direct.predict(inside, study.coarse)["flags"] == 0).all()
    for step, value in enumerate(np.nextafter(np.float32([low, high]), np.float32([-1, 1]))):
        inside["ndvi"][step, 7, 9] = value
    flags = direct.predict(inside, study.coarse)["flags"].values
    assert np.argwhere(flags).tolist() == [[0, 7, 9], [1, 7, 9]]
    assert (flags[:, 7, 9] == FLAGS.mask("extrapolated")).all()


def test_the_position_is_a_feature_that_can_be_beyond(study: Study) -> None:
    """The centres of the outermost fine cells lie outside of those of the coarse ones."""
    constant = study.fine.copy(deep=True)
    for name in PREDICTORS:
        constant[name][:] = study.coarse[name].mean().item()
    product = new("direct").fit(study.coarse).predict(constant, study.coarse)
    is_rim = np.ones((32, 32), dtype=bool)
    is_rim[1:-1, 1:-1] = False
    assert np.array_equal(product["origin"].values == EXTRAPOLATED, np.stack([is_rim, is_rim]))


def test_only_a_value_is_extrapolated(study: Study) -> None:
    fine = study.fine.copy(deep=True)
    fine["sand"][4, 4] = 101.0
    fine["ndvi"][0, 4, 4] = np.nan
    coarse = study.coarse.copy(deep=True)
    coarse["soil_moisture"][1, 2, 2] = np.nan
    product = new("direct", with_position=False).fit(coarse).predict(fine, coarse)
    assert product["flags"][:, 4, 4].values.tolist() == [
        FLAGS.mask("predictor_missing"),
        FLAGS.mask("extrapolated", "coarse_gap"),
    ]
    expected = [ORIGIN.code("masked"), ORIGIN.code("filled")]
    assert product["origin"][:, 4, 4].values.tolist() == expected


def test_what_an_intermediate_scale_extrapolates_counts_for_all_cells_in_it(study: Study) -> None:
    factor, ratio = 4, 2
    cubes = withhold(
        study.fine.assign(soil_moisture=study.truth),
        target="soil_moisture",
        predictors=PREDICTORS,
        factor=factor,
    )
    residual = new("residual", factor=factor, ratio=ratio, in_steps=True).fit(cubes["coarse"])
    residual.feature_ranges_[:] = (-np.inf, np.inf)
    assert (residual.predict(cubes["fine"], cubes["coarse"])["flags"] == 0).all()
    place = residual.feature_names_.index("sand:value")
    fine = cubes["fine"].copy(deep=True)
    highest = float(fine["sand"].max())
    fine["sand"][8:10, 12:14] = highest + np.array([[9.0, -9.0], [9.0, -9.0]], "f4")
    residual.feature_ranges_[place, 1] = highest - 1e-3
    flags = residual.predict(fine, cubes["coarse"])["flags"].values
    assert (flags[:, 8:10, 12:14] == FLAGS.mask("extrapolated")).all()


def test_series_and_maps_tell_what_is_beyond_and_what_was_dropped(study: Study) -> None:
    fine = study.fine.copy(deep=True)
    fine["ndvi"][1, 20, 21] = np.nan
    fine["sand"][6, 7] = 150.0
    for name in ("lstm", "resnet"):
        model = new_model(name, seed=0, **{**SMALL[name], "epochs": 1})
        direct = Direct(model, PREDICTORS, with_position=False).fit(study.coarse)
        for place, predictor in enumerate(PREDICTORS):
            learned = study.coarse[predictor]
            expected = [learned.min().item(), learned.max().item()]
            assert direct.feature_ranges_[place].tolist() == expected
        flags = direct.predict(fine, study.coarse)["flags"].values
        assert (flags[:, 6, 7] == FLAGS.mask("extrapolated")).all()
        dropped = flags[0, 20, 21] & FLAGS.mask("not_predicted") != 0
        assert dropped == (name == "lstm")  # a series with a gap is dropped as a whole
        assert flags[1, 20, 21] == FLAGS.mask("predictor_missing")


# --- parts of a map ---


def window(study: Study, rows: slice, columns: slice, margin: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Cut coarse cells with a margin around them, and the fine cells under them without."""
    around = {
        dim: slice(max(edge.start - margin, 0), edge.stop + margin)
        for dim, edge in (("y", rows), ("x", columns))
    }
    inside = {
        dim: slice(edge.start * FACTOR, edge.stop * FACTOR)
        for dim, edge in (("y", rows), ("x", columns))
    }
    return study.fine.isel(inside), study.coarse.isel(around)


@pytest.mark.parametrize("name", ["random_forest", "lstm"])
@pytest.mark.parametrize("is_static", [False, True])
def test_a_window_under_a_larger_coarse_window_is_as_in_the_whole(
    name: str, is_static: bool, study: Study
) -> None:
    coarse = study.coarse.copy(deep=True)
    coarse["soil_moisture"][1, 6, 8] = np.nan
    settings = {"trees": 5} if name == "random_forest" else {**SMALL[name], "epochs": 1}
    direct = Direct(new_model(name, seed=0, **settings), PREDICTORS).fit(coarse)
    fine = study.fine.isel(time=0, drop=True) if is_static else study.fine
    case = Study(coarse, fine, study.truth)
    whole = direct.predict(fine, coarse)
    assert direct.reach(FACTOR) == Reach(steps=None if name == "lstm" else 0)
    for rows, columns, margin in (
        (slice(5, 9), slice(7, 12), 2),
        (slice(0, 4), slice(12, 16), 1),
        (slice(6, 7), slice(8, 9), 0),
    ):
        product = direct.predict(*window(case, rows, columns, margin))
        expected = whole.isel(
            y=slice(rows.start * FACTOR, rows.stop * FACTOR),
            x=slice(columns.start * FACTOR, columns.stop * FACTOR),
        )
        for variable in ("soil_moisture", "origin", "flags"):
            assert np.array_equal(product[variable], expected[variable], equal_nan=True)


def test_maps_with_a_margin_are_as_in_the_whole_when_cropped(study: Study) -> None:
    model = new_model("resnet", seed=0, **{**SMALL["resnet"], "epochs": 1})
    direct = Direct(model, PREDICTORS).fit(study.coarse)
    whole = direct.predict(study.fine, study.coarse)["soil_moisture"]
    margin = direct.reach(FACTOR).fine
    assert margin is not None
    assert 0 < margin <= 8
    inside = slice(12, 20)
    fine = study.fine.isel(y=slice(4, 28), x=slice(4, 28))
    coarse = study.coarse.isel(y=slice(2, 14), x=slice(2, 14))
    product = direct.predict(fine, coarse)["soil_moisture"]
    cropped = product.isel(y=slice(8, 16), x=slice(8, 16))
    assert np.abs(cropped.values - whole.isel(y=inside, x=inside).values).max() < 1e-6


def test_tiles_narrower_than_the_reach_need_the_whole_map(study: Study) -> None:
    model = new_model("resnet", seed=0, **SMALL["resnet"])
    around = Direct(model, PREDICTORS).reach(FACTOR).fine
    assert around is not None
    assert Direct(model, PREDICTORS, tile=2 * around + 1).reach(FACTOR) == Reach(fine=around)
    assert Direct(model, PREDICTORS, tile=2 * around).reach(FACTOR) == Reach(fine=None)
    assert new("residual").reach(FACTOR) == Reach(coarse=None, fine=None)


def test_a_residual_is_refused_part_of_a_map(study: Study) -> None:
    residual = new("residual").fit(study.coarse)
    fine, coarse = window(study, slice(4, 8), slice(4, 8), 1)
    with pytest.raises(GridProblem, match="on the same rectangle"):
        residual.predict(fine, coarse)


def test_lazy_parts_of_any_size_are_as_the_whole(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = study.fine.copy(deep=True)
    fine["ndvi"][1, 20, 21] = np.nan
    for name in ("random_forest", "lstm"):
        settings = {"trees": 5} if name == "random_forest" else {**SMALL[name], "epochs": 1}
        direct = Direct(new_model(name, seed=0, **settings), PREDICTORS).fit(study.coarse)
        whole = direct.predict(fine, study.coarse)
        monkeypatch.setattr("vadose.downscale.direct.READ_AT_ONCE", 1000)
        parts = direct.predict(fine.chunk({"time": 1, "y": 8}), study.coarse)
        monkeypatch.undo()
        assert parts.identical(whole)


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
    assert set(product) == {"soil_moisture", deep, "origin", "flags"}
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
    assert again.feature_ranges_.dtype == np.float32
    assert np.array_equal(again.feature_ranges_, fitted.feature_ranges_)
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
        fitted.predict(study.fine.isel(x=slice(1, 31)), study.coarse)
    beyond = study.coarse.isel(x=slice(1, 16))
    with pytest.raises(GridProblem, match="whole blocks of fine cells"):
        fitted.predict(study.fine, beyond)


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


def test_a_description_without_ranges_is_an_older_one(saved: Path) -> None:
    path = saved / "downscaler.json"
    whole = json.loads(path.read_text())
    ranges = whole.pop("ranges")
    path.write_text(json.dumps(whole))
    with pytest.raises(ModelProblem, match=r"found no ranges of the features.* Fit it again with"):
        load_downscaler(saved)
    edit(saved, ranges=ranges[:-1])
    with pytest.raises(
        ModelProblem, match=r"found ranges of shape \(\d+, 2\), expected \(\d+, 2\)"
    ):
        load_downscaler(saved)


def test_missing_files_are_refused(saved: Path) -> None:
    for path in sorted(saved.rglob("*.*")):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(ModelProblem, match="expected a saved model"):
            load_downscaler(saved)
        path.write_bytes(whole)
