"""The section of a fusion, and the page of a fused record."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vadose.errors import RunProblem
from vadose.grids import coordinates, latlon
from vadose.report.fused import is_fused, write_fused_report
from vadose.report.fusion import read_fusion
from vadose.schema import ORIGIN, VARIABLES

GRID = latlon(0.25, (10, 40, 14, 43))
DAYS = 6


def _told(ratio=(1.5, 2.0, 2.5), dates=30, seam=0.9):
    row = {
        "n": 500,
        "n_dates": dates,
        "lost": 0,
        "ubrmse": 0.02,
        "r": 0.8,
        "bias": 0.001,
        "seconds": 1.0,
    }
    return {
        "method": "stacked",
        "is_chosen": True,
        "observed": "keep",
        "hidden": {"values": 500, "share": 0.3, "lengths": [1, 3]},
        "scores": [
            {"filler": "stacked", "rmse": 0.02, "rmse_lower": 0.015, "rmse_upper": 0.03, **row},
            {"filler": "persistence", "rmse": 0.04, "expected_rmse": None, **row},
        ],
        "against_method": {
            "persistence": dict(zip(("ratio_lower", "ratio", "ratio_upper"), ratio, strict=True))
        },
        "interval": {"level": 0.9, "coverage": 0.7},
        "origin": {"observed": 900, "filled": 100, "missing": 0},
        "seams": {"edge": seam, "filled": 1.0},
    }


def _write(folder, **told):
    folder.mkdir(exist_ok=True)
    (folder / "fusion.json").write_text(json.dumps(_told(**told)))
    rows = [
        {
            "kind": kind, "label": label, "product": product, "n": 50, "n_dates": 9,
            "is_small": label == "2-3", "rmse": 0.03, "r": 0.8, "bias": 0.0,
            "rmse_lower": 0.02, "rmse_upper": 0.05,
        }
        for kind in ("all", "age", "length")
        for label in ("1", "2-3")
        for product in ("stacked", "persistence")
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "gap_scores.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    folder = _write(tmp_path_factory.mktemp("fused") / "out")
    rng = np.random.default_rng(5)
    shape = (DAYS, *GRID.shape)
    origin = np.full(shape, ORIGIN.code("observed"), "u1")
    origin[3, :, :8] = ORIGIN.code("filled")
    value = rng.uniform(0.1, 0.4, shape).astype("f4")
    layers = {"soil_moisture": value, "origin": origin}
    cube = xr.Dataset(
        {name: (("time", "y", "x"), layer) for name, layer in layers.items()},
        coords={**coordinates(GRID), "time": pd.date_range("2020-01-01", periods=DAYS)},
    )
    for name in layers:
        cube[name].attrs = VARIABLES[name].attributes()
    cube.to_zarr(folder / "fused.zarr", consolidated=False)
    about = {
        "title": "A <b>small</b> record", "command": "vadose fuse x.yaml --out y", "vadose": "0.1.0",
        "inputs": [{"name": f"day_{day}.nc", "sha256": "ab" * 32} for day in range(9)],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(about))
    (folder / "recipe.yaml").write_text("title: x\n")
    return folder


def test_a_fused_record_has_a_page_of_its_own(fused):
    assert is_fused(fused)
    page = write_fused_report(fused).read_text(encoding="utf-8")
    assert "A &lt;b&gt;small&lt;/b&gt; record" in page
    assert "keeping the last value gives 0.0400, which is worse on the same" in page
    for words in ("Last value kept", "vadose fuse x.yaml", "and 5 more files", "too narrow"):
        assert words in page
    assert "<script" not in page
    assert "http" not in page.split("Content-Security-Policy")[1].split("</style>")[0]
    names = {path.stem for path in (fused / "figures").glob("*.png")}
    assert names == {"gap_errors", "fused_day", "origins"}
    shares = pd.read_csv(fused / "figures/origins.csv")
    assert shares["filled"].tolist() == [0, 0, 0, 0.5, 0, 0]
    day = pd.read_csv(fused / "figures/fused_day.csv")
    assert set(day["date"]) == {"2020-01-04"}
    counts = day["field"].value_counts()
    assert counts["Seamless"] == 2 * counts["Where observed"]


@pytest.mark.parametrize(
    ("ratio", "tone"), [((1.5, 2, 3), "good"), ((0.4, 0.6, 0.9), "bad"), ((0.8, 1.1, 1.5), "mixed")]
)
def test_the_tone_is_that_of_the_interval(tmp_path, ratio, tone):
    assert read_fusion(_write(tmp_path, ratio=ratio)).tone == tone


def test_a_seam_and_few_dates_are_told(tmp_path):
    told = read_fusion(_write(tmp_path, seam=1.8, dates=5))
    assert (
        "1.80 times that between observed cells: a seam that is seen" in dict(told.facts).values()
    )
    assert any("Judged on 5 dates" in words for words in told.warnings)
    assert any("Ages drawn hollow" in words for words in told.warnings)


def test_a_folder_without_a_fusion_has_none(tmp_path):
    assert read_fusion(tmp_path) is None
    assert not is_fused(tmp_path)


def test_a_fusion_of_another_form_is_named(tmp_path):
    (tmp_path / "fusion.json").write_text('{"method": 3}')
    with pytest.raises(
        RunProblem, match=r"fusion\.json: found input should be a valid string at method"
    ):
        read_fusion(tmp_path)
