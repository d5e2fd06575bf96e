"""Two files become a seamless record, judged on hidden values; a study goes on from its filled coarse target."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from vadose import pipeline
from vadose.cli import app
from vadose.config.fusion import parse_fusion
from vadose.cubes.reproject import reproject
from vadose.errors import FileProblem, NoOverlap, RecipeProblem, RunProblem, ValueProblem
from vadose.fuse import FILLERS
from vadose.fuse.blocks import blocks
from vadose.grids import grid_of, latlon, lonlat
from vadose.pipeline.gap_judging import hide, weighed
from vadose.pipeline.learning import observed_part
from vadose.schema import ORIGIN
from vadose.store import open_cube, sha256, write_netcdf
from vadose.synthetic import World, world
from vadose.synthetic.stations import write_stations
from vadose.validate.gap_table import score_gaps

FACTOR, TARGET = 8, "soil_moisture"
QUICK = ["cdf_matched", "persistence", "linear_residual"]


@pytest.fixture(scope="module")
def earth() -> World:
    return world(size=96, days=32, factor=FACTOR, seed=5)


@pytest.fixture(scope="module")
def files(earth, tmp_path_factory):
    """Write the satellite on its grid, the land model on one of its own, and fine predictors."""
    folder = tmp_path_factory.mktemp("record")
    write_netcdf(earth.coarse[[TARGET]], folder / "satellite.nc")
    longitude, latitude = lonlat(grid_of(earth.coarse))
    around = (
        longitude.min() - 0.1,
        latitude.min() - 0.1,
        longitude.max() + 0.1,
        latitude.max() + 0.1,
    )
    region = tuple(float(np.round(edge, 1)) for edge in around)
    other = reproject(earth.land_model[[TARGET]], latlon(0.1, region))
    write_netcdf(other, folder / "model.nc")
    write_netcdf(earth.predictors[["ndvi"]], folder / "fine.nc")
    write_netcdf(earth.predictors[["sand"]], folder / "soil.nc")
    return folder


def recipe(folder, **changes):
    return yaml.safe_dump(
        {
            "title": "Seamless",
            **{
                name: {
                    "product": name,
                    "describe": {"layers": {TARGET: {"source": TARGET}}, "pattern": f"{name}.nc"},
                    "paths": [str(folder / f"{name}.nc")],
                }
                for name in ("satellite", "model")
            },
            "candidates": QUICK,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def fused(files, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "fusion.yaml"
    path.write_text(recipe(files), encoding="utf-8")
    return pipeline.fuse(path, tmp_path_factory.mktemp("fused") / "out")


def test_no_gap_is_left_and_what_was_observed_is_kept(earth, fused):
    cube = open_cube(fused / "fused.zarr").load()
    seen = earth.coarse[TARGET]
    np.testing.assert_allclose(grid_of(cube).affine, grid_of(earth.coarse).affine, rtol=1e-9)
    values = cube[TARGET].values
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    is_seen = seen.notnull().values
    np.testing.assert_array_equal(values[is_seen], seen.values[is_seen].astype("f4"))
    assert (cube["origin"].values == np.where(is_seen, 1, 3)).all()
    assert (cube["soil_moisture_uncertainty"].values[~is_seen] > 0).all()
    with xr.open_dataset(fused / "fused.nc", engine="h5netcdf") as file:
        assert file.attrs["Conventions"].startswith("CF-1.")
        assert "filled" in file["origin"].attrs["flag_meanings"]
        longitude, latitude = lonlat(grid_of(earth.coarse))
        np.testing.assert_allclose(file["latitude"], latitude[:, 0], atol=1e-6)
        np.testing.assert_allclose(file["longitude"], longitude[0], atol=1e-6)
        np.testing.assert_allclose(file[TARGET], values, atol=1e-7)


def test_filled_values_are_nearer_to_the_truth_than_what_is_simple(earth, fused):
    cube = open_cube(fused / "fused.zarr")[TARGET].values
    truth, seen = earth.coarse_truth[TARGET].values, earth.coarse[TARGET]
    is_gap = seen.isnull().values

    def error(field):
        return float(np.sqrt(np.mean((field - truth)[is_gap] ** 2)))

    last = FILLERS["persistence"]().fit(seen, earth.land_model).fill(seen, earth.land_model).values
    assert error(cube) < 0.9 * error(last)
    assert error(cube) < 0.9 * error(earth.land_model[TARGET].values)


def test_what_it_says_of_itself_are_scores_on_hidden_values(fused):
    told = json.loads((fused / "fusion.json").read_text(encoding="utf-8"))
    assert told["scores"][0]["filler"] == told["method"]
    assert {row["filler"] for row in told["scores"]} == set(QUICK)
    errors = [row["expected_rmse"] for row in told["scores"]]
    assert errors == sorted(errors)
    for row in told["scores"]:
        assert row["rmse"] ** 2 == pytest.approx(row["bias"] ** 2 + row["ubrmse"] ** 2, rel=1e-6)
    assert set(told["against_method"]) == set(QUICK) - {told["method"]}
    assert sum(told["origin"].values()) == 32 * 12 * 12
    assert "NaN" not in (fused / "fusion.json").read_text(encoding="utf-8")
    manifest = json.loads((fused / "manifest.json").read_text(encoding="utf-8"))
    assert {row["name"] for row in manifest["inputs"]} == {"satellite.nc", "model.nc"}
    assert not (fused / ".held").exists()


def test_a_stopped_fusion_goes_on_and_gives_the_same_bits(files, fused, tmp_path, monkeypatch):
    path = tmp_path / "fusion.yaml"
    path.write_text(recipe(files), encoding="utf-8")
    out = tmp_path / "out"

    class Stopped(FILLERS["linear_residual"]):
        def fit(self, *record):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(FILLERS, "linear_residual", Stopped)
        with pytest.raises(KeyboardInterrupt):
            pipeline.fuse(path, out)
    assert (out / ".held/held_persistence.nc").is_file()
    assert not (out / "fused.zarr").exists()
    pipeline.fuse(path, out)
    for name in ("soil_moisture", "soil_moisture_uncertainty", "origin"):
        one, other = (open_cube(run / "fused.zarr")[name].load() for run in (out, fused))
        xr.testing.assert_identical(one, other)


def test_a_finished_fusion_is_not_said_to_be_gone_on_with(files, fused):
    words = ["fuse", "--satellite", str(files / "satellite.nc"), "--model", str(files / "model.nc")]
    told = CliRunner().invoke(app, [*words, "--out", str(fused)])
    assert isinstance(told.exception, RunProblem)
    assert "finished run" in str(told.exception)
    assert "unfinished" not in told.output


def test_a_recipe_put_right_takes_nothing_from_the_one_that_was_stopped(
    files, tmp_path, monkeypatch
):
    path, out = tmp_path / "fusion.yaml", tmp_path / "out"

    class Stopped(FILLERS["persistence"]):
        def fit(self, *record):
            raise KeyboardInterrupt

    path.write_text(recipe(files, candidates=["cdf_matched", "persistence"]), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setitem(FILLERS, "persistence", Stopped)
        with pytest.raises(KeyboardInterrupt):
            pipeline.fuse(path, out)
    assert (out / ".held/held_cdf_matched.nc").is_file()  # which has seen what another seed hides
    other = recipe(files, method="cdf_matched", seed=99)
    path.write_text(other, encoding="utf-8")
    pipeline.fuse(path, out)
    pipeline.fuse(path, tmp_path / "anew")
    one, two = (
        {row["filler"]: row["rmse"] for row in json.loads(text)["scores"]}
        for text in ((run / "fusion.json").read_text() for run in (out, tmp_path / "anew"))
    )
    assert one == two


def test_a_finished_fusion_is_kept_unless_told_otherwise(files, tmp_path):
    path = tmp_path / "fusion.yaml"
    path.write_text(recipe(files, candidates=["persistence", "cdf_matched"]), encoding="utf-8")
    out = pipeline.fuse(path, tmp_path / "out")
    before = sha256(out / "fusion.json")
    with pytest.raises(RunProblem, match=r"finished run.*--overwrite"):
        pipeline.fuse(path, out)
    assert sha256(out / "fusion.json") == before
    pipeline.fuse(path, out, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()].count("out") == 1
    assert len(list(tmp_path.iterdir())) == 2  # nothing was left aside


def test_a_long_record_is_fused_in_blocks_and_goes_on_behind_the_last(
    files, earth, fused, tmp_path, monkeypatch
):
    from vadose.pipeline import fusing

    path = tmp_path / "fusion.yaml"
    path.write_text(recipe(files), encoding="utf-8")
    out, done = tmp_path / "out", []
    parts = partial(blocks, length=9, margin=5)
    fill = fusing.fill_block

    def stop(*given, **named):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(given[-1])
        return fill(*given, **named)

    monkeypatch.setattr(fusing, "blocks", parts)
    monkeypatch.setattr("vadose.pipeline.fusion.DAYS_PER_FILE", 20)
    with monkeypatch.context() as patch:
        patch.setattr(fusing, "fill_block", stop)
        with pytest.raises(KeyboardInterrupt):
            pipeline.fuse(path, out)
    assert done == [0, 1]
    again = []
    monkeypatch.setattr(
        fusing, "fill_block", lambda *one, **how: again.append(one[-1]) or fill(*one, **how)
    )
    pipeline.fuse(path, out)
    assert again == [2, 3]
    cube = open_cube(out / "fused.zarr").load()
    whole = open_cube(fused / "fused.zarr").load()
    assert cube[TARGET].notnull().all()
    for name in ("gap_length", "gap_age", "origin"):
        xr.testing.assert_equal(cube[name], whole[name])
    # a block sees less of the record: near the whole's values, not the same
    assert 0 < float(abs(cube[TARGET] - whole[TARGET]).max()) < 0.15
    assert [one.name for one in sorted(out.glob("*.nc"))] == [
        "fused_2019-04.nc",
        "fused_2019-05.nc",
    ]


def test_plain_files_need_no_recipe(files, tmp_path):
    out = tmp_path / "out"
    words = ["fuse", "--satellite", files / "satellite.nc", "--model", files / "model.nc"]
    words += ["--out", out, "--method", "linear_residual", "--replace"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "linear_residual *" in result.output
    cube = open_cube(out / "fused.zarr")
    assert set(np.unique(cube["origin"])) == {ORIGIN.code("filled"), ORIGIN.code("fused")}
    written = parse_fusion((out / "recipe.yaml").read_text(encoding="utf-8"))
    assert written.method == "linear_residual"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "expected a recipe, or --satellite FILES and --model FILES"),
        (["--satellite", "a.nc"], "not both files"),
        (["--satellite", "nowhere.nc", "--model", "nowhere.nc"], "nowhere.nc"),
    ],
)
def test_the_command_line_says_what_it_wants(words, expected, tmp_path, capsys):
    from vadose.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["vadose", "fuse", *words, "--out", str(tmp_path / "out")])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert expected in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_model_that_lacks_days_is_refused(files, earth, tmp_path):
    with xr.open_dataset(files / "model.nc", engine="h5netcdf", decode_coords="all") as model:
        model.isel(time=slice(0, 20)).to_netcdf(tmp_path / "model.nc", engine="h5netcdf")
    text = recipe(files).replace(str(files / "model.nc"), str(tmp_path / "model.nc"))
    path = tmp_path / "fusion.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NoOverlap, match=r"20 of the satellite's 32 days"):
        pipeline.fuse(path, tmp_path / "out")


def changed(files, folder, name, change):
    """Write a file of the record anew with other values, and a recipe that names it."""
    with xr.open_dataset(files / name, engine="h5netcdf", decode_coords="all") as cube:
        cube[TARGET].load().values[:] = change(cube[TARGET].values)
        cube.to_netcdf(folder / name, engine="h5netcdf")
    path = folder / "fusion.yaml"
    text = recipe(files, method="persistence").replace(str(files / name), str(folder / name))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "factor", "words"),
    [
        ("satellite.nc", 100, r"satellite: soil_moisture: found \d+ values .* the worst \d\d"),
        ("model.nc", -9999, r"land model: soil_moisture: .* the worst -\d{3}.*fill_values"),
    ],
)
def test_values_that_cannot_be_shares_of_water_are_refused(files, tmp_path, name, factor, words):
    path = changed(files, tmp_path, name, lambda values: values * factor)
    with pytest.raises(ValueProblem, match=words):
        pipeline.fuse(path, tmp_path / "out")


def test_the_rounding_of_a_land_model_is_no_fault(files, tmp_path):
    path = changed(
        files, tmp_path, "model.nc", lambda values: np.where(values > 0.1, values, -1e-20)
    )
    out = pipeline.fuse(path, tmp_path / "out")
    assert (out / "fused.nc").is_file()


def test_days_that_the_model_lacks_leave_no_gap(files, earth, tmp_path):
    gappy = int(earth.coarse[TARGET].isnull().sum(("y", "x")).values.argmax())

    def lacking(values):
        kept = values.copy()
        kept[gappy] = np.nan
        return kept

    path = changed(files, tmp_path, "model.nc", lacking)
    path.write_text(path.read_text().replace("persistence", "cdf_matched"), encoding="utf-8")
    cube = open_cube(pipeline.fuse(path, tmp_path / "out") / "fused.zarr")
    assert cube[TARGET].notnull().all()


@pytest.mark.parametrize(("rows", "share"), [(slice(0, 4), r"\d+%"), (slice(0, 0), "0%")])
def test_a_model_that_says_nothing_of_most_of_the_land_is_refused(files, tmp_path, rows, share):
    def without(values):
        kept = np.full_like(values, np.nan)
        kept[:, rows] = values[:, rows]
        return kept

    path = changed(files, tmp_path, "model.nc", without)
    with pytest.raises(NoOverlap, match=rf"land model: found values on {share} of the land"):
        pipeline.fuse(path, tmp_path / "out")


def test_a_file_that_is_none_is_refused(files, tmp_path):
    (tmp_path / "page.nc").write_text("<html>Please log in</html>")
    with pytest.raises(FileProblem, match=r"page\.nc: found a file that cannot be read"):
        pipeline.fuse_named(
            [str(tmp_path / "page.nc")], [str(files / "model.nc")], tmp_path / "out"
        )


def test_what_is_told_in_days_is_no_soil_moisture(fused):
    cube = open_cube(fused / "fused.zarr")
    for name in ("gap_length", "gap_age"):
        assert cube[name].attrs["units"] == "day"
        assert "standard_name" not in cube[name].attrs
    assert cube[TARGET].attrs["standard_name"] == "volume_fraction_of_condensed_water_in_soil"


def test_files_without_soil_moisture_are_refused(files, tmp_path):
    with pytest.raises(FileProblem, match="expected soil moisture"):
        pipeline.fuse_named([str(files / "fine.nc")], [str(files / "model.nc")], tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "linear_residul"}, "Did you mean 'linear_residual'"),
        ({"candidates": ["stackd"]}, "stackd"),
        ({"mask": ["froze"]}, "frozen"),
        ({"parameters": {"penalty": 1.0}}, "expected the name of a method"),
        ({"method": "dct_pls", "parameters": {"penalti": 1.0}}, "penalty"),
        ({"hidden": 0.9}, "hidden"),
        ({"period": ["2020-02-01", "2020-01-01"]}, "the last day comes before the first"),
        ({"region": [3, 1, 2, 4]}, "no inside, expected west, south, east, north"),
        ({"satelite": {}}, "Did you mean 'satellite'"),
    ],
)
def test_recipes_that_cannot_be_right_are_refused(files, changes, words):
    with pytest.raises(RecipeProblem, match=words):
        parse_fusion(recipe(files, **changes))


def test_errors_are_weighed_as_the_gaps_of_the_record(earth):
    seen = earth.coarse[TARGET]
    hidden = hide(seen, share=0.2, seed=0)
    truth = earth.coarse_truth[TARGET]
    fields = {"truth": truth, "model": earth.land_model[TARGET]}
    table = score_gaps(fields, seen, hidden, rng=0)
    found = weighed(table, seen)
    assert found["truth"] < found["model"]
    nearest = table.isel(stratum=np.flatnonzero(table["kind"].values == "nearest"))
    errors = nearest["rmse"].sel(product="model").values
    assert np.nanmin(errors) <= found["model"] <= np.nanmax(errors)


def test_stations_judge_filled_days_apart(files, earth, tmp_path):
    paths = write_stations(earth, tmp_path / "stations")
    described = {
        "kind": "table",
        "paths": [str(path) for path in paths[1:]],
        "table": {
            "time": "date",
            "value": "soil_moisture",
            "coordinates": str(paths[0]),
            "depth_from": 0.0,
            "depth_to": 0.05,
            "latitude": "lat",
            "longitude": "lon",
            "file_name": "(S.+)",
            "coordinates_station": "station",
        },
    }
    path = tmp_path / "fusion.yaml"
    changes = {"stations": described, "observed": "replace", "method": "linear_residual"}
    path.write_text(recipe(files, **changes), encoding="utf-8")
    out = pipeline.fuse(path, tmp_path / "out")
    told = json.loads((out / "fusion.json").read_text(encoding="utf-8"))["stations"]
    assert told["stations"] > 3
    pairs = told["median"]["fused"]
    assert pairs["observed"]["n"] > 9
    assert pairs["filled"]["n"] > 9
    assert pairs["observed"]["ubrmse"] < told["median"]["land model"]["observed"]["ubrmse"] + 0.02
    assert len(told["against_satellite"]["delta_rmse"]) == 3


# --- a study whose coarse target is filled


@pytest.fixture(scope="module")
def study(files, tmp_path_factory):
    layers = {
        "satellite": {TARGET: {"source": TARGET}},
        "model": {TARGET: {"source": TARGET}},
        "fine": {"ndvi": {"source": "ndvi"}},
        "soil": {"sand": {"source": "sand"}},
    }
    sources = [
        {
            "product": name,
            "describe": {"layers": own, "pattern": f"{name}.nc"},
            "paths": [str(files / f"{name}.nc")],
        }
        for name, own in layers.items()
    ]
    sources[0]["use"] = "target"
    sources[3]["describe"]["time"] = "static"
    sources[1]["rename"] = {TARGET: "own_land_model"}
    content = {
        "title": "From gaps to one kilometre",
        "predictors": ["ndvi", "sand", "own_land_model"],
        "build": {"factor": FACTOR, "sources": sources},
        "fuse": {"model": "own_land_model", "candidates": QUICK},
        "methods": {
            "nearest": {"title": "nearest", "kind": "nearest"},
            "smooth": {"title": "smooth", "kind": "smooth"},
            "forest": {
                "title": "forest",
                "kind": "direct",
                "model": "random_forest",
                "parameters": {"trees": 5},
            },
            "closed": {"title": "closed", "kind": "close", "of": ["forest"]},
        },
        "publish": "closed",
    }
    folder = tmp_path_factory.mktemp("study")
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    out = folder / "run"
    pipeline.build(path, out)
    with pytest.raises(RunProblem, match="fuse is not finished"):
        pipeline.fit(out)
    pipeline.fuse(path, out)
    pipeline.fit(out)
    return pipeline.downscale(out)


def test_the_product_is_seamless_and_carries_the_origin_of_what_was_filled(study, earth):
    product = open_cube(study / "product.zarr").load()
    assert product[TARGET].notnull().all()
    is_gap = earth.coarse[TARGET].isnull().values
    fine = np.repeat(np.repeat(is_gap, FACTOR, 1), FACTOR, 2)
    origin = product["origin"].values
    assert (origin[fine] == ORIGIN.code("filled")).all()
    assert not (origin[~fine] == ORIGIN.code("filled")).any()
    assert float(abs(product["closure_residual"]).max()) < 1e-3


def test_models_learn_from_observed_values_alone(study, earth):
    kept, filled = (
        open_cube(study / f"{name}.zarr").load() for name in ("coarse_observed", "coarse")
    )
    np.testing.assert_array_equal(kept[TARGET].values, earth.coarse[TARGET].values.astype("f4"))
    assert filled[TARGET].notnull().all()
    np.testing.assert_array_equal(observed_part(filled, TARGET)[TARGET].values, kept[TARGET].values)


def test_fusing_again_begins_with_what_was_observed(study):
    before = open_cube(study / "coarse.zarr")[TARGET].load()
    pipeline.fuse_run(study)
    xr.testing.assert_identical(open_cube(study / "coarse.zarr")[TARGET].load(), before)
    told = json.loads((study / "fusion/fusion.json").read_text(encoding="utf-8"))
    assert told["method"] in QUICK


def test_what_a_stopped_fusion_of_other_cubes_has_filled_is_not_taken(study):
    before = open_cube(study / "coarse.zarr")[TARGET].load()
    work = study / "fusion/.held"
    work.mkdir()
    (work / "made_of.json").write_text("{}", encoding="utf-8")
    wrong = xr.full_like(before, 0.5).to_dataset(name=TARGET).assign_attrs(seconds=0.0)
    for name in QUICK:
        wrong.to_netcdf(work / f"held_{name}.nc", engine="h5netcdf")
    pipeline.fuse_run(study)
    told = json.loads((study / "fusion/fusion.json").read_text(encoding="utf-8"))
    assert min(row["rmse"] for row in told["scores"]) < 0.1
    xr.testing.assert_identical(open_cube(study / "coarse.zarr")[TARGET].load(), before)
