"""A recipe that draws fields: members on disk, the same bits in any tiles, scored as an ensemble."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from vadose import pipeline
from vadose.config import parse_recipe
from vadose.downscale.conserve import residual
from vadose.downscale.downscaler import load_downscaler
from vadose.downscale.members import ClosedMembers
from vadose.downscale.noise import Noise
from vadose.errors import RecipeProblem
from vadose.pipeline.downscaling import How
from vadose.pipeline.methods import Published, keeps_members
from vadose.store import open_cube

pytest.importorskip("torch")

DRAWN = {
    "title": "Drawn",
    "kind": "generative",
    "model": "diffusion",
    "members": 3,
    "steps": 2,
    "parameters": {"epochs": 2, "width": 8, "blocks": 1, "bounds": [0.0, 0.6]},
}
CLOSED = {"title": "Closed", "kind": "close", "of": ["drawn"], "keep_members": True}
METHODS = {"drawn": DRAWN, "closed": CLOSED}
MAPS = {
    **DRAWN,
    "model": "diffusion_maps",
    "noise": "smooth",
    "parameters": {"epochs": 2, "width": 4, "levels": 1, "batch": 4, "bounds": [0.0, 0.6]},
}
MEMBERS = "soil_moisture_members"


@pytest.fixture(scope="module")
def fitted(two_layers, tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "run"
    pipeline.build(two_layers(METHODS, also=[]), out)
    return pipeline.fit(out)


@pytest.fixture(scope="module")
def run(fitted):
    return pipeline.downscale(fitted, how=How(workers=2))


def test_every_member_closes(run):
    product, coarse = open_cube(run / "product.zarr").load(), open_cube(run / "coarse.zarr").load()
    raw = open_cube(run / "predictions/drawn.zarr")[MEMBERS].load()
    left = residual(product[MEMBERS], coarse["soil_moisture"])
    assert left.dims == ("member", "time", "y", "x")
    assert float(abs(left).max()) < 6e-4
    assert float(abs(residual(raw, coarse["soil_moisture"])).max()) > 0.01
    assert float(abs(product["closure_residual"]).max()) < 6e-4
    # the members are those drawn, moved, and what they say together is said anew
    apart = product[MEMBERS].values - product[MEMBERS].values[:1]
    assert np.nanmax(np.abs(apart)) > 1e-3
    spread = product[MEMBERS].std("member", ddof=1, skipna=False)
    np.testing.assert_allclose(product["soil_moisture_spread"], spread, atol=1e-4)
    whole = ClosedMembers(Drawn(run)).predict(open_cube(run / "fine.zarr").load(), coarse)
    np.testing.assert_allclose(product[MEMBERS], whole[MEMBERS], atol=5e-5)


def test_what_closed_members_say_together_lies_in_the_files_too(run):
    (path,) = sorted(run.glob("product*.nc"))
    with xr.open_dataset(path, engine="h5netcdf") as file:
        assert file[MEMBERS].dims == ("member", "time", "y", "x")
        stored = open_cube(run / "product.zarr")[MEMBERS].sel(time=file["time"].values)
        np.testing.assert_allclose(file[MEMBERS], stored, atol=1e-4)


def test_members_are_left_out_unless_they_are_asked_for(two_layers, tmp_path, run):
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    recipe = parse_recipe(text)
    assert keeps_members(recipe)
    asked = {**METHODS, "closed": {**CLOSED, "keep_members": False}}
    assert not keeps_members(parse_recipe(two_layers(asked).read_text(encoding="utf-8")))
    inner = {**asked, "drawn": {**DRAWN, "keep_members": True}}
    assert keeps_members(parse_recipe(two_layers(inner).read_text(encoding="utf-8")))
    bare = Published(run / "predictions/closed.zarr", "soil_moisture", {})
    fine, coarse = (open_cube(run / f"{name}.zarr").load() for name in ("fine", "coarse"))
    product = bare.predict(fine, coarse)
    assert MEMBERS not in product
    assert {"soil_moisture_spread", "soil_moisture_lower"} <= set(product)
    methods = {"forest": {"title": "F", "kind": "direct", "model": "random_forest"}}
    methods["forest"]["keep_members"] = True
    with pytest.raises(RecipeProblem, match=r"kind 'direct' has keep_members, expected 'generat"):
        parse_recipe(two_layers(methods).read_text(encoding="utf-8"))


def test_maps_are_the_same_in_tiles_of_any_size(two_layers, tmp_path):
    run = tmp_path / "maps"
    pipeline.build(two_layers({"drawn": {**MAPS, "tile": 16}, "closed": CLOSED}, also=[]), run)
    pipeline.fit(run)
    pipeline.downscale(run, how=How(workers=2, cells=1))
    fine, coarse = (open_cube(run / f"{name}.zarr").load() for name in ("fine", "coarse"))
    downscaler = load_downscaler(run / "models/drawn")
    assert downscaler.direct.tile == 16
    downscaler.direct.tile, downscaler.model.tile = None, 0
    whole = downscaler.predict(fine, coarse)
    tiled = open_cube(run / "predictions/drawn.zarr").load()
    np.testing.assert_allclose(tiled[MEMBERS], whole[MEMBERS], rtol=0, atol=1e-6)
    assert float(whole["soil_moisture_spread"].mean()) > 1e-3
    closed = open_cube(run / "product.zarr")[MEMBERS].load()
    assert float(abs(residual(closed, coarse["soil_moisture"])).max()) < 6e-4


class Drawn:
    """Stand for the downscaler whose members a run has on disk."""

    level, target, noise = 0.9, "soil_moisture", Noise(3, "shared")

    def __init__(self, run):
        self.run = run

    def predict(self, fine, coarse):
        return open_cube(self.run / "predictions/drawn.zarr").load()


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
    assert (product["soil_moisture_spread"].values[is_known] >= 0).all()
    assert product["soil_moisture_spread"].values[is_known].mean() > 1e-4


def test_tiles_and_threads_change_no_bit_of_any_member(two_layers, run, tmp_path):
    pipeline.build(two_layers(METHODS, also=[]), tmp_path / "run")
    pipeline.fit(tmp_path / "run")
    other = pipeline.downscale(tmp_path / "run", how=How(cells=1, workers=3))
    for name in ("drawn", "closed"):
        one, two = (
            open_cube(folder / f"predictions/{name}.zarr")[MEMBERS].load()
            for folder in (run, other)
        )
        assert np.array_equal(one.values, two.values, equal_nan=True)


def test_an_ensemble_is_scored_as_one(run):
    all_found = pipeline.judge(run)["ensembles"]
    found = all_found["drawn"]
    written = json.loads((run / "validation/summary.json").read_text())["ensembles"]["drawn"]
    assert found == written
    assert all_found["closed"]["spread"] < found["spread"]
    assert 0 < found["crps"] <= found["mae"]
    assert 0 <= found["coverage"]["0.9"] <= 1
    assert found["spread_skill"] > 0


def test_a_model_that_cannot_draw_is_refused(two_layers):
    methods = {"drawn": {**METHODS["drawn"], "model": "random_forest", "parameters": {}}}
    with pytest.raises(RecipeProblem, match="has model 'random_forest', expected 'diffusion'"):
        parse_recipe(two_layers(methods).read_text(encoding="utf-8"))
