"""The verbs on a small window of the bundled sample, stage by stage, stopped, resumed and repeated."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from vadose import pipeline
from vadose.config import DEMO_RECIPE
from vadose.errors import FileProblem, NoOverlap, RunProblem
from vadose.store import open_cube, sha256

RESULTS = ("product.zarr", "scores.json", "scores.csv", "importances.csv")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The demo's recipe over Central Asia, with small models."""
    content = yaml.safe_load(DEMO_RECIPE.read_text(encoding="utf-8"))
    content["title"] = "A window of the sample"
    content["build"]["region"] = [66, 34, 82, 46]
    content["methods"]["forest"]["parameters"] = {"trees": 8}
    content["methods"]["residual_forest"]["parameters"] = {"trees": 8}
    content["methods"]["residual_boosting"]["parameters"] = {"trees": 8, "leaf": 20}
    path = tmp_path_factory.mktemp("recipe") / "window.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """A run made in one go."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert pipeline.run(recipe, out) == out / "report.html"
    return out


def digest(run: Path) -> dict[str, str]:
    return {name: sha256(run / name) for name in RESULTS}


def test_importances_are_told_of_every_model_with_their_spread(whole):
    table = pd.read_csv(whole / "importances.csv")
    assert set(table["model"]) == {"forest", "residual_boosting"}, "those of the blend"
    assert (table["std"] > 0).any(), "over the repeats"
    assert np.isfinite(table["std"]).all()
    assert set(table["unit"]) == {"m3 m-3"}
    assert (table["samples"] > 100).all()
    for _, own in table.groupby("model", sort=False):
        assert own["importance"].is_monotonic_decreasing
        assert own["importance"].iloc[0] > 3 * own["std"].iloc[0], "something is relied on"
        assert {"land_cover", "latitude"} <= set(own["predictor"])


def test_a_run_folder_holds_what_repeats_and_reports_the_job(whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["seed"] == 2015
    assert manifest["inputs"][0]["name"] == "gldas_noah_sample.nc"
    assert len(manifest["inputs"][0]["sha256"]) == 64
    assert set(manifest["stages"]) == {"build", "fit", "downscale", "validate", "report"}
    assert "<html" in (whole / "report.html").read_text(encoding="utf-8")
    assert not list(whole.rglob("*.pkl")) + list(whole.rglob("*.joblib"))
    models = {path.suffix for path in (whole / "models").rglob("*") if path.is_file()}
    assert models == {".json", ".safetensors"}


def test_the_product_opens_as_cf_netcdf_with_origin_and_closure(whole):
    with xr.open_dataset(whole / "product.nc", engine="h5netcdf") as product:
        assert product.attrs["Conventions"].startswith("CF-1.")
        assert {"soil_moisture", "origin", "closure_residual"} <= set(product.data_vars)
        assert product["soil_moisture"].attrs["units"] == "m3 m-3"
        assert float(abs(product["closure_residual"]).max()) < 1e-3
        assert "Rodell" in product.attrs["references"]
    assert open_cube(whole / "product.zarr")["soil_moisture"].sizes["time"] == 1


def test_scores_stand_beside_the_coarse_input(whole):
    scores = json.loads((whole / "scores.json").read_text())
    methods = scores["methods"]
    none = {"rmse": 0.0, "r": 0.0, "within_cell_r": 0.0, "rmse_lower": None, "rmse_upper": None}
    assert methods["nearest"]["gain_over_nearest"] == none
    assert "blocks of" in scores["interval"]
    assert methods["nearest"]["within_cell"]["r"] is None
    assert len({row["pooled"]["n"] for row in methods.values()}) == 1
    for name, row in methods.items():
        squares = row["pooled"]["bias"] ** 2 + row["pooled"]["ubrmse"] ** 2
        assert row["pooled"]["rmse"] ** 2 == pytest.approx(squares), name
        if name.endswith("_closed"):
            assert row["closure_max"] < 1e-3, name
        if name != "nearest":
            gain = row["gain_over_nearest"]
            assert gain["rmse_lower"] < gain["rmse"] < gain["rmse_upper"], name
    free = scores["strata"]["unfrozen"]
    assert 0 < free["n"] < methods["nearest"]["pooled"]["n"]
    assert free["methods"]["nearest"]["pooled"]["n"] == free["n"]
    lines = (whole / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + len(methods)


def test_stage_by_stage_after_a_full_disk_gives_the_same_bits(recipe, whole, tmp_path, monkeypatch):
    out = tmp_path / "staged"

    def full(cube, path, **named):
        raise FileProblem(path, found="no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr("vadose.pipeline.building.write_cube", full)
        with pytest.raises(FileProblem, match="no space left"):
            pipeline.build(recipe, out)
    assert pipeline.finished(out) == []
    pipeline.build(recipe, out)
    with pytest.raises(RunProblem, match="fit is not finished"):
        pipeline.downscale(out)
    for stage in (pipeline.fit, pipeline.downscale, pipeline.validate):
        stage(out)
    numbers = RESULTS[:3]
    assert [sha256(out / name) for name in numbers] == [sha256(whole / name) for name in numbers]


def test_a_killed_run_goes_on_and_gives_the_same_bits(recipe, whole, tmp_path):
    out = tmp_path / "killed"
    words = [sys.executable, "-m", "vadose.cli", "run", str(recipe), "--out", str(out)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (out / "models" / "forest").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert "build" in pipeline.finished(out)
    assert "report" not in pipeline.finished(out)
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Found an unfinished run" in again.stdout
    assert "build" in again.stdout
    assert digest(out) == digest(whole)


def test_a_finished_run_is_kept_unless_told_otherwise(recipe, whole):
    before = digest(whole)
    with pytest.raises(RunProblem, match=r"finished run.*--overwrite"):
        pipeline.run(recipe, whole)
    assert digest(whole) == before


def test_overwriting_replaces_the_run_and_leaves_nothing_behind(recipe, tmp_path):
    content = yaml.safe_load(recipe.read_text())
    content["methods"] = {name: content["methods"][name] for name in ("nearest", "smooth")}
    content["publish"] = "smooth"
    cheap, out = tmp_path / "cheap.yaml", tmp_path / "again"
    cheap.write_text(yaml.safe_dump(content, sort_keys=False))
    pipeline.run(cheap, out)
    first = digest(out)
    (out / "scores.csv").write_text("touched by hand")
    pipeline.run(cheap, out, overwrite=True)
    assert digest(out) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "cheap.yaml"]


def test_a_region_outside_the_data_is_one_clear_error(recipe, tmp_path):
    content = yaml.safe_load(recipe.read_text())
    content["build"]["region"] = [0, -89, 10, -80]
    path = tmp_path / "south.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(NoOverlap, match="inside the data"):
        pipeline.run(path, tmp_path / "run")
