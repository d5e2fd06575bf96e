"""Dates, trust, checks and choices: what they tell of runs that are known."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vadose.errors import FileProblem, ValueProblem
from vadose.grids import coarsened, coordinates
from vadose.report import trust
from vadose.report.checks import closure_max, read_alignment, tell_checks
from vadose.report.choices import days_of, tell_choices
from vadose.report.dates import chosen_places, days_table, gappiest, read_days
from vadose.report.fitting import fit_daily
from vadose.report.frames import frame_of
from vadose.report.html import write_report
from vadose.report.judged import Judged, Summary, read_judged
from vadose.report.runs import read_run
from vadose.report.scales import kilometres_per_unit
from vadose.report.scene import busiest_window, read_scene
from vadose.schema import VARIABLES

from .conftest import FACTOR, GRIDS

TIMES = pd.date_range("2020-03-01", periods=9)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """Write a run of nine days, of which the fifth has a gap on its left half that the product fills."""
    from .conftest import make_run

    run = make_run(tmp_path_factory.mktemp("long") / "run", "utm", truth=False)
    fine, coarse = GRIDS["utm"], coarsened(GRIDS["utm"], FACTOR)
    rng = np.random.default_rng(1)
    values = rng.uniform(0.1, 0.4, (9, *coarse.shape)).astype("f4")
    product = np.kron(values, np.ones((1, FACTOR, FACTOR))).astype("f4")
    values[4, :, : coarse.shape.x // 2] = np.nan
    values[7] = np.nan
    for name, grid, field in (("coarse", coarse, values), ("product", fine, product)):
        cube = xr.Dataset(
            {"soil_moisture": (("time", "y", "x"), field)},
            coords={**coordinates(grid), "time": TIMES},
        )
        cube["soil_moisture"].attrs = VARIABLES["soil_moisture"].attributes()
        shutil.rmtree(run / f"{name}.zarr")
        cube.to_zarr(run / f"{name}.zarr", consolidated=False)
    return run


def test_dates_are_evenly_chosen_or_those_asked_for(long_run):
    record = read_run(long_run)
    assert chosen_places(record, ()) == [2, 4, 6]
    assert chosen_places(record, ("2020-03-09", "2020-03-01")) == [8, 0]
    with pytest.raises(ValueProblem, match=r"found 2021-01-01.*2020-03-01 to 2020-03-09"):
        chosen_places(record, ("2021-01-01",))
    with pytest.raises(ValueProblem, match=r"'spring'.*a date such as"):
        chosen_places(record, ("spring",))


def test_the_day_of_gaps_still_has_an_edge(long_run):
    day = gappiest(read_run(long_run))
    assert day.when == "2020-03-05", "the day without any observation has no edge to look at"
    assert day.remark == "50 % of the land unobserved"
    assert [title for title, _, _ in day.fields] == ["Observed", "Downscaled"]


def test_a_table_of_dates_has_what_is_drawn(long_run):
    record = read_run(long_run)
    table = days_table(read_days(record, [4]))
    own = table[table["field"] == "Downscaled"]
    field = record.product["soil_moisture"].isel(time=4).load()
    row = own.iloc[100]
    assert field.sel(y=row["y"], x=row["x"]).item() == pytest.approx(row["value"])
    assert len(own) == field.size == 2 * 16 * (table["field"] == "Coarse input").sum()


def test_a_run_that_nothing_judged_is_told_of_without_scores(long_run, tmp_path, told_only):
    run = shutil.copytree(long_run, tmp_path / "run")
    (run / "scores.json").unlink()
    with pytest.raises(FileProblem, match=r"scores\.json"):
        read_run(run)
    about = json.loads((run / "manifest.json").read_text())
    about |= {"is_judged": False, "method_title": "Forest, closed"}
    (run / "manifest.json").write_text(json.dumps(about))
    page = write_report(run, with_files=False).read_text()
    assert "“Forest, closed” was not judged" in page
    assert 'id="scores"' not in page
    assert 'id="dates"' in page


def test_a_mean_over_dates_does_not_depend_on_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(7, 5, 6))
    values[rng.random(values.shape) < 0.3] = np.nan
    array = xr.DataArray(values, dims=("time", "y", "x"))
    with np.errstate(invalid="ignore"):
        expected = np.nanmean(values, axis=0)
    for cells in (1, 100, 10**6):
        monkeypatch.setattr(trust, "AT_ONCE", cells)
        field, count = trust.mean_over_dates(array)
        np.testing.assert_allclose(field, expected)
        assert count == 7


@pytest.mark.parametrize(("coverage", "tone", "word"), [(0.9, "", "should"), (0.7, "worse", "few")])
def test_coverage_is_held_against_its_level(tmp_path, coverage, tone, word):
    row = {"kind": "all", "label": "all", "coverage": coverage, "standard_error": 0.01, "points": 9}
    told = {"intervals": {"source": "stations", "level": 0.9, "coverage": [row]}}
    found = trust.tell_coverage(Judged(tmp_path, Summary.model_validate(told)))
    assert found.tone == tone
    assert word in found.sentence


@pytest.mark.parametrize(("share", "is_shown"), [(0.1, True), (0.7, False)])
def test_a_hat_with_many_negative_variances_shows_its_share_alone(
    globe, tmp_path, told_only, share, is_shown
):
    run = shutil.copytree(globe, tmp_path / "run")
    grid = GRIDS["globe"]
    names = ["nearest", "smooth", "forest"]
    hat = {
        "warning": "Shared inputs: the coarse field.",
        "methods": {name: {"error_sd": 0.0123, "relative_uncertainty": 0.05} for name in names},
        "constrained_share": share,
    }
    summary = {"publish": "forest", "views": {}, "hat": hat, "titles": {}}
    (run / "validation").mkdir()
    (run / "validation/summary.json").write_text(json.dumps(summary))
    xr.Dataset(
        {"error_sd": (("product", "y", "x"), np.full((3, *grid.shape), 0.0123))},
        coords={**coordinates(grid), "product": names},
    ).to_zarr(run / "validation/three_cornered_hat.zarr", consolidated=False, zarr_format=2)
    page = write_report(run, with_files=False).read_text()
    assert ("0.0123" in page) is is_shown
    assert ("Figure hat" in page) is is_shown
    assert "Shared inputs: the coarse field." in page
    assert f"In {100 * share:.0f} % of the cells a variance came out negative" in page
    assert "made from one input share" in page


def test_seams_are_held_against_those_of_the_truth(globe, tmp_path):
    run = read_run(globe)

    def remarks(jump, true):
        maps = {"best": {"coarse_cell_edge_jump_ratio": jump}}
        maps["truth"] = {"coarse_cell_edge_jump_ratio": true}
        summary = Summary.model_validate({"publish": "best", "maps": maps})
        return " ".join(tell_checks(run, Judged(tmp_path, summary)).remarks)

    assert "are seen" in remarks(1.6, 1.0)
    assert "are not seen in the product" in remarks(1.6, 1.52)
    assert "steps across them are 1.58 times those inside, in the truth 1.33 times" in remarks(
        1.58, 1.33
    )
    assert "are seen" in remarks(1.58, 1.33)
    assert tell_checks(run, Judged(tmp_path, Summary())) is None


def test_what_is_not_shown_has_its_reason(globe, long_run):
    pages = {
        name: write_report(run, with_files=False)
        .read_text(encoding="utf-8")
        .split('id="absent"')[1]
        for name, run in (("globe", globe), ("days", long_run))
    }
    assert "The run has one date." in pages["globe"]
    assert "vadose validate RUN --stations PATH" in pages["globe"]
    assert "Product against truth" not in pages["globe"], "it is drawn"
    assert "The day with most gaps" not in pages["days"]
    assert "No truth was withheld" in pages["days"]
    assert "--hat A --hat B --hat C" in pages["days"]


def test_the_day_on_maps_is_one_with_a_coarse_input(long_run):
    record = read_run(long_run)
    coarse = record.coarse.load()
    coarse["soil_moisture"][:6] = np.nan  # the product is full on all days
    scene = read_scene(replace(record, coarse=coarse))
    assert scene.when == "2020-03-07"
    assert np.isfinite(scene.coarse).all()


def test_dates_asked_for_rule_all_maps(long_run, told_only):
    record = read_run(long_run)
    assert read_scene(record, 7).when == "2020-03-08"
    assert gappiest(record, among=[2, 3]) is None, "these have no gaps"
    assert gappiest(record, among=[3, 4]).when == "2020-03-05"
    page = write_report(long_run, dates=("2020-03-08", "2020-03-02")).read_text()
    maps, _, others = page.partition('<section id="dates">')
    assert "2020-03-08." in maps
    assert "2020-03-02, in one colour scale" in others


def test_the_close_up_is_of_a_place_with_input(long_run):
    scene = read_scene(read_run(long_run), 4)  # its left half is a gap that the product fills
    product = scene.product.copy()
    product[:, : product.shape[1] // 2] += (
        np.indices(product.shape)[0][:, : product.shape[1] // 2] % 2
    )
    rows, columns = busiest_window(replace(scene, product=product))
    assert columns.start >= product.shape[1] // 2 - FACTOR
    assert rows.stop > rows.start


def test_a_part_without_daily_scores_has_no_row(globe):
    scores = dict.fromkeys(("r", "rmse", "ubrmse", "bias"), 0.1)
    rows = [
        {"part": part, "product": "forest", "time": day, "n": 20, **scores}
        for part in ("train", "test")
        for day in TIMES
    ]
    daily = pd.DataFrame(rows)
    daily.loc[daily["part"] == "test", list(scores)] = np.nan
    labels = fit_daily(daily, read_run(globe), unit="m3 m-3").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["forest, train"]


def test_closure_is_one_number_wherever_it_stands(globe, tmp_path):
    run = shutil.copytree(globe, tmp_path / "run")
    scores = json.loads((run / "scores.json").read_text())
    best = scores["best"]
    scores["methods"][best]["closure_max"] = 0.0234
    (run / "scores.json").write_text(json.dumps(scores))
    (run / "validation").mkdir()
    maps = {best: {"closure_max": 0.01, "closure_rmse": 0.001}}
    summary = {"publish": best, "maps": maps}
    (run / "validation/summary.json").write_text(json.dumps(summary))
    page = write_report(run, with_files=False).read_text(encoding="utf-8")
    assert page.count("0.0234") + page.count("2.3e−02") + page.count("0.023") >= 4
    record = read_run(run)
    assert closure_max(record, read_judged(record), best) == 0.0234
    scores["methods"][best]["closure_max"] = None
    (run / "scores.json").write_text(json.dumps(scores))
    record = read_run(run)
    assert closure_max(record, read_judged(record), best) == 0.01, (
        "of the maps, where scores say nothing"
    )


def test_closure_is_of_the_field_as_it_is_stored(globe, tmp_path):
    run = shutil.copytree(globe, tmp_path / "run")
    record = read_run(run)
    product = record.product.load()
    product["soil_moisture"] = product["soil_moisture"] + np.float32(0.02)
    shutil.rmtree(run / "product.zarr")
    product.to_zarr(run / "product.zarr", consolidated=False)
    before, after = (read_scene(read_run(one)).closure for one in (globe, run))
    np.testing.assert_allclose(after - before, 0.02, atol=1e-6)


def test_alignment_is_told_or_named(long_run, tmp_path):
    run = shutil.copytree(long_run, tmp_path / "run")
    assert read_alignment(read_run(run)) == []
    row = {"variable": "clay_content", "source": "S", "files": 1, "units_before": "g", "units_after": "%",
           "valid_before": 1.0, "valid_after": 0.5, "is_shifted": True, "shift_east": -1.0,
           "shift_north": 0.0}  # fmt: skip
    (run / "alignment.json").write_text(json.dumps([row]))
    told = read_alignment(read_run(run))[0]
    assert (told.units, told.valid) == ("g → %", "100 % → 50 %")
    assert told.shift == "−1.00 east, 0.00 north — shifted"
    (run / "alignment.json").write_text('{"a": 1}')
    with pytest.raises(FileProblem, match=r"alignment\.json: found a report that cannot be read"):
        read_alignment(read_run(run))


def test_choices_are_those_of_the_recipe(long_run, tmp_path):
    run = shutil.copytree(long_run, tmp_path / "run")
    (run / "recipe.yaml").write_text(
        "build: {days: 3, sources: [{product: SMAP, use: target}, {product: DEM}]}\n"
        "predictors: [clay_content]\nhold: {scheme: random}\n"
    )
    record = read_run(run)
    told = dict(tell_choices(record))
    assert days_of(record) == 3
    assert told["Coarse target"] == "SMAP"
    assert "optimistic" in told["Kept from learning"]
    (run / "recipe.yaml").write_text("{{ no: [recipe")
    assert "Coarse target" not in dict(tell_choices(read_run(run)))


def test_a_scale_bar_is_measured_on_the_ellipsoid():
    frame = frame_of(GRIDS["utm"])  # metres, true to 0.04 % there
    assert kilometres_per_unit(frame) == pytest.approx(0.001, rel=1e-3)
