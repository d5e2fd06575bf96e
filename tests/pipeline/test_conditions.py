"""A recipe that asks for conditions: laid on as cubes are read, and the stations behind them judge nothing."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from vadose import pipeline
from vadose.cli import main
from vadose.config import parse_recipe
from vadose.downscale.conditions import CALENDAR, STATISTICS, DailyConditions
from vadose.downscale.downscaler import load_downscaler
from vadose.errors import NoOverlap, RecipeProblem, RunProblem, UnknownName, ValueProblem
from vadose.pipeline.asking import Asked
from vadose.pipeline.conditions import KEPT, find_conditions
from vadose.pipeline.downscaling import How
from vadose.pipeline.folder import RunFolder
from vadose.pipeline.gap_scores import anew
from vadose.pipeline.passes import opened
from vadose.pipeline.places import OWN, USED, own_stations
from vadose.pipeline.scales import take_scales
from vadose.pipeline.scoring import against_stations
from vadose.store import open_cube, sha256
from vadose.synthetic import world, write_stations

pytest.importorskip("torch")

DRAWN = {
    "title": "Drawn",
    "kind": "generative",
    "model": "diffusion",
    "members": 3,
    "steps": 2,
    "parameters": {"epochs": 2, "width": 8, "blocks": 1, "bounds": [0.0, 0.6]},
}
CONDITIONS = {"day": True, "year": True, "stations": 0.5}
METHODS = {"drawn": {**DRAWN, "conditions": CONDITIONS}}


@pytest.fixture(scope="module")
def earth():
    """The world behind the files of `two_layers`."""
    return world(size=32, days=30, factor=8, seed=3)


@pytest.fixture(scope="module")
def recipe(two_layers, earth, tmp_path_factory):
    """A recipe with stations."""
    tables = tmp_path_factory.mktemp("tables")
    write_stations(earth, tables)
    stations = {
        "paths": [str(tables)],
        "table": {
            "depth_from": 0.0,
            "depth_to": 0.05,
            "value": "soil_moisture",
            "time": "date",
            "pattern": "S*.csv",
            "coordinates": str(tables / "stations.csv"),
        },
    }
    return two_layers(METHODS, also=[], stations=stations)


@pytest.fixture(scope="module")
def built(recipe, tmp_path_factory):
    return pipeline.build(recipe, tmp_path_factory.mktemp("built") / "run")


@pytest.fixture(scope="module")
def fitted(built, tmp_path_factory):
    return pipeline.fit(shutil.copytree(built, tmp_path_factory.mktemp("fitted") / "run"))


@pytest.fixture(scope="module")
def run(fitted, tmp_path_factory):
    out = shutil.copytree(fitted, tmp_path_factory.mktemp("whole") / "run")
    return pipeline.downscale(out, how=How(workers=1))


@pytest.fixture
def again(tmp_path):
    """Give a copy of a run, its recipe changed."""

    def copy(run, change=None):
        out = shutil.copytree(run, tmp_path / "run")
        content = yaml.safe_load((out / "recipe.yaml").read_text())
        if change is not None:
            change(content)
        (out / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return out

    return copy


def asked_for(stations):
    return lambda content: content["methods"]["drawn"]["conditions"].update(stations=stations)


def judged_by_stations(content):
    content["build"]["withhold"] = False
    content["build"]["sources"][0]["use"] = "target"


def used_of(run):
    (role, used), *others = json.loads((run / USED).read_text()).items()
    assert not others
    assert role == "conditions of drawn"
    return used["station"]


def test_the_conditions_are_features_and_no_fields_on_the_disk(fitted, earth):
    description = json.loads((fitted / "models/drawn/downscaler.json").read_text())
    assert description["features"][3:8] == [*CALENDAR, *STATISTICS[:3]]
    for name in ("fine", "coarse"):
        assert not {*CALENDAR, *STATISTICS} & set(open_cube(fitted / f"{name}.zarr").data_vars)
    kept = DailyConditions.load(fitted / "models/drawn" / KEPT)
    readings = earth.stations["soil_moisture"].sel(station=used_of(fitted)).values
    enough = np.isfinite(readings).sum(axis=0) >= 3
    expected = np.where(enough, np.nanmean(readings, axis=0), 0.0)
    assert enough.any()
    # tables round what they hold
    assert np.allclose(kept.statistics["station_mean"], expected, atol=1e-4)
    assert (kept.statistics["station_missing"] == ~enough).all()


def test_tiles_and_workers_change_no_bit(fitted, run, tmp_path):
    distributed = pytest.importorskip("distributed")
    tiled = shutil.copytree(fitted, tmp_path / "tiled")
    planned = {each.one.name: each for each in pipeline.plan(tiled, how=How(cells=1))}
    assert len(planned["drawn"].one.tiling) > 1
    pipeline.downscale(tiled, how=How(cells=1, workers=3))
    remote = shutil.copytree(fitted, tmp_path / "remote")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster:
            how = How(cells=2, scheduler=cluster.scheduler_address)
            pipeline.downscale(remote, how=how)
    one, *others = (
        open_cube(folder / "predictions/drawn.zarr")["soil_moisture_members"].load()
        for folder in (run, tiled, remote)
    )
    assert one.notnull().any()
    for other in others:
        assert np.array_equal(one.values, other.values, equal_nan=True)


def test_the_same_seed_gives_the_same_bits_and_what_was_stopped_goes_on(fitted, run, again):
    out = again(fitted)
    shutil.rmtree(out / "models")
    pipeline.fit(out)
    assert sha256(out / "models") == sha256(fitted / "models")
    assert sha256(out / USED) == sha256(fitted / USED)
    stopped = iter(range(3))

    class Stop(Exception):
        pass

    class Bar:
        def __enter__(self):
            return lambda done, total, note="": done and next(stopped, None) is None and halt()

        def __exit__(self, *error):
            return None

    def halt():
        raise Stop

    with pytest.raises(Stop):
        pipeline.downscale(out, how=How(cells=1, workers=1), progress=lambda words: Bar())
    pipeline.downscale(out, how=How(cells=1, workers=2))
    pair = [open_cube(folder / "product.zarr").load() for folder in (run, out)]
    assert pair[0].identical(pair[1])


def test_the_seed_draws_the_stations(fitted, built, again):
    out = again(built, lambda content: content.update(seed=content.get("seed", 0) + 1))
    pipeline.fit(out)
    assert len(used_of(out)) == len(used_of(fitted)) == 6
    assert used_of(out) != used_of(fitted)


def test_a_station_that_steers_judges_nothing(run, earth, again, tmp_path):
    everyone = tmp_path / "everyone.nc"
    earth.stations.to_netcdf(everyone, engine="h5netcdf")
    used = used_of(run)
    with pytest.raises(ValueProblem, match=r"6 of 12 that took part: .*conditions of drawn"):
        pipeline.judge(run, asked=Asked(stations=everyone))
    # nor does one under another name at the same place
    alias = earth.stations.sel(station=used[:1]).assign_coords(station=["elsewhere"])
    alias.drop_vars("network").to_netcdf(tmp_path / "alias.nc", engine="h5netcdf")
    with pytest.raises(ValueProblem, match="elsewhere"):
        pipeline.judge(run, asked=Asked(stations=tmp_path / "alias.nc"))
    found = pipeline.judge(run)
    judges = set(pd.read_csv(run / "validation/stations.csv")["station"])
    assert judges == set(earth.stations["station"].values) - set(used)
    assert any("6 of 12 stations took part" in note for note in found["notes"])
    assert any("judged at the other 6" in note for note in found["notes"])


def test_the_scores_of_a_run_are_of_the_stations_left(run, again):
    out = again(run, judged_by_stations)
    scores = against_stations(out, RunFolder(out).recipe)
    assert scores["stations"] == 6
    assert "judged at the other 6" in scores["notes"][0]
    assert not set(own_stations(out)["station"].values) & set(used_of(out))


def test_a_product_takes_the_stations_that_steer_it_along(run, earth, again, tmp_path):
    other = again(run)
    (other / USED).unlink()  # a run that has used none
    earth.stations.to_netcdf(tmp_path / "everyone.nc", engine="h5netcdf")
    asked = Asked(stations=tmp_path / "everyone.nc", products={"theirs": run / "product.zarr"})
    with pytest.raises(ValueProblem, match=r"6 of 12 that .*\(conditions of drawn, of theirs"):
        pipeline.judge(other, asked=asked)


def test_a_day_of_few_readings_is_missing(built, again):
    out = again(built, asked_for(["S01", "S02", "S03"]))
    stations = xr.load_dataset(out / OWN, engine="h5netcdf")
    stations["soil_moisture"][:, 4] = np.nan
    stations["soil_moisture"].loc[{"station": "S02", "time": stations["time"][7]}] = np.nan
    stations["soil_moisture"].loc[
        {"station": ["S01", "S02", "S03"], "time": stations["time"][9]}
    ] = 0.2
    (out / OWN).unlink()
    stations.to_netcdf(out / OWN, engine="h5netcdf")
    pipeline.fit(out)
    assert used_of(out) == ["S01", "S02", "S03"]
    missing = DailyConditions.load(out / "models/drawn" / KEPT).statistics["station_missing"]
    assert missing[[4, 7, 9]].tolist() == [1, 1, 0]


def test_what_is_learned_anew_or_explained_is_steered_too(run):
    folder = RunFolder(run)
    coarse, fine = (open_cube(run / f"{name}.zarr").load() for name in ("coarse", "fine"))
    made = anew(folder, "drawn", fine).fit(coarse)
    assert made.predict(fine, coarse)["soil_moisture"].notnull().any()
    direct = load_downscaler(run / "models/drawn").direct
    rng = np.random.default_rng(0)
    for scale in take_scales(folder, direct, samples=100, learned=100, rng=rng, method="drawn"):
        day = scale.X[:, direct.feature_names_.index("day_of_year")]
        assert set(day) <= set(coarse["time"].dt.dayofyear.values)
        assert len(set(day)) > 1


def test_direct_learning_takes_conditions_too(built, again):
    def change(content):
        drawn = content["methods"]["drawn"]
        content["methods"]["drawn"] = {**drawn, "kind": "direct"}
        drawn["parameters"].update(draws=2, steps=2)
        content["hold"] = {"scheme": "random"}
        content["applicability"] = True

    out = pipeline.fit(again(built, change))
    scores = json.loads((out / "fit_scores.json").read_text())["methods"]["drawn"]["layers"]
    assert scores["soil_moisture"]["test"]["n"] > 0
    planned = {each.one.name: each for each in pipeline.plan(out, how=How(workers=1))}
    one = planned["drawn"].one
    product = opened(one, out / "models/drawn").predict(one.tiling, next(iter(one.tiling)))
    assert product["is_applicable"].values.any()


@pytest.mark.parametrize(
    ("stations", "problem", "words"),
    [
        (0.2, RecipeProblem, "found 2 of the 12 stations with readings on the map, expected 3 or"),
        (["S01", "S02", "S99"], UnknownName, r"station \(in conditions\) 'S99': .*S01, S02"),
    ],
)
def test_stations_that_will_not_do_are_told(built, again, stations, problem, words):
    out = again(built, asked_for(stations))
    with pytest.raises(problem, match=words):
        pipeline.fit(out)
    assert not (out / "models/drawn").exists()


def test_one_name_in_two_networks_is_not_enough(built, again):
    out = again(built, asked_for(["S01", "S02", "S03"]))
    stations = xr.load_dataset(out / OWN, engine="h5netcdf")
    (out / OWN).unlink()
    twice = xr.concat(
        [stations.assign_coords(network=("station", [name] * 12)) for name in ("HILLS", "OTHER")],
        dim="station",
    )
    twice.to_netcdf(out / OWN, engine="h5netcdf")
    with pytest.raises(RecipeProblem, match="HILLS/S01, OTHER/S01, expected network/station"):
        pipeline.fit(out)


def test_someone_has_to_be_left_to_judge(built, again):
    out = again(built, lambda content: (asked_for(1.0)(content), judged_by_stations(content)))
    with pytest.raises(RecipeProblem, match=r"found all of the 12 stations.*expected some left"):
        pipeline.fit(out)
    assert not (out / USED).exists()


def test_a_withheld_truth_judges_where_no_station_is_left(run, again):
    out = again(run, asked_for(1.0))
    find_conditions(RunFolder(out), open_cube(out / "coarse.zarr"))
    assert len(used_of(out)) == 12
    with pytest.raises(NoOverlap, match="none of 12 that took no part"):
        own_stations(out)
    found = pipeline.judge(out)
    assert any("no station is left to judge" in note for note in found["notes"])
    assert "views" not in found
    assert found["ensembles"]["drawn"]["crps"] > 0


def test_a_run_that_lost_its_stations_is_told(built, again):
    out = again(built)
    (out / OWN).unlink()
    with pytest.raises(RunProblem, match="Build the run again"):
        pipeline.fit(out)


REFUSED = {
    "nothing": ({}, "no condition, expected day: true"),
    "unknown": ({"dai": True}, "conditions.dai: found an unknown key.*Did you mean 'day'"),
    "share": ({"stations": 1.5}, "above 0 and up to 1"),
    "flag": ({"stations": True}, "a share of the stations, such as 0.5, or a list"),
    "few": ({"stations": ["S01", "S02"]}, "2 stations, expected 3 or more"),
    "twice": ({"stations": ["S01", "S02", "S02"]}, "twice S02, expected each station once"),
    "numbers": ({"stations": [1, 2, 3]}, "put numbers in quotes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_conditions_that_make_no_sense_are_refused(recipe, case):
    content = yaml.safe_load(recipe.read_text())
    conditions, words = REFUSED[case]
    content["methods"]["drawn"]["conditions"] = conditions
    with pytest.raises(RecipeProblem, match=words):
        parse_recipe(yaml.safe_dump(content, sort_keys=False))


def test_conditions_that_do_not_suit_the_recipe_are_refused(recipe, capsys, monkeypatch, tmp_path):
    def refused(change):
        content = yaml.safe_load(recipe.read_text())
        change(content)
        return yaml.safe_dump(content, sort_keys=False)

    text = refused(lambda content: content.pop("stations"))
    (tmp_path / "recipe.yaml").write_text(text)
    command = ["vadose", "run", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    words = " ".join(capsys.readouterr().err.split())
    assert "'drawn' asks for conditions of stations and the recipe has none" in words
    with pytest.raises(RecipeProblem, match="'year' as a condition and the recipe as a predictor"):
        parse_recipe(refused(lambda content: content["predictors"].append("year")))
    forest = {"title": "f", "kind": "direct", "model": "random_forest", "conditions": {"day": True}}
    with pytest.raises(RecipeProblem, match="model 'random_forest' takes no conditions"):
        parse_recipe(refused(lambda content: content["methods"].update(drawn=forest)))
