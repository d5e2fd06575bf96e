"""What a recipe lacks on the disk: told before anything runs, in one list, with what to do."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from vadose import pipeline
from vadose.cli import main
from vadose.config import DEMO_RECIPE
from vadose.errors import FileProblem, MissingExtra, RecipeProblem
from vadose.pipeline.recipes import check_recipe, new_recipe

REGION, PERIOD = (146.0, -36.0, 149.0, -33.0), ("2019-12-01", "2019-12-20")
FIRST, LAST = date(2019, 12, 1), date(2019, 12, 20)


def fill(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"data")


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


def smap(day: date) -> str:
    return f"SMAP_L3_SM_P_E_{day:%Y%m%d}_R18290_001.h5"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with all its files, each of four bytes."""
    path = new_recipe(
        REGION, PERIOD, product="SPL3SMP_E", model="random_forest", out=tmp_path / "my.yaml"
    )
    data = tmp_path / "data"
    for day in days(FIRST, LAST):
        fill(data / "SPL3SMP_E", smap(day))
    for day in days(FIRST - timedelta(days=10), LAST):
        fill(data / "IMERG_DAILY", f"3B-DAY.MS.MRG.3IMERG.{day:%Y%m%d}-S000000-E235959.V07B.nc4")
    for start in ("2019321", "2019337", "2019353"):
        fill(data / "MOD13A2", f"MOD13A2.A{start}.h29v12.061.2020289.hdf")
    fill(data / "ERA5_LAND", "skt_2019-12.nc")
    fill(data / "COPERNICUS_DEM", "Copernicus_DSM_COG_30_S35_00_E147_00_DEM.tif")
    for name in ("sand", "clay"):
        fill(data / "SOILGRIDS", f"{name}_0-5cm_mean_1000.tif")
    return path


def test_a_recipe_whose_files_are_there_is_complete(recipe):
    found = check_recipe(recipe)
    assert found.missing == []
    row = found.sources[0]
    assert (row.count, row.size, row.first, row.last) == (20, 80, FIRST, LAST)
    assert found.sources[3].first is None  # names of ERA5-Land do not tell the days


def test_rain_is_looked_for_on_the_days_before(recipe):
    """An index over ten days needs the ten days before the period."""
    (
        recipe.parent / "data/IMERG_DAILY/3B-DAY.MS.MRG.3IMERG.20191121-S000000-E235959.V07B.nc4"
    ).unlink()
    (text,) = check_recipe(recipe).missing
    assert text == (
        "source IMERG_DAILY: no file for 1 of 30 days (2019-11-21). Add files named 3B-DAY* of these days."
    )


def test_days_before_the_record_are_not_asked_for_as_files_alone(recipe):
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    content["build"]["period"] = ["2015-03-01", "2019-12-20"]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    text = check_recipe(recipe).missing[0]
    assert text == (
        "source SPL3SMP_E: found a period from 2015-03-01, expected one from 2015-03-31 on. No archive has "
        "earlier files; take a later period or another product."
    )


def test_a_folder_that_is_not_there_is_named_with_what_belongs_in_it(recipe):
    folder = recipe.parent / "data/MOD13A2"
    for path in folder.iterdir():
        path.unlink()
    (text,) = check_recipe(recipe).missing
    assert text == f"source MOD13A2: {folder} has no file named MOD13A2*.[hn][dc]*. Put them there."
    folder.rmdir()
    (text,) = check_recipe(recipe).missing
    assert text.endswith(
        "does not exist. Make the folder, and put files named MOD13A2*.[hn][dc]* there."
    )


def test_an_empty_file_is_no_file(recipe):
    (recipe.parent / "data/SPL3SMP_E" / smap(FIRST)).write_bytes(b"")
    (text,) = check_recipe(recipe).missing
    assert text.startswith(f"source SPL3SMP_E: empty files {smap(FIRST)}. Delete them")


def test_an_outage_of_the_satellite_is_a_note_and_a_cut_period_is_not(recipe):
    folder = recipe.parent / "data/SPL3SMP_E"
    for day in (date(2019, 12, 5), date(2019, 12, 6), date(2019, 12, 9)):
        (folder / smap(day)).unlink()
    found = check_recipe(recipe)
    assert found.is_complete
    assert found.sources[0].notes == (
        "source SPL3SMP_E: no file for 3 of 20 days (2019-12-05..2019-12-06, 2019-12-09): an outage, or "
        "files that are missing.",
    )
    (folder / smap(LAST)).unlink()
    assert "no file for 4 of 20 days" in check_recipe(recipe).missing[0]


