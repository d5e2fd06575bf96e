"""From a recipe to the files on the disk: the same command plans, downloads, and lists what failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from vadose.cli import main
from vadose.config.build import Source
from vadose.errors import RecipeProblem, UnknownName
from vadose.pipeline.fetching import plan_fetch, wanted_of
from vadose.pipeline.recipes import new_recipe
from vadose.pipeline.sources import open_source
from vadose.products.fetching import Policy
from vadose.products.sample import SAMPLE_PATH

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from archive_server import archive

sys.path.pop(0)

EXAMPLES = Path(__file__).parents[2] / "examples"
PERIOD = ("2019-12-01", "2019-12-03")


@pytest.fixture
def recipe(tmp_path):
    return new_recipe(
        (147.1, -34.9, 147.9, -34.1),
        PERIOD,
        product="SPL3SMP_E",
        model="random_forest",
        out=tmp_path / "my.yaml",
    )


def call(*words, monkeypatch) -> int:
    monkeypatch.setattr(sys, "argv", ["vadose", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def by_product(recipe, **options):
    return {one.product: one for one in wanted_of(recipe, **options)}


def test_predictors_are_wanted_around_the_box_and_before_the_period(recipe):
    wanted = by_product(recipe)
    assert wanted["SPL3SMP_E"].region == (147.1, -34.9, 147.9, -34.1)
    assert wanted["SPL3SMP_E"].period == PERIOD
    assert wanted["IMERG_DAILY"].region == pytest.approx((146.6, -35.4, 148.4, -33.6))
    assert wanted["IMERG_DAILY"].period == ("2019-11-21", "2019-12-03")  # an index over ten days
    assert wanted["COPERNICUS_DEM"].period is None
    assert wanted["ERA5_LAND"].variables == ("land_surface_temperature",)


def test_files_go_where_the_recipe_looks_for_them(recipe, tmp_path):
    assert by_product(recipe)["MOD13A2"].folder == tmp_path / "data/MOD13A2"
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    content["build"]["sources"][1]["paths"] = ["elsewhere/ndvi/*.hdf"]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert by_product(recipe)["MOD13A2"].folder == tmp_path / "elsewhere/ndvi"
    assert by_product(recipe, out=Path("/big"))["MOD13A2"].folder == Path("/big/MOD13A2")


def test_versions_are_named_by_product(recipe):
    wanted = by_product(recipe, versions=["SPL3SMP_E=007"])
    assert (wanted["SPL3SMP_E"].version, wanted["MOD13A2"].version) == ("007", None)
    with pytest.raises(RecipeProblem, match="expected PRODUCT=VERSION"):
        wanted_of(recipe, versions=["007"])
    with pytest.raises(UnknownName, match="Did you mean 'SPL3SMP_E'"):
        wanted_of(recipe, versions=["SPL3SMPE=007"])


def test_the_plan_shows_the_version_that_is_asked_for(recipe, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    words = ("fetch", recipe, "--plan", "--collection", "SPL3SMP_E=007")
    assert call(*words, monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "SPL3SMP_E: SPL3SMP_E 007" in text
    assert "ERA5_LAND: derived-era5-land-daily-statistics\n" in text
    assert "MISSING" in text or "found" in text


def test_a_version_is_of_an_archive_that_is_asked_for_one(recipe):
    with pytest.raises(
        RecipeProblem, match="COPERNICUS_DEM, whose archive is asked for no version"
    ):
        wanted_of(recipe, versions=["COPERNICUS_DEM=7"])


def test_a_misspelt_variable_is_not_taken_for_all_of_them(recipe):
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("[precipitation]", "[precipitaton]"), encoding="utf-8")
    with pytest.raises(UnknownName, match="variable of source IMERG_DAILY 'precipitaton'"):
        wanted_of(recipe)


def test_own_files_and_the_sample_are_not_wanted():
    assert wanted_of(EXAMPLES / "sample.yaml") == []
    assert wanted_of(EXAMPLES / "delaware.yaml") == []
    assert wanted_of(EXAMPLES / "delaware_corrected.yaml") == []


def test_a_fusion_is_wanted_likewise(tmp_path):
    path = tmp_path / "fusion.yaml"
    content = {
        "title": "ours",
        "satellite": {"product": "SPL3SMP", "paths": ["data/SPL3SMP"]},
        "model": {"product": "GLDAS_NOAH", "paths": ["data/GLDAS_NOAH"]},
        "region": [0, 40, 10, 50],
        "period": list(PERIOD),
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    satellite, model = wanted_of(path)
    assert satellite.region == (0, 40, 10, 50)
    assert model.region == (-0.5, 39.5, 10.5, 50.5)
    assert [one.count for one in plan_fetch([satellite, model])] == [3, 24]


def test_the_plan_is_printed_and_asks_nobody(recipe, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "none"))
    assert call("fetch", recipe, "--plan", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "SPL3SMP_E 006" in text
    assert "MISSING, see below" in text
    assert "machine urs.earthdata.nasa.gov login NAME password SECRET" in text
    assert "~/.cdsapirc" in text
    assert "are free there." in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.yaml"]


def test_a_recipe_becomes_files_and_what_fails_is_listed_with_code_three(
    tmp_path, recipe, monkeypatch, capsys
):
    pytest.importorskip("earthaccess")
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    sources = content["build"]["sources"]
    content["build"]["sources"] = [sources[0], sources[4]]
    content["predictors"] = ["elevation"]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("EARTHDATA_TOKEN", "token")
    with archive() as served:
        for day in (1, 2, 3):
            served.add_granule(f"SMAP_L3_SM_P_E_2019120{day}_R18290_001.h5", b"data" * day)
        for place in ("S35_00_E146", "S35_00_E147", "S36_00_E147"):
            served.files[f"Copernicus_DSM_COG_30_{place}_00_DEM.tif"] = b"tile"
        name = "SMAP_L3_SM_P_E_20191202_R18290_001.h5"
        served.faults = {name: ["404"]}
        monkeypatch.setattr("vadose.products.fetching.running.Servers", lambda: served.servers)
        monkeypatch.setattr("vadose.pipeline.fetching.Policy", lambda **_: Policy(pause=0.01))
        assert call("fetch", recipe, monkeypatch=monkeypatch) == 3
        text = capsys.readouterr().out
        assert "5 files are new" in text
        assert "Failed (1):" in text
        assert f"SPL3SMP_E: {name}: found no such file at the archive (404)" in text
        assert call("recipe", "check", recipe, monkeypatch=monkeypatch) == 0  # one day of three
        capsys.readouterr()
        assert call("fetch", recipe, monkeypatch=monkeypatch) == 0
        assert "1 files are new" in capsys.readouterr().out
    assert len(list((tmp_path / "data/SPL3SMP_E").iterdir())) == 3


def test_the_first_study_is_an_evenings_download_with_nothing_by_hand():
    planned = plan_fetch(wanted_of(EXAMPLES / "first_study.yaml"))
    assert not any(one.is_by_hand for one in planned)
    assert sum(one.size for one in planned) < 10e9
    west, south, east, north = planned[0].wanted.region
    assert (north - south) * 111 == pytest.approx(300, rel=0.02)
    assert (east - west) * 111 * 0.75 == pytest.approx(300, rel=0.05)  # the cosine of 41 degrees


def test_the_study_of_china_is_planned_with_what_comes_by_hand():
    planned = {
        one.wanted.product: one for one in plan_fetch(wanted_of(EXAMPLES / "china_1km.yaml"))
    }
    assert {name for name, one in planned.items() if one.is_by_hand} == {
        "MCCA_SMAP",
        "GLEAM",
        "HWSD",
        "ISMN",
    }
    assert planned["IMERG_DAILY"].count == 365
    assert planned["ERA5_LAND"].count == 12
    assert planned["MOD13A2"].count == 24 * 34  # composites from 19 December 2018 on, and tiles
    assert all(one.steps for one in planned.values() if one.is_by_hand)


def test_a_run_knows_where_its_files_were_downloaded_from(tmp_path):
    """The manifest of a download beside a folder goes into the list of inputs."""
    inputs: list[dict[str, str]] = []
    folder = tmp_path / "data/SAMPLE"
    folder.mkdir(parents=True)
    (folder / SAMPLE_PATH.name).write_bytes(SAMPLE_PATH.read_bytes())
    row = {"file": f"SAMPLE/{SAMPLE_PATH.name}", "collection": "GLDAS", "version": "2.1"}
    (tmp_path / "data/fetched.jsonl").write_text(json.dumps(row), encoding="utf-8")
    source = Source(product="SAMPLE", paths=["data/SAMPLE"])
    open_source(source, tmp_path, inputs, region=None, period=None)
    assert (inputs[0]["collection"], inputs[0]["version"]) == ("GLDAS", "2.1")
    assert len(inputs[0]["sha256"]) == 64


def test_a_recipe_of_own_files_has_nothing_to_download(monkeypatch, capsys):
    assert call("fetch", EXAMPLES / "sample.yaml", monkeypatch=monkeypatch) == 0
    assert "names no product of an archive" in capsys.readouterr().out
