"""The stage that corrects: judged at stations held out, applied if it helps, never in place of the product."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from vadose import pipeline
from vadose.cli import main
from vadose.config import parse_recipe
from vadose.correct import load_corrector
from vadose.errors import RecipeProblem, RunProblem, UnknownName, ValueProblem
from vadose.grids import grid_of, lonlat
from vadose.pipeline.correcting import CORRECTED, MODEL
from vadose.pipeline.places import USED
from vadose.store import open_cube, open_netcdf, sha256
from vadose.synthetic import world

METHODS = {"smooth_closed": {"title": "Closed", "kind": "close", "of": ["smooth"]}}
CORRECT = {"how": "additive"}


@pytest.fixture(scope="module")
def made(two_layers, tmp_path_factory):
    """A run with predictions and stations that all read 0.1 more than the truth."""
    out = tmp_path_factory.mktemp("corrected") / "run"
    pipeline.build(two_layers(METHODS, also=[], correct=CORRECT), out)
    pipeline.fit(out)
    pipeline.downscale(out)
    stations = world(size=32, days=30, factor=8, seed=3).stations
    stations["soil_moisture"] = stations["soil_moisture"] + 0.1
    stations.to_netcdf(out / "stations.nc", engine="h5netcdf")
    return out


@pytest.fixture
def run(made, tmp_path):
    """Give a copy of that run whose recipe asks for something else."""

    def copy(**correct):
        out = tmp_path / "run"
        shutil.copytree(made, out)
        recipe = yaml.safe_load((out / "recipe.yaml").read_text())
        recipe["correct"] = {**CORRECT, **correct}
        (out / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        return out

    return copy


def told(out):
    return json.loads((out / "correction/summary.json").read_text())


def test_what_helps_is_applied_beside_the_product(run):
    out = run()
    before = sha256(out / "product.zarr")
    pipeline.correct(out)
    found = told(out)
    assert found["helps"] is True
    assert found["is_applied"] is True
    assert found["after"] < found["before"] - 0.05
    assert found["upper"] < 0
    assert sha256(out / "product.zarr") == before
    product = open_cube(out / "predictions/smooth_closed.zarr").load()
    corrected = open_cube(out / CORRECTED).load()
    added = (corrected["soil_moisture"] - product["soil_moisture"]).values
    is_known = np.isfinite(product["soil_moisture"].values)
    assert (np.isfinite(corrected["soil_moisture"].values) == is_known).all()
    assert 0.05 < np.median(added[is_known]) < 0.15
    assert np.ptp(added[is_known]) < 1e-6, "one offset everywhere"
    assert np.allclose(
        added, corrected["soil_moisture_correction"].values, atol=1e-6, equal_nan=True
    )
    assert (corrected["flags"].values == product["flags"].values).all()
    assert (
        "additive, learned from 12 stations"
        in corrected["soil_moisture"].attrs["station_correction"]
    )
    # the stored corrector makes the same map
    again = load_corrector(out / MODEL).apply(product[["soil_moisture"]])
    assert np.array_equal(
        again["soil_moisture"].values, corrected["soil_moisture"].values, equal_nan=True
    )


def test_a_corrected_product_names_all_that_took_part(run):
    out = run()
    (out / USED).write_text(json.dumps({"conditions of smooth": {"station": ["S01"]}}))
    pipeline.correct(out)
    for cube in (open_cube(out / CORRECTED), open_netcdf(out / "product_corrected.nc")):
        used = json.loads(cube.attrs["stations_used"])
        assert used["conditions of smooth"] == {"station": ["S01"]}
        assert "S01" not in used["correction"]["station"], "it was not learned from"
        assert len(used["correction"]["lat"]) == 11


def test_a_chain_of_plain_words_brings_its_spread_into_the_files(run):
    out = run(how="chain", parameters={"steps": ["additive", "kriging"]}, apply="always")
    pipeline.correct(out)
    assert told(out)["how"] == "chain"
    stored = open_cube(out / CORRECTED)
    name = "soil_moisture_correction_spread"
    for cube in (stored, open_netcdf(out / "product_corrected.nc")):
        assert name in cube["soil_moisture"].attrs["ancillary_variables"].split()
        assert cube[name].dims == ("y", "x")
        assert cube[name].attrs["units"] == "m3 m-3"
    corrector = load_corrector(out / MODEL)
    longitude, latitude = (one.ravel() for one in lonlat(grid_of(stored)))
    expected = corrector.spread_at(longitude, latitude)
    np.testing.assert_allclose(stored[name].values.ravel(), expected, rtol=1e-6)


def test_the_best_is_chosen_by_a_recipe(run):
    out = run(how="best", parameters={"of": ["additive", {"forest": {"trees": 3}}], "folds": 3})
    pipeline.correct(out)
    assert load_corrector(out / MODEL).choice_ == "additive"
    assert any("chosen of 3" in note for note in told(out)["notes"])


def test_tables_hold_what_was_judged(run):
    out = run(folds=3)
    pipeline.correct(out)
    rows = pd.read_csv(out / "correction/held_out.csv")
    assert rows["fold"].nunique() == 3
    assert (rows.groupby("station")["fold"].nunique() == 1).all()
    error = np.sqrt(((rows["after"] - rows["observed"]) ** 2).mean())
    assert error == pytest.approx(told(out)["after"], rel=1e-3)
    assert len(pd.read_csv(out / "correction/stations.csv")) == rows["station"].nunique()


@pytest.mark.parametrize(("apply", "is_applied"), [("never", False), ("always", True)])
def test_the_recipe_has_the_last_word(run, apply, is_applied):
    out = run(apply=apply)
    pipeline.correct(out)
    assert told(out)["is_applied"] is is_applied
    assert (out / CORRECTED).exists() is is_applied


def test_what_does_not_help_is_left_out(run):
    out = run(how="forest", predictors=["ndvi"], parameters={"trees": 5, "leaf": 1})
    stations = world(size=32, days=30, factor=8, seed=3).stations
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.05, 0.5, stations["soil_moisture"].shape)
    stations["soil_moisture"] = stations["soil_moisture"] * 0 + noise
    (out / "stations.nc").unlink()
    stations.to_netcdf(out / "stations.nc", engine="h5netcdf")
    pipeline.correct(out)
    found = told(out)
    if not found["helps"]:
        assert "Leave it out" in found["verdict"]
        assert not (out / CORRECTED).exists()
    assert found["helps"] is (found["upper"] < 0)


def test_an_earlier_corrected_product_does_not_outlive_its_correction(run):
    out = run()
    pipeline.correct(out)
    assert (out / CORRECTED).exists()
    text = (out / "recipe.yaml").read_text()
    (out / "recipe.yaml").write_text(text.replace("how: additive", "how: additive\n  apply: never"))
    pipeline.correct(out)
    assert not (out / CORRECTED).exists()
    assert not (out / "product_corrected.nc").exists()
    assert not (out / MODEL).exists()


def test_faults_are_told(run, made):
    out = run(how="forest", predictors=["elevation"])
    with pytest.raises(UnknownName, match="predictor of the correction 'elevation'"):
        pipeline.correct(out)
    (out / "stations.nc").unlink()
    with pytest.raises(RunProblem, match="found a run without stations"):
        pipeline.correct(out)
    recipe = (made / "recipe.yaml").read_text()
    with pytest.raises(RecipeProblem, match=r"correct: .*correction 'aditive'.*'additive'"):
        parse_recipe(recipe.replace("additive", "aditive"))
    chain = "how: chain\n  parameters: {steps: [additive, krigin]}"
    with pytest.raises(RecipeProblem, match=r"correction 'krigin'.*Did you mean 'kriging'"):
        parse_recipe(recipe.replace("how: additive", chain))
    with pytest.raises(RecipeProblem, match="parameter of additive 'trees'"):
        parse_recipe(recipe.replace("how: additive", "how: additive\n  parameters: {trees: 3}"))


def test_few_stations_are_an_error(run):
    out = run()
    stations = world(size=32, days=30, factor=8, seed=3).stations.isel(station=slice(0, 2))
    (out / "stations.nc").unlink()
    stations.to_netcdf(out / "stations.nc", engine="h5netcdf")
    with pytest.raises(ValueProblem, match="stations left to learn from"):
        pipeline.correct(out)


def test_the_command_line_tells_it(run, capsys, monkeypatch):
    out = run()
    monkeypatch.setattr("sys.argv", ["vadose", "correct", str(out)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    words = capsys.readouterr().out
    assert "Correction helps at stations it has not seen" in words
    assert "product_corrected.zarr" in words
