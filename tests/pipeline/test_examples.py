"""The examples on real files: a few days of each, through every stage, judged at stations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from vadose import pipeline
from vadose.config import read_recipe
from vadose.config.fusion import read_fusion
from vadose.grids import grid_of, named_grid, nesting
from vadose.pipeline.fusion import is_fusion
from vadose.store import open_cube

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = Path(__file__).parents[2].parent / "shared" / "data"
SHORT = {
    "delaware": ("2018-01-10", "2018-01-23"),
    "yanco": ("2018-08-01", "2018-11-30"),
}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_valid_recipe(path):
    if is_fusion(path):
        assert read_fusion(path).satellite.product
    else:
        assert read_recipe(path).publish


@pytest.fixture(scope="module", params=sorted(SHORT))
def run(request, tmp_path_factory):
    """A run of an example over a shorter period, with a small forest."""
    if not (DATA / request.param).exists():
        pytest.skip(f"the data folder of {request.param} is not beside the repository")
    content = yaml.safe_load((EXAMPLES / f"{request.param}.yaml").read_text(encoding="utf-8"))
    content["build"]["period"] = list(SHORT[request.param])
    content["methods"]["forest"]["parameters"] = {"trees": 10}
    for place in (*content["build"]["sources"], content["stations"]):
        place["paths"] = [str(EXAMPLES / one) for one in place["paths"]]
    table = content["stations"]["table"]
    if "coordinates" in table:
        table["coordinates"] = str(EXAMPLES / table["coordinates"])
    folder = tmp_path_factory.mktemp(request.param)
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    pipeline.run(recipe, folder / "run")
    return folder / "run"


def test_grids_nest_and_the_product_is_on_the_fine_one(run):
    coarse, product = open_cube(run / "coarse.zarr"), open_cube(run / "product.zarr")
    factors = nesting(grid_of(coarse), grid_of(product))
    assert factors == ({"y": 30, "x": 30} if "delaware" in str(run) else {"y": 36, "x": 36})
    if "yanco" in str(run):
        whole = named_grid("EASE2_36km")
        assert grid_of(coarse).affine.a == pytest.approx(whole.affine.a)
        column = (grid_of(coarse).affine.c - whole.affine.c) / whole.affine.a
        assert column == pytest.approx(round(column), abs=1e-6)


def test_scores_at_stations_stand_beside_the_coarse_input(run):
    scores = json.loads((run / "scores.json").read_text())
    assert scores["reference"] == "stations"
    assert {"nearest", "smooth", "forest_closed"} <= set(scores["methods"])
    assert scores["station_days"] == scores["n"] > 50
    assert set(scores["lost"]) >= {"outside the grid", "no station value", "no product value"}
    nearest = scores["methods"]["nearest"]
    assert nearest["gain_over_nearest"]["rmse"] == 0
    assert nearest["station_gain_over_nearest"]["rmse"] == {"median": 0, "lower": 0, "upper": 0}
    for method in scores["methods"].values():
        assert 0.02 < method["pooled"]["rmse"] < 0.2
        assert method["stations"]["ubrmse"]["median"] <= method["stations"]["rmse"]["median"] + 1e-9
    assert scores["methods"]["forest_closed"]["closure_max"] < 1e-3


def test_the_alignment_report_calls_a_resolution_what_it_is(run):
    rows = {row["variable"]: row for row in json.loads((run / "alignment.json").read_text())}
    assert "elevation" in rows
    assert not rows["elevation"]["is_shifted"]
    if "yanco" in str(run):
        assert "25.1 km data on a 1.0 km grid" in rows["own_era5_soil_moisture"]["remark"]


def test_the_report_says_what_judged_it(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Coarse value copied" in page
    assert "<script" not in page
