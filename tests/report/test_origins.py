"""What is filled may be extrapolated too, and all dates are counted."""

import json

import numpy as np
import pytest
import xarray as xr

from vadose.report import origins
from vadose.report.origins import Origins, count_origins
from vadose.report.runs import read_run
from vadose.report.verdict import facts, remarks_on, warning_of
from vadose.schema import VARIABLES

from .conftest import make_run

GAP, BEYOND = 1, 2


@pytest.fixture
def flagged(tmp_path):
    """Give a run of three dates, and its flags: the second date is a gap, most of all is extrapolated."""
    folder = make_run(tmp_path / "run")
    with xr.open_zarr(folder / "product.zarr", consolidated=False) as opened:
        cube = opened.load()
    times = np.array(["2019-07-01", "2019-07-02", "2019-07-03"], "M8[ns]")
    days = xr.concat([cube.isel(time=0, drop=True)] * 3, dim="time").assign_coords(time=times)
    shape = days["soil_moisture"].shape
    flags = np.full(shape, BEYOND, "u1")
    flags[1] |= GAP
    flags[:, :, :2] = np.where(flags[:, :, :2] & GAP, GAP, 0)
    days["flags"] = (days["soil_moisture"].dims, flags)
    days["flags"].attrs = VARIABLES["flags"].attributes()
    for array in days.variables.values():
        array.encoding = {}
    days.to_zarr(folder / "product.zarr", mode="w", consolidated=False)
    return folder, flags, np.isfinite(days["soil_moisture"].values)


def test_every_value_of_every_date_is_counted(flagged, monkeypatch):
    folder, flags, known = flagged
    monkeypatch.setattr(origins, "AT_ONCE", 1)  # a date at a time
    told = count_origins(read_run(folder))
    assert told.values == known.sum()
    assert told.counts[True, True] == (known & (flags == GAP | BEYOND)).sum() > 0
    assert told.counts[False, False] == (known & (flags == 0)).sum() > 0
    assert told.counted.endswith("values, 3 dates")
    names = [name for name, _, _ in told.rows]
    assert "filled in a gap, and extrapolated" in names


def test_what_is_mostly_extrapolated_is_said_in_the_head(flagged):
    folder, *_ = flagged
    run = read_run(folder)
    told = count_origins(run)
    text = " ".join((*warning_of(told), *remarks_on(run)))
    assert f"Of its values {told.outside_words} are extrapolated" in text
    assert "of those that fill gaps" in text
    assert "carries no uncertainty" in text
    fact = {one.label: one for one in facts(run, told)}["Inside the range trained on"]
    assert fact.value == told.inside_words


def test_a_product_inside_its_range_is_not_warned_of():
    counts = dict.fromkeys([(False, True), (True, False), (True, True)], 0) | {(False, False): 9}
    assert warning_of(Origins(counts, 1, 1)) == ()


def test_a_product_without_flags_tells_nothing(tmp_path):
    run = read_run(make_run(tmp_path / "run"))
    if "flags" in run.product:
        pytest.fail("this run is to have no flags")
    assert count_origins(run) is None


def test_frozen_ground_is_said_in_the_head(tmp_path):
    folder = make_run(tmp_path / "run")
    path = folder / "scores.json"
    scores = json.loads(path.read_text())
    published = read_run(folder).manifest.method
    part = {
        name: {
            "pooled": {"rmse": 0.02 if name == published else 0.025, "n": 10},
            "gain_over_nearest": {"rmse": 0.005, "rmse_lower": -0.001, "rmse_upper": 0.01},
        }
        for name in scores["methods"]
    }
    scores["strata"] = {
        "unfrozen": {"title": "unfrozen", "n": 10, "share_of_area": 0.4, "methods": part}
    }
    path.write_text(json.dumps(scores))
    text = " ".join(remarks_on(read_run(folder)))
    assert "60 % of the area judged is frozen" in text
    assert "the RMSE is 0.0200, 20\xa0% lower than that of the copied coarse value" in text
    assert "(not shown to differ)" in text
