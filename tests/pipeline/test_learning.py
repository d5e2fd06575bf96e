"""What a recipe says of learning: parts held back, further layers, searches, networks that go on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from vadose import pipeline
from vadose.config import DEMO_RECIPE, parse_recipe
from vadose.errors import RecipeProblem
from vadose.models import training
from vadose.pipeline.learning import held_back, learned_from
from vadose.store import open_cube, sha256

ROOT_ZONE = "root_zone_soil_moisture"


@pytest.fixture
def window(tmp_path):
    """Give a recipe over a window of the sample, with a quick network and a search."""
    content = yaml.safe_load(DEMO_RECIPE.read_text(encoding="utf-8"))
    content["build"]["region"] = [66, 34, 82, 46]
    content["hold"] = {"scheme": "random"}
    baselines = {name: content["methods"][name] for name in ("nearest", "smooth")}
    content["methods"] = {
        **baselines,
        "network": {
            "title": "Small network",
            "kind": "direct",
            "model": "dnn",
            "parameters": {"width": 8, "depth": 1, "epochs": 6},
            "with_position": False,
        },
        "boosting": {
            "title": "Searched boosting",
            "kind": "direct",
            "model": "boosting",
            "parameters": {"leaf": 10, "trees": 5},
            "search": {"trials": 2, "folds": 2, "space": {"leaves": [4, 16]}},
        },
    }
    content["publish"] = "network"

    def write(**changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False), encoding="utf-8")
        return path

    return write


def test_random_parts_are_scored_and_labelled_as_optimistic(window, tmp_path):
    out = tmp_path / "run"
    report = pipeline.run(window(), out)
    scores = json.loads((out / "fit_scores.json").read_text())
    assert scores["is_optimistic"] is True
    assert "optimistic" in scores["title"]
    assert set(scores["methods"]) == {"network", "boosting"}
    parts = scores["methods"]["network"]["layers"]["soil_moisture"]
    counts = [parts[name]["n"] for name in ("train", "validation", "test")]
    assert counts[0] / sum(counts) == pytest.approx(0.7, abs=0.02)
    assert sum(counts) == int(open_cube(out / "coarse.zarr")["soil_moisture"].notnull().sum())
    days = pd.read_csv(out / "fit_daily.csv")
    assert set(days["part"]) == {"train", "validation", "test"}
    own = days[days["product"] == "network"].set_index("part")
    assert own.loc["test", "n"] == counts[2]
    assert own.loc["test", "rmse"] == pytest.approx(parts["test"]["rmse"], rel=1e-4)
    with xr.open_dataset(out / "fit_scatter.nc", engine="h5netcdf") as scatter:
        assert int(scatter["density"].sel(part="train", product="boosting").sum()) == counts[0]
    page = report.read_text(encoding="utf-8")
    assert "These scores are optimistic" in page
    assert page.count('<tr><th scope="row">Small network</th><td class="words">') == 1
    assert page.count('<tr><td></td><td class="words">soil moisture</td>') == 4
    assert "(random: optimistic)" in page
    manifest = json.loads((out / "models/boosting/model/model.json").read_text())
    assert 4 <= manifest["parameters"]["leaves"] <= 16
    assert manifest["parameters"]["trees"] == 5
    versions = json.loads((out / "manifest.json").read_text())["libraries"]
    assert {"torch", "optuna", "numpy"} <= set(versions)
    (out / "models/.network.training/checkpoint").mkdir(parents=True)  # of a fit killed at its end
    pipeline.fit(out)
    assert not list((out / "models").glob(".*")), "what a training keeps while it lasts is removed"


def test_blocks_are_not_labelled_so(window, tmp_path):
    out = tmp_path / "run"
    recipe = window(hold={"scheme": "space", "settings": {"block": 4, "folds": 4, "buffer": 0}})
    pipeline.build(recipe, out)
    pipeline.fit(out)
    scores = json.loads((out / "fit_scores.json").read_text())
    assert scores["is_optimistic"] is False
    assert "blocks of 4 x 4 cells" in scores["title"]


def test_what_is_held_back_is_hidden_and_nothing_else(window, tmp_path):
    out = tmp_path / "run"
    path = window()
    pipeline.build(path, out)
    recipe, coarse = parse_recipe(path.read_text()), open_cube(out / "coarse.zarr").load()
    parts = held_back(recipe, coarse)
    known = learned_from(recipe, coarse, parts)
    field, before = known["soil_moisture"], coarse["soil_moisture"]
    assert field.dims == before.dims
    is_hidden = field.isnull() & before.notnull()
    assert bool(is_hidden.any())
    assert not bool((is_hidden & parts.train).any())
    assert bool((field == before).where(parts.train & before.notnull()).all())
    assert known.drop_vars("soil_moisture").identical(coarse.drop_vars("soil_moisture"))
    plain = parse_recipe(window(hold=None).read_text())
    assert held_back(plain, coarse) is None


def test_a_stopped_training_goes_on_to_the_same_bits(window, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for out in (whole, stopped):
        pipeline.build(window(), out)
    pipeline.fit(whole)
    told = []

    class Bar:
        def __init__(self, words):
            self.words = words

        def __enter__(self):
            return self.step

        def __exit__(self, *error):
            return None

        def step(self, done, total, note=""):
            told.append(note)
            if "loss" in note and done == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.fit(stopped, progress=Bar)
    assert any(note.startswith("loss ") for note in told)
    assert (stopped / "models/.network.training/checkpoint").is_dir()
    assert "fit" not in pipeline.finished(stopped)
    pipeline.fit(stopped)
    for name in ("network", "boosting"):
        assert sha256(stopped / f"models/{name}") == sha256(whole / f"models/{name}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hold": {"scheme": "spce"}}, "hold.scheme.*scheme 'spce'.*Did you mean 'space'"),
        ({"hold": {"scheme": "stations"}}, "hold.scheme.*expected one of random, space"),
        ({"hold": {"settings": {"flods": 3}}}, "setting of scheme 'space'.*Did you mean 'folds'"),
        ({"also": ["soil_moisture"]}, "stands among the layers of also"),
        ({"also": ["albedo"]}, "stands among the predictors"),
    ],
)
def test_faults_are_named(window, changes, words):
    with pytest.raises(RecipeProblem, match=words):
        parse_recipe(window(**changes).read_text())


def test_two_layers_from_files_to_scores(two_layers, tmp_path):
    """The target's source has both layers; the truth of both is withheld."""
    layers = ("soil_moisture", ROOT_ZONE)
    recipe = two_layers(
        {
            "lstm": {
                "title": "LSTM",
                "kind": "direct",
                "model": "lstm",
                "parameters": {"hidden": 8, "epochs": 10, "rate": 0.01},
            },
            "mean": {"title": "Mean of two", "kind": "blend", "of": ["lstm", "lstm"]},
            "closed": {"title": "Mean, closed", "kind": "close", "of": ["mean"]},
        }
    )
    out = tmp_path / "run"
    pipeline.build(recipe, out)
    for stage in (pipeline.fit, pipeline.downscale, pipeline.validate):
        stage(out)
    below = json.loads((out / "scores.json").read_text())["layers"][ROOT_ZONE]
    assert set(below) == {"nearest", "smooth", "soil_water_index", "lstm", "mean", "closed"}
    assert all(np.isfinite(row["pooled"]["rmse"]) for row in below.values())
    assert below["mean"]["pooled"]["rmse"] == pytest.approx(below["lstm"]["pooled"]["rmse"])
    coarse = open_cube(out / "coarse.zarr")
    with xr.open_dataset(out / "product.nc", engine="h5netcdf") as product:
        assert {*layers, "origin", "closure_residual"} <= set(product.data_vars)
        for name in layers:
            mean = product[name].coarsen(y=8, x=8).mean()
            assert float(abs(mean.values - coarse[name].values).max()) < 1e-3
