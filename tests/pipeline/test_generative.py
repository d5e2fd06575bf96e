"""A recipe that draws fields: members on disk, the same bits in any tiles, scored as an ensemble."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vadose import pipeline
from vadose.config import parse_recipe
from vadose.errors import RecipeProblem
from vadose.pipeline.downscaling import How
from vadose.store import open_cube

pytest.importorskip("torch")

METHODS = {
    "drawn": {
        "title": "Drawn",
        "kind": "generative",
        "model": "diffusion",
        "members": 3,
        "steps": 2,
        "parameters": {"epochs": 2, "width": 8, "blocks": 1, "bounds": [0.0, 0.6]},
    }
}


@pytest.fixture(scope="module")
def fitted(two_layers, tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "run"
    pipeline.build(two_layers(METHODS, also=[]), out)
    return pipeline.fit(out)


@pytest.fixture(scope="module")
def run(fitted):
    return pipeline.downscale(fitted, how=How(workers=2))


def test_members_lie_beside_their_mean_and_quantiles(run):
    product = open_cube(run / "product.zarr").load()
    members = product["soil_moisture_members"]
    assert members.dims == ("member", "time", "y", "x")
    is_known = product["soil_moisture"].notnull().values
    assert is_known.mean() > 0.5
    mean = members.mean("member").values
    assert np.allclose(mean[is_known], product["soil_moisture"].values[is_known], atol=1e-4)
    assert (members.values[:, is_known] >= 0).all()
    assert (members.values[:, is_known] <= 0.6).all()
    low, high = (product[f"soil_moisture_{end}"].values[is_known] for end in ("lower", "upper"))
    assert (low <= high).all()
    assert (product["soil_moisture_spread"].values[is_known] > 0).all()


def test_tiles_and_threads_change_no_bit_of_any_member(two_layers, run, tmp_path):
    pipeline.build(two_layers(METHODS, also=[]), tmp_path / "run")
    pipeline.fit(tmp_path / "run")
    other = pipeline.downscale(tmp_path / "run", how=How(cells=1, workers=3))
    one, two = (
        open_cube(folder / "predictions/drawn.zarr")["soil_moisture_members"].load()
        for folder in (run, other)
    )
    assert np.array_equal(one.values, two.values, equal_nan=True)


def test_an_ensemble_is_scored_as_one(run):
    found = pipeline.judge(run)["ensembles"]["drawn"]
    written = json.loads((run / "validation/summary.json").read_text())["ensembles"]["drawn"]
    assert found == written
    assert 0 < found["crps"] <= found["mae"]
    assert 0 <= found["coverage"]["0.9"] <= 1
    assert found["spread_skill"] > 0


def test_a_model_that_cannot_draw_is_refused(two_layers):
    methods = {"drawn": {**METHODS["drawn"], "model": "random_forest", "parameters": {}}}
    with pytest.raises(RecipeProblem, match="has model 'random_forest', expected 'diffusion'"):
        parse_recipe(two_layers(methods).read_text(encoding="utf-8"))
