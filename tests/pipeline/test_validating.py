"""Judge a run: at stations from any path, by its maps, its gaps and its intervals."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from vadose import pipeline
from vadose.cli import main
from vadose.config import parse_recipe
from vadose.errors import (
    CubeProblem,
    FileProblem,
    NoOverlap,
    RecipeProblem,
    UnknownName,
    ValueProblem,
)
from vadose.grids import grid_of
from vadose.pipeline import map_scores
from vadose.pipeline.asking import Asked
from vadose.pipeline.calibrating import calibrated
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.places import USED, open_places
from vadose.store import open_cube, sha256
from vadose.synthetic import world, write_stations
from vadose.validate.match import find_cells
from vadose.validate.scores import score_pairs

METHODS = {
    "forest": {
        "title": "Small forest",
        "kind": "direct",
        "model": "random_forest",
        "parameters": {"trees": 12},
    },
    "forest_closed": {"title": "Closed forest", "kind": "close", "of": ["forest"]},
}


@pytest.fixture(scope="module")
def earth():
    """The world behind the files of `two_layers`."""
    return world(size=32, days=30, factor=8, seed=3)


@pytest.fixture(scope="module")
def run(two_layers, tmp_path_factory):
    """A run with predictions and intervals."""
    out = tmp_path_factory.mktemp("judged") / "run"
    recipe = two_layers(METHODS, also=[], intervals={"level": 0.9}, applicability=True)
    pipeline.build(recipe, out)
    pipeline.fit(out)
    return pipeline.downscale(out)


@pytest.fixture(scope="module")
def stations(earth, tmp_path_factory):
    """The stations of that world as a file of series."""
    path = tmp_path_factory.mktemp("stations") / "stations.nc"
    earth.stations.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture(scope="module")
def judged(run, stations):
    return pipeline.judge(run, asked=Asked(stations=stations, minimum_pairs=10))


def test_every_method_stands_beside_the_coarse_input_on_the_same_pairs(run, judged, earth):
    table = pd.read_csv(run / "validation/stations.csv")
    own = table[table["view"] == "values"]
    assert set(own["product"]) == {"nearest", "smooth", "forest", "forest_closed"}
    assert (own.groupby("station")["n"].nunique() == 1).all()
    # one station by hand
    name = own["station"].iloc[0]
    product = open_cube(run / "predictions/forest.zarr")["soil_moisture"].load()
    place = earth.stations.sel(station=name)
    assert judged["pairs"] == own[own["product"] == "forest"]["n"].sum()
    row = own[(own["product"] == "forest") & (own["station"] == name)].iloc[0]
    assert row["rmse"] ** 2 == pytest.approx(row["bias"] ** 2 + row["ubrmse"] ** 2, rel=1e-4)
    reading = place["soil_moisture"].values
    assert abs(row["bias"]) < abs(reading).max() + float(product.max())


def test_the_coarse_input_gains_nothing_over_itself(judged):
    own = judged["gains"]["nearest"]["products"]["nearest"]
    for gain in ("delta_r", "delta_ubrmse", "delta_rmse", "gain_mean"):
        assert [own[gain][part] for part in ("median", "lower", "upper")] == [0, 0, 0]
    assert "not shown to differ" in judged["verdict"] or "than nearest" in judged["verdict"]


def test_what_was_scored_can_be_scored_again(run, judged):
    series = xr.open_dataset(run / "validation/series.nc", engine="h5netcdf").load()
    matchup = series.assign(is_pair=series["is_pair"].astype(bool))
    again = score_pairs(
        matchup.assign(
            n=matchup["is_pair"].sum("time").broadcast_like(matchup["value"].isel(time=0))
        ),
        minimum_pairs=10,
    )
    table = pd.read_csv(run / "validation/stations.csv")
    table = table[(table["view"] == "values") & table["is_used"]]
    for name in ("r", "ubrmse", "bias"):
        own = table.set_index(["product", "station"])[name].to_xarray()
        found = again[name].sel(product=own["product"], station=own["station"])
        np.testing.assert_allclose(found.values, own.values, rtol=1e-4, atol=1e-6)
    assert series.attrs["featureType"] == "timeSeries"
    assert series["value"].attrs["units"] == "m3 m-3"
    assert int(series["is_used"].sum()) == judged["stations"]


def test_rain_stands_beside_the_series(run, judged, earth):
    series = xr.open_dataset(run / "validation/series.nc", engine="h5netcdf").load()
    rain = series["precipitation"]
    assert rain.attrs["units"] == "mm day-1"
    rows, columns = find_cells(grid_of(earth.predictors), series)
    expected = earth.predictors["precipitation"].values[:, rows, columns].T
    np.testing.assert_allclose(rain.values, expected, rtol=1e-5)


def test_origins_of_the_product_stand_beside_the_series(run, judged):
    series = xr.open_dataset(run / "validation/series.nc", engine="h5netcdf").load()
    product = open_cube(run / "product.zarr")
    rows, columns = find_cells(grid_of(product), series)
    expected = product["origin"].sel(time=series["time"]).values[:, rows, columns].T
    np.testing.assert_array_equal(series["origin"].values, expected)
    assert "filled" in series["origin"].attrs["flag_meanings"]


def test_what_is_lost_adds_up(judged, run):
    lost = pd.read_csv(run / "validation/lost.csv")
    table = pd.read_csv(run / "validation/stations.csv")
    n = table[(table["view"] == "values")].set_index(["product", "station"])["n"]
    total = lost.groupby(["product", "station"])["lost"].sum() + n
    assert (total == judged["stamps"]).all()


def test_intervals_hold_where_nothing_was_calibrated(run, judged):
    rows = judged["intervals"]["coverage"]
    assert judged["intervals"]["source"] == "a withheld truth"
    assert rows[0]["label"] == "all"
    assert 0.86 < rows[0]["coverage"] < 0.94
    product = open_cube(run / "product.zarr").load()
    truth = open_cube(run / "truth.zarr")["soil_moisture"].load()
    low, high = product["soil_moisture_lower"], product["soil_moisture_upper"]
    is_known = (product["soil_moisture"].notnull() & truth.notnull()).values
    inside = ((truth >= low) & (truth <= high)).values[is_known]
    assert 0.86 < inside.mean() < 0.94
    width = (high - low).values[is_known]
    step = 1e-4  # of the packed integers
    assert np.allclose(width, product["soil_moisture_interval_width"].values[is_known], atol=step)
    assert (low.values[is_known] <= product["soil_moisture"].values[is_known] + step).all()
    spread = product["soil_moisture_spread"].values
    assert np.nanstd(spread) > 0
    assert (np.isnan(spread) == np.isnan(product["soil_moisture"].values)).all()


def test_where_the_model_has_learned_from_the_like_is_in_the_product(run, judged):
    product = open_cube(run / "product.zarr").load()
    index, mask = product["dissimilarity_index"], product["is_applicable"]
    threshold = index.attrs["threshold"]
    is_known = index.notnull().values
    is_clear = is_known & (abs(index.values - threshold) > 0.01)  # beyond the steps of packing
    assert np.array_equal(mask.values[is_clear] == 1, index.values[is_clear] < threshold)
    assert 0 < (mask.values[is_known] == 1).mean() < 1
    assert (mask.values[~is_known] == 0).all()
    strata = pd.read_csv(run / "validation/strata.csv")
    own = strata[strata["label"] == "area_of_applicability_of_forest"]
    assert set(own["stratum"]) <= {"inside", "outside"}
    assert "inside" in set(own["stratum"])


def test_intervals_do_not_depend_on_tiles(two_layers, run, tmp_path):
    from vadose.pipeline.downscaling import How

    recipe = two_layers(METHODS, also=[], intervals={"level": 0.9}, applicability=True)
    pipeline.build(recipe, tmp_path / "run")
    pipeline.fit(tmp_path / "run")
    other = pipeline.downscale(tmp_path / "run", how=How(cells=1, workers=2))
    one, two = (open_cube(folder / "product.zarr").load() for folder in (run, other))
    names = ("soil_moisture_lower", "soil_moisture_upper", "soil_moisture_spread")
    for name in (*names, "dissimilarity_index", "is_applicable"):
        assert np.array_equal(one[name].values, two[name].values, equal_nan=True)


def test_stations_calibrate_where_no_truth_is_withheld(run, stations, earth, tmp_path):
    folder = RunFolder(run)
    text = yaml.safe_load(folder.state["recipe"])
    text["build"]["withhold"] = False
    text["build"]["sources"][0]["use"] = "target"
    clone = tmp_path / "run"
    clone.mkdir()
    for name in ("predictions", "coarse.zarr", "fine.zarr", "models"):
        (clone / name).symlink_to(run / name)
    (clone / "recipe.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    (clone / "state.json").symlink_to(run / "state.json")
    (clone / "stations.nc").symlink_to(stations)
    found = calibrated(RunFolder(clone), f"{run}/predictions")
    assert found["source"] == "stations"
    assert found["blocks"] == earth.stations.sizes["station"]
    assert found["intervals"]["scale"] == "station"
    (clone / "stations.nc").unlink()
    found = calibrated(RunFolder(clone), f"{run}/predictions")
    assert found["source"] == "coarse cells out of fold"


def test_maps_are_told_beside_the_truth(judged, run):
    own = judged["maps"]["forest_closed"]
    assert own["closure_max"] < 1e-3
    assert judged["maps"]["smooth"]["closure_max"] > 1e-3
    assert -1 <= own["within_cell_median_r"] <= 1
    table = pd.read_csv(run / "validation/maps.csv")
    assert {"nearest", "smooth", "forest_closed", "truth"} == set(table["product"])


def test_maps_too_large_for_all_dates_are_judged_on_some(run, monkeypatch):
    few = partial(map_scores.on_dates, cells=3 * 32 * 32)
    monkeypatch.setattr(map_scores, "on_dates", few)
    table = map_scores.score_maps(RunFolder(run))[1]
    assert table["time"].nunique() == 3
    own = table[table["product"] == "forest_closed"]
    assert own["closure_max"].max() < 1e-3


def test_a_station_that_took_part_is_refused(run, stations, earth):
    before = sha256(run / "validation")
    (run / USED).write_text(json.dumps({"correction": ["S01"]}), encoding="utf-8")
    try:
        with pytest.raises(ValueProblem, match=r"1 of 12 that took part: .*S01 \(correction"):
            pipeline.judge(run, asked=Asked(stations=stations))
    finally:
        (run / USED).unlink()
    assert sha256(run / "validation") == before


def test_tables_in_a_description_give_the_same_as_a_file_of_series(run, earth, stations, tmp_path):
    write_stations(earth, tmp_path / "tables")
    (tmp_path / "described.yaml").write_text(
        "paths: [tables]\nlayer: [0.0, 0.1]\n"
        "table: {depth_from: 0.0, depth_to: 0.05, value: soil_moisture, time: date, pattern: 'S*.csv', "
        "coordinates: tables/stations.csv}\n",
        encoding="utf-8",
    )
    table = open_places(tmp_path / "described.yaml")
    series = open_places(stations)
    assert table.sizes["station"] == series.sizes["station"]
    assert np.nanmax(table["soil_moisture"].values) == pytest.approx(
        np.nanmax(series["soil_moisture"].values), abs=1e-4
    )


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("none.nc", None, FileProblem, "nothing there"),
        ("odd.txt", "x", FileProblem, r"ends in \.txt.*a \.yaml that describes tables"),
        ("bad.yaml", "paths: [a]\nlayr: [0, 1]\n", RecipeProblem, "layr: found an unknown key"),
        ("bad.yaml", "- a\n", RecipeProblem, "found a list, expected keys such as paths"),
    ],
)
def test_faults_of_a_path_are_told(tmp_path, name, content, error, words):
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(error, match=words):
        open_places(tmp_path / name)


def test_a_file_without_series_is_told(tmp_path):
    xr.Dataset({"sm": ("station", [0.1])}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(CubeProblem, match="expected soil_moisture with dims station, time"):
        open_places(tmp_path / "x.nc")


def test_silent_stations_are_left_out_and_named(run, earth, tmp_path):
    stuck = earth.stations.copy(deep=True)
    stuck["soil_moisture"][0] = 0.2
    stuck.to_netcdf(tmp_path / "stuck.nc", engine="h5netcdf")
    found = pipeline.judge(run, asked=Asked(stations=tmp_path / "stuck.nc", minimum_pairs=10))
    assert found["stations_that_do_not_vary"] == [str(earth.stations["station"].values[0])]
    stuck["soil_moisture"][:] = 0.2
    stuck.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    with pytest.raises(NoOverlap, match="readings that do not vary"):
        pipeline.judge(run, asked=Asked(stations=tmp_path / "all.nc"))


def test_another_product_a_footprint_and_a_hat(run, stations):
    asked = Asked(
        stations=stations,
        products={"other": run / "truth.zarr"},
        space="footprint",
        footprint=3.0,
        minimum_pairs=10,
        hat=("nearest", "smooth", "forest"),
    )
    found = pipeline.judge(run, asked=asked)
    assert found["views"]["values"]["other"]["r"]["median"] > 0.5
    series = xr.open_dataset(run / "validation/series.nc", engine="h5netcdf").load()
    assert set(series["product"].values) == {
        "nearest",
        "smooth",
        "forest",
        "forest_closed",
        "other",
    }
    assert "other: Footprint" in series.attrs["space"]
    assert "Footprint" in found["matching"]["space"]
    assert "invisible" in found["hat"]["warning"]
    errors = xr.open_zarr(run / "validation/three_cornered_hat.zarr", consolidated=False)
    assert set(errors["product"].values) == {"nearest", "smooth", "forest"}
    assert found["hat"]["too_few_share"] == 1.0  # of 30 days, 50 are asked for
    assert found["hat"]["methods"]["forest"]["error_sd"] is None
    with pytest.raises(ValueProblem, match="found 2 methods, expected three or more"):
        pipeline.judge(run, asked=Asked(stations=stations, hat=("nearest", "smooth")))
    with pytest.raises(UnknownName, match="bicubic"):
        pipeline.judge(run, asked=Asked(stations=stations, hat=("nearest", "smooth", "bicubic")))


def test_gaps_are_laid_and_scored_beside_what_costs_nothing(run, stations):
    found = pipeline.judge(run, asked=Asked(stations=stations, gaps=0.2, minimum_pairs=10))
    products = {row["product"] for row in found["gaps"]}
    assert products == {"forest_closed", "persistence", "linear"}
    table = pd.read_csv(run / "validation/gaps.csv")
    assert set(table["by"]) == {"length", "age"}
    for days, part in table[table["days"] == "all"].groupby(["gap_steps", "by"]):
        assert part["n"].nunique() == 1, days


def test_a_corrected_product_is_refused_at_the_stations_it_has_seen(run, earth, stations, tmp_path):
    clone = tmp_path / "run"
    shutil.copytree(run, clone)
    shutil.copy(stations, clone / "stations.nc")
    recipe = yaml.safe_load((clone / "recipe.yaml").read_text())
    recipe["correct"] = {"how": "additive", "apply": "always"}
    (clone / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    pipeline.correct(clone)
    products = {"corrected": clone / "product_corrected.zarr"}
    with pytest.raises(ValueProblem, match=r"12 of 12 that took part: .*correction, of corrected"):
        pipeline.judge(clone, asked=Asked(products=products))
    file = {"corrected": clone / "product_corrected.nc"}
    with pytest.raises(ValueProblem, match="correction, of corrected"):
        pipeline.judge(run, asked=Asked(stations=stations, products=file))
    attributes = open_cube(clone / "product_corrected.zarr").attrs
    assert set(json.loads(attributes["stations_used"])) == {"correction"}
    assert "corrected with stations: additive" in attributes["source"]
    assert attributes["license"] == open_cube(clone / "product.zarr").attrs["license"]
    renamed = earth.stations.assign_coords(
        station=[f"other {name}" for name in earth.stations["station"].values]
    )
    renamed.to_netcdf(tmp_path / "renamed.nc", engine="h5netcdf")
    with pytest.raises(ValueProblem, match="took part"):
        pipeline.judge(clone, asked=Asked(stations=tmp_path / "renamed.nc", products=products))
    assert pipeline.judge(clone, asked=Asked(minimum_pairs=10))["stations"] == 12


def test_one_set_of_stations_stands_behind_every_table(run, earth, tmp_path):
    short = earth.stations.copy(deep=True)
    short["soil_moisture"][:4, 5:] = np.nan
    rng = np.random.default_rng(0)
    short["soil_moisture"][4] = rng.uniform(0.1, 0.4, 30)  # says nothing of the soil
    short.to_netcdf(tmp_path / "short.nc", engine="h5netcdf")
    asked = Asked(stations=tmp_path / "short.nc", minimum_pairs=10, after_ma=True)
    found = pipeline.judge(run, asked=asked)
    table = pd.read_csv(run / "validation/stations.csv")
    own = table[(table["product"] == "forest") & table["is_used"]]
    assert found["stations"] == len(own) <= 7
    assert found["gains"]["nearest"]["stations"] == len(own)
    strata = pd.read_csv(run / "validation/strata.csv")
    year = strata[(strata["label"] == "year") & (strata["product"] == "forest")]
    assert year[year["view"] == "pooled"]["n"].item() == own["n"].sum() == found["pairs"]
    assert pd.read_csv(run / "validation/daily.csv")["n"].max() <= len(own)
    with pytest.raises(NoOverlap, match="none that may be scored"):
        pipeline.judge(run, asked=Asked(stations=tmp_path / "short.nc", minimum_pairs=1000))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s.assign(soil_moisture=s["soil_moisture"] * 100),
            "values from .* expected units",
        ),
        (lambda s: s.isel(station=slice(0, 0)), "expected some stations"),
        (lambda s: s.isel(station=[0, 0, 1]), "S01 twice"),
        (lambda s: s.assign_coords(lat=s["lat"] * np.nan), "a station without lat"),
    ],
)
def test_series_that_cannot_be_are_refused(earth, tmp_path, change, words):
    change(earth.stations).to_netcdf(tmp_path / "odd.nc", engine="h5netcdf")
    with pytest.raises(CubeProblem, match=words):
        open_places(tmp_path / "odd.nc")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"footprint": 5.0}, "--footprint: found --match cell"),
        ({"footprint": 1e6, "space": "footprint"}, "--footprint: found 1e"),
        ({"space": "footprint"}, "found no size"),
        ({"layer": (0.0, 0.1)}, "--layer: found stations whose layer is settled"),
    ],
)
def test_options_that_do_not_fit_are_refused(run, stations, asked, words):
    with pytest.raises(ValueProblem, match=words):
        pipeline.judge(run, asked=Asked(stations=stations, **asked))
    with pytest.raises(ValueProblem, match="options of matching: found a run without stations"):
        pipeline.judge(run, asked=Asked(**asked))


def test_applicability_of_a_blend_is_refused(two_layers):
    methods = {**METHODS, "both": {"title": "b", "kind": "blend", "of": ["smooth", "forest"]}}
    text = two_layers(methods, applicability=True).read_text(encoding="utf-8")
    with pytest.raises(RecipeProblem, match="'both' is a blend, expected a method with one model"):
        parse_recipe(text)


def test_the_command_line_tells_it(run, stations, capsys, monkeypatch):
    words = ["vadose", "validate", str(run), "--stations", str(stations), "--minimum", "10"]
    monkeypatch.setattr("sys.argv", [*words, "--product", f"other={run / 'truth.zarr'}"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert "median over 12 stations" in told
    assert "Closed forest" in told
    assert "of held-out values lie inside" in told
    # what was given from outside of the run is drawn from the run alone
    monkeypatch.setattr("vadose.report.style.DOTS_PER_INCH", 40)
    for step in (words[:3], [*words, "--product", f"other={run / 'truth.zarr'}"]):
        monkeypatch.setattr("sys.argv", step)
        with pytest.raises(SystemExit):
            main()
    stations.rename(away := stations.with_suffix(".away"))
    monkeypatch.setattr("sys.argv", ["vadose", "report", str(run), "--no-figures"])
    with pytest.raises(SystemExit) as end:
        main()
    away.rename(stations)
    assert end.value.code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "product, coarse value, other, with bars of precipitation" in page
    assert "Taylor diagram" in page
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", [*words, "--product", "other"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "--product: found 'other', expected NAME=PATH" in capsys.readouterr().err


def test_a_recipe_may_ask_for_intervals(two_layers):
    recipe = two_layers(METHODS, intervals={"level": 0.8}).read_text(encoding="utf-8")
    found = parse_recipe(recipe).intervals
    assert found is not None
    assert found.level == 0.8
    with pytest.raises(RecipeProblem, match=r"intervals\.level"):
        parse_recipe(recipe.replace("level: 0.8", "level: 1.8"))


def test_a_hidden_result_is_not_left_when_judging_fails(run, judged, tmp_path):
    assert not list(Path(run).glob("*validation*.partial"))
    assert not [one for one in Path(run).iterdir() if one.name.startswith(".validation")]
