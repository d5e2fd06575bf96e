"""Explaining the methods of a small run: what is written, what is refused, and that it can be repeated."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import xarray as xr
import yaml

from vadose import pipeline
from vadose.cli import main
from vadose.config import DEMO_RECIPE
from vadose.cubes.regrid import aggregate
from vadose.downscale.direct import Direct
from vadose.downscale.downscaler import Residual, load_downscaler
from vadose.errors import FileProblem, ModelProblem, RecipeProblem, RunProblem, UnknownName
from vadose.errors import ValueProblem as Refused
from vadose.grids import grid_of
from vadose.pipeline.blocks import Blocks
from vadose.pipeline.explaining import Explaining, explain_method
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.scales import levels, take_scales
from vadose.store import open_cube, write_cube
from vadose.synthetic import world

MEASURES = {"impurity", "permutation"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Cubes and two small models over Central Asia."""
    content = yaml.safe_load(DEMO_RECIPE.read_text(encoding="utf-8"))
    content["build"]["region"] = [66, 34, 82, 46]
    kept = ("nearest", "smooth", "forest", "residual_forest", "residual_forest_closed")
    content["methods"] = {name: content["methods"][name] for name in kept}
    content["methods"]["forest"]["parameters"] = {"trees": 6}
    content["methods"]["residual_forest"]["parameters"] = {"trees": 6, "samples": 0.3}
    content["publish"] = "residual_forest_closed"
    folder = tmp_path_factory.mktemp("explain")
    path = folder / "window.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    out = pipeline.build(path, folder / "run")
    return pipeline.fit(out)


@pytest.fixture
def small(monkeypatch):
    """Learn anew from little, and draw few curves with few dots."""
    for name, value in (("LEARNED", 300), ("FOLDS", 2), ("CURVES", 2), ("ATTRIBUTED", 12)):
        monkeypatch.setattr(f"vadose.pipeline.explaining.{name}", value)
    monkeypatch.setattr("vadose.report.style.DOTS_PER_INCH", 60)


@pytest.fixture(scope="module")
def explained(run, tmp_path_factory):
    """The published method, explained without the library for SHAP."""
    out = shutil.copytree(run, tmp_path_factory.mktemp("explained") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "shap", None)
        explain_method(RunFolder(out), method=None, samples=150, seed=None, progress=pipeline.quiet)
    return out


def read(run):
    return json.loads((run / "explanation/explanation.json").read_text(encoding="utf-8"))


