"""Two grids from files: what the builder writes equals what the synthetic world knows."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import yaml

from vadose import pipeline
from vadose.cubes.regrid import aggregate
from vadose.errors import CubeProblem, NoOverlap, RecipeProblem, RunProblem, ValueProblem
from vadose.grids import grid_of
from vadose.pipeline.memory import parse_bytes, workers_for
from vadose.store import open_cube
from vadose.synthetic import world, write_stations


@pytest.fixture(scope="module")
def earth():
    return world(size=32, days=6, factor=8, seed=3)


@pytest.fixture
def files(earth, tmp_path):
    """The world as a stranger would send it: GeoTIFFs by day, stations as tables."""

    def write(name, field):
        grid = grid_of(field)
        profile = {
            "driver": "GTiff",
            "count": 1,
            "dtype": "float32",
            "height": grid.shape.y,
            "width": grid.shape.x,
            "crs": str(grid.crs),
            "transform": grid.affine,
            "nodata": -9999.0,
        }
        with rasterio.open(tmp_path / name, "w", **profile) as file:
            file.write(np.nan_to_num(field.values, nan=-9999.0).astype("f4"), 1)

    for step, stamp in enumerate(earth.truth["time"].values):
        day = str(stamp)[:10].replace("-", "")
        write(f"sm_{day}.tif", earth.coarse_truth["soil_moisture"][step])
        write(f"ndvi_{day}.tif", earth.predictors["ndvi"][step])
    write("sand.tif", earth.predictors["sand"])
    write_stations(earth, tmp_path / "stations")
    return tmp_path


def described(prefix, name, units, *, is_static=False):
    stamped = {"time": "name", "time_pattern": r"_(\d{8})\.tif"}
    return {
        "product": prefix,
        "describe": {
            "pattern": f"{prefix}*.tif",
            "layers": {name: {"source": 1, "units": units}},
            **({"time": "static"} if is_static else stamped),
        },
        "paths": ["."],
    }


@pytest.fixture
def content():
    return {
        "title": "A stranger's files",
        "predictors": ["ndvi", "sand"],
        "build": {
            "factor": 8,
            "sources": [
                {**described("sm", "soil_moisture", "m3 m-3"), "use": "target"},
                described("ndvi", "ndvi", "1"),
                described("sand", "sand", "%", is_static=True),
            ],
        },
        "stations": {
            "paths": ["stations"],
            "table": {
                "depth_from": 0.0,
                "depth_to": 0.05,
                "value": "soil_moisture",
                "time": "date",
                "pattern": "S*.csv",
                "coordinates": "stations/stations.csv",
            },
        },
        "methods": {
            "nearest": {"title": "nearest", "kind": "nearest"},
            "smooth": {"title": "smooth", "kind": "smooth"},
        },
        "publish": "smooth",
    }


def build(files, content):
    recipe = files / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return pipeline.build(recipe, files / "run")


def test_cubes_from_files_equal_the_world(earth, files, content):
    run = build(files, content)
    coarse, fine = open_cube(run / "coarse.zarr").load(), open_cube(run / "fine.zarr").load()
    assert np.allclose(fine["ndvi"], earth.predictors["ndvi"], atol=1e-6)
    assert np.allclose(fine["sand"], earth.predictors["sand"], atol=1e-5)
    assert np.allclose(coarse["soil_moisture"], earth.coarse_truth["soil_moisture"], atol=1e-6)
    mean = aggregate(earth.predictors[["ndvi"]], grid_of(earth.coarse))
    assert np.allclose(coarse["ndvi"], mean["ndvi"], atol=1e-6)
    assert (coarse["land_fraction"] == 1).all()
    assert (coarse["time"].values == earth.truth["time"].values).all()


def test_steps_of_several_days_average_the_predictors(earth, files, content):
    for day in (1, 2, 4, 5):  # the target has windows of three days
        stamp = str(earth.truth["time"].values[day])[:10].replace("-", "")
        (files / f"sm_{stamp}.tif").unlink()
    content["build"]["days"] = 3
    run = build(files, content)
    fine = open_cube(run / "fine.zarr")
    assert fine.sizes["time"] == 2
    expected = earth.predictors["ndvi"].isel(time=slice(3, 6)).mean("time")
    assert np.allclose(fine["ndvi"].isel(time=1), expected, atol=1e-6)


def test_the_past_of_a_predictor_is_made_by_name(earth, files, content):
    content["predictors"] = ["ndvi", "ndvi_mean_2_days", "sand"]
    content["build"]["period"] = [str(earth.truth["time"].values[day])[:10] for day in (2, 5)]
    run = build(files, content)
    fine = open_cube(run / "fine.zarr")
    assert fine.sizes["time"] == 4  # the days before the period were read for the mean alone
    expected = earth.predictors["ndvi"].isel(time=slice(0, 2)).mean("time")
    assert np.allclose(fine["ndvi_mean_2_days"].isel(time=0), expected, atol=1e-6)


def test_composites_are_held_through_their_period(earth, files, content):
    for day in range(1, 6):
        stamp = str(earth.truth["time"].values[day])[:10].replace("-", "")
        (files / f"ndvi_{stamp}.tif").unlink()
    source = content["build"]["sources"][1]
    source["hold_days"] = 16
    source["describe"]["days_per_file"] = 16
    with pytest.raises(RecipeProblem, match=r"found no period.*expected a period"):
        build(files, content)
    content["build"]["period"] = [str(earth.truth["time"].values[day])[:10] for day in (0, 5)]
    fine = open_cube(build(files, content) / "fine.zarr")
    assert fine.sizes["time"] == 6
    assert np.allclose(fine["ndvi"].isel(time=5), earth.predictors["ndvi"].isel(time=0), atol=1e-6)


def test_a_whole_run_is_judged_at_the_stations(files, content):
    recipe = files / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    page = pipeline.run(recipe, files / "run")
    assert page.exists()
    assert (files / "run" / "stations.nc").exists()


def test_a_predictor_that_no_source_has_is_named(files, content):
    content["predictors"].append("clay")
    with pytest.raises(CubeProblem, match=r"expected also clay.*take them off the predictors"):
        build(files, content)


def test_periods_that_never_meet_are_one_clear_error(files, content):
    content["build"]["period"] = ["1990-01-01", "1990-01-05"]
    with pytest.raises(NoOverlap, match="none of them within it"):
        build(files, content)


@pytest.mark.parametrize("name", ["ndvi", "own_greenness"])
def test_a_fill_value_that_nobody_declared_is_refused(files, content, name):
    path = next(files.glob("ndvi_*.tif"))
    with rasterio.open(path, "r+") as file:
        field = file.read(1)
        field[:4, :4] = -9999.0
        file.nodata = None
        file.write(field, 1)
    content["predictors"][0] = name
    content["build"]["sources"][1] = described("ndvi", name, "1")
    with pytest.raises(ValueProblem, match=rf"{name}: found .* the worst -9999 \(a fill value"):
        build(files, content)


def test_without_truth_or_stations_there_is_nothing_to_judge_by(files, content):
    del content["stations"]
    recipe = files / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with pytest.raises(RecipeProblem, match=r"nothing to judge by: .* Add stations"):
        pipeline.run(recipe, files / "run")
    assert not (files / "run").exists()


def test_a_part_of_the_coarse_field_that_is_held_back_is_something_to_judge_by(files, content):
    """What `vadose recipe new` writes: the run ends with a report that says that nobody has judged the fine field."""
    del content["stations"]
    content["hold"] = {"scheme": "space", "settings": {"buffer": 0}}  # blocks of the usual size
    recipe = files / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    page = pipeline.run(recipe, files / "run")
    assert "was not judged" in page.read_text(encoding="utf-8")
    assert (files / "run/fit_scores.json").is_file()
    assert not (files / "run/scores.json").exists()
    with pytest.raises(RunProblem, match="found a finished run"):
        pipeline.run(recipe, files / "run")
    bars = []
    with pytest.raises(
        ValueProblem, match="--date: found 2031-01-01, expected a date of the product"
    ):
        pipeline.report(files / "run", dates=["2031-01-01"], progress=bars.append)
    assert bars == []  # told before a bar is shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"product": "SMAPP"}, "product 'SMAPP': found no such name"),
        ({"drop": ["frosen"]}, "Did you mean 'frozen'"),
        ({"rename": {"ndvi": "ndvy"}}, "Did you mean 'ndvi'"),
        ({"rules": {"ndvi": "cubik"}}, "cubik"),
    ],
)
def test_a_wrong_word_in_a_source_is_named(files, content, change, words):
    source = content["build"]["sources"][1]
    if "product" in change:
        source.pop("describe")
    source.update(change)
    with pytest.raises(RecipeProblem, match=words):
        build(files, content)


def test_two_targets_are_refused(files, content):
    content["build"]["sources"][1]["use"] = "target"
    with pytest.raises(RecipeProblem, match="2 sources with use: target, expected one"):
        build(files, content)


def test_a_budget_is_read_and_too_small_a_one_refused():
    assert parse_bytes("512 MiB") == 512e6
    assert workers_for(64e9) >= 1
    with pytest.raises(RecipeProblem, match="amount such as 4GB"):
        parse_bytes("much")
    with pytest.raises(RecipeProblem, match=r"0\.1 GB.*or more"):
        workers_for(1e8)