def test_a_tile_without_a_day_is_named(recipe):
    fill(recipe.parent / "data/MOD13A2", "MOD13A2.A2019321.h30v12.061.2020289.hdf")
    fill(recipe.parent / "data/MOD13A2", "MOD13A2.A2019353.h30v12.061.2020289.hdf")
    (text,) = check_recipe(recipe).missing
    assert "no file of tile h30v12 for 16 of 30 days (2019-12-03..2019-12-18)" in text


def test_predictors_that_no_source_gives_are_named(recipe):
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    content["predictors"] += ["albedo", "slope"]
    content["build"]["sources"][1]["variables"] = ["ndvi", "evi"]
    content["also"] = ["root_zone_soil_moisture"]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    found = check_recipe(recipe)
    assert found.problems[0] == "source MOD13A2: has no variable evi, but ndvi."
    assert found.problems[1].startswith(
        "target root_zone_soil_moisture: SPL3SMP_E does not give it, but soil_moisture."
    )
    assert [text.partition(":")[0] for text in found.problems[2:]] == [
        "predictor albedo",
        "predictor slope",
    ]


def test_stations_are_looked_for(recipe):
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    content["stations"] = {"kind": "table", "paths": ["data/mine.csv"]}
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    first, second = check_recipe(recipe).missing
    assert first.endswith("data/mine.csv does not exist. Put the file there, or mend the path.")
    assert second == "stations: table lacks depth_from and depth_to, the layer of a sensor in m."


def test_a_fusion_is_checked_likewise(tmp_path):
    path = tmp_path / "fusion.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "title": "ours",
                "satellite": {"product": "SPL3SMP", "paths": ["smap"]},
                "model": {"product": "IMERG_DAILY", "paths": ["noah/*.nc4"]},
                "cover": "land_cover",
            }
        ),
        encoding="utf-8",
    )
    found = check_recipe(path)
    assert [row.use for row in found.sources] == ["satellite", "model"]
    assert found.missing[0].startswith(
        "model IMERG_DAILY: does not give soil_moisture, but precipi"
    )
    assert found.missing[1].startswith("cover land_cover: no context gives it")
    assert "smap does not exist" in found.missing[2]
    assert "noah/*.nc4 matches no file" in found.missing[3]


def test_the_demo_needs_nothing():
    assert check_recipe(DEMO_RECIPE).is_complete