def rows(run, name):
    with (run / f"explanation/{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- what is written ---


def test_the_published_method_is_explained_at_every_scale(explained):
    found = read(explained)
    assert found["method"] == "residual_forest"  # what the published closure is made of
    assert [(one["name"], one["role"]) for one in found["scales"]] == [
        ("1°", "learned"),
        ("0.5°", "between"),
        ("0.25°", "used"),
    ]
    assert all(one["samples"] <= 150 for one in found["scales"])
    groups = set(found["groups"])
    for scale in ("1°", "0.5°", "0.25°"):
        assert {one["group"] for one in found["sensitivity"] if one["scale"] == scale} == groups
        shuffled = [
            one
            for one in found["importances"]
            if (one["measure"], one["scale"]) == ("permutation", scale)
        ]
        assert {one["group"] for one in shuffled} == groups
        assert all(one["lower"] <= one["upper"] for one in shuffled)
    assert [(one["learned"], one["used"]) for one in found["comparisons"]] == [
        ("1°", "0.5°"),
        ("1°", "0.25°"),
    ]
    assert found["comparisons"][-1]["verdict"].startswith("From 1° to 0.25° the relation ")


def test_judges_are_named(explained):
    learned, *finer = read(explained)["skill"]
    assert learned["where"].startswith("held-out blocks, by 3 models learned anew from up to")
    assert {one["where"] for one in finer} == {
        "the withheld truth, of which the model saw means only"
    }
    assert all(0 < one["rmse"] < 0.2 for one in (learned, *finer))


def test_every_feature_is_in_one_group_and_has_a_share_outside(explained, run):
    found = read(explained)
    names = load_downscaler(run / "models/residual_forest").feature_names_
    grouped = [feature for features in found["groups"].values() for feature in features]
    assert sorted(grouped) == sorted(names)
    assert {one["feature"] for one in found["outside"]} == set(names)
    assert all(0 <= one["share"] <= 1 for one in found["outside"])
    assert any("land_cover" in group for group in found["groups"])


def test_impurity_adds_up_and_without_the_library_the_rest_is_there(explained):
    found = read(explained)
    assert {one["measure"] for one in found["importances"]} == MEASURES
    impurity = [one["value"] for one in found["importances"] if one["measure"] == "impurity"]
    assert sum(impurity) == pytest.approx(1)
    assert "pip install 'vadose[explain]'" in found["notes"][0]


def test_tables_hold_what_the_description_holds(explained):
    found = read(explained)
    assert len(rows(explained, "importances")) == len(found["importances"])
    table = rows(explained, "sensitivity")
    assert [float(one["total"]) for one in table] == [one["total"] for one in found["sensitivity"]]
    points = rows(explained, "effects")
    assert len(points) == sum(len(one["value"]) for one in found["effects"])
    assert {one["method"] for one in points} == {"ale", "partial_dependence"}


def test_a_feature_of_one_value_has_no_curve(run):
    explaining = Explaining(RunFolder(run), "forest", 150, 0)
    explaining.take()
    explaining.respond(lambda *_: None)
    column = explaining._features()[0]
    for scale in explaining.scales:
        scale.X[..., column] = 1.0
    assert column not in explaining._features()


# --- again, otherwise, broken off ---


def test_the_same_seed_gives_the_same_bytes_and_shap_joins_in(run, tmp_path, small):
    if find_spec("shap") is None:
        pytest.skip("needs the extra explain")
    out = shutil.copytree(run, tmp_path / "run")
    kept = []
    for _ in range(2):
        explain_method(
            RunFolder(out), method="forest", samples=100, seed=1, progress=pipeline.quiet
        )
        kept.append((out / "explanation/explanation.json").read_bytes())
    assert kept[0] == kept[1]
    found = json.loads(kept[0])
    assert found["seed"] == 1
    assert {one["measure"] for one in found["importances"]} == {*MEASURES, "shap"}
    assert found["notes"] == []
    assert "fit" in pipeline.finished(out)


def test_an_interrupt_leaves_the_earlier_explanation(explained, monkeypatch):
    before = (explained / "explanation/explanation.json").read_bytes()

    def stop(rows):
        raise KeyboardInterrupt

    for step in ("take", "respond", "judge", "attribute", "follow"):
        monkeypatch.setattr(f"vadose.pipeline.explaining.Explaining.{step}", lambda *_: None)
    monkeypatch.setattr("vadose.pipeline.explaining.table_of", stop)  # the first file is written
    with pytest.raises(KeyboardInterrupt):
        explain_method(
            RunFolder(explained), method="forest", samples=100, seed=3, progress=pipeline.quiet
        )
    assert (explained / "explanation/explanation.json").read_bytes() == before
    assert not [path for path in explained.iterdir() if "partial" in path.name]


def test_the_command_prints_a_table_and_the_page(run, small, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shap", None)
    monkeypatch.setenv("COLUMNS", "140")
    words = ["vadose", "explain", str(run), "--method", "forest", "--samples", "100", "--seed", "4"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    text = capsys.readouterr().out
    assert "group of features" in text
    assert "From 1° to 0.25° the relation" in text
    assert "No SHAP values. shap: found no such library" in text
    assert text.rstrip().endswith("explanation.html")
    page = (run / "explanation.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "No SHAP values" in page


# --- samples ---


def test_the_levels_of_a_residual_are_what_it_predicts_from(run):
    residual = load_downscaler(run / "models/residual_forest")
    coarse, fine = open_cube(run / "coarse.zarr").load(), open_cube(run / "fine.zarr").load()
    wanted = residual.predict(fine, coarse)["soil_moisture"].values[0]
    known = coarse["soil_moisture"].isel(time=0, drop=True).astype("f8")
    *_, (grid, found) = levels(residual, fine.isel(time=0, drop=True), known)
    assert grid == grid_of(fine)
    values = found.prior.ravel()[found.rows] + residual.model.predict(found.table)
    assert np.array_equal(values.astype("f4"), wanted.ravel()[found.rows])
    assert np.isfinite(wanted).sum() == len(found.rows)


def test_fine_samples_carry_the_truth_of_their_place(run):
    direct = load_downscaler(run / "models/forest")
    scales = take_scales(
        RunFolder(run), direct, samples=200, learned=500, rng=np.random.default_rng(0)
    )
    used, names = scales[-1], list(direct.feature_names_)
    truth = open_cube(run / "truth.zarr")["soil_moisture"].isel(time=0).load()
    where = {
        dim: xr.DataArray(used.X[:, names.index(name)], dims="sample")
        for dim, name in (("x", "longitude"), ("y", "latitude"))
    }
    assert used.y == pytest.approx(truth.sel(where, method="nearest").values, nan_ok=True)
    coarse = open_cube(run / "coarse.zarr")
    blocks = Blocks.of(grid_of(coarse), 1)
    for scale in scales:
        place = [scale.X[:, names.index(name)] for name in ("longitude", "latitude")]
        assert np.mean(scale.blocks == blocks.number(0, *place)) > 0.99  # edges in single precision
    assert np.isfinite(scales[0].y).all()


class Stub:
    """Predict the first feature of every place."""

    name = "stub"

    def __init__(self, kind):
        self.kind = kind

    def predict(self, X):
        return X[..., 0]


@pytest.mark.parametrize(("kind", "dims"), [("rows", 2), ("sequences", 3), ("patches", 4)])
def test_samples_have_the_shape_of_the_models_kind(kind, dims, tmp_path):
    earth = world(size=64, days=12, factor=4, seed=3)
    names = ["sand", "ndvi"]
    coarse = earth.coarse_truth[["soil_moisture"]]
    coarse = coarse.assign(aggregate(earth.predictors[names], grid_of(coarse)).data_vars)
    write_cube(coarse, tmp_path / "coarse.zarr")
    write_cube(earth.predictors[names], tmp_path / "fine.zarr")
    direct = Direct(Stub(kind), names)
    direct.feature_names_ = (*names, "longitude", "latitude")
    scales = take_scales(
        RunFolder(tmp_path), direct, samples=120, learned=300, rng=np.random.default_rng(0)
    )
    assert [one.role for one in scales] == ["learned", "between", "used"]
    for scale in scales:
        assert scale.X.ndim == dims
        assert scale.X.shape[:-1] == scale.y.shape
        assert np.isfinite(scale.X).all()
        assert len(np.unique(scale.blocks)) > 1
    assert np.isfinite(scales[0].y).any()
    assert np.isnan(scales[-1].y).all()  # no truth was withheld


def test_a_small_map_is_cut_into_periods():
    earth = world(size=16, days=8, factor=8, seed=3)
    blocks = Blocks.of(grid_of(earth.coarse), 8)
    place = np.full(8, 10.0)
    assert len(set(blocks.number(np.arange(8), place, place))) == 8


# --- what is refused ---


def test_bad_input_is_named(run, tmp_path):
    with pytest.raises(UnknownName, match=r"method 'forrest'.*Did you mean 'forest'"):
        pipeline.explain(run, method="forrest")
    with pytest.raises(
        RecipeProblem, match="method 'smooth': found no model in it, expected one of"
    ):
        pipeline.explain(run, method="smooth")
    with pytest.raises(Refused, match="samples: found 10, expected 100 or more"):
        pipeline.explain(run, samples=10)
    with pytest.raises(RunProblem, match=r"no state\.json that can be read"):
        pipeline.explain(tmp_path)


def test_features_that_the_samples_lack_are_named(run):
    direct = load_downscaler(run / "models/forest")
    direct.feature_names_ = direct.feature_names_[::-1]
    with pytest.raises(
        ModelProblem, match="expected those of the fit in their order, latitude, longitude"
    ):
        take_scales(RunFolder(run), direct, samples=100, learned=100, rng=np.random.default_rng(0))


def test_a_run_without_its_cubes_is_named(run, tmp_path):
    out = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("fine.zarr"))
    with pytest.raises(FileProblem, match=r"fine\.zarr: found no Zarr store"):
        pipeline.explain(out)


# --- models of every kind ---


QUICK = {"epochs": 2, "batch": 8}
KINDS = {
    "rows": {"kind": "direct", "model": "dnn", "parameters": {**QUICK, "width": 8, "depth": 1}},
    "sequences": {"kind": "direct", "model": "lstm", "parameters": {**QUICK, "hidden": 4}},
    "patches": {
        "kind": "direct",
        "model": "resnet",
        "parameters": {**QUICK, "channels": 4, "blocks": 1},
    },
    "ensemble": {
        "kind": "direct",
        "model": "ensemble",
        "parameters": {
            "members": {"lstm": {**QUICK, "hidden": 4}, "random_forest": {"trees": 3}},
            "folds": 2,
        },
    },
    "several_scales": {
        "kind": "multiscale",
        "model": "random_forest",
        "parameters": {"trees": 3},
        "scales": [4000.0, 2000.0],
        "samples": 2,
    },
    "searched": {
        "kind": "direct",
        "model": "boosting",
        "parameters": {"trees": 5},
        "search": {"trials": 1, "folds": 2, "space": {"leaf": [7, 8]}},
    },
}


@pytest.fixture(scope="module")
def days(two_layers, tmp_path_factory):
    """A study with days and two layers, a part of which is held back, and a method of every kind."""
    methods = {name: {"title": name, **method} for name, method in KINDS.items()}
    hold = {"scheme": "time", "settings": {"days": 6, "folds": 5, "gap": 0}}
    out = pipeline.build(two_layers(methods, hold=hold), tmp_path_factory.mktemp("days") / "run")
    return pipeline.fit(out)


@pytest.mark.parametrize("case", KINDS)
def test_every_kind_of_model_is_explained(case, days, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    explain_method(RunFolder(days), method=case, samples=100, seed=None, progress=pipeline.quiet)
    found = read(days)
    learned, *_, used = found["scales"]
    assert (learned["role"], used["role"], used["name"]) == (
        "learned",
        "used",
        "1\N{NO-BREAK SPACE}km",
    )
    several = "4\N{NO-BREAK SPACE}km + 2\N{NO-BREAK SPACE}km"
    assert learned["name"] == (several if case == "several_scales" else "8\N{NO-BREAK SPACE}km")
    assert {one["scale"] for one in found["skill"]} >= {learned["name"], used["name"]}
    assert all(0 < one["rmse"] < 0.5 for one in found["skill"])
    is_together = any("soil moisture and root zone soil moisture" in one for one in found["notes"])
    assert is_together == (case != "several_scales")


def test_departures_of_whole_maps_are_refused(run):
    residual = Residual(Stub("patches"), ["albedo"], factor=4)
    with pytest.raises(ModelProblem, match="model stub: found departures learned from whole maps"):
        take_scales(RunFolder(run), residual, samples=9, learned=9, rng=np.random.default_rng(0))


def test_where_none_can_be_held_out_that_is_said(run, small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    monkeypatch.setattr("vadose.pipeline.blocks.BLOCKS_ACROSS", (1, 1))
    out = shutil.copytree(run, tmp_path / "run")
    explain_method(RunFolder(out), method="forest", samples=100, seed=1, progress=pipeline.quiet)
    found = read(out)
    assert found["skill"][0]["where"].endswith("too good to be true")
    assert found["notes"][0].startswith("No model could be learned anew. blocks: found 1 blocks")


def test_what_was_held_back_is_no_sample_of_learning(run, tmp_path):
    direct = load_downscaler(run / "models/forest")
    coarse = open_cube(run / "coarse.zarr").load()
    west = coarse["soil_moisture"].where(coarse["x"] < 74).astype("f4")
    scales = take_scales(
        RunFolder(run),
        direct,
        samples=100,
        learned=5000,
        rng=np.random.default_rng(0),
        known=coarse.assign(soil_moisture=west),
    )
    longitude = scales[0].X[:, list(direct.feature_names_).index("longitude")]
    assert len(longitude) == int(west.notnull().sum())
    assert longitude.max() < 74


def test_a_kernel_is_asked_at_the_scale_of_the_samples(days):
    """A model of patches spans the same ground on every grid; so do the patches it is explained by."""
    direct = load_downscaler(days / "models/patches")
    scales = take_scales(
        RunFolder(days), direct, samples=100, learned=100, rng=np.random.default_rng(0)
    )
    assert [(one.finer, one.X.shape[1:3]) for one in scales] == [
        (1, (4, 4)),
        (2, (8, 8)),
        (4, (16, 16)),
        (8, (32, 32)),
    ]
    explaining = Explaining(RunFolder(days), "patches", 100, 0)
    asked = [explaining._predict(one)(one.X) for one in scales]
    for one, values in zip(scales, asked, strict=True):
        direct.model.finer = one.finer
        assert np.array_equal(values, direct.model.predict(one.X))


def test_a_moment_without_data_is_passed_over(tmp_path):
    earth = world(size=32, days=8, factor=8, seed=3)
    fine = earth.predictors[["ndvi"]].copy(deep=True)
    fine["ndvi"][3] = np.nan
    coarse = earth.coarse_truth[["soil_moisture"]]
    coarse = coarse.assign(aggregate(fine, grid_of(coarse)).data_vars)
    write_cube(coarse, tmp_path / "coarse.zarr")
    write_cube(fine, tmp_path / "fine.zarr")
    direct = Direct(Stub("rows"), ["ndvi"])
    direct.feature_names_ = ("ndvi", "longitude", "latitude")
    taken = take_scales(
        RunFolder(tmp_path), direct, samples=9999, learned=9999, rng=np.random.default_rng(0)
    )
    assert [len(one.X) for one in taken] == [7 * 16, 7 * 64, 7 * 256, 7 * 1024]
