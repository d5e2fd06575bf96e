"""The sections that are told of stations, from a small run whose scores are known."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vadose.errors import FileProblem
from vadose.grids import coordinates
from vadose.report.html import write_report
from vadose.report.judged import read_judged
from vadose.report.runs import read_run
from vadose.report.series import read_series, series_table, taylor_points
from vadose.report.station_chapter import stations as chapter
from vadose.report.stations import tell_stations, used_stations
from vadose.report.style import BETTER
from vadose.schema import ORIGIN, VARIABLES

from .conftest import GRIDS

NAMES = ("nearest", "residual_forest_closed")
TIMES = pd.date_range("2019-01-01", periods=40)
COUNT = 8


def _fields(grid, rng):
    """Give fields whose values tell which cell and day they are of."""
    rows, columns = grid.shape
    wave = 0.2 + 0.1 * np.sin(np.arange(40) / 5)[:, None, None]
    place = 0.05 * rng.normal(size=(1, rows, columns))
    fields = {"nearest": wave + 0 * place, "residual_forest_closed": wave + place}
    return {name: np.clip(field, 0.01, 0.6).astype("f4") for name, field in fields.items()}


@pytest.fixture(scope="module")
def judged_run(tmp_path_factory):
    """Write a run of 40 days with a validation, its stations and its predictions."""
    from .conftest import make_run

    grid = GRIDS["utm"]
    run = make_run(tmp_path_factory.mktemp("judged") / "run", "utm", truth=False)
    rng = np.random.default_rng(3)
    fields = _fields(grid, rng)
    for name, field in fields.items():
        cube = xr.Dataset(
            {"soil_moisture": (("time", "y", "x"), field)},
            coords={**coordinates(grid), "time": TIMES},
        )
        cube["soil_moisture"].attrs = VARIABLES["soil_moisture"].attributes()
        cube.to_zarr(run / f"predictions/{name}.zarr", consolidated=False)
    import pyproj

    rows, columns = np.arange(COUNT) * 4 + 3, np.arange(COUNT) * 5 + 2
    x = grid.affine.c + grid.affine.a * (columns + 0.5)
    y = grid.affine.f + grid.affine.e * (rows + 0.5)
    to_degrees = pyproj.Transformer.from_crs(str(grid.crs), "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(x, y)
    product = fields["residual_forest_closed"][:, rows, columns].T
    reading = product + 0.02 * rng.normal(size=product.shape)
    names = [f"s{number}" for number in range(COUNT)]
    _write_validation(run / "validation", names, longitude, latitude)
    series = xr.Dataset(
        {
            "value": (
                ("product", "station", "time"),
                np.stack([fields[name][:, rows, columns].T for name in NAMES] + [reading * 0.5]),
            ),
            "reading": (("station", "time"), reading),
            "is_pair": (("station", "time"), np.ones(reading.shape, "i1")),
            "precipitation": (("station", "time"), 10 * rng.random(reading.shape)),
        },
        coords={
            "product": [*NAMES, "other"],
            "station": names,
            "time": TIMES,
            "network": ("station", ["NET_A"] * 5 + ["NET_B"] * 3),
        },
    )
    series.to_netcdf(run / "validation/series.nc", engine="h5netcdf")
    return run


def _write_validation(folder, names, longitude, latitude):
    folder.mkdir()
    scores = []
    for product, ubrmse in zip((*NAMES, "other"), (0.05, 0.03, 0.04), strict=True):
        for place, name in enumerate(names):
            row = {
                "view": "values", "product": product, "station": name, "n": 40, "r": 0.5,
                "bias": 0.01, "rmse": 0.06, "ubrmse": ubrmse + 0.001 * place, "is_used": place < 7,
                "r_lower": 0.3, "r_upper": 0.7, "r_is_too_short": place == 2,
                "network": "NET_A" if place < 5 else "NET_B",
                "lon": longitude[place], "lat": latitude[place],
            }  # fmt: skip
            scores.append(row)
    pd.DataFrame(scores).to_csv(folder / "stations.csv", index=False)
    gains = [
        {
            "view": "values", "baseline": "nearest", "product": NAMES[1], "station": name,
            "delta_ubrmse": 0.02, "delta_ubrmse_lower": 0.01, "delta_ubrmse_upper": 0.03,
        }
        for name in names
    ]  # fmt: skip
    pd.DataFrame(gains).to_csv(folder / "gains.csv", index=False)
    strata = [
        {
            "label": "season", "stratum": season, "product": product, "view": view, "n": 20,
            "stations": 7, "r": 0.5, "ubrmse": 0.03, "bias": 0.0, "is_small": season == "winter",
        }
        for season in ("winter", "summer")
        for product in NAMES
        for view in ("pooled", "median", "lower_quartile", "upper_quartile")
    ]  # fmt: skip
    pd.DataFrame(strata).to_csv(folder / "strata.csv", index=False)
    spread = {"median": 0.03, "lower_quartile": 0.02, "upper_quartile": 0.04}
    view = {
        name: dict.fromkeys(("r", "ubrmse", "rmse", "bias"), spread) for name in (*NAMES, "other")
    }
    gain = {"median": 0.02, "lower": 0.015, "upper": 0.025, "share_better": 1.0}
    summary = {
        "publish": NAMES[1],
        "titles": {
            "nearest": "Coarse value copied",
            NAMES[1]: "Forest, closed",
            "other": "Other one",
        },
        "notes": ["The split is random and flatters.", "Only some sensors are deep enough."],
        "stations": 7,
        "pairs": 280,
        "stamps": 40,
        "selection": "stations with 30 pairs or more",
        "matching": {
            "space": "nearest: ContainingCell(); residual_forest_closed: ContainingCell()"
        },
        "verdict": "Forest, closed: better than nearest.",
        "views": {"values": view},
        "gains": {"nearest": {"stations": 7, "products": {NAMES[1]: {"delta_ubrmse": gain}}}},
        "maps": {
            "nearest": {"closure_max": 1e-9, "coarse_cell_edge_jump_ratio": None},
            NAMES[1]: {"closure_max": 1e-8, "coarse_cell_edge_jump_ratio": 2.0},
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary))


@pytest.fixture(scope="module")
def judged(judged_run):
    return read_judged(read_run(judged_run))


def test_every_section_of_stations_is_there(judged_run):
    page = write_report(judged_run, with_files=False).read_text(encoding="utf-8")
    for words in (
        "better than nearest", "NET_A", "NET_B", "median of 5 stations", "Taylor diagram",
        "Series at stations", "Seasons", "too short for an interval that holds: r",
        "Only 7 stations", "small: no base for a claim", "The edges of coarse cells are seen",
    ):  # fmt: skip
        assert words in page
    assert page.count("The split is random and flatters.") == 1, "a note stands once"
    assert not (judged_run / "figures").exists()
    heads = [part[0] for part in page.split("<h")[1:] if part[0].isdigit()]
    steps = np.diff([int(level) for level in heads])
    assert steps.max() <= 1, "no level of heading is left out"


def test_a_gain_is_told_with_its_interval(judged):
    told = tell_stations(judged)
    assert told.tone == "better"
    assert told.views[0].rows[1].cells[4].note == "+0.0150 to +0.0250"
    assert [group.title for group in told.networks] == ["NET_A", "NET_B"]
    assert len(told.networks[1].rows) == 3, "two of its stations are used, and their median"


def test_only_used_stations_are_told(judged):
    rows = used_stations(judged, NAMES[1])
    assert "s7" not in set(rows["station"])


def test_series_are_those_that_were_scored(judged_run, judged):
    series = read_series(judged)
    table = series_table(series)
    field = xr.open_zarr(judged_run / f"predictions/{NAMES[1]}.zarr", consolidated=False)
    own = table[table["station"] == "s1"]
    expected = field["soil_moisture"].values[:, 1 * 4 + 3, 1 * 5 + 2]
    np.testing.assert_allclose(own[NAMES[1]], expected)
    assert series.drawn[0] == "s0", "the least ubRMSE comes first"
    assert series.drawn[-1] == "s6"
    assert set(own.columns) >= {"measured", "other", "precipitation"}


def test_a_product_from_elsewhere_has_a_line_of_its_own(judged_run):
    record = read_run(judged_run)
    plates = {plate.name: plate for plate in chapter(record, read_judged(record)).plates}
    assert "Other one" in plates["series"].alternative
    assert "bars of precipitation" in plates["series"].alternative
    for name in ("series", "agreement"):
        legend = plates[name].paint().legends[0]
        assert "Other one" in {text.get_text() for text in legend.get_texts()}
    assert "other" in set(plates["taylor"].data()["product"])


def test_what_was_filled_is_marked_and_nothing_is_joined_across_gaps(judged_run, tmp_path):
    run = shutil.copytree(judged_run, tmp_path / "run")
    path = run / "validation/series.nc"
    series = xr.load_dataset(path, engine="h5netcdf")
    origin = np.full(series["reading"].shape, ORIGIN.code("downscaled"), "u1")
    origin[:, 3:6] = ORIGIN.code("filled")
    value = series["value"].sel(product=NAMES[1], drop=True)
    series["origin"] = ("station", "time"), origin
    series["lower"], series["upper"] = value - 0.05, value + 0.05
    series = series.isel(time=[*range(10), *range(20, 40)])
    path.unlink()
    series.to_netcdf(path, engine="h5netcdf")
    record = read_run(run)
    found = chapter(record, read_judged(record))
    assert found.told["marks_origin"]
    assert found.told["has_interval"]
    plate = {one.name: one for one in found.plates}["series"]
    table = plate.data()
    assert table.groupby("origin")["time"].nunique().to_dict() == {"downscaled": 27, "filled": 3}
    assert np.allclose(table["upper"] - table["lower"], 0.1)
    figure = plate.paint()
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "the same, filled" in words
    assert "its interval" in words
    assert "the same, extrapolated" not in words, "there is none"
    lines = {
        line.get_color(): line for line in figure.axes[0].get_lines() if line.get_linestyle() == "-"
    }
    solid = np.asarray(lines[BETTER].get_ydata())
    assert len(solid) == 31, "of the ten days that are missing one stands for all"
    assert np.isnan(solid[10])
    assert np.isnan(solid[3:6]).all()
    assert np.isfinite(solid[6:10]).all()


def test_a_taylor_diagram_agrees_with_numpy(judged):
    series = read_series(judged)
    points = taylor_points(series).set_index(["product", "station"])
    reading = series.pairs["reading"].sel(station="s2").values
    value = series.pairs["value"].sel(product=NAMES[1], station="s2").values
    assert points.loc[(NAMES[1], "s2"), "r"] == pytest.approx(np.corrcoef(value, reading)[0, 1])
    assert points.loc[(NAMES[1], "s2"), "ratio"] == pytest.approx(value.std() / reading.std())


def _with_series(judged_run, tmp_path, change):
    run = shutil.copytree(judged_run, tmp_path / "run")
    path = run / "validation/series.nc"
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        series = change(opened.load())
    path.unlink()
    if series is not None:
        series.to_netcdf(path, engine="h5netcdf")
    record = read_run(run)
    return record, read_judged(record)


def test_stations_of_one_name_are_told_apart_by_network(judged_run, tmp_path):
    run = shutil.copytree(judged_run, tmp_path / "run")
    twice = {"s6": "s0"}
    path = run / "validation/stations.csv"
    table = pd.read_csv(path)
    table.assign(station=table["station"].replace(twice)).to_csv(path, index=False)

    def change(series):
        names = [twice.get(str(name), str(name)) for name in series["station"].values]
        return series.assign_coords(station=names)

    record, own = _with_series(run, tmp_path / "again", change)
    series = read_series(own)
    assert "NET_A/s0" in series.drawn
    assert "NET_B/s0" in series.drawn
    first = series.pairs["reading"].sel(station="NET_A/s0")
    assert not np.allclose(first, series.pairs["reading"].sel(station="NET_B/s0"))
    assert len(chapter(record, own).plates) == 6


def test_months_have_their_names(judged_run, tmp_path):
    run = shutil.copytree(judged_run, tmp_path / "run")
    path = run / "validation/strata.csv"
    table = pd.read_csv(path)
    months = table["stratum"].map({"winter": "1", "summer": "7"})
    pd.concat([table, table.assign(label="month", stratum=months)]).to_csv(path, index=False)
    told = tell_stations(read_judged(read_run(run)))
    assert [row.name for row in told.strata[1].rows] == ["January", "July"]


def test_seasons_without_a_median_are_not_drawn(judged_run, tmp_path):
    run = shutil.copytree(judged_run, tmp_path / "run")
    path = run / "validation/strata.csv"
    table = pd.read_csv(path)
    table.loc[table["stratum"] == "winter", ["r", "ubrmse", "bias"]] = np.nan
    table.to_csv(path, index=False)
    record = read_run(run)
    assert "seasons" not in {plate.name for plate in chapter(record, read_judged(record)).plates}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda series: None, "series.nc is not there"),
        (lambda series: series.isel(time=slice(2)), "2 dates make none"),
        (lambda series: series.assign_coords(network=("station", ["X"] * 8)), "none of the stations"),
    ],
)  # fmt: skip
def test_a_page_without_series_says_why(judged_run, tmp_path, change, words):
    record, own = _with_series(judged_run, tmp_path, change)
    assert words in chapter(record, own).told["why_no_series"]
    page = write_report(record.path, with_files=False).read_text(encoding="utf-8")
    assert words in page


def test_series_that_cannot_be_read_are_named(judged_run, tmp_path):
    run = shutil.copytree(judged_run, tmp_path / "run")
    (run / "validation/series.nc").write_bytes(b"no netCDF")
    record = read_run(run)
    with pytest.raises(FileProblem, match=r"series\.nc: found series that cannot be read"):
        read_series(read_judged(record))


def test_a_table_without_its_columns_is_named(judged_run, tmp_path):
    run = shutil.copytree(judged_run, tmp_path / "run")
    (run / "validation/stations.csv").write_text("product,station\na,b\n")
    record = read_run(run)
    with pytest.raises(FileProblem, match=r"stations\.csv: found no column view, n, r, bias"):
        tell_stations(read_judged(record))


def test_a_run_without_a_validation_has_none(globe: Path):
    assert read_judged(read_run(globe)) is None