def test_a_recipe_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(FileProblem, match="no such file"):
        check_recipe(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("build: 3", encoding="utf-8")
    with pytest.raises(RecipeProblem):
        check_recipe(tmp_path / "bad.yaml")


def test_a_file_that_is_there_stays(recipe):
    before = recipe.read_bytes()
    asked = {"product": "SPL3SMP", "model": "dnn", "out": recipe}
    with pytest.raises(FileProblem, match="replace it with --overwrite"):
        new_recipe(REGION, PERIOD, **asked)
    assert recipe.read_bytes() == before
    new_recipe(REGION, PERIOD, **asked, overwrite=True)
    assert recipe.read_bytes() != before


def test_the_command_line_says_it_all(recipe, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["vadose", "recipe", "check", str(recipe)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    output = capsys.readouterr().out
    assert "All is there" in output
    assert "Note: source COPERNICUS_DEM: 1 files of at most 25 that the archive has" in output
    (recipe.parent / "data/ERA5_LAND/skt_2019-12.nc").unlink()
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    output = capsys.readouterr().out
    assert "Missing (1):" in output
    assert f"vadose fetch {recipe} downloads ERA5_LAND." in output
    assert "2019-12-01" in output


def test_the_command_line_writes_a_recipe(tmp_path, monkeypatch, capsys):
    words = "recipe new --region 73 18 136 54 --period 2019-01-01 2019-12-31 --product MCCA_SMAP --model cnn_gru"
    out = tmp_path / "deep" / "china.yaml"
    monkeypatch.setattr(sys, "argv", ["vadose", *words.split(), "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    assert f"Wrote {out}." in capsys.readouterr().out
    assert check_recipe(out).title == "MCCA_SMAP to 1 km by cnn gru, 2019-01-01 to 2019-12-31"


# --- what `vadose run` and `vadose fuse` refuse before they read ---


def test_a_recipe_with_nothing_to_judge_by_is_not_complete(recipe, tmp_path):
    """The check says it in the words of the run."""
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    del content["hold"]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    (text,) = check_recipe(recipe).missing
    with pytest.raises(RecipeProblem) as refusal:
        pipeline.run(recipe, tmp_path / "run")
    assert text == str(refusal.value).replace(str(recipe), recipe.name)
    assert "no withheld truth, no stations, no hold" in text


def test_libraries_that_are_missing_are_told_before_anything_runs(recipe, tmp_path, monkeypatch):
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    content["methods"]["learned"]["model"] = "lstm"
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    for library in ("torch", "jinja2"):
        monkeypatch.setitem(sys.modules, library, None)
    assert check_recipe(recipe).missing == [
        "jinja2: found no such library. Install it with: pip install 'vadose[report]'",
        "torch: found no such library. Install it with: pip install 'vadose[torch]'",
    ]
    with pytest.raises(MissingExtra, match="jinja2"):
        pipeline.run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def fusion(tmp_path):
    """A recipe of fusion whose files are there."""
    for name in ("sat.nc", "model.nc"):
        fill(tmp_path / "files", name)
    path = tmp_path / "fusion.yaml"
    content = {
        "title": "ours",
        "satellite": {"product": "SMOS_L3_A", "paths": ["files/sat.nc"]},
        "model": {"product": "GLDAS_NOAH", "paths": ["files/model.nc"]},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_fusion_is_sent_to_its_own_command(fusion, monkeypatch, capsys):
    assert check_recipe(fusion).is_complete
    monkeypatch.setattr(sys, "argv", ["vadose", "recipe", "check", str(fusion)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    words = " ".join(capsys.readouterr().out.split())
    assert f"All is there. Next: vadose fuse {fusion} --out FOLDER" in words


@pytest.mark.parametrize("verb", [pipeline.run, pipeline.build])
def test_a_study_is_no_fusion(verb, fusion, tmp_path):
    with pytest.raises(RecipeProblem, match=f"Run it with: vadose fuse {fusion} --out"):
        verb(fusion, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_fusion_is_no_study(recipe, tmp_path):
    with pytest.raises(RecipeProblem, match=f"Run it with: vadose run {recipe} --out"):
        pipeline.fuse(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_network_of_a_fusion_needs_torch(fusion, tmp_path, monkeypatch):
    content = yaml.safe_load(fusion.read_text(encoding="utf-8"))
    fusion.write_text(yaml.safe_dump({**content, "method": "drcgan"}), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "torch", None)
    (text,) = check_recipe(fusion).missing
    assert text == "torch: found no such library. Install it with: pip install 'vadose[torch]'"
    with pytest.raises(MissingExtra, match=r"vadose\[torch\]"):
        pipeline.fuse(fusion, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_table_of_files_fits_a_narrow_window(recipe, monkeypatch, capsys):
    """Names, counts and days are whole in 80 columns; long places are broken behind slashes."""
    monkeypatch.setenv("COLUMNS", "80")
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    far = recipe.parent / "a_folder_of_some_length/of_another_project/with_everything_in_it"
    far.parent.mkdir(parents=True)
    (recipe.parent / "data/MOD13A2").rename(far)
    content["build"]["sources"][1]["paths"] = [str(far)]
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["vadose", "recipe", "check", str(recipe)])
    with pytest.raises(SystemExit):
        main()
    lines = capsys.readouterr().out.splitlines()
    table = lines[: next(n for n, line in enumerate(lines) if "places are" in line)]
    assert "…" not in "".join(table)
    assert any(
        line.split()[:6] == ["SPL3SMP_E", "target", "20", "80", "B", str(FIRST)] for line in table
    )
    text = "".join(line.split()[0] if line.strip() else "" for line in table)
    assert "a_folder_of_some_length/of_another_project/with_everything_in_it" in text


def test_a_region_of_three_numbers_is_told_as_one(monkeypatch, capsys, tmp_path):
    words = "recipe new --region 73 18 136 --period 2019-01-01 2019-12-31 --out x.yaml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vadose", *words.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "Error: --region: found 73 18 136 --period, expected four numbers: west, south, east, north.\n"
    )
